package register

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

// keepCopy keeps the register's tables as they are, and returns what puts them
// back: an older copy over a newer database.
func keepCopy(t *testing.T, d *db.DB) (back func()) {
	t.Helper()
	tables := []string{"record", "tile", "tail", "consent_place", "span", "log"}
	run := func(format ...string) {
		t.Helper()
		err := d.Write(t.Context(), func(tx *sql.Tx) error {
			for _, table := range tables {
				for _, f := range format {
					if _, err := tx.Exec(strings.ReplaceAll(f, "TABLE", table)); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	run("create table kept_TABLE as select * from TABLE")
	return func() { run("delete from TABLE", "insert into TABLE select * from kept_TABLE") }
}

func advance(t *testing.T, r *Register, m *Marks) {
	t.Helper()
	if err := r.advance(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// Over an older copy of the database nothing is signed: neither by a process
// that starts on it, nor by one under which it is exchanged.
func TestOlderCopyIsNotSignedOver(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		path := filepath.Join(t.TempDir(), MarksFile)
		marks, err := OpenMarks(path)
		if err != nil {
			t.Fatal(err)
		}
		r := open(t, d)
		addSite(t, d, r, 1)
		addSite(t, d, r, 2)
		load(t, r, 300, 20)
		back := keepCopy(t, d)
		load(t, r, 400, 20)
		advance(t, r, marks)
		back()

		_, _, err = r.Append(t.Context(), entry(1))
		wantKind(t, err, fault.Unavailable)
		if !strings.Contains(fault.Message(err), "700 records") || !strings.Contains(fault.Message(err), "holds 300") {
			t.Errorf("the sentence is %q", fault.Message(err))
		}
		mustAppend(t, r, entry(2)) // the other log lost nothing

		restarted := open(t, d)
		marks, err = OpenMarks(path)
		if err != nil {
			t.Fatal(err)
		}
		err = restarted.CheckMarks(t.Context(), marks)
		if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Message(err), "700 records") {
			t.Errorf("error = %v, want that it lost records", err)
		}
		// Without marks, another history grows past them; with them it is found out.
		load(t, restarted, 500, 20)
		err = restarted.CheckMarks(t.Context(), marks)
		if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Message(err), "another past") {
			t.Errorf("error = %v, want that it has another past", err)
		}
		failed := make(chan error, 1)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		restarted.FollowMarks(ctx, marks, func(err error) { failed <- err })
		if len(failed) != 1 {
			t.Error("a running server does not notice the other past")
		}
	})
}

func TestMarksFollowTheLogs(t *testing.T) {
	d := dbtest.SQLite(t)
	path := filepath.Join(t.TempDir(), MarksFile)
	r := open(t, d)
	addSite(t, d, r, 1)
	for range 3 {
		load(t, r, 257, 20)
		marks, err := OpenMarks(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.CheckMarks(t.Context(), marks); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop() // once more when it ends
		r.FollowMarks(ctx, marks, func(err error) { t.Error(err) })
	}
	marks, err := OpenMarks(path)
	if err != nil || marks.known["consent.shop.example/log/site1"].Size != 771 {
		t.Errorf("%+v, %v", marks.known, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info, err)
	}
	// A log that is gone speaks for nobody: a site may be deleted.
	exec(t, d, "delete from log")
	if err := r.CheckMarks(t.Context(), marks); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte(`{"type":`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = OpenMarks(path)
	wantKind(t, err, fault.Unavailable)
}
