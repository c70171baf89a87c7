package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"assent/internal/fault"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// FileName is the database file inside the data directory.
const FileName = "assent.db"

// busyTimeout is how long SQLite waits for another process's lock, in milliseconds.
const busyTimeout = "5000"

// oldestSQLite is the first release without the WAL-reset bug that could
// corrupt a database under concurrent checkpoints (sqlite.org/wal.html).
const oldestSQLite = 3051003

func openSQLite(ctx context.Context, o Options) (*DB, error) {
	path := filepath.Join(o.Dir, FileName)
	if err := prepareFile(path, o); err != nil {
		return nil, err
	}
	d := &DB{Engine: SQLite, path: path, failure: failure{closed: make(chan struct{})}}
	var err error
	if d.write, err = sql.Open("sqlite", dsn(path, "immediate", false)); err != nil {
		return nil, err
	}
	d.write.SetMaxOpenConns(1)
	if d.read, err = sql.Open("sqlite", dsn(path, "deferred", true)); err != nil {
		return nil, err
	}
	d.read.SetMaxOpenConns(max(4, runtime.NumCPU()))
	d.read.SetMaxIdleConns(max(4, runtime.NumCPU()))
	pool := d.write
	if o.ReadOnly {
		pool = d.read
	}
	var have string
	if err := pool.QueryRowContext(ctx, "select sqlite_version()").Scan(&have); err != nil {
		d.Close()
		return nil, d.Explain(err)
	}
	if n := versionNumber(have); n < oldestSQLite {
		d.Close()
		return nil, fmt.Errorf("this binary was built with SQLite %s; 3.51.3 or newer is required", have)
	}
	if err := d.settle(ctx, o); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// settle copies what the write-ahead log holds into the database before anything
// is added. A process that ended after a failed fsync may have left frames that
// can be read and are not on disk: what is appended after them would be lost with
// them in a power cut, although its own fsync went well. After a clean end, and
// beside a server that holds the log, there is nothing to do.
func (d *DB) settle(ctx context.Context, o Options) error {
	if o.ReadOnly {
		return nil
	}
	var busy, frames, copied int
	err := d.write.QueryRowContext(ctx, "pragma wal_checkpoint(passive)").Scan(&busy, &frames, &copied)
	return d.Explain(err)
}

// prepareFile makes the data directory and the database's file, which only its
// owner may read (SQLite gives its -wal and -shm the same mode), or says that
// there is none.
func prepareFile(path string, o Options) error {
	if o.ReadOnly || o.Existing {
		if _, err := os.Stat(path); err != nil {
			return fault.Wrap(fault.Invalid, err, "There is no database at %s. Check --data; assent serve and assent site add make one.", path)
		}
		return nil
	}
	if err := makeDir(filepath.Clean(o.Dir)); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The data directory %s cannot be made. Check --data and the permissions of its parent.", o.Dir)
	}
	_, missing := os.Stat(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err == nil && missing != nil {
		err = syncDir(o.Dir)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The database %s cannot be opened. Check that this user may read and write it.", path)
	}
	return nil
}

// makeDir makes a directory and those above it, which only their owner may read,
// and their names durable: what is committed in a directory that a power cut
// takes away is lost with it.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// syncDir makes the names in a directory durable, where the system and the
// directory's permissions let it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// synchronous is FULL, and no flag changes that: a commit is on disk when it
// returns, also after a power cut. It is a variable only so that a test can
// link a server that is too careless (go build -ldflags "-X …") and show that
// the simulated power cuts find it out.
var synchronous = "FULL"

// dsn makes a connection string. secure_delete: what is erased is overwritten.
// page_size is of new databases, and has to be set before the journal's mode, which
// fixes it: a batch of records touches fewer, larger pages. The driver sorts the
// pragmas by their names and sets the mode by its own word after them. The
// write-ahead log may grow to 1,000 pages, 16 MB, because pages that change often
// are then copied back less often.
func dsn(path, lock string, readOnly bool) string {
	q := url.Values{}
	q.Set("_txlock", lock)
	pragmas := []string{"page_size(16384)", "busy_timeout(" + busyTimeout + ")", "wal_autocheckpoint(1000)", "synchronous(" + synchronous + ")", "foreign_keys(1)",
		"secure_delete(1)", "cache_size(-8000)", "temp_store(MEMORY)"}
	if !readOnly {
		q.Set("_journal_mode", "WAL")
	} else {
		pragmas = []string{"busy_timeout(" + busyTimeout + ")", "query_only(1)", "cache_size(-4000)", "temp_store(MEMORY)"}
	}
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func versionNumber(v string) int {
	var a, b, c int
	fmt.Sscanf(v, "%d.%d.%d", &a, &b, &c)
	return a*1_000_000 + b*1_000 + c
}

func explainSQLite(err error, path string) string {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return ""
	}
	dir := filepath.Dir(path)
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "The database " + path + " is locked by another process. Wait for it to finish (a backup or another tool may hold it), then try again."
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return "The database " + path + " cannot be written. Give this user write permission on the file and on " + dir + ", and check that the file system is not mounted read-only."
	case sqlite3.SQLITE_FULL:
		return "The disk that holds " + dir + " is full. Nothing was recorded; free some space and try again."
	case sqlite3.SQLITE_CANTOPEN:
		return "The database " + path + " cannot be opened. Check that the directory exists and that this user may read and write it."
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "The database " + path + " is damaged or not a database. Stop the server, keep a copy, and restore the last backup."
	case sqlite3.SQLITE_IOERR:
		return "The disk that holds " + dir + " returned an error. Nothing was recorded; check the disk (dmesg, smartctl) before going on."
	}
	return ""
}
