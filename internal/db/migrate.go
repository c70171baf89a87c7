package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"assent/internal/fault"
)

// Migrations are forward only. NNNN_name.sql serves both engines; where the DDL
// must differ, NNNN_name.sqlite.sql stands beside NNNN_name.postgres.sql.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

type migration struct {
	number int
	name   string
	script string
	// compatible is the oldest binary, by the newest schema it knows, that can work
	// with the database after this migration: what its first line says,
	// "-- compatible with N", else number.
	compatible int
}

// compatibleSince is the migration that made the column compatible_with.
const compatibleSince = 12

// testMigration is set by -ldflags -X in a test that runs two builds side by
// side: number, a line break, and a script.
var testMigration string

func newMigration(number int, name, script string) migration {
	m := migration{number: number, name: name, script: script, compatible: number}
	if first, _, _ := strings.Cut(script, "\n"); strings.HasPrefix(first, compatibleMark) {
		if n, err := strconv.Atoi(strings.TrimSpace(first[len(compatibleMark):])); err == nil && n < number {
			m.compatible = n
		}
	}
	return m
}

const compatibleMark = "-- compatible with "

func migrationsFor(engine Engine) ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	var list []migration
	for _, file := range names {
		base := strings.TrimSuffix(strings.TrimPrefix(file, "migrations/"), ".sql")
		base, only, special := strings.Cut(base, ".")
		if special && Engine(only) != engine {
			continue
		}
		digits, name, _ := strings.Cut(base, "_")
		number, err := strconv.Atoi(digits)
		if err != nil {
			return nil, fmt.Errorf("migration %s: its name does not start with a number", file)
		}
		script, err := migrationFiles.ReadFile(file)
		if err != nil {
			return nil, err
		}
		list = append(list, newMigration(number, name, string(script)))
	}
	if digits, script, ok := strings.Cut(testMigration, "\n"); ok {
		number, err := strconv.Atoi(digits)
		if err != nil {
			return nil, err
		}
		list = append(list, newMigration(number, "test", script))
	}
	return list, nil
}

// SchemaNumber is the newest schema that this binary knows.
func SchemaNumber(engine Engine) int {
	list, err := migrationsFor(engine)
	if err != nil || len(list) == 0 {
		panic(fmt.Sprintf("db: embedded migrations: %v", err))
	}
	return list[len(list)-1].number
}

// prepareSchema refuses a database that is newer than the binary and applies
// what is missing, each migration in a transaction of its own.
func (d *DB) prepareSchema(ctx context.Context, o Options) error {
	list, err := migrationsFor(d.Engine)
	if err != nil {
		return err
	}
	newest := list[len(list)-1].number
	if o.Schema > 0 && o.Schema < newest {
		list = slices.DeleteFunc(list, func(m migration) bool { return m.number > o.Schema })
	}
	at, err := d.schemaAt(ctx)
	if err != nil {
		return err
	}
	if at >= newest {
		return d.compatible(ctx, at, newest)
	}
	if at > 0 && o.ReadOnly && o.AnyOlder {
		return nil
	}
	if at == 0 && (o.Existing || o.ReadOnly) {
		return fault.New(fault.Invalid, "There is no Assent database there yet. Check --data or --database; assent serve and assent migrate make one.")
	}
	if o.ReadOnly {
		return fault.New(fault.Unavailable, "This database has an older schema (%d; this binary wants %d). Run assent migrate first.", at, newest)
	}
	return d.apply(ctx, list)
}

// Compatible tells whether this binary can work with the schema that the database
// has now: it may have been upgraded by a newer one meanwhile. Then it is a fault
// that says so.
func (d *DB) Compatible(ctx context.Context) error {
	at, err := d.schemaAt(ctx)
	if err != nil {
		return err
	}
	return d.compatible(ctx, at, SchemaNumber(d.Engine))
}

// compatible asks the migrations that this binary does not know.
func (d *DB) compatible(ctx context.Context, at, newest int) error {
	if at <= newest {
		return nil
	}
	var oldest int
	if err := d.read.QueryRowContext(ctx, "select max(compatible_with) from schema_migration where number > $1", newest).Scan(&oldest); err != nil {
		return d.Explain(err)
	}
	if oldest > newest {
		return fault.New(fault.Unavailable, "This database was last used by a newer Assent (schema %d; this binary knows %d). Install the newer binary, or restore a backup from before the upgrade.", at, newest)
	}
	return nil
}

func (d *DB) apply(ctx context.Context, list []migration) error {
	if _, err := d.write.ExecContext(ctx, "create table if not exists schema_migration (number bigint primary key, name text not null, applied_at bigint not null)"); err != nil {
		return d.Explain(err)
	}
	for _, m := range list {
		err := d.Write(ctx, func(tx *sql.Tx) error {
			if d.Engine == Postgres { // one process migrates, the others wait here
				if _, err := tx.ExecContext(ctx, "lock table schema_migration in exclusive mode"); err != nil {
					return err
				}
			}
			var done int
			if err := tx.QueryRowContext(ctx, "select count(*) from schema_migration where number = $1", m.number).Scan(&done); err != nil || done == 1 {
				return err
			}
			for _, statement := range statements(m.script) {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return fmt.Errorf("migration %04d_%s: %w", m.number, m.name, err)
				}
			}
			_, err := tx.ExecContext(ctx, "insert into schema_migration (number, name, applied_at) values ($1, $2, $3)", m.number, m.name, time.Now().UnixMilli())
			if err == nil && m.number >= compatibleSince {
				_, err = tx.ExecContext(ctx, "update schema_migration set compatible_with = $1 where number = $2", m.compatible, m.number)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// statements splits a script at semicolons that end a line; our migrations hold
// no procedure bodies.
func statements(script string) []string {
	var list []string
	for s := range strings.SplitSeq(script, ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// schemaAt is the number of the newest migration applied, 0 for a new database.
func (d *DB) schemaAt(ctx context.Context) (int, error) {
	exists := "select count(*) from sqlite_master where type = 'table' and name = 'schema_migration'"
	if d.Engine == Postgres {
		exists = "select count(*) from information_schema.tables where table_name = 'schema_migration' and table_schema = current_schema()"
	}
	var n int
	if err := d.read.QueryRowContext(ctx, exists).Scan(&n); err != nil {
		return 0, d.Explain(err)
	}
	if n == 0 {
		return 0, nil
	}
	var at sql.NullInt64
	err := d.read.QueryRowContext(ctx, "select max(number) from schema_migration").Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return int(at.Int64), d.Explain(err)
}

// Schema is the database's schema as text, sorted, for the golden file that
// people read (internal/db/testdata/schema.*.sql).
func (d *DB) Schema(ctx context.Context) (string, error) {
	query := "select sql from sqlite_master where sql is not null and name not like 'sqlite_%' order by tbl_name, type desc, name"
	if d.Engine == Postgres {
		query = `select table_name || '.' || column_name || ' ' || data_type || case is_nullable when 'NO' then ' not null' else '' end
			from information_schema.columns where table_schema = current_schema()
			union all select indexdef from pg_indexes where schemaname = current_schema() order by 1`
	}
	rows, err := d.read.QueryContext(ctx, query)
	if err != nil {
		return "", d.Explain(err)
	}
	defer rows.Close()
	var text strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return "", d.Explain(err)
		}
		text.WriteString(line + "\n")
	}
	return text.String(), d.Explain(rows.Err())
}
