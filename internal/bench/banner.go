package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"assent/internal/db"

	"github.com/andybalholm/brotli"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Limits of the banner, beside Orejime and beside the page without us.
const (
	limitVisible  = 0.95
	limitPaint    = 1.02
	limitBlocking = 2 * time.Millisecond
	limitAccept   = 25 * time.Millisecond
)

// A phone on a slow line, as browsers' own tools simulate it: CPU four times
// slower, 1.44 Mbit/s down, 562 ms to the first byte of each answer.
const (
	slowCPU     = 4
	slowBytes   = 180_000 // bytes a second
	slowLatency = 562.5   // ms
)

// visit is what one page view showed; times are of the page's own clock, in ms.
type visit struct {
	Visible, Paint, Blocking, Shift, Accept float64
	Long                                    int
}

// watcher runs before the page. It looks at each frame until the banner can be seen, and never after. %s tells whether the banner can be seen. A page
// is reloaded when everything is accepted, so the figure is kept in its window's name.
const watcher = `(() => {
	const m = window.measured = { visible: 0, paint: 0, blocking: 0, shift: 0, long: 0 };
	const busy = (l) => { for (const e of l.getEntries()) { m.long++; m.blocking += e.duration - 50 } };
	const tasks = new PerformanceObserver(busy);
	tasks.observe({ type: "longtask", buffered: true });
	new PerformanceObserver((l) => { for (const e of l.getEntries()) m.shift += e.value }).observe({ type: "layout-shift", buffered: true });
	const seen = () => { const e = %s; return !!e && e.getBoundingClientRect().height > 40 };
	const look = () => { if (seen()) m.visible = performance.now(); else if (!m.still.bare) requestAnimationFrame(look) };
	requestAnimationFrame(look);
	m.still = async (bare) => {
		m.still.bare = bare;
		while (!m.visible && !bare) await new Promise((done) => setTimeout(done, 100));
		await new Promise((done) => setTimeout(done, 600));
		busy({ getEntries: () => tasks.takeRecords() });
		return { ...m, paint: performance.getEntriesByName("first-paint")[0].startTime };
	};
	addEventListener("click", (event) => {
		const check = () => {
			// Nothing changes while it looks, and looking takes longer than the page does.
			const took = performance.now() - event.timeStamp;
			if (seen() || !document.cookie.includes("assent_")) setTimeout(check);
			else window.name = "accept " + took;
		};
		setTimeout(check);
	}, true);
})()`

const (
	assentBanner  = `document.querySelector("assent-consent")?.shadowRoot?.querySelector(".banner")`
	orejimeBanner = `document.querySelector(".orejime-Banner")`
	noBanner      = `null`
)

// measureBanner opens one page in its forms by turns: without anything, with the
// boot, with the tag, and with Orejime, each with an empty cache on a slow line.
func (b *bench) measureBanner(ctx context.Context) error {
	st, err := b.stores.empty(ctx, db.SQLite)
	if err != nil {
		return err
	}
	defer b.stores.remove(ctx, st)
	p, err := b.running(ctx, st)
	if err != nil {
		return err
	}
	defer p.stop()
	forms, err := b.forms(ctx, st, p.addr)
	if err != nil {
		return err
	}
	server := httptest.NewServer(forms)
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		return err
	}
	browser, stop := chromium(ctx)
	defer stop()
	// One browser for all visits, awake before the first.
	if err := chromedp.Do(browser, chromedp.Navigate("about:blank")); err != nil {
		return err
	}
	rounds := 3 * b.rounds
	if b.quick {
		rounds = 1
	}
	visits := map[string][]visit{}
	for range rounds {
		for name, form := range forms {
			if name == before {
				continue
			}
			v, err := view(browser, "http://shop.localhost:"+port+"/", name, form)
			if err != nil {
				return fmt.Errorf("the page %q: %w", name, err)
			}
			visits[name] = append(visits[name], v)
		}
	}
	b.reportBanner(visits)
	return nil
}

func (b *bench) reportBanner(visits map[string][]visit) {
	get := func(form string, of func(visit) float64) time.Duration {
		var all []float64
		for _, v := range visits[form] {
			all = append(all, of(v))
		}
		return time.Duration(middle(all) * float64(time.Millisecond))
	}
	visible, paint := func(v visit) float64 { return v.Visible }, func(v visit) float64 { return v.Paint }
	bare := get("bare", paint)
	for _, form := range []string{"boot", "tag"} {
		took, peer := get(form, visible), get("orejime", visible)
		ratio := float64(took) / float64(peer)
		b.report.add(line{what: "banner visible, 4x CPU, slow 4G, " + form, figure: ms(took), beside: ms(peer) + " Orejime 3.2.1; the bare page paints at " + ms(bare),
			ratio: ratioText(ratio), limit: "≤ " + ratioText(limitVisible), ok: ratio <= limitVisible})
	}
	took := get("boot", paint)
	ratio := float64(took) / float64(bare)
	sheet, sheeted := get("sheet", paint), get("sheet-boot", paint)
	b.report.add(line{what: "first paint with the boot, page with a style sheet of its own", figure: ms(sheeted), beside: ms(sheet) + " without us",
		ratio: ratioText(float64(sheeted) / float64(sheet)), ok: true})
	b.report.add(line{what: "first paint with the boot", figure: ms(took), beside: ms(bare) + " without us; " + ms(get("tag", paint)) + " tag, " + ms(get("orejime", paint)) + " Orejime",
		ratio: ratioText(ratio), limit: "≤ " + ratioText(limitPaint), ok: ratio <= limitPaint})
	// What the page does without us is not ours: each visit stands beside the bare one of its round.
	beyond := func(form string, of func(visit) float64) float64 {
		var all []float64
		for i, v := range visits[form] {
			all = append(all, of(v)-of(visits["bare"][i]))
		}
		return max(0, middle(all))
	}
	blocked, tasks := func(v visit) float64 { return v.Blocking }, func(v visit) float64 { return float64(v.Long) }
	blocking := time.Duration(beyond("boot", blocked) * float64(time.Millisecond))
	b.report.add(line{what: "total blocking time with the boot, beyond the bare page's", figure: ms(blocking),
		beside: ms(time.Duration(beyond("orejime", blocked)*float64(time.Millisecond))) + " Orejime; " + ms(get("bare", blocked)) + " the bare page itself",
		ratio:  "-", limit: "≤ " + ms(limitBlocking), ok: blocking <= limitBlocking})
	shift, long := 0.0, beyond("boot", tasks)
	for _, v := range visits["boot"] {
		shift = max(shift, v.Shift)
	}
	b.report.add(line{what: "layout shift of the worst visit, and long tasks beyond the bare page's, with the boot", figure: fmt.Sprintf("%.3f, %.0f", shift, long),
		beside: fmt.Sprintf("%.0f Orejime's", beyond("orejime", tasks)), ratio: "-", limit: "0, 0", ok: shift == 0 && long == 0})
	accept := get("boot", func(v visit) float64 { return v.Accept })
	b.report.add(line{what: "accept all: click to hidden and stored, 4x CPU", figure: ms(accept), beside: "-", ratio: "-", limit: "≤ " + ms(limitAccept), ok: accept <= limitAccept})
}

func ratioText(v float64) string { return fmt.Sprintf("%.3f", v) }

// before is the page that a visitor comes from.
const before = "before"

// form is one page, what tells that its banner can be seen, and the button that accepts, where that is measured.
type form struct{ html, seen, accept string }

// forms are the pages by name, on a host that browsers take brotli from without TLS. Orejime's files are served from the site itself.
type forms map[string]form

func (f forms) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	body, kind := []byte(f[name].html), "text/html; charset=utf-8"
	switch name {
	case "page.css":
		body, kind = []byte(pageStyle), "text/css"
	case "orejime-standard-en.js", "orejime-standard.css":
		body, _ = os.ReadFile(filepath.Join("node_modules", "orejime", "dist", name))
		kind = map[string]string{".js": "text/javascript", ".css": "text/css"}[filepath.Ext(name)]
	}
	if len(body) == 0 {
		http.NotFound(w, r)
		return
	}
	var packed bytes.Buffer
	z := brotli.NewWriterLevel(&packed, brotli.BestCompression)
	z.Write(body)
	z.Close()
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Encoding", "br")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(packed.Bytes())
}

// pageStyle is the page's own style.
const pageStyle = "body{font:1em/1.5 sans-serif;margin:2em}"

func (b *bench) forms(ctx context.Context, st *store, addr string) (forms, error) {
	if _, err := os.Stat("node_modules/orejime/dist"); err != nil {
		return nil, errors.New("the peer, Orejime, is not there to be measured beside; run make node in the project's folder, and the bench from it")
	}
	boot, err := exec.CommandContext(ctx, b.binary, append([]string{"site", "show", st.Site, "--boot", "--public-url", "http://" + addr}, st.flags()...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("assent site show --boot: %w", err)
	}
	text := "<p>" + strings.Repeat("A shop says what it sells, to whom, and why that is worth a visit. ", 12) + "</p>"
	styled := func(head, style string) string {
		return `<!doctype html><html lang="en"><head>` + head + `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Shop</title>` +
			style + `</head><body><h1>Shop</h1>` + strings.Repeat(text, 6) + `</body></html>`
	}
	html := func(head string) string { return styled(head, "<style>"+pageStyle+"</style>") }
	// As most sites have it: the page waits for a file of its own before it paints.
	sheet := func(head string) string { return styled(head, `<link rel="stylesheet" href="/page.css">`) }
	orejime := `<link rel="stylesheet" href="/orejime-standard.css"><script>window.orejimeConfig={privacyPolicyUrl:"/privacy",purposes:[` +
		`{id:"functional",title:"Functional",cookies:[]},{id:"analytics",title:"Analytics",cookies:[]},{id:"advertising",title:"Advertising",cookies:[]}]}</script>` +
		`<script src="/orejime-standard-en.js" defer></script>`
	return forms{
		before:       {html(""), noBanner, ""},
		"bare":       {html(""), noBanner, ""},
		"sheet":      {sheet(""), noBanner, ""},
		"sheet-boot": {sheet(strings.TrimSpace(string(boot))), assentBanner, ""},
		"boot":       {html(strings.TrimSpace(string(boot))), assentBanner, assentBanner + `.querySelector(".accept").assignedElements()[0]`},
		"tag":        {html(`<script src="http://` + addr + `/b/` + st.Site + `.js"></script>`), assentBanner, ""},
		"orejime":    {html(orejime), orejimeBanner, ""},
	}, nil
}

func chromium(ctx context.Context) (context.Context, func()) {
	options := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.Flag("no-sandbox", os.Geteuid() == 0), chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("host-resolver-rules", "MAP * 127.0.0.1"))
	allocator, stop := chromedp.NewExecAllocator(ctx, options...)
	browser, cancel := chromedp.NewContext(allocator)
	return browser, func() { cancel(); stop() }
}

// view opens one page as a new visitor's: in a browser context of its own, without
// cache, cookies and storage. The tab has shown another page of the shop before, and so
// neither the start of a process nor the search for fonts is measured. It waits until the
// banner is there and the page has been still for a moment, and accepts if asked to.
func view(browser context.Context, shop, name string, form form) (v visit, err error) {
	tab, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	defer cancel()
	tab, done := context.WithTimeout(tab, time.Minute)
	defer done()
	if err := chromedp.Do(tab, chromedp.EmulateViewport(412, 823, chromedp.EmulateMobile), chromedp.Navigate(shop+before)); err != nil {
		return v, err
	}
	_, err = chromedp.Call(tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: fmt.Sprintf(watcher, form.seen)})
	if err != nil {
		return v, err
	}
	if _, err := chromedp.Run(tab, chromedp.Evaluate[bool](`new Promise((done) => requestIdleCallback(() => done(true)))`, chromedp.EvalAwaitPromise)); err != nil {
		return v, err
	}
	if err := unwatched(tab); err != nil {
		return v, err
	}
	if err := slowPhone(tab); err != nil {
		return v, err
	}
	if err := chromedp.Do(tab, chromedp.Navigate(shop+name)); err != nil {
		return v, err
	}
	v, err = chromedp.Run(tab, chromedp.Evaluate[visit]("measured.still("+fmt.Sprint(form.seen == noBanner)+")", chromedp.EvalAwaitPromise))
	if err != nil || form.accept == "" {
		return v, err
	}
	at, err := chromedp.Run(tab, chromedp.Evaluate[[2]float64](`(() => { const r = (`+form.accept+`).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`))
	if err != nil {
		return v, err
	}
	if err := chromedp.Do(tab, chromedp.MouseClickXY(at[0], at[1])); err != nil {
		return v, err
	}
	if err := until(tab, `window.name.startsWith("accept ")`); err != nil {
		return v, err
	}
	v.Accept, err = chromedp.Run(tab, chromedp.Evaluate[float64](`Number(window.name.slice(7))`))
	return v, err
}

// unwatched ends what only a debugger wants and no visitor's browser does. With the Runtime
// domain on, Chromium keeps the call stack of each request that a script makes, and to find its
// lines reads every function on the way again (V8.CollectSourcePositions in a trace: 15 functions,
// 8 to 46 ms at this CPU for a boot, nothing for a page whose requests are in its mark-up).
func unwatched(tab context.Context) error {
	for _, domain := range []string{"Runtime", "Log", "CSS", "DOM"} {
		if _, err := chromedp.Call(tab, cdp.Command[cdp.Empty, cdp.Empty]{Method: domain + ".disable"}, cdp.Empty{}); err != nil {
			return err
		}
	}
	return nil
}

// slowPhone makes a tab as slow as the constants say, and as new as a first visit.
func slowPhone(tab context.Context) error {
	line := []*network.Conditions{{Latency: slowLatency, DownloadThroughput: slowBytes, UploadThroughput: slowBytes / 2}}
	for _, call := range []func() error{
		func() error {
			_, err := chromedp.Call(tab, network.ClearBrowserCookies, cdp.Empty{})
			return err
		},
		func() error {
			_, err := chromedp.Call(tab, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
			return err
		},
		func() error {
			_, err := chromedp.Call(tab, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: line})
			return err
		},
		func() error {
			_, err := chromedp.Call(tab, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: slowCPU})
			return err
		},
	} {
		if err := call(); err != nil {
			return err
		}
	}
	return nil
}

// until asks again and again whether an expression holds; the tab's context bounds it.
func until(tab context.Context, expression string) error {
	for {
		holds, err := chromedp.Run(tab, chromedp.Evaluate[bool]("!!("+expression+")"))
		if holds {
			return nil
		}
		if err != nil && tab.Err() != nil {
			return fmt.Errorf("%s: %w", expression, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
