package stats

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Kind is what a decision was.
type Kind int

// The kinds of a decision.
const (
	Answer     Kind = iota // to the question
	Change                 // of an answer to the same question
	Withdrawal             // of everything
	Signal                 // a browser's, such as Global Privacy Control
)

// Decision is a consent record as it is counted.
type Decision struct {
	Index  int64 // in the site's register
	Time   time.Time
	Kind   Kind
	Status Metric // of answers: All, Partially or Necessary
	About  About
	Parts  map[string]bool // what was granted, by "c/" and a category's or "s/" and a service's key
}

// Register is where decisions are read from; the zero value has none.
type Register struct {
	// Sizes is how many records the register of each site holds.
	Sizes func(context.Context) (map[int64]int64, error)
	// Decisions are at most limit records of a site, from an index and before another, in
	// their order. Erased ones are missing.
	Decisions func(ctx context.Context, siteID, from, before int64, limit int) ([]Decision, error)
}

// Bounds of a step through the register.
const (
	stepRecords = 500
	mostBusy    = 300 * time.Millisecond // of each second, while the registers hardly grow
	leastBusy   = 40 * time.Millisecond  // while they do: recording comes first
	growing     = 200                    // records a second: that many are growing
)

// Follow counts the decisions that are in the register and not counted yet, for a
// fraction of a second: the rest is counted by the next calls.
func (c *Counters) Follow(ctx context.Context) error {
	_, err := c.follow(ctx, mostBusy)
	return err
}

// CatchUp counts all of them.
func (c *Counters) CatchUp(ctx context.Context) error {
	for {
		more, err := c.follow(ctx, time.Hour)
		if err != nil || !more {
			return err
		}
	}
}

// follow counts for as long as the budget lasts, or less while the registers grow.
func (c *Counters) follow(ctx context.Context, budget time.Duration) (more bool, err error) {
	if c.register.Sizes == nil {
		return false, nil
	}
	began := time.Now()
	behind, total, err := c.behind(ctx)
	if err != nil {
		return false, err
	}
	if budget == mostBusy && total-c.total > growing {
		budget = leastBusy
	}
	c.total = total
	for _, b := range behind {
		for b.from < b.to {
			if time.Since(began) > budget {
				return true, nil
			}
			if b.from, err = c.step(ctx, b.site, b.from, b.to); errors.Is(err, errElsewhere) {
				more = true
				break
			} else if err != nil {
				return false, err
			}
		}
	}
	return more, nil
}

// Behind is how many records of a site's register are not counted yet.
func (c *Counters) Behind(ctx context.Context, siteID int64) (int64, error) {
	if c.register.Sizes == nil {
		return 0, nil
	}
	sizes, err := c.register.Sizes(ctx)
	if err != nil {
		return 0, err
	}
	_, counted, err := settings(ctx, c.db.Read(), "", siteID)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, c.db.Explain(err)
	}
	return max(0, sizes[siteID]-counted), nil
}

type lag struct{ site, from, to int64 }

// behind lists the sites whose registers hold more than is counted, and how many
// records all hold.
func (c *Counters) behind(ctx context.Context) (list []lag, total int64, err error) {
	sizes, err := c.register.Sizes(ctx)
	if err != nil {
		return nil, 0, err
	}
	rows, err := c.db.Read().QueryContext(ctx, "select site_id, counted from counting")
	if err != nil {
		return nil, 0, c.db.Explain(err)
	}
	defer rows.Close()
	counted := make(map[int64]int64, len(sizes))
	for rows.Next() {
		var id, n int64
		if err := rows.Scan(&id, &n); err != nil {
			return nil, 0, c.db.Explain(err)
		}
		counted[id] = n
	}
	for id, size := range sizes {
		total += size
		if n := counted[id]; n < size {
			list = append(list, lag{id, n, size})
		}
	}
	return list, total, c.db.Explain(rows.Err())
}

// step counts some records and returns the index after them.
func (c *Counters) step(ctx context.Context, siteID, from, size int64) (int64, error) {
	decisions, err := c.register.Decisions(ctx, siteID, from, size, stepRecords)
	if err != nil {
		return from, err
	}
	to := size
	if len(decisions) == stepRecords {
		to = decisions[len(decisions)-1].Index + 1
	}
	w := newWaiting()
	for i := range decisions {
		w.count(&decisions[i])
	}
	return to, c.apply(ctx, siteID, w, &progress{from, to})
}

// count adds a decision in every dimension that the server knows itself.
func (w *waiting) count(d *Decision) {
	slot := d.Time.UnixMilli() / hour * hour
	metric := d.Status
	switch d.Kind {
	case Change:
		metric = Changed
	case Withdrawal:
		metric = Withdrawn
	case Signal:
		metric = Signalled
	}
	d.About.Referrer, d.About.Source, d.About.Medium, d.About.Campaign = "", "", "", ""
	d.About.each(func(dimension, value string) {
		r := w.row(slot, dimension, value)
		r.Counts[metric]++
		if metric > Necessary {
			return
		}
		for key, granted := range d.Parts {
			if granted {
				r.flag(key, Flags{Granted: 1})
			} else {
				r.flag(key, Flags{Refused: 1})
			}
		}
	})
}
