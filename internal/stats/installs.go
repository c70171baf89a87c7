package stats

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
	"time"
)

// Installed is where a site's tag was seen: a host, or a kind of page of it. It is
// worked out from what the script asks for and tells anyway, and is about no visit.
type Installed struct {
	Host string // HostClass; "" where browsers do not say from which page they ask
	Page string // PrivatePage; "" for the host as a whole
	Form string // of a host: "tag" or "boot", as it was last; "" of a page
	// Current is when it was last seen with the scripts in force, Old when with an
	// older boot, which names OldVersion. The minute of a host, the day of a page;
	// zero for never.
	Current, Old time.Time
	OldVersion   string
}

// Last is when it was last seen at all.
func (i *Installed) Last() time.Time {
	if i.Old.After(i.Current) {
		return i.Old
	}
	return i.Current
}

// Stale tells whether an older boot was seen later than the present one.
func (i *Installed) Stale() bool { return i.Old.After(i.Current) }

// Bounds of what strangers can make us keep about a site.
const (
	maxInstalled = 300 // rows
	maxStrange   = 10  // of them of hosts that are none of the site's
	maxNoted     = 20_000
)

type installKey struct {
	site       int64
	host, page string
}

// installs is what was seen since the last writing.
type installs struct {
	mu      sync.Mutex
	pending map[installKey]Installed
	// noted is what was written or will be, so that a busy page costs one look; it
	// starts anew when it is full.
	noted map[installKey]Installed
}

// Install notes that a site's script was asked for from a host (with its port, as
// browsers send it), or ran on a page of it. old is the notice version of an outdated boot, ""
// for what is in force; owns tells whether a host is the site's. It never waits for the
// database, and what was noted within the minute costs one look.
func (s *Store) Install(siteID int64, host, page, form, old string, owns func(host string) bool) {
	if len(host) > maxHost+6 {
		return
	}
	if page != "" {
		page = PrivatePage(page)
	}
	at := s.now().Truncate(time.Minute)
	if page != "" {
		at = day(at)
	}
	seen := Installed{Host: host, Page: page, Form: form, OldVersion: old, Current: at}
	if old != "" {
		seen.Current, seen.Old = time.Time{}, at
	}
	k := installKey{siteID, host, page}
	s.installs.mu.Lock()
	defer s.installs.mu.Unlock()
	if s.installs.noted[k] == seen {
		return
	}
	if s.installs.noted == nil || len(s.installs.noted) >= maxNoted {
		s.installs.noted = map[installKey]Installed{}
	}
	s.installs.noted[k] = seen
	if host != "" {
		class, ok := HostClass(host)
		if !ok {
			return
		}
		name := class
		if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, ']') {
			name = name[:i]
		}
		if !owns(name) {
			seen.Form = strangeForm
		}
		k.host = class
	}
	if s.installs.pending == nil {
		s.installs.pending = map[installKey]Installed{}
	}
	if was, known := s.installs.pending[k]; known {
		seen = merge(was, seen)
	} else if len(s.installs.pending) >= maxNoted {
		return
	}
	s.installs.pending[k] = seen
}

// strangeForm is the form of a host that is none of the site's domains.
const strangeForm = "elsewhere"

// Elsewhere tells whether the host was none of the site's when it was seen.
func (i *Installed) Elsewhere() bool { return i.Form == strangeForm }

func merge(a, b Installed) Installed {
	if a.Current.After(b.Current) {
		b.Current = a.Current
	}
	if a.Old.After(b.Old) {
		b.Old, b.OldVersion = a.Old, a.OldVersion
	}
	return b
}

// flushInstalls writes what was seen since the last time.
func (s *Store) flushInstalls(ctx context.Context) error {
	s.installs.mu.Lock()
	taken := s.installs.pending
	s.installs.pending = nil
	s.installs.mu.Unlock()
	if len(taken) == 0 {
		return nil
	}
	keys := make([]installKey, 0, len(taken))
	for k := range taken {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b installKey) int {
		return cmp.Or(cmp.Compare(a.site, b.site), strings.Compare(a.host, b.host), strings.Compare(a.page, b.page))
	})
	var failed error
	for part := range slices.Chunk(keys, 500) {
		err := s.db.Write(ctx, func(tx *sql.Tx) error {
			for _, k := range part {
				if err := putInstalled(ctx, tx, k, taken[k]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			failed = err
			s.installs.mu.Lock()
			s.installs.noted = nil // the next pages tell again
			s.installs.mu.Unlock()
		}
	}
	return failed
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func putInstalled(ctx context.Context, tx *sql.Tx, k installKey, i Installed) error {
	done, err := tx.ExecContext(ctx, `update installed set form = $1,
			current_at = case when current_at < $2 then $2 else current_at end,
			old_version = case when old_at < $3 then $4 else old_version end,
			old_at = case when old_at < $3 then $3 else old_at end
		where site_id = $5 and host = $6 and page = $7`, i.Form, milli(i.Current), milli(i.Old), i.OldVersion, k.site, k.host, k.page)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n > 0 {
		return err
	}
	var rows, strange int
	if err := tx.QueryRowContext(ctx, "select count(*), coalesce(sum(case when form = $2 then 1 else 0 end), 0) from installed where site_id = $1", k.site, strangeForm).Scan(&rows, &strange); err != nil {
		return err
	}
	if rows >= maxInstalled || i.Form == strangeForm && strange >= maxStrange {
		return nil
	}
	// The site may have been removed since: then nothing is kept.
	_, err = tx.ExecContext(ctx, `insert into installed (site_id, host, page, form, current_at, old_at, old_version)
		select id, cast($2 as text), cast($3 as text), cast($4 as text), cast($5 as bigint), cast($6 as bigint), cast($7 as text) from site where id = $1
		on conflict (site_id, host, page) do nothing`, k.site, k.host, k.page, i.Form, milli(i.Current), milli(i.Old), i.OldVersion)
	return err
}

// Installs lists where a site's tag was seen, hosts before their pages, the latest
// first. What was not seen for 90 days goes.
func (s *Store) Installs(ctx context.Context, siteID int64) (list []Installed, err error) {
	rows, err := s.db.Read().QueryContext(ctx, "select host, page, form, current_at, old_at, old_version from installed where site_id = $1", siteID)
	if err != nil {
		return nil, s.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var i Installed
		var current, old int64
		if err := rows.Scan(&i.Host, &i.Page, &i.Form, &current, &old, &i.OldVersion); err != nil {
			return nil, s.db.Explain(err)
		}
		if current > 0 {
			i.Current = time.UnixMilli(current).UTC()
		}
		if old > 0 {
			i.Old = time.UnixMilli(old).UTC()
		}
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b Installed) int {
		if (a.Page == "") != (b.Page == "") {
			return len(a.Page) - len(b.Page)
		}
		return cmp.Or(b.Last().Compare(a.Last()), strings.Compare(a.Host, b.Host), strings.Compare(a.Page, b.Page))
	})
	return list, s.db.Explain(rows.Err())
}

// sweepInstalls removes what was not seen since a time.
func sweepInstalls(ctx context.Context, tx *sql.Tx, before int64) error {
	_, err := tx.ExecContext(ctx, "delete from installed where current_at < $1 and old_at < $1", before)
	return err
}
