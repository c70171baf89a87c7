package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// Kind is a column's type in the one dialect.
type Kind string

// The kinds.
const (
	Int   Kind = "int" // bigint, Unix milliseconds too
	Text  Kind = "text"
	Bytes Kind = "bytes" // bytea, blob
	Bool  Kind = "bool"
)

// Column is a column of a table.
type Column struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
}

// Table is a table as both engines know it.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"` // in the order of their names
	Key     []string `json:"key"`     // columns of the primary key, in its order
}

// Has tells whether the table has a column.
func (t *Table) Has(column string) bool {
	return slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == column })
}

// Snapshot begins a transaction that sees one state of the whole database,
// whatever is written meanwhile. It takes no lock that a writer waits for.
func (d *DB) Snapshot(ctx context.Context) (*sql.Tx, error) {
	options := &sql.TxOptions{ReadOnly: true}
	if d.Engine == Postgres {
		options.Isolation = sql.LevelRepeatableRead
	}
	tx, err := d.read.BeginTx(ctx, options)
	if err != nil {
		return nil, d.Explain(err)
	}
	// The first reading takes the snapshot; on PostgreSQL it also takes off a time
	// limit that a long reading would run into.
	first := "select count(*) from schema_migration"
	if d.Engine == Postgres {
		first = "select set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)"
	}
	rows, err := tx.QueryContext(ctx, first)
	if err == nil {
		for rows.Next() {
		}
		rows.Close()
		err = rows.Err()
	}
	if err != nil {
		tx.Rollback()
		return nil, d.Explain(err)
	}
	return tx, nil
}

// SchemaAt is the number of the newest migration that was applied, 0 for none.
func (d *DB) SchemaAt(ctx context.Context) (int, error) { return d.schemaAt(ctx) }

// Tables describes the tables of the database, those that others refer to
// first. A partitioned table is one table.
func (d *DB) Tables(ctx context.Context, tx *sql.Tx) ([]Table, error) {
	names, err := list(ctx, tx, d.pick(
		"select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name",
		`select relname from pg_class where relnamespace = current_schema()::regnamespace
			and relkind in ('r', 'p') and not relispartition order by relname`))
	if err != nil {
		return nil, d.Explain(err)
	}
	tables := make(map[string]Table, len(names))
	needs := make(map[string][]string, len(names))
	for _, name := range names {
		t := Table{Name: name}
		if t.Columns, t.Key, err = d.columns(ctx, tx, name); err != nil {
			return nil, err
		}
		slices.SortFunc(t.Columns, func(a, b Column) int { return strings.Compare(a.Name, b.Name) })
		tables[name] = t
		needs[name], err = list(ctx, tx, d.pick(
			`select distinct "table" from pragma_foreign_key_list($1) order by 1`,
			`select distinct f.relname from pg_constraint c join pg_class f on f.oid = c.confrelid
				where c.contype = 'f' and c.conrelid = (quote_ident(current_schema()) || '.' || quote_ident($1))::regclass order by 1`), name)
		if err != nil {
			return nil, d.Explain(err)
		}
	}
	var sorted []Table
	done := make(map[string]bool, len(names))
	var visit func(name string)
	visit = func(name string) {
		if t, there := tables[name]; there && !done[name] {
			done[name] = true
			for _, other := range needs[name] {
				visit(other)
			}
			sorted = append(sorted, t)
		}
	}
	for _, name := range names {
		visit(name)
	}
	return sorted, nil
}

func (d *DB) pick(sqlite, postgres string) string {
	if d.Engine == Postgres {
		return postgres
	}
	return sqlite
}

// kinds are the types that migrations use, as the engines name them. "int" and none at
// all are those of a copy that somebody made with "create table … as" on SQLite.
var kinds = map[string]Kind{
	"bigint": Int, "integer": Int, "smallint": Int, "int": Int, "": Bytes, "text": Text, "character varying": Text,
	"blob": Bytes, "bytea": Bytes, "boolean": Bool,
}

func (d *DB) columns(ctx context.Context, tx *sql.Tx, table string) (columns []Column, key []string, err error) {
	rows, err := tx.QueryContext(ctx, d.pick(
		"select name, lower(type) from pragma_table_info($1)",
		`select attname, format_type(atttypid, null) from pg_attribute
			where attrelid = (quote_ident(current_schema()) || '.' || quote_ident($1))::regclass and attnum > 0 and not attisdropped`), table)
	if err != nil {
		return nil, nil, d.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, declared string
		if err := rows.Scan(&name, &declared); err != nil {
			return nil, nil, d.Explain(err)
		}
		kind, known := kinds[declared]
		if !known {
			return nil, nil, fmt.Errorf("database: the column %s.%s has the type %q, which is in no dialect of ours", table, name, declared)
		}
		columns = append(columns, Column{name, kind})
	}
	if err := rows.Err(); err != nil {
		return nil, nil, d.Explain(err)
	}
	key, err = list(ctx, tx, d.pick(
		"select name from pragma_table_info($1) where pk > 0 order by pk",
		`select a.attname from pg_index i cross join lateral unnest(i.indkey::int2[]) with ordinality as k(number, position)
			join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
			where i.indisprimary and i.indrelid = (quote_ident(current_schema()) || '.' || quote_ident($1))::regclass order by k.position`), table)
	return columns, key, d.Explain(err)
}

func list(ctx context.Context, tx *sql.Tx, query string, args ...any) (names []string, err error) {
	return Strings(tx.QueryContext(ctx, query, args...))
}

// Strings reads the one column of what a query returned, and closes it.
func Strings(rows *sql.Rows, err error) (list []string, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}
