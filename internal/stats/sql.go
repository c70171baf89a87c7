package stats

import (
	"assent/internal/db"
	"context"
	"database/sql"
	"time"
)

// write adds counters in one transaction.
func (s *Store) write(ctx context.Context, keys []key, counts map[key]int64, today int64) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		for _, k := range keys {
			n := counts[k]
			known, err := raise(ctx, tx, k, n, today)
			if err != nil {
				return err
			}
			if known {
				continue
			}
			if k, err = room(ctx, tx, k); err != nil {
				return err
			}
			if err := insert(ctx, tx, k, n, today); err != nil {
				return err
			}
		}
		return nil
	})
}

// raise adds to a row; false when there is none yet.
func raise(ctx context.Context, tx *sql.Tx, k key, n, today int64) (bool, error) {
	done, err := tx.ExecContext(ctx, `update seen set count = count + $1, last_at = case when last_at < $2 then $2 else last_at end
		where site_id = $3 and kind = $4 and name = $5 and directive = $6 and allowed = $7 and page = $8`,
		n, today, k.site, k.Kind, k.Name, k.Directive, k.Allowed, k.Page)
	if err != nil {
		return false, err
	}
	rows, err := done.RowsAffected()
	return rows > 0, err
}

// room is where a new counter goes: a row of its own while there are few. Two
// processes that ask at once may both find the last place; a few rows more do no harm.
func room(ctx context.Context, tx *sql.Tx, k key) (key, error) {
	var rows, pages int
	err := tx.QueryRowContext(ctx, `select count(*), coalesce(sum(case when kind = $2 and name = $3 and directive = $4 and allowed = $5 then 1 else 0 end), 0)
		from seen where site_id = $1 and kind <> $6`, k.site, k.Kind, k.Name, k.Directive, k.Allowed, Other).Scan(&rows, &pages)
	switch {
	case rows >= maxRows:
		k.Seen = Seen{Kind: Other}
	case pages >= maxPages:
		k.Page = ""
	}
	return k, err
}

// insert makes a row, or adds to it where another process or a fold was faster.
// The site may have been removed since its page sent this: then nothing is kept.
func insert(ctx context.Context, tx *sql.Tx, k key, n, today int64) error {
	_, err := tx.ExecContext(ctx, `insert into seen (site_id, kind, name, directive, allowed, page, first_at, last_at, count)
		select id, cast($2 as text), cast($3 as text), cast($4 as text), $5, cast($6 as text), cast($7 as bigint), cast($7 as bigint), cast($8 as bigint)
		from site where id = $1
		on conflict (site_id, kind, name, directive, allowed, page) do update set count = seen.count + excluded.count,
			last_at = case when seen.last_at < excluded.last_at then excluded.last_at else seen.last_at end`,
		k.site, k.Kind, k.Name, k.Directive, k.Allowed, k.Page, today, n)
	return err
}

// Sweep removes rows that were not seen for 90 days and tells how many.
func (s *Store) Sweep(ctx context.Context) (removed int64, err error) {
	before := day(s.now()).AddDate(0, 0, -retention).UnixMilli()
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "delete from seen where last_at < $1", before)
		if err != nil {
			return err
		}
		if removed, err = done.RowsAffected(); err != nil {
			return err
		}
		return sweepInstalls(ctx, tx, before)
	})
	return removed, err
}

// Seen lists a site's rows as they were last written, sorted.
func (s *Store) Seen(ctx context.Context, siteID int64) ([]Row, error) {
	rows, err := s.db.Read().QueryContext(ctx, `select kind, name, directive, allowed, page, first_at, last_at, count from seen
		where site_id = $1 order by kind, name, directive, page, allowed`, siteID)
	if err != nil {
		return nil, s.db.Explain(err)
	}
	defer rows.Close()
	var list []Row
	for rows.Next() {
		var r Row
		var first, last int64
		if err := rows.Scan(&r.Kind, &r.Name, &r.Directive, &r.Allowed, &r.Page, &first, &last, &r.Count); err != nil {
			return nil, s.db.Explain(err)
		}
		r.First, r.Last = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
		list = append(list, r)
	}
	return list, s.db.Explain(rows.Err())
}

// Name is a kind and the name that members ignore or declare.
type Name struct{ Kind, Name string }

// Ignored lists what members of the site do not want to be told of.
func (s *Store) Ignored(ctx context.Context, siteID int64) (map[Name]bool, error) {
	rows, err := s.db.Read().QueryContext(ctx, "select kind, name from seen_ignored where site_id = $1", siteID)
	if err != nil {
		return nil, s.db.Explain(err)
	}
	defer rows.Close()
	set := map[Name]bool{}
	for rows.Next() {
		var n Name
		if err := rows.Scan(&n.Kind, &n.Name); err != nil {
			return nil, s.db.Explain(err)
		}
		set[n] = true
	}
	return set, s.db.Explain(rows.Err())
}

// Ignore hides a name of the site's list, or shows it again. Errors: a fault of
// kind NotFound for a name that is not in it.
func (s *Store) Ignore(ctx context.Context, siteID int64, n Name, ignore bool) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var known int
		err := tx.QueryRowContext(ctx, "select count(*) from seen where site_id = $1 and kind = $2 and name = $3", siteID, n.Kind, n.Name).Scan(&known)
		if err != nil {
			return err
		}
		if known == 0 {
			return errNotSeen
		}
		if !ignore {
			if _, err = tx.ExecContext(ctx, "delete from seen_ignored where site_id = $1 and kind = $2 and name = $3", siteID, n.Kind, n.Name); err != nil {
				return err
			}
			return s.db.Record(ctx, tx, db.Change{Action: SeenIgnored, SiteID: siteID, Target: n.Kind + " " + n.Name, Fields: []db.Field{{Name: "ignored", Before: "true", After: "false"}}})
		}
		_, err = tx.ExecContext(ctx, `insert into seen_ignored (site_id, kind, name) values ($1, $2, $3)
			on conflict (site_id, kind, name) do nothing`, siteID, n.Kind, n.Name)
		if err != nil {
			return err
		}
		return s.db.Record(ctx, tx, db.Change{Action: SeenIgnored, SiteID: siteID, Target: n.Kind + " " + n.Name, Fields: []db.Field{{Name: "ignored", Before: "false", After: "true"}}})
	})
}

// The actions of the audit log that are about what was seen.
const (
	SeenIgnored = "seen.ignore"
	SeenCleared = "seen.clear"
)

// Clear removes a site's rows, so that the list starts anew; what is ignored stays so.
func (s *Store) Clear(ctx context.Context, siteID int64) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "delete from seen where site_id = $1", siteID); err != nil {
			return err
		}
		return s.db.Record(ctx, tx, db.Change{Action: SeenCleared, SiteID: siteID})
	})
}
