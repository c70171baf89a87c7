package site

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"assent/internal/db"
	"assent/internal/fault"
)

// Scheduled is a notice that is put in force on its day. It was taken from the draft
// when it was scheduled; the draft may go on changing.
type Scheduled struct {
	ID        string // UUIDv7
	SiteID    int64
	Site      string
	Version   string // SHA-256 of its content, the name that the version will have
	At        time.Time
	Scheduled time.Time
	By        string // whom the version names
	MemberID  string // "" for the command line
	Problem   string // why it was not published when it was due; "" while it waits
	Notice    *Notice
}

// maxAhead is how far ahead a version can be scheduled.
const maxAhead = 366 * 24 * time.Hour

// OnSchedule has promise called in the transaction that schedules a version: it sees to
// it that PublishScheduled is called with the ID at that time or later, also after a
// restart. wake is called after the commit. Both are set once, before the store is used.
func (s *Store) OnSchedule(promise func(ctx context.Context, tx *sql.Tx, id string, at time.Time) error, wake func()) {
	s.promise, s.wake = promise, wake
}

// Schedule takes the draft as it is to be published at a time, instead of what was
// scheduled before. Errors: fault.Unprocessed for a time that cannot be, fault.Conflict
// when the draft is the version in force.
func (s *Store) Schedule(ctx context.Context, key string, at time.Time, by, memberID string) (*Scheduled, error) {
	now := s.now()
	switch {
	case s.promise == nil:
		return nil, fault.New(fault.Unavailable, "Nothing is scheduled here.")
	case !at.After(now):
		return nil, fault.New(fault.Unprocessed, "That time is over. Choose a later one, or publish now.")
	case at.After(now.Add(maxAhead)):
		return nil, fault.New(fault.Unprocessed, "That is more than a year ahead. Choose an earlier day.")
	}
	n, err := s.Draft(ctx, key)
	if err != nil {
		return nil, err
	}
	before, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	v, _, err := s.seal(n, before.Domains) // what cannot be compiled is refused now, not at night
	if err != nil {
		return nil, err
	}
	if v.Version == before.Version {
		return nil, fault.New(fault.Conflict, "The draft is the same as the version in force. Change something before you schedule it.")
	}
	p := &Scheduled{ID: uuid.Must(uuid.NewV7()).String(), SiteID: before.ID, Site: key, Version: v.Version, At: at, Scheduled: now, By: by, MemberID: memberID, Notice: n}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `insert into site_schedule (site_id, id, content, version, publish_at, scheduled_at, scheduled_by, member_id, problem)
			values ($1, $2, $3, $4, $5, $6, $7, $8, '')
			on conflict (site_id) do update set id = excluded.id, content = excluded.content, version = excluded.version, publish_at = excluded.publish_at,
				scheduled_at = excluded.scheduled_at, scheduled_by = excluded.scheduled_by, member_id = excluded.member_id, problem = ''`,
			p.SiteID, p.ID, string(v.Content), p.Version, at.UnixMilli(), now.UnixMilli(), by, memberID)
		if err != nil {
			return err
		}
		err = s.db.Record(ctx, tx, db.Change{Action: Planned, Site: key, Target: p.Version, Detail: map[string]string{"at": at.UTC().Format(time.RFC3339), "version": p.Version}})
		if err != nil {
			return err
		}
		return s.promise(ctx, tx, p.ID, at)
	})
	if err != nil {
		return nil, err
	}
	s.wake()
	return p, nil
}

// Scheduled is what waits for its day, or could not be published then; nil for none.
func (s *Store) Scheduled(ctx context.Context, siteID int64) (*Scheduled, error) {
	p, err := s.scheduled(ctx, "where s.id = $1", siteID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return p, s.db.Explain(err)
}

func (s *Store) scheduled(ctx context.Context, where string, arg any) (*Scheduled, error) {
	var p Scheduled
	var content string
	var at, scheduled int64
	err := s.db.Read().QueryRowContext(ctx, `select p.id, s.id, s.site, p.content, p.version, p.publish_at, p.scheduled_at, p.scheduled_by, p.member_id, p.problem
		from site_schedule p join site s on s.id = p.site_id `+where, arg).
		Scan(&p.ID, &p.SiteID, &p.Site, &content, &p.Version, &at, &scheduled, &p.By, &p.MemberID, &p.Problem)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256([]byte(content)); hex.EncodeToString(sum[:]) != p.Version {
		return nil, fault.New(fault.Unavailable, "What was scheduled was changed in the database: its content has another SHA-256, so it is not used. Cancel it and schedule it again.")
	}
	p.At, p.Scheduled, p.Notice = time.UnixMilli(at).UTC(), time.UnixMilli(scheduled).UTC(), new(Notice)
	return &p, json.Unmarshal([]byte(content), p.Notice)
}

// Unschedule forgets what waits. Errors: fault.NotFound when nothing does.
func (s *Store) Unschedule(ctx context.Context, siteID int64) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "delete from site_schedule where site_id = $1", siteID)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return fault.New(fault.NotFound, "Nothing is scheduled for this site any more.")
		}
		return s.db.Record(ctx, tx, db.Change{Action: Cancelled, SiteID: siteID})
	})
}

// PublishScheduled puts a scheduled notice in force; nil and no error when it was
// cancelled, replaced, or is in force already. It may be called again for one that was
// published. A failure that trying again does not mend is kept with it, to be shown.
func (s *Store) PublishScheduled(ctx context.Context, id string) (*Scheduled, *Version, error) {
	p, err := s.scheduled(ctx, "where p.id = $1", id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, s.db.Explain(err)
	}
	v, err := s.publish(ctx, p.Site, p.Notice, p.By, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "delete from site_schedule where id = $1", id)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errCancelled
		}
		return nil
	})
	switch kind := fault.KindOf(err); {
	case errors.Is(err, errCancelled):
		return nil, nil, nil
	case kind == fault.Conflict: // somebody published the same by hand
		return nil, nil, s.Unschedule(ctx, p.SiteID)
	case kind == fault.Unprocessed:
		return nil, nil, errors.Join(err, s.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "update site_schedule set problem = $1 where id = $2", fault.Message(err), id)
			return err
		}))
	}
	return p, v, err
}

// errCancelled rolls a publication back that was cancelled meanwhile.
var errCancelled = errors.New("site: cancelled")

// Rollback puts an older version in force again: the version itself, because a version
// is named by its content. The draft stays as it is. Errors: fault.NotFound for a version that is
// not the site's, fault.Conflict for the one in force.
func (s *Store) Rollback(ctx context.Context, key, version, by string) (*Version, error) {
	v, err := s.Version(ctx, version)
	if err != nil {
		return nil, err
	}
	if v.Site != key {
		return nil, fault.New(fault.NotFound, "The site %s has no such version.", key)
	}
	of, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	bundle, err := s.compileFor(v, of.Domains)
	if err != nil {
		return nil, err
	}
	return s.enforce(ctx, RolledBack, key, v, bundle, by, nil)
}
