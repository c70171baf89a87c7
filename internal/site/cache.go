package site

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
)

// Live is a site as visitors meet it: immutable, replaced as a whole.
type Live struct {
	ID      int64
	Key     string
	Version string
	Domains []string
	Bundle  *Bundle
	// Variants say which of the bundle's scripts is for whom; nil while the notice
	// behaves alike everywhere.
	Variants *Variants
	// GPC: Global Privacy Control is obeyed wherever the law asks for it, and more
	// widely where the site says so. Since is when that was published.
	GPC   bool
	Since time.Time
}

// Script is the script of a variant: the whole one, or the part with a name; nil
// when there is no such part. What was not compiled for a variant is the strictest's.
func (l *Live) Script(variant, part string) *Script {
	if variant != "" {
		if s := l.Bundle.Parts[variant+"~"+part]; s != nil {
			return s
		}
	}
	if part == "" {
		return &l.Bundle.Script
	}
	return l.Bundle.Parts[part]
}

// Owns tells whether host (lower case, no port) is one of the site's domains or
// a subdomain of one.
func (l *Live) Owns(host string) bool { return ownsHost(l.Domains, host) }

// Cache holds every published site in memory for the hot path and follows
// changes made by any process through a revision counter.
type Cache struct {
	db   *db.DB
	live atomic.Pointer[map[string]*Live]
	seen string // revision that live was made from; owned by the refreshing goroutine

	mu       sync.Mutex
	versions map[string]*Version // by hash; versions are immutable
}

// maxVersions bounds the cache of parsed versions; beyond it, it starts anew.
const maxVersions = 4096

// NewCache loads every site.
func NewCache(ctx context.Context, d *db.DB) (*Cache, error) {
	c := &Cache{db: d, versions: map[string]*Version{}}
	c.live.Store(&map[string]*Live{})
	return c, c.Refresh(ctx)
}

// Follow refreshes until ctx ends, several times a second: a published version
// is served within a second by every process.
func (c *Cache) Follow(ctx context.Context) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			err := c.Refresh(ctx)
			if err != nil && !failing && ctx.Err() == nil {
				slog.Error("sites cannot be refreshed; the last known ones stay in force", "error", err)
			}
			failing = err != nil
		}
	}
}

// Refresh takes over what has changed since the last call. One caller at a time.
func (c *Cache) Refresh(ctx context.Context) error {
	now, err := revision(ctx, c.db)
	if err != nil || now == c.seen {
		return err
	}
	sites, err := scanSites(c.db.Read().QueryContext(ctx, sitesQuery+" order by s.id, d.position"))
	if err != nil {
		return c.db.Explain(err)
	}
	etags, err := bundleETags(ctx, c.db)
	if err != nil {
		return err
	}
	old := *c.live.Load()
	fresh := make(map[string]*Live, len(sites))
	for _, s := range sites {
		if s.Version == "" {
			continue
		}
		l := &Live{ID: s.ID, Key: s.Key, Version: s.Version, Domains: s.Domains}
		if was := old[s.Key]; was != nil && was.Bundle.Build+was.Bundle.ETag == etags[s.Key] {
			l.Bundle = was.Bundle
		} else if l.Bundle, err = loadBundle(ctx, c.db, s.Version); err != nil {
			return err
		}
		if was := old[s.Key]; was != nil && was.Version == l.Version {
			l.Variants, l.GPC, l.Since = was.Variants, was.GPC, was.Since
		} else if err := c.behave(ctx, l); err != nil {
			return err
		}
		fresh[s.Key] = l
	}
	c.live.Store(&fresh)
	c.seen = now
	return nil
}

// behave works out how the version in force behaves where.
func (c *Cache) behave(ctx context.Context, l *Live) error {
	v, err := loadVersion(ctx, c.db, l.Version)
	if err != nil {
		return err
	}
	l.Since = v.PublishedAt
	vs := v.Notice.Variants()
	for i := range vs.List {
		l.GPC = l.GPC || vs.List[i].HonourGPC
	}
	if len(vs.List) > 1 {
		l.Variants = vs
	}
	return nil
}

// Site returns a published site, or nil. It takes no lock.
func (c *Cache) Site(key string) *Live { return (*c.live.Load())[key] }

// Version returns a published version of a site, also an older one that a page
// still shows. An unknown one is a fault of kind Unprocessed.
func (c *Cache) Version(ctx context.Context, key, hash string) (*Version, error) {
	c.mu.Lock()
	v := c.versions[hash]
	c.mu.Unlock()
	if v == nil {
		var err error
		if v, err = loadVersion(ctx, c.db, hash); err != nil {
			if fault.KindOf(err) == fault.NotFound {
				return nil, errUnknownVersion
			}
			return nil, err
		}
		v.variants = v.Notice.Variants()
		c.mu.Lock()
		if len(c.versions) >= maxVersions {
			clear(c.versions)
		}
		c.versions[hash] = v
		c.mu.Unlock()
	}
	if v.Site != key {
		return nil, errUnknownVersion
	}
	return v, nil
}

var errUnknownVersion = fault.New(fault.Unprocessed, "This notice version is not one of the site's. Load the page again, so that the current notice is shown.")
