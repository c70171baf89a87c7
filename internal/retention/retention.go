// Package retention holds how long consent records are kept, finds those whose
// time is over, and has the register erase them.
//
// A record is kept as long as its decision is in force, and a number of months
// after that: after the visitor decided anew, or the choice ran out because the
// notice asks again. So the newest decision of a visitor is kept while it is in
// force, whatever the rules say (Art. 7(1) GDPR: the controller must be able to
// demonstrate consent); nothing is kept longer than the rules say (Art. 5(1)(e)).
// Without a rule everything is kept.
package retention

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/regime/packs"
	"assent/internal/register"
	"assent/receipt"
)

// MostMonths bounds a rule.
const MostMonths = 240

// Rule says how long records are kept.
type Rule struct {
	SiteID int64  // 0: every site that has no rule of its own
	Regime string // key of a regime pack; "": every regime that has no rule of its own
	Months int    // after the decision was replaced or ran out, 0 to MostMonths
}

// String is the rule as erasure statements and reports name it.
func (r Rule) String() string {
	name := cmp.Or(r.Regime, "any regime")
	if r.Months == 1 {
		return name + ": 1 month"
	}
	return fmt.Sprintf("%s: %d months", name, r.Months)
}

// Site is what a run needs to know of a site.
type Site struct {
	ID  int64
	Key string
}

// Store keeps the rules and carries them out.
type Store struct {
	db       *db.DB
	register *register.Register
	// lifetime is for how many days a choice is relied on under a notice version.
	lifetime func(ctx context.Context, version string) (days int, err error)
	now      func() time.Time
}

// NewStore returns the store. lifetime tells for how many days a visitor's choice
// holds under a notice version, the longest where that depends on the place.
func NewStore(d *db.DB, r *register.Register, lifetime func(ctx context.Context, version string) (int, error), now func() time.Time) *Store {
	return &Store{d, r, lifetime, now}
}

// Due is what one rule would remove, or removed, of one site.
type Due struct {
	Site   string    `json:"site"`
	Rule   string    `json:"rule"`
	Count  int64     `json:"count"`
	Oldest time.Time `json:"oldest"` // decision
	Newest time.Time `json:"newest"` // decision
	Acts   []int64   `json:"leaves,omitempty"`

	siteID  int64
	indexes []int64 // descending
}

// Preview tells what a run would remove now, by site and rule.
func (s *Store) Preview(ctx context.Context, sites []Site) ([]Due, error) {
	rules, err := s.Rules(ctx)
	if err != nil {
		return nil, err
	}
	list := []Due{}
	for _, site := range sites {
		found, err := s.due(ctx, site, newChooser(rules, site.ID))
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// Run removes what Preview tells, and seals (register.Seal). When it fails in the
// middle, what it returns is done, and the rest is found by the next run.
func (s *Store) Run(ctx context.Context, sites []Site) ([]Due, error) {
	list, err := s.Preview(ctx, sites)
	if err != nil {
		return nil, err
	}
	for i := range list {
		d := &list[i]
		slices.Reverse(d.indexes)
		rest := d.indexes
		done, err := s.register.Erase(ctx, register.Erasing{SiteID: d.siteID, Reason: register.Retention, Rule: d.Rule,
			Next: func(_ context.Context, limit int) (part []int64, _ error) {
				part, rest = rest[:min(limit, len(rest))], rest[min(limit, len(rest)):]
				return part, nil
			}})
		d.Count, d.Acts = done.Records, done.Acts
		if err != nil {
			return list[:i+1], err
		}
	}
	return list, s.register.Seal(ctx)
}

// LongestChoice bounds how long a choice is relied on, in days: what is older
// has run out, whatever its notice says. Notices may say up to 390.
const LongestChoice = 400

// pageSize is how many records are read at a time.
const pageSize = 1000

// due finds the records of a site whose time is over. It reads them from the
// newest to the oldest; memory is 50 bytes or so for each visitor who decided
// within LongestChoice before the rules' cut-off, and 8 for each record that is due.
func (s *Store) due(ctx context.Context, site Site, rules *chooser) ([]Due, error) {
	if rules.none() {
		return nil, nil
	}
	now := s.now().UTC()
	newest, oldest := rules.cutoffs(now)
	replaced := map[uint64]time.Time{} // when a visitor decided next
	found := map[Rule]*Due{}
	lifetimes := map[string]time.Duration{}
	for q := (register.Query{SiteID: site.ID, To: newest, Limit: pageSize}); ; {
		page, err := s.register.Search(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page {
			r := &page[i]
			record, err := receipt.ParseRecord(r.Payload)
			if err != nil {
				return nil, fault.Wrap(fault.Unavailable, err, "The record at index %d of the site %s was changed in the database. Run assent fsck.", r.Index, site.Key)
			}
			life, ok := lifetimes[record.Version]
			if !ok {
				days, err := s.lifetime(ctx, record.Version)
				if err != nil {
					return nil, err
				}
				life = time.Duration(days) * 24 * time.Hour
				lifetimes[record.Version] = life
			}
			visitor := [16]byte(r.ConsentID)
			id := hash(visitor)
			ended := r.Time.Add(life)
			if next, ok := replaced[id]; ok && next.Before(ended) {
				ended = next
			}
			if r.Time.AddDate(0, 0, LongestChoice).After(oldest) {
				replaced[id] = r.Time
			}
			rule, ok := rules.choose(record.Country)
			if !ok || !ended.Before(now.AddDate(0, -rule.Months, 0)) {
				continue
			}
			d := found[rule]
			if d == nil {
				d = &Due{Site: site.Key, Rule: rule.String(), Newest: r.Time, siteID: site.ID}
				found[rule] = d
			}
			d.Count++
			d.Oldest = r.Time
			d.indexes = append(d.indexes, r.Index)
		}
		if len(page) < pageSize {
			break
		}
		q.Before = page[len(page)-1].Index
		if q.Before == 0 {
			break
		}
	}
	list := make([]Due, 0, len(found))
	for _, d := range found {
		list = append(list, *d)
	}
	slices.SortFunc(list, func(a, b Due) int { return cmp.Compare(a.Rule, b.Rule) })
	return list, nil
}

// hash takes the first half of a consent ID, which is random.
func hash(id [16]byte) (h uint64) {
	for _, b := range id[:8] {
		h = h<<8 | uint64(b)
	}
	for i, b := range id[8:] {
		h ^= uint64(b) << (8 * i)
	}
	return h
}

// chooser finds the rule for a record.
type chooser struct {
	own, all map[string]Rule // by regime
	known    map[string]chosen
	keys     []string
}

type chosen struct {
	rule Rule
	ok   bool
}

func newChooser(rules []Rule, siteID int64) *chooser {
	c := &chooser{own: map[string]Rule{}, all: map[string]Rule{}, known: map[string]chosen{}}
	for _, r := range rules {
		switch r.SiteID {
		case siteID:
			c.own[r.Regime] = r
		case 0:
			c.all[r.Regime] = r
		}
	}
	for _, p := range packs.All() {
		if !p.World() {
			c.keys = append(c.keys, p.Key)
		}
	}
	return c
}

func (c *chooser) none() bool { return len(c.own)+len(c.all) == 0 }

// under is the rule of one regime: a site's own rules come first, and among them
// the one for the regime.
func (c *chooser) under(regime string) (Rule, bool) {
	for _, rules := range []map[string]Rule{c.own, c.all} {
		for _, key := range []string{regime, ""} {
			if r, ok := rules[key]; ok {
				return r, true
			}
		}
	}
	return Rule{}, false
}

// choose finds the rule for a record by the country that it names. Where several
// regimes may govern (the country is unknown, or a part of it has a regime of its
// own) the longest rule counts, and where one of them has none, none.
func (c *chooser) choose(country string) (Rule, bool) {
	if found, ok := c.known[country]; ok {
		return found.rule, found.ok
	}
	var longest Rule
	sure := true
	for i, regime := range packs.In(c.keys, country, "") {
		r, ok := c.under(regime)
		sure = sure && ok
		if i == 0 || r.Months > longest.Months {
			longest = r
		}
	}
	if !sure {
		longest = Rule{}
	}
	c.known[country] = chosen{longest, sure}
	return longest, sure
}

// cutoffs are the latest and the earliest time before which a decision has to
// have ended, over all rules.
func (c *chooser) cutoffs(now time.Time) (newest, oldest time.Time) {
	least, most := MostMonths, 0
	for _, rules := range []map[string]Rule{c.own, c.all} {
		for _, r := range rules {
			least, most = min(least, r.Months), max(most, r.Months)
		}
	}
	return now.AddDate(0, -least, 0), now.AddDate(0, -most, 0)
}
