package banner

import (
	"testing"

	"assent/internal/browsertest"
)

// foreignPage asks a third party for everything that a page can ask for.
const foreignPage = `<!doctype html><html lang="en"><head>{tag}<title>Shop</title>
<script src="/own.js"></script>
<script>
  // What a vendor's snippet does: an inline script that inserts a foreign one.
  const s = document.createElement("script"); s.src = "{tracker}/count.js"; document.head.append(s);
  document.cookie = "_count_inline=1; path=/";
  document.cookie = "undeclared=1; path=/";
  document.cookie = "basket=1; path=/";
  localStorage.setItem("count_inline", "1");
  localStorage.setItem("undeclared", "1");
  localStorage.setItem("basket", "1");
  sessionStorage.setItem("count", "1");
</script>
<style>h1 { background: url({tracker}/css.png) }</style></head>
<body><h1>Shop</h1><div style="height:3000px"></div>
<script>
  fetch("{tracker}/fetch").catch(() => {});
  navigator.sendBeacon("{tracker}/beacon");
  new Image().src = "{tracker}/image";
  const f = document.createElement("iframe"); f.src = "{tracker}/frame.html"; document.body.append(f);
  try { new Worker(URL.createObjectURL(new Blob(["importScripts('{tracker}/worker.js')"]))) } catch {}
  const p = document.createElement("link"); p.rel = "prefetch"; p.href = "{tracker}/prefetch"; document.head.append(p);
  eval("window.evaluated = true");
</script></body></html>`

func TestNothingForeignRunsBeforeAChoice(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), foreignPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	browsertest.Wait(t, ctx, "document.readyState == 'complete' && window.own && window.evaluated")

	if ran := browsertest.Eval[bool](t, ctx, "'ran' in window"); ran {
		t.Error("a foreign script ran before a choice")
	}
	w.mu.Lock()
	if len(w.foreign) != 0 {
		t.Errorf("requests to the third party before a choice: %v", w.foreign)
	}
	w.mu.Unlock()
	if got := browsertest.Eval[string](t, ctx, "document.cookie.split('; ').sort().join()"); got != "basket=1,server=1" {
		t.Errorf("cookies before a choice: %s; want the necessary one and the server's own", got)
	}
	if got := browsertest.Eval[string](t, ctx, "Object.keys(localStorage).sort().join()+'|'+Object.keys(sessionStorage).join()"); got != "basket|" {
		t.Errorf("storage before a choice: %s; want the basket alone", got)
	}
}

func TestAcceptanceReloadsOnceAtTheSamePlaceAndEverythingWorks(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), foreignPage)
	browsertest.BeforePage(t, ctx, "sessionStorage.assent_test_loads = 1 + Number(sessionStorage.assent_test_loads || 0)")
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Eval[any](t, ctx, "void scrollTo(0, 700)")
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "window.ran && window.ran.includes('/count.js') && document.readyState == 'complete' && assent.get().status == 'accepted_all'")
	browsertest.Wait(t, ctx, "scrollY == 700")
	browsertest.Wait(t, ctx, "document.cookie.includes('undeclared=1') && document.cookie.includes('_count_inline=1') && localStorage.count_x")

	for _, path := range []string{"/count.js", "/fetch", "/beacon", "/image", "/frame.html", "/worker.js", "/css.png"} {
		browsertest.Until(t, "a request for "+path+" after acceptance", func() bool { return w.asked(path) > 0 })
	}
	if n := browsertest.Eval[string](t, ctx, "sessionStorage.assent_test_loads"); n != "2" {
		t.Errorf("the page was loaded %s times, want 2", n)
	}
	if posts := w.sent(); len(posts) != 1 || posts[0].Action != "accept_all" || !posts[0].Services["count"] {
		t.Errorf("posts = %+v, want one accept_all", posts)
	}
	if browsertest.Eval[bool](t, ctx, "Boolean("+banner+")") {
		t.Error("the banner is still there")
	}
}

func TestRefusalDoesNotReload(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), foreignPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Eval[any](t, ctx, "void (window.same = true)")
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	browsertest.Wait(t, ctx, "assent.get().status == 'accepted_necessary' && !assent.get().waiting")
	browsertest.Wait(t, ctx, "window.same && document.readyState == 'complete'")
	browsertest.Open(t, ctx, w.url(shop, "/next"))
	browsertest.Wait(t, ctx, "document.readyState == 'complete'")
	if len(w.foreign) != 0 {
		t.Errorf("requests to the third party after a refusal: %v", w.foreign)
	}
}

func TestOneGrantedServiceLoadsItsHostsAndNoOther(t *testing.T) {
	ctx := browsertest.Start(t)
	n := notice()
	n.Services[1].Hosts = []string{tracker} // without its subdomains, and so without its port
	w := newWeb(t, n, `<!doctype html><html lang="en"><head>{tag}</head><body>
		<script src="{subtracker}/other.js"></script><script src="{tracker}/count.js"></script></body></html>`)
	n.Services[1].Hosts = []string{w.url(tracker, "")[len("http://"):]}
	w.script = mustCompile(t, n).Plain
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	browsertest.Eval[any](t, ctx, "void assent.set({services: {count: true}})")
	browsertest.Wait(t, ctx, "window.ran && document.readyState == 'complete'")
	if ran := browsertest.Eval[string](t, ctx, "ran.join()"); ran != "/count.js" {
		t.Errorf("ran %s, want the granted service alone", ran)
	}
	if status := browsertest.Eval[string](t, ctx, "assent.get().status"); status != "accepted_partially" {
		t.Errorf("status = %s", status)
	}
}

func TestWithdrawalRemovesWhatWasDeclaredAndStopsEverything(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), foreignPage)
	browsertest.Open(t, ctx, w.url("www."+shop, "/deep/page"))
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "window.ran && document.readyState == 'complete' && assent.get().status == 'accepted_all'")
	browsertest.Wait(t, ctx, "indexedDB.databases().then(all => all.some(db => db.name == 'count-db'))")
	browsertest.Eval[any](t, ctx, `void (
		document.cookie = '_count_wide=1; path=/; domain=shop.test',
		document.cookie = '_count_deep=1; path=/deep',
		document.cookie = '_ads=1; path=/deep/page',
		window.before = true)`)
	browsertest.Wait(t, ctx, "document.cookie.includes('_count_wide') && document.cookie.includes('_count_deep') && document.cookie.includes('_ads')")

	browsertest.Click(t, ctx, in(root, ".floating"))
	browsertest.Click(t, ctx, in(dialog, ".withdraw"))
	browsertest.Wait(t, ctx, "!window.before && document.readyState == 'complete' && assent.get().action == 'withdraw'")
	browsertest.Wait(t, ctx, "indexedDB.databases().then(all => all.length == 0)")
	if got := browsertest.Eval[string](t, ctx, "document.cookie.split('; ').filter(c => /^_/.test(c)).join()"); got != "" {
		t.Errorf("cookies after withdrawal: %s", got)
	}
	if got := browsertest.Eval[string](t, ctx, "Object.keys(localStorage).filter(k => /count/.test(k)).join()+Object.keys(sessionStorage).join()"); got != "" {
		t.Errorf("storage after withdrawal: %s", got)
	}
	if browsertest.Eval[bool](t, ctx, "'ran' in window") {
		t.Error("a foreign script ran after withdrawal")
	}
	browsertest.Until(t, "the withdrawal is sent", func() bool { return len(w.sent()) == 2 })
	if a, b := w.sent()[0], w.sent()[1]; b.Action != "withdraw" || b.Source != "preferences" || a.ConsentID != b.ConsentID || a.RecordID >= b.RecordID {
		t.Errorf("posts = %+v then %+v", a, b)
	}
}

const markedPage = `<!doctype html><html lang="en"><head>{tag}
<script type="text/plain" data-assent="count" src="{tracker}/first.js"></script>
<script type="text/plain" data-assent="analytics">(window.ran = window.ran || []).push("inline", document.readyState)</script>
<script type="text/plain" data-assent="count" data-src="{tracker}/write.js" id="writer"></script>
<script type="text/plain" data-assent="count" src="{tracker}/missing-type.js" data-type="text/plain"></script>
<script type="text/plain" data-assent="advertising">window.ads = true</script>
</head><body><h1>Shop</h1>
<iframe data-assent="analytics" data-src="{tracker}/frame.html" title="Film"></iframe>
<p id="place"></p><script type="text/plain" data-assent="analytics">document.write("<b id=bold>in pl" + "ace</b>"); window.ran.push("last")</script>
</body></html>`

func TestMarkedElementsAreReleasedInOrderWithoutAReload(t *testing.T) {
	ctx := browsertest.Start(t)
	n := notice()
	n.Enforcement.Policy = false
	w := newWeb(t, n, markedPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	if len(w.foreign) != 0 {
		t.Errorf("requests before a choice: %v", w.foreign)
	}
	browsertest.Eval[any](t, ctx, "void (window.same = true)")
	browsertest.Eval[any](t, ctx, "void assent.set({categories: {analytics: true}})")
	browsertest.Wait(t, ctx, "window.ran && ran.includes('last')")
	browsertest.Wait(t, ctx, "document.querySelector('iframe').src.endsWith('/frame.html')")
	if got := browsertest.Eval[string](t, ctx, "ran.join()"); got != "/first.js,inline,complete,/write.js,last" {
		t.Errorf("order = %s", got)
	}
	if !browsertest.Eval[bool](t, ctx, "same && document.querySelector('h1').textContent == 'Shop' && document.querySelector('#written').textContent == 'written' && document.querySelector('#place + script + #bold').textContent == 'in place'") {
		t.Error("document.write of a released script blanked the page or went elsewhere")
	}
	if browsertest.Eval[bool](t, ctx, "'ads' in window") {
		t.Error("a script of a refused category ran")
	}
	browsertest.Eval[any](t, ctx, `void document.body.insertAdjacentHTML("beforeend", "<img data-assent=count data-src=/late.png id=late>")`)
	browsertest.Wait(t, ctx, "document.querySelector('#late').src.endsWith('/late.png')")

	browsertest.Open(t, ctx, w.url(shop, "/again"))
	browsertest.Wait(t, ctx, "window.ran && ran.includes('last') && document.querySelector('#written') && document.querySelector('#bold')")
}

func TestGPCIsARefusalWithoutABanner(t *testing.T) {
	ctx := browsertest.Start(t, browsertest.Options{GPC: true})
	w := newWeb(t, notice(), foreignPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Until(t, "the signal is sent", func() bool { return len(w.sent()) == 1 })
	browsertest.Wait(t, ctx, "assent.get().action == 'signal' && assent.get().status == 'accepted_necessary' && !assent.get().waiting")
	if p := w.sent()[0]; p.Action != "signal" || p.Source != "signal" || !p.GPC || p.Categories["analytics"] {
		t.Errorf("post = %+v", p)
	}
	browsertest.Open(t, ctx, w.url(shop, "/next"))
	browsertest.Wait(t, ctx, "document.readyState == 'complete' && assent.get().action == 'signal'")
	if browsertest.Eval[bool](t, ctx, "Boolean("+banner+")") {
		t.Error("the banner asks in spite of the signal")
	}
	browsertest.Eval[any](t, ctx, "assent.open()")
	browsertest.Wait(t, ctx, in(dialog, ".record")+".textContent.includes('Global Privacy Control')")
	if len(w.sent()) != 1 || len(w.foreign) != 0 {
		t.Errorf("%d posts, want 1; requests %v, want none", len(w.sent()), w.foreign)
	}
}

func TestOptOutAllowsUntilRefused(t *testing.T) {
	ctx := browsertest.Start(t)
	n := notice()
	n.Regime = "opt-out"
	w := newWeb(t, n, foreignPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && window.ran")
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	browsertest.Wait(t, ctx, "document.readyState == 'complete' && !('ran' in window) && assent.get().status == 'accepted_necessary'")
}

func TestTagAtAnotherPlaceOrTwiceBreaksNothing(t *testing.T) {
	for name, page := range map[string]string{
		"twice in the head":  `<!doctype html><html lang="en"><head>{tag}{tag}</head><body><h1 id="assent">Shop</h1></body></html>`,
		"at the end of body": `<!doctype html><html lang="en"><head><script>var a = 1</script></head><body><h1>Shop</h1>{tag}</body></html>`,
		"without a head":     `{tag}<h1>Shop</h1>`,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := browsertest.Start(t)
			w := newWeb(t, notice(), page)
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Click(t, ctx, in(banner, ".accept"))
			browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && document.readyState == 'complete' && assent.get().status == 'accepted_all' && !assent.get().waiting")
			if n := browsertest.Eval[int](t, ctx, "document.querySelectorAll('assent-consent').length"); n != 1 {
				t.Errorf("%d banners' hosts, want 1", n)
			}
			if len(w.sent()) != 1 {
				t.Errorf("%d posts, want 1", len(w.sent()))
			}
		})
	}
}

func TestUndeclaredStorageCanBeLeftToThePage(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), "")
	w.page = `<!doctype html><html lang="en"><head>` + w.tag(`data-undeclared-storage="allow"`) + `<script>
		localStorage.setItem("undeclared", "1"); localStorage.setItem("count_x", "1"); document.cookie = "undeclared=1; path=/"; document.cookie = "_ads=1; path=/";
		</script></head><body></body></html>`
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, "localStorage.undeclared && document.cookie.includes('undeclared=1')")
	if browsertest.Eval[bool](t, ctx, "'count_x' in localStorage || document.cookie.includes('_ads')") {
		t.Error("a declared tracker was stored before a choice")
	}
}
