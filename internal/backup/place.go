package backup

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
)

// Place is where a restored database is made ready, out of sight, before it
// takes its place in one step: a directory inside the data directory, or a
// schema of its own in the PostgreSQL database.
type Place struct {
	target db.Options
	dir    string // SQLite: the directory inside target.Dir
	schema string // PostgreSQL
}

// Occupied tells whether there is a database at a place already. What cannot be
// read counts as one.
func Occupied(ctx context.Context, target db.Options) (bool, error) {
	if target.URL == "" {
		_, err := os.Lstat(filepath.Join(target.Dir, db.FileName))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return true, err
	}
	conn, err := db.Connect(ctx, target.URL)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	var there bool
	err = conn.QueryRowContext(ctx, "select to_regclass(quote_ident(current_schema()) || '.schema_migration') is not null").Scan(&there)
	return there, conn.Explain(err)
}

// NewPlace makes an empty place beside the target.
func NewPlace(ctx context.Context, target db.Options) (*Place, error) {
	p := &Place{target: target}
	if target.URL == "" {
		var err error
		p.dir, err = os.MkdirTemp(target.Dir, ".restoring-")
		if err != nil {
			return nil, fault.New(fault.Unavailable, "Nothing can be written in %s: %s. Check --data and its permissions.", target.Dir, reason(err))
		}
		return p, nil
	}
	p.schema = "assent_restoring_" + strings.ToLower(rand.Text()[:8])
	conn, err := db.Connect(ctx, target.URL)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_, err = conn.ExecContext(ctx, "create schema "+quote(p.schema))
	return p, conn.Explain(err)
}

// Options open the place.
func (p *Place) Options() db.Options {
	if p.dir != "" {
		return db.Options{Dir: p.dir}
	}
	return db.Options{URL: withSearchPath(p.target.URL, p.schema)}
}

// Dir is where the place's signing key belongs; "" for the database itself.
func (p *Place) Dir() string { return p.dir }

func withSearchPath(address, schema string) string {
	u, err := url.Parse(address)
	if err != nil || !strings.Contains(address, "://") {
		return address + " search_path=" + schema
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// Drop removes the place, if it did not take the target's.
func (p *Place) Drop() {
	if p.dir != "" {
		os.RemoveAll(p.dir)
		return
	}
	// The context of the command may have ended by now.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := db.Connect(ctx, p.target.URL)
	if err != nil {
		return
	}
	defer conn.Close()
	conn.ExecContext(ctx, "drop schema if exists "+quote(p.schema)+" cascade")
}

// Switch puts the restored database, which is closed, in the target's place. What
// was there goes aside under a name with the time, which is returned: a directory
// inside the data directory, or a schema.
func (p *Place) Switch(ctx context.Context, now time.Time) (aside string, err error) {
	if p.dir != "" {
		return p.switchFiles(now)
	}
	return p.switchSchemas(ctx, now)
}

// switchFiles lets one name after the other change, in an order in which a power
// cut at any point leaves either the old database or the new one under its name.
func (p *Place) switchFiles(now time.Time) (aside string, err error) {
	fresh, current := filepath.Join(p.dir, db.FileName), filepath.Join(p.target.Dir, db.FileName)
	if err := syncFile(fresh); err != nil {
		return "", err
	}
	if _, err := os.Lstat(current); err == nil {
		aside = filepath.Join(p.target.Dir, "replaced-"+now.UTC().Format("20060102-150405.000"))
		if err := os.Mkdir(aside, 0o700); err != nil {
			return "", err
		}
		// The write-ahead log goes first: beside another database it would be poison.
		// It is there only when the old database could not be closed whole.
		for _, suffix := range []string{"-wal", "-shm"} {
			if err := os.Rename(current+suffix, filepath.Join(aside, db.FileName+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return aside, err
			}
		}
		old := filepath.Join(aside, db.FileName)
		if err := os.Link(current, old); err != nil { // a file system without links
			if err := os.Rename(current, old); err != nil {
				return aside, err
			}
		}
		if err := syncDir(old); err != nil {
			return aside, err
		}
	}
	if err := p.switchKey(aside); err != nil {
		return aside, err
	}
	if err := os.Rename(fresh, current); err != nil {
		return aside, err
	}
	os.RemoveAll(p.dir)
	return aside, syncDir(current)
}

// switchKey places the signing key. One that is there already stays, and was
// found to be the same, or of an installation without a log.
func (p *Place) switchKey(aside string) error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, db.FileName) {
			continue
		}
		to := filepath.Join(p.target.Dir, name)
		if _, err := os.Lstat(to); err == nil && aside != "" {
			if err := os.Link(to, filepath.Join(aside, name)); err != nil {
				return err
			}
		}
		if err := syncFile(filepath.Join(p.dir, name)); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(p.dir, name), to); err != nil {
			return err
		}
	}
	return syncDir(filepath.Join(p.target.Dir, db.FileName))
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// switchSchemas moves tables between schemas in one transaction.
func (p *Place) switchSchemas(ctx context.Context, now time.Time) (aside string, err error) {
	conn, err := db.Connect(ctx, p.target.URL)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return "", conn.Explain(err)
	}
	defer tx.Rollback()
	var target string
	if err := tx.QueryRowContext(ctx, "select current_schema()").Scan(&target); err != nil {
		return "", conn.Explain(err)
	}
	fresh, err := relations(ctx, tx, p.schema, p.schema)
	if err != nil {
		return "", conn.Explain(err)
	}
	old, err := relations(ctx, tx, target, p.schema)
	if err != nil {
		return "", conn.Explain(err)
	}
	if len(old) > 0 {
		aside = "assent_replaced_" + strings.ReplaceAll(now.UTC().Format("20060102_150405.000"), ".", "_")
		if _, err := tx.ExecContext(ctx, "create schema "+quote(aside)); err != nil {
			return "", conn.Explain(err)
		}
	}
	for _, move := range []struct {
		tables   []string
		from, to string
	}{{old, target, aside}, {fresh, p.schema, target}} {
		for _, table := range move.tables {
			if _, err := tx.ExecContext(ctx, "alter table "+quote(move.from)+"."+quote(table)+" set schema "+quote(move.to)); err != nil {
				return "", conn.Explain(err)
			}
		}
	}
	if _, err := tx.ExecContext(ctx, "drop schema "+quote(p.schema)); err != nil {
		return "", conn.Explain(err)
	}
	return aside, conn.Explain(tx.Commit())
}

// relations lists the tables of a schema, and their partitions, that have the
// name of a table in the restored one: a schema may hold others' tables too.
func relations(ctx context.Context, tx *sql.Tx, schema, restored string) ([]string, error) {
	return db.Strings(tx.QueryContext(ctx, `with ours as (select relname from pg_class where relnamespace = $2::regnamespace and relkind in ('r', 'p'))
		select c.relname from pg_class c left join pg_inherits i on i.inhrelid = c.oid left join pg_class parent on parent.oid = i.inhparent
		where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p')
			and coalesce(parent.relname, c.relname) in (select relname from ours) order by 1`, quote(schema), quote(restored)))
}
