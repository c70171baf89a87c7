package db

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"assent/internal/fault"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// purgeWait is how long Purge waits for other connections that keep the
// write-ahead log from being emptied.
const purgeWait = 2 * time.Minute

// Purge makes sure that what was deleted is in no file of the database, and
// returns when it is so.
//
// SQLite overwrites what it deletes (secure_delete), but not the copies that it
// left behind where it had moved a row from one page to another, in the part of
// a page that belongs to no row. Purge overwrites those parts in every page, and
// then empties the write-ahead log, which holds former versions of pages.
//
// PostgreSQL gets a VACUUM of these tables. It gives the room of deleted rows
// free, but does not overwrite it, and its own write-ahead log, standbys and
// archives have a life of their own: see docs/erasure.md.
func (d *DB) Purge(ctx context.Context, tables ...string) error {
	if d.Engine == Postgres {
		for _, table := range tables {
			if _, err := d.write.ExecContext(ctx, "vacuum "+table); err != nil {
				return d.Explain(err)
			}
		}
		return nil
	}
	if err := d.blank(ctx); err != nil {
		return d.Explain(err)
	}
	return d.emptyLog(ctx)
}

// Busy tells whether an error means that another connection was at work for
// longer than was waited, so that the same may succeed later.
func Busy(err error) bool {
	lite, ok := errors.AsType[*sqlite.Error](err)
	return ok && (lite.Code()&0xff == sqlite3.SQLITE_BUSY || lite.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

// writeWait is how long WriteBetween waits for its turn.
const writeWait = time.Minute

// WriteBetween is Write for work in small steps beside another process that
// writes all the time. On SQLite it asks for the lock every fraction of a
// millisecond, because that process leaves it for no longer; SQLite's own waiting
// asks ten times a second, and hardly ever gets it.
func (d *DB) WriteBetween(ctx context.Context, fn func(tx *sql.Tx) error) error {
	if d.Engine == Postgres {
		return d.Write(ctx, fn)
	}
	if err := d.FailedWith(); err != nil {
		return err
	}
	conn, err := d.write.Conn(ctx) // the one that there is
	if err != nil {
		return d.Explain(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "pragma busy_timeout = 0"); err != nil {
		return d.Explain(err)
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "pragma busy_timeout = "+busyTimeout)
	var tx *sql.Tx
	for until := time.Now().Add(writeWait); ; {
		if tx, err = conn.BeginTx(ctx, nil); err == nil || !Busy(err) || time.Now().After(until) {
			break
		}
		time.Sleep(time.Duration(100+rand.IntN(300)) * time.Microsecond)
	}
	return d.finish(tx, err, fn)
}

// purgePages is how many pages are read at a time: 16 MB.
const purgePages = 2048

// blank overwrites what belongs to no row, in every page of the database.
func (d *DB) blank(ctx context.Context) error {
	var pages int64
	if err := d.read.QueryRowContext(ctx, "pragma page_count").Scan(&pages); err != nil {
		return err
	}
	if pages > mostPages {
		return fault.New(fault.Unavailable, "The database is larger than Purge knows how to clean (%d pages).", pages)
	}
	for from := int64(2); from <= pages; from += purgePages { // page 1 holds the schema, and its header is another
		dirty, err := d.dirty(ctx, from, min(from+purgePages-1, pages))
		if err != nil {
			return err
		}
		for len(dirty) > 0 {
			some := dirty[:min(len(dirty), 64)]
			dirty = dirty[len(some):]
			err := d.Patiently(ctx, func() error { return d.blankPages(ctx, some) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// dirty are the numbers of pages that hold something outside their rows.
func (d *DB) dirty(ctx context.Context, from, to int64) (list []int64, err error) {
	rows, err := d.read.QueryContext(ctx, `with recursive n (i) as (select $1 union all select i + 1 from n where i < $2)
		select pgno, data from n cross join sqlite_dbpage on pgno = i`, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var number int64
		var page sql.RawBytes
		if err := rows.Scan(&number, &page); err != nil {
			return nil, err
		}
		if gap := gapOf(page); !zero(gap) {
			list = append(list, number)
		}
	}
	return list, rows.Err()
}

// blankPages reads pages again, in a transaction that writes, and overwrites
// their gaps. What is in no row is not looked at by anything, so the database
// is the same before and after.
func (d *DB) blankPages(ctx context.Context, numbers []int64) error {
	return d.Write(ctx, func(tx *sql.Tx) error {
		for _, number := range numbers {
			var page []byte
			err := tx.QueryRowContext(ctx, "select data from sqlite_dbpage where pgno = $1", number).Scan(&page)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			gap := gapOf(page)
			if zero(gap) {
				continue
			}
			clear(gap)
			if _, err := tx.ExecContext(ctx, "update sqlite_dbpage set data = $1 where pgno = $2", page, number); err != nil {
				return err
			}
		}
		return nil
	})
}

// mostPages is how many pages a database may have for a page that begins with the
// kind of a b-tree page to be one: a free or an overflow page begins with the
// number of another page, big-endian.
const mostPages = 2 << 24

// gapOf is the part of a b-tree page between the array of its cells and the
// first cell: it belongs to no row. Nil for other pages, and for a page that is
// not as the format says (https://sqlite.org/fileformat2.html#b_tree_pages).
func gapOf(page []byte) []byte {
	if len(page) < 512 {
		return nil
	}
	header := 8
	switch page[0] {
	case 2, 5: // interior
		header = 12
	case 10, 13: // leaf
	default:
		return nil
	}
	cells := int(binary.BigEndian.Uint16(page[3:]))
	content := int(binary.BigEndian.Uint16(page[5:]))
	if content == 0 {
		content = 65536
	}
	begin := header + 2*cells
	if begin > content || content > len(page) {
		return nil
	}
	for i := range cells {
		if at := int(binary.BigEndian.Uint16(page[header+2*i:])); at < content || at >= len(page) {
			return nil
		}
	}
	if free := int(binary.BigEndian.Uint16(page[1:])); free != 0 && (free < content || free >= len(page)) {
		return nil
	}
	return page[begin:content]
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// emptyLog copies the write-ahead log back and makes its file empty.
func (d *DB) emptyLog(ctx context.Context) error {
	return d.Patiently(ctx, func() error {
		var busy, frames, copied int
		err := d.write.QueryRowContext(ctx, "pragma wal_checkpoint(truncate)").Scan(&busy, &frames, &copied)
		if err != nil {
			return d.Explain(err)
		}
		if busy != 0 {
			return errStillRead
		}
		return nil
	})
}

var errStillRead = fault.New(fault.Unavailable, "Another program reads the database all the time, so former versions of its pages stay in the write-ahead log. End it, and start the erasing again.")

// Patiently does something again as long as it fails because other connections
// are at work, for two minutes at most.
func (d *DB) Patiently(ctx context.Context, do func() error) error {
	for until := time.Now().Add(purgeWait); ; {
		err := do()
		if err == nil || !errors.Is(err, errStillRead) && !Busy(err) || time.Now().After(until) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
