package register

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/receipt"
)

// keyed opens a register as a server does: with the key of its database or directory,
// which it reads again when that was replaced.
func keyed(t *testing.T, d *db.DB, dir string) *Register {
	t.Helper()
	key, err := LoadKey(t.Context(), d, dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(t.Context(), Config{DB: d, Key: key, Renew: func(ctx context.Context) (ed25519.PrivateKey, error) { return LoadKey(ctx, d, dir) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

var rotations atomic.Int64

func rotating(dir string) Rotating {
	n := rotations.Add(1)
	return Rotating{DataDir: dir, Epoch: "2026-11-30-" + strings.Repeat("x", int(n)), Now: time.Unix(1_800_000_000+n, 0)}
}

func mustRotate(t *testing.T, r *Register, o Rotating) []RotatedLog {
	t.Helper()
	list, err := r.Rotate(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func mustState(t *testing.T, r *Register, site int64) LogState {
	t.Helper()
	state, err := r.State(t.Context(), site)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// each runs a test with the key in the database, and with the key in a file.
func eachKeyPlace(t *testing.T, fn func(t *testing.T, o db.Options, dir string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		dir := t.TempDir()
		fn(t, db.Options{Dir: dir}, dir)
	})
	t.Run("postgres", func(t *testing.T) { fn(t, db.Options{URL: dbtest.PostgresURL(t)}, "") })
	t.Run("postgres with a file", func(t *testing.T) { fn(t, db.Options{URL: dbtest.PostgresURL(t)}, t.TempDir()) })
}

// After a rotation every log goes on under the new key; what was signed before still
// verifies with the old one, and each of the two leads to the other.
func TestRotatedKey(t *testing.T) {
	eachKeyPlace(t, func(t *testing.T, o db.Options, dir string) {
		r, other := keyed(t, dbtest.Open(t, o), dir), keyed(t, dbtest.Open(t, o), dir)
		for site := int64(1); site <= 3; site++ { // the third stays empty
			addSite(t, r.db, r, site)
		}
		w := watcher{r: other, site: 1}
		first := mustAppend(t, other, entry(1))
		mustAppend(t, r, entry(2))
		w.check(t, 1)
		before := mustState(t, other, 1)
		old, err := r.Receipt(t.Context(), first.RecordID)
		if err != nil {
			t.Fatal(err)
		}
		list := mustRotate(t, r, rotating(dir))
		if len(list) != 3 || list[0].Former != before.Key || list[0].Size != 1 {
			t.Fatalf("%+v", list)
		}
		second := mustAppend(t, other, entry(1)) // it had the log and the old key in memory
		w.check(t, 2)
		mustVerify(t, other, second)
		mustVerify(t, r, first)
		after := mustState(t, r, 1)
		if after.Key != list[0].Key || after.Key == before.Key || after.Origin == before.Origin || siteOf(after.Origin) != siteOf(before.Origin) {
			t.Errorf("from %s to %s", before.Key, after.Key)
		}
		fresh, err := other.Receipt(t.Context(), second.RecordID)
		if err != nil {
			t.Fatal(err)
		}
		data, err := r.KeyHistory(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		history, err := receipt.ParseHistory(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			what    string
			receipt []byte
			trust   receipt.Trust
			valid   bool
		}{
			{"old receipt, old key", old, receipt.Trust{Key: before.Key}, true},
			{"old receipt, new key", old, receipt.Trust{Key: after.Key}, false},
			{"old receipt, new key, history", old, receipt.Trust{Key: after.Key, History: history}, true},
			{"new receipt, old key", fresh, receipt.Trust{Key: before.Key}, false},
			{"new receipt, old key, history", fresh, receipt.Trust{Key: before.Key, History: history}, true},
			{"new receipt, no key, history", fresh, receipt.Trust{History: history}, true},
		} {
			if result, err := receipt.VerifyWith(c.receipt, c.trust); err != nil || result.Valid != c.valid {
				t.Errorf("%s: %v, %+v", c.what, err, result)
			}
		}
		if _, err := r.KeyHistory(t.Context(), 3); fault.KindOf(err) != fault.NotFound {
			t.Errorf("an empty log has a history: %v", err)
		}
		addSite(t, other.db, other, 4) // by the process that did not rotate
		mustAppend(t, r, entry(4))
		mustRotate(t, other, rotating(dir))
		mustAppend(t, r, entry(1))
		mustAppend(t, r, entry(3))
		w.check(t, 3)
		keys, err := keyed(t, dbtest.Open(t, o), dir).Keys(t.Context())
		if err != nil || len(keys) != 3 || !keys[2].Used || keys[0].Used || keys[0].Key == keys[1].Key || keys[0].Until.IsZero() {
			t.Errorf("%+v, %v", keys, err)
		}
		mustSound(t, r)
	})
}

// A process that has the old key and cannot get the new one signs nothing more, not
// even the first checkpoint of a new log.
func TestStaleKeySignsNothing(t *testing.T) {
	eachAddress(t, func(t *testing.T, o db.Options) {
		d := dbtest.Open(t, o)
		key, err := LoadKey(t.Context(), d, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		stale, err := Open(t.Context(), Config{DB: d, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		defer stale.Close(context.Background())
		addSite(t, d, stale, 1)
		mustAppend(t, stale, entry(1))
		second := dbtest.Open(t, o)
		r, err := Open(t.Context(), Config{DB: second, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close(context.Background())
		mustRotate(t, r, rotating(""))
		if _, _, err := stale.Append(t.Context(), entry(1)); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("appended with the old key: %v", err)
		}
		err = d.Write(t.Context(), func(tx *sql.Tx) error {
			return stale.CreateLog(t.Context(), tx, 2, "consent.example/log/2")
		})
		if !errors.Is(err, errReplaced) {
			t.Errorf("a log was made with the old key: %v", err)
		}
		if _, err := stale.Rotate(t.Context(), rotating("")); !errors.Is(err, errReplaced) {
			t.Errorf("the old key introduced another one: %v", err)
		}
		if _, err := Open(t.Context(), Config{DB: d, Key: key}); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("opened with the old key: %v", err)
		}
		if s := mustAppend(t, r, entry(1)); s.Index != 1 {
			t.Errorf("the next record is at %d", s.Index)
		}
		mustSound(t, r)
	})
}

// Decisions that arrive while the key is replaced are all recorded once, whichever
// node takes them.
func TestRotationUnderLoad(t *testing.T) {
	eachKeyPlace(t, func(t *testing.T, o db.Options, dir string) {
		list := []*Register{keyed(t, dbtest.Open(t, o), dir), keyed(t, dbtest.Open(t, o), dir)}
		for site := int64(1); site <= 3; site++ {
			addSite(t, list[0].db, list[0], site)
		}
		var stored atomic.Int64
		var stop atomic.Bool
		var work sync.WaitGroup
		for i := range int64(12) {
			work.Go(func() {
				for !stop.Load() {
					e := entry(i%3 + 1)
					for { // as a browser does: again, with the same record ID
						_, _, err := list[i%2].Append(context.Background(), e)
						if err == nil {
							break
						}
						if fault.KindOf(err) != fault.Unavailable {
							t.Errorf("append: %v", err)
							return
						}
					}
					stored.Add(1)
				}
			})
		}
		const times = 3
		for done := 0; done < times; {
			want := stored.Load() + 20
			for end := time.Now().Add(60 * time.Second); stored.Load() < want && !t.Failed(); time.Sleep(time.Millisecond) { // polls a condition
				if time.Now().After(end) {
					t.Fatal("nothing is recorded any more")
				}
			}
			_, err := list[done%2].Rotate(t.Context(), rotating(dir))
			if err == nil {
				done++
			} else if fault.KindOf(err) != fault.Unavailable && !db.Busy(err) {
				t.Errorf("rotation %d: %v", done, err)
				break
			}
		}
		stop.Store(true)
		work.Wait()
		report := mustFsck(t, list[0])
		if !report.OK() || report.Records != stored.Load() {
			t.Errorf("%d stored: %+v", stored.Load(), report)
		}
		if keys, err := list[0].Keys(t.Context()); err != nil || len(keys) != times+1 {
			t.Errorf("%d keys, %v", len(keys), err)
		}
	})
}

// A rotation that fails leaves everything as it was, and can be tried again.
func TestFailedRotationChangesNothing(t *testing.T) {
	eachKeyPlace(t, func(t *testing.T, o db.Options, dir string) {
		r := keyed(t, dbtest.Open(t, o), dir)
		addSite(t, r.db, r, 1)
		mustAppend(t, r, entry(1))
		before := mustState(t, r, 1)
		broken := rotating(dir)
		broken.Also = func(*sql.Tx, ed25519.PrivateKey, ed25519.PrivateKey) error { return errors.New("the disk is full") }
		if _, err := r.Rotate(t.Context(), broken); err == nil {
			t.Fatal("it did not fail")
		}
		if after := mustState(t, r, 1); after.Key != before.Key || string(after.Checkpoint) != string(before.Checkpoint) {
			t.Errorf("the log is signed by %s", after.Key)
		}
		mustAppend(t, r, entry(1))
		again := keyed(t, dbtest.Open(t, o), dir) // also for who starts now
		mustAppend(t, again, entry(1))
		mustRotate(t, again, rotating(dir))
		mustAppend(t, r, entry(1))
		mustSound(t, r)
		if left, err := filepath.Glob(filepath.Join(dir, KeyFile+".*")); err != nil || dir != "" && len(left) > 0 {
			t.Errorf("keys that were never used are left: %v, %v", left, err)
		}
	})
}

// A crash after a rotation was decided, and before the key's file took its place, is
// made good by the next start, and by a backup that comes first.
func TestRotationThatWasInterrupted(t *testing.T) {
	dir := t.TempDir()
	d := dbtest.Open(t, db.Options{Dir: dir})
	r := keyed(t, d, dir)
	addSite(t, d, r, 1)
	mustAppend(t, r, entry(1))
	path := filepath.Join(dir, KeyFile)
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mustRotate(t, r, rotating(dir))
	new, err := os.ReadFile(path)
	if err != nil || string(new) == string(old) {
		t.Fatal("the file holds the old key", err)
	}
	for _, left := range [][]byte{old, nil} { // the old file is there, or is gone
		key, err := decodeKey(new)
		if err != nil {
			t.Fatal(err)
		}
		draft := nextFile(dir, publicOf(key))
		if err := os.WriteFile(draft, new, 0o600); err != nil {
			t.Fatal(err)
		}
		os.Remove(path)
		if left != nil {
			if err := os.WriteFile(path, left, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if text, _, err := ReadKey(t.Context(), d, dir); err != nil || string(text) != string(new) {
			t.Errorf("a backup would hold another key than the one in use (%v)", err)
		}
		again := keyed(t, d, dir)
		mustAppend(t, again, entry(1))
		if text, err := os.ReadFile(path); err != nil || string(text) != string(new) {
			t.Errorf("the new key is not in its place (%v)", err)
		}
		if _, err := os.Stat(draft); !os.IsNotExist(err) {
			t.Errorf("the draft is still there (%v)", err)
		}
		mustSound(t, again)
	}
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(t.Context(), d, dir); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Message(err), "was replaced") {
		t.Errorf("the old key is taken: %v", err)
	}
}

// A check that runs in a server whose key was replaced by another process finds
// nothing wrong.
func TestCheckAfterARotationElsewhere(t *testing.T) {
	eachAddress(t, func(t *testing.T, o db.Options) {
		r, other := keyed(t, dbtest.Open(t, o), ""), keyed(t, dbtest.Open(t, o), "")
		addSite(t, r.db, r, 1)
		mustAppend(t, r, entry(1))
		mustRotate(t, other, rotating(""))
		mustSound(t, r) // it did not sign since
		exec(t, r.db, "update log set origin = 'consent.example/other/log/' || substr(origin, length(origin))")
		if report := mustFsck(t, r); report.OK() {
			t.Error("a log with another's checkpoint is sound")
		}
	})
}
