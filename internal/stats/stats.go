// Package stats keeps counters of what happened on the pages of a site, and
// nothing that could be about one visitor: what is counted is put into classes
// first (class.go), added up in memory, and written about once a second.
package stats

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
)

// Seen is something that pages wanted to load or to store: a row of the list
// "seen, not declared".
type Seen struct {
	Kind string // cookie, local_storage, session_storage, indexed_db or request; "other" for all that found no room
	Name string // host with port of a request, else the name that was stored under; its class
	// Directive is the part of the policy that a request was about (CSP Level 3,
	// effective directive), or how it was started (Resource Timing, initiatorType);
	// "" for names.
	Directive string
	Page      string // class of the page's path; "" for pages beyond the first ones
	Allowed   bool   // it was let through; else it was blocked
}

// Row is what is known of one Seen.
type Row struct {
	Seen
	First, Last time.Time // days, UTC
	Count       int64
}

// Bounds of what strangers can make us keep.
const (
	maxRows    = 500    // of one site, further ones are added to a single one of the kind Other
	maxPages   = 12     // of one name, further ones are added to a row without page
	maxPending = 20_000 // counters in memory, of all sites
	retention  = 90     // days after which a row that was not seen again goes
)

// Other is the kind of the row that counts what found no room.
const Other = "other"

// flushEvery is how often counters are written.
const flushEvery = time.Second

type key struct {
	site int64
	Seen
}

// Store adds up and keeps counters. It is safe for concurrent use, also by
// several processes on one database. What is added is written by Run or Flush.
type Store struct {
	db  *db.DB
	now func() time.Time

	mu      sync.Mutex
	pending map[key]int64
	sites   map[int64]int // how many pending counters each site has

	installs installs
}

// NewStore makes a store. now is the system's clock when it is nil.
func NewStore(d *db.DB, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{db: d, now: now, pending: map[key]int64{}, sites: map[int64]int{}}
}

// Class puts a report into its class; false when it is nothing that could be
// declared. pages send kind, name, directive and page.
func Class(kind, name, directive, page string, allowed bool) (Seen, bool) {
	s := Seen{Kind: kind, Page: PrivatePage(page), Allowed: allowed}
	switch kind {
	case "request":
		host, ok := HostClass(name)
		if !ok {
			return Seen{}, false
		}
		if s.Name, s.Directive = host, directive; !slices.Contains(directives, directive) {
			s.Directive = ""
		}
	case "cookie", "local_storage", "session_storage", "indexed_db":
		if s.Name = NameClass(name); s.Name == "" {
			return Seen{}, false
		}
	default:
		return Seen{}, false
	}
	return s, true
}

// directives are CSP Level 3's that load something, and Resource Timing's words
// for what started a request.
var directives = strings.Fields(`child-src connect-src default-src fenced-frame-src font-src frame-src img-src manifest-src media-src object-src
	prefetch-src script-src script-src-elem script-src-attr style-src style-src-elem style-src-attr worker-src form-action
	audio beacon body css embed fetch frame iframe image img input link object script track use video xmlhttprequest`)

// Add counts in memory. It never waits for the database.
func (s *Store) Add(siteID int64, seen Seen, n int) {
	if n <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(key{siteID, seen}, int64(n))
}

func (s *Store) add(k key, n int64) {
	if _, known := s.pending[k]; !known {
		if s.sites[k.site] >= maxRows || len(s.pending) >= maxPending {
			k.Seen = Seen{Kind: Other}
		}
		if _, known := s.pending[k]; !known {
			s.sites[k.site]++
		}
	}
	s.pending[k] += n
}

// Run writes the counters until ctx ends, and once more then. Rows that were
// not seen for 90 days go once a day.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	failing := false
	var swept time.Time
	for {
		err := s.Flush(ctx)
		if today := day(s.now()); err == nil && today.After(swept) {
			if _, err = s.Sweep(ctx); err == nil {
				swept = today
			}
		}
		if err != nil && !failing && ctx.Err() == nil {
			slog.Error("counters cannot be written; they wait in memory", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			// The database may hold a lock for another process: not for ever.
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer stop()
			if err := s.Flush(last); err != nil {
				slog.Error("the last counters could not be written", "error", err)
			}
			return
		case <-tick.C:
		}
	}
}

// Flush writes what was added since the last time. After an error it is kept
// for the next one.
func (s *Store) Flush(ctx context.Context) error {
	installs := s.flushInstalls(ctx)
	s.mu.Lock()
	if len(s.pending) == 0 {
		s.mu.Unlock()
		return installs
	}
	taken := s.pending
	s.pending, s.sites = map[key]int64{}, map[int64]int{}
	s.mu.Unlock()
	keys := make([]key, 0, len(taken))
	for k := range taken {
		keys = append(keys, k)
	}
	// Every process writes in the same order, so that none waits for another in a circle.
	slices.SortFunc(keys, compare)
	today := day(s.now()).UnixMilli()
	failed := installs
	for part := range slices.Chunk(keys, 500) { // the register's writer waits behind no long transaction
		if err := s.write(ctx, part, taken, today); err != nil {
			failed = errors.Join(failed, err)
			s.mu.Lock()
			for _, k := range part {
				s.add(k, taken[k])
			}
			s.mu.Unlock()
		}
	}
	return failed
}

func compare(a, b key) int {
	return cmp.Or(cmp.Compare(a.site, b.site), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name),
		strings.Compare(a.Directive, b.Directive), strings.Compare(a.Page, b.Page), cmp.Compare(outcome(a.Allowed), outcome(b.Allowed)))
}

func outcome(allowed bool) int {
	if allowed {
		return 1
	}
	return 0
}

// day is the beginning of the day, in UTC: nothing finer is kept.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// errNotSeen is what a member gets who names something that is not in the list.
var errNotSeen = fault.New(fault.NotFound, "This is not in the site's list any more. Open the list again.")
