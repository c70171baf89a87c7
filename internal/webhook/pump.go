package webhook

import (
	"context"
	"database/sql"
	"log/slog"
	"slices"
	"strings"
	"time"

	"assent/internal/register"
	"assent/receipt"
)

const (
	pumpEvery  = time.Second     // while there are endpoints
	pumpIdle   = 5 * time.Second // while there are none
	pumpChunk  = 100             // places of a log in one transaction
	sweepEvery = time.Hour
	// mostWaiting is how many messages may wait for one endpoint. The others stay
	// where they are, in the log.
	mostWaiting = 1000
)

// Run pumps until ctx ends. An installation without endpoints costs one reading of
// an empty table every few seconds.
func (s *Store) Run(ctx context.Context) {
	wait, swept := pumpIdle/2, s.Now() // visitors first
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		found, err := s.Pump(ctx)
		if err != nil && ctx.Err() == nil {
			slog.Error("webhooks: the register could not be read; it is tried again", "error", err)
		}
		wait = pumpEvery
		if !found {
			wait = pumpIdle
		}
		if found && s.Now().Sub(swept) >= sweepEvery {
			swept = s.Now()
			if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				slog.Error("webhooks: old deliveries could not be removed", "error", err)
			}
		}
	}
}

// behind is an endpoint whose site's log has grown.
type behind struct {
	id     string
	siteID int64
	events string
	next   int64
}

// Pump promises messages about what came into the logs, and tells whether there are
// endpoints at all.
func (s *Store) Pump(ctx context.Context) (found bool, err error) {
	rows, err := s.DB.Read().QueryContext(ctx, `select w.id, w.site_id, w.events, w.next, l.size from webhook w join log l on l.site_id = w.site_id
		where w.disabled_at = 0 order by w.id`)
	if err != nil {
		return false, s.DB.Explain(err)
	}
	defer rows.Close()
	var list []behind
	for rows.Next() {
		var b behind
		var size int64
		if err := rows.Scan(&b.id, &b.siteID, &b.events, &b.next, &size); err != nil {
			return false, s.DB.Explain(err)
		}
		if found = true; b.next < size {
			list = append(list, b)
		}
	}
	if err := rows.Err(); err != nil {
		return found, s.DB.Explain(err)
	}
	rows.Close()
	for _, b := range list {
		for more := true; more && ctx.Err() == nil; {
			if more, err = s.pump(ctx, &b); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

// pump moves one endpoint on by a chunk of its log, and promises the messages in the
// same transaction. Of several nodes that do so only one finds the place as it was.
func (s *Store) pump(ctx context.Context, b *behind) (more bool, err error) {
	var waiting int
	if err := s.DB.Read().QueryRowContext(ctx, "select count(*) from job where lane = $1 and dead_at = 0", b.id).Scan(&waiting); err != nil {
		return false, s.DB.Explain(err)
	}
	if waiting >= mostWaiting {
		return false, nil
	}
	leaves, next, err := s.Register.Follow(ctx, b.siteID, b.next, pumpChunk)
	if err != nil || next == b.next {
		return false, err
	}
	wanted := strings.Fields(b.events)
	moved := false
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		moved = false
		done, err := tx.ExecContext(ctx, "update webhook set next = $1 where id = $2 and next = $3 and disabled_at = 0", next, b.id, b.next)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		for _, l := range leaves {
			event, at, err := happened(l)
			if err != nil {
				slog.Error("webhooks: a record cannot be read, so nobody is told of it; assent fsck says more", "site", b.siteID, "index", l.Index())
				continue
			}
			if !slices.Contains(wanted, event) {
				continue
			}
			if _, err := s.promise(ctx, tx, b.id, event, l.Index(), "", at); err != nil {
				return err
			}
		}
		moved = true
		return nil
	})
	if err != nil || !moved {
		return false, err
	}
	s.Queue.Wake()
	b.next = next
	return true, nil
}

// happened names the event that a leaf of a log is.
func happened(l register.Leaf) (event string, at time.Time, err error) {
	if l.Erasure != nil {
		return Erased, l.Erasure.Time, nil
	}
	r, err := receipt.ParseRecord(l.Record.Payload)
	if err != nil {
		return "", at, err
	}
	switch {
	case r.Action == "withdraw":
		event = Withdrawn
	case l.Earlier:
		event = Changed
	default:
		event = Given
	}
	return event, l.Record.Time, nil
}
