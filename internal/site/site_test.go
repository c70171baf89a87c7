package site

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

// plainCompile stands where the compiler is: the script's bytes are the
// compiler's business (internal/banner), that they are stored is ours.
func plainCompile(n *Notice, version string) (*Bundle, error) {
	return &Bundle{Build: "1", Script: Script{ETag: `"` + version[:8] + strings.Join(n.Domains, ",") + `"`, Plain: []byte("//" + version), Brotli: []byte("b"), Gzip: []byte("g")},
		Parts: map[string]*Script{"boot": {ETag: `"b"`, Plain: []byte(OriginMark), Brotli: []byte("b"), Gzip: []byte("g")}}}, nil
}

func noLog(context.Context, *sql.Tx, int64, string) error { return nil }

func TestSiteLife(t *testing.T) {
	ctx := context.Background()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := NewStore(d, plainCompile, noLog)
		made, err := s.Add(ctx, []string{"https://Shop.example/cart", "shop.example", "bücher.example"}, "", "cli")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(made.Domains, " "); got != "shop.example xn--bcher-kva.example" {
			t.Errorf("domains = %s", got)
		}
		v, err := s.Version(ctx, made.Version)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(v.Content)
		if hex.EncodeToString(sum[:]) != v.Version || v.Number != 1 {
			t.Errorf("version %s number %d does not name its content", v.Version, v.Number)
		}
		if _, err := s.Publish(ctx, made.Key, "a"); fault.KindOf(err) != fault.Conflict {
			t.Errorf("publishing an unchanged draft: %v, want a conflict", err)
		}
		second := publishTitle(t, s, made.Key, "A new title")
		if second.Number != 2 || second.Version == made.Version {
			t.Errorf("second version is %d %s", second.Number, second.Version)
		}
		changes := Diff(v.Notice, second.Notice)
		if len(changes) != 1 || changes[0].Path != "texts › en › title" || changes[0].After != "A new title" {
			t.Errorf("diff = %+v", changes)
		}
		back := publishTitle(t, s, made.Key, v.Notice.Texts["en"].Title)
		if back.Version != v.Version || back.Number != 1 {
			t.Errorf("the old notice came back as %d %s, want version 1 in force again", back.Number, back.Version)
		}
		list, err := s.Versions(ctx, made.Key)
		if err != nil || len(list) != 2 || list[0].Number != 2 {
			t.Errorf("versions = %+v, %v", list, err)
		}
	})
}

func publishTitle(t *testing.T, s *Store, key, title string) *Version {
	t.Helper()
	ctx := context.Background()
	n, err := s.Draft(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	texts := n.Texts["en"]
	texts.Title = title
	n.Texts["en"] = texts
	if err := s.SaveDraft(ctx, key, n); err != nil {
		t.Fatal(err)
	}
	v, err := s.Publish(ctx, key, "member")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCacheFollowsAnotherProcess(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, err := NewCache(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		go c.Follow(ctx)
		s := NewStore(d, plainCompile, noLog)
		made, err := s.Add(ctx, []string{"shop.example"}, "Shop", "cli")
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new site is served", func() bool { return c.Site(made.Key) != nil })
		v := publishTitle(t, s, made.Key, "Changed")
		eventually(t, "the new version is served", func() bool { return c.Site(made.Key).Version == v.Version })
		if err := s.SetDomains(ctx, made.Key, []string{"other.example"}, ""); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new domain is known", func() bool { return c.Site(made.Key).Owns("www.other.example") })
		if etag := c.Site(made.Key).Bundle.ETag; !strings.Contains(etag, "other.example") || c.Site(made.Key).Version != v.Version {
			t.Errorf("the script %s was not compiled for the new domain, or the version changed", etag)
		}
		if _, err := c.Version(ctx, made.Key, made.Version); err != nil {
			t.Errorf("an older version of the site: %v", err)
		}
		if _, err := c.Version(ctx, "another", made.Version); fault.KindOf(err) != fault.Unprocessed {
			t.Errorf("a version of another site: %v", err)
		}
		if _, err := c.Version(ctx, made.Key, strings.Repeat("0", 64)); fault.KindOf(err) != fault.Unprocessed {
			t.Errorf("an unknown version: %v", err)
		}
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within ten seconds: %s", what)
		}
		time.Sleep(10 * time.Millisecond) // polls a condition
	}
}

func TestRecompileAfterUpgrade(t *testing.T) {
	ctx := context.Background()
	d := dbtest.SQLite(t)
	s := NewStore(d, plainCompile, noLog)
	if _, err := s.Add(ctx, []string{"shop.example"}, "", "cli"); err != nil {
		t.Fatal(err)
	}
	for build, want := range map[string]int{"1": 0, "2": 1} {
		if n, err := s.Recompile(ctx, build); err != nil || n != want {
			t.Errorf("build %s: recompiled %d, %v, want %d", build, n, err, want)
		}
	}
}

func TestDomains(t *testing.T) {
	for typed, want := range map[string]string{
		"shop.example":                "shop.example",
		" SHOP.Example. ":             "shop.example",
		"https://shop.example:8443/x": "shop.example",
		"*.shop.example":              "shop.example",
		"localhost:8080":              "localhost",
		"127.0.0.1":                   "127.0.0.1",
		"127.0.0.1:80":                "127.0.0.1",
		"[::1]":                       "[::1]",
		"münchen.example":             "xn--mnchen-3ya.example",
		"":                            "",
		"shop example":                "",
		"https://":                    "",
		"user@shop.example":           "",
		"<script>":                    "",
		"com":                         "",
		"a..b":                        "",
		".shop.example":               "",
		"co.uk":                       "",
		"shop.co.uk":                  "shop.co.uk",
	} {
		got, err := NormaliseDomain(typed)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("NormaliseDomain(%q) = %q, %v, want %q", typed, got, err, want)
		}
	}
	domains := []string{"shop.example", "127.0.0.1", "localhost"}
	for host, want := range map[string]bool{
		"shop.example": true, "www.shop.example": true, "a.b.shop.example": true, "localhost": true, "127.0.0.1": true,
		"notshop.example": false, ".shop.example": false, "shop.example.evil.example": false, "x.127.0.0.1": false, "": false,
	} {
		if ownsHost(domains, host) != want {
			t.Errorf("ownsHost(%q) = %v", host, !want)
		}
	}
}

func TestValidateSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(n *Notice)
		want  string
	}{
		"an optional category on legitimate interest": {func(n *Notice) { n.Categories[2].Basis = "legitimate_interest" }, "cannot rest on"},
		"a service in no category":                    {func(n *Notice) { n.Services = []Service{{Key: "a", Name: "A", Category: "x"}} }, "does not have"},
		"two services with one key": {func(n *Notice) {
			n.Services = []Service{{Key: "a", Name: "A", Category: "analytics"}, {Key: "a", Name: "B", Category: "analytics"}}
		}, "Two services"},
		"a host with a scheme": {func(n *Notice) {
			n.Services = []Service{{Key: "a", Name: "A", Category: "analytics", Hosts: []string{"https://x.example"}}}
		}, "without https://"},
		"a policy inside a host": {func(n *Notice) {
			n.Services = []Service{{Key: "a", Name: "A", Category: "analytics", Hosts: []string{"x.example; script-src *"}}}
		}, "not usable"},
		"a script address as a policy": {func(n *Notice) { n.Controller.PolicyURL = "javascript:alert(1)" }, "starts with https://"},
		"everybody below .com": {func(n *Notice) {
			n.Services = []Service{{Key: "a", Name: "A", Category: "necessary", Hosts: []string{"*.com"}}}
		}, "everybody"},
		"content from nowhere": {func(n *Notice) {
			n.Services = []Service{{Key: "a", Name: "A", Category: "analytics", Embed: true}}
		}, "has no hosts"},
		"a tracker of no known kind": {func(n *Notice) {
			n.Services = []Service{{Key: "a", Name: "A", Category: "analytics", Trackers: []Tracker{{Kind: "biscuit", Name: "x"}}}}
		}, "third_party_cookie"},
		"a NUL in a text":             {func(n *Notice) { t := n.Texts["en"]; t.Title = "Choose\x00"; n.Texts["en"] = t }, "control character"},
		"a control in a category":     {func(n *Notice) { n.Texts["en"].CategoryName["analytics"] = "a\x07" }, "control character"},
		"a plural form of its own":    {func(n *Notice) { n.Texts["en"].Partners["three"] = "Three" }, "plural form"},
		"no plural form other":        {func(n *Notice) { delete(n.Texts["en"].Partners, "other") }, "plural form other"},
		"a pale word on a button":     {func(n *Notice) { n.Layout.Light.ButtonText = "#a6b4cc" }, "easy to read, at least 5:1"},
		"a pale button":               {func(n *Notice) { n.Layout.Dark.Button, n.Layout.Dark.ButtonText = "#3a4a66", "#ffffff" }, "easy to find, at least 5:1"},
		"pale text":                   {func(n *Notice) { n.Layout.Light.Text = "#dddddd" }, "contrast"},
		"no refusal":                  {func(n *Notice) { t := n.Texts["en"]; t.RefuseAll = " "; n.Texts["en"] = t }, "refuse_all"},
		"a language without texts":    {func(n *Notice) { n.Languages = append(n.Languages, "de") }, "texts"},
		"a choice kept for ten years": {func(n *Notice) { n.ChoiceDays = 3650 }, "between 1 and 390"},
		"an unknown rule for hosts":   {func(n *Notice) { n.Enforcement.Undeclared = "allow" }, "allowed and reported (report)"},
		"an unknown rule for names":   {func(n *Notice) { n.Enforcement.UndeclaredStorage = "report" }, "stored (allow)"},
		"reports that nobody gets":    {func(n *Notice) { n.Enforcement.Undeclared, n.Enforcement.Report = "report", false }, "Switch reporting on"},
	} {
		t.Run(name, func(t *testing.T) {
			n := DefaultNotice("k", "Shop")
			if err := n.Validate(); err != nil {
				t.Fatalf("the default notice: %v", err)
			}
			c.spoil(n)
			err := n.Validate()
			if fault.KindOf(err) != fault.Unprocessed || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestCanonicalIgnoresNilAndEmpty(t *testing.T) {
	a, b := DefaultNotice("k", "Shop"), DefaultNotice("k", "Shop")
	a.Services, b.Services = nil, []Service{}
	x, errA := a.Canonical()
	y, errB := b.Canonical()
	if errA != nil || errB != nil || string(x) != string(y) {
		t.Errorf("equal notices have different bytes (%v, %v)", errA, errB)
	}
}

// A field that came later is not in the bytes of the notices before it, whose hash names a version.
func TestCanonicalLeavesOutWhatIsNotUsed(t *testing.T) {
	n := DefaultNotice("k", "Shop")
	n.Services = []Service{{Key: "a", Name: "A", Category: "analytics", Hosts: []string{"a.example"}}}
	before, err := n.Canonical()
	if err != nil || strings.Contains(string(before), `"embed"`) {
		t.Fatalf("the bytes of a notice without embedded content name it: %s (%v)", before, err)
	}
	scope := n.Scope()
	n.Services[0].Embed = true
	after, err := n.Canonical()
	if err != nil || !strings.Contains(string(after), `"embed":true`) || n.Validate() != nil {
		t.Errorf("the bytes of a notice with embedded content do not name it: %s (%v, %v)", after, err, n.Validate())
	}
	if n.Scope() != scope {
		t.Error("a placeholder asks everybody again")
	}
}

// A notice that was published before a text or a field was invented has the same
// bytes, the same name, and the same scope as on that day, and says everything.
func TestOldNoticeKeepsItsVersion(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", "notice-1.json"))
	if err != nil {
		t.Fatal(err)
	}
	n := new(Notice)
	if err := json.Unmarshal(content, n); err != nil {
		t.Fatal(err)
	}
	again, err := n.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	const version, scope = "4c0134701bcb1c571f8b270c75970e474faffa43d81554b2ee8a42ce1becbbbf", "42666e7395eb92a8"
	if sum := sha256.Sum256(again); hex.EncodeToString(sum[:]) != version || !bytes.Equal(again, content) {
		t.Errorf("the notice became another version:\n%s", again)
	}
	if n.Scope() != scope {
		t.Errorf("scope = %s, want %s", n.Scope(), scope)
	}
	spoken := n.Spoken()
	if spoken.Texts["en"].Session == "" || spoken.Texts["en"].Partners["one"] == "" || n.Texts["en"].Session != "" {
		t.Error("a text that the notice lacks is not filled in, or the notice was changed")
	}
	if err := n.Validate(); err != nil {
		t.Errorf("it cannot be published again: %v", err)
	}
}

func TestPartnersAreCompaniesNotServices(t *testing.T) {
	n := DefaultNotice("k", "Shop Ltd")
	n.Services = []Service{
		{Key: "a", Name: "Count", Category: "analytics", Provider: "Count Ltd"},
		{Key: "b", Name: "Count Ads", Category: "advertising", Provider: "Count ltd "},
		{Key: "c", Name: "Our own counter", Category: "analytics", Provider: "Shop Ltd"},
		{Key: "d", Name: "Chat", Category: "functional"},
		{Key: "e", Name: "Payments", Category: "necessary", Provider: "Pay Inc."},
	}
	if got := n.Partners(); got != 2 {
		t.Errorf("partners = %d, want 2: Count Ltd and whoever provides the chat", got)
	}
}

func TestNewSiteSpeaksItsLanguages(t *testing.T) {
	n := DefaultNotice("k", "Shop", "de", "ar", "zh-Hant")
	if err := n.Validate(); err != nil {
		t.Fatal(err)
	}
	if n.Languages[0] != "de" || n.Texts["de"].RefuseAll != "Alle ablehnen" || n.Texts["ar"].Title == n.Texts["de"].Title {
		t.Errorf("languages %v, refusal %q", n.Languages, n.Texts["de"].RefuseAll)
	}
}

func TestScopeFollowsTheQuestionOnly(t *testing.T) {
	for name, c := range map[string]struct {
		change func(n *Notice)
		same   bool
	}{
		"another title":        {func(n *Notice) { x := n.Texts["en"]; x.Title = "Cookies?"; n.Texts["en"] = x }, true},
		"another colour":       {func(n *Notice) { n.Layout.Light.Button = "#000000" }, true},
		"a new service":        {func(n *Notice) { n.Services = []Service{{Key: "a", Name: "A", Category: "analytics"}} }, false},
		"another controller":   {func(n *Notice) { n.Controller.Name = "Somebody else" }, false},
		"fewer categories":     {func(n *Notice) { n.Categories = n.Categories[:2] }, false},
		"another legal regime": {func(n *Notice) { n.Regime = "opt-out" }, false},
	} {
		n := DefaultNotice("k", "Shop")
		before := n.Scope()
		c.change(n)
		if (n.Scope() == before) != c.same {
			t.Errorf("%s: scope %s -> %s", name, before, n.Scope())
		}
	}
}

func TestChangedVersionIsNotUsed(t *testing.T) {
	ctx := context.Background()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := NewStore(d, plainCompile, noLog)
		made, err := s.Add(ctx, []string{"shop.example"}, "", "cli")
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]int64{made.Version: made.ID, strings.Repeat("a", 64): made.ID}
		if n, problems, err := s.Fsck(ctx, named); n != 1 || len(problems) != 1 || !strings.Contains(problems[0], "is gone") || err != nil {
			t.Errorf("fsck: %d versions, %q, %v; want 1 and a missing version", n, problems, err)
		}
		err = d.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.Exec("update notice_version set content = replace(content, 'Refuse all', 'Accept it')")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Version(ctx, made.Version); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("a changed version was read: %v", err)
		}
		if _, problems, err := s.Fsck(ctx, nil); len(problems) != 1 || !strings.Contains(problems[0], "was changed") || err != nil {
			t.Errorf("fsck: %q, %v; want the changed version", problems, err)
		}
	})
}
