package register

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
)

func mustFsck(t *testing.T, r *Register) *FsckReport {
	t.Helper()
	report, err := r.Fsck(t.Context(), FsckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func exec(t *testing.T, d *db.DB, query string, args ...any) {
	t.Helper()
	err := d.Write(t.Context(), func(tx *sql.Tx) error {
		result, err := tx.Exec(query, args...)
		if err == nil {
			if n, _ := result.RowsAffected(); n == 0 {
				return fmt.Errorf("%q changed nothing", query)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// flip changes one bit of a stored value and gives a function that undoes it.
func flip(t *testing.T, d *db.DB, column, from string, at int) (undo func()) {
	t.Helper()
	var value []byte
	if err := d.Read().QueryRow("select " + column + " from " + from).Scan(&value); err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(value)
	bad[at] ^= 1
	table, where, _ := strings.Cut(from, " where ")
	set := func(v []byte) {
		var arg any = v
		if column == "payload" {
			arg = string(v)
		}
		exec(t, d, "update "+table+" set "+column+" = $1 where "+where, arg)
	}
	set(bad)
	return func() { set(value) }
}

func TestFsckNamesWhatIsWrong(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		addSite(t, d, r, 2)
		load(t, r, 599, 100)
		mustAppend(t, r, entry(1)) // has a row of the tail for itself
		if report := mustFsck(t, r); !report.OK() || report.Records != 600 || report.Logs != 2 || report.Tiles != 6 {
			t.Fatalf("a sound register: %+v", report)
		}
		record := func(index int) string { return fmt.Sprintf("record where place = %d", placeOf(1, int64(index))) }
		tileAt := func(level, n int) string {
			return fmt.Sprintf("tile where site_id = 1 and level = %d and n = %d", level, n)
		}
		shift := func(column string, index int) func() {
			exec(t, d, fmt.Sprintf("update record set %s = %s + 1 where place = %d", column, column, placeOf(1, int64(index))))
			return func() {
				exec(t, d, fmt.Sprintf("update record set %s = %s - 1 where place = %d", column, column, placeOf(1, int64(index))))
			}
		}
		const lastTail = "tail where site_id = 1 and idx = 599"
		for name, c := range map[string]struct {
			damage func() (undo func())
			want   []string // each in a message
		}{
			"a letter of a payload":       {func() func() { return flip(t, d, "payload", record(300), 12) }, []string{"at index 300: its payload or its salt"}},
			"a letter in the last chunk":  {func() func() { return flip(t, d, "payload", record(599), 12) }, []string{"at index 599: its payload or its salt"}},
			"a brace of a payload":        {func() func() { return flip(t, d, "payload", record(3), 0) }, []string{"at index 3: its payload or its salt", "not a record in canonical form"}},
			"a salt":                      {func() func() { return flip(t, d, "salt", record(0), 31) }, []string{"at index 0: its payload or its salt"}},
			"a record ID":                 {func() func() { return flip(t, d, "record_id", record(255), 3) }, []string{"at index 255: its record ID is another"}},
			"a consent ID":                {func() func() { return flip(t, d, "consent_id", record(256), 3) }, []string{"at index 256: its consent ID is another"}},
			"a time":                      {func() func() { return shift("time", 511) }, []string{"at index 511: its time is another"}},
			"an entry of a full bundle":   {func() func() { return flip(t, d, "data", tileAt(-1, 1), 9*entrySize+5) }, []string{"entry bundle 1: entry 9 is not", "(index 265)"}},
			"a length in an entry bundle": {func() func() { return flip(t, d, "data", tileAt(-1, 0), 0) }, []string{"entry bundle 0: entry 0 is not"}},
			"an entry of the last bundle": {func() func() { return flip(t, d, "data", lastTail, 31) }, []string{"entry bundle 2: entry 87 is not"}},
			"the entries of the last bundle that are gone": {func() func() { return moveTail(t, d, -1000) }, []string{"entry bundle 2: it is missing", "its tail has"}},
			"a hash of a full tile":                        {func() func() { return flip(t, d, "data", tileAt(0, 1), 32*7) }, []string{"tile 1 of level 0: hash 7 is not"}},
			"a hash of the tile above":                     {func() func() { return flip(t, d, "data", tileAt(1, 0), 32+1) }, []string{"tile 0 of level 1: hash 1 is not"}},
			"the size in a checkpoint":                     {func() func() { return flip(t, d, "checkpoint", "log where site_id = 1", 32) }, []string{"its checkpoint does not hold"}},
			"the signature of a checkpoint":                {func() func() { return flip(t, d, "checkpoint", "log where site_id = 2", 140) }, []string{"/log/site2: its checkpoint does not hold"}},
			"a size that is too small":                     {func() func() { return resize(t, d, -1) }, []string{"at index 599: it is outside", "its row says 599 records"}},
			"a size that is too large":                     {func() func() { return resize(t, d, 1) }, []string{"the record at index 600 is missing", "its row says 601 records"}},
			"a record in place of another":                 {func() func() { return swap(t, d, 10, 20) }, []string{"at index 10: its payload or its salt", "at index 20: its payload or its salt"}},
			"a record that was deleted":                    {func() func() { return remove(t, d, 44) }, []string{"the record at index 44 is missing"}},
			"a record beyond the log":                      {func() func() { return move(t, d, 599, 700) }, []string{"at index 700: it is outside", "the record at index 599 is missing"}},
			"a tile that was deleted":                      {func() func() { return moveTile(t, d, 0, 1, 5) }, []string{"tile 1 of level 0: it is missing", "tile 5 of level 0: it is outside"}},
			"a tile of level 1 that is gone":               {func() func() { return moveTile(t, d, 1, 0, 5) }, []string{"tile 0 of level 1: it is missing"}},
		} {
			t.Run(name, func(t *testing.T) {
				undo := c.damage()
				report := mustFsck(t, r)
				text := fmt.Sprint(report.Findings)
				for _, want := range c.want {
					if !strings.Contains(text, want) {
						t.Errorf("nothing says %q in %s", want, text)
					}
				}
				if report.OK() || len(report.Findings) > 600 {
					t.Errorf("%d findings: %s", len(report.Findings), text)
				}
				undo()
				if report := mustFsck(t, r); !report.OK() {
					t.Fatalf("after the damage was undone: %+v", report)
				}
			})
		}
	})
}

func resize(t *testing.T, d *db.DB, by int) func() {
	exec(t, d, "update log set size = size + $1 where site_id = 1", by)
	return func() { exec(t, d, "update log set size = size - $1 where site_id = 1", by) }
}

func move(t *testing.T, d *db.DB, from, to int64) func() {
	turn := func(from, to int64) {
		exec(t, d, "update record set place = $1 where place = $2", placeOf(1, to), placeOf(1, from))
	}
	turn(from, to)
	return func() { turn(to, from) }
}

func swap(t *testing.T, d *db.DB, a, b int64) func() {
	turn := func() { move(t, d, a, 9999); move(t, d, b, a); move(t, d, 9999, b) }
	turn()
	return turn
}

func remove(t *testing.T, d *db.DB, index int64) func() {
	exec(t, d, "update record set place = $1 where place = $2", placeOf(99, index), placeOf(1, index))
	return func() {
		exec(t, d, "update record set place = $1 where place = $2", placeOf(1, index), placeOf(99, index))
	}
}

func moveTail(t *testing.T, d *db.DB, by int) func() {
	exec(t, d, "update tail set idx = idx + $1 where site_id = 1", by)
	return func() { exec(t, d, "update tail set idx = idx - $1 where site_id = 1", by) }
}

func moveTile(t *testing.T, d *db.DB, level, from, to int) func() {
	exec(t, d, "update tile set n = $1 where site_id = 1 and level = $2 and n = $3", to, level, from)
	return func() {
		exec(t, d, "update tile set n = $1 where site_id = 1 and level = $2 and n = $3", from, level, to)
	}
}

func TestFsckBesideAWriter(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for ctx.Err() == nil {
					if _, _, err := r.Append(context.Background(), entry(1)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 10 {
			if report := mustFsck(t, r); !report.OK() {
				t.Fatalf("%+v", report)
			}
		}
		stop()
		wg.Wait()
	})
}
