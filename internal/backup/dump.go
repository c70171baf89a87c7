package backup

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"assent/internal/db"
)

// Source is what a backup is made of.
type Source struct {
	DB           *db.DB
	Key          []byte // the signing key, PEM
	KeySetting   string // the setting that may hold it too, and is left out
	Installation string // see Header
	Assent       string // version of the binary

	LedgerSettings []string // that belong to the ledger
}

// keptOut are the tables that no backup holds, each with the reason.
var keptOut = map[string]string{
	"schema_migration": "the migrations make it",
	"session":          "who is signed in; people sign in again",
	"visitor_salt":     "lets visitors of the day be guessed",
	"visitor_seen":     "which visitors of the day were counted",
	"setup_link":       "links that let somebody in, valid for hours",
}

// ledgerTables are what a ledger holds: which records were erased, which sites,
// organisations and accounts, and how far each log had come; of the settings only
// LedgerSettings. None of it is about a
// person.
var ledgerTables = []string{"setting", "log", "predecessor", "erasure", "erased", "forgotten", "forgotten_file"}

// InstallationOf names an installation by the public key that signs its logs.
func InstallationOf(public []byte) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:])
}

// Write writes an archive of one state of the database to w, beside whatever
// else reads and writes there. Memory does not depend on the number of rows.
// Expires is zero for never.
func Write(ctx context.Context, w io.Writer, s Source, content string, expires time.Time) (Header, Totals, error) {
	tx, err := s.DB.Snapshot(ctx)
	if err != nil {
		return Header{}, Totals{}, err
	}
	defer tx.Rollback()
	tables, err := s.DB.Tables(ctx, tx)
	if err != nil {
		return Header{}, Totals{}, err
	}
	h := Header{Content: content, Created: time.Now().UTC().Truncate(time.Second), Expires: expires.UTC().Truncate(time.Second),
		Installation: s.Installation, Engine: s.DB.Engine, Assent: s.Assent}
	if expires.IsZero() {
		h.Expires = time.Time{}
	}
	if err := tx.QueryRowContext(ctx, "select max(number) from schema_migration").Scan(&h.Schema); err != nil {
		return h, Totals{}, s.DB.Explain(err)
	}
	a, err := NewWriter(w, h)
	if err != nil {
		return h, Totals{}, err
	}
	if content == Whole {
		if err := a.Key(s.Key); err != nil {
			return h, Totals{}, err
		}
	}
	for _, t := range tables {
		if _, out := keptOut[t.Name]; out || content == Ledger && !slices.Contains(ledgerTables, t.Name) {
			continue
		}
		if err := writeTable(ctx, a, s, tx, t, content); err != nil {
			return h, Totals{}, err
		}
	}
	totals, err := a.Close()
	return h, totals, err
}

func writeTable(ctx context.Context, a *Writer, s Source, tx *sql.Tx, t db.Table, content string) error {
	if err := a.Table(t); err != nil {
		return err
	}
	query := "select " + names(columnNames(t)) + " from " + quote(t.Name)
	var args []any
	switch {
	case t.Name == "setting" && content == Ledger:
		query += " where false"
		for i, name := range s.LedgerSettings {
			query, args = query+fmt.Sprintf(" or name = $%d", i+1), append(args, name)
		}
	case t.Name == "setting":
		query, args = query+" where name <> $1", []any{s.KeySetting}
	}
	if len(t.Key) > 0 {
		query += " order by " + names(t.Key)
	}
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return s.DB.Explain(err)
	}
	defer rows.Close()
	values := make([]any, len(t.Columns))
	targets := make([]any, len(t.Columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return s.DB.Explain(err)
		}
		if err := a.Row(values); err != nil {
			return err
		}
	}
	return s.DB.Explain(rows.Err())
}

// quote makes an identifier of a table's or a column's name.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func names(list []string) string {
	quoted := make([]string, len(list))
	for i, name := range list {
		quoted[i] = quote(name)
	}
	return strings.Join(quoted, ", ")
}

func columnNames(t db.Table) []string {
	list := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		list[i] = c.Name
	}
	return list
}

// Pipe is an archive that is made while it is read. The caller closes it.
func Pipe(ctx context.Context, s Source, content string) (*Reader, func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	in, out := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, err := Write(ctx, out, s, content, time.Time{})
		out.CloseWithError(err)
	}()
	stop := func() { cancel(); in.Close(); <-done }
	r, err := NewReader(in)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return r, stop, nil
}
