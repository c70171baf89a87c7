package register

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/receipt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// FsckOptions says what to check.
type FsckOptions struct {
	SiteID int64 // 0: every log
	Limit  int   // findings to keep; 1000 when 0. All are counted.
}

// FsckReport says what was checked and what is wrong.
type FsckReport struct {
	Logs     int64     `json:"logs"`
	Records  int64     `json:"records"`
	Tiles    int64     `json:"tiles"`    // hash tiles and entry bundles
	Erased   int64     `json:"erased"`   // records that were erased, as their logs say
	Erasures int64     `json:"erasures"` // leaves that say so
	Problems int64     `json:"problems"`
	Findings []Finding `json:"findings"` // in no order beyond the log's

	// Versions are the notice versions that records name, with the number of
	// their site: what site.Store.Fsck has to find.
	Versions map[string]int64 `json:"-"`
}

// OK tells whether everything is as it was signed.
func (r *FsckReport) OK() bool { return r.Problems == 0 }

// Finding is one thing that is wrong. Index, Level and Tile are -1, and
// RecordID is empty, where they do not apply; entry bundles have level -1 and a
// tile number.
type Finding struct {
	Site     string `json:"site"` // origin of the log
	RecordID string `json:"record_id,omitempty"`
	Index    int64  `json:"index"`
	Level    int64  `json:"level"`
	Tile     int64  `json:"tile"`
	Message  string `json:"message"` // a sentence that names the place
}

// SiteKey is the key of the site whose log it is, "" when it is of none.
func (f Finding) SiteKey() string { return siteOf(f.Site) }

// Fsck reads every log again: each record is held against its commitment, its
// entry bundle and its tile, its columns against its payload, every level of
// tiles is rebuilt, and the root is held against the signed checkpoint.
//
// It may run beside a server that writes. What a log holds at its start is what
// is checked: full tiles never change, and all that still grows is read in one
// snapshot. Memory does not depend on the number of records but for 32 bytes
// for each 256 of them. An error means that it could not be told; what is
// wrong with the register is in the report.
func (r *Register) Fsck(ctx context.Context, o FsckOptions) (*FsckReport, error) {
	if r.writer.keys.get() == nil {
		return nil, errReadOnly
	}
	if o.Limit <= 0 {
		o.Limit = 1000
	}
	query, args := "select site_id from log order by site_id", []any{}
	if o.SiteID != 0 {
		query, args = "select site_id from log where site_id = $1", []any{o.SiteID}
	}
	rows, err := r.db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, r.db.Explain(err)
	}
	var sites []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			rows.Close()
			return nil, r.db.Explain(err)
		}
		sites = append(sites, id)
	}
	if err := rows.Err(); err != nil {
		return nil, r.db.Explain(err)
	}
	report := &FsckReport{Findings: []Finding{}, Versions: map[string]int64{}}
	if o.SiteID == 0 {
		if err := r.orphans(ctx, &check{r: r, report: report, limit: o.Limit}); err != nil {
			return report, r.db.Explain(err)
		}
	}
	checks := make([]*check, 0, len(sites))
	for _, id := range sites {
		c := &check{r: r, report: report, limit: o.Limit, site: id}
		checks = append(checks, c)
		if err := c.log(ctx); err != nil {
			return report, r.db.Explain(err)
		}
		c.versions.Range(func(version, _ any) bool {
			report.Versions[version.(string)] = id
			return true
		})
		c.roots, c.times, c.places, c.rest = nil, nil, nil, nil
	}
	if o.SiteID == 0 {
		return report, r.ids(ctx, report, o.Limit, checks)
	}
	return report, nil
}

// check is the check of one log.
type check struct {
	r      *Register
	limit  int
	site   int64
	origin string
	key    string // site key
	size   int64

	roots []tlog.Hash // of every full chunk of 256 leaves
	rest  []tlog.Hash // leaves after them

	signed receipt.Checkpoint
	vkey   string
	doubt  error // why the checkpoint does not hold

	renamed bool // it has another name now: its signatures are another check's

	quick  bool         // the full chunks are checked elsewhere (see Scrub)
	places []placeTotal // by stretch: sum of placeSum over its records that are in full runs
	times  [][2]int64   // by full chunk: earliest and latest
	ids    idTotal      // of all records
	read   []seen       // quick: records of the last chunk

	versions sync.Map // notice versions that records name

	act int64 // index of the newest erasure at the start

	records atomic.Int64
	tiles   atomic.Int64
	erased  atomic.Int64
	acts    atomic.Int64

	lock   sync.Mutex // of report
	report *FsckReport
}

func (c *check) found(f Finding) {
	c.lock.Lock()
	defer c.lock.Unlock()
	f.Site = c.origin
	if c.report.Problems++; len(c.report.Findings) < c.limit {
		c.report.Findings = append(c.report.Findings, f)
	}
}

func (c *check) foundInLog(format string, args ...any) {
	c.found(Finding{Index: -1, Level: -1, Tile: -1, Message: fmt.Sprintf("The log %s: %s", c.origin, fmt.Sprintf(format, args...))})
}

func (c *check) foundTile(level, n int64, format string, args ...any) {
	what := fmt.Sprintf("tile %d of level %d", n, level)
	if level == bundleLevel {
		what = fmt.Sprintf("entry bundle %d", n)
	}
	c.found(Finding{Index: -1, Level: level, Tile: n, Message: fmt.Sprintf("The log %s, %s: %s", c.origin, what, fmt.Sprintf(format, args...))})
}

func (c *check) foundRecord(index int64, id uuid.UUID, format string, args ...any) {
	c.found(Finding{RecordID: id.String(), Index: index, Level: -1, Tile: -1,
		Message: fmt.Sprintf("The log %s, record %s at index %d: %s", c.origin, id, index, fmt.Sprintf(format, args...))})
}

// queryer is a pool or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (c *check) log(ctx context.Context) error {
	snapshot, err := c.snapshot(ctx)
	if err != nil {
		return err
	}
	defer snapshot.Rollback()
	if possible, err := c.begin(ctx, snapshot); err != nil || !possible {
		return err
	}
	if err := c.full(ctx); err != nil {
		return err
	}
	if err := c.chunk(ctx, snapshot, c.size>>tileHeight); err != nil {
		return err
	}
	if err := c.levels(ctx, snapshot); err != nil {
		return err
	}
	c.report.Records += c.records.Load()
	c.report.Tiles += c.tiles.Load()
	c.report.Erased += c.erased.Load()
	c.report.Erasures += c.acts.Load()
	if err := c.forgotten(ctx, snapshot); err != nil {
		return err
	}
	if err := c.strays(ctx, snapshot); err != nil {
		return err
	}
	if !c.renamed {
		if err := c.continues(ctx, snapshot); err != nil {
			return err
		}
		if err := c.cosigned(ctx, snapshot); err != nil {
			return err
		}
	}
	if !c.quick {
		if err := c.spans(ctx, snapshot, 0, c.size>>runBits); err != nil {
			return err
		}
	}
	return c.signature()
}

// snapshot is what a log holds now, whatever is written meanwhile.
func (c *check) snapshot(ctx context.Context) (*sql.Tx, error) {
	options := &sql.TxOptions{ReadOnly: true}
	if c.r.db.Engine == db.Postgres {
		options.Isolation = sql.LevelRepeatableRead
	}
	return c.r.db.Read().BeginTx(ctx, options)
}

// begin reads the log's row; nothing more can be said when its size is not
// possible.
func (c *check) begin(ctx context.Context, snapshot *sql.Tx) (possible bool, err error) {
	var checkpoint []byte
	if err := snapshot.QueryRowContext(ctx, logQuery, c.site).Scan(&c.origin, &c.size, &checkpoint); err != nil {
		return false, err
	}
	c.key = siteOf(c.origin)
	c.report.Logs++
	if c.signed, c.doubt = c.r.writer.open(ctx, c.origin, checkpoint); c.doubt != nil {
		if !errors.Is(c.doubt, errDamaged) {
			return false, c.doubt
		}
		// Perhaps the key was replaced since the snapshot was taken.
		var now string
		if err := c.r.db.Read().QueryRowContext(ctx, "select origin from log where site_id = $1", c.site).Scan(&now); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return false, err
		}
		c.renamed = now != c.origin
		c.doubt = errors.New(strings.TrimPrefix(c.doubt.Error(), errDamaged.Error()+": "))
	}
	if c.vkey, err = c.r.vkey(c.origin); err != nil {
		return false, err
	}
	if c.size < 0 || c.size > maxIndex+1 {
		c.foundInLog("its size, %d, is impossible.", c.size)
		return false, nil
	}
	c.act, err = c.lastAct(ctx, snapshot)
	return err == nil, err
}

// full checks the chunks that belong to full tiles, on every core.
func (c *check) full(ctx context.Context) error {
	c.allocate()
	if c.quick {
		return c.storedRoots(ctx)
	}
	workers, step := min(runtime.GOMAXPROCS(0), 4), int64(1)
	if c.r.db.Engine == db.Postgres {
		workers, step = workers*2, chunksAtOnce // half of them wait for the server's processes
	}
	full := int64(len(c.roots))
	err := atOnce(workers, (full+step-1)/step, func(i int64) error {
		return c.chunks(ctx, c.r.db.Read(), i*step, min((i+1)*step, full))
	})
	if err != nil {
		return err
	}
	places := int64(len(c.places))
	start, step := int64(0), int64(1)
	if places > placesChecked {
		step = (places + placesChecked - 1) / placesChecked
		start = rand.Int64N(step)
	}
	return atOnce(workers, (places-start+step-1)/step, func(i int64) error { return c.stretch(ctx, start+i*step) })
}

// atOnce calls do with 0 up to count, each worker with a part of them in order,
// until there is an error.
func atOnce(workers int, count int64, do func(n int64) error) error {
	errs := make([]error, workers)
	all := int64(workers)
	var wg sync.WaitGroup
	for w := range all {
		wg.Go(func() {
			for n := w * count / all; n < (w+1)*count/all && errs[w] == nil; n++ {
				errs[w] = do(n)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// row is a record as it is stored.
type row struct {
	index, millis         int64
	record, consent, salt []byte
	payload               string
	bytes                 []byte         // of the payload
	parsed                receipt.Record // used again for each row
}

// slot is entry i of a tile, nil when the tile has none.
func slot(data []byte, i, size int) []byte {
	if len(data) < (i+1)*size {
		return nil
	}
	return data[i*size : (i+1)*size]
}

// merge is the root of a full subtree.
func merge(nodes []tlog.Hash) tlog.Hash {
	level := append([]tlog.Hash(nil), nodes...)
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

// unreadable makes a finding of records that the database cannot give, and
// passes on what is no fault of theirs.
func (c *check) unreadable(ctx context.Context, from, to int64, err error) error {
	if err == nil || ctx.Err() != nil || c.r.db.Engine == db.Postgres {
		return err
	}
	c.foundInLog("the records %d to %d cannot be read: %s", from, to-1, fault.Message(c.r.db.Explain(err)))
	return nil
}

// columns holds a record's columns against its payload.
func (c *check) columns(r *row) {
	id, err := uuid.FromBytes(r.record)
	if err != nil {
		c.foundRecord(r.index, id, "its record ID is not 16 bytes.")
	}
	record := &r.parsed
	if err := record.ParseString(r.payload); err != nil {
		c.foundRecord(r.index, id, "its payload is not a record in canonical form.")
		return
	}
	if record.RecordID != id.String() {
		c.foundRecord(r.index, id, "its record ID is another one than in the payload, %q.", record.RecordID)
	}
	if consent, err := uuid.FromBytes(r.consent); err != nil || record.ConsentID != consent.String() {
		c.foundRecord(r.index, id, "its consent ID is another one than in the payload.")
	}
	var at [32]byte
	if string(time.UnixMilli(r.millis).UTC().AppendFormat(at[:0], receipt.TimeLayout)) != record.Time {
		c.foundRecord(r.index, id, "its time is another one than in the payload, %q.", record.Time)
	}
	if _, known := c.versions.Load(record.Version); !known {
		c.versions.Store(strings.Clone(record.Version), true)
	}
	if record.Site != c.key {
		c.foundRecord(r.index, id, "its payload is of another site, %q.", record.Site)
	}
}

// leaf holds a record against its bundle entry and its leaf in the tile, says
// which of the three is wrong, and returns the leaf that was most likely
// signed, so that one fault is not reported as many.
func (c *check) leaf(r *row, entry, hash []byte) tlog.Hash {
	commitment := receipt.Commit(r.salt, r.bytes)
	if entry == nil || hash == nil { // found already, as a tile
		return tlog.RecordHash(commitment[:])
	}
	computed := tlog.RecordHash(commitment[:])
	stored := tlog.Hash(hash)
	same := string(entry[2:]) == string(commitment[:]) && binary.BigEndian.Uint16(entry) == 32
	id, _ := uuid.FromBytes(r.record)
	n, at := r.index>>tileHeight, r.index%tileWidth
	switch {
	case same && computed == stored:
	case computed == stored:
		c.foundTile(bundleLevel, n, "entry %d is not the commitment to record %s (index %d).", at, id, r.index)
	case same:
		c.foundTile(0, n, "hash %d is not that of record %s (index %d).", at, id, r.index)
		return computed
	case tlog.RecordHash(entry[2:]) == stored:
		c.foundRecord(r.index, id, "its payload or its salt was changed after it was recorded.")
	default:
		c.foundRecord(r.index, id, "the record, its entry in bundle %d and its hash in tile %d of level 0 all differ.", n, n)
	}
	return stored
}

func (c *check) missing(index int64, entry, hash []byte) tlog.Hash {
	c.found(Finding{Index: index, Level: -1, Tile: -1, Message: fmt.Sprintf("The log %s: the record at index %d is missing.", c.origin, index)})
	switch {
	case hash != nil:
		return tlog.Hash(hash)
	case entry != nil:
		return tlog.RecordHash(entry[2:])
	}
	return tlog.Hash{}
}

// stored reads a tile that has to be there with a certain width. A full chunk
// is read after the snapshot was taken, and cannot be wider than full.
func (c *check) stored(ctx context.Context, q queryer, level, n int64, want int) ([]byte, error) {
	var data []byte
	err := q.QueryRowContext(ctx, tileQuery, c.site, level, n).Scan(&data)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	c.width(level, n, data, want)
	return data, nil
}

func (c *check) width(level, n int64, data []byte, want int) {
	if data == nil {
		c.foundTile(level, n, "it is missing.")
		return
	}
	c.tiles.Add(1)
	if len(data) != want {
		c.foundTile(level, n, "it has %d bytes and must have %d.", len(data), want)
	}
}

// levels rebuilds the tiles above level 0 from the roots of the full chunks.
func (c *check) levels(ctx context.Context, q queryer) error {
	nodes := c.roots
	for level := int64(1); len(nodes) > 0; level++ {
		var above []tlog.Hash
		for n := int64(0); n<<tileHeight < int64(len(nodes)); n++ {
			part := nodes[n<<tileHeight : min(int64(len(nodes)), (n+1)<<tileHeight)]
			data, err := c.stored(ctx, q, level, n, len(part)*tlog.HashSize)
			if err != nil {
				return err
			}
			for i, h := range part {
				if got := slot(data, i, tlog.HashSize); got != nil && tlog.Hash(got) != h {
					c.foundTile(level, n, "hash %d is not that of the tile below.", i)
				}
			}
			if len(part) == tileWidth {
				above = append(above, merge(part))
			}
		}
		nodes = above
	}
	return nil
}

// signature holds the tree against the signed checkpoint.
func (c *check) signature() error {
	if c.renamed {
		return nil
	}
	if c.doubt != nil {
		c.foundInLog("its checkpoint does not hold: %s.", c.doubt)
		return nil
	}
	if c.signed.Origin != c.origin || c.signed.Size != c.size {
		c.foundInLog("its row says %d records, its checkpoint says %d of %s.", c.size, c.signed.Size, c.signed.Origin)
		return nil
	}
	root, err := tlog.TreeHash(c.size, tlog.HashReaderFunc(c.hashes))
	if err != nil {
		return err
	}
	if root != c.signed.Root {
		c.foundInLog("its records and tiles hash to the root %s, but %s was signed.", root, tlog.Hash(c.signed.Root))
	}
	return nil
}

// hashes gives tlog the full subtrees that make up the tree.
func (c *check) hashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if level >= tileHeight {
			up := level - tileHeight
			list[i] = merge(c.roots[n<<up : (n+1)<<up])
			continue
		}
		from := n<<level - c.size>>tileHeight<<tileHeight
		list[i] = merge(c.rest[from : from+1<<level])
	}
	return list, nil
}
