package register

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/receipt"

	"github.com/google/uuid"
)

func TestReopenContinues(t *testing.T) {
	eachAddress(t, func(t *testing.T, o db.Options) {
		w := watcher{site: 1}
		for i := range int64(3) {
			d := dbtest.Open(t, o)
			r := open(t, d)
			if i == 0 {
				addSite(t, d, r, 1)
			}
			load(t, r, 200, 20)
			w.r = r
			w.check(t, (i+1)*200)
			if err := r.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, _, err := r.Append(t.Context(), entry(1))
			wantKind(t, err, fault.Unavailable)
			d.Close()
		}
	})
}

func TestFullDiskStoresNothingAndRecovers(t *testing.T) {
	d := dbtest.SQLite(t)
	r := open(t, d)
	addSite(t, d, r, 1)
	w := watcher{r: r, site: 1}
	load(t, r, 100, 10)
	w.check(t, 100)
	var pages int
	if err := d.Writer().QueryRow("pragma page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		t.Helper()
		if _, err := d.Writer().Exec("pragma max_page_count = " + strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages)
	large := func() Entry {
		return entry(1, func(rec *receipt.Record) { rec.TC = strings.Repeat("C", 200_000) })
	}
	refused := large()
	_, _, err := r.Append(t.Context(), refused)
	wantKind(t, err, fault.Unavailable)
	if !strings.Contains(fault.Message(err), "full") {
		t.Errorf("the sentence is %q", fault.Message(err))
	}
	w.check(t, 100)
	_, err = r.Find(t.Context(), refused.RecordID)
	wantKind(t, err, fault.NotFound)
	limit(1 << 30)
	s := mustAppend(t, r, refused)
	w.check(t, 101)
	mustVerify(t, r, s)
	if report := mustFsck(t, r); !report.OK() {
		t.Errorf("%+v", report)
	}
}

// Every connection of the server is cut while callers write: nobody is told
// that something is stored which is not, and the log goes on.
func TestLostConnections(t *testing.T) {
	url := dbtest.PostgresURL(t)
	d := dbtest.Open(t, db.Options{URL: url})
	other := dbtest.Open(t, db.Options{URL: url})
	r := open(t, d)
	addSite(t, d, r, 1)
	var lock sync.Mutex
	var stored []Stored
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				s, _, err := r.Append(context.Background(), entry(1))
				if err != nil {
					if fault.KindOf(err) != fault.Unavailable {
						t.Errorf("error = %v, want Unavailable", err)
					}
					continue
				}
				lock.Lock()
				stored = append(stored, s)
				lock.Unlock()
			}
		})
	}
	for range 5 {
		_, err := other.Read().Exec("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
		if err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	stored = append(stored, mustAppend(t, r, entry(1)))
	// Read by another process: a lookup is not tried again where the connection that
	// it gets from the pool was cut.
	reader := open(t, dbtest.Open(t, db.Options{URL: url}))
	for _, s := range stored {
		mustVerify(t, reader, s)
	}
	if report := mustFsck(t, reader); !report.OK() {
		t.Errorf("%+v", report)
	}
}

func TestCancelledCallersDoNoHarm(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		var lock sync.Mutex
		var stored []Stored
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(context.Background())
				if i%3 == 0 {
					cancel()
				} else if i%3 == 1 {
					go cancel()
				}
				s, _, err := r.Append(ctx, entry(1))
				cancel()
				lock.Lock()
				defer lock.Unlock()
				if err == nil {
					stored = append(stored, s)
				} else if !errors.Is(err, context.Canceled) || fault.KindOf(err) != fault.Unavailable {
					t.Errorf("error = %v", err)
				} else if i%3 == 2 {
					t.Errorf("a caller who waited got %v", err)
				}
			})
		}
		wg.Wait()
		stored = append(stored, mustAppend(t, r, entry(1)))
		for _, s := range stored {
			mustVerify(t, r, s)
		}
		if report := mustFsck(t, r); !report.OK() {
			t.Errorf("%+v", report)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	d := dbtest.SQLite(t)
	r, err := Open(t.Context(), Config{DB: d, Key: testKey, QueueLimit: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(context.Background())
	addSite(t, d, r, 1)
	var wg sync.WaitGroup
	var lock sync.Mutex
	refused := 0
	err = d.Write(t.Context(), func(tx *sql.Tx) error { // holds the writer up
		for range 50 {
			wg.Go(func() {
				if _, _, err := r.Append(context.Background(), entry(1)); err != nil {
					wantKind(t, err, fault.Unavailable)
					lock.Lock()
					refused++
					lock.Unlock()
				}
			})
		}
		for { // the writer holds at most one batch of one or more, and two wait
			lock.Lock()
			enough := refused >= 40
			lock.Unlock()
			if enough {
				return nil
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	(&watcher{r: r, site: 1}).check(t, int64(50-refused))
}

func TestPanicIsAnswered(t *testing.T) {
	d := dbtest.SQLite(t)
	r, err := Open(t.Context(), Config{DB: d, Key: testKey, Same: func(a, b []byte) bool { panic("a bug") }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(context.Background())
	addSite(t, d, r, 1)
	e := entry(1)
	mustAppend(t, r, e)
	if _, _, err := r.Append(t.Context(), e); err == nil || fault.KindOf(err) != fault.Internal {
		t.Errorf("error = %v, want an internal one", err)
	}
	mustVerify(t, r, mustAppend(t, r, entry(1)))
	(&watcher{r: r, site: 1}).check(t, 2)
}

func TestDamagedLogTakesNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		addSite(t, d, r, 2)
		load(t, r, 10, 10)
		undo := flip(t, d, "data", "tail where site_id = 1 and idx = 0", 5)
		second := open(t, d) // has nothing in memory
		_, _, err := second.Append(t.Context(), entry(1))
		wantKind(t, err, fault.Unavailable)
		if !strings.Contains(fault.Message(err), "fsck") {
			t.Errorf("the sentence is %q", fault.Message(err))
		}
		mustAppend(t, second, entry(2)) // the other site goes on
		undo()
		third := open(t, d)
		mustVerify(t, third, mustAppend(t, third, entry(1)))
	})
}

func TestEntryMustBeItsPayload(t *testing.T) {
	d := dbtest.SQLite(t)
	r := open(t, d)
	addSite(t, d, r, 1)
	addSite(t, d, r, 2)
	for name, change := range map[string]func(*Entry){
		"another record ID":  func(e *Entry) { e.RecordID = uuid.New() },
		"another consent ID": func(e *Entry) { e.ConsentID = uuid.New() },
		"another time":       func(e *Entry) { e.Time = e.Time.Add(1e6) },
		"another site":       func(e *Entry) { e.SiteID = 2 },
		"no JSON":            func(e *Entry) { e.Payload = []byte("x") },
		"a payload cut off":  func(e *Entry) { e.Payload = e.Payload[:bytes.Index(e.Payload, []byte("2026-"))+4] },
		"fields that only a value of the payload names": func(e *Entry) {
			real := entry(1, func(r *receipt.Record) {
				r.Country = `"consent_id":"` + e.ConsentID.String() + `","record_id":"` + e.RecordID.String() + `","site":"site1`
			})
			e.Payload = real.Payload
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := entry(1)
			change(&e)
			if s, _, err := r.Append(t.Context(), e); err == nil {
				t.Errorf("stored as %+v", s)
			}
		})
	}
	(&watcher{r: r, site: 1}).check(t, 0)
	(&watcher{r: r, site: 2}).check(t, 0)
}

func TestLoadKey(t *testing.T) {
	d := dbtest.SQLite(t)
	dir := t.TempDir()
	path := filepath.Join(dir, KeyFile)
	var keys [8]string
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := LoadKey(context.Background(), d, dir)
			if err != nil {
				t.Error(err)
			}
			keys[i] = string(key)
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] || k == "" {
			t.Fatal("several processes that start at once got different keys")
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("files are left: %v", left)
	}
	refuses := func(want string) {
		t.Helper()
		if _, err := LoadKey(context.Background(), d, dir); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Message(err), want) {
			t.Errorf("error = %v, want a sentence with %q", err, want)
		}
	}
	os.Chmod(path, 0o640)
	refuses("chmod 600")
	os.Chmod(path, 0o600)
	os.WriteFile(path, []byte("not a key"), 0o600)
	refuses("is not an Ed25519 signing key")
	os.Remove(path)
	r := open(t, d)
	addSite(t, d, r, 1)
	refuses("is missing")
	if _, err := os.Stat(path); err == nil {
		t.Error("a new key was made although logs exist")
	}
}

func TestLoadKeyFromTheDatabase(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		first, err := LoadKey(t.Context(), d, "")
		if err != nil {
			t.Fatal(err)
		}
		second, err := LoadKey(t.Context(), d, "")
		if err != nil || !first.Equal(second) {
			t.Fatalf("another key the second time, %v", err)
		}
		r, err := Open(t.Context(), Config{DB: d, Key: first})
		if err != nil {
			t.Fatal(err)
		}
		addSite(t, d, r, 1)
		r.Close(t.Context())
		_, err = Open(t.Context(), Config{DB: d, Key: testKey})
		wantKind(t, err, fault.Unavailable)
		exec(t, d, "delete from setting where name = $1", keySetting)
		_, err = LoadKey(t.Context(), d, "")
		wantKind(t, err, fault.Unavailable)
	})
}
