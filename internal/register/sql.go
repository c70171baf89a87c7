package register

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"assent/internal/db"

	"github.com/google/uuid"
)

// statements is the SQL of the writer. On SQLite each statement is prepared
// once, for the one connection that writes; pgx does that by itself.
type statements struct {
	db       *db.DB
	prepared map[string]*sql.Stmt
}

const (
	logQuery  = "select origin, size, checkpoint from log where site_id = $1"
	tileQuery = "select data from tile where site_id = $1 and level = $2 and n = $3"
	putTile   = `insert into tile (site_id, level, n, data) values ($1, $2, $3, $4)
		on conflict (site_id, level, n) do update set data = excluded.data`
	// rows affected: 0 when another process grew or renamed the log since it was
	// read. The checkpoint holds the origin, the size and the root.
	swapLog = "update log set size = $1, checkpoint = $2 where site_id = $3 and size = $4 and checkpoint = $5"

	tailQuery = "select idx, data from tail where site_id = $1 order by idx"
	putTail   = "insert into tail (site_id, idx, data) values ($1, $2, $3)"
	dropTail  = "delete from tail where site_id = $1 and idx < $2"

	// Consent IDs and spans of time are entered a run at a time, when it is full.
	// The number is indexBits set.
	enterRun = `insert into consent_place (site_id, stretch, prefix, idx)
		select place >> 40, (place & 1099511627775) >> 16, substr(consent_id, 1, 4), place & 1099511627775 from record
		where place >= $1 and place < $2 order by 2, 3, 4`
	enterSpan = `insert into span (site_id, run, earliest, latest)
		select $3, $4, coalesce(min(time), 0), coalesce(max(time), 0) from record where place >= $1 and place < $2`

	repeatColumns = storedColumns + "where record_id "
	recordColumns = "into record (place, time, record_id, consent_id, salt, payload) "
	insertColumns = "insert " + recordColumns
	insertOnce    = " on conflict (record_id) do nothing"
	// On SQLite "or ignore" says more than "on conflict": no row can make the
	// statement fail half-way, so no copies of pages are kept to undo it with.
	insertOrIgnore = "insert or ignore " + recordColumns

	// A whole batch of one log. Records, tiles and tail hang on the swap: where it
	// finds another checkpoint, nothing at all is written. The rows affected are
	// the records'.
	statePart1 = `with swapped as (
			update log set size = $1, checkpoint = $2 where site_id = $3 and size = $4 and checkpoint = $5
				and not exists (select 1 from erased where mark = any($18::bytea[])) returning site_id
		), tiles as (
			insert into tile (site_id, level, n, data)
			select site_id, t.* from swapped, unnest($6::bigint[], $7::bigint[], $8::bytea[]) as t
			on conflict (site_id, level, n) do update set data = excluded.data
		)`
	// Scanning for dead rows costs, so it is done only when a bundle became full.
	statePart2 = `, dropped as (
			delete from tail using swapped where tail.site_id = swapped.site_id and idx < $9
		)`
	statePart3 = `, added as (
			insert into tail (site_id, idx, data) select site_id, $10::bigint, $11::bytea from swapped where length($11::bytea) > 0
		) ` + insertColumns + `select r.* from swapped, unnest($12::bigint[], $13::bigint[],
			$14::bytea[], $15::bytea[], $16::bytea[], $17::text[]) as r where $9::bigint >= 0`

	stateDropping, stateKeeping = statePart1 + statePart2 + statePart3, statePart1 + statePart3
)

// indexBits is how much of a record's place is its index in the log of its
// site; the site's number stands above them. So a site's records lie together,
// in their order, and need no index for it.
const indexBits = 40

// maxIndex is the last index that a log can have.
const maxIndex = 1<<indexBits - 1

func placeOf(site, index int64) int64 { return site<<indexBits | index }

// allOf are the first and the last place of a site.
func allOf(site int64) (first, last int64) { return placeOf(site, 0), placeOf(site, maxIndex) }

// The largest statements on SQLite that look for or insert several records;
// every power of two below is there too.
const widest = 64

// Shape of consent_place: a run is entered at once, and a search by consent ID
// looks into each stretch, and through the records that are in no run yet.
const (
	runBits     = 10
	stretchBits = 16
	prefixSize  = 4
)

// stateQuery stores a batch of one log.
func stateQuery(dropping bool) string {
	if dropping {
		return stateDropping
	}
	return stateKeeping
}

func statementsFor(d *db.DB) statements { return statements{db: d} }

func (s *statements) prepare(ctx context.Context) error {
	if s.db.Engine != db.SQLite || s.prepared != nil {
		return nil
	}
	list := []string{logQuery, tileQuery, putTile, swapLog, tailQuery, putTail, dropTail, enterRun, enterSpan, removeRange, unplaceOne, narrowSpan, anyErased}
	for n := 1; n <= widest; n *= 2 {
		list = append(list, repeatsQuery(n), insertQuery(n), erasedQuery(n))
	}
	prepared := make(map[string]*sql.Stmt, len(list))
	for _, query := range list {
		stmt, err := s.db.Writer().PrepareContext(ctx, query)
		if err != nil {
			for _, stmt := range prepared {
				stmt.Close()
			}
			return err
		}
		prepared[query] = stmt
	}
	s.prepared = prepared
	return nil
}

func (s *statements) close() {
	for _, stmt := range s.prepared {
		stmt.Close()
	}
	s.prepared = nil
}

func (s *statements) exec(ctx context.Context, tx *sql.Tx, query string, args ...any) (sql.Result, error) {
	if stmt := s.prepared[query]; stmt != nil {
		return tx.StmtContext(ctx, stmt).ExecContext(ctx, args...)
	}
	return tx.ExecContext(ctx, query, args...)
}

func (s *statements) query(ctx context.Context, tx *sql.Tx, query string, args ...any) (*sql.Rows, error) {
	if stmt := s.prepared[query]; stmt != nil {
		return tx.StmtContext(ctx, stmt).QueryContext(ctx, args...)
	}
	return tx.QueryContext(ctx, query, args...)
}

// one reads the one row of a query, or sql.ErrNoRows.
func (s *statements) one(ctx context.Context, tx *sql.Tx, query string, args []any, dest ...any) error {
	rows, err := s.query(ctx, tx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	if err := rows.Scan(dest...); err != nil {
		return err
	}
	return rows.Close()
}

func (s *statements) log(ctx context.Context, tx *sql.Tx, siteID int64) (*openLog, error) {
	query := logQuery
	if s.db.Engine == db.Postgres {
		// Another process waits here instead of failing at the swap.
		if _, err := tx.ExecContext(ctx, turnQuery, turnClass, []int64{siteID}); err != nil {
			return nil, err
		}
		query += " for update"
	}
	l := &openLog{siteID: siteID}
	return l, s.one(ctx, tx, query, []any{siteID}, &l.origin, &l.size, &l.checkpoint)
}

func (s *statements) tile(ctx context.Context, tx *sql.Tx, siteID, level, n int64) (data []byte, err error) {
	return data, s.one(ctx, tx, tileQuery, []any{siteID, level, n}, &data)
}

func (s *statements) swapLog(ctx context.Context, tx *sql.Tx, g grown) error {
	result, err := s.exec(ctx, tx, swapLog, g.log.edge.Size, g.checkpoint, g.log.siteID, g.log.size, g.log.checkpoint)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("%w (%d rows, %v)", errMoved, n, err)
	}
	return nil
}

// enter adds the consent IDs and spans of time of the runs that the log filled.
func (s *statements) enter(ctx context.Context, tx *sql.Tx, g grown) error {
	from, to := g.runs()
	if from == to {
		return nil
	}
	from, to = placeOf(g.log.siteID, from), placeOf(g.log.siteID, to)
	if _, err := s.exec(ctx, tx, enterRun, from, to); err != nil {
		return err
	}
	for ; from < to; from += 1 << runBits {
		if _, err := s.exec(ctx, tx, enterSpan, from, from+1<<runBits, g.log.siteID, from&maxIndex>>runBits); err != nil {
			return err
		}
	}
	return nil
}

// putTail adds the commitments that are in no full bundle to those that wait for
// one, and drops those that have one now.
func (s *statements) putTail(ctx context.Context, tx *sql.Tx, g grown) error {
	if g.tailFrom > g.log.size {
		if _, err := s.exec(ctx, tx, dropTail, g.log.siteID, g.tailFrom); err != nil {
			return err
		}
	}
	if len(g.tail) == 0 {
		return nil
	}
	_, err := s.exec(ctx, tx, putTail, g.log.siteID, g.tailFrom, g.tail)
	return err
}

// tail reads the commitments that no full bundle holds yet: those of the
// records from an index on, up to the log's size.
func (s *statements) tail(ctx context.Context, tx *sql.Tx, siteID, from int64) ([]byte, error) {
	rows, err := s.query(ctx, tx, tailQuery, siteID)
	if err != nil {
		return nil, err
	}
	return joinTail(rows, from)
}

// joinTail joins the rows of tailQuery, as far as they go on from an index.
func joinTail(rows *sql.Rows, from int64) (tail []byte, err error) {
	defer rows.Close()
	for rows.Next() {
		var index int64
		var data []byte
		if err := rows.Scan(&index, &data); err != nil {
			return nil, err
		}
		if index == from+int64(len(tail)/commitmentSize) {
			tail = append(tail, data...)
		}
	}
	return tail, rows.Err()
}

func (s *statements) putTiles(ctx context.Context, tx *sql.Tx, siteID int64, tiles []tile) error {
	if s.db.Engine == db.Postgres {
		levels, numbers, data := tileArrays(tiles)
		_, err := tx.ExecContext(ctx, `insert into tile (site_id, level, n, data)
			select $1, * from unnest($2::bigint[], $3::bigint[], $4::bytea[])
			on conflict (site_id, level, n) do update set data = excluded.data`, siteID, levels, numbers, data)
		return err
	}
	for _, t := range tiles {
		if _, err := s.exec(ctx, tx, putTile, siteID, t.Level, t.N, t.Data); err != nil {
			return err
		}
	}
	return nil
}

func tileArrays(tiles []tile) (levels, numbers []int64, data [][]byte) {
	for _, t := range tiles {
		levels, numbers, data = append(levels, t.Level), append(numbers, t.N), append(data, t.Data)
	}
	return levels, numbers, data
}

// repeats finds the records whose IDs are stored already; nil when there are
// none, which is nearly always.
func (s *statements) repeats(ctx context.Context, tx *sql.Tx, calls []*call) (map[uuid.UUID]Stored, error) {
	var found map[uuid.UUID]Stored
	if s.db.Engine == db.Postgres {
		ids := make([][]byte, len(calls))
		for i, c := range calls {
			ids[i] = c.entry.RecordID[:]
		}
		rows, err := tx.QueryContext(ctx, repeatColumns+"= any($1)", ids)
		if err != nil {
			return nil, err
		}
		return collect(rows, found)
	}
	args := make([]any, 0, widest)
	for len(calls) > 0 {
		n := chunk(len(calls))
		args = args[:0]
		for _, c := range calls[:n] {
			args = append(args, c.entry.RecordID[:])
		}
		rows, err := s.query(ctx, tx, repeatsQuery(n), args...)
		if err != nil {
			return nil, err
		}
		if found, err = collect(rows, found); err != nil {
			return nil, err
		}
		calls = calls[n:]
	}
	return found, nil
}

func collect(rows *sql.Rows, found map[uuid.UUID]Stored) (map[uuid.UUID]Stored, error) {
	defer rows.Close()
	for rows.Next() {
		s, err := scanStored(rows)
		if err != nil {
			return nil, err
		}
		if found == nil {
			found = make(map[uuid.UUID]Stored)
		}
		found[s.RecordID] = s
	}
	return found, rows.Err()
}

// scanStored reads the columns of storedSelect.
func scanStored(row interface{ Scan(...any) error }, more ...any) (s Stored, err error) {
	var place, millis int64
	var recordID, consentID []byte
	if err := row.Scan(append([]any{&place, &recordID, &millis, &consentID, &s.Payload}, more...)...); err != nil {
		return Stored{}, err
	}
	s.SiteID, s.Index = place>>indexBits, place&maxIndex
	copy(s.RecordID[:], recordID)
	copy(s.ConsentID[:], consentID)
	s.Time = time.UnixMilli(millis).UTC()
	return s, nil
}

// insert leaves out the records whose IDs are stored, and returns how many it
// stored.
func (s *statements) insert(ctx context.Context, tx *sql.Tx, calls []*call) (count int64, err error) {
	if s.db.Engine == db.Postgres {
		return insertArrays(ctx, tx, calls)
	}
	args := make([]any, 0, 6*widest)
	for len(calls) > 0 {
		n := chunk(len(calls))
		args = args[:0]
		for _, c := range calls[:n] {
			args = append(args, placeOf(c.entry.SiteID, c.index), c.millis, c.entry.RecordID[:], c.entry.ConsentID[:], c.salt[:], string(c.entry.Payload))
		}
		result, err := s.exec(ctx, tx, insertQuery(n), args...)
		if err != nil {
			return 0, err
		}
		affected, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		count += affected
		calls = calls[n:]
	}
	return count, nil
}

// insertArrays sends all rows in one statement with one plan.
func insertArrays(ctx context.Context, tx *sql.Tx, calls []*call) (int64, error) {
	calls = byRecordID(calls)
	r := recordArrays(calls)
	result, err := tx.ExecContext(ctx, insertColumns+`select * from unnest($1::bigint[], $2::bigint[],
		$3::bytea[], $4::bytea[], $5::bytea[], $6::text[])`+insertOnce, r.places, r.times, r.records, r.consents, r.salts, r.payloads)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// arrays are records, column by column.
type arrays struct {
	places, times            []int64
	records, consents, salts [][]byte
	payloads                 []string
}

func recordArrays(calls []*call) arrays {
	n := len(calls)
	a := arrays{make([]int64, n), make([]int64, n), make([][]byte, n), make([][]byte, n), make([][]byte, n), make([]string, n)}
	for i, c := range calls {
		a.places[i], a.times[i] = placeOf(c.entry.SiteID, c.index), c.millis
		a.records[i], a.consents[i], a.salts[i] = c.entry.RecordID[:], c.entry.ConsentID[:], c.salt[:]
		a.payloads[i] = string(c.entry.Payload)
	}
	return a
}

// chunk is the largest prepared statement for n rows.
func chunk(n int) int {
	width := widest
	for width > n {
		width /= 2
	}
	return width
}

// Plain question marks here: the driver looks each $1 up by its name.
var repeatsQueries, insertQueries = func() (repeats, inserts map[int]string) {
	repeats, inserts = map[int]string{}, map[int]string{}
	for n := 1; n <= widest; n *= 2 {
		ids, rows := strings.Repeat(", ?", n)[2:], strings.Repeat(", (?, ?, ?, ?, ?, ?)", n)[2:]
		repeats[n] = repeatColumns + "in (" + ids + ")"
		inserts[n] = insertOrIgnore + "values " + rows
	}
	return repeats, inserts
}()

func repeatsQuery(n int) string { return repeatsQueries[n] }
func insertQuery(n int) string  { return insertQueries[n] }
