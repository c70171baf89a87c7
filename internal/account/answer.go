package account

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"assent/internal/fault"
)

const (
	// answersKept is how long the answer to a request is repeated.
	answersKept = 24 * time.Hour
	// abandoned is after how long a request that never ended may be sent again.
	abandoned = 2 * time.Minute
)

// Answer is what a request was answered with.
type Answer struct {
	Status int
	Body   string // names nobody
}

// Once carries a request out once for each token and Idempotency-Key, and answers a
// repeat with the first answer. request is a hash of the whole request. Errors:
// fault.Conflict while the first is being carried out, fault.Unprocessed when the
// key was used for another request; those of do, after which the key is free again.
func (s *Store) Once(ctx context.Context, token, key, request string, do func() (Answer, error)) (a Answer, repeated bool, err error) {
	now := s.now()
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		repeated = false
		if _, err := tx.ExecContext(ctx, "delete from api_answer where created_at < $1 or created_at < $2 and status = 0", now.Add(-answersKept).UnixMilli(), now.Add(-abandoned).UnixMilli()); err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, `insert into api_answer (token_id, idempotency_key, request, status, body, created_at)
			values ($1, $2, $3, 0, '', $4) on conflict (token_id, idempotency_key) do nothing`, token, key, request, now.UnixMilli())
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 1 {
			return err
		}
		var before string
		err = tx.QueryRowContext(ctx, "select request, status, body from api_answer where token_id = $1 and idempotency_key = $2", token, key).Scan(&before, &a.Status, &a.Body)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fault.New(fault.Conflict, "The first request with this Idempotency-Key has just ended. Send it again.")
		case err != nil:
			return err
		case before != request:
			return fault.New(fault.Unprocessed, "This Idempotency-Key was used for another request. Make a new one for each request.")
		case a.Status == 0:
			return fault.New(fault.Conflict, "The first request with this Idempotency-Key is still being carried out. Send it again in a few seconds.")
		}
		repeated = true
		return nil
	})
	if err != nil || repeated {
		return a, repeated, err
	}
	answer, failed := do()
	// What was done is written down even if the client has left meanwhile.
	ctx = context.WithoutCancel(ctx)
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if failed != nil {
			_, err := tx.ExecContext(ctx, "delete from api_answer where token_id = $1 and idempotency_key = $2", token, key)
			return err
		}
		_, err := tx.ExecContext(ctx, "update api_answer set status = $1, body = $2 where token_id = $3 and idempotency_key = $4", answer.Status, answer.Body, token, key)
		return err
	})
	if failed != nil {
		return Answer{}, false, failed
	}
	return answer, false, err
}
