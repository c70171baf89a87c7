package register

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"assent/internal/db"
	"assent/internal/fault"

	"github.com/google/uuid"
)

// idTotal is a sum of idSum that several workers add to.
type idTotal = atomic.Uint64

// idSum mixes a record's place and ID; sums of it are equal only for the same
// pairs, whatever their order.
func idSum(place int64, id []byte) uint64 {
	var whole [16]byte
	copy(whole[:], id)
	x := binary.LittleEndian.Uint64(whole[:])*0x9e6f1c3b7a54d2e1 ^ binary.LittleEndian.Uint64(whole[8:])
	x = (x^x>>29)*0xd1b54a32d192ed03 ^ uint64(place)
	x ^= x >> 32
	x *= 0x9e6f1c3b7a54d2e1
	return x ^ x>>29 ^ uint64(len(id))
}

// ids holds SQLite's index on the record IDs against the records that the checks
// read: where it is damaged, a receipt is not found, and a repeat is stored twice.
// It is read from one end to the other, which takes a fraction of the time of
// looking each record up. PostgreSQL's index is left to Scrub.
func (r *Register) ids(ctx context.Context, report *FsckReport, limit int, checks []*check) error {
	if r.db.Engine != db.SQLite {
		return nil
	}
	sizes := make(map[int64]int64, len(checks))
	var want uint64
	for _, c := range checks {
		sizes[c.site] = c.size
		want += c.ids.Load()
	}
	all := &check{r: r, report: report, limit: limit}
	var have uint64
	err := rowsOfDriver(ctx, r.db.Read(), "select place, record_id from record indexed by record_by_id order by record_id", nil, 2, func(values []driver.Value) error {
		place, ok := values[0].(int64)
		if !ok {
			return fmt.Errorf("register: the place of a record is %T", values[0])
		}
		if place&maxIndex < sizes[place>>indexBits] {
			have += idSum(place, bytesOf(values[1]))
		}
		return nil
	})
	if err != nil {
		return all.badIndex(ctx, err)
	}
	if have == want {
		return nil
	}
	// Perhaps it changed while it was read: the slow way knows.
	lines, err := r.names(ctx, "pragma integrity_check(5)")
	if err != nil {
		return all.badIndex(ctx, err)
	}
	for _, line := range lines {
		if line != "ok" {
			all.found(Finding{Index: -1, Level: -1, Tile: -1, Message: fmt.Sprintf("The index of the record IDs is not that of the records: %s.", line)})
		}
	}
	return nil
}

// badIndex makes a finding of an index that cannot be read.
func (c *check) badIndex(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	c.found(Finding{Index: -1, Level: -1, Tile: -1, Message: "The index of the record IDs cannot be read: " + fault.Message(c.r.db.Explain(err))})
	return nil
}

// seen is a record that the quick check has read.
type seen struct {
	index int64
	id    uuid.UUID
}

// lookUp finds the records of the last chunk by their IDs, as a receipt does.
func (c *check) lookUp(ctx context.Context) error {
	for _, r := range c.read {
		var place int64
		err := c.r.db.Read().QueryRowContext(ctx, "select place from record where record_id = $1", r.id[:]).Scan(&place)
		if err != nil && err != sql.ErrNoRows {
			return c.badIndex(ctx, err)
		}
		if err == nil && place == placeOf(c.site, r.index) {
			continue
		}
		gone, err := c.gone(ctx, r.index)
		if err != nil {
			return err
		}
		if !gone {
			c.foundRecord(r.index, r.id, "it is not found by its ID: the index of the record IDs is damaged.")
		}
	}
	return nil
}

// gone tells whether a record was taken away since it was read.
func (c *check) gone(ctx context.Context, index int64) (bool, error) {
	var count int
	err := c.r.db.Read().QueryRowContext(ctx, "select count(*) from record where place = $1", placeOf(c.site, index)).Scan(&count)
	return count == 0, err
}

// note remembers a record for lookUp.
func (c *check) note(r *row) {
	if id, err := uuid.FromBytes(r.record); err == nil {
		c.read = append(c.read, seen{r.index, id})
	}
}
