package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"assent/internal/db"
	"assent/internal/fault"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// loadRows bounds one transaction of SQLite, whose write-ahead log would
// otherwise grow to the size of the table.
const loadRows = 50_000

// Load fills a database, which has the schema of the archive and is in nobody's
// use, with what the archive holds, and returns the totals, which say that all
// of it was authentic. After an error the database is to be thrown away.
func Load(ctx context.Context, d *db.DB, r *Reader) (*Totals, error) {
	tx, err := d.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	tables, err := d.Tables(ctx, tx)
	tx.Rollback()
	if err != nil {
		return nil, err
	}
	if err := empty(ctx, d, tables); err != nil {
		return nil, err
	}
	for {
		t, totals, err := r.Next()
		if err != nil || totals != nil {
			return totals, err
		}
		at := slices.IndexFunc(tables, func(have db.Table) bool { return have.Name == t.Name })
		if _, out := keptOut[t.Name]; out || at < 0 || !slices.Equal(tables[at].Columns, t.Columns) {
			return nil, fault.New(fault.Invalid, "This backup holds a table %q that this binary does not know in that form. Restore it with the Assent that made it (%s).", t.Name, r.Header.Assent)
		}
		if d.Engine == db.Postgres {
			err = copyTable(ctx, d, r, *t)
		} else {
			err = insertTable(ctx, d, r, *t)
		}
		if err != nil {
			return nil, d.Explain(err)
		}
	}
}

// empty removes what migrations put into the tables.
func empty(ctx context.Context, d *db.DB, tables []db.Table) error {
	return d.Write(ctx, func(tx *sql.Tx) error {
		for i := len(tables) - 1; i >= 0; i-- {
			if tables[i].Name == "schema_migration" {
				continue
			}
			if _, err := tx.ExecContext(ctx, "delete from "+quote(tables[i].Name)); err != nil {
				return err
			}
		}
		return nil
	})
}

func insertTable(ctx context.Context, d *db.DB, r *Reader, t db.Table) error {
	query := "insert into " + quote(t.Name) + " (" + names(columnNames(t)) + ") values (" + strings.Repeat(", ?", len(t.Columns))[2:] + ")"
	var values []any
	for more := true; more; {
		err := d.Write(ctx, func(tx *sql.Tx) error {
			insert, err := tx.PrepareContext(ctx, query)
			if err != nil {
				return err
			}
			defer insert.Close()
			for range loadRows {
				values, err = r.Row(values)
				if errors.Is(err, errNoRow) {
					more = false
					return nil
				}
				if err != nil {
					return err
				}
				if _, err := insert.ExecContext(ctx, values...); err != nil {
					return fmt.Errorf("%s: %w", t.Name, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// copyTable streams a table through COPY.
func copyTable(ctx context.Context, d *db.DB, r *Reader, t db.Table) error {
	conn, err := d.Writer().Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error {
		var values []any
		_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{t.Name}, columnNames(t), pgx.CopyFromFunc(func() ([]any, error) {
			var err error
			values, err = r.Row(values)
			if errors.Is(err, errNoRow) {
				return nil, nil
			}
			return values, err
		}))
		if err != nil && fault.KindOf(err) == fault.Internal {
			err = fmt.Errorf("%s: %w", t.Name, err)
		}
		return err
	})
}

// DropSite removes a site and all that hangs on it: one that was deleted after
// the backup was made. Places are site << shift and up.
func DropSite(ctx context.Context, d *db.DB, tx *sql.Tx, site int64, shift int) error {
	tables, err := d.Tables(ctx, tx)
	if err != nil {
		return err
	}
	for i := len(tables) - 1; i >= 0; i-- {
		t := tables[i]
		switch {
		case t.Has("site_id"):
			_, err = tx.ExecContext(ctx, "delete from "+quote(t.Name)+" where site_id = $1", site)
		case t.Has("place"):
			_, err = tx.ExecContext(ctx, "delete from "+quote(t.Name)+" where place >= $1 and place < $2", site<<shift, (site+1)<<shift)
		case t.Name == "site":
			_, err = tx.ExecContext(ctx, "delete from site where id = $1", site)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
