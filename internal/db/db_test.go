package db_test

import (
	"context"
	"database/sql"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestSchemaGolden(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		got, err := d.Schema(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "schema."+string(d.Engine)+".sql")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("the schema differs from %s; read the difference, then run make golden\n%s", file, got)
		}
	})
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	ctx := context.Background()
	for engine, options := range map[string]func(*testing.T) db.Options{
		"sqlite":   func(t *testing.T) db.Options { return db.Options{Dir: t.TempDir()} },
		"postgres": func(t *testing.T) db.Options { return db.Options{URL: dbtest.PostgresURL(t)} },
	} {
		t.Run(engine, func(t *testing.T) {
			o := options(t)
			d := dbtest.Open(t, o)
			err := d.Write(ctx, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "insert into schema_migration (number, name, applied_at) values (9999, 'future', 0)")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			d.Close()
			_, err = db.Open(ctx, o)
			wantSentence(t, err, "newer Assent")
		})
	}
}

func TestReopenKeepsEverything(t *testing.T) {
	ctx := context.Background()
	o := db.Options{Dir: t.TempDir()}
	d := dbtest.Open(t, o)
	first, err := d.FirstSetting(ctx, "colour", "green")
	if err != nil || first != "green" {
		t.Fatal(first, err)
	}
	d.Close()
	d = dbtest.Open(t, o)
	second, err := d.FirstSetting(ctx, "colour", "red")
	if err != nil || second != "green" {
		t.Fatalf("FirstSetting = %q, %v; the first value must stay", second, err)
	}
}

func TestRollbackLeavesNothing(t *testing.T) {
	ctx := context.Background()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		err := d.Write(ctx, func(tx *sql.Tx) error {
			if err := db.SetSetting(ctx, tx, "half", "written"); err != nil {
				return err
			}
			return fault.New(fault.Conflict, "no")
		})
		if fault.KindOf(err) != fault.Conflict {
			t.Fatalf("error = %v, want the fault that fn returned", err)
		}
		if v, err := d.Setting(ctx, "half"); v != "" || err != nil {
			t.Fatalf("setting = %q, %v, want none", v, err)
		}
	})
}

func TestLockedByAnotherProcess(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	d := dbtest.Open(t, db.Options{Dir: dir})
	other, err := sql.Open("sqlite", "file:"+filepath.Join(dir, db.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	if _, err := other.Exec("begin immediate"); err != nil {
		t.Fatal(err)
	}
	_, err = d.Writer().Exec("pragma busy_timeout = 50")
	if err != nil {
		t.Fatal(err)
	}
	err = d.Write(ctx, func(tx *sql.Tx) error { return nil })
	wantSentence(t, err, "locked by another process")
	if _, err := other.Exec("rollback"); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(ctx, func(tx *sql.Tx) error { return db.SetSetting(ctx, tx, "a", "b") }); err != nil {
		t.Fatalf("after the lock is gone: %v", err)
	}
}

func TestFullDatabase(t *testing.T) {
	ctx := context.Background()
	d := dbtest.SQLite(t)
	if _, err := d.Writer().Exec("pragma max_page_count = 60"); err != nil {
		t.Fatal(err)
	}
	err := d.Write(ctx, func(tx *sql.Tx) error {
		return db.SetSetting(ctx, tx, "large", strings.Repeat("x", 1<<20))
	})
	wantSentence(t, err, "is full")
	if v, err := d.Setting(ctx, "large"); v != "" || err != nil {
		t.Fatalf("half-written: %d bytes, %v", len(v), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	notADatabase := t.TempDir()
	if err := os.WriteFile(filepath.Join(notADatabase, db.FileName), []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options db.Options
		want    string
	}{
		"neither":            {db.Options{}, "Say where the data is"},
		"both":               {db.Options{Dir: "a", URL: "postgres://b"}, "not both"},
		"not a database":     {db.Options{Dir: notADatabase}, "damaged or not a database"},
		"a file as folder":   {db.Options{Dir: filepath.Join(file, "x")}, "cannot be made"},
		"missing, read only": {db.Options{Dir: t.TempDir(), ReadOnly: true}, "There is no database"},
		"unreadable address": {db.Options{URL: "postgres://u:secret@host:port"}, "cannot be read"},
		"nobody listens":     {db.Options{URL: "postgres://127.0.0.1:1/x?connect_timeout=2"}, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_, err := db.Open(ctx, c.options)
			wantSentence(t, err, c.want)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the message holds the password: %v", err)
			}
		})
	}
}

func TestReadOnlyDatabase(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	dbtest.Open(t, db.Options{Dir: dir}).Close()
	d := dbtest.Open(t, db.Options{Dir: dir, ReadOnly: true})
	if _, err := d.Read().ExecContext(ctx, "insert into setting values ('a', 'b')"); err == nil {
		t.Fatal("a read-only database took a write")
	} else {
		wantSentence(t, d.Explain(err), "cannot be written")
	}
}

func wantSentence(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(fault.Message(err), part) {
		t.Fatalf("error = %v (says %q), want a sentence with %q", err, fault.Message(err), part)
	}
}

// A driver that sets the journal's mode first would leave the page size as it was
// made, and say nothing.
func TestNewDatabasesHaveLargePages(t *testing.T) {
	d, err := db.Open(context.Background(), db.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for pragma, want := range map[string]string{"page_size": "16384", "journal_mode": "wal", "synchronous": "2", "secure_delete": "1"} {
		var got string
		if err := d.Writer().QueryRow("pragma " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", pragma, got, want, err)
		}
	}
}
