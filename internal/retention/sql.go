package retention

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/regime/packs"
)

// Rules lists every rule: those for all sites first, then by site and regime.
func (s *Store) Rules(ctx context.Context) ([]Rule, error) {
	rows, err := s.db.Read().QueryContext(ctx, "select site_id, regime, months from retention_rule order by site_id, regime")
	if err != nil {
		return nil, s.db.Explain(err)
	}
	defer rows.Close()
	var list []Rule
	for rows.Next() {
		var r Rule
		if err := rows.Scan(&r.SiteID, &r.Regime, &r.Months); err != nil {
			return nil, s.db.Explain(err)
		}
		list = append(list, r)
	}
	return list, s.db.Explain(rows.Err())
}

// Set makes or changes a rule. fault.Invalid: the regime is unknown or the months
// are too many.
func (s *Store) Set(ctx context.Context, r Rule) error {
	if err := check(r); err != nil {
		return err
	}
	if r.Months < 0 || r.Months > MostMonths {
		return fault.New(fault.Invalid, "Records are kept for 0 to %d months after their decision ended, not %d.", MostMonths, r.Months)
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		before, err := s.months(ctx, tx, r)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `insert into retention_rule (site_id, regime, months) values ($1, $2, $3)
			on conflict (site_id, regime) do update set months = excluded.months`, r.SiteID, r.Regime, r.Months); err != nil {
			return err
		}
		return s.record(ctx, tx, r, before, strconv.FormatInt(int64(r.Months), 10))
	})
}

// Drop removes the rule of a site and a regime, or says with fault.NotFound that
// there is none.
func (s *Store) Drop(ctx context.Context, r Rule) error {
	if err := check(r); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		before, err := s.months(ctx, tx, r)
		if err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, "delete from retention_rule where site_id = $1 and regime = $2", r.SiteID, r.Regime)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return fault.Wrap(fault.NotFound, err, "There is no such rule. assent retention list shows the rules.")
		}
		return s.record(ctx, tx, r, before, "")
	})
}

// Changed is the action of the audit log for rules.
const Changed = "retention.rule"

// months is what the rule of a site and a regime says, "" where there is none.
func (s *Store) months(ctx context.Context, tx *sql.Tx, r Rule) (string, error) {
	list, err := db.Strings(tx.QueryContext(ctx, "select cast(months as text) from retention_rule where site_id = $1 and regime = $2", r.SiteID, r.Regime))
	return strings.Join(list, ""), err
}

func (s *Store) record(ctx context.Context, tx *sql.Tx, r Rule, before, after string) error {
	return s.db.Record(ctx, tx, db.Change{Action: Changed, SiteID: r.SiteID, Target: r.Regime, Detail: map[string]string{"rule": r.String()},
		Fields: db.Fields(map[string]string{"months": before}, map[string]string{"months": after})})
}

func check(r Rule) error {
	if p := packs.Get(r.Regime); r.Regime != "" && (p == nil || p.World()) {
		return fault.New(fault.Invalid, "%q is no regime of a jurisdiction. docs/regimes.md lists them, for example eu or uk; leave it out for every regime.", r.Regime)
	}
	return nil
}
