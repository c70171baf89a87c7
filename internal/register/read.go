package register

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/receipt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	storedSelect  = "select record_id, site_id, idx, time, consent_id, payload "
	storedColumns = storedSelect + "from record "
)

var errNoRecord = fault.New(fault.NotFound, "There is no record with this ID.")

// Find returns the record with an ID, or fault.NotFound.
func (r *Register) Find(ctx context.Context, recordID uuid.UUID) (Stored, error) {
	s, err := scanStored(r.db.Read().QueryRowContext(ctx, storedColumns+"where record_id = $1", recordID[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return Stored{}, errNoRecord
	}
	return s, r.db.Explain(err)
}

// Query selects records of one site. A zero field does not restrict.
type Query struct {
	SiteID    int64 // required
	ConsentID uuid.UUID
	From      time.Time // first instant
	To        time.Time // first instant after
	Before    int64     // only records with a smaller index: the last one of the page before
	Limit     int       // 1 to 1000; 50 when 0
}

// Search returns the matching records, newest first.
func (r *Register) Search(ctx context.Context, q Query) ([]Stored, error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	if q.Before <= 0 {
		q.Before = math.MaxInt64
	}
	c, found, err := r.conditions(ctx, q.SiteID, q.From, q.To)
	if err != nil || !found {
		return nil, err
	}
	c.add("idx < $%d", q.Before)
	query := storedColumns + c.where()
	if q.ConsentID != uuid.Nil {
		query = c.byConsent(q.ConsentID)
	}
	c.args = append(c.args, min(q.Limit, 1000))
	rows, err := r.db.Read().QueryContext(ctx, query+fmt.Sprintf(" order by idx desc limit $%d", len(c.args)), c.args...)
	if err != nil {
		return nil, r.db.Explain(err)
	}
	defer rows.Close()
	var list []Stored
	for rows.Next() {
		s, err := scanStored(rows)
		if err != nil {
			return nil, r.db.Explain(err)
		}
		list = append(list, s)
	}
	return list, r.db.Explain(rows.Err())
}

// conditions are joined by "and"; the first one is the site, $1.
type conditions struct {
	list []string
	args []any
}

func (c *conditions) add(format string, arg any) {
	c.args = append(c.args, arg)
	c.list = append(c.list, fmt.Sprintf(format, len(c.args)))
}

func (c *conditions) where() string { return "where " + strings.Join(c.list, " and ") }

// byConsent selects the records of a visitor: those that consent_place knows, by
// its stretches, and those after them by looking.
func (c *conditions) byConsent(id uuid.UUID) string {
	c.add("consent_id = $%d", id[:])
	each := storedColumns + c.where()
	c.args = append(c.args, id[:prefixSize])
	return fmt.Sprintf(`with recursive stretch (n) as (
			select size >> %[1]d from log where site_id = $1 union all select n - 1 from stretch where n > 0
		) %[2]s and idx in (
			select place.idx from stretch cross join consent_place place
			where place.site_id = $1 and place.stretch = n and place.prefix = $%[3]d and place.idx < (select size >> %[4]d << %[4]d from log where site_id = $1)
		) union all %[2]s and idx >= (select size >> %[4]d << %[4]d from log where site_id = $1)`, stretchBits, each, len(c.args), runBits)
}

// conditions restrict to a site and a span of time; found is false when nothing
// is in the span. The first and last index of the span come from the index on
// time, so that a day is found without reading the whole register.
func (r *Register) conditions(ctx context.Context, siteID int64, from, to time.Time) (c *conditions, found bool, err error) {
	c = new(conditions)
	c.add("site_id = $%d", siteID)
	if from.IsZero() && to.IsZero() {
		return c, true, nil
	}
	if !from.IsZero() {
		c.add("time >= $%d", ceilMilli(from))
	}
	if !to.IsZero() {
		c.add("time < $%d", ceilMilli(to))
	}
	var first, last sql.NullInt64
	err = r.db.Read().QueryRowContext(ctx, "select min(idx), max(idx) from record "+c.where(), c.args...).Scan(&first, &last)
	if err != nil || !first.Valid {
		return nil, false, r.db.Explain(err)
	}
	c.add("idx >= $%d", first.Int64)
	c.add("idx <= $%d", last.Int64)
	return c, true, nil
}

// ceilMilli is the first millisecond that is not before t.
func ceilMilli(t time.Time) int64 { return t.Add(time.Millisecond - time.Nanosecond).UnixMilli() }

// LogState is a site's log as it was last signed.
type LogState struct {
	Origin     string
	Size       int64 // records
	Root       [32]byte
	Checkpoint []byte // signed note (C2SP tlog-checkpoint)
	Key        string // note verifier key that belongs to the checkpoint
}

// State returns the newest state of a site's log, or fault.NotFound.
func (r *Register) State(ctx context.Context, siteID int64) (LogState, error) {
	var s LogState
	err := r.db.Read().QueryRowContext(ctx, logQuery, siteID).Scan(&s.Origin, &s.Size, &s.Checkpoint)
	if errors.Is(err, sql.ErrNoRows) {
		return LogState{}, fault.New(fault.NotFound, "There is no register for this site. Check the site key.")
	}
	if err != nil {
		return LogState{}, r.db.Explain(err)
	}
	if s.Key, err = r.vkey(s.Origin); err != nil {
		return LogState{}, err
	}
	c, err := receipt.OpenCheckpoint(s.Checkpoint, s.Key)
	if err != nil || c.Size != s.Size || c.Origin != s.Origin {
		return LogState{}, fault.Wrap(fault.Unavailable, errors.Join(errDamaged, err), "The checkpoint of this register was changed. The operator runs assent fsck, which says what is wrong.")
	}
	s.Root = c.Root
	return s, nil
}

// vkey is the verifier key of the log with this origin.
func (r *Register) vkey(origin string) (string, error) {
	if r.writer.key == nil {
		return "", errReadOnly
	}
	return verifierKey(origin, r.writer.key)
}

// Tile returns the first width entries of a tile of the site's log, or all 256
// of a full one when width is 0 or 256. Level -1 is an entry bundle, 0 and up
// are hash tiles (C2SP tlog-tiles). A tile that does not have so many entries
// yet is fault.NotFound.
func (r *Register) Tile(ctx context.Context, siteID int64, level, n int64, width int) ([]byte, error) {
	if width == 0 {
		width = tileWidth
	}
	each := tlog.HashSize
	if level == bundleLevel {
		each = entrySize
	}
	var data []byte
	err := r.db.Read().QueryRowContext(ctx, tileQuery, siteID, level, n).Scan(&data)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, r.db.Explain(err)
	}
	if err != nil || width < 0 || width > tileWidth || len(data) < width*each {
		return nil, fault.New(fault.NotFound, "This log has no such tile, or it is not that wide yet.")
	}
	return data[:width*each], nil
}

// Receipt returns the receipt of a record as JSON, against the newest
// checkpoint, or fault.NotFound. See the package receipt for its form.
func (r *Register) Receipt(ctx context.Context, recordID uuid.UUID) ([]byte, error) {
	var siteID int64
	var out receipt.Receipt
	// The record is read before the log and the log before its tiles: each only
	// grows, so what is read later covers what was read before.
	err := r.db.Read().QueryRowContext(ctx, "select site_id, idx, salt, payload from record where record_id = $1", recordID[:]).
		Scan(&siteID, &out.Index, &out.Salt, &out.Record)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNoRecord
	}
	if err != nil {
		return nil, r.db.Explain(err)
	}
	state, err := r.State(ctx, siteID)
	if err != nil {
		return nil, err
	}
	out.Key, out.Checkpoint = state.Key, state.Checkpoint
	tiles := tileReader{size: state.Size, read: func(level, n int64) (data []byte, err error) {
		return data, r.db.Read().QueryRowContext(ctx, tileQuery, siteID, level, n).Scan(&data)
	}}
	out.Proof, err = tlog.ProveRecord(state.Size, out.Index, &tiles)
	if err != nil {
		if explained := r.db.Explain(err); fault.KindOf(explained) != fault.Internal {
			return nil, explained
		}
		return nil, fault.Wrap(fault.Unavailable, err, "The register of this site is damaged, so this record cannot be proved. The operator runs assent fsck, which says what is wrong.")
	}
	return out.Marshal(), nil
}

// tileReader reads a log's hashes from its stored tiles, each once.
type tileReader struct {
	size  int64
	read  func(level, n int64) ([]byte, error)
	known map[[2]int64][]byte
}

func (t *tileReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	if t.known == nil {
		t.known = make(map[[2]int64][]byte)
	}
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		at := tlog.TileForIndex(tileHeight, index)
		id := [2]int64{int64(at.L), at.N}
		data, ok := t.known[id]
		if !ok {
			var err error
			if data, err = t.read(id[0], id[1]); err != nil {
				return nil, fmt.Errorf("tile %d of level %d: %w", at.N, at.L, err)
			}
			t.known[id] = data
		}
		h, err := tlog.HashFromTile(at, data, index)
		if err != nil {
			return nil, err
		}
		hashes[i] = h
	}
	return hashes, nil
}

// siteOf is the site key that an origin names.
func siteOf(origin string) string {
	if at := strings.LastIndex(origin, "/log/"); at >= 0 {
		return origin[at+len("/log/"):]
	}
	return ""
}
