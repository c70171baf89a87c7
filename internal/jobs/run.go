package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"assent/internal/fault"
)

const (
	// pollEvery is how often an idle queue looks for jobs that other processes
	// added: one reading of an index.
	pollEvery = 5 * time.Second
	// firstLook is how long after the start a queue looks for the first time: a
	// server answers visitors first.
	firstLook = 2 * time.Second

	// leaseMore is how much longer than its attempt a job is held: the end has to be
	// written, and clocks differ.
	leaseMore = 10 * time.Second

	workers    = 32 // jobs that are done at the same time
	perLane    = 4  // of one lane
	perFailing = 1  // of a lane whose last attempt failed: who hangs holds up nobody else
	sweepEvery = time.Hour
)

// taken is a job in this process's hands.
type taken struct {
	Job
	handler Handler
}

// ended is an attempt that is over.
type ended struct {
	taken
	outcome Outcome
	broken  bool // off, because the process ends
}

// loop is the state of Run; one goroutine owns it.
type loop struct {
	*Queue
	running map[string]int  // by lane
	total   int             // of them
	failing map[string]bool // lanes whose last attempt failed
	results chan ended
	swept   time.Time
}

// Run does jobs until ctx ends, then waits for the attempts that run, which are
// told so by their context. What they leave is done by another process, or after
// the next start.
func (q *Queue) Run(ctx context.Context) {
	l := &loop{Queue: q, running: map[string]int{}, failing: map[string]bool{}, results: make(chan ended, workers), swept: q.now()}
	timer := time.NewTimer(min(firstLook, q.poll))
	defer timer.Stop()
	reclaimed := !q.Sole
	for {
		select {
		case <-ctx.Done():
			for l.total > 0 {
				l.settle(ctx, l.gather(ctx, <-l.results))
			}
			return
		case e := <-l.results:
			l.settle(ctx, l.gather(ctx, e))
		case <-q.wake:
		case <-timer.C:
		}
		if !reclaimed {
			reclaimed = l.reclaim(ctx)
		}
		timer.Reset(l.round(ctx))
	}
}

// reclaim makes those jobs due that a process had taken which is gone.
func (l *loop) reclaim(ctx context.Context) bool {
	var n int
	err := l.db.Read().QueryRowContext(ctx, "select count(*) from job where taken").Scan(&n)
	if err == nil && n > 0 {
		err = l.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "update job set due_at = $1, taken = false where taken", l.now().UnixMilli())
			return err
		})
	}
	if err != nil && ctx.Err() == nil {
		slog.Error("jobs that were interrupted could not be made due; they are done when their lease ends", "error", err)
	}
	return err == nil
}

// gather takes an attempt that ended, and those that ended meanwhile: their ends
// are written together. What an attempt could not do because it was told to end, as
// the process does, was no attempt.
func (l *loop) gather(ctx context.Context, first ended) (list []ended) {
	list = append(list, first)
	for len(l.results) > 0 {
		list = append(list, <-l.results)
	}
	for i, e := range list {
		list[i].broken = e.outcome.Err != nil && ctx.Err() != nil
		l.total--
		if l.running[e.Lane]--; l.running[e.Lane] == 0 {
			delete(l.running, e.Lane)
		}
		if e.outcome.Err == nil {
			delete(l.failing, e.Lane)
		} else if len(l.failing) < 4096 {
			l.failing[e.Lane] = true
		}
	}
	return list
}

// round takes what is due and starts it, and returns how long nothing is to be done.
func (l *loop) round(ctx context.Context) time.Duration {
	l.sweep(ctx)
	for l.total < workers {
		jobs, full, err := l.take(ctx)
		if err != nil {
			if ctx.Err() == nil {
				slog.Error("the queue of jobs cannot be read; it is tried again", "error", err)
			}
			return l.poll
		}
		for _, t := range jobs {
			l.start(ctx, t)
		}
		if len(jobs) == 0 || !full {
			break
		}
	}
	next, err := l.next(ctx)
	if err != nil {
		return l.poll
	}
	return next
}

func (l *loop) start(ctx context.Context, t taken) {
	l.total++
	l.running[t.Lane]++
	go func() {
		ctx, cancel := context.WithTimeout(ctx, t.handler.Within)
		defer cancel()
		e := ended{taken: t}
		defer func() {
			if p := recover(); p != nil {
				slog.Error("jobs: panic", "kind", t.Kind, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				e.outcome = Outcome{Err: fmt.Errorf("jobs: panic: %v", p)}
			}
			l.results <- e // holds as many as there are workers
		}()
		e.outcome = t.handler.Do(ctx, t.Job)
	}()
}

// room is how many more jobs of a lane may run.
func (l *loop) room(lane string) int {
	most := perLane
	if l.failing[lane] {
		most = perFailing
	}
	return most - l.running[lane]
}

// due are jobs that may be taken, of kinds that are done here and of lanes that
// have room. full tells that there may be more.
func (l *loop) due(ctx context.Context) (list []taken, dues []int64, full bool, err error) {
	args := []any{l.now().UnixMilli(), workers}
	in := func(values []string) string {
		marks := make([]string, len(values))
		for i, v := range values {
			args = append(args, v)
			marks[i] = fmt.Sprintf("$%d", len(args))
		}
		return "(" + strings.Join(marks, ", ") + ")"
	}
	var kinds, busy []string
	for kind := range l.handlers {
		kinds = append(kinds, kind)
	}
	for lane := range l.running {
		if l.room(lane) <= 0 {
			busy = append(busy, lane)
		}
	}
	query := "select id, kind, lane, payload, due_at, attempts, created_at from job where due_at <= $1 and kind in " + in(kinds)
	if len(busy) > 0 {
		query += " and lane not in " + in(busy)
	}
	rows, err := l.db.Read().QueryContext(ctx, query+" order by due_at limit $2", args...)
	if err != nil {
		return nil, nil, false, l.db.Explain(err)
	}
	defer rows.Close()
	room, read := map[string]int{}, 0
	for rows.Next() {
		var t taken
		var due, created int64
		if err := rows.Scan(&t.ID, &t.Kind, &t.Lane, &t.Payload, &due, &t.Attempts, &created); err != nil {
			return nil, nil, false, l.db.Explain(err)
		}
		read++
		if _, known := room[t.Lane]; !known {
			room[t.Lane] = l.room(t.Lane)
		}
		if room[t.Lane]--; room[t.Lane] < 0 || len(list) >= workers-l.total {
			continue
		}
		t.handler, t.Created = l.handlers[t.Kind], time.UnixMilli(created).UTC()
		list, dues = append(list, t), append(dues, due)
	}
	return list, dues, read == workers, l.db.Explain(rows.Err())
}

// take claims jobs. A job is claimed by moving its due time to the end of the
// lease; who finds it moved already was not the first. A lease that ran out makes
// the job due again by itself.
func (l *loop) take(ctx context.Context) (mine []taken, full bool, err error) {
	if len(l.handlers) == 0 {
		return nil, false, nil
	}
	list, dues, full, err := l.due(ctx)
	if err != nil || len(list) == 0 {
		return nil, false, err
	}
	err = l.db.Write(ctx, func(tx *sql.Tx) error {
		mine = mine[:0]
		for i, t := range list {
			lease := l.now().Add(t.handler.Within + leaseMore).UnixMilli()
			done, err := tx.ExecContext(ctx, "update job set due_at = $1, attempts = attempts + 1, taken = true where id = $2 and due_at = $3 and attempts = $4",
				lease, t.ID, dues[i], t.Attempts)
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil {
				return err
			} else if n == 1 {
				t.Attempts++
				mine = append(mine, t)
			}
		}
		return nil
	})
	if err != nil {
		mine = nil
	}
	return mine, full, err
}

// next is how long it takes until a job is due that has room, at most l.poll.
func (l *loop) next(ctx context.Context) (time.Duration, error) {
	var due sql.NullInt64
	now := l.now().UnixMilli()
	// Those that are due already wait for room, and the end of an attempt wakes the loop.
	if err := l.db.Read().QueryRowContext(ctx, "select min(due_at) from job where due_at > $1", now).Scan(&due); err != nil {
		return 0, l.db.Explain(err)
	}
	if !due.Valid || due.Int64 == never {
		return l.poll, nil
	}
	return min(l.poll, time.Duration(due.Int64-now)*time.Millisecond), nil
}

// settle writes how attempts ended, together, and each by itself where one of them
// cannot be written. What is not written is done again when its lease ends.
func (l *loop) settle(ctx context.Context, list []ended) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	err := l.db.Write(ctx, func(tx *sql.Tx) error {
		for _, e := range list {
			if err := l.end(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return
	}
	for _, e := range list {
		if err := l.db.Write(ctx, func(tx *sql.Tx) error { return l.end(ctx, tx, e) }); err != nil {
			slog.Error("the end of a job could not be written; it is done again", "job", e.ID, "kind", e.Kind, "error", err)
		}
	}
}

// end writes the end of an attempt, unless another process has the job by now.
func (l *loop) end(ctx context.Context, tx *sql.Tx, e ended) error {
	now, next := l.now(), time.Time{}
	if e.broken {
		_, err := tx.ExecContext(ctx, "update job set due_at = $1, attempts = attempts - 1, taken = false where id = $2 and attempts = $3", now.UnixMilli(), e.ID, e.Attempts)
		return err
	}
	query, args := "delete from job where id = $1 and attempts = $2", []any{e.ID, e.Attempts}
	if err := e.outcome.Err; err != nil {
		due, dead := int64(never), now.UnixMilli()
		if !e.outcome.Final && e.Attempts < e.handler.Tries {
			next = now.Add(max(e.handler.Wait(e.Attempts), e.outcome.After))
			due, dead = next.UnixMilli(), 0
		}
		query, args = "update job set due_at = $3, dead_at = $4, problem = $5, taken = false where id = $1 and attempts = $2", append(args, due, dead, problem(err))
	}
	done, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 || e.outcome.Note == nil {
		return err
	}
	return e.outcome.Note(ctx, tx, next)
}

// problem is the sentence that is kept. What an error without one says may name
// somebody.
func problem(err error) string {
	if fault.KindOf(err) == fault.Internal {
		return "Something unexpected went wrong; the server's log says more."
	}
	return fault.Message(err)
}

// sweep removes the jobs that were given up long ago.
func (l *loop) sweep(ctx context.Context) {
	now := l.now()
	if now.Sub(l.swept) < sweepEvery {
		return
	}
	l.swept = now
	err := l.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "delete from job where dead_at > 0 and dead_at < $1", now.Add(-keepDead).UnixMilli())
		return err
	})
	if err != nil && ctx.Err() == nil {
		slog.Error("jobs that were given up long ago could not be removed", "error", err)
	}
}
