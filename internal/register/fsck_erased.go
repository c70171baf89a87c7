package register

import (
	"context"
	"fmt"
	"time"

	"assent/receipt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// ledger is what the erasure ledger says about the places of one chunk.
type ledger struct {
	acts   map[int64]statement // erasure leaves, by index
	erased map[int64]bool      // places of erased records
}

type statement struct{ salt, text []byte }

// ledgerOf reads the ledger for the places from one index up to another. It is
// read after the records: what was erased meanwhile is in it.
func (c *check) ledgerOf(ctx context.Context, q queryer, from, to int64) (*ledger, error) {
	l := &ledger{acts: map[int64]statement{}, erased: map[int64]bool{}}
	rows, err := q.QueryContext(ctx, "select idx, salt, statement from erasure where site_id = $1 and idx >= $2 and idx < $3", c.site, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var index int64
		var s statement
		if err := rows.Scan(&index, &s.salt, &s.text); err != nil {
			return nil, err
		}
		l.acts[index] = s
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	places, err := q.QueryContext(ctx, "select place from erased where place >= $1 and place < $2", placeOf(c.site, from), placeOf(c.site, 0)+to)
	if err != nil {
		return nil, err
	}
	defer places.Close()
	for places.Next() {
		var place int64
		if err := places.Scan(&place); err != nil {
			return nil, err
		}
		l.erased[place&maxIndex] = true
	}
	return l, places.Err()
}

// gap is a place of the log without a record: an erasure leaf, a record that was
// erased, or one that is missing. It returns the leaf that was most likely
// signed.
func (c *check) gap(l *ledger, index int64, entry, hash []byte) tlog.Hash {
	s, act := l.acts[index]
	switch {
	case act:
		return c.actLeaf(s, index, entry, hash)
	case l.erased[index]:
		c.erased.Add(1)
	default:
		return c.missing(index, entry, hash)
	}
	switch {
	case hash == nil && entry == nil: // found already, as a tile
		return tlog.Hash{}
	case hash == nil:
		return tlog.RecordHash(entry[2:])
	case entry != nil && tlog.RecordHash(entry[2:]) != tlog.Hash(hash):
		c.foundTile(bundleLevel, index>>tileHeight, "entry %d, of a record that was erased, and its hash in the tile of level 0 differ.", index%tileWidth)
	}
	return tlog.Hash(hash)
}

// actLeaf holds an erasure leaf against its statement.
func (c *check) actLeaf(s statement, index int64, entry, hash []byte) tlog.Hash {
	c.acts.Add(1)
	commitment := receipt.Commit(s.salt, s.text)
	computed := tlog.RecordHash(commitment[:])
	switch {
	case entry == nil || hash == nil: // found already, as a tile
		return computed
	case string(entry[2:]) != string(commitment[:]) && tlog.Hash(hash) != computed:
		c.foundAt(index, "the statement of the erasure, or its salt, was changed after it was recorded.")
	case string(entry[2:]) != string(commitment[:]):
		c.foundTile(bundleLevel, index>>tileHeight, "entry %d is not the commitment to the erasure at index %d.", index%tileWidth, index)
	case tlog.Hash(hash) != computed:
		c.foundTile(0, index>>tileHeight, "hash %d is not that of the erasure at index %d.", index%tileWidth, index)
		return computed
	}
	return tlog.Hash(hash)
}

func (c *check) foundAt(index int64, format string, args ...any) {
	c.found(Finding{Index: index, Level: -1, Tile: -1, Message: fmt.Sprintf("The log %s, index %d: %s", c.origin, index, fmt.Sprintf(format, args...))})
}

// named sums up which records an act names, in a number that is equal only for
// the same ones.
type named struct {
	count int64
	sum   uint64
}

func (n *named) add(index int64) {
	n.count++
	n.sum += placeSum(index, nil)
}

// forgotten holds the ledger against itself and against the records.
func (c *check) forgotten(ctx context.Context, q queryer) error {
	says, err := c.statements(ctx, q)
	if err != nil {
		return err
	}
	first, last := allOf(c.site)
	rows, err := q.QueryContext(ctx, "select place, act from erased where place >= $1 and place <= $2", first, last)
	if err != nil {
		return err
	}
	defer rows.Close()
	has := map[int64]*named{}
	for rows.Next() {
		var place, act int64
		if err := rows.Scan(&place, &act); err != nil {
			return err
		}
		if has[act] == nil {
			has[act] = new(named)
		}
		has[act].add(place & maxIndex)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for act, n := range has {
		if _, known := says[act]; !known {
			c.foundAt(act, "%d records are said to be erased by a leaf here, and the ledger has no such act.", n.count)
		}
	}
	for act, want := range says {
		if got := has[act]; want != nil && (got == nil || *got != *want) {
			c.foundAt(act, "the ledger's list of erased records is not that of the %d that the erasure names.", want.count)
		}
	}
	return c.stillThere(ctx, q)
}

// statements reads what each act of the site says; nil for one that cannot be
// read, which is found.
func (c *check) statements(ctx context.Context, q queryer) (map[int64]*named, error) {
	rows, err := q.QueryContext(ctx, "select idx, time, reason, count, statement from erasure where site_id = $1 order by idx", c.site)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	says := map[int64]*named{}
	for rows.Next() {
		var index, millis, count int64
		var reason string
		var text []byte
		if err := rows.Scan(&index, &millis, &reason, &count, &text); err != nil {
			return nil, err
		}
		says[index] = nil
		if index >= c.size {
			c.foundAt(index, "an erasure stands here, outside the signed log, which has %d leaves.", c.size)
		}
		s, err := receipt.ParseStatement(text)
		if err != nil {
			c.foundAt(index, "the statement of the erasure cannot be used: %v.", err)
			continue
		}
		if s.Site != c.key || s.Reason != reason || s.Count != count || s.Time != timeText(millis) || s.Erased[len(s.Erased)-1][1] >= index {
			c.foundAt(index, "the erasure's statement and its row in the ledger differ.")
		}
		n := new(named)
		for _, r := range s.Erased {
			for i := r[0]; i <= r[1] && i < c.size; i++ {
				n.add(i)
			}
		}
		says[index] = n
	}
	return says, rows.Err()
}

// stillThere finds records that are named as erased.
func (c *check) stillThere(ctx context.Context, q queryer) error {
	first, last := allOf(c.site)
	// A cross join, because SQLite would else read every record to find none.
	rows, err := q.QueryContext(ctx, `select record.place, record_id, act from erased cross join record
		where record.place = erased.place and erased.place >= $1 and erased.place <= $2 order by erased.place limit 100`, first, last)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var place, act int64
		var id []byte
		if err := rows.Scan(&place, &id, &act); err != nil {
			return err
		}
		parsed, _ := uuid.FromBytes(id)
		c.foundRecord(place&maxIndex, parsed, "the erasure at index %d says that it is gone, and it is still there.", act)
	}
	return rows.Err()
}

// lastAct is the index of a site's newest erasure, -1 for none.
func (c *check) lastAct(ctx context.Context, q queryer) (index int64, err error) {
	return index, q.QueryRowContext(ctx, "select coalesce(max(idx), -1) from erasure where site_id = $1", c.site).Scan(&index)
}

// disturbed tells whether something was erased since the check of the log began:
// then the records that were read and an index that was read later may differ.
func (c *check) disturbed(ctx context.Context) (bool, error) {
	now, err := c.lastAct(ctx, c.r.db.Read())
	return now != c.act, err
}

// emptySpan is the span of time of a run without records.
var emptySpan = [2]int64{0, 0}

func timeText(millis int64) string { return time.UnixMilli(millis).UTC().Format(receipt.TimeLayout) }
