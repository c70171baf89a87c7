package public_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/public"
	"assent/internal/register"
	"assent/internal/stats"
)

func (f *fixture) tell(agent, batch string) answer {
	return f.do("POST", "/v1/events", http.Header{"Content-Type": {"text/plain"}, "Origin": {"https://www.shop.example"}, "User-Agent": {agent}, "Sec-GPC": {"1"}},
		strings.NewReader(`{"site":"`+f.site.Key+`",`+batch+`}`))
}

func (f *fixture) statistics(setting string) {
	f.t.Helper()
	ctx := context.Background()
	n, err := f.sites.Draft(ctx, f.site.Key)
	f.must(err)
	n.Statistics = setting
	f.must(f.sites.SaveDraft(ctx, f.site.Key, n))
	_, err = f.sites.Publish(ctx, f.site.Key, "test")
	f.must(err)
	f.must(f.cache.Refresh(ctx))
}

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

func TestViewsAndTheBannerAreCounted(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		c := stats.NewCounters(d, func() time.Time { return clock }, stats.Register{})
		f := newFixture(t, d, func(deps *public.Deps, _ *register.Config) { deps.Counters = c })
		view := `"events":[{"type":"page_view"},{"type":"banner_shown"}],"language":"en","page":"/product/4711?q=jane","referrer":"News.example","utm_source":"Letter","utm_campaign":"jane@mail.example"`
		report := func() *stats.Report {
			f.must(c.Flush(ctx))
			r, err := c.Report(ctx, stats.Query{SiteID: f.site.ID, From: clock.Add(-24 * time.Hour), To: clock.Add(24 * time.Hour), Settings: stats.Settings{Threshold: 1, Zone: "UTC"}})
			f.must(err)
			return r
		}
		if got := f.tell(firefox, view); got.status != http.StatusNoContent {
			t.Fatalf("%d %s", got.status, got.body)
		}
		if r := report(); r.Total[stats.Views] != 0 {
			t.Error("a site without statistics is counted")
		}
		f.statistics("exempt")
		for _, agent := range []string{firefox, firefox, "Another/1.0", "Mozilla/5.0 (compatible; Googlebot/2.1)"} {
			if got := f.tell(agent, view+`,"version":"`+f.site.Version+`"`); got.status != http.StatusNoContent {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
		f.tell(firefox, `"events":[{"type":"accepted_all"},{"type":"something_new"}],"referrer":"shop.example","version":"nonsense","language":"xx"`)
		r := report()
		if r.Total[stats.Views] != 3 || r.Total[stats.Visitors] != 2 || r.Total[stats.Shown] != 3 || r.Total[stats.Asked] != 2 || r.Total[stats.Entries] != 3 {
			t.Errorf("%v", r.Total)
		}
		for dimension, value := range map[string]string{stats.ByDevice: "desktop", stats.ByBrowser: "firefox", stats.ByHost: "www.shop.example", stats.ByVersion: f.site.Version, stats.ByLanguage: "en",
			stats.ByPage: "/product/*", stats.ByEntry: "/product/*", stats.ByReferrer: "news.example", stats.BySource: "letter", stats.ByCampaign: "*", stats.ByGPC: "on"} {
			found := false
			for _, l := range r.By[dimension].Lines {
				found = found || l.Value == value && l.Counts[stats.Views] >= 2
			}
			if !found {
				t.Errorf("%s has no %s: %+v", dimension, value, r.By[dimension])
			}
		}
		for _, wrong := range []string{`"events":[{"type":"page_view"}],"page":"` + strings.Repeat("a", 2001) + `"`, `"events":[{"type":"page_view"}],"visitor":"jane"`} {
			f.tell(firefox, wrong).wantProblem(t, http.StatusBadRequest, "")
		}
	})
}
