package public_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"assent/internal/choice"
	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/site"
)

// A gate learns what it needs, is told at once that nothing changed, and hears of
// a new version.
func TestGateManifest(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		ctx := context.Background()
		path := "/b/" + f.site.Key + "/gate.json"
		got := f.get(path)
		m, err := choice.ReadManifest(got.body)
		if err != nil {
			t.Fatal(err)
		}
		v, err := f.sites.Version(ctx, f.site.Version)
		f.must(err)
		if m.Site != f.site.Key || m.Version != f.site.Version || m.Scope != v.Notice.Scope() || m.ChoiceDays != v.Notice.ChoiceDays ||
			m.Origin != "https://consent.example" || !m.Enforce || !m.HonourGPC || m.Undeclared != v.Notice.Enforcement.Undeclared ||
			strings.Join(m.Domains, " ") != "shop.example localhost" || m.Categories[0] != "necessary" || len(m.Services) != 1 || m.Services[0].Key != "example-analytics" {
			t.Errorf("manifest %s", got.body)
		}
		if !strings.Contains(m.Boot, "https://consent.example") || strings.Contains(m.Boot, site.OriginMark) {
			t.Errorf("boot %.200q", m.Boot)
		}
		again := f.do("GET", path, http.Header{"If-None-Match": {got.header.Get("ETag")}}, nil)
		if again.status != http.StatusNotModified || len(again.body) != 0 {
			t.Errorf("again: %d, %d bytes", again.status, len(again.body))
		}
		f.must(f.sites.SetDomains(ctx, f.site.Key, []string{"shop.example", "other.example"}, "test"))
		f.must(f.cache.Refresh(ctx))
		news := f.do("GET", path, http.Header{"If-None-Match": {got.header.Get("ETag")}}, nil)
		if news.status != http.StatusOK || !strings.Contains(string(news.body), "other.example") {
			t.Errorf("after a change: %d %s", news.status, news.body)
		}
		if m.Variants != nil || m.Places != nil {
			t.Errorf("one regime has variants: %s", got.body)
		}
		f.worldwide()
		if m, err = choice.ReadManifest(f.get(path).body); err != nil {
			t.Fatal(err)
		}
		n, err := f.sites.Version(ctx, f.site.Version)
		f.must(err)
		of := n.Notice.Variants()
		for _, place := range []string{"DE", "US", "US-CA", "US-OH", "JP", "XX", ""} {
			country, _, below := strings.Cut(place, "-")
			if !below {
				place = ""
			}
			got, name := m.In(country, place)
			want := of.Named(of.For(country, place))
			if name != want.Name || got.Scope != n.Notice.As(want).Scope() || got.Regime != want.Regime || got.ChoiceDays != want.ChoiceDays || got.HonourGPC != want.HonourGPC {
				t.Errorf("%s %s: the gate has %q, %+v, and the script %+v", country, place, name, got, want)
			}
		}
		f.get("/b/unknown/gate.json").wantProblem(t, http.StatusNotFound, "no site with this key")
	})
}
