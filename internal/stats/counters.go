package stats

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"assent/internal/db"
)

// Dimensions are what counts are kept by, one at a time and never together: a row
// with six properties and the count 1 would be a visitor.
const (
	ByCountry  = "country"  // ISO 3166-1 alpha-2
	ByLanguage = "language" // of the notice, BCP 47
	ByDevice   = "device"   // consent.ParseAgent
	ByBrowser  = "browser"
	ByVersion  = "version"  // of the notice, hex
	ByHost     = "host"     // of the page
	ByPage     = "page"     // PageClass of its path; views only
	ByEntry    = "entry"    // the same of pages that were not reached from the site itself
	ByReferrer = "referrer" // host, or (direct)
	BySource   = "utm_source"
	ByMedium   = "utm_medium"
	ByCampaign = "utm_campaign"
	ByGPC      = "gpc"  // on or off
	ByHour     = "hour" // 00 to 23, of the site's time zone; made when a day is compacted

	inTotal = "" // the dimension whose only value is ""
)

// Dimensions in the order in which they are shown.
var Dimensions = []string{ByCountry, ByLanguage, ByDevice, ByBrowser, ByVersion, ByHost, ByPage, ByEntry, ByReferrer, BySource, ByMedium, ByCampaign, ByGPC, ByHour}

// Unknown is the value of what is not known.
const Unknown = "(unknown)"

// Direct is the referrer of pages that were reached from no other page.
const Direct = "(direct)"

// About is what is known of a page or a decision: each a class (see class.go), not what
// a browser sent.
type About struct {
	Country, Language, Device, Browser, Version, Host string
	Page                                              string
	Referrer                                          string // "" on pages that were reached from the site itself
	Source, Medium, Campaign                          string
	GPC                                               bool
}

// each calls fn for the dimensions in which the metrics are counted.
func (a *About) each(fn func(dimension, value string)) {
	known := func(dimension, value string) {
		if value == "" {
			value = Unknown
		}
		fn(dimension, value)
	}
	fn(inTotal, "")
	known(ByCountry, a.Country)
	known(ByLanguage, a.Language)
	known(ByDevice, a.Device)
	known(ByBrowser, a.Browser)
	known(ByVersion, a.Version)
	known(ByHost, a.Host)
	fn(ByGPC, map[bool]string{true: "on", false: "off"}[a.GPC])
	a.arrival(fn)
}

// arrival are the dimensions that only the browser knows.
func (a *About) arrival(fn func(dimension, value string)) {
	for _, d := range [...][2]string{{ByReferrer, a.Referrer}, {BySource, a.Source}, {ByMedium, a.Medium}, {ByCampaign, a.Campaign}} {
		if d[1] != "" {
			fn(d[0], d[1])
		}
	}
}

// Bounds of what strangers can make us keep. What finds no room is counted under OtherValue.
const (
	maxValues    = 200    // of a dimension of a site, in an hour
	maxDayValues = 400    // in a day
	maxRowsAlive = 60_000 // rows in memory, of all sites
	maxFresh     = 20_000 // visitors that wait to be looked up, of all sites; further ones count as views only
)

const hour = int64(time.Hour / time.Millisecond)

// Counters counts what happens on the banner and the pages of sites. It is safe for
// concurrent use, also by several processes on one database.
//
// What is added is kept in memory for up to a second: a crash loses that. Decisions
// are not added but read from the register, where they are safe, and counted in one
// transaction with the place up to which they are: none is lost or counted twice.
type Counters struct {
	db       *db.DB
	now      func() time.Time
	register Register
	salts    salts
	total    int64 // records in all registers at the last pass; Run's goroutine only

	mu      sync.Mutex
	pending map[int64]*waiting // by site
	rows    int                // in all of them
	fresh   int
}

// waiting is what is to be added to a site's counters.
type waiting struct {
	slots map[int64]map[string]table // by hour and dimension
	fresh map[visitor]*visit
}

func newWaiting() *waiting {
	return &waiting{slots: map[int64]map[string]table{}, fresh: map[visitor]*visit{}}
}

// NewCounters makes them. now is the system's clock when it is nil; register may have
// no functions, then no decisions are counted.
func NewCounters(d *db.DB, now func() time.Time, register Register) *Counters {
	if now == nil {
		now = time.Now
	}
	c := &Counters{db: d, now: now, register: register, pending: map[int64]*waiting{}}
	c.salts.db = d
	return c
}

// Event is something that a page tells.
type Event struct {
	Metric Metric // Shown, Opened, Views; All, Partially or Necessary for how the visitor came
	Times  int64
}

// Add counts events of one page in memory. addr and agent are where they came from:
// with the day's salt they become a hash, and nothing else is kept of them. It waits
// for the database once a day, for the salt.
func (c *Counters) Add(siteID int64, about *About, addr netip.Addr, agent string, events ...Event) {
	now := c.now()
	slot := now.UnixMilli() / hour * hour
	salt, day := c.salts.of(now)
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.pending[siteID]
	if w == nil {
		w = newWaiting()
		c.pending[siteID] = w
	}
	for _, e := range events {
		add := func(dimension, value string) { c.row(w, slot, dimension, value).Counts[e.Metric] += e.Times }
		switch e.Metric {
		case All, Partially, Necessary: // the register counts them by everything else
			about.arrival(add)
			continue
		case Views:
			about.each(add)
			c.page(w, slot, about, e.Times)
		default:
			about.each(add)
		}
		if once, counted := oncePerDay[e.Metric]; counted && salt != nil && c.fresh < maxFresh {
			v := salt.visitor(siteID, once, addr, agent)
			if _, known := w.fresh[v]; !known && !c.salts.known(day, v) {
				w.fresh[v] = &visit{day: day, slot: slot, metric: once, about: *about}
				c.fresh++
			}
		}
	}
}

// page counts a view by its page, and as an entry.
func (c *Counters) page(w *waiting, slot int64, about *About, times int64) {
	if about.Page == "" {
		return
	}
	c.row(w, slot, ByPage, about.Page).Counts[Views] += times
	if about.Referrer != "" {
		c.row(w, slot, ByEntry, about.Page).Counts[Views] += times
		about.each(func(dimension, value string) { c.row(w, slot, dimension, value).Counts[Entries] += times })
	}
}

// row is called with the lock held.
func (c *Counters) row(w *waiting, slot int64, dimension, value string) *row {
	tables := w.slots[slot]
	if tables == nil {
		tables = map[string]table{}
		w.slots[slot] = tables
	}
	t := tables[dimension]
	if t == nil {
		t = table{}
		tables[dimension] = t
	}
	limit := maxValues
	if c.rows >= maxRowsAlive {
		limit = 0
	}
	before := len(t)
	r := t.at(value, limit)
	c.rows += len(t) - before
	return r
}

// Run writes the counters about once a second until ctx ends, and once more then. It
// counts the register's new decisions, compacts and drops what is old.
func (c *Counters) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	failing := false
	var kept int64
	for {
		err := c.Flush(ctx)
		if err == nil {
			err = c.Follow(ctx)
		}
		if this := c.now().UnixMilli() / hour; err == nil && this != kept {
			if err = c.Keep(ctx); err == nil {
				kept = this
			}
		}
		if err != nil && !failing && ctx.Err() == nil {
			slog.Error("statistics cannot be written; they wait in memory", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer stop()
			if err := c.Flush(last); err != nil {
				slog.Error("the last statistics could not be written", "error", err)
			}
			return
		case <-tick.C:
		}
	}
}

// Flush writes what was added since the last time. After an error it is kept for the
// next one.
func (c *Counters) Flush(ctx context.Context) error {
	c.mu.Lock()
	taken := c.pending
	c.pending, c.rows, c.fresh = map[int64]*waiting{}, 0, 0
	c.mu.Unlock()
	sites := make([]int64, 0, len(taken))
	for id := range taken {
		sites = append(sites, id)
	}
	slices.Sort(sites)
	var failed error
	for _, id := range sites {
		if err := c.apply(ctx, id, taken[id], nil); err != nil {
			failed = errors.Join(failed, err)
			c.putBack(id, taken[id])
		}
	}
	return failed
}

func (c *Counters) putBack(siteID int64, w *waiting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.pending[siteID]
	if now == nil {
		now = newWaiting()
		c.pending[siteID] = now
	}
	for slot, tables := range w.slots {
		for dimension, t := range tables {
			for value, r := range t {
				c.row(now, slot, dimension, value).add(r)
			}
		}
	}
	for v, visit := range w.fresh {
		if _, known := now.fresh[v]; !known && c.fresh < maxFresh {
			now.fresh[v] = visit
			c.fresh++
		}
	}
}

// Campaign is what is kept of a utm_source, utm_medium or utm_campaign: at most 60 bytes
// in lower case; "*" for what looks as if it were about one visitor. Its class is itself.
func Campaign(s string) string {
	s = strings.ToLower(strings.Join(strings.Fields(s), " "))
	if len(s) > 60 {
		return "*"
	}
	digits, hex := 0, 0
	for i := range len(s) {
		c := s[i]
		isDigit, isHex := '0' <= c && c <= '9', 'a' <= c && c <= 'f'
		if isDigit {
			digits++
		} else {
			digits = 0
		}
		if isDigit || isHex || c == '-' {
			hex++
		} else {
			hex = 0
		}
		// A day in digits has eight; addresses, keys and card numbers more.
		if digits > 8 || hex > 15 || !isDigit && (c < 'a' || c > 'z') && !strings.ContainsRune("-_.~+ /|:*", rune(c)) {
			return "*"
		}
	}
	return s
}
