package register

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"

	"assent/internal/db"
	"assent/receipt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// tail reads the entries of the chunk that is not full. Their leaves are stored
// nowhere, so the signed root tells whether those of the entries or those of the
// records are the right ones.
func (c *check) tail(ctx context.Context, q queryer, n int64, width int) (bundle, hashes []byte, err error) {
	rows, err := q.QueryContext(ctx, tailQuery, c.site)
	if err != nil {
		return nil, nil, err
	}
	entries, err := joinTail(rows, n<<tileHeight)
	if err != nil {
		return nil, nil, err
	}
	if len(entries) > 0 {
		bundle, hashes = bundleOf(entries), hashesOf(entries)
	}
	c.width(bundleLevel, n, bundle, width*entrySize)
	if c.signs(hashes, width) {
		return bundle, hashes, nil
	}
	var computed []byte
	err = c.rows(ctx, q, n<<tileHeight, n<<tileHeight+int64(width), func(r *row) {
		commitment := receipt.Commit(r.salt, r.bytes)
		computed = append(computed, hashesOf(commitment[:])...)
	})
	if err == nil && c.signs(computed, width) {
		hashes = computed
	}
	return bundle, hashes, err
}

// signs tells whether the signed tree ends with these leaves.
func (c *check) signs(hashes []byte, width int) bool {
	if c.doubt != nil || c.signed.Size != c.size || len(hashes) != width*tlog.HashSize {
		return false
	}
	c.rest = make([]tlog.Hash, width)
	for i := range c.rest {
		c.rest[i] = tlog.Hash(slot(hashes, i, tlog.HashSize))
	}
	root, err := tlog.TreeHash(c.size, tlog.HashReaderFunc(c.hashes))
	return err == nil && root == c.signed.Root
}

// placeTotal is a sum of placeSum that several workers add to.
type placeTotal = atomic.Uint64

// placeSum mixes what a row of consent_place says; sums of it are equal only
// for the same rows, whatever their order. The constants are odd and random.
func placeSum(index int64, prefix []byte) uint64 {
	var four [prefixSize]byte
	copy(four[:], prefix)
	x := uint64(index)*0x9e6f1c3b7a54d2e1 ^ uint64(binary.BigEndian.Uint32(four[:]))<<31
	x ^= x >> 32
	x *= 0xd1b54a32d192ed03
	return x ^ x>>29
}

// placesChecked is how many stretches of consent places one run reads, spread
// over the register from a random beginning. The places are an index made from
// the records and prove nothing, so a large register has them checked in turn.
const placesChecked = 4

// stretch holds the places of consent IDs against the records. A wrong one makes
// a search by consent ID miss a record; it never makes it find a wrong one.
func (c *check) stretch(ctx context.Context, n int64) error {
	sum, err := c.placed(ctx, n)
	if err != nil {
		return err
	}
	if sum == c.places[n].Load() {
		return nil
	}
	if disturbed, err := c.disturbed(ctx); err != nil || disturbed {
		return err
	}
	c.foundInLog("the table consent_place does not hold the consent IDs of the records %d to %d; a search by consent ID may miss some.",
		n<<stretchBits, min((n+1)<<stretchBits, c.size>>runBits<<runBits)-1)
	return nil
}

// placed is the sum of placeSum over a stretch of consent_place. PostgreSQL
// sends all rows as one value of 12 bytes for each, in a fraction of the time.
func (c *check) placed(ctx context.Context, n int64) (sum uint64, err error) {
	query, size := "select prefix, idx ", prefixSize+8
	if c.r.db.Engine == db.Postgres {
		query = "select string_agg(prefix || int8send(idx), ''), 0 "
	}
	rows, err := c.r.db.Read().QueryContext(ctx, query+"from consent_place where site_id = $1 and stretch = $2 and idx < $3",
		c.site, n, c.size>>runBits<<runBits)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var data sql.RawBytes
		var index int64
		if err := rows.Scan(&data, &index); err != nil {
			return 0, err
		}
		if c.r.db.Engine == db.SQLite {
			sum += placeSum(index, data)
			sum += uint64(len(data)) ^ prefixSize // no other length is right
			continue
		}
		for ; len(data) >= size; data = data[size:] {
			sum += placeSum(int64(binary.BigEndian.Uint64(data[prefixSize:])), data[:prefixSize])
		}
		sum += uint64(len(data))
	}
	return sum, rows.Err()
}

// strays finds records and tiles that are in no signed tree.
func (c *check) strays(ctx context.Context, q queryer) error {
	rows, err := q.QueryContext(ctx, "select place, record_id from record where place >= $1 and place <= $2 order by place limit 100",
		placeOf(c.site, c.size), placeOf(c.site, maxIndex))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var index int64
		var id []byte
		if err := rows.Scan(&index, &id); err != nil {
			return err
		}
		parsed, _ := uuid.FromBytes(id)
		c.foundRecord(index&maxIndex, parsed, "it is outside the signed log, which has %d records.", c.size)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	tiles, err := q.QueryContext(ctx, "select level, n from tile where site_id = $1", c.site)
	if err != nil {
		return err
	}
	defer tiles.Close()
	for tiles.Next() {
		var level, n int64
		if err := tiles.Scan(&level, &n); err != nil {
			return err
		}
		count := c.size >> (max(level, 0) * tileHeight)
		if level < 1 {
			count = count >> tileHeight << tileHeight // the rest is in the tail
		}
		if level < bundleLevel || level > 7 || n < 0 || n<<tileHeight >= count {
			c.foundTile(level, n, "it is outside the signed log, which has %d records.", c.size)
		}
	}
	if err := tiles.Err(); err != nil {
		return err
	}
	return c.tailStrays(ctx, q)
}

// tailStrays finds entries in the tail that belong to no record after the last
// full bundle, or are there twice.
func (c *check) tailStrays(ctx context.Context, q queryer) error {
	rows, err := q.QueryContext(ctx, tailQuery, c.site)
	if err != nil {
		return err
	}
	defer rows.Close()
	next := c.size >> tileHeight << tileHeight
	for rows.Next() {
		var index int64
		var data []byte
		if err := rows.Scan(&index, &data); err != nil {
			return err
		}
		count := int64(len(data) / commitmentSize)
		if index != next || next+count > c.size || count == 0 || len(data)%commitmentSize != 0 {
			c.foundInLog("its tail has %d bytes of entries from index %d on, which do not belong there.", len(data), index)
			continue
		}
		next += count
	}
	return rows.Err()
}

// spans holds the spans of time of full runs, first up to end, against the
// records. A wrong one makes a search by time miss records.
func (c *check) spans(ctx context.Context, q queryer, first, end int64) error {
	query, args := "select run, earliest, latest from span where site_id = $1 and run >= $2", []any{c.site, first}
	if c.quick { // else those beyond are wrong; here the log may have grown
		query, args = query+" and run < $3", append(args, end)
	}
	rows, err := q.QueryContext(ctx, query+" order by run", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	disturbed, err := c.disturbed(ctx)
	if err != nil || disturbed {
		return err
	}
	const chunks = 1 << (runBits - tileHeight)
	wrong := func(run int64) {
		c.foundInLog("the table span does not hold the times of the records %d to %d; a search by time may miss some.", run<<runBits, (run+1)<<runBits-1)
	}
	next := first
	for rows.Next() {
		var run, earliest, latest int64
		if err := rows.Scan(&run, &earliest, &latest); err != nil {
			return err
		}
		for ; next < run && next < end; next++ {
			wrong(next)
		}
		if run != next || run >= end {
			wrong(run)
			continue
		}
		next++
		times := c.times[run*chunks]
		for _, t := range c.times[run*chunks+1 : (run+1)*chunks] {
			times[0], times[1] = min(times[0], t[0]), max(times[1], t[1])
		}
		if times[0] > times[1] {
			times = emptySpan
		}
		if times != [2]int64{earliest, latest} {
			wrong(run)
		}
	}
	for ; next < end; next++ {
		wrong(next)
	}
	return rows.Err()
}

// cosigned holds the checkpoint that witnesses cosigned against the log's tiles.
func (c *check) cosigned(ctx context.Context, q queryer) error {
	var size int64
	var checkpoint, witnesses string
	err := q.QueryRowContext(ctx, "select size, checkpoint, witnesses from cosigned where site_id = $1", c.site).Scan(&size, &checkpoint, &witnesses)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	head, _, err := receipt.OpenCosigned([]byte(checkpoint), c.vkey, strings.Split(witnesses, "\n"))
	if err != nil || head.Size != size {
		c.foundInLog("the checkpoint that witnesses cosigned was changed.")
		return nil
	}
	tiles := c.r.tiles(ctx, c.site, size)
	if root, err := tlog.TreeHash(size, &tiles); err != nil || root != head.Root || size > c.size {
		c.foundInLog("its records are not those of the checkpoint of %d records that witnesses cosigned.", size)
	}
	return nil
}
