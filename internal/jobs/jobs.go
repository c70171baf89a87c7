// Package jobs is the outbox: work that is promised in the same transaction as the
// change that causes it, and done afterwards. What was committed is done at least
// once, by one of the nodes, also when the node that does it is killed; a repeat
// carries the same job ID, so that who receives it can tell.
package jobs

import (
	"context"
	"database/sql"
	"math"
	"math/rand/v2"
	"time"

	"assent/internal/db"
	"assent/internal/fault"

	"github.com/google/uuid"
)

// Job is a piece of work.
type Job struct {
	ID       string // UUIDv7; Add makes it
	Kind     string // which Handler does it
	Lane     string // jobs of one lane hold up each other only: one receiver, one mail server
	Payload  string // for the handler; sealed (Box) where it holds personal data or secrets
	Attempts int    // how often it was taken, this time included
	Created  time.Time
	Due      time.Time // when Add is to have it done first; zero: at once
}

// Handler does the jobs of a kind.
type Handler struct {
	// Do does a job once. It may be called again for a job that was done already:
	// when the process died before the end was written.
	Do func(ctx context.Context, j Job) Outcome

	Tries  int                             // attempts before a job is given up; it can be replayed then
	Within time.Duration                   // of one attempt; another node may take the job 10 seconds later
	Wait   func(attempt int) time.Duration // before the next attempt; nil: Backoff
	Most   int                             // jobs that may wait in one lane before Add refuses; 0 for any number
}

// Outcome says how an attempt ended.
type Outcome struct {
	// Err is nil when the job is done. Its sentence (fault.Message) is kept with the
	// job and shown, so it names nobody.
	Err   error
	Final bool          // trying again would not help
	After time.Duration // wait at least so long before the next attempt

	// Note, when there is one, is called in the transaction in which the end of the
	// attempt is written. next is zero when there is no further attempt.
	Note func(ctx context.Context, tx *sql.Tx, next time.Time) error
}

// never is the due time of a job that was given up.
const never = math.MaxInt64

// keepDead is how long a job that was given up can be seen and replayed.
const keepDead = 30 * 24 * time.Hour

// Backoff is the wait before the next attempt: 5 seconds, then four times as long
// each time, up to 8 hours, and up to a quarter less or more, so that what failed
// together does not come back together.
func Backoff(attempt int) time.Duration {
	d := 5 * time.Second
	for i := 1; i < attempt && d < 8*time.Hour; i++ {
		d *= 4
	}
	d = min(d, 8*time.Hour)
	return d - d/4 + rand.N(d/2)
}

// Queue keeps jobs in the database and does them. It is safe for concurrent use,
// also by several processes on one database.
type Queue struct {
	db       *db.DB
	now      func() time.Time
	handlers map[string]Handler
	wake     chan struct{}

	// Sole is set where no other process does the jobs of this database, so that
	// those that a killed one had taken are done again at once.
	Sole bool

	poll time.Duration // how often jobs of other processes are looked for
}

// New makes a queue. Handlers are registered (Handle) before Run is called.
func New(d *db.DB, now func() time.Time) *Queue {
	return &Queue{db: d, now: now, handlers: map[string]Handler{}, wake: make(chan struct{}, 1), poll: pollEvery}
}

// Handle says who does the jobs of a kind.
func (q *Queue) Handle(kind string, h Handler) {
	if h.Wait == nil {
		h.Wait = Backoff
	}
	q.handlers[kind] = h
}

// Add promises a job in the caller's transaction: it is done when that commits, and
// does not exist when it does not. The caller calls Wake after the commit. Errors:
// fault.Unavailable when the lane is full.
func (q *Queue) Add(ctx context.Context, tx *sql.Tx, j Job) (id string, err error) {
	if most := q.handlers[j.Kind].Most; most > 0 {
		var n int
		if err := tx.QueryRowContext(ctx, "select count(*) from job where lane = $1 and dead_at = 0", j.Lane).Scan(&n); err != nil {
			return "", err
		}
		if n >= most {
			return "", fault.New(fault.Unavailable, "%d jobs wait already for %s, which does not keep up. Look at assent job list, then try again.", n, j.Kind)
		}
	}
	id = uuid.Must(uuid.NewV7()).String()
	now := q.now().UnixMilli()
	due := now
	if !j.Due.IsZero() {
		due = j.Due.UnixMilli()
	}
	_, err = tx.ExecContext(ctx, `insert into job (id, kind, lane, payload, due_at, attempts, taken, created_at, dead_at, problem)
		values ($1, $2, $3, $4, $5, 0, false, $6, 0, '')`, id, j.Kind, j.Lane, j.Payload, due, now)
	return id, err
}

// Wake has the jobs of this process looked for at once. It never waits.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Waiting is a job as operators see it.
type Waiting struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Attempts int       `json:"attempts"`
	Created  time.Time `json:"created"`
	Due      time.Time `json:"due,omitzero"`  // zero: given up
	Dead     time.Time `json:"dead,omitzero"` // when it was given up
	Problem  string    `json:"problem"`       // what went wrong last
}

// List returns jobs, the oldest first: all, or only those that were given up.
func (q *Queue) List(ctx context.Context, dead bool, limit int) (list []Waiting, err error) {
	rows, err := q.db.Read().QueryContext(ctx, `select id, kind, attempts, created_at, due_at, dead_at, problem from job
		where dead_at > 0 or $1 = 0 order by id limit $2`, flag(dead), limit)
	if err != nil {
		return nil, q.db.Explain(err)
	}
	defer rows.Close()
	list = []Waiting{}
	for rows.Next() {
		var w Waiting
		var created, due, dead int64
		if err := rows.Scan(&w.ID, &w.Kind, &w.Attempts, &created, &due, &dead, &w.Problem); err != nil {
			return nil, q.db.Explain(err)
		}
		w.Created = time.UnixMilli(created).UTC()
		if due != never {
			w.Due = time.UnixMilli(due).UTC()
		}
		if dead != 0 {
			w.Dead = time.UnixMilli(dead).UTC()
		}
		list = append(list, w)
	}
	return list, q.db.Explain(rows.Err())
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Replay has a job that was given up done again, with all its tries. Errors:
// fault.NotFound.
func (q *Queue) Replay(ctx context.Context, id string) error {
	return q.change(ctx, id, "update job set due_at = $1, attempts = 0, dead_at = 0 where id = $2 and dead_at > 0", q.now().UnixMilli(), id)
}

// Drop removes a job that was given up. Errors: fault.NotFound.
func (q *Queue) Drop(ctx context.Context, id string) error {
	return q.change(ctx, id, "delete from job where id = $1 and dead_at > 0", id)
}

func (q *Queue) change(ctx context.Context, id, query string, args ...any) error {
	err := q.db.Write(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return fault.New(fault.NotFound, "There is no job %s that was given up. assent job list --dead shows them.", id)
		}
		return nil
	})
	if err == nil {
		q.Wake()
	}
	return err
}
