package db

import (
	"errors"
	"sync"

	"assent/internal/fault"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// failure remembers that the disk refused to make a write durable.
//
// After a failed fsync Linux may hold a write for clean that never reached the
// disk, and the next fsync says nothing of it (Rebello et al., "Can Applications
// Recover from fsync Failures?", USENIX ATC 2020). So nothing is written any
// more, the process ends, and the next one begins by copying what the
// write-ahead log holds into the database (see openSQLite).
type failure struct {
	once   sync.Once
	closed chan struct{}
	err    error // set before closed is closed
}

// Failed is closed when the disk failed to make a write durable. Nothing is
// written from then on; the process is to end, with FailedWith as its message.
func (d *DB) Failed() <-chan struct{} { return d.failure.closed }

// FailedWith is the fault that goes with Failed, nil before.
func (d *DB) FailedWith() error {
	select {
	case <-d.failure.closed:
		return d.failure.err
	default:
		return nil
	}
}

// notice looks whether an error is a failed sync of SQLite.
func (d *DB) notice(err error) {
	var e *sqlite.Error
	if d.Engine != SQLite || !errors.As(err, &e) {
		return
	}
	if code := e.Code(); code != sqlite3.SQLITE_IOERR_FSYNC && code != sqlite3.SQLITE_IOERR_DIR_FSYNC {
		return
	}
	d.failure.once.Do(func() {
		d.failure.err = fault.Wrap(fault.Unavailable, err, "The disk failed to make a write to %s durable (fsync), so nothing more is written. "+
			"What was acknowledged before is safe. Check the disk (dmesg, smartctl), then start again.", d.path)
		close(d.failure.closed)
	})
}
