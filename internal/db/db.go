// Package db opens the database, SQLite or PostgreSQL, brings its schema up to
// date and turns what a driver says into sentences that tell what to do.
//
// One SQL dialect serves both: $1 parameters, IDs made in Go, bigint Unix
// milliseconds, text JSON that SQL never looks into, ON CONFLICT upserts.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"assent/internal/fault"
)

// Engine is the kind of database.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Options says where the database is. Exactly one of Dir and URL is set.
type Options struct {
	Dir string // data directory of the embedded SQLite database; made when missing
	URL string // postgres://user:password@host/name

	// ReadOnly opens an existing database for programs that only look: nothing is
	// created and nothing is migrated.
	ReadOnly bool
	// Existing refuses to make a database: a command that looks for what is there
	// must not answer from an empty one because of a mistyped directory.
	Existing bool

	// Schema, when it is not 0, is the number of the migration to stop at, for what
	// was written by an older binary. With ReadOnly, AnyOlder takes an older schema
	// as it is: a backup is wanted most before an upgrade.
	Schema   int
	AnyOlder bool
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	Engine  Engine
	read    *sql.DB
	write   *sql.DB // SQLite: exactly one connection; PostgreSQL: the same pool as read
	path    string  // SQLite file, for messages
	address string  // of PostgreSQL; it may hold a password

	failure failure
	changed func(ctx context.Context, tx *sql.Tx, list []Change) error // writes the audit log; nil: nobody does
}

// Open opens the database and migrates it to this binary's schema. Failures are
// faults with a sentence for the operator.
func Open(ctx context.Context, o Options) (*DB, error) {
	var d *DB
	var err error
	switch {
	case o.Dir != "" && o.URL != "":
		return nil, fault.New(fault.Invalid, "Give either --data DIR (SQLite) or --database URL (PostgreSQL), not both.")
	case o.URL != "":
		d, err = openPostgres(ctx, o)
	case o.Dir != "":
		d, err = openSQLite(ctx, o)
	default:
		return nil, fault.New(fault.Invalid, "Say where the data is: --data DIR (SQLite) or --database postgres://… (PostgreSQL).")
	}
	if err != nil {
		return nil, err
	}
	if err := d.prepareSchema(ctx, o); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Read is the pool for reading. On SQLite it refuses writes.
func (d *DB) Read() *sql.DB { return d.read }

// Writer is the pool for writing, for preparing statements that Write's
// transactions use through tx.Stmt. On SQLite it has exactly one connection.
func (d *DB) Writer() *sql.DB { return d.write }

// Write runs fn in one write transaction and commits it. When Write returns nil
// the change is on disk. Errors are explained (see Explain) unless fn returned a
// fault of its own. On SQLite transactions queue for the one writer.
func (d *DB) Write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	if err := d.FailedWith(); err != nil {
		return err
	}
	tx, err := d.write.BeginTx(ctx, nil)
	return d.finish(tx, err, fn)
}

// finish runs fn in a transaction that was begun, or was not.
func (d *DB) finish(tx *sql.Tx, begun error, fn func(tx *sql.Tx) error) (err error) {
	if begun != nil {
		return d.Explain(begun)
	}
	defer func() {
		if p := recover(); p != nil {
			tx.Rollback()
			panic(p)
		}
		if err != nil {
			tx.Rollback()
			err = d.Explain(err)
		}
	}()
	if err = fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// Ping tells whether the database answers.
func (d *DB) Ping(ctx context.Context) error {
	var one int
	return d.Explain(d.read.QueryRowContext(ctx, "select 1").Scan(&one))
}

// Close closes both pools; SQLite checkpoints its write-ahead log.
func (d *DB) Close() error {
	err := d.read.Close()
	if d.write != d.read {
		err = errors.Join(err, d.write.Close())
	}
	return err
}

// Setting returns a stored setting, or "" when it was never set.
func (d *DB) Setting(ctx context.Context, name string) (string, error) {
	var v string
	err := d.read.QueryRowContext(ctx, "select value from setting where name = $1", name).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, d.Explain(err)
}

// PutSetting stores the setting $1, for who has no *sql.Tx.
const PutSetting = "insert into setting (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value"

// SetSetting stores a setting in the caller's transaction.
func SetSetting(ctx context.Context, tx *sql.Tx, name, value string) error {
	_, err := tx.ExecContext(ctx, PutSetting, name, value)
	return err
}

// FirstSetting stores value unless the setting exists, and returns what is
// stored then: the way to agree on one value between processes.
func (d *DB) FirstSetting(ctx context.Context, name, value string) (stored string, err error) {
	err = d.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `insert into setting (name, value) values ($1, $2)
			on conflict (name) do nothing`, name, value); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "select value from setting where name = $1", name).Scan(&stored)
	})
	return stored, err
}

// Explain gives a driver's error the sentence that an operator needs, as a
// fault of kind Unavailable. Faults, nil, and sql.ErrNoRows pass unchanged.
func (d *DB) Explain(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) || fault.KindOf(err) != fault.Internal {
		return err
	}
	d.notice(err)
	var sentence string
	if d.Engine == SQLite {
		sentence = explainSQLite(err, d.path)
	} else {
		sentence = explainPostgres(err)
	}
	if sentence == "" {
		return fmt.Errorf("database: %w", err)
	}
	return fault.Wrap(fault.Unavailable, err, "%s", sentence)
}
