package public_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/public"
	"assent/internal/register"
	"assent/internal/site"
)

// neighbours adds published sites to a fixture's.
func (f *fixture) neighbours(n int) (list []*site.Site) {
	f.t.Helper()
	ctx := context.Background()
	for i := range n {
		domain := fmt.Sprintf("shop%d.example", i)
		added, err := f.sites.Add(ctx, []string{domain}, domain, "test")
		f.must(err)
		s, err := f.sites.Get(ctx, added.Key)
		f.must(err)
		list = append(list, s)
	}
	f.must(f.cache.Refresh(ctx))
	return list
}

// postOf sends a decision from a page of another site than the fixture's.
func (f *fixture) postOf(s *site.Site, domain string) answer {
	body := f.decision("site", s.Key, "version", s.Version, "page", "https://"+domain+"/", "categories", "", "action", "accept_all")
	return f.do("POST", "/v1/consents", http.Header{"Content-Type": {"text/plain"}, "Origin": {"https://" + domain}}, strings.NewReader(body))
}

// recordsOf counts the records of a site.
func (f *fixture) recordsOf(id int64) int {
	f.t.Helper()
	state, err := f.reg.State(context.Background(), id)
	f.must(err)
	return int(state.Size)
}

// A site that gets more than it may is told so, with 429, from exactly there on;
// its neighbours notice nothing.
func TestLimitOfOneSiteIsNoOther(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const limit, sites = 7, 3
		f := newFixture(t, d, func(deps *public.Deps, _ *register.Config) { deps.SiteRatePerMinute = limit }) // the clock stands still
		others := f.neighbours(sites)
		for i := range 3 * limit {
			got := f.post(f.decision())
			if i < limit && got.status != 201 {
				t.Fatalf("decision %d of the flooded site: %d %s", i, got.status, got.body)
			}
			if i >= limit {
				got.wantProblem(t, 429, "Too many decisions")
			}
			if i < limit {
				for n, s := range others {
					if got := f.postOf(s, fmt.Sprintf("shop%d.example", n)); got.status != 201 {
						t.Fatalf("decision %d of site %d: %d %s", i, n, got.status, got.body)
					}
				}
			}
		}
		for _, s := range append(others, f.site) {
			if n := f.recordsOf(s.ID); n != limit {
				t.Errorf("site %s has %d records, want %d", s.Key, n, limit)
			}
		}
	})
}

// While nothing can be written a flooded site fills its share of the queue and no
// more: every decision of its neighbours finds a place and is recorded, and so is
// each of its own that was not refused.
func TestFloodedSiteLeavesRoom(t *testing.T) {
	const limit, flood, sites, each = 40, 60, 3, 4
	d := dbtest.SQLite(t)
	f := newFixture(t, d, func(_ *public.Deps, c *register.Config) { c.QueueLimit, c.BatchLimit = limit, 8 })
	others := f.neighbours(sites)
	release := stall(t, d)
	var mu sync.Mutex
	status := map[int]int{}
	var sent sync.WaitGroup
	for range flood {
		body := f.decision()
		sent.Go(func() {
			got := f.post(body)
			if got.status != 201 {
				got.wantProblem(t, 503, "for this site")
			}
			mu.Lock()
			defer mu.Unlock()
			status[got.status]++
		})
	}
	// Half of the queue is its own, and a batch is with the writer.
	refused := func() int { mu.Lock(); defer mu.Unlock(); return status[503] }
	poll(t, "what the site floods is refused", func() bool { return refused() >= flood-limit/2-8 })
	var quiet sync.WaitGroup
	for n, s := range others {
		for range each {
			quiet.Go(func() {
				if got := f.postOf(s, fmt.Sprintf("shop%d.example", n)); got.status != 201 {
					var p problem
					json.Unmarshal(got.body, &p)
					t.Errorf("a neighbour is told %d %s", got.status, p.Detail)
				}
			})
		}
	}
	poll(t, "the neighbours wait too", func() bool {
		return strings.Contains(string(f.get("/metrics").body), fmt.Sprintf("assent_consents_waiting %d\n", flood-refused()+sites*each))
	})
	release()
	sent.Wait()
	quiet.Wait()
	for _, s := range others {
		if n := f.recordsOf(s.ID); n != each {
			t.Errorf("a neighbour has %d records, want %d", n, each)
		}
	}
	if n := f.recordsOf(f.site.ID); n != status[201] || status[201]+status[503] != flood {
		t.Errorf("%d records of the flooded site; answers by status: %v", n, status)
	}
}
