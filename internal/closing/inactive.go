package closing

import (
	"context"
	"database/sql"
	"time"

	"assent/internal/fault"
	"assent/internal/jobs"
	"assent/internal/mail"
)

// InactiveMonths is how long nobody signs in until an account is erased. It is warned
// by mail WarnDays before, and LastWarnDays before.
const (
	InactiveMonths = 24
	WarnDays       = 30
	LastWarnDays   = 7
)

// sweepLimit is how many accounts one look goes through.
const sweepLimit = 1000

// Sweep is the daily look for accounts that nobody uses. Signing in takes a warning
// back. Operators, and who is the only owner of an organisation, are left alone; and
// nobody is closed who could not be warned, so without a mail server it does nothing.
func (s *Store) Sweep(ctx context.Context) (warned int, err error) {
	if !s.Mail.Configured() {
		return 0, nil
	}
	now := s.Now().UTC().Truncate(time.Millisecond)
	err = s.DB.Write(ctx, func(tx *sql.Tx) error { // from before this was kept
		_, err := tx.ExecContext(ctx, "update member set seen_at = $1 where seen_at = 0", now.UnixMilli())
		return err
	})
	if err != nil {
		return 0, err
	}
	idle, err := s.idle(ctx, now.AddDate(0, -InactiveMonths, WarnDays))
	if err != nil {
		return 0, err
	}
	for id, seen := range idle {
		due := seen.AddDate(0, InactiveMonths, 0)
		if first := now.AddDate(0, 0, WarnDays); due.Before(first) {
			due = first
		}
		c := &Closing{Subject: id, Kind: Account, Why: Inactive, Asked: now, Due: due}
		err := s.DB.Write(ctx, func(tx *sql.Tx) error { return s.ask(ctx, tx, c, mail.Inactive) })
		switch {
		case fault.KindOf(err) == fault.Conflict:
			// The only owner of an organisation; or another node was faster.
		case err != nil:
			return warned, err
		default:
			warned++
		}
	}
	n, err := s.remind(ctx, now)
	if warned += n; warned > 0 {
		s.Queue.Wake()
	}
	return warned, err
}

func (s *Store) idle(ctx context.Context, before time.Time) (map[string]time.Time, error) {
	rows, err := s.DB.Read().QueryContext(ctx, `select id, seen_at from member where seen_at <= $1 and operator = $2
		and not exists (select 1 from closing where subject = member.id) order by seen_at limit $3`, before.UnixMilli(), false, sweepLimit)
	if err != nil {
		return nil, s.DB.Explain(err)
	}
	defer rows.Close()
	found := map[string]time.Time{}
	for rows.Next() {
		var id string
		var seen int64
		if err := rows.Scan(&id, &seen); err != nil {
			return nil, s.DB.Explain(err)
		}
		found[id] = at(seen)
	}
	return found, s.DB.Explain(rows.Err())
}

// remind warns those a second time whose account ends within LastWarnDays.
func (s *Store) remind(ctx context.Context, now time.Time) (n int, err error) {
	list, err := scan(s.DB.Read().QueryContext(ctx, columns+"where why = $1 and reminded_at = 0 and begun_at = 0 and due_at <= $2 order by due_at limit $3",
		Inactive, now.AddDate(0, 0, LastWarnDays).UnixMilli(), sweepLimit))
	if err != nil {
		return 0, s.DB.Explain(err)
	}
	for _, c := range list {
		err := s.DB.Write(ctx, func(tx *sql.Tx) error {
			about, err := s.about(ctx, tx, &c)
			if err != nil {
				return err
			}
			if least := now.AddDate(0, 0, LastWarnDays); c.Due.Before(least) { // the server was off
				c.Due = least
			}
			if _, err := tx.ExecContext(ctx, "update closing set reminded_at = $1, due_at = $2 where subject = $3 and reminded_at = 0", now.UnixMilli(), c.Due.UnixMilli(), c.Subject); err != nil {
				return err
			}
			if _, err := s.Queue.Add(ctx, tx, jobs.Job{Kind: JobKind, Lane: JobKind, Payload: c.Subject, Due: c.Due}); err != nil {
				return err
			}
			return s.tell(ctx, tx, mail.Inactive, about, c.Due, nil)
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
