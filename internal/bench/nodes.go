package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"assent/internal/app"
	"assent/internal/db"
)

// Shape of the rows about several nodes.
const (
	severalNodes = 3
	severalSites = 20
	limitNodes   = 1.0 // of one node
)

// measureNodes loads one node and three of them, on one PostgreSQL and the same
// cores: all decisions for one site, whose log every node has to grow, and then
// for 20 sites.
func (b *bench) measureNodes(ctx context.Context) error {
	for _, sites := range []int{1, severalSites} {
		one, three := b.nodesOn(1, sites), b.nodesOn(severalNodes, sites)
		if err := b.alternate(ctx, one, three); err != nil {
			return err
		}
		b.report.keep(one, three)
		ratio := ratioOf(three, one)
		b.report.add(line{what: fmt.Sprintf("`POST /v1/consents`, PostgreSQL, %d nodes, %s", severalNodes, siteCount(sites)), figure: per(three.median(perSecond)),
			beside: per(one.median(perSecond)) + " one node", ratio: percent(ratio), limit: "≥ " + percent(limitNodes), ok: ratio >= limitNodes})
	}
	return nil
}

func siteCount(n int) string {
	if n == 1 {
		return "one busy site"
	}
	return strconv.Itoa(n) + " sites"
}

// nodesOn is a number of nodes on one database, each with its share of the
// connections.
func (b *bench) nodesOn(nodes, sites int) *subject {
	var list []*store
	s := &subject{name: fmt.Sprintf("%d × Assent on PostgreSQL, %s", nodes, siteCount(sites)), path: "/healthz"}
	// Three processes that start at once take longer until all caches are warm.
	s.load = loadSpec{Code: 201, Check: checkConsent, Warm: 3 * time.Second}
	s.begin = func(ctx context.Context) (_ *process, err error) {
		if list, err = b.stores.withSites(ctx, sites); err != nil {
			return nil, err
		}
		s.load.Requests, s.load.Addrs = nil, nil
		for i, st := range list {
			for _, r := range consentRequests(st) {
				if i > 0 {
					r = forHost(r, siteDomain(i))
				}
				s.load.Requests = append(s.load.Requests, r)
			}
		}
		return b.serveNodes(ctx, s, list[0], nodes)
	}
	s.size = func(p *process) (sum int64, err error) {
		for _, st := range list {
			n, err := checkpointSize(p.addr, st.Site)
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	}
	s.end = func(ctx context.Context) error { return b.stores.remove(ctx, list[0]) }
	return s
}

func (b *bench) serveNodes(ctx context.Context, s *subject, st *store, nodes int) (*process, error) {
	var first *process
	for range nodes {
		p, err := b.serve(st)
		if err == nil {
			_, err = p.await(ctx, "/healthz")
		}
		if err != nil {
			if first != nil {
				err = errors.Join(err, first.stop())
			}
			return nil, err
		}
		if first == nil {
			first = p
		} else {
			first.more = append(first.more, p)
		}
		s.load.Addrs = append(s.load.Addrs, p.addr)
	}
	return first, nil
}

// all calls f with the process and those beside it.
func (p *process) all(f func(*process) error) error {
	err := f(p)
	for _, other := range p.more {
		err = errors.Join(err, f(other))
	}
	return err
}

func (p *process) cpuOfAll() (sum time.Duration, err error) {
	err = p.all(func(p *process) error {
		d, err := p.cpu()
		sum += d
		return err
	})
	return sum, err
}

func (p *process) memoryOfAll() (now, peak int64, err error) {
	err = p.all(func(p *process) error {
		n, m, err := p.memory()
		now, peak = now+n, peak+m
		return err
	})
	return now, peak, err
}

func siteDomain(i int) string { return "shop" + strconv.Itoa(i) + ".example" }

// forHost makes a request that of another site's page.
func forHost(r requestSpec, host string) requestSpec {
	headers := make([][2]string, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = [2]string{h[0], strings.ReplaceAll(h[1], domain, host)}
	}
	r.Headers, r.Body = headers, strings.ReplaceAll(r.Body, domain, host)
	return r
}

// withSites is a fresh PostgreSQL database with a number of published sites.
func (s *stores) withSites(ctx context.Context, n int) (list []*store, err error) {
	return s.withSitesOn(ctx, db.Postgres, n)
}

// withSitesOn is withSites on either engine.
func (s *stores) withSitesOn(ctx context.Context, e db.Engine, n int) (list []*store, err error) {
	first, err := s.empty(ctx, e)
	if err != nil {
		return nil, err
	}
	parts, err := app.Open(ctx, first.config())
	if err != nil {
		return nil, err
	}
	defer func() { err = cmp.Or(err, parts.Close()) }()
	list = []*store{first}
	draft, err := parts.Sites.Draft(ctx, first.Site)
	if err != nil {
		return nil, err
	}
	for i := 1; i < n; i++ {
		added, err := parts.Sites.Add(ctx, []string{siteDomain(i)}, siteDomain(i), app.CommandLine)
		if err != nil {
			return nil, err
		}
		if err := parts.Sites.SaveDraft(ctx, added.Key, draft); err != nil {
			return nil, err
		}
		v, err := parts.Sites.Publish(ctx, added.Key, app.CommandLine)
		if err != nil {
			return nil, err
		}
		list = append(list, &store{Dir: first.Dir, URL: first.URL, SiteID: added.ID, Site: added.Key, Version: v.Version})
	}
	return list, nil
}
