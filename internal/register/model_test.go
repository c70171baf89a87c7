package register

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/receipt"

	"github.com/google/uuid"
)

// The model of the sequencer: several processes, each the real writer with its
// own memory, take turns on one database in an order that a seed chooses, one
// transaction at a time. They crash, lose the race for the log, fail at any
// table, and are sent the same decision again. After each transaction the
// answers and the log are those of a model of a few lines.

// told is what the model knows of a record that is stored.
type told struct {
	payload []byte
	index   int64
}

type model struct {
	t       *testing.T
	d       *db.DB
	random  *rand.Rand
	site    int64
	writers []*writer
	stored  map[uuid.UUID]told
	sent    []Entry          // every decision that was ever sent
	roots   map[int64]string // checkpoints by size
	steps   []string
	counts  map[string]int
}

func (m *model) fatal(format string, args ...any) {
	m.t.Helper()
	for _, s := range m.steps {
		m.t.Log(s)
	}
	m.t.Fatalf("site %d: %s", m.site, fmt.Sprintf(format, args...))
}

func (m *model) newWriter() *writer {
	return newWriter(Config{DB: m.d, Key: testKey, Same: sameDecision, BatchLimit: 64})
}

// next is a decision: a new one, an old one again, or another under an old ID.
func (m *model) next() Entry {
	kind := m.random.IntN(10)
	if len(m.sent) == 0 || kind < 6 {
		e := entry(m.site)
		m.sent = append(m.sent, e)
		return e
	}
	old := m.sent[m.random.IntN(len(m.sent))]
	if kind < 9 {
		return old
	}
	return entry(m.site, func(r *receipt.Record) {
		r.RecordID, r.ConsentID, r.Action = old.RecordID.String(), old.ConsentID.String(), "withdraw"
	})
}

// step is one transaction of one process.
func (m *model) step() {
	who := m.random.IntN(len(m.writers))
	if m.random.IntN(8) == 0 { // a crash forgets all that is in memory
		m.writers[who].sql.close()
		m.writers[who] = m.newWriter()
		m.note("process %d starts anew", who)
		m.counts["crashes"]++
	}
	calls := make([]*call, 1+m.random.IntN(6))
	for i := range calls {
		ctx := context.Background()
		if m.random.IntN(20) == 0 {
			gone, cancel := context.WithCancel(ctx)
			cancel()
			ctx = gone
		}
		var err error
		if calls[i], err = newCall(ctx, m.next()); err != nil {
			m.t.Fatal(err)
		}
	}
	heal := func() {}
	if m.d.Engine == db.SQLite && m.random.IntN(4) == 0 {
		heal = m.fail([]string{"record", "tile", "tail", "log", "span", "consent_place"}[m.random.IntN(6)])
	}
	w := m.writers[who]
	for w.write(calls); w.queue.length() > 0; { // what another node was faster with goes back to the queue
		w.write(w.queue.take(nil, w.limit))
	}
	heal()
	m.note("process %d: %d decisions, %d stored before", who, len(calls), len(m.stored))
	m.answers(calls)
	m.log()
}

func (m *model) note(format string, args ...any) {
	m.steps = append(m.steps, fmt.Sprintf(format, args...))
}

// fail makes every write to a table fail.
func (m *model) fail(table string) (heal func()) {
	m.note("writing to %s fails", table)
	for _, verb := range []string{"insert", "update", "delete"} {
		if _, err := m.d.Writer().Exec(fmt.Sprintf("create temp trigger fail_%s before %s on %s begin select raise(abort, 'injected'); end", verb, verb, table)); err != nil {
			m.t.Fatal(err)
		}
	}
	return func() {
		for _, verb := range []string{"insert", "update", "delete"} {
			if _, err := m.d.Writer().Exec("drop trigger fail_" + verb); err != nil {
				m.t.Fatal(err)
			}
		}
	}
}

// answers holds what the callers were told against the model.
func (m *model) answers(calls []*call) {
	for _, c := range calls {
		o := <-c.answer
		before, known := m.stored[c.entry.RecordID]
		switch {
		case c.ctx.Err() != nil || o.err != nil && fault.KindOf(o.err) != fault.Conflict:
			m.counts["refused"]++
			if o.err == nil {
				m.fatal("a caller who had left was answered %+v", o)
			}
		case o.err != nil:
			m.counts["conflicts"]++
			if !known || sameDecision(before.payload, c.entry.Payload) {
				m.fatal("%s: a conflict with nothing", c.entry.RecordID)
			}
		case o.repeated:
			m.counts["repeats"]++
			if !known || o.stored.Index != before.index || !bytes.Equal(o.stored.Payload, before.payload) || !sameDecision(before.payload, c.entry.Payload) {
				m.fatal("%s: repeated as %+v, stored was %+v", c.entry.RecordID, o.stored, before)
			}
		default:
			m.counts["stored"]++
			if known || o.stored.Index != int64(len(m.stored)) {
				m.fatal("%s: stored at %d, known %v, %d are there", c.entry.RecordID, o.stored.Index, known, len(m.stored))
			}
			m.stored[c.entry.RecordID] = told{c.entry.Payload, o.stored.Index}
		}
	}
}

// log holds the log against the model: its size, and that no size ever has two
// roots.
func (m *model) log() {
	r := &Register{db: m.d, writer: m.writers[0]}
	state, err := r.State(m.t.Context(), m.site)
	if err != nil {
		m.fatal("%v", err)
	}
	if state.Size != int64(len(m.stored)) {
		m.fatal("the log has %d records, the model %d", state.Size, len(m.stored))
	}
	root := string(state.Root[:])
	if before, ok := m.roots[state.Size]; ok && before != root {
		m.fatal("two checkpoints of %d records", state.Size)
	}
	m.roots[state.Size] = root
}

func TestModelOfTheSequencer(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		runs, steps := 150, 40
		if d.Engine == db.Postgres {
			runs = 15
		} else if _, err := d.Writer().Exec("pragma synchronous = off"); err != nil { // no crash here is a power cut
			t.Fatal(err)
		}
		r := open(t, d)
		counts := map[string]int{}
		for seed := range runs {
			site := int64(seed + 1)
			addSite(t, d, r, site)
			m := &model{t: t, d: d, random: rand.New(rand.NewPCG(uint64(seed), 7)), site: site, stored: map[uuid.UUID]told{}, roots: map[int64]string{}, counts: counts}
			for range 3 {
				m.writers = append(m.writers, m.newWriter())
			}
			for range steps {
				m.step()
			}
			for _, w := range m.writers {
				w.sql.close()
				if w.conn != nil {
					w.conn.Close(context.Background())
				}
			}
		}
		if report := mustFsck(t, r); !report.OK() {
			t.Errorf("%+v", report)
		}
		for _, what := range []string{"stored", "repeats", "conflicts", "crashes", "refused"} {
			if counts[what] < runs {
				t.Errorf("only %d %s in %d runs", counts[what], what, runs)
			}
		}
		t.Logf("%d interleavings of %d transactions: %v", runs, steps, counts)
	})
}
