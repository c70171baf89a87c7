package register

import (
	"math/rand/v2"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/receipt"
)

// The clock jumps a day forward and back, again and again: the order is that of
// arrival all the same, each record has the time that the clock said, and a
// search by time finds all that it should.
func TestClockJumps(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		w := watcher{r: r, site: 1}
		random := rand.New(rand.NewPCG(1, 6))
		now := testTime
		var stored []Stored
		const count = 1100 // more than a run, whose span of time is kept apart
		for i := range int64(count) {
			now = now.Add(time.Millisecond)
			if i%50 == 49 {
				now = now.Add(time.Duration(random.IntN(3)-1) * 24 * time.Hour)
			}
			s := mustAppend(t, r, entry(1, func(r *receipt.Record) { r.Time = now.Format(receipt.TimeLayout) }))
			if s.Index != i || !s.Time.Equal(now) {
				t.Fatalf("record %d: %+v, want the time %s", i, s, now)
			}
			stored = append(stored, s)
			if i%100 == 0 {
				w.check(t, i+1)
			}
		}
		w.check(t, count)
		mustVerify(t, r, stored[random.IntN(count)])
		for day := -5; day <= 5; day++ {
			from := testTime.AddDate(0, 0, day)
			to := from.Add(24 * time.Hour)
			want := 0
			for _, s := range stored {
				if !s.Time.Before(from) && s.Time.Before(to) {
					want++
				}
			}
			got, before := 0, int64(0)
			for {
				page, err := r.Search(t.Context(), Query{SiteID: 1, From: from, To: to, Before: before, Limit: 500})
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				got, before = got+len(page), page[len(page)-1].Index
				if before == 0 {
					break
				}
			}
			if got != want {
				t.Errorf("day %+d: %d records are found, %d are of it", day, got, want)
			}
		}
		if report := mustFsck(t, r); !report.OK() {
			t.Errorf("%+v", report)
		}
	})
}
