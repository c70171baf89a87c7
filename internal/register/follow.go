package register

import (
	"context"
	"slices"
)

// Leaf is what a place in a site's log stands for: a record, or an act of erasing.
type Leaf struct {
	Record  *Stored  // nil: an erasure
	Erasure *Erasure // nil: a record
	Earlier bool     // of a record: its visitor has decided before
}

// Index is the leaf's place.
func (l Leaf) Index() int64 {
	if l.Record != nil {
		return l.Record.Index
	}
	return l.Erasure.Index
}

// Follow reads a site's log from an index on, at most limit places of it, in order,
// and returns where to go on. A record that was erased meanwhile is left out. The
// log is its own outbox: what is committed stands in it, and what stands in it is
// committed.
func (r *Register) Follow(ctx context.Context, siteID, from int64, limit int) (leaves []Leaf, next int64, err error) {
	state, err := r.State(ctx, siteID)
	if err != nil || from >= state.Size {
		return nil, from, err
	}
	next = min(state.Size, from+int64(limit))
	rows, err := r.db.Read().QueryContext(ctx, storedColumns+"where place >= $1 and place < $2 order by place", placeOf(siteID, from), placeOf(siteID, next))
	if err != nil {
		return nil, from, r.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		s, err := scanStored(rows)
		if err != nil {
			return nil, from, r.db.Explain(err)
		}
		leaves = append(leaves, Leaf{Record: &s})
	}
	if err := rows.Err(); err != nil {
		return nil, from, r.db.Explain(err)
	}
	rows.Close()
	for i := range leaves {
		if leaves[i].Earlier, err = r.decidedBefore(ctx, leaves[i].Record); err != nil {
			return nil, from, err
		}
	}
	acts, err := r.Erasures(ctx, siteID, from-1, limit)
	if err != nil {
		return nil, from, err
	}
	at := 0
	for i := range acts {
		if acts[i].Index >= next {
			break
		}
		for at < len(leaves) && leaves[at].Index() < acts[i].Index {
			at++
		}
		leaves = slices.Insert(leaves, at, Leaf{Erasure: &acts[i]})
	}
	return leaves, next, nil
}

func (r *Register) decidedBefore(ctx context.Context, s *Stored) (bool, error) {
	if s.Index == 0 {
		return false, nil
	}
	before, err := r.Search(ctx, Query{SiteID: s.SiteID, ConsentID: s.ConsentID, Before: s.Index, Limit: 1})
	return len(before) > 0, err
}

// At reads the record or the act of erasing at a place; both are nil when nothing is
// there any more.
func (r *Register) At(ctx context.Context, siteID, index int64) (l Leaf, err error) {
	leaves, _, err := r.Follow(ctx, siteID, index, 1)
	if len(leaves) == 1 {
		l = leaves[0]
	}
	return l, err
}
