package register

import (
	"context"
	"errors"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

// together writes entries in one batch. No Append of the register may run.
func together(t *testing.T, r *Register, entries ...Entry) (answers []outcome) {
	t.Helper()
	calls := newCalls(t, entries...)
	r.writer.write(calls)
	for _, c := range calls {
		answers = append(answers, <-c.answer)
	}
	return answers
}

func newCalls(t *testing.T, entries ...Entry) (calls []*call) {
	t.Helper()
	for _, e := range entries {
		c, err := newCall(context.Background(), e)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, c)
	}
	return calls
}

func wantPlaces(t *testing.T, answers []outcome, want ...int64) {
	t.Helper()
	for i, a := range answers {
		if a.err != nil || a.stored.Index != want[i] {
			t.Errorf("entry %d is at %d (%v), want %d", i, a.stored.Index, a.err, want[i])
		}
	}
}

// A batch that trusts what is in memory stores nothing, and starts again by
// reading, when it was wrong.
func TestTrustingBatches(t *testing.T) {
	eachAddress(t, func(t *testing.T, o db.Options) {
		r, other := open(t, dbtest.Open(t, o)), open(t, dbtest.Open(t, o))
		addSite(t, r.db, r, 1)
		addSite(t, r.db, r, 2)
		w, second := watcher{r: r, site: 1}, watcher{r: r, site: 2}
		trusts := func(want bool) {
			t.Helper()
			b := batch{writer: r.writer, calls: newCalls(t, entry(1))}
			if got := b.remembers() && !r.writer.wary; got != want {
				t.Errorf("the next batch trusts: %v, want %v", got, want)
			}
		}
		trusts(false)
		first := mustAppend(t, r, entry(1))
		trusts(true)
		wantPlaces(t, together(t, r, entry(1), entry(1)), 1, 2)
		w.check(t, 3)

		again := Entry{SiteID: 1, RecordID: first.RecordID, ConsentID: first.ConsentID, Time: first.Time, Payload: first.Payload}
		answers := together(t, r, entry(1), again, entry(1), again)
		wantPlaces(t, answers, 3, 0, 4, 0)
		if !answers[1].repeated || !answers[3].repeated || answers[0].repeated || answers[2].repeated {
			t.Errorf("%+v", answers)
		}
		w.check(t, 5)
		trusts(false) // more repeats are to be expected
		wantPlaces(t, together(t, r, entry(1)), 5)
		trusts(true)

		mustAppend(t, other, entry(1))
		wantPlaces(t, together(t, r, entry(1), entry(1)), 7, 8)
		w.check(t, 9)
		trusts(true)

		foreign := mustAppend(t, other, entry(1))
		again = Entry{SiteID: 1, RecordID: foreign.RecordID, ConsentID: foreign.ConsentID, Time: foreign.Time, Payload: foreign.Payload}
		wantPlaces(t, together(t, r, again, entry(1)), 9, 10)
		w.check(t, 11)

		mustAppend(t, r, entry(2))
		wantPlaces(t, together(t, r, entry(1), entry(2), entry(1)), 11, 1, 12)
		mustAppend(t, other, entry(2))
		wantPlaces(t, together(t, r, entry(1), entry(2), entry(2)), 13, 3, 4)
		w.check(t, 14)
		second.check(t, 5)
		if report := mustFsck(t, r); !report.OK() || report.Records != 19 {
			t.Errorf("%+v", report)
		}
	})
}

// A transaction that is broken off after it wrote everything leaves nothing, on
// disk or in memory.
func TestTrustingBatchThatBreaks(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		load(t, r, 250, 50)
		w := watcher{r: r, site: 1}
		w.check(t, 250)
		lost := newCalls(t, entry(1), entry(1))
		if d.Engine == db.SQLite {
			define(t, d, "create trigger breaks after update on log begin select raise(abort, 'broken'); end")
		} else {
			define(t, d, "create function breaks() returns trigger language plpgsql as $$ begin raise exception 'broken'; end $$",
				"create constraint trigger breaks after update on log deferrable initially deferred for each row execute function breaks()")
		}
		r.writer.write(lost)
		for _, c := range lost {
			if a := <-c.answer; a.err == nil {
				t.Errorf("answered with %+v", a.stored)
			}
			_, err := r.Find(t.Context(), c.entry.RecordID)
			wantKind(t, err, fault.NotFound)
		}
		w.check(t, 250)
		if d.Engine == db.SQLite {
			define(t, d, "drop trigger breaks")
		} else {
			define(t, d, "drop trigger breaks on log")
		}
		for i, e := range []Entry{lost[0].entry, lost[1].entry, entry(1)} {
			s := mustAppend(t, r, e)
			w.check(t, int64(251+i))
			mustVerify(t, r, s)
		}
		load(t, r, 20, 20)
		if report := mustFsck(t, r); !report.OK() || report.Records != 273 {
			t.Errorf("%+v", report)
		}
	})
}

// define runs statements that have no rows to affect.
func define(t *testing.T, d *db.DB, list ...string) {
	t.Helper()
	for _, q := range list {
		if _, err := d.Writer().Exec(q); err != nil {
			t.Fatal(errors.Join(errors.New(q), err))
		}
	}
}
