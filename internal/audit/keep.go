package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/receipt"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// Keep sets for how many days the entries of an organisation are kept. Errors:
// fault.Unprocessed.
func (s *Store) Keep(ctx context.Context, organisation string, days int64) error {
	if days < LeastDays || days > MostDays {
		return fault.New(fault.Unprocessed, "Entries of the activity are kept for %d to %d days.", LeastDays, MostDays)
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := s.open(ctx, tx, organisation); err != nil {
			return err
		}
		var before int64
		if err := tx.QueryRowContext(ctx, "select days from audit_log where organisation_id = $1", organisation).Scan(&before); err != nil || before == days {
			return err
		}
		if _, err := tx.ExecContext(ctx, "update audit_log set days = $1 where organisation_id = $2", days, organisation); err != nil {
			return err
		}
		return s.db.Record(ctx, tx, db.Change{Action: Keeping, Organisation: organisation, Fields: []db.Field{{Name: "days", Before: strconv.FormatInt(before, 10), After: strconv.FormatInt(days, 10)}}})
	})
}

const blank = "update audit_entry set actor = '', action = '', site = '', salt = '', entry = '', erased_by = $1 where organisation_id = $2 and "

// EraseEntry removes what an entry says and its salt, for good; that it was there, and
// who removed it, stays in the log. Errors: fault.NotFound.
func (s *Store) EraseEntry(ctx context.Context, organisation string, index int64, why string) error {
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		at, err := s.append(ctx, tx, organisation, []*receipt.AuditEntry{entryOf(ctx, db.Change{Action: Erased, Target: strconv.FormatInt(index, 10), Detail: map[string]string{"reason": why}}, organisation, "", s.c.Now().UTC().Truncate(time.Millisecond))})
		if err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, blank+"idx = $3 and idx < $1 and erased_by = -1", at, organisation, index)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return orElse(err, fault.New(fault.NotFound, "There is no entry %d in this log, or it was erased already.", index))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.db.Purge(ctx, "audit_entry")
}

func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// week is how exactly the time of entries is kept to: one statement a week, not one a
// day, stands in the log.
const week = 7 * 24 * time.Hour

// Expire removes the entries whose time is over, a log at a time, and returns how many.
// The log says up to which place, in an entry that is written in the same transaction.
func (s *Store) Expire(ctx context.Context) (removed int64, err error) {
	organisations, err := db.Strings(s.db.Read().QueryContext(ctx, "select organisation_id from audit_log order by 1"))
	if err != nil {
		return 0, s.db.Explain(err)
	}
	for _, organisation := range organisations {
		n, err := s.expire(ctx, organisation)
		if removed += n; err != nil {
			return removed, err
		}
	}
	if removed > 0 {
		err = s.db.Purge(ctx, "audit_entry")
	}
	return removed, err
}

func (s *Store) expire(ctx context.Context, organisation string) (removed int64, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		removed = 0
		var days, upto int64
		if err := tx.QueryRowContext(ctx, "select days, size from audit_log where organisation_id = $1", organisation).Scan(&days, &upto); err != nil {
			return err
		}
		before := s.c.Now().Truncate(week).AddDate(0, 0, -int(days)).UnixMilli()
		if err := tx.QueryRowContext(ctx, "select coalesce(min(idx), $1) from audit_entry where organisation_id = $2 and time >= $3", upto, organisation, before).Scan(&upto); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "select count(*) from audit_entry where organisation_id = $1 and idx < $2 and erased_by = -1", organisation, upto).Scan(&removed); err != nil || removed == 0 {
			return err
		}
		c := db.Change{Action: Expired, Detail: map[string]string{"before": strconv.FormatInt(upto, 10), "entries": strconv.FormatInt(removed, 10), "days": strconv.FormatInt(days, 10)}}
		at, err := s.append(ctx, tx, organisation, []*receipt.AuditEntry{entryOf(db.As(ctx, db.Actor{Kind: db.Job}), c, organisation, "", s.c.Now().UTC().Truncate(time.Millisecond))})
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, blank+"idx < $3", at, organisation, upto)
		return err
	})
	return removed, err
}

// adoptAtOnce is how many lines of the former activity log are moved in a transaction.
const adoptAtOnce = 500

// Adopt moves what a former version of this program, or a node that still runs it, wrote
// into the table activity. An entry says when it was entered.
func (s *Store) Adopt(ctx context.Context) error {
	for moved := adoptAtOnce; moved == adoptAtOnce; {
		var any int
		if err := s.db.Read().QueryRowContext(ctx, "select count(*) from (select 1 from activity limit 1) as waiting").Scan(&any); err != nil || any == 0 {
			return s.db.Explain(err)
		}
		err := s.db.Write(ctx, func(tx *sql.Tx) (err error) {
			moved, err = s.adopt(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

type line struct {
	id     string
	at     int64
	change db.Change
}

func (s *Store) adopt(ctx context.Context, tx *sql.Tx) (int, error) {
	rows, err := tx.QueryContext(ctx, `delete from activity where id in (select id from activity order by id limit $1)
		returning id, time, member_id, action, site, detail, organisation_id`, adoptAtOnce)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var list []line
	for rows.Next() {
		var l line
		var detail string
		if err := rows.Scan(&l.id, &l.at, &l.change.Member, &l.change.Action, &l.change.Site, &detail, &l.change.Organisation); err != nil {
			return 0, err
		}
		if err := json.Unmarshal([]byte(detail), &l.change.Detail); err != nil {
			return 0, err
		}
		list = append(list, l)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	slices.SortFunc(list, func(a, b line) int { return int(a.at - b.at) })
	now := s.c.Now().UTC().Format(receipt.TimeLayout)
	byLog := map[string][]*receipt.AuditEntry{}
	for _, l := range list {
		of := ctx
		if l.change.Member == "" && l.change.Organisation == "" && l.change.Site == "" {
			of = db.As(ctx, db.Actor{Kind: db.Nobody})
		}
		whose, site, err := s.whose(of, tx, l.change)
		if err != nil {
			return 0, err
		}
		if l.change.Detail == nil {
			l.change.Detail = map[string]string{}
		}
		l.change.Detail["entered"] = now
		for _, organisation := range whose {
			byLog[organisation] = append(byLog[organisation], entryOf(of, l.change, organisation, site, time.UnixMilli(l.at).UTC()))
		}
	}
	for _, organisation := range slices.Sorted(maps.Keys(byLog)) {
		if _, err := s.append(ctx, tx, organisation, byLog[organisation]); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}
