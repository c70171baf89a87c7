package consent

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"assent/internal/site"
)

// vectors reads a file that drives the script's rule as well.
func vectors(t testing.TB, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "client", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

type cookieVectors struct {
	Valid []struct {
		Name, Text string
		Choice     struct {
			ConsentID  string `json:"consent_id"`
			RecordID   string `json:"record_id"`
			Scope      string
			Time       int64
			Action     string
			Categories map[string]bool
			Services   map[string]bool
		}
	}
	Invalid []struct{ Name, Text string }
}

func TestCookieVectors(t *testing.T) {
	var v cookieVectors
	vectors(t, "cookie.json", &v)
	if len(v.Valid) < 5 || len(v.Invalid) < 5 {
		t.Fatalf("%d valid and %d invalid vectors", len(v.Valid), len(v.Invalid))
	}
	for _, row := range v.Valid {
		c, ok := ReadCookie(row.Text)
		if !ok {
			t.Errorf("%s: refused %q", row.Name, row.Text)
			continue
		}
		want := row.Choice
		if c.ConsentID.String() != want.ConsentID || c.RecordID.String() != want.RecordID || c.Scope != want.Scope || c.Time.UnixMilli() != want.Time ||
			c.Action != want.Action || !maps.Equal(c.Categories, want.Categories) || !maps.Equal(c.Services, want.Services) {
			t.Errorf("%s: %+v, want %+v", row.Name, c, want)
		}
		if c.String() != row.Text {
			t.Errorf("%s: written again as %q, want %q", row.Name, c, row.Text)
		}
	}
	for _, row := range v.Invalid {
		if c, ok := ReadCookie(row.Text); ok {
			t.Errorf("%s: %q was taken as %+v", row.Name, row.Text, c)
		}
	}
}

// FuzzReadCookie: whatever is taken has one spelling.
func FuzzReadCookie(f *testing.F) {
	var v cookieVectors
	vectors(f, "cookie.json", &v)
	for _, row := range v.Valid {
		f.Add(row.Text)
	}
	for _, row := range v.Invalid {
		f.Add(row.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := ReadCookie(text)
		if !ok {
			return
		}
		if c.String() != text {
			t.Fatalf("%q is written again as %q", text, c)
		}
		if again, ok := ReadCookie(c.String()); !ok || !reflect.DeepEqual(again, c) {
			t.Fatalf("%q reads as %+v, then as %+v", text, c, again)
		}
	})
}

func TestStatusVectors(t *testing.T) {
	var v struct {
		Notice struct {
			Categories []string
			Services   []struct{ Key, Category string }
		}
		Cases []struct {
			Name                 string
			Categories, Services map[string]bool
			Status               string
		}
	}
	vectors(t, "status.json", &v)
	n := &site.Notice{Languages: []string{"en"}}
	for _, key := range v.Notice.Categories {
		n.Categories = append(n.Categories, site.Category{Key: key})
	}
	for _, s := range v.Notice.Services {
		n.Services = append(n.Services, site.Service{Key: s.Key, Category: s.Category})
	}
	if len(v.Cases) < 5 {
		t.Fatalf("%d vectors", len(v.Cases))
	}
	for _, c := range v.Cases {
		for _, s := range v.Notice.Services { // the script sends no answers for necessary ones
			if s.Category == necessary {
				delete(c.Services, s.Key)
			}
		}
		d := &Decision{Site: "shop", Version: hash, Action: Save, Source: "banner", Categories: asList(c.Categories), Services: asList(c.Services)}
		r, err := d.Record(&site.Version{Site: "shop", Version: hash, Notice: n}, circumstances)
		if err != nil || r.Status != c.Status {
			t.Errorf("%s: %+v, %v; want %s", c.Name, r, err, c.Status)
		}
	}
}

func asList(m map[string]bool) []Choice {
	var list []Choice
	for key, granted := range m {
		list = append(list, Choice{key, granted})
	}
	return list
}
