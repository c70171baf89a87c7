package register

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/receipt"
)

// attempt is one call of Append as its caller saw it. Begin and end are of one
// clock; an end of 0 means that the caller does not know what became of it.
type attempt struct {
	id, decision int
	begin, end   int64
	index        int64
	repeated     bool
	conflict     bool
}

func (a attempt) stored() bool { return a.end > 0 && !a.conflict }

// linearizable tells whether the answers could be those of a register that
// takes one call after the other, each at a moment between its begin and its
// end. A log makes that easy: the index says in which order records came.
func linearizable(history []attempt) error {
	byID := map[int][]attempt{}
	for _, a := range history {
		byID[a.id] = append(byID[a.id], a)
	}
	type record struct {
		index       int64
		first, last int64 // no caller had sent it before first; one was answered at last
	}
	records := map[int64]record{}
	for id, list := range byID {
		r := record{index: -1}
		decision := -1
		for _, a := range list {
			if !a.stored() {
				continue
			}
			if r.index >= 0 && (a.index != r.index || a.decision != decision) {
				return fmt.Errorf("record %d has two places, %d and %d, or two decisions", id, a.index, r.index)
			}
			r.index, decision = a.index, a.decision
			if r.last == 0 || a.end < r.last {
				r.last = a.end
			}
		}
		fresh := 0
		for _, a := range list {
			if a.decision == decision && (r.first == 0 || a.begin < r.first) {
				r.first = a.begin
			}
			if a.stored() && !a.repeated {
				if fresh++; fresh > 1 {
					return fmt.Errorf("record %d was stored anew twice", id)
				}
				if a.begin > r.last {
					return fmt.Errorf("record %d was stored anew after it was acknowledged", id)
				}
			}
		}
		for _, a := range list {
			if !a.conflict {
				continue
			}
			if !slices.ContainsFunc(list, func(b attempt) bool { return !b.conflict && b.decision != a.decision && b.begin < a.end }) {
				return fmt.Errorf("record %d: a conflict with a decision that nobody had sent", id)
			}
			if a.decision == decision {
				return fmt.Errorf("record %d: a conflict with itself", id)
			}
		}
		if r.index < 0 {
			continue
		}
		if other, taken := records[r.index]; taken {
			return fmt.Errorf("two records at index %d: %+v, %+v", r.index, other, r)
		}
		records[r.index] = r
	}
	// Who was acknowledged before another was first sent stands before it.
	order := make([]record, 0, len(records))
	for _, r := range records {
		order = append(order, r)
	}
	slices.SortFunc(order, func(a, b record) int { return int(b.index - a.index) })
	earliest := int64(1) << 62 // acknowledgement of any record further back in the log
	for _, r := range order {
		if earliest < r.first {
			return fmt.Errorf("a record after index %d was acknowledged before the record there was sent", r.index)
		}
		earliest = min(earliest, r.last)
	}
	return nil
}

func TestAnswersAreLinearizable(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		first := open(t, d)
		addSite(t, d, first, 1)
		registers := []*Register{first, open(t, d), open(t, d)}
		var clock atomic.Int64
		var lock sync.Mutex
		var history []attempt
		const callers, calls, records = 12, 60, 300
		ids := make([][2]Entry, records) // two decisions under one ID
		for i := range ids {
			ids[i][0] = entry(1)
			ids[i][1] = entry(1, func(r *receipt.Record) {
				r.RecordID, r.Action = ids[i][0].RecordID.String(), "withdraw"
			})
		}
		var wg sync.WaitGroup
		for caller := range callers {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(caller), 9))
				for range calls {
					a := attempt{id: random.IntN(records)}
					if random.IntN(8) == 0 {
						a.decision = 1
					}
					ctx, cancel := context.WithCancel(context.Background())
					if random.IntN(10) == 0 {
						go cancel()
					}
					a.begin = clock.Add(1)
					s, repeated, err := registers[random.IntN(len(registers))].Append(ctx, ids[a.id][a.decision])
					switch {
					case err == nil:
						a.index, a.repeated, a.end = s.Index, repeated, clock.Add(1)
					case fault.KindOf(err) == fault.Conflict:
						a.conflict, a.end = true, clock.Add(1)
					case !errors.Is(err, context.Canceled):
						t.Error(err)
					}
					cancel()
					lock.Lock()
					history = append(history, a)
					lock.Unlock()
				}
			})
		}
		wg.Wait()
		if err := linearizable(history); err != nil {
			t.Error(err)
		}
		if report := mustFsck(t, first); !report.OK() {
			t.Errorf("%+v", report)
		}
	})
}

// The checker itself finds what it is there for.
func TestLinearizableFindsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		history []attempt
		sound   bool
	}{
		"two callers, one after the other":        {[]attempt{{id: 1, begin: 1, end: 2, index: 0}, {id: 2, begin: 3, end: 4, index: 1}}, true},
		"two callers at once":                     {[]attempt{{id: 1, begin: 1, end: 3, index: 1}, {id: 2, begin: 2, end: 4, index: 0}}, true},
		"a repeat after an answer that was lost":  {[]attempt{{id: 1, begin: 1}, {id: 1, begin: 2, end: 3, repeated: true}}, true},
		"a conflict with a call that never ended": {[]attempt{{id: 1, begin: 1}, {id: 1, decision: 1, begin: 2, end: 3, conflict: true}}, true},
		"out of order":                            {[]attempt{{id: 1, begin: 1, end: 2, index: 1}, {id: 2, begin: 3, end: 4, index: 0}}, false},
		"stored twice":                            {[]attempt{{id: 1, begin: 1, end: 2}, {id: 1, begin: 3, end: 4}}, false},
		"two places":                              {[]attempt{{id: 1, begin: 1, end: 2}, {id: 1, begin: 3, end: 4, index: 1, repeated: true}}, false},
		"one place for two":                       {[]attempt{{id: 1, begin: 1, end: 2}, {id: 2, begin: 3, end: 4}}, false},
		"a conflict with nothing":                 {[]attempt{{id: 1, begin: 1, end: 2, conflict: true}}, false},
		"a conflict with the same":                {[]attempt{{id: 1, begin: 1, end: 2}, {id: 1, decision: 1, begin: 1}, {id: 1, begin: 3, end: 4, conflict: true}}, false},
		"two decisions":                           {[]attempt{{id: 1, begin: 1, end: 2}, {id: 1, decision: 1, begin: 3, end: 4, repeated: true}}, false},
		"stored anew after it was told of":        {[]attempt{{id: 1, begin: 1, end: 2, repeated: true}, {id: 1, begin: 3, end: 4}}, false},
	} {
		if err := linearizable(c.history); (err == nil) != c.sound {
			t.Errorf("%s: %v", name, err)
		}
	}
}
