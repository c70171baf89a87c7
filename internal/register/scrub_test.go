package register

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
)

// quick is a rate at which a test does not wait.
const quick = 1 << 30

func place(index int64) string { return strconv.FormatInt(placeOf(1, index), 10) }

// Every kind of damage that the scrub can meet is named as fsck names it, also
// after a restart; what was mended is forgotten after the next pass.
func TestScrubNamesWhatIsWrong(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		addSite(t, d, r, 2)
		load(t, r, 1300, 100)
		mustAppend(t, r, entry(1))
		s := r.NewScrub(quick)
		pass := func() ScrubStatus {
			t.Helper()
			if err := s.Pass(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s.Status()
		}
		if status := pass(); len(status.Findings) != 0 || status.Records != 1301 || status.Passes != 1 || status.Finished.IsZero() {
			t.Fatalf("a sound register: %+v", status)
		}
		for name, c := range map[string]struct {
			damage func() (undo func())
			want   string
		}{
			"a record":             {func() func() { return flip(t, d, "payload", "record where place = "+place(300), 12) }, "at index 300: its payload or its salt"},
			"a record of the tail": {func() func() { return flip(t, d, "salt", "record where place = "+place(1300), 1) }, "at index 1300: its payload or its salt"},
			"a tile":               {func() func() { return flip(t, d, "data", "tile where site_id = 1 and level = 0 and n = 1", 32*7) }, "tile 1 of level 0: hash 7"},
			"a tile above":         {func() func() { return flip(t, d, "data", "tile where site_id = 1 and level = 1 and n = 0", 33) }, "tile 0 of level 1: hash 1"},
			"a tile that is gone":  {func() func() { return moveTile(t, d, 1, 0, 5) }, "tile 0 of level 1: it is missing"},
			"a checkpoint":         {func() func() { return flip(t, d, "checkpoint", "log where site_id = 2", 140) }, "/log/site2: its checkpoint does not hold"},
			"a consent place":      {func() func() { return flip(t, d, "prefix", "consent_place where site_id = 1 and idx = 5", 2) }, "table consent_place"},
			"a span": {func() func() {
				exec(t, d, "update span set latest = latest + 1 where site_id = 1")
				return func() { exec(t, d, "update span set latest = latest - 1 where site_id = 1") }
			}, "table span"},
		} {
			t.Run(name, func(t *testing.T) {
				undo := c.damage()
				found := pass()
				if len(found.Findings) == 0 || !strings.Contains(found.Findings[0].Message+found.Findings[len(found.Findings)-1].Message, c.want) {
					t.Errorf("%+v, want %q", found.Findings, c.want)
				}
				s = r.NewScrub(quick)
				if err := s.load(t.Context()); err != nil || len(s.Status().Findings) != len(found.Findings) {
					t.Errorf("after a restart: %+v, %v", s.Status(), err)
				}
				undo()
				if mended := pass(); len(mended.Findings) != 0 {
					t.Errorf("after it was mended: %+v", mended.Findings)
				}
			})
		}
	})
}

// A scrub that is stopped goes on where it was, and keeps what it had found.
func TestScrubGoesOn(t *testing.T) {
	d := dbtest.SQLite(t)
	r := open(t, d)
	for id := range int64(3) {
		addSite(t, d, r, id+1)
		mustAppend(t, r, entry(id+1))
	}
	flip(t, d, "salt", "record where place = "+place(0), 1)
	s := r.NewScrub(quick)
	ctx, stop := context.WithCancel(t.Context())
	if err := s.log(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.save(ctx, scrubPosition{Site: 2}); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := s.Pass(ctx); err == nil {
		t.Error("a pass goes on without its context")
	}
	s = r.NewScrub(quick)
	if err := s.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status := s.Status(); status.Records != 2 || len(status.Findings) != 1 || status.Findings[0].SiteKey() != "site1" {
		t.Errorf("%+v, want the rest read and the finding kept", status)
	}
}

// The scrub finds nothing in a sound register that grows meanwhile.
func TestScrubBesideAWriter(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			load(t, r, 3000, 100)
		}()
		s := r.NewScrub(quick)
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			if err := s.Pass(t.Context()); err != nil {
				t.Fatal(err)
			}
			if status := s.Status(); len(status.Findings) != 0 {
				t.Fatalf("%+v", status.Findings)
			}
		}
	})
}

// It is slow: a chunk of 256 records has its time.
func TestScrubKeepsItsPace(t *testing.T) {
	s := (*Register)(nil).NewScrub(256)
	start := time.Now()
	if err := s.pace(t.Context()); err != nil || time.Since(start) < time.Second {
		t.Errorf("256 records after %s, %v; want a second", time.Since(start), err)
	}
}
