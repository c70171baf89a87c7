package register

import (
	"context"
	"math"

	"golang.org/x/mod/sumdb/tlog"
)

// chunksAtOnce is how many full chunks PostgreSQL is asked for at once. SQLite gives
// them one by one: a question costs it nothing, and where a page cannot be read
// the finding names fewer records.
const chunksAtOnce = 8

// chunk checks the records of one entry bundle and one tile of level 0.
func (c *check) chunk(ctx context.Context, q queryer, n int64) error {
	first := n << tileHeight
	width := int(min(c.size-first, tileWidth))
	if width <= 0 {
		return nil
	}
	c.read = c.read[:0]
	if width == tileWidth && n < int64(len(c.roots)) {
		return c.chunks(ctx, q, n, n+1)
	}
	bundle, hashes, err := c.tail(ctx, q, n, width)
	if err != nil {
		return err
	}
	k := newChunk(first, width, bundle, hashes)
	if err := c.rows(ctx, q, first, first+int64(width), func(r *row) { k.take(c, r) }); err != nil {
		return err
	}
	c.rest = k.leaves
	return k.fill(ctx, c, q)
}

// chunks checks full chunks that follow each other, up to before: the fewer
// questions, the less the database has to do besides reading.
func (c *check) chunks(ctx context.Context, q queryer, n, before int64) error {
	bundles, hashes, err := c.leafTiles(ctx, q, n, before)
	if err != nil {
		return err
	}
	list := make([]*leafChunk, before-n)
	for i := range list {
		list[i] = newChunk((n+int64(i))<<tileHeight, tileWidth, bundles[i], hashes[i])
	}
	err = c.rows(ctx, q, n<<tileHeight, before<<tileHeight, func(r *row) { list[r.index>>tileHeight-n].take(c, r) })
	if err != nil {
		return err
	}
	for i, k := range list {
		if err := k.fill(ctx, c, q); err != nil {
			return err
		}
		c.roots[n+int64(i)], c.times[n+int64(i)] = merge(k.leaves), k.times
	}
	return nil
}

// leafChunk is what one entry bundle and one tile of level 0 hold, and the leaves that
// the records turn out to have.
type leafChunk struct {
	first          int64
	bundle, hashes []byte
	leaves         []tlog.Hash
	next           int   // the first that no record was seen for
	gaps           []int // places without a record
	times          [2]int64
}

func newChunk(first int64, width int, bundle, hashes []byte) *leafChunk {
	return &leafChunk{first: first, bundle: bundle, hashes: hashes, leaves: make([]tlog.Hash, width), times: [2]int64{math.MaxInt64, math.MinInt64}}
}

// take checks the next record of the chunk.
func (k *leafChunk) take(c *check, r *row) {
	for ; k.next < int(r.index-k.first); k.next++ {
		k.gaps = append(k.gaps, k.next)
	}
	c.records.Add(1)
	c.columns(r)
	if c.ids.Add(idSum(placeOf(c.site, r.index), r.record)); c.quick {
		c.note(r)
	}
	k.times[0], k.times[1] = min(k.times[0], r.millis), max(k.times[1], r.millis)
	if r.index < c.size>>runBits<<runBits && len(r.consent) >= prefixSize {
		c.places[r.index>>stretchBits].Add(placeSum(r.index, r.consent[:prefixSize]))
	}
	k.leaves[k.next] = c.leaf(r, slot(k.bundle, k.next, entrySize), slot(k.hashes, k.next, tlog.HashSize))
	k.next++
}

// fill finds out about the places without a record, when all records were taken.
func (k *leafChunk) fill(ctx context.Context, c *check, q queryer) error {
	for ; k.next < len(k.leaves); k.next++ {
		k.gaps = append(k.gaps, k.next)
	}
	if len(k.gaps) == 0 {
		return nil
	}
	l, err := c.ledgerOf(ctx, q, k.first, k.first+int64(len(k.leaves)))
	if err != nil {
		return err
	}
	for _, i := range k.gaps {
		k.leaves[i] = c.gap(l, k.first+int64(i), slot(k.bundle, i, entrySize), slot(k.hashes, i, tlog.HashSize))
	}
	return nil
}

// leafTiles reads the entry bundles and the tiles of level 0 of full chunks that follow
// each other, up to before; nil where one is missing.
func (c *check) leafTiles(ctx context.Context, q queryer, n, before int64) (bundles, hashes [][]byte, err error) {
	rows, err := q.QueryContext(ctx, "select level, n, data from tile where site_id = $1 and level in (-1, 0) and n >= $2 and n < $3", c.site, n, before)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	bundles, hashes = make([][]byte, before-n), make([][]byte, before-n)
	for rows.Next() {
		var level, at int64
		var data []byte
		if err := rows.Scan(&level, &at, &data); err != nil {
			return nil, nil, err
		}
		if level == bundleLevel {
			bundles[at-n] = data
		} else {
			hashes[at-n] = data
		}
	}
	if err := rows.Err(); err != nil {
		return nil, nil, err
	}
	for i := range bundles {
		c.width(bundleLevel, n+int64(i), bundles[i], tileWidth*entrySize)
		c.width(0, n+int64(i), hashes[i], tileWidth*tlog.HashSize)
	}
	return bundles, hashes, nil
}
