package register

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/receipt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/mod/sumdb/tlog"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// batchTime bounds one transaction on PostgreSQL, so that a server which hangs
// does not hold its callers for ever. SQLite waits only for locks, and those
// waits end by themselves.
const batchTime = 5 * time.Second

// openLogs bounds how many logs' edges stay in memory; each takes up to 35 KB.
const openLogs = 512

var (
	// errMoved means that a log's row was not what the transaction had read.
	errMoved = errors.New("register: the log was changed by another process at the same time")
	// errRepeated means that a record of a trusting batch is stored already.
	errRepeated = errors.New("register: a record is stored already")
)

// call is an entry and the caller who waits for it. What needs no order is
// computed by the caller, so that the writer has less to do.
type call struct {
	ctx        context.Context
	entry      Entry
	site       string // key, from the payload
	millis     int64
	salt       [receipt.SaltSize]byte
	commitment [32]byte
	leaf       tlog.Hash
	mark       Mark
	index      int64        // given by the batch
	left       bool         // its log was in another node's hands when its turn came
	answer     chan outcome // holds one, so that the writer never waits
}

// reply answers the caller, once.
func (c *call) reply(o outcome) {
	select {
	case c.answer <- o:
	default:
	}
}

type outcome struct {
	stored   Stored
	repeated bool
	err      error
}

func newCall(ctx context.Context, e Entry) (*call, error) {
	c := &call{ctx: ctx, entry: e, millis: e.Time.UnixMilli(), answer: make(chan outcome, 1)}
	c.entry.Time = time.UnixMilli(c.millis).UTC()
	consent, rest := member(e.Payload, "consent_id")
	record, rest := member(rest, "record_id")
	site, rest := member(rest, "site")
	at, _ := member(rest, "time")
	if record != e.RecordID.String() || consent != e.ConsentID.String() || at != c.entry.Time.Format(receipt.TimeLayout) || site == "" {
		return nil, errors.New("register: the entry's fields are not those of its payload")
	}
	c.site = site
	rand.Read(c.salt[:])
	c.commitment = receipt.Commit(c.salt[:], e.Payload)
	c.leaf = tlog.RecordHash(c.commitment[:])
	return c, nil
}

// member finds a member of a canonical record whose value is a string without
// escapes, and what follows it. Reading the whole record again would take
// several times as long, and is left to Fsck. The pattern cannot stand
// elsewhere: quotes inside a value are escaped, and the values of the maps in a
// record are no strings.
func member(payload []byte, name string) (value string, rest []byte) {
	start := `"` + name + `":"`
	at := bytes.Index(payload, []byte(start))
	if at < 0 {
		return "", nil
	}
	rest = payload[at+len(start):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return "", nil
	}
	return string(rest[:end]), rest[end:]
}

// writer is the one goroutine that writes the register of this process.
type writer struct {
	db    *db.DB
	keys  *keyring
	same  func(stored, again []byte) bool
	limit int
	queue *queue
	acts  chan *act     // of erasing
	done  chan struct{} // closed when the queue is closed and drained

	marking []byte // key of Mark
	high    *highs // what callers know of

	// Owned by run's goroutine.
	sql  statements
	logs map[int64]*openLog
	wary bool      // the last batch held a repeat, so the next one probably does too
	conn *pgx.Conn // PostgreSQL only: its own, with locks that do not outlive it
	next time.Time // when the next batch for shared logs may begin
	late []*call   // joined the batch in hand while it waited for a lock
}

func newWriter(c Config) *writer {
	w := &writer{
		db: c.DB, same: c.Same, limit: c.BatchLimit,
		queue: newQueue(c.QueueLimit), acts: make(chan *act), done: make(chan struct{}), logs: make(map[int64]*openLog), high: &highs{known: map[int64]int64{}},
		sql: statementsFor(c.DB),
	}
	w.keys = &keyring{load: c.Renew, renewed: c.Renewed}
	w.keys.set(c.Key)
	return w
}

func (w *writer) run() {
	defer close(w.done)
	defer w.sql.close()
	defer func() {
		if w.conn != nil {
			ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
			defer cancel()
			w.conn.Close(ctx)
		}
	}()
	batch := make([]*call, 0, w.limit)
	for {
		select {
		case <-w.queue.ready:
			if !w.queue.more() {
				return
			}
			w.await()
			batch = w.gather(batch[:0])
			w.write(batch)
			clear(batch)
		case a := <-w.acts:
			w.erase(a)
		}
	}
}

// gather takes what waits. While more keeps coming it lets the callers run, who
// have perhaps just been answered: a larger batch costs hardly more than a small
// one.
func (w *writer) gather(batch []*call) []*call {
	for n, before := w.queue.length(), 0; n > before && n < w.limit; n = w.queue.length() {
		before = n
		runtime.Gosched()
	}
	return w.queue.take(batch, w.limit)
}

// write stores a batch and answers every caller, whatever happens.
func (w *writer) write(calls []*call) {
	waiting := make([]*call, 0, len(calls))
	for _, c := range calls {
		if !c.gone() {
			waiting = append(waiting, c)
		}
	}
	if len(waiting) == 0 {
		return
	}
	if w.db.Engine == db.Postgres {
		w.writeShared(waiting)
		return
	}
	answers, err := w.attempt(waiting)
	for try := 1; err != nil && try < 4 && w.again(err); try++ {
		answers, err = w.attempt(waiting)
	}
	for i, c := range waiting {
		if err != nil {
			c.reply(outcome{err: err})
			continue
		}
		w.acknowledged(answers[i])
		c.reply(answers[i])
	}
}

// guarded runs one transaction, on PostgreSQL within a time. When it fails nothing is stored and the edges
// in memory, which may have run ahead, are dropped.
func (w *writer) guarded(within time.Duration, do func(ctx context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("register: panic while writing", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("register: panic: %v", p)
		}
		if err != nil && !errors.Is(err, errRepeated) && !errors.Is(err, errGone) { // found before any edge grew
			clear(w.logs)
		}
	}()
	ctx := context.Background()
	if w.db.Engine == db.Postgres {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	if err := w.sql.prepare(ctx); err != nil {
		return w.db.Explain(err)
	}
	return do(ctx)
}

// attempt stores a batch in one transaction.
func (w *writer) attempt(calls []*call) (answers []outcome, err error) {
	var b *batch
	err = w.guarded(batchTime, func(ctx context.Context) error {
		b = w.newBatch(ctx, calls)
		if w.wary || !b.remembers() {
			return w.db.Write(ctx, b.run)
		}
		return w.db.Write(ctx, b.trust)
	})
	if err != nil {
		w.wary = errors.Is(err, errRepeated)
		return nil, err
	}
	return b.answers, nil
}

// again tells whether a failed transaction may be tried once more at once:
// it trusted what was not so any more, another process was faster, or a
// connection was lost. A record that was committed all the same is then found
// as a repeat.
func (w *writer) again(err error) bool {
	if errors.Is(err, errMoved) || errors.Is(err, errRepeated) {
		return true
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code()&0xff == sqlite3.SQLITE_CONSTRAINT {
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "23505", "40001", "40P01": // unique_violation, serialization_failure, deadlock_detected
			return true
		}
	}
	return w.db.Engine == db.Postgres && fault.KindOf(err) == fault.Unavailable && !errors.Is(err, context.DeadlineExceeded)
}
