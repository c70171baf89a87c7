package app

import (
	"context"
	"database/sql"
	"time"

	"assent/internal/fault"
	"assent/internal/jobs"
)

// publishJob is the kind of the jobs that put a scheduled version in force.
const publishJob = "publish"

// openSchedule has versions published on their day. The job's payload names what
// was scheduled; one that was cancelled or replaced finds nothing to do.
func (p *Parts) openSchedule() {
	p.Jobs.Handle(publishJob, jobs.Handler{Tries: 12, Within: 2 * time.Minute, Do: p.publishScheduled})
	p.Sites.OnSchedule(func(ctx context.Context, tx *sql.Tx, id string, at time.Time) error {
		_, err := p.Jobs.Add(ctx, tx, jobs.Job{Kind: publishJob, Lane: publishJob, Payload: id, Due: at})
		return err
	}, p.Jobs.Wake)
}

func (p *Parts) publishScheduled(ctx context.Context, j jobs.Job) jobs.Outcome {
	_, _, err := p.Sites.PublishScheduled(ctx, j.Payload) // the store writes down what changed
	return jobs.Outcome{Err: err, Final: fault.KindOf(err) == fault.Unprocessed}
}
