package webhook

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"assent/internal/fault"
	"assent/internal/jobs"
)

// Query selects deliveries of one endpoint. A zero field does not restrict.
type Query struct {
	Endpoint string // required
	State    string
	From, To time.Time // when it happened: the first instant, and the first after
	Before   string    // ID of the last one of the page before
	Limit    int       // 1 to 1000; 50 when 0
}

const deliveryColumns = "select id, webhook_id, event, idx, version, created_at, state, attempts, status, took, ended_at, problem from webhook_delivery "

// Deliveries returns deliveries, the newest first.
func (s *Store) Deliveries(ctx context.Context, q Query) (list []Delivery, err error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.From.IsZero() {
		from = q.From.UnixMilli()
	}
	if !q.To.IsZero() {
		to = q.To.UnixMilli()
	}
	before := q.Before
	if before == "" {
		before = "n" // sorts after every ID
	}
	rows, err := s.DB.Read().QueryContext(ctx, deliveryColumns+`where webhook_id = $1 and created_at >= $2 and created_at < $3
		and (state = $4 or $4 = '') and id < $5 order by id desc limit $6`, q.Endpoint, from, to, q.State, before, min(q.Limit, 1000))
	if err != nil {
		return nil, s.DB.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		d, err := scanDelivery(rows)
		if err != nil {
			return nil, s.DB.Explain(err)
		}
		list = append(list, d)
	}
	return list, s.DB.Explain(rows.Err())
}

// Delivery returns one. Errors: fault.NotFound.
func (s *Store) Delivery(ctx context.Context, id string) (Delivery, error) {
	d, err := scanDelivery(s.DB.Read().QueryRowContext(ctx, deliveryColumns+"where id = $1", id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, errNoDelivery
	}
	return d, s.DB.Explain(err)
}

var errNoDelivery = fault.New(fault.NotFound, "There is no such delivery. assent webhook deliveries shows them; old ones are not kept.")

func scanDelivery(row interface{ Scan(...any) error }) (d Delivery, err error) {
	var created, took, ended int64
	if err := row.Scan(&d.ID, &d.Endpoint, &d.Event, &d.Index, &d.Version, &created, &d.State, &d.Attempts, &d.Status, &took, &ended, &d.Problem); err != nil {
		return d, err
	}
	d.Created, d.Ended, d.Took = time.UnixMilli(created).UTC(), instant(ended), time.Duration(took)*time.Millisecond
	return d, nil
}

// Replay has a delivery that is over made again, with the same webhook-id. Errors:
// fault.NotFound, fault.Conflict for one that waits.
func (s *Store) Replay(ctx context.Context, siteID int64, id string) error {
	d, err := s.Delivery(ctx, id)
	if err != nil {
		return err
	}
	if _, err := s.Get(ctx, siteID, d.Endpoint); err != nil {
		return errNoDelivery // another site's
	}
	n, err := s.again(ctx, []Delivery{d})
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "This delivery waits already for its next attempt.")
	}
	return err
}

// replayChunk is how many deliveries are promised in one transaction.
const replayChunk = 200

// replayMost is how many deliveries one replay promises: the queue stays bounded.
const replayMost = 10_000

// ReplaySpan has every delivery of an endpoint made again that happened in a span of
// time, or only those with a state, and returns how many. Errors: fault.Unprocessed when
// there are more than 10,000; the newest of them are made again then.
func (s *Store) ReplaySpan(ctx context.Context, siteID int64, endpoint, state string, from, to time.Time) (count int, err error) {
	if _, err := s.Get(ctx, siteID, endpoint); err != nil {
		return 0, err
	}
	q := Query{Endpoint: endpoint, State: state, From: from, To: to, Limit: replayChunk}
	for {
		list, err := s.Deliveries(ctx, q)
		if err != nil || len(list) == 0 {
			return count, err
		}
		n, err := s.again(ctx, list)
		if err != nil {
			return count, err
		}
		last := list[len(list)-1]
		if count, q.Before = count+n, last.ID; count >= replayMost {
			return count, fault.New(fault.Unprocessed, "%d deliveries are made again, the newest first, which is as many as at once. When they are through, replay the rest with --to %s.", count, last.Created.Format(time.RFC3339))
		}
	}
}

func (s *Store) again(ctx context.Context, list []Delivery) (count int, err error) {
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		count = 0
		for _, d := range list {
			done, err := tx.ExecContext(ctx, "update webhook_delivery set state = 'waiting', problem = '' where id = $1 and state <> 'waiting'", d.ID)
			if err != nil {
				return err
			}
			n, err := done.RowsAffected()
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			// The job that was given up, if it is still there, has done its part.
			if _, err := tx.ExecContext(ctx, "delete from job where kind = $1 and lane = $2 and payload = $3 and dead_at > 0", JobKind, d.Endpoint, d.ID); err != nil {
				return err
			}
			if _, err := s.Queue.Add(ctx, tx, jobs.Job{Kind: JobKind, Lane: d.Endpoint, Payload: d.ID}); err != nil {
				return err
			}
			count++
		}
		if count == 0 {
			return nil
		}
		var siteID int64
		if err := tx.QueryRowContext(ctx, "select site_id from webhook where id = $1", list[0].Endpoint).Scan(&siteID); err != nil {
			return err
		}
		return s.record(ctx, tx, siteID, list[0].Endpoint, "had messages sent again by", nil)
	})
	s.Queue.Wake()
	return count, err
}

// Sweep removes deliveries that are over and older than they are kept.
func (s *Store) Sweep(ctx context.Context) error {
	return s.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "delete from webhook_delivery where created_at < $1 and state <> 'waiting'", s.Now().Add(-s.Keep).UnixMilli())
		return err
	})
}
