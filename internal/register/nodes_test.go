package register

import (
	"context"
	"sync"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
)

// nodes are registers with connections of their own on one PostgreSQL database.
func nodes(t *testing.T, n int, sites int64) (list []*Register) {
	t.Helper()
	url := dbtest.PostgresURL(t)
	for range n {
		list = append(list, open(t, dbtest.Open(t, db.Options{URL: url})))
	}
	for i := range sites {
		addSite(t, list[0].db, list[0], i+1)
	}
	return list
}

// Three nodes grow the same logs, past full bundles and runs, and a decision that
// reaches two of them is recorded once.
func TestNodesShareLogs(t *testing.T) {
	for _, sites := range []int64{1, 7} {
		list := nodes(t, 3, sites)
		const callers, each = 30, 40
		var work sync.WaitGroup
		for i := range callers {
			work.Go(func() {
				for k := range each {
					e := entry(int64(i+k)%sites + 1)
					s, repeated, err := list[i%3].Append(context.Background(), e)
					if err != nil || repeated {
						t.Errorf("append: repeated %v, %v", repeated, err)
						return
					}
					if k%10 != 0 {
						continue
					}
					again, repeated, err := list[(i+1)%3].Append(context.Background(), e)
					if err != nil || !repeated || again.Index != s.Index {
						t.Errorf("the repeat is at %d, repeated %v, %v; the first is at %d", again.Index, repeated, err, s.Index)
					}
				}
			})
		}
		work.Wait()
		report := mustFsck(t, list[0])
		if !report.OK() || report.Records != callers*each {
			t.Errorf("%d sites: %+v", sites, report)
		}
	}
}

// The same decision at several nodes at the same moment is one record.
func TestOneDecisionAtSeveralNodes(t *testing.T) {
	list := nodes(t, 3, 2)
	for range 10 {
		e := entry(1)
		var work sync.WaitGroup
		var mu sync.Mutex
		first := 0
		for _, r := range list {
			work.Go(func() {
				_, repeated, err := r.Append(context.Background(), e)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if !repeated {
					first++
				}
			})
		}
		work.Wait()
		if first != 1 {
			t.Fatalf("%d nodes recorded it first", first)
		}
	}
	if report := mustFsck(t, list[0]); !report.OK() || report.Records != 10 {
		t.Errorf("%+v", report)
	}
}

// A node that was idle while another wrote a lot loads the log anew.
func TestNodeThatFellBehind(t *testing.T) {
	list := nodes(t, 2, 1)
	mustAppend(t, list[0], entry(1))
	load(t, list[1], 6000, 200) // more than the bundles that are read to catch up
	for i := range 3 {
		if s := mustAppend(t, list[0], entry(1)); s.Index != int64(6001+i) {
			t.Errorf("the record is at %d", s.Index)
		}
	}
	if report := mustFsck(t, list[0]); !report.OK() || report.Records != 6004 {
		t.Errorf("%+v", report)
	}
}
