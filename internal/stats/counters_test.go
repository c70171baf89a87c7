package stats

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
)

var (
	jane   = netip.MustParseAddr("203.0.113.77")
	joe    = netip.MustParseAddr("2001:db8:77::7")
	agent  = "Mozilla/5.0 (Test; Jane's own machine 4711)"
	german = About{Country: "DE", Language: "de", Device: "desktop", Browser: "firefox", Version: "v1", Host: "shop.example", Page: "/product/*", Referrer: "news.example", Source: "letter", Campaign: "spring"}
)

func newCounters(t *testing.T, d *db.DB) (*Counters, *calendar) {
	t.Helper()
	_, clock := newStore(t, d)
	return NewCounters(d, clock.now, Register{}), clock
}

// all adds up everything that is stored of a site, by dimension and value.
func all(t *testing.T, d *db.DB, siteID int64) map[string]table {
	t.Helper()
	var found map[string]table
	must(t, d.Write(ctx, func(tx *sql.Tx) (err error) {
		found, err = tables(ctx, tx, 1<<20, "site_id = $1", siteID)
		return err
	}))
	return found
}

func count(t map[string]table, dimension, value string, m Metric) int64 {
	if r := t[dimension][value]; r != nil {
		return r.Counts[m]
	}
	return 0
}

func TestViewsAreCountedByOneDimensionAtATime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, clock := newCounters(t, d)
		c.Add(1, &german, jane, agent, Event{Views, 1}, Event{Shown, 1})
		c.Add(1, &german, jane, agent, Event{All, 1})
		french := About{Country: "FR", Language: "fr", Device: "mobile", Browser: "safari", Version: "v1", Host: "shop.example", Page: "/", GPC: true}
		c.Add(1, &french, joe, agent, Event{Views, 2})
		c.Add(2, &french, joe, agent, Event{Views, 1})
		c.Add(99, &french, joe, agent, Event{Views, 1}) // a site that is gone
		must(t, c.Flush(ctx))
		clock.pass(time.Hour)
		c.Add(1, &german, jane, agent, Event{Views, 1}) // midnight has passed in UTC: a visitor of another day
		must(t, c.Flush(ctx))
		got := all(t, d, 1)
		for _, want := range []struct {
			dimension, value string
			m                Metric
			n                int64
		}{
			{"", "", Views, 4}, {"", "", Visitors, 3}, {"", "", Shown, 1}, {"", "", Asked, 1}, {"", "", Entries, 2}, {"", "", All, 0},
			{ByCountry, "DE", Views, 2}, {ByCountry, "DE", Visitors, 2}, {ByCountry, "FR", Views, 2}, {ByCountry, "FR", Visitors, 1},
			{ByPage, "/product/*", Views, 2}, {ByPage, "/", Views, 2}, {ByEntry, "/product/*", Views, 2}, {ByEntry, "/", Views, 0},
			{ByReferrer, "news.example", Views, 2}, {ByReferrer, "news.example", All, 1}, {BySource, "letter", Visitors, 2}, {ByMedium, "", Views, 0},
			{ByCountry, "DE", All, 0}, // the register knows that
			{ByGPC, "on", Views, 2}, {ByGPC, "off", Views, 2},
		} {
			if n := count(got, want.dimension, want.value, want.m); n != want.n {
				t.Errorf("%s %s %s: %d, want %d", want.dimension, want.value, want.m, n, want.n)
			}
		}
		if len(all(t, d, 2)[ByCountry]) != 1 || len(all(t, d, 99)) != 0 {
			t.Error("sites are mixed up")
		}
	})
}

// Several processes and restarts count a visitor once a day, and after the day nothing
// leads to anybody.
func TestVisitorsAreCountedOnceAndForgotten(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var log bytes.Buffer
		before := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		defer slog.SetDefault(before)
		one, clock := newCounters(t, d)
		other := NewCounters(d, clock.now, Register{})
		for range 3 {
			for _, c := range []*Counters{one, other, NewCounters(d, clock.now, Register{})} {
				c.Add(1, &german, jane, agent, Event{Views, 1})
				c.Add(1, &german, joe, agent, Event{Views, 1})
				c.Add(2, &german, joe, agent, Event{Views, 1})
				must(t, c.Flush(ctx))
			}
		}
		if got := all(t, d, 1); count(got, "", "", Visitors) != 2 || count(got, "", "", Views) != 18 {
			t.Errorf("%d visitors, %d views", count(got, "", "", Visitors), count(got, "", "", Views))
		}
		if got := all(t, d, 2); count(got, "", "", Visitors) != 1 {
			t.Errorf("the other site: %d visitors", count(got, "", "", Visitors))
		}
		var hashes [][]byte
		collect(t, d, "select hash from visitor_seen", &hashes)
		if len(hashes) != 3 {
			t.Fatalf("%d hashes", len(hashes))
		}
		clock.pass(24 * time.Hour)
		one.Add(1, &german, jane, agent, Event{Views, 1})
		must(t, one.Flush(ctx))
		must(t, one.Keep(ctx))
		var left, salts [][]byte
		collect(t, d, "select hash from visitor_seen", &left)
		collect(t, d, "select salt from visitor_salt", &salts)
		if len(left) != 1 || len(salts) != 1 || slices.ContainsFunc(hashes, func(h []byte) bool { return bytes.Equal(h, left[0]) }) {
			t.Errorf("after the day %d hashes and %d salts are left, and one is the same as yesterday's", len(left), len(salts))
		}
		clock.pass(24 * time.Hour)
		must(t, one.Keep(ctx))
		everything := dump(t, d) + log.String()
		for _, about := range []string{"203.0.113", "2001:db8", "Mozilla", "Jane", "4711", string(hashes[0]), string(hashes[1]), string(left[0]), string(salts[0])} {
			if strings.Contains(everything, about) {
				t.Errorf("%q is still somewhere", about)
			}
		}
		if !strings.Contains(everything, "spring") {
			t.Error("the dump does not show what is stored")
		}
	})
}

func collect(t *testing.T, d *db.DB, query string, list *[][]byte) {
	t.Helper()
	rows, err := d.Read().Query(query)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var b []byte
		must(t, rows.Scan(&b))
		*list = append(*list, b)
	}
	must(t, rows.Err())
}

// dump is every value of every table.
func dump(t *testing.T, d *db.DB) string {
	t.Helper()
	tx, err := d.Snapshot(ctx)
	must(t, err)
	defer tx.Rollback()
	list, err := d.Tables(ctx, tx)
	must(t, err)
	var b strings.Builder
	for _, table := range list {
		rows, err := tx.Query("select * from " + table.Name)
		must(t, err)
		for rows.Next() {
			values := make([]any, len(table.Columns))
			targets := make([]any, len(values))
			for i := range values {
				targets[i] = &values[i]
			}
			must(t, rows.Scan(targets...))
			for _, v := range values {
				if raw, ok := v.([]byte); ok {
					v = string(raw)
				}
				fmt.Fprintln(&b, v)
			}
		}
		must(t, rows.Err())
	}
	return b.String()
}

func TestStrangersFillNeitherMemoryNorTables(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, _ := newCounters(t, d)
		for round := range 3 {
			for i := range 300 {
				about := german
				about.Campaign = fmt.Sprintf("c-%d-%d", round, i)
				c.Add(1, &about, jane, agent, Event{Views, 1})
			}
			must(t, c.Flush(ctx))
		}
		got := all(t, d, 1)[ByCampaign]
		var total int64
		for _, r := range got {
			total += r.Counts[Views]
		}
		if len(got) != maxValues || total != 900 || got[OtherValue].Counts[Views] != 900-maxValues+1 {
			t.Errorf("%d values with %d views, %d of them others", len(got), total, got[OtherValue].Counts[Views])
		}
	})
	c := NewCounters(dbtest.SQLite(t), nil, Register{})
	for site := range int64(60) {
		for i := range 150 {
			about := About{Country: fmt.Sprint(i), Host: fmt.Sprint(i), Page: fmt.Sprint("/", i), Referrer: fmt.Sprint(i), Source: fmt.Sprint(i), Medium: fmt.Sprint(i), Campaign: fmt.Sprint(i), Browser: fmt.Sprint(i)}
			c.Add(site, &about, netip.AddrFrom4([4]byte{10, 0, byte(site), byte(i)}), fmt.Sprint(i), Event{Views, 1})
		}
	}
	rows := 0
	for _, w := range c.pending {
		for _, tables := range w.slots {
			for _, t := range tables {
				rows += len(t)
			}
		}
	}
	if rows != c.rows || rows > maxRowsAlive+60*len(Dimensions)*2 || c.fresh > maxFresh {
		t.Errorf("%d rows (%d by count) and %d visitors wait in memory", rows, c.rows, c.fresh)
	}
}

func TestCountersWaitForTheDatabase(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, _ := newCounters(t, d)
		c.Add(1, &german, jane, agent, Event{Views, 1})
		gone, stop := context.WithCancel(ctx)
		stop()
		if err := c.Flush(gone); err == nil {
			t.Fatal("nothing failed")
		}
		c.Add(1, &german, jane, agent, Event{Views, 1})
		must(t, c.Flush(ctx))
		if got := all(t, d, 1); count(got, "", "", Views) != 2 || count(got, "", "", Visitors) != 1 {
			t.Errorf("%d views of %d visitors", count(got, "", "", Views), count(got, "", "", Visitors))
		}
	})
}

// ledger is a register of decisions in memory, as the statistics see one.
type ledger struct {
	mu   sync.Mutex
	list []Decision
}

func (l *ledger) register() Register {
	return Register{
		Sizes: func(context.Context) (map[int64]int64, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			return map[int64]int64{1: int64(len(l.list))}, nil
		},
		Decisions: func(_ context.Context, site, from, before int64, limit int) ([]Decision, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			list := slices.DeleteFunc(slices.Clone(l.list[from:before]), func(d Decision) bool { return d.Index%7 == 3 }) // erased
			return list[:min(limit, len(list))], nil
		},
	}
}

// Every decision is counted once, whoever counts, and whatever fails between.
func TestDecisionsAreCountedExactlyOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		_, clock := newStore(t, d)
		l := &ledger{}
		for i := range int64(3000) {
			l.list = append(l.list, Decision{Index: i, Time: clock.now().Add(-time.Duration(i) * time.Minute), Kind: Kind(i % 4), Status: All, About: german, Parts: map[string]bool{"c/analytics": i%8 == 0, "s/maps": false}})
		}
		var kinds [4]int64
		for _, one := range l.list {
			if one.Index%7 != 3 {
				kinds[one.Kind]++
			}
		}
		var work sync.WaitGroup
		for range 3 {
			c := NewCounters(d, clock.now, l.register())
			work.Go(func() {
				if err := c.CatchUp(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		c := NewCounters(d, clock.now, l.register())
		must(t, c.CatchUp(ctx))
		got := all(t, d, 1)
		want := [4]int64{count(got, "", "", All), count(got, "", "", Changed), count(got, "", "", Withdrawn), count(got, "", "", Signalled)}
		if want != kinds {
			t.Errorf("counted %v, the register has %v", want, kinds)
		}
		if n, err := c.Behind(ctx, 1); n != 0 || err != nil {
			t.Errorf("%d behind (%v)", n, err)
		}
		flags := map[string]Flags{}
		for _, p := range got[ByCountry]["DE"].parts {
			flags[p.key] = p.Flags
		}
		if f := flags["c/analytics"]; f.Granted+f.Refused != kinds[0] || f.Granted == 0 || f.Refused == 0 || flags["s/maps"].Refused != kinds[0] {
			t.Errorf("%v of %d answers", flags, kinds[0])
		}
		if count(got, ByReferrer, "news.example", All) != 0 {
			t.Error("the register knows no referrer")
		}
	})
}

func TestHoursBecomeDaysAndGo(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, clock := newCounters(t, d)
		clock.at = time.Date(2026, 3, 27, 0, 30, 0, 0, time.UTC)
		must(t, c.Configure(ctx, 1, Settings{Threshold: 5, Days: 30, Zone: "Europe/Berlin"}))
		var added int64
		for range 5 * 24 { // over the change to summer time on 29 March
			added++
			c.Add(1, &german, jane, agent, Event{Views, added})
			must(t, c.Flush(ctx))
			clock.pass(time.Hour)
		}
		before := all(t, d, 1)
		must(t, c.Keep(ctx))
		must(t, c.Keep(ctx))
		after := all(t, d, 1)
		byHour := after[ByHour]
		delete(after, ByHour)
		if !reflect.DeepEqual(before, after) {
			t.Error("the sums have changed")
		}
		days, hours := slots(t, d, 24), slots(t, d, 1)
		// The 28th began at 23:00 UTC, the 30th at 22:00.
		want := []string{"2026-03-26T23:00:00Z", "2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z"}
		if !slices.Equal(days, want) || len(hours) != 50 || hours[0] != "2026-03-29T22:00:00Z" {
			t.Errorf("days %v, hours from %s", days, hours[0])
		}
		if byHour["02"].Counts[Views] == 0 || byHour["23"].Counts[Views] == 0 || len(byHour) != 24 {
			t.Errorf("by hour: %d values", len(byHour))
		}
		// What comes late is added to its day.
		late := newWaiting()
		late.row(time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC).UnixMilli(), "", "").Counts[All] = 7
		must(t, c.apply(ctx, 1, late, nil))
		must(t, c.Keep(ctx))
		if got := all(t, d, 1); count(got, "", "", All) != 7 || count(got, "", "", Views) != added*(added+1)/2 || !slices.Equal(slots(t, d, 24), want) {
			t.Errorf("%d answers, %d views in %v", count(got, "", "", All), count(got, "", "", Views), slots(t, d, 24))
		}
		clock.at = time.Date(2026, 4, 27, 12, 0, 0, 0, time.UTC)
		must(t, c.Keep(ctx))
		if got := slots(t, d, 24); got[0] != "2026-03-27T23:00:00Z" {
			t.Errorf("after 30 days: %v", got)
		}
	})
}

func slots(t *testing.T, d *db.DB, hours int) (list []string) {
	t.Helper()
	rows, err := d.Read().Query("select distinct slot from counter where hours = $1 order by slot", hours)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var slot int64
		must(t, rows.Scan(&slot))
		list = append(list, time.UnixMilli(slot).UTC().Format(time.RFC3339))
	}
	must(t, rows.Err())
	return list
}

// A year of a site with a million views a month stays below 50 MB.
func TestYearIsSmall(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		newCounters(t, d)
		before := size(t, d)
		FillYear(t, d, 1, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
		if bytes := size(t, d) - before; bytes > 50<<20 || bytes < 1<<20 {
			t.Errorf("a year takes %.1f MB", float64(bytes)/(1<<20))
		} else {
			t.Logf("a year takes %.1f MB", float64(bytes)/(1<<20))
		}
	})
}

// FillYear writes 365 compacted days of a busy site before a day.
func FillYear(t testing.TB, d *db.DB, siteID int64, before time.Time) {
	t.Helper()
	if err := Fill(ctx, d, siteID, before, 365, 33_000); err != nil {
		t.Fatal(err)
	}
}

func size(t *testing.T, d *db.DB) (n int64) {
	t.Helper()
	query := "select page_count * page_size from pragma_page_count(), pragma_page_size()"
	if d.Engine == db.Postgres {
		query = "select pg_total_relation_size('counter')"
	}
	must(t, d.Read().QueryRow(query).Scan(&n))
	return n
}

func TestSettingsAreChecked(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, _ := newCounters(t, d)
		if s, err := c.Settings(ctx, 1); err != nil || s != Usual {
			t.Errorf("%+v %v", s, err)
		}
		for _, wrong := range []Settings{{0, 400, "UTC"}, {5, 5, "UTC"}, {5, 400, ""}, {5, 400, "Mars/Olympus"}, {5, 400, "Local"}, {5, 400, "../../etc/passwd"}} {
			if err := c.Configure(ctx, 1, wrong); err == nil {
				t.Errorf("%+v is taken", wrong)
			}
		}
		want := Settings{1, 60, "Asia/Kolkata"}
		must(t, c.Configure(ctx, 1, want))
		if s, err := c.Settings(ctx, 1); err != nil || s != want {
			t.Errorf("%+v %v", s, err)
		}
	})
}

func TestCampaignsKeepWords(t *testing.T) {
	for in, want := range map[string]string{
		"Summer  Sale 2026": "summer sale 2026", "letter_20261130": "letter_20261130", "": "", "jane@mail.example": "*", "jane%40mail.example": "*",
		"4111111111111111": "*", "0f8fad5b-d9cb-469f-a165-70867728950e": "*", "Frühling": "*", strings.Repeat("ab ", 30): "*", "<script>": "*", "*": "*",
	} {
		if got := Campaign(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func FuzzPack(f *testing.F) {
	t := table{"DE": {Counts: Counts{1, 2, 3}, parts: []part{{"c/analytics", Flags{1, 2}}}}, "": {Counts: Counts{Views: 1 << 40}}}
	f.Add(t.pack())
	f.Add([]byte{1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		got := table{}
		if got.unpack(data, 50) != nil {
			return
		}
		again := table{}
		if err := again.unpack(got.pack(), 51); err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%v, then %v (%v)", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(again)), err)
		}
	})
}
