package public_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/public"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/stats"
)

// counting is a fixture whose site has services with hosts and trackers.
func counting(t *testing.T, d *db.DB) (*fixture, *stats.Store) {
	t.Helper()
	s := stats.NewStore(d, nil)
	f := newFixture(t, d, func(deps *public.Deps, _ *register.Config) { deps.Stats = s })
	ctx := context.Background()
	n, err := f.sites.Draft(ctx, f.site.Key)
	f.must(err)
	n.Services[0].Hosts = []string{"cdn.count.example", "*.collect.example"}
	n.Services[0].Trackers = []site.Tracker{{Kind: "cookie", Name: "_count*", Lifetime: "1 day"}, {Kind: "local_storage", Name: "count2_queue"}}
	f.must(f.sites.SaveDraft(ctx, f.site.Key, n))
	_, err = f.sites.Publish(ctx, f.site.Key, "test")
	f.must(err)
	f.must(f.cache.Refresh(ctx))
	return f, s
}

func (f *fixture) report(events string) answer {
	return f.do("POST", "/v1/events", http.Header{"Content-Type": {"text/plain"}, "Origin": {"https://shop.example"}},
		strings.NewReader(`{"site":"`+f.site.Key+`","events":[`+events+`]}`))
}

func TestWhatNobodyDeclaredIsCounted(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f, s := counting(t, d)
		for _, events := range []string{
			// Kept, in classes.
			`{"type":"blocked","kind":"request","name":"CDN.vendor.example:8443","directive":"script-src-elem","page":"/product/4711?q=jane","count":3}`,
			`{"type":"allowed","kind":"request","name":"img.vendor.example","directive":"img","page":"/u/jane"},{"type":"page_view"}`,
			`{"type":"blocked","kind":"cookie","name":"_id_4f3a77b21c","page":"/","count":5000},{"type":"blocked","kind":"cookie","name":"_id_99","page":"/"}`,
			// Dropped: the site's own, this server's, what is declared, what is nothing.
			`{"type":"blocked","kind":"request","name":"www.shop.example","directive":"img-src"},{"type":"blocked","kind":"request","name":"shop.example:8443"}`,
			`{"type":"blocked","kind":"request","name":"consent.example","directive":"connect-src"},{"type":"blocked","kind":"request","name":"LOCALHOST:9"}`,
			`{"type":"blocked","kind":"request","name":"cdn.count.example"},{"type":"blocked","kind":"request","name":"eu.collect.example"}`,
			`{"type":"blocked","kind":"request","name":"u1234567.eu.collect.example"}`,
			`{"type":"blocked","kind":"cookie","name":"_count_1"},{"type":"blocked","kind":"local_storage","name":"count2_queue"},{"type":"blocked","kind":"local_storage","name":"count*_queue"}`,
			`{"type":"blocked","kind":"request","name":"chrome-extension://abc"},{"type":"blocked","kind":"cookie","name":""},{"type":"blocked","kind":"visitor","name":"jane"}`,
		} {
			if got := f.report(events); got.status != http.StatusNoContent {
				t.Fatalf("%s: %d %s", events, got.status, got.body)
			}
		}
		f.must(s.Flush(context.Background()))
		rows, err := s.Seen(context.Background(), f.site.ID)
		f.must(err)
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprint(r.Kind, " ", r.Name, " ", r.Directive, " ", r.Page, " ", r.Allowed, " ", r.Count))
		}
		want := "cookie _id_*  / false 1001\nrequest cdn.vendor.example:8443 script-src-elem /product/* false 3\nrequest img.vendor.example img /u/* true 1"
		if strings.Join(got, "\n") != want {
			t.Errorf("counted:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
		}
	})
}

func TestReportsAreReadStrictly(t *testing.T) {
	f, s := counting(t, dbtest.SQLite(t))
	for _, events := range []string{
		`{"type":"page_view","name":"x"}`, `{"type":"page_view","page":"/"}`,
		`{"type":"blocked","kind":"cookie","name":"` + strings.Repeat("a", 2001) + `"}`,
		`{"type":"blocked","kind":"cookie","name":"a","count":-1}`, `{"type":"blocked","kind":7}`, `{"type":"blocked","visitor":"x"}`,
	} {
		f.report(events).wantProblem(t, http.StatusBadRequest, "")
	}
	header := http.Header{"Content-Type": {"text/plain"}, "Origin": {"https://evil.example"}}
	f.do("POST", "/v1/events", header, strings.NewReader(`{"site":"`+f.site.Key+`","events":[{"type":"blocked","kind":"cookie","name":"a"}]}`)).wantProblem(t, http.StatusForbidden, "origin")
	f.must(s.Flush(context.Background()))
	if rows, err := s.Seen(context.Background(), f.site.ID); err != nil || len(rows) != 0 {
		t.Errorf("refused, and counted: %v %v", rows, err)
	}
}
