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
	storedSelect  = "select place, record_id, time, consent_id, payload "
	storedColumns = storedSelect + "from record "
)

var errNoRecord = fault.New(fault.NotFound, "There is no record with this ID.")

// Find returns the record with an ID, or fault.NotFound, or fault.Gone when it
// was erased.
func (r *Register) Find(ctx context.Context, recordID uuid.UUID) (Stored, error) {
	s, err := scanStored(r.db.Read().QueryRowContext(ctx, storedColumns+"where record_id = $1", recordID[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return Stored{}, r.gone(ctx, recordID)
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
	Size      int64     // of the log, where it was just read; 0: it is asked for
}

// Search returns the matching records, newest first.
func (r *Register) Search(ctx context.Context, q Query) ([]Stored, error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	if q.Before <= 0 {
		q.Before = math.MaxInt64
	}
	c, first, last, err := r.span(ctx, q.SiteID, q.From, q.To)
	if err != nil || last < first {
		return nil, err
	}
	start, _ := allOf(q.SiteID)
	last = min(last, start+min(q.Before, maxIndex+1)-1)
	var query string
	if q.ConsentID != uuid.Nil {
		if q.Size == 0 {
			err := r.db.Read().QueryRowContext(ctx, "select size from log where site_id = $1", q.SiteID).Scan(&q.Size)
			if errors.Is(err, sql.ErrNoRows) {
				return nil, nil
			}
			if err != nil {
				return nil, r.db.Explain(err)
			}
		}
		query = c.byConsent(q.SiteID, q.Size, q.ConsentID, first, last)
	} else {
		c.add("place >= $%d", first)
		c.add("place <= $%d", last)
		query = storedColumns + c.where()
	}
	c.args = append(c.args, min(q.Limit, 1000))
	rows, err := r.db.Read().QueryContext(ctx, query+fmt.Sprintf(" order by place desc limit $%d", len(c.args)), c.args...)
	return r.listed(rows, err, nil)
}

// listed adds the records of a query of storedColumns to a list.
func (r *Register) listed(rows *sql.Rows, err error, list []Stored) ([]Stored, error) {
	if err != nil {
		return nil, r.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		s, err := scanStored(rows)
		if err != nil {
			return nil, r.db.Explain(err)
		}
		list = append(list, s)
	}
	return list, r.db.Explain(rows.Err())
}

// conditions are joined by "and".
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
// its stretches, and those after them, from the place entered on, by looking. Each
// half has one bound that its engine can begin with: SQLite takes the first of two
// lower bounds, and reads the whole register where that is the lower one.
func (c *conditions) byConsent(site, size int64, id uuid.UUID, first, last int64) string {
	entered := placeOf(site, size>>runBits<<runBits)
	c.add("consent_id = $%d", id[:])
	when := strings.Join(c.list, " and ")
	c.args = append(c.args, site, id[:prefixSize], size>>stretchBits, min(entered-1, last), first, max(entered, first), last)
	n := len(c.args)
	columns := strings.TrimPrefix(storedSelect, "select ")
	return fmt.Sprintf(`with recursive stretch (n) as (
			select cast($%[1]d as bigint) union all select n - 1 from stretch where n > 0
		), placed (known) as (
			select (p.site_id << %[8]d) + p.idx from stretch cross join consent_place p
			where p.site_id = $%[2]d and p.stretch = n and p.prefix = $%[3]d
		) select %[9]s from placed cross join record where place = known and known <= $%[4]d and known >= $%[5]d and %[10]s
		union all select %[9]s from record where place >= $%[6]d and place <= $%[7]d and %[10]s`,
		n-4, n-6, n-5, n-3, n-2, n-1, n, indexBits, columns, when)
}

// span finds the places of a site in a span of time, last before first when nothing
// is in it, and the conditions on the time. The spans of the full runs tell in which of them to look, so
// that a day is found without reading the whole register.
func (r *Register) span(ctx context.Context, siteID int64, from, to time.Time) (c *conditions, first, last int64, err error) {
	c = new(conditions)
	first, last = allOf(siteID)
	if !from.IsZero() || !to.IsZero() {
		earliest, latest := int64(math.MinInt64), int64(math.MaxInt64)
		if !from.IsZero() {
			earliest = ceilMilli(from)
			c.add("time >= $%d", earliest)
		}
		if !to.IsZero() {
			latest = ceilMilli(to) - 1
			c.add("time <= $%d", latest)
		}
		if first, last, err = r.within(ctx, siteID, earliest, latest); err != nil || last < first {
			return c, 0, -1, r.db.Explain(err)
		}
	}
	return c, first, last, nil
}

// conditions restrict to a site and a span of time; found is false when nothing is
// in the span.
func (r *Register) conditions(ctx context.Context, siteID int64, from, to time.Time) (c *conditions, found bool, err error) {
	c, first, last, err := r.span(ctx, siteID, from, to)
	if err != nil || last < first {
		return nil, false, err
	}
	c.add("place >= $%d", first)
	c.add("place <= $%d", last)
	return c, true, nil
}

// within is the first and the last place that a record of a span of time, in
// Unix milliseconds, can have: the bounds of the runs that overlap it and of the
// very records after the last full run. Where there is none, last is before
// first. Runs are read after the records, because records go into runs.
func (r *Register) within(ctx context.Context, siteID, earliest, latest int64) (first, last int64, err error) {
	var entered int64
	var runs, places [2]sql.NullInt64
	read := r.db.Read()
	_, end := allOf(siteID)
	if err := read.QueryRowContext(ctx, "select coalesce(max(run) + 1, 0) from span where site_id = $1", siteID).Scan(&entered); err != nil {
		return 0, 0, err
	}
	err = read.QueryRowContext(ctx, "select min(place), max(place) from record where place >= $1 and place <= $2 and time >= $3 and time <= $4",
		placeOf(siteID, entered<<runBits), end, earliest, latest).Scan(&places[0], &places[1])
	if err != nil {
		return 0, 0, err
	}
	err = read.QueryRowContext(ctx, "select min(run), max(run) from span where site_id = $1 and latest >= $2 and earliest <= $3",
		siteID, earliest, latest).Scan(&runs[0], &runs[1])
	if err != nil {
		return 0, 0, err
	}
	first, last = end, -1
	if places[0].Valid {
		first, last = places[0].Int64, places[1].Int64
	}
	if runs[0].Valid {
		first = min(first, placeOf(siteID, runs[0].Int64<<runBits))
		last = max(last, placeOf(siteID, (runs[1].Int64+1)<<runBits-1))
	}
	return first, last, nil
}

// ceilMilli is the first millisecond that is not before t.
func ceilMilli(t time.Time) int64 { return t.Add(time.Millisecond - time.Nanosecond).UnixMilli() }

// Counts says what the entries of a log are.
type Counts struct {
	Decisions int64 // records that are there
	Erased    int64 // records that were erased
	Acts      int64 // statements about erasures
}

// Counts counts the entries of a site's log: together they are its size.
func (r *Register) Counts(ctx context.Context, siteID int64) (c Counts, err error) {
	var size int64
	err = r.db.Read().QueryRowContext(ctx, `select size, (select count(*) from erasure e where e.site_id = l.site_id),
		(select coalesce(sum(count), 0) from erasure e where e.site_id = l.site_id) from log l where l.site_id = $1`, siteID).Scan(&size, &c.Acts, &c.Erased)
	if errors.Is(err, sql.ErrNoRows) {
		return c, fault.New(fault.NotFound, "There is no register for this site. Check the site key.")
	}
	c.Decisions = size - c.Acts - c.Erased
	return c, r.db.Explain(err)
}

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
	return r.opened(ctx, s, err)
}

// opened checks the state that was read, or says why there is none.
func (r *Register) opened(ctx context.Context, s LogState, err error) (LogState, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return LogState{}, fault.New(fault.NotFound, "There is no register for this site. Check the site key.")
	}
	if err != nil {
		return LogState{}, r.db.Explain(err)
	}
	if r.writer.keys.get() == nil {
		return LogState{}, errReadOnly
	}
	c, err := r.writer.open(ctx, s.Origin, s.Checkpoint)
	if err != nil && !errors.Is(err, errDamaged) {
		return LogState{}, err
	}
	if err == nil {
		s.Key, err = r.vkey(s.Origin)
	}
	if err != nil || c.Size != s.Size || c.Origin != s.Origin {
		return LogState{}, fault.Wrap(fault.Unavailable, errors.Join(errDamaged, err), "The checkpoint of this register was changed. The operator runs assent fsck, which says what is wrong.")
	}
	s.Root = c.Root
	return s, nil
}

// vkey is the verifier key of the log with this origin.
func (r *Register) vkey(origin string) (string, error) {
	key := r.writer.keys.get()
	if key == nil {
		return "", errReadOnly
	}
	return verifierKey(origin, key)
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
	data, err := r.tile(ctx, siteID, level, n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, r.db.Explain(err)
	}
	if err != nil || width < 0 || width > tileWidth || len(data) < width*each {
		return nil, fault.New(fault.NotFound, "This log has no such tile, or it is not that wide yet.")
	}
	return data[:width*each], nil
}

// tile reads a tile as wide as it is, or sql.ErrNoRows. What is not stored may
// be in the log's tail, and what has left that meanwhile is stored.
func (r *Register) tile(ctx context.Context, siteID, level, n int64) (data []byte, err error) {
	for range 2 {
		err = r.db.Read().QueryRowContext(ctx, tileQuery, siteID, level, n).Scan(&data)
		if !errors.Is(err, sql.ErrNoRows) || level > 0 {
			return data, err
		}
		rows, err := r.db.Read().QueryContext(ctx, tailQuery, siteID)
		if err != nil {
			return nil, err
		}
		tail, err := joinTail(rows, n<<tileHeight)
		switch {
		case err != nil:
			return nil, err
		case len(tail) > 0 && level == 0:
			return hashesOf(tail), nil
		case len(tail) > 0:
			return bundleOf(tail), nil
		}
	}
	return nil, err
}

// tiles reads a log's hashes below a size, several tiles at once.
func (r *Register) tiles(ctx context.Context, siteID, size int64) tileReader {
	return tileReader{
		Size: size,
		Read: func(level, n int64) ([]byte, error) { return r.tile(ctx, siteID, level, n) },
		Ahead: func(tiles [][2]int64) (map[[2]int64][]byte, error) {
			found := map[[2]int64][]byte{}
			args := []any{siteID}
			list := make([]string, len(tiles))
			for i, t := range tiles {
				args = append(args, t[0], t[1])
				// The site in each of them: else SQLite reads all tiles of the site.
				list[i] = fmt.Sprintf("site_id = $1 and level = $%d and n = $%d", len(args)-1, len(args))
			}
			rows, err := r.db.Read().QueryContext(ctx, "select level, n, data from tile where "+strings.Join(list, " or "), args...)
			if err != nil {
				return nil, err
			}
			defer rows.Close()
			for rows.Next() {
				var id [2]int64
				var data []byte
				if err := rows.Scan(&id[0], &id[1], &data); err != nil {
					return nil, err
				}
				found[id] = data
			}
			return found, rows.Err()
		},
	}
}

// Receipt returns the receipt of a record as JSON, or fault.NotFound, or fault.Gone: against the
// newest checkpoint that witnesses cosigned, if the record is in it, else
// against the newest one. See the package receipt for its form.
func (r *Register) Receipt(ctx context.Context, recordID uuid.UUID) ([]byte, error) {
	p, err := r.Proof(ctx, recordID)
	return p.Receipt, err
}

// Proof is a record with its receipt and the state of its log.
type Proof struct {
	Stored  Stored // whole also where no receipt could be made
	Receipt []byte // JSON
	Log     LogState
}

// Proof finds a record and makes its receipt. When the error is about the receipt
// only, Stored is filled all the same.
func (r *Register) Proof(ctx context.Context, recordID uuid.UUID) (p Proof, err error) {
	var out receipt.Receipt
	// The record is read before the log and the log before its tiles: each only
	// grows, so what is read later covers what was read before.
	p.Stored, err = scanStored(r.db.Read().QueryRowContext(ctx, storedSelect+", salt from record where record_id = $1", recordID[:]), &out.Salt)
	if errors.Is(err, sql.ErrNoRows) {
		return p, r.gone(ctx, recordID)
	}
	if err != nil {
		return p, r.db.Explain(err)
	}
	siteID := p.Stored.SiteID
	out.Index, out.Record = p.Stored.Index, p.Stored.Payload
	var cosigned Cosigned
	var found bool
	if p.Log, cosigned, found, err = r.stateCosigned(ctx, siteID); err != nil {
		return p, err
	}
	out.Key, out.Checkpoint = p.Log.Key, p.Log.Checkpoint
	size := p.Log.Size
	if found && cosigned.Size > out.Index && cosigned.Size <= size {
		size, out.Checkpoint, out.Witnesses = cosigned.Size, cosigned.Checkpoint, cosigned.Witnesses
	}
	tiles := r.tiles(ctx, siteID, size)
	if out.Proof, err = tlog.ProveRecord(size, out.Index, &tiles); err != nil {
		return p, r.unproved(err)
	}
	p.Receipt = out.Marshal()
	return p, nil
}

// siteOf is the site key that an origin names.
func siteOf(origin string) string {
	if at := strings.LastIndex(origin, "/log/"); at >= 0 {
		return origin[at+len("/log/"):]
	}
	return ""
}
