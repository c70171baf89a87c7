package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"assent/internal/app"
	"assent/internal/db"
	"assent/internal/stats"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// The desk that pages are measured on: besides a full register, so many sites and
// a year of statistics of a busy one.
const (
	consoleSites  = 100
	limitPage     = 100 * time.Millisecond
	limitOverview = 300 * time.Millisecond
	paints        = 15
)

// measureConsole measures what the console's pages take on the server, each asked
// for one after another, and when the overview of all sites is first painted.
func (b *bench) measureConsole(ctx context.Context) error {
	st, err := b.stores.fullOf(ctx, db.SQLite)
	if err != nil {
		return err
	}
	pages, records, err := furnish(ctx, st)
	if err != nil {
		return err
	}
	p, client, err := b.signedIn(ctx, st)
	if err != nil {
		return err
	}
	defer p.stop()
	var slowest time.Duration
	var name, list string
	for _, page := range pages {
		p95, err := pageTime(client, "http://"+p.addr+page[1])
		if err != nil {
			return fmt.Errorf("%s: %w", page[0], err)
		}
		list += fmt.Sprintf(", %s %s", page[0], ms(p95))
		if p95 > slowest {
			slowest, name = p95, page[0]
		}
	}
	b.stores.log("pages, p95%s", list)
	b.report.add(line{what: fmt.Sprintf("the slowest of %d console pages (%s), %d sites, %s records, a year of statistics, SQLite, p95", len(pages), name, consoleSites, thousands(float64(records))),
		figure: ms(slowest), beside: list[2:], ratio: percent(float64(slowest) / float64(limitPage)), limit: "< " + ms(limitPage), ok: slowest < limitPage})
	paint, err := overviewPaint(ctx, p.addr)
	if err != nil {
		return err
	}
	b.report.add(line{what: fmt.Sprintf("first contentful paint of the overview, %d sites, %gx CPU", consoleSites, float64(slowCPU)), figure: ms(paint),
		ratio: percent(float64(paint) / float64(limitOverview)), limit: "< " + ms(limitOverview), ok: paint < limitOverview})
	return nil
}

// furnish adds to a store what a desk in use has, and returns the pages to open, by name.
func furnish(ctx context.Context, st *store) (pages [][2]string, records int64, err error) {
	parts, err := app.Open(ctx, st.config())
	if err != nil {
		return nil, 0, err
	}
	defer parts.Close()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	if err := stats.Fill(ctx, parts.DB, st.SiteID, today, 365, viewsADay); err != nil {
		return nil, 0, err
	}
	for i := range consoleSites - 1 {
		name := fmt.Sprintf("shop-%d.example", i)
		if _, err := parts.Sites.Add(ctx, []string{name}, name, app.CommandLine); err != nil {
			return nil, 0, err
		}
	}
	if err := addOfficer(ctx, parts); err != nil {
		return nil, 0, err
	}
	state, err := parts.Register.State(ctx, st.SiteID)
	if err != nil {
		return nil, 0, err
	}
	record, visitor, err := anyRecord(ctx, parts.DB, st.SiteID, state.Size)
	if err != nil {
		return nil, 0, err
	}
	base := "/console/sites/" + st.Site
	day := today.AddDate(0, 0, -20).Format(time.DateOnly)
	return [][2]string{
		{"sites", "/console/sites"}, {"site", base}, {"editor", base + "/banner"}, {"publish", base + "/publish"}, {"versions", base + "/versions"},
		{"install", base + "/install"}, {"seen", base + "/seen"}, {"catalogue", base + "/catalogue?q=google"},
		{"register", base + "/register"}, {"a day", base + "/register?from=" + day + "&to=" + day}, {"record", base + "/records/" + record.String()}, {"visitor", base + "/visitors/" + visitor.String()},
		{"retention", base + "/retention?preview=1"}, {"webhooks", base + "/webhooks"},
		{"statistics, a month", base + "/statistics?period=month"}, {"statistics, a year", base + "/statistics?period=year"},
		{"members", "/console/members"}, {"activity", "/console/activity"}, {"account", "/console/account"},
	}, state.Size, nil
}

// overviewPaint is the median time to the first contentful paint of the overview in a
// slow browser, counted from the beginning of the navigation.
func overviewPaint(ctx context.Context, addr string) (time.Duration, error) {
	browser, stop := chromium(ctx)
	defer stop()
	tab, cancel := context.WithTimeout(browser, 2*time.Minute)
	defer cancel()
	if err := chromedp.Do(tab, chromedp.EmulateViewport(1280, 900), chromedp.Navigate("http://"+addr+"/console/sign-in")); err != nil {
		return 0, err
	}
	signedIn := fmt.Sprintf(`fetch("/console/sign-in", {method: "POST", body: new URLSearchParams({email: %q, password: %q})}).then((r) => r.ok)`, benchEmail, benchPassword)
	if ok, err := chromedp.Run(tab, chromedp.Evaluate[bool](signedIn, chromedp.EvalAwaitPromise)); err != nil || !ok {
		return 0, fmt.Errorf("signing in with the browser: %w", err)
	}
	if _, err := chromedp.Call(tab, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}); err != nil {
		return 0, err
	}
	if _, err := chromedp.Call(tab, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: slowCPU}); err != nil {
		return 0, err
	}
	overview := "/console/sites"
	const painted = `performance.getEntriesByName("first-contentful-paint")[0]`
	var times []float64
	for range paints {
		if err := chromedp.Do(tab, chromedp.Navigate("http://"+addr+overview)); err != nil {
			return 0, err
		}
		if err := until(tab, painted); err != nil {
			return 0, err
		}
		at, err := chromedp.Run(tab, chromedp.Evaluate[float64](painted+".startTime"))
		if err != nil {
			return 0, err
		}
		times = append(times, at)
	}
	slices.Sort(times)
	return time.Duration(times[len(times)/2] * float64(time.Millisecond)), nil
}
