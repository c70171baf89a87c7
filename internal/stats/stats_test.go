package stats

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

var ctx = context.Background()

// calendar is a clock that tests set.
type calendar struct {
	mu sync.Mutex
	at time.Time
}

func (c *calendar) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *calendar) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newStore(t *testing.T, d *db.DB) (*Store, *calendar) {
	t.Helper()
	must(t, d.Write(ctx, func(tx *sql.Tx) error {
		for id := range 3 {
			if _, err := tx.ExecContext(ctx, "insert into site (id, site, name, draft, created_at, changed_at) values ($1, $2, '', '{}', 0, 0)",
				id+1, fmt.Sprint("site", id+1)); err != nil {
				return err
			}
		}
		return nil
	}))
	clock := &calendar{at: time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC)}
	return NewStore(d, clock.now), clock
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func rows(t *testing.T, s *Store, siteID int64) []Row {
	t.Helper()
	must(t, s.Flush(ctx))
	list, err := s.Seen(ctx, siteID)
	must(t, err)
	return list
}

func script(name, page string) Seen {
	return Seen{Kind: "request", Name: name, Directive: "script-src-elem", Page: page}
}

func TestCountersAddUpByDay(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, clock := newStore(t, d)
		first := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		s.Add(1, script("cdn.example", "/"), 2)
		s.Add(1, script("cdn.example", "/"), 1)
		s.Add(1, Seen{Kind: "request", Name: "cdn.example", Directive: "script-src-elem", Page: "/", Allowed: true}, 5)
		s.Add(1, script("cdn.example", "/"), 0)
		s.Add(2, Seen{Kind: "cookie", Name: "_id*", Page: "/"}, 7)
		s.Add(99, script("cdn.example", "/"), 1) // a site that is gone
		must(t, s.Flush(ctx))
		clock.pass(24 * time.Hour)
		s.Add(1, script("cdn.example", "/"), 4)
		got := rows(t, s, 1)
		want := []Row{
			{Seen: script("cdn.example", "/"), First: first, Last: first.AddDate(0, 0, 1), Count: 7},
			{Seen: Seen{Kind: "request", Name: "cdn.example", Directive: "script-src-elem", Page: "/", Allowed: true}, First: first, Last: first, Count: 5},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("site 1 has %v, want %v", got, want)
		}
		if got := rows(t, s, 2); len(got) != 1 || got[0].Count != 7 || got[0].Name != "_id*" {
			t.Errorf("site 2 has %v, want its cookie alone", got)
		}
		clock.pass(-72 * time.Hour) // a clock that was set back takes nothing back
		s.Add(1, script("cdn.example", "/"), 1)
		if got := rows(t, s, 1)[0]; got.Count != 8 || !got.Last.Equal(first.AddDate(0, 0, 1)) {
			t.Errorf("after the clock was set back: %+v", got)
		}
	})
}

func TestStrangersCannotFillTheTable(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, _ := newStore(t, d)
		for i := range 20 { // pages of one name
			s.Add(2, script("cdn.example", fmt.Sprintf("/%c", 'a'+i)), 1)
		}
		list := rows(t, s, 2)
		var total int64
		for _, r := range list {
			total += r.Count
		}
		if len(list) != maxPages+1 || list[0].Page != "" || list[0].Count != 20-maxPages || total != 20 {
			t.Errorf("20 pages of one host make %d rows with %d counts, the first %+v", len(list), total, list[0])
		}
		for round := range 3 { // names, more than fit into memory, into a round, into the table
			for i := range maxRows + 100 {
				s.Add(1, script(fmt.Sprintf("h%d-%d.example", round, i), "/"), 1)
			}
			if n := len(s.pending); n > maxRows+1 {
				t.Fatalf("%d counters wait in memory", n)
			}
			must(t, s.Flush(ctx))
		}
		list, total = rows(t, s, 1), 0
		var other int64
		for _, r := range list {
			total += r.Count
			if r.Kind == Other {
				other += r.Count
			}
		}
		if len(list) != maxRows+1 || total != 3*(maxRows+100) || other != total-maxRows {
			t.Errorf("%d rows with %d counts, %d of them without a row; want %d rows and every count", len(list), total, other, maxRows+1)
		}
		s.Add(1, script("h0-7.example", "/"), 3) // what has a row goes on
		for _, r := range rows(t, s, 1) {
			if r.Name == "h0-7.example" && r.Count != 4 {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestMemoryIsBoundedAcrossSites(t *testing.T) {
	s := NewStore(nil, nil)
	for site := range int64(200) {
		for i := range 300 {
			s.Add(site, script(fmt.Sprint(i, ".example"), "/"), 1)
		}
	}
	if n := len(s.pending); n > maxPending+200 {
		t.Errorf("%d counters wait in memory", n)
	}
	var total int64
	for _, n := range s.pending {
		total += n
	}
	if total != 200*300 {
		t.Errorf("%d counts of %d", total, 200*300)
	}
}

func TestRowsGoWithAgeAndWithTheirSite(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, clock := newStore(t, d)
		s.Add(1, script("old.example", "/"), 1)
		s.Add(2, script("old.example", "/"), 1)
		must(t, s.Flush(ctx))
		clock.pass(retention * 24 * time.Hour)
		s.Add(1, script("new.example", "/"), 1)
		s.Add(2, script("old.example", "/"), 1)
		must(t, s.Flush(ctx))
		if n, err := s.Sweep(ctx); err != nil || n != 0 {
			t.Errorf("after %d days %d rows went (%v)", retention, n, err)
		}
		clock.pass(24 * time.Hour)
		if n, err := s.Sweep(ctx); err != nil || n != 1 {
			t.Errorf("after one day more %d rows went (%v), want the one that was not seen again", n, err)
		}
		if list := rows(t, s, 1); len(list) != 1 || list[0].Name != "new.example" {
			t.Errorf("left: %v", list)
		}
		must(t, s.Ignore(ctx, 1, Name{"request", "new.example"}, true))
		must(t, d.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "delete from site where id = 1")
			return err
		}))
		ignored, err := s.Ignored(ctx, 1)
		must(t, err)
		if list := rows(t, s, 1); len(list) != 0 || len(ignored) != 0 {
			t.Errorf("the site is gone, and left %v and %v", list, ignored)
		}
		if list := rows(t, s, 2); len(list) != 1 {
			t.Errorf("the other site has %v", list)
		}
	})
}

func TestIgnoringIsPerSite(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, _ := newStore(t, d)
		n := Name{"request", "cdn.example"}
		s.Add(1, script(n.Name, "/"), 1)
		s.Add(2, script(n.Name, "/"), 1)
		must(t, s.Flush(ctx))
		must(t, s.Ignore(ctx, 1, n, true))
		must(t, s.Ignore(ctx, 1, n, true))
		for site, want := range map[int64]int{1: 1, 2: 0} {
			got, err := s.Ignored(ctx, site)
			must(t, err)
			if len(got) != want || want == 1 && !got[n] {
				t.Errorf("site %d ignores %v", site, got)
			}
		}
		if err := s.Ignore(ctx, 1, Name{"request", "never.seen"}, true); fault.KindOf(err) != fault.NotFound {
			t.Errorf("what was never seen: %v", err)
		}
		if err := s.Ignore(ctx, 3, n, true); fault.KindOf(err) != fault.NotFound {
			t.Errorf("what another site has seen: %v", err)
		}
		must(t, s.Clear(ctx, 2))
		if len(rows(t, s, 1)) != 1 || len(rows(t, s, 2)) != 0 {
			t.Error("clearing one site's list is to leave the other's")
		}
		must(t, s.Ignore(ctx, 1, n, false))
		if got, err := s.Ignored(ctx, 1); err != nil || len(got) != 0 {
			t.Errorf("shown again, still ignored: %v %v", got, err)
		}
	})
}

// Two processes on one database lose no count, and neither ends without its last ones.
func TestProcessesAddUpAndFlushWhenTheyEnd(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		one, clock := newStore(t, d)
		stores := []*Store{one, NewStore(d, clock.now)}
		running, stop := context.WithCancel(ctx)
		var work, adders sync.WaitGroup
		for _, s := range stores {
			work.Go(func() { s.Run(running) })
			adders.Go(func() {
				for i := range 200 {
					s.Add(1, script(fmt.Sprintf("h%d.example", i%10), "/"), 1)
				}
			})
		}
		adders.Wait()
		stop()
		work.Wait()
		list, err := one.Seen(ctx, 1)
		must(t, err)
		var total int64
		for _, r := range list {
			total += r.Count
		}
		if len(list) != 10 || total != 400 {
			t.Errorf("%d rows with %d counts, want 10 with 400", len(list), total)
		}
	})
}

func TestCountersWaitWhileTheDatabaseDoesNotAnswer(t *testing.T) {
	d := dbtest.SQLite(t)
	s, _ := newStore(t, d)
	s.Add(1, script("cdn.example", "/"), 2)
	gone, stop := context.WithCancel(ctx)
	stop()
	if err := s.Flush(gone); err == nil {
		t.Fatal("nothing failed")
	}
	s.Add(1, script("cdn.example", "/"), 1)
	if list := rows(t, s, 1); len(list) != 1 || list[0].Count != 3 {
		t.Errorf("%v, want the three that were added", list)
	}
}
