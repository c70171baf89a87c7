package app

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/jobs"
	"assent/internal/retention"
)

// RetentionSites are the sites as retention knows them.
func (p *Parts) RetentionSites(ctx context.Context) (list []retention.Site, err error) {
	sites, err := p.Sites.List(ctx)
	for i := range sites {
		list = append(list, retention.Site{ID: sites[i].ID, Key: sites[i].Key})
	}
	return list, err
}

// LogRetention writes what a run removed into the audit log; runs of the server
// that removed nothing are not worth a line. member is who asked for it, or "".
func (p *Parts) LogRetention(ctx context.Context, member string, removed []retention.Due) error {
	for _, d := range removed {
		detail := map[string]string{"records": strconv.FormatInt(d.Count, 10), "why": d.Rule}
		if err := p.Accounts.Log(ctx, account.Activity{MemberID: member, Action: account.RetentionRun, Site: d.Site, Detail: detail}); err != nil {
			return err
		}
	}
	return nil
}

// retentionEvery is how often the server removes what the rules say, and
// retentionFirst how long after its start it does so for the first time.
const (
	retentionEvery = 24 * time.Hour
	retentionFirst = 10 * time.Minute
)

// sealEvery is how often the server looks whether an erasing is over whose bytes
// are still in the database's files: one in the console, or a command that was
// interrupted.
const sealEvery = time.Minute

// retain carries out the retention rules once a day, and seals what was erased.
func (a *App) retain(ctx context.Context) {
	next := time.Now().Add(retentionFirst)
	before := ""
	for wait := time.Duration(0); ; wait = sealEvery {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		act, err := a.Register.Unsealed(ctx)
		if err == nil && act != "" && (act == before || wait == 0) { // no other act since the last look
			err = a.Register.Seal(ctx)
		}
		before = act
		if err != nil && ctx.Err() == nil {
			slog.Error("erased bytes may be left in the database's files; the server tries again in a minute", "error", err)
		}
		if time.Now().Before(next) {
			continue
		}
		next = time.Now().Add(retentionEvery)
		if err := a.retainOnce(ctx); err != nil && ctx.Err() == nil {
			slog.Error("the retention rules could not be carried out; they are tried again tomorrow", "error", err)
		}
		if _, err := a.Closing.Sweep(ctx); err != nil && ctx.Err() == nil {
			slog.Error("accounts that nobody uses could not be looked for; it is done again tomorrow", "error", err)
		}
	}
}

func (a *App) retainOnce(ctx context.Context) error {
	sites, err := a.RetentionSites(ctx)
	if err != nil {
		return err
	}
	if err := a.Audit.Adopt(ctx); err != nil { // of nodes that run a former version
		return err
	}
	if n, err := a.Audit.Expire(ctx); err != nil {
		return err
	} else if n > 0 {
		slog.Info("entries of the activity removed because their time is over", "entries", n)
	}
	removed, err := a.Retention.Run(ctx, sites)
	for _, d := range removed {
		slog.Info("records removed by retention rule", "site", d.Site, "rule", d.Rule, "records", d.Count)
	}
	if e := a.LogRetention(ctx, "", removed); err == nil {
		err = e
	}
	return err
}

// retentionJob is the kind of the jobs that carry out the rules of one site, which
// somebody asked for in the console.
const retentionJob = "retention"

// RetainSoon promises such a job. member is who asks.
func (p *Parts) RetainSoon(ctx context.Context, siteID int64, member string) error {
	err := p.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := p.Jobs.Add(ctx, tx, jobs.Job{Kind: retentionJob, Lane: retentionJob, Payload: strconv.FormatInt(siteID, 10) + " " + member})
		return err
	})
	p.Jobs.Wake()
	return err
}

// retainSite is such a job. What an attempt that was interrupted has removed is not
// found by the next one.
func (p *Parts) retainSite(ctx context.Context, j jobs.Job) jobs.Outcome {
	id, member, _ := strings.Cut(j.Payload, " ")
	sites, err := p.RetentionSites(ctx)
	if err != nil {
		return jobs.Outcome{Err: err}
	}
	sites = slices.DeleteFunc(sites, func(s retention.Site) bool { return strconv.FormatInt(s.ID, 10) != id })
	removed, err := p.Retention.Run(ctx, sites)
	return jobs.Outcome{Err: errors.Join(err, p.LogRetention(ctx, member, removed))}
}
