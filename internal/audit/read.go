package audit

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/tilelog"
	"assent/receipt"

	"golang.org/x/mod/sumdb/tlog"
)

// Entry is an entry as it is read.
type Entry struct {
	receipt.AuditEntry
	Index int64     `json:"index"`
	At    time.Time `json:"-"`
}

// Query selects entries of one organisation's log. A zero field does not restrict.
type Query struct {
	Organisation string
	Actor        string    // a kind, or a kind and an ID: "person 0190…"; an ID alone is a member's or a token's
	Action       string    // one, or a group that ends with a dot: "site."
	Site         string    // site key
	From, To     time.Time // first instant, and first after
	Before       int64     // index of the last one of the page before; 0: from the newest
	Limit        int       // 1 to 1000; 50 when 0
}

// where is the SQL that selects the entries that are there.
func (q Query) where() (string, []any) {
	text, args := "organisation_id = $1 and entry <> ''", []any{q.Organisation}
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(args)), 1)
		}
		text += " and " + condition
	}
	switch {
	case q.Actor == "":
	case len(q.Actor) == 36: // a UUID
		add("actor in (?, ?, ?)", string(db.Person)+" "+q.Actor, string(db.Support)+" "+q.Actor, string(db.Token)+" "+q.Actor)
	default:
		add("(actor = ? or actor like ?)", q.Actor, q.Actor+" %")
	}
	switch {
	case strings.HasSuffix(q.Action, "."):
		add("action like ?", q.Action+"%")
	case q.Action != "":
		add("action = ?", q.Action)
	}
	if q.Site != "" {
		add("site = ?", q.Site)
	}
	if !q.From.IsZero() {
		add("time >= ?", q.From.UnixMilli())
	}
	if !q.To.IsZero() {
		add("time < ?", q.To.UnixMilli())
	}
	if q.Before > 0 {
		add("idx < ?", q.Before)
	}
	return text, args
}

// Search returns the matching entries, newest first.
func (s *Store) Search(ctx context.Context, q Query) ([]Entry, error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	where, args := q.where()
	args = append(args, min(q.Limit, 1000))
	rows, err := s.db.Read().QueryContext(ctx, "select idx, time, entry from audit_entry where "+where+" order by idx desc limit $"+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, s.db.Explain(err)
	}
	defer rows.Close()
	var list []Entry
	for rows.Next() {
		var e Entry
		var at int64
		var text string
		if err := rows.Scan(&e.Index, &at, &text); err != nil {
			return nil, s.db.Explain(err)
		}
		entry, err := receipt.ParseAuditEntry([]byte(text))
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, err, "Entry %d of the audit log was changed. The operator runs assent fsck, which says what is wrong.", e.Index)
		}
		e.AuditEntry, e.At = *entry, time.UnixMilli(at).UTC()
		list = append(list, e)
	}
	return list, s.db.Explain(rows.Err())
}

// Newest are the newest entries of all logs, newest first.
func (s *Store) Newest(ctx context.Context, limit int) (list []Entry, err error) {
	organisations, err := db.Strings(s.db.Read().QueryContext(ctx, "select organisation_id from audit_log order by 1"))
	if err != nil {
		return nil, s.db.Explain(err)
	}
	for _, organisation := range organisations {
		some, err := s.Search(ctx, Query{Organisation: organisation, Limit: limit})
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	slices.SortStableFunc(list, func(a, b Entry) int { return b.At.Compare(a.At) })
	return list[:min(limit, len(list))], nil
}

// State is what there is to know of an organisation's log.
type State struct {
	Origin  string    `json:"origin"`
	Key     string    `json:"key"` // verifier key
	Size    int64     `json:"size"`
	Root    tlog.Hash `json:"root"`
	Days    int64     `json:"days"` // how long entries are kept
	Signed  []byte    `json:"-"`    // checkpoint
	Nothing bool      `json:"-"`    // there is no entry yet
}

// State reads the head of a log, and checks its signature.
func (s *Store) State(ctx context.Context, organisation string) (State, error) {
	return s.state(ctx, s.db.Read(), organisation)
}

func (s *Store) state(ctx context.Context, q reader, organisation string) (st State, err error) {
	var checkpoint string
	err = q.QueryRowContext(ctx, "select origin, size, checkpoint, days from audit_log where organisation_id = $1", organisation).Scan(&st.Origin, &st.Size, &checkpoint, &st.Days)
	if errors.Is(err, sql.ErrNoRows) || err == nil && checkpoint == "" {
		return State{Days: max(st.Days, DefaultDays), Nothing: true}, nil
	}
	if err != nil {
		return st, s.db.Explain(err)
	}
	st.Signed = []byte(checkpoint)
	signed, vkey, err := s.c.OpenHead(ctx, st.Origin, st.Signed)
	if err != nil || signed.Size != st.Size {
		return st, damaged(st.Origin, errors.Join(tilelog.ErrDamaged, err))
	}
	st.Key, st.Root = vkey, signed.Root
	return st, nil
}

// The formats of an export.
const (
	NDJSON = "ndjson" // a file that assent verify checks: see receipt.AuditHead
	CSV    = "csv"
)

// Export writes the matching entries, oldest first, and returns their number. who gives
// an actor the name that people read, for CSV; it may be nil. Errors: fault.Invalid for
// another format, fault.NotFound when no entry matches.
func (s *Store) Export(ctx context.Context, w io.Writer, q Query, format string, who func(Entry) string) (int64, error) {
	if format != NDJSON && format != CSV {
		return 0, fault.New(fault.Invalid, "There is no format %q. Use ndjson, which can be verified, or csv.", format)
	}
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	where, args := q.where()
	var first, last sql.NullInt64
	var n int64
	if err := tx.QueryRowContext(ctx, "select min(idx), max(idx), count(*) from audit_entry where "+where, args...).Scan(&first, &last, &n); err != nil {
		return 0, s.db.Explain(err)
	}
	if n == 0 {
		return 0, fault.New(fault.NotFound, "No entry matches. Choose fewer conditions, or a longer time.")
	}
	if format == CSV {
		return n, s.db.Explain(writeCSV(ctx, tx, w, where, args, who))
	}
	return n, s.db.Explain(s.writeFile(ctx, tx, w, q.Organisation, &receipt.AuditHead{First: first.Int64, Leaves: last.Int64 - first.Int64 + 1, Entries: n}, where, args))
}

// writeFile writes a file for assent verify. What does not match is there as its
// commitment alone, which tells nothing.
func (s *Store) writeFile(ctx context.Context, tx *sql.Tx, w io.Writer, organisation string, head *receipt.AuditHead, where string, args []any) error {
	st, err := s.state(ctx, tx, organisation)
	if err != nil {
		return err
	}
	head.Checkpoint, head.Key, head.Organisation, head.Type = string(st.Signed), st.Key, organisation, receipt.AuditFileType
	head.Created = s.c.Now().UTC().Format(time.RFC3339)
	tiles := tilelog.Reader{Size: st.Size, Read: func(level, n int64) ([]byte, error) { return anyTile(ctx, tx, organisation, st.Size, level, n) }}
	last := head.First + head.Leaves
	subtrees := func(lo, hi int64) ([]tlog.Hash, error) {
		var indexes []int64
		for _, at := range receipt.Subtrees(lo, hi) {
			indexes = append(indexes, tlog.StoredHashIndex(int(at[0]), at[1]))
		}
		hashes, err := tiles.ReadHashes(indexes)
		if err != nil {
			return nil, damaged(st.Origin, err)
		}
		return hashes, nil
	}
	if head.Left, err = subtrees(0, head.First); err != nil {
		return err
	}
	if head.Right, err = subtrees(last, st.Size); err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	if _, err := out.Write(head.Line()); err != nil {
		return err
	}
	args = append(args, head.First, last)
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("select idx, commitment, salt, entry, case when %s then 1 else 0 end from audit_entry where organisation_id = $1 and idx >= $%d and idx < $%d order by idx", where, len(args)-1, len(args)), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var line []byte
	for rows.Next() {
		var index, shown int64
		var commitment, salt, entry string
		if err := rows.Scan(&index, &commitment, &salt, &entry, &shown); err != nil {
			return err
		}
		raw, err := hex.DecodeString(commitment)
		if err != nil {
			return damaged(st.Origin, err)
		}
		secret, err := hex.DecodeString(salt)
		if err != nil {
			return damaged(st.Origin, err)
		}
		if shown == 0 {
			entry = ""
		}
		line = receipt.AppendAuditLine(line[:0], index, []byte(entry), secret, raw)
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return out.Flush()
}

// writeCSV writes a line for each change of a field, and one for an entry without any.
func writeCSV(ctx context.Context, tx *sql.Tx, w io.Writer, where string, args []any, who func(Entry) string) error {
	rows, err := tx.QueryContext(ctx, "select idx, entry from audit_entry where "+where+" order by idx", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	out := csv.NewWriter(w)
	line := func(cells ...string) {
		for i := range cells {
			if cells[i] != "" && strings.ContainsRune("=+-@\t\r", rune(cells[i][0])) {
				cells[i] = "'" + cells[i] // no formula for a spreadsheet
			}
		}
		out.Write(cells) //nolint:errcheck // told by Error below
	}
	line("index", "time", "actor", "actor_id", "who", "action", "site", "target", "detail", "field", "before", "after")
	for rows.Next() {
		var e Entry
		var text string
		if err := rows.Scan(&e.Index, &text); err != nil {
			return err
		}
		entry, err := receipt.ParseAuditEntry([]byte(text))
		if err != nil {
			return err
		}
		e.AuditEntry = *entry
		name := ""
		if who != nil {
			name = who(e)
		}
		var detail []string
		for _, k := range sortedKeys(e.Detail) {
			detail = append(detail, k+": "+e.Detail[k])
		}
		if len(e.Changes) == 0 {
			e.Changes = []receipt.AuditChange{{}}
		}
		for _, c := range e.Changes {
			line(strconv.FormatInt(e.Index, 10), e.Time, e.Actor, e.ActorID, name, e.Action, e.Site, e.Target, strings.Join(detail, "; "), c.Field, c.Before, c.After)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}
