package register

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"

	"github.com/google/uuid"
)

// One bit of any stored thing, wherever a seed chooses: fsck finds it.
func TestFsckFindsEveryBit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		load(t, r, 1300, 100)
		random := rand.New(rand.NewPCG(3, 3))
		for _, c := range []struct {
			column, from string
			blob         bool
		}{
			{"payload", "record where place = " + place(700), true}, {"salt", "record where place = " + place(700), true},
			{"record_id", "record where place = " + place(1299), true}, {"consent_id", "record where place = " + place(1299), true},
			{"time", "record where place = " + place(2), false},
			{"data", "tile where site_id = 1 and level = -1 and n = 3", true}, {"data", "tile where site_id = 1 and level = 0 and n = 4", true},
			{"data", "tile where site_id = 1 and level = 1 and n = 0", true}, {"data", "tail where site_id = 1 and idx = (select max(idx) from tail)", true},
			{"checkpoint", "log where site_id = 1", true}, {"size", "log where site_id = 1", false},
			{"prefix", "consent_place where site_id = 1 and idx = 77", true}, {"idx", "consent_place where site_id = 1 and idx = 77", false},
			{"earliest", "span where site_id = 1", false}, {"latest", "span where site_id = 1", false},
		} {
			for range 4 {
				var undo func()
				if c.blob {
					var value []byte
					if err := d.Read().QueryRow("select " + c.column + " from " + c.from).Scan(&value); err != nil {
						t.Fatal(err)
					}
					// The last characters of a signature in base64 have bits that say nothing.
					undo = flip(t, d, c.column, c.from, random.IntN(len(value)-len(value)/64*3))
				} else {
					undo = turn(t, d, c.column, c.from, 1<<random.IntN(20))
				}
				if report := mustFsck(t, r); report.OK() {
					t.Errorf("a bit of %s of %s is not found", c.column, c.from)
				}
				undo()
			}
		}
		if report := mustFsck(t, r); !report.OK() {
			t.Errorf("with all of it undone: %+v", report)
		}
	})
}

// turn adds to a number, and gives a function that takes it off again.
func turn(t *testing.T, d *db.DB, column, from string, by int) (undo func()) {
	if column == "idx" {
		by <<= 11 // where no other record is
	}
	table, where, _ := strings.Cut(from, " where ")
	exec(t, d, fmt.Sprintf("update %s set %s = %s + %d where %s", table, column, column, by, where))
	if column == "idx" {
		where = strings.ReplaceAll(where, "idx = 77", fmt.Sprintf("idx = %d", 77+by))
	}
	return func() {
		exec(t, d, fmt.Sprintf("update %s set %s = %s - %d where %s", table, column, column, by, where))
	}
}

// One bit of SQLite's file: either fsck finds it, or the database says that it is
// damaged, or it was where nothing is.
func TestBitsOfTheFile(t *testing.T) {
	from := t.TempDir()
	d, err := db.Open(t.Context(), db.Options{Dir: from})
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, d)
	addSite(t, d, r, 1)
	load(t, r, 1100, 100)
	want := dump(t, d)
	r.Close(t.Context())
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(from, db.FileName))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(4, 4))
	counts := map[string]int{}
	dir := t.TempDir()
	for range 100 {
		at, bit := random.IntN(len(file)), random.IntN(8)
		file[at] ^= 1 << bit
		outcome := afterFlip(t, dir, file, want)
		file[at] ^= 1 << bit
		if counts[outcome]++; outcome == "missed" {
			t.Errorf("bit %d of byte %d (page %d) changed the register, and nothing says so", bit, at, at/16384+1)
		}
	}
	if counts["found"] < 30 {
		t.Errorf("%v", counts)
	}
	t.Logf("100 bits of %d bytes: %v", len(file), counts)
}

func afterFlip(t *testing.T, dir string, file []byte, want string) (outcome string) {
	t.Helper()
	for _, suffix := range []string{"-wal", "-shm"} {
		os.Remove(filepath.Join(dir, db.FileName) + suffix)
	}
	if err := os.WriteFile(filepath.Join(dir, db.FileName), file, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(t.Context(), db.Options{Dir: dir, Existing: true})
	if err != nil {
		return "refused"
	}
	defer d.Close()
	r, err := Open(t.Context(), Config{DB: d, Key: testKey, Inspect: true})
	if err != nil {
		return "refused"
	}
	defer r.Close(context.Background())
	report, err := r.Fsck(t.Context(), FsckOptions{})
	switch {
	case err != nil && fault.Message(err) != "":
		return "refused"
	case !report.OK():
		s := r.NewScrub(quick)
		if err := s.Pass(t.Context()); err == nil && len(s.Status().Findings) == 0 {
			t.Errorf("fsck found %v, the scrub nothing", report.Findings)
		}
		return "found"
	case dump(t, d) != want:
		return "missed"
	}
	return "nothing there"
}

// dump is all that the register holds, and whether each record is found by its
// ID.
func dump(t *testing.T, d *db.DB) string {
	t.Helper()
	var b strings.Builder
	for _, query := range []string{
		"select place, time, record_id, consent_id, salt, payload from record order by place", "select site_id, level, n, data from tile order by 1, 2, 3",
		"select * from tail order by 1, 2", "select * from log", "select * from span order by 1, 2", "select * from consent_place order by 1, 2, 3, 4",
	} {
		rows, err := d.Read().Query(query)
		if err != nil {
			return err.Error()
		}
		columns, _ := rows.Columns()
		values := make([]any, len(columns))
		for rows.Next() {
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%v\n", values)
			if id, ok := values[min(2, len(values)-1)].([]byte); ok && len(values) == 6 {
				var place int64
				if err := d.Read().QueryRow("select place from record where record_id = $1", id).Scan(&place); err != nil || place != values[0] {
					fmt.Fprintf(&b, "%s is not found by its ID\n", uuid.UUID(id))
				}
			}
		}
		if err := rows.Err(); err != nil {
			return err.Error()
		}
		rows.Close()
	}
	return b.String()
}
