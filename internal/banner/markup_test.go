package banner

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/memory"
	"github.com/chromedp/chromedp"
)

// markedNotice is a site that only marks its elements, with a service of every category.
func markedNotice() *site.Notice {
	n := notice()
	n.Enforcement.Policy = false
	return n
}

// integrity is what a page says of a third party's file (W3C Subresource Integrity).
func (w *web) integrity(path string) string {
	r, err := http.NewRequest("GET", w.server.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Host = w.url(tracker, "")[len("http://"):]
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.foreign = nil
	w.mu.Unlock()
	sum := sha256.Sum256(body)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// scriptsPage holds scripts of every kind, in an order that is not the one they run in.
const scriptsPage = `<!doctype html><html lang="en"><head>{tag}<script>window.ran = []; window.seen = {}</script>
<script type="text/plain" data-assent="count" src="{tracker}/late.js" defer></script>
<script type="text/plain" data-assent="count" data-type="module">ran.push("module " + (document.readyState != "loading"))</script>
<script type="text/plain" data-assent="count" data-src="{tracker}/old.js" nomodule></script>
<script type="text/plain" data-assent="count" data-type="importmap">{"imports": {"named": "{tracker}/named.js"}}</script>
<script type="text/plain" data-assent="count" data-src="{tracker}/one.js" integrity="{good}" crossorigin="anonymous" referrerpolicy="no-referrer" fetchpriority="low" nonce="n0nce"
  onload="const s = document.currentScript ?? event.target; seen.one = [s.integrity, s.crossOrigin, s.referrerPolicy, s.getAttribute('fetchpriority'), s.nonce, s.async, s.type].join()"></script>
<script type="text/plain" data-assent="count" data-src="{tracker}/forged.js" integrity="{good}" crossorigin></script>
<script type="text/plain" data-assent="count" data-src="{tracker}/data.js" data-type="text/x-template"></script>
<script type="text/plain" data-assent="count">ran.push("inline")</script>
<script type="text/plain" data-assent="count" data-src="{tracker}/two.js"></script>
<script type="text/plain" data-assent="count" data-src="{tracker}/three.js"></script>
</head><body><h1>Shop</h1>
<template data-assent="count"><p id="from-template">text</p><script src="{tracker}/four.js"></script><script>ran.push("in template " + Boolean(document.getElementById("after")))</script><b id="after"></b><script src="{tracker}/five.js"></script></template>
<script type="text/plain" data-assent="count" data-type="module" data-src="{tracker}/module.js"></script>
<script type="text/plain" data-assent="count" data-type="module">import "named"; ran.push("imported")</script>
<script type="text/plain" data-assent="count" async data-src="{tracker}/any.js" id="any"></script>
<script type="text/plain" data-assent="count">ran.push("last"); document.write("<i id=w>w</i>"); document.open(); document.close()</script>
</body></html>`

// scriptsOrder is what HTML says of these scripts in a page without us, files that may come at any time aside.
const scriptsOrder = "/one.js,inline,/two.js,/three.js,/four.js,in template true,/five.js,last,/late.js,module true,/module.js,/named.js,imported"

func TestScriptsOfEveryKindKeepTheirOrder(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, markedNotice(), "")
	good := w.integrity("/one.js")
	w.show(strings.ReplaceAll(scriptsPage, "{good}", good))
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	w.mu.Lock()
	if len(w.foreign) != 0 {
		t.Errorf("requests before a choice: %v", w.foreign)
	}
	w.mu.Unlock()
	check := func(when string) {
		t.Helper()
		browsertest.Wait(t, ctx, "ran.includes('imported') && ran.includes('/any.js')")
		if got := browsertest.Eval[string](t, ctx, "ran.filter(r => r != '/any.js').join()"); got != scriptsOrder {
			t.Errorf("%s the scripts ran in the order\n%s, want\n%s", when, got, scriptsOrder)
		}
		if got, want := browsertest.Eval[string](t, ctx, "seen.one"), good+",anonymous,no-referrer,low,n0nce,false,"; got != want {
			t.Errorf("%s a script has %s, want %s", when, got, want)
		}
		if !browsertest.Eval[bool](t, ctx, "Boolean(document.querySelector('h1').textContent == 'Shop' && document.querySelector('#w') && document.querySelector('body > #from-template'))") {
			t.Errorf("%s document.write or document.open blanked the page, or the template is not in its place", when)
		}
	}
	browsertest.Eval[any](t, ctx, "void (window.same = true, assent.set({services: {count: true}}))")
	check("after a choice")
	if !browsertest.Eval[bool](t, ctx, "same") {
		t.Error("the page was loaded again")
	}
	browsertest.Open(t, ctx, w.url(shop, "/again"))
	check("on the next page")
}

func TestElementsOfEveryKindWait(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, markedNotice(), `<!doctype html><html lang="en"><head>{tag}
		<link rel="stylesheet" data-assent="count" data-href="{tracker}/sheet.css">
		<style type="text/plain" data-assent="count">h1 { color: rgb(1, 2, 3) }</style></head><body><h1>Shop</h1>
		<img alt="" data-assent="count" data-srcset="{tracker}/wide 1x" data-src="{tracker}/narrow">
		<picture><source data-assent="count" data-srcset="{tracker}/picture"><img alt="" data-assent="count" data-src="{tracker}/fallback"></picture>
		<video data-assent="count" data-src="{tracker}/film" data-poster="{tracker}/poster"></video>
		<video id="sources"><source data-assent="count" data-src="{tracker}/first" type="video/mp4"><source data-assent="count" data-src="{tracker}/second" type="video/mp4"></video>
		<audio data-assent="count" data-src="{tracker}/song"></audio>
		<object data-assent="count" data-data="{tracker}/object.html"></object>
		<iframe title="Film" data-assent="count advertising" data-src="{tracker}/both.html"></iframe>
		</body></html>`)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	w.mu.Lock()
	if len(w.foreign) != 0 {
		t.Errorf("requests before a choice: %v", w.foreign)
	}
	w.mu.Unlock()
	browsertest.Eval[any](t, ctx, "void assent.set({services: {count: true}})")
	for _, path := range []string{"/sheet.css", "/wide", "/picture", "/film", "/poster", "/first", "/second", "/song", "/object.html"} {
		browsertest.Until(t, "a request for "+path, func() bool { return w.asked(path) > 0 })
	}
	browsertest.Wait(t, ctx, "getComputedStyle(document.querySelector('h1')).color == 'rgb(1, 2, 3)'")
	for _, path := range []string{"/narrow", "/fallback", "/both.html"} {
		if w.asked(path) > 0 {
			t.Errorf("%s was requested: a better source, or a key that is not granted, stands beside it", path)
		}
	}
	browsertest.Eval[any](t, ctx, "void assent.set('all')")
	browsertest.Until(t, "a request for /both.html", func() bool { return w.asked("/both.html") > 0 })
}

func TestPagesThatChangeThemselvesAreFollowed(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, markedNotice(), `<!doctype html><html lang="en"><head>{tag}<script>window.ran = []</script></head><body><main id="view"></main></body></html>`)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	browsertest.Eval[any](t, ctx, `void (() => {
		window.make = html => document.createRange().createContextualFragment(html);
		view.append(make('<div id="route"><script type="text/plain" data-assent="count">ran.push("kept")<\/script><img id="kept" alt="" data-assent="count" data-src="/kept"></div>'));
		window.route = document.getElementById("route");
		view.append(make('<div id="gone"><script type="text/plain" data-assent="count" data-src="`+w.url(tracker, "/gone.js")+`"><\/script></div>'));
		route.remove();
	})()`)
	browsertest.Eval[any](t, ctx, "assent.set({services: {count: true}}).then(() => document.getElementById('gone').remove())")
	// What was away while it was released is released when it comes back, once.
	browsertest.Eval[any](t, ctx, "void view.append(route)")
	browsertest.Wait(t, ctx, "ran.includes('kept') && document.querySelector('#kept').src.endsWith('/kept')")
	browsertest.Eval[any](t, ctx, "void (route.remove(), view.append(route), view.append(make('<script type=\"text/plain\" data-assent=\"count\">ran.push(\"next\")<\\/script>')))")
	browsertest.Wait(t, ctx, "ran.includes('next')")
	if got := browsertest.Eval[string](t, ctx, "ran.filter(r => r != '/gone.js').join()"); got != "kept,next" {
		t.Errorf("ran %s, want each script once", got)
	}
	// A framework may use an element again for another address, and a player change its own.
	browsertest.Eval[any](t, ctx, "void (document.querySelector('#kept').src = '/own')")
	browsertest.Eval[any](t, ctx, "void view.append(make('<img id=late alt=\"\" data-assent=count data-src=/late>'))")
	browsertest.Wait(t, ctx, "document.querySelector('#late').src.endsWith('/late')")
	if !browsertest.Eval[bool](t, ctx, "document.querySelector('#kept').src.endsWith('/own')") {
		t.Error("an address that the page changed itself was changed back")
	}
	browsertest.Eval[any](t, ctx, "void (document.querySelector('#kept').dataset.src = '/reused')")
	browsertest.Wait(t, ctx, "document.querySelector('#kept').src.endsWith('/reused')")
}

// counters are what a page holds after its garbage was collected.
func counters(t *testing.T, ctx context.Context) memory.GetDOMCountersResult {
	t.Helper()
	for range 2 {
		if _, err := chromedp.Call(ctx, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := chromedp.Call(ctx, memory.GetDOMCounters, cdp.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The figure that is watched: nothing is left after 1,000 navigations.
func TestAThousandNavigationsLeaveNothing(t *testing.T) {
	for _, granted := range []bool{false, true} {
		t.Run(fmt.Sprintf("granted %v", granted), func(t *testing.T) {
			ctx := browsertest.Start(t)
			n := markedNotice()
			n.Services[1].Embed = true
			w := newWeb(t, n, `<!doctype html><html lang="en"><head>{tag}<script>window.ran = 0</script></head><body><main id="view"></main></body></html>`)
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Wait(t, ctx, banner)
			browsertest.Eval[any](t, ctx, fmt.Sprintf("assent.set(%q)", map[bool]string{true: "all", false: "none"}[granted]))
			browsertest.Wait(t, ctx, "!("+banner+") && !assent.get().waiting")
			browsertest.Eval[any](t, ctx, `void (window.visit = async (routes) => {
				for (let i = 0; i < routes; i++) {
					history.replaceState(null, "", "/route" + i % 7);
					view.replaceChildren(document.createRange().createContextualFragment(
						'<h2>Route</h2><iframe title="f" width="200" height="150" data-assent="count" data-src="about:blank"></iframe>' +
						'<div data-assent="count" style="height:90px">post</div><img alt="" data-assent="count" data-src="data:,">' +
						'<script type="text/plain" data-assent="count">ran++; document.write("<i>w</i>"); setTimeout(() => document.write("<u hidden></u>"), 0)<\/script>' +
						'<template data-assent="count"><p>in</p><script>ran++<\/script></template><style type="text/plain" data-assent="count">h2 { color: red }</style>'));
					// Whoever watches the page has asked for the frame before.
					await null;
					await new Promise(requestAnimationFrame);
					document.querySelectorAll("body > u").forEach((u) => u.remove());
				}
				view.replaceChildren();
				await null;
				await new Promise(requestAnimationFrame);
				document.querySelectorAll("body > u").forEach((u) => u.remove());
			})`)
			visit := func(routes int) {
				t.Helper()
				for ; routes > 0; routes -= 20 {
					browsertest.Eval[any](t, ctx, "visit(20)")
				}
			}
			visit(100)
			before := counters(t, ctx)
			visit(1000)
			var after memory.GetDOMCountersResult
			browsertest.Until(t, "as many nodes and listeners as before", func() bool {
				after = counters(t, ctx)
				return after.Nodes <= before.Nodes && after.JsEventListeners <= before.JsEventListeners && after.Documents <= before.Documents
			}, func() string { return fmt.Sprintf("%+v before, %+v after", before, after) })
			t.Logf("%+v before, %+v after", before, after)
			if ran := browsertest.Eval[int](t, ctx, "ran"); (ran == 2200) != granted {
				t.Errorf("%d scripts ran", ran)
			}
		})
	}
}
