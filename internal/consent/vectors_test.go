package consent

import (
	"encoding/json"
	"os"
	"path/filepath"
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
