package retention

import (
	"context"
	"slices"
	"time"

	"assent/internal/register"
	"assent/receipt"
)

// PastRun is what one rule removed of a site, in one go.
type PastRun struct {
	Time    time.Time // of its last act
	Rule    string
	Records int64
	Acts    []int64 // indexes of the erasure leaves, ascending
}

// actsRead is how many acts Past looks at, and runActs how many it puts together: so
// many fit into one deletion certificate. An act removes up to 1000 records.
const (
	actsRead = 1000
	runActs  = 400
)

// together is how close two acts of one rule lie that were done in one go.
const together = time.Hour

// Past lists what retention rules have removed of a site, the newest first: up to
// actsRead acts.
func (s *Store) Past(ctx context.Context, siteID int64) (list []PastRun, err error) {
	acts, err := s.register.NewestErasures(ctx, siteID, register.Retention, actsRead)
	if err != nil {
		return nil, err
	}
	var before time.Time
	for _, a := range acts {
		statement, err := receipt.ParseStatement(a.Statement)
		if err != nil {
			continue // fsck says what is wrong with it
		}
		n := len(list)
		if n == 0 || list[n-1].Rule != statement.Rule || before.Sub(a.Time) > together || len(list[n-1].Acts) == runActs {
			list = append(list, PastRun{Time: a.Time, Rule: statement.Rule})
			n++
		}
		run := &list[n-1]
		run.Records, run.Acts = run.Records+a.Count, append(run.Acts, a.Index)
		before = a.Time
	}
	for i := range list {
		slices.Reverse(list[i].Acts)
	}
	return list, nil
}

// Last is the index of the run's last act, which names it.
func (r PastRun) Last() int64 { return r.Acts[len(r.Acts)-1] }
