package stats

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
)

// Settings are what a site wants to be counted like.
type Settings struct {
	// Threshold: a value with fewer answers, visitors and views than this is not shown; 1 to 1000, 1 shows all.
	Threshold int64
	// Days is how long counters are kept; 30 to 1860. CNIL 2020-091 allows 25 months
	// for audience measurement without consent.
	Days int64
	// Zone is the IANA name of the time zone of days and hours.
	Zone string
}

// Usual are the settings of a site that never changed any.
var Usual = Settings{Threshold: 5, Days: 760, Zone: "UTC"}

// Location is the zone, UTC where this machine does not know it.
func (s Settings) Location() *time.Location {
	if l, err := time.LoadLocation(s.Zone); err == nil && s.Zone != "Local" {
		return l
	}
	return time.UTC
}

// check is nil, or a fault of kind Unprocessed.
func (s Settings) check() error {
	switch {
	case s.Threshold < 1 || s.Threshold > 1000:
		return fault.New(fault.Unprocessed, "The threshold is a number from 1 (show everything) to 1000.")
	case s.Days < 30 || s.Days > 1860:
		return fault.New(fault.Unprocessed, "Counters are kept for 30 to 1860 days.")
	}
	if _, err := time.LoadLocation(s.Zone); err != nil || s.Zone == "" || s.Zone == "Local" || len(s.Zone) > 60 {
		return fault.New(fault.Unprocessed, "This server knows no time zone of this name. Write it like Europe/Berlin, or UTC.")
	}
	return nil
}

// Settings reads a site's settings.
func (c *Counters) Settings(ctx context.Context, siteID int64) (Settings, error) {
	s, _, err := settings(ctx, c.db.Read(), "", siteID)
	if errors.Is(err, sql.ErrNoRows) {
		return Usual, nil
	}
	return s, c.db.Explain(err)
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func settings(ctx context.Context, q querier, lock string, siteID int64) (s Settings, counted int64, err error) {
	err = q.QueryRowContext(ctx, "select threshold, days, zone, counted from counting where site_id = $1"+lock, siteID).
		Scan(&s.Threshold, &s.Days, &s.Zone, &counted)
	return s, counted, err
}

// Configure changes a site's settings. Errors: a fault of kind Unprocessed for values
// that cannot be, NotFound for a site that is gone.
func (c *Counters) Configure(ctx context.Context, siteID int64, s Settings) error {
	if err := s.check(); err != nil {
		return err
	}
	return c.db.Write(ctx, func(tx *sql.Tx) error {
		before, _, err := c.lock(ctx, tx, siteID)
		if err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return fault.New(fault.NotFound, "There is no site with this key.")
			}
			return err
		}
		if _, err := tx.ExecContext(ctx, "update counting set threshold = $1, days = $2, zone = $3 where site_id = $4", s.Threshold, s.Days, s.Zone, siteID); err != nil {
			return err
		}
		return c.db.Record(ctx, tx, db.Change{Action: SettingsChanged, SiteID: siteID, Fields: db.Fields(before.fields(), s.fields())})
	})
}

// SettingsChanged is the action of the audit log for these settings.
const SettingsChanged = "statistics.change"

func (s Settings) fields() map[string]string {
	return map[string]string{"threshold": strconv.FormatInt(s.Threshold, 10), "days": strconv.FormatInt(s.Days, 10), "zone": s.Zone}
}

// lock makes this transaction the only one that changes a site's counters, and returns
// the site's settings and how far its register is counted. sql.ErrNoRows: the site is gone.
func (c *Counters) lock(ctx context.Context, tx *sql.Tx, siteID int64) (Settings, int64, error) {
	lock := ""
	if c.db.Engine == db.Postgres {
		lock = " for update"
	}
	s, counted, err := settings(ctx, tx, lock, siteID)
	if !errors.Is(err, sql.ErrNoRows) {
		return s, counted, err
	}
	_, err = tx.ExecContext(ctx, `insert into counting (site_id, counted, threshold, days, zone)
		select id, cast(0 as bigint), cast($2 as bigint), cast($3 as bigint), cast($4 as text) from site where id = $1
		on conflict (site_id) do nothing`, siteID, Usual.Threshold, Usual.Days, Usual.Zone)
	if err != nil {
		return s, 0, err
	}
	return settings(ctx, tx, lock, siteID)
}

// progress is a step through a site's register: records from and up to.
type progress struct{ from, to int64 }

var errElsewhere = errors.New("stats: another process has counted these records")

// apply adds to a site's counters in one transaction, and with p notes how far its
// register is counted by that. What a site that is gone has sent is dropped.
func (c *Counters) apply(ctx context.Context, siteID int64, w *waiting, p *progress) error {
	err := c.db.Write(ctx, func(tx *sql.Tx) error {
		_, counted, err := c.lock(ctx, tx, siteID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if p != nil {
			if counted != p.from {
				return errElsewhere
			}
			if _, err := tx.ExecContext(ctx, "update counting set counted = $1 where site_id = $2", p.to, siteID); err != nil {
				return err
			}
		}
		fresh, err := newcomers(ctx, tx, w.fresh)
		if err != nil {
			return err
		}
		slots := maps.Clone(fresh)
		maps.Copy(slots, w.slots)
		for _, slot := range slices.Sorted(maps.Keys(slots)) {
			if err := c.mergeHour(ctx, tx, siteID, slot, w.slots[slot], fresh[slot]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		c.salts.remember(w.fresh)
	}
	return err
}

// newcomers writes the visitors that the database does not know yet, and counts them.
func newcomers(ctx context.Context, tx *sql.Tx, fresh map[visitor]*visit) (map[int64]map[string]table, error) {
	counted := newWaiting()
	list := slices.SortedFunc(maps.Keys(fresh), func(a, b visitor) int { return strings.Compare(string(a[:]), string(b[:])) })
	for _, v := range list {
		visit := fresh[v]
		done, err := tx.ExecContext(ctx, "insert into visitor_seen (day, hash) values ($1, $2) on conflict (day, hash) do nothing", visit.day, v[:])
		if err != nil {
			return nil, err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			if err != nil {
				return nil, err
			}
			continue
		}
		visit.about.each(func(dimension, value string) {
			counted.row(visit.slot, dimension, value).Counts[visit.metric]++
		})
	}
	return counted.slots, nil
}

// row is that of a value, without a bound: what it is merged into has one.
func (w *waiting) row(slot int64, dimension, value string) *row {
	if w.slots[slot] == nil {
		w.slots[slot] = map[string]table{}
	}
	t := w.slots[slot][dimension]
	if t == nil {
		t = table{}
		w.slots[slot][dimension] = t
	}
	return t.at(value, maxFresh)
}

// mergeHour adds tables to those of an hour.
func (c *Counters) mergeHour(ctx context.Context, tx *sql.Tx, siteID, slot int64, adding ...map[string]table) error {
	stored, err := tables(ctx, tx, maxValues, "site_id = $1 and slot = $2 and hours = 1", siteID, slot)
	if err != nil {
		return err
	}
	changed := map[string]bool{}
	for _, more := range adding {
		for dimension, t := range more {
			if stored[dimension] == nil {
				stored[dimension] = table{}
			}
			stored[dimension].merge(t, maxValues)
			changed[dimension] = true
		}
	}
	for _, dimension := range slices.Sorted(maps.Keys(changed)) {
		if err := put(ctx, tx, siteID, slot, 1, dimension, stored[dimension]); err != nil {
			return err
		}
	}
	return nil
}

func put(ctx context.Context, tx *sql.Tx, siteID, slot, hours int64, dimension string, t table) error {
	_, err := tx.ExecContext(ctx, `insert into counter (site_id, slot, hours, dimension, data) values ($1, $2, $3, $4, $5)
		on conflict (site_id, slot, hours, dimension) do update set data = excluded.data`, siteID, slot, hours, dimension, t.pack())
	return err
}

// tables reads tables by dimension and adds up those of one.
func tables(ctx context.Context, tx *sql.Tx, limit int, where string, args ...any) (map[string]table, error) {
	rows, err := tx.QueryContext(ctx, "select dimension, data from counter where "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]table{}
	for rows.Next() {
		var dimension string
		var data []byte
		if err := rows.Scan(&dimension, &data); err != nil {
			return nil, err
		}
		if found[dimension] == nil {
			found[dimension] = table{}
		}
		if err := found[dimension].unpack(data, limit); err != nil {
			return nil, err
		}
	}
	return found, rows.Err()
}

// hourly is for how long a day keeps its hours in every dimension; after that they
// are put together, and the hours of the total stay.
const hourly = 2 // days

// Keep puts the hours of days that are over together, and drops what is older than a
// site wants it kept, and the salts of former days.
func (c *Counters) Keep(ctx context.Context) error {
	now := c.now()
	if err := c.salts.forget(ctx, now); err != nil {
		return err
	}
	rows, err := c.db.Read().QueryContext(ctx, "select site_id, days, zone from counting order by site_id")
	if err != nil {
		return c.db.Explain(err)
	}
	type kept struct {
		id int64
		Settings
	}
	var sites []kept
	for rows.Next() {
		var k kept
		if err := rows.Scan(&k.id, &k.Days, &k.Zone); err != nil {
			rows.Close()
			return c.db.Explain(err)
		}
		sites = append(sites, k)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return c.db.Explain(err)
	}
	for _, k := range sites {
		zone := k.Location()
		if err := c.compact(ctx, k.id, zone, midnight(now.In(zone)).AddDate(0, 0, -hourly)); err != nil {
			return err
		}
		err := c.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "delete from counter where site_id = $1 and slot < $2", k.id, midnight(now.In(zone)).AddDate(0, 0, -int(k.Days)).UnixMilli())
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func midnight(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, t.Location())
}

// compact puts the hours before a day together, a day in a transaction.
func (c *Counters) compact(ctx context.Context, siteID int64, zone *time.Location, before time.Time) error {
	for {
		var oldest sql.NullInt64
		err := c.db.Read().QueryRowContext(ctx, "select min(slot) from counter where site_id = $1 and hours = 1 and slot < $2", siteID, before.UnixMilli()).Scan(&oldest)
		if err != nil || !oldest.Valid {
			return c.db.Explain(err)
		}
		day := midnight(time.UnixMilli(oldest.Int64).In(zone))
		if err := c.db.Write(ctx, func(tx *sql.Tx) error { return c.compactDay(ctx, tx, siteID, day) }); err != nil {
			return fmt.Errorf("the hours of a day could not be put together: %w", err)
		}
	}
}

func (c *Counters) compactDay(ctx context.Context, tx *sql.Tx, siteID int64, day time.Time) error {
	if _, _, err := c.lock(ctx, tx, siteID); errors.Is(err, sql.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	slot, next := day.UnixMilli(), midnight(day.Add(36*time.Hour)).UnixMilli()
	const hours = "site_id = $1 and slot >= $2 and slot < $3 and hours = 1"
	whole, err := tables(ctx, tx, 24*maxValues, "(site_id = $1 and slot = $2 and hours = 24) or ("+hours+")", siteID, slot, next)
	if err != nil {
		return err
	}
	byHour, err := hoursOf(ctx, tx, day.Location(), hours, siteID, slot, next)
	if err != nil {
		return err
	}
	if whole[ByHour] == nil {
		whole[ByHour] = table{}
	}
	whole[ByHour].merge(byHour, maxValues)
	for dimension, t := range whole {
		t.trim(maxDayValues)
		if err := put(ctx, tx, siteID, slot, 24, dimension, t); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "delete from counter where "+hours, siteID, slot, next)
	return err
}

// hoursOf is the total of each hour of the day, without categories and services.
func hoursOf(ctx context.Context, tx *sql.Tx, zone *time.Location, where string, args ...any) (table, error) {
	rows, err := tx.QueryContext(ctx, "select slot, data from counter where "+where+" and dimension = ''", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	byHour := table{}
	for rows.Next() {
		var slot int64
		var data []byte
		if err := rows.Scan(&slot, &data); err != nil {
			return nil, err
		}
		total := table{}
		if err := total.unpack(data, 1); err != nil {
			return nil, err
		}
		if r := total[""]; r != nil {
			byHour.at(hourName(slot, zone), 24).Counts.add(&r.Counts)
		}
	}
	return byHour, rows.Err()
}

func hourName(slot int64, zone *time.Location) string {
	return time.UnixMilli(slot).In(zone).Format("15")
}
