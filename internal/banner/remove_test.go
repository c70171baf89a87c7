package banner

import (
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

// declaring is the fixture's notice with further trackers of its analytics service.
func declaring(trackers ...site.Tracker) *site.Notice {
	n := notice()
	n.Services[1].Trackers = append(n.Services[1].Trackers, trackers...)
	return n
}

func TestDeclaredCookiesGoFromEveryDomainAndPath(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, declaring(), `<!doctype html><title>Before</title>`)
	const deep = "/a/b/c/d/e/f/g/h/i/j/page"
	browsertest.Open(t, ctx, w.url("x.y."+shop, deep))
	browsertest.Eval[any](t, ctx, `void (() => {
		const paths = ["/"];
		for (const part of location.pathname.slice(1).split("/")) paths.push(paths.at(-1).replace(/\/$/, "") + "/" + part);
		let n = 0;
		for (const domain of ["", "; domain=x.y.shop.test", "; domain=y.shop.test", "; domain=shop.test"])
			for (const path of paths.concat(paths.slice(1, -1).map(p => p + "/"))) document.cookie = "_count_" + n++ % 5 + "=" + n + "; path=" + path + domain;
		document.cookie = "other=1; path=/a/b; domain=shop.test";
	})()`)
	if n := browsertest.Eval[int](t, ctx, "document.cookie.split('; ').filter(c => c.startsWith('_count_')).length"); n != 4*22 {
		t.Fatalf("%d cookies before, want one for each of four domains and 22 paths", n)
	}
	w.show(plainPage)
	browsertest.Open(t, ctx, w.url("x.y."+shop, deep))
	browsertest.Wait(t, ctx, "document.cookie.split('; ').sort().join() == 'other=1,server=1'")
}

func TestCookiesThatAskForSecureAreRemoved(t *testing.T) {
	ctx := browsertest.Start(t)
	n := declaring(site.Tracker{Kind: "cookie", Name: "__Host-count"}, site.Tracker{Kind: "cookie", Name: "__Secure-count*"})
	n.Domains = []string{"localhost"}
	w := newWeb(t, n, `<!doctype html><title>Before</title>`)
	browsertest.Open(t, ctx, w.url(secure, "/deep/page"))
	browsertest.Eval[any](t, ctx, `void ["__Host-count=1; path=/; secure", "__Secure-count=1; path=/deep; secure", "__Secure-count2=1; path=/; secure; domain=shop.localhost",
		"_count_part=1; path=/; secure; samesite=none; partitioned", "__Host-count=2; path=/; secure; samesite=none; partitioned", "_count_plain=1; path=/deep"].forEach(c => document.cookie = c)`)
	if got := browsertest.Eval[string](t, ctx, "document.cookie.split('; ').filter(c => /count/.test(c)).length + ''"); got != "6" {
		t.Fatalf("%s cookies before, want 6", got)
	}
	w.show(plainPage)
	browsertest.Open(t, ctx, w.url(secure, "/deep/page"))
	browsertest.Wait(t, ctx, "document.cookie == 'server=1'")
}

func TestDeclaredCachesAndServiceWorkersGo(t *testing.T) {
	ctx := browsertest.Start(t)
	n := declaring(site.Tracker{Kind: "cache", Name: "count-*"}, site.Tracker{Kind: "service_worker", Name: "/count-worker.js*"}, site.Tracker{Kind: "service_worker", Name: "/scoped/*"})
	n.Domains = []string{"localhost"}
	w := newWeb(t, n, plainPage)
	browsertest.Open(t, ctx, w.url(secure, "/"))
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && document.readyState == 'complete' && assent.get().status == 'accepted_all' && !assent.get().waiting")
	workers := "navigator.serviceWorker.getRegistrations().then(all => all.map(r => new URL(r.scope).pathname).sort().join())"
	browsertest.Eval[any](t, ctx, `(async () => {
		await navigator.serviceWorker.register("/count-worker.js?v=2", {scope: "/by-script"});
		await navigator.serviceWorker.register("/own-worker.js", {scope: "/scoped/here"});
		await navigator.serviceWorker.register("/own-worker.js", {scope: "/own"});
		for (const name of ["count-pages", "own-pages"]) await caches.open(name);
	})()`)
	browsertest.Wait(t, ctx, workers+".then(s => s == '/by-script,/own,/scoped/here')")
	browsertest.Eval[any](t, ctx, "void (window.before = true, assent.withdraw())")
	browsertest.Wait(t, ctx, "!window.before && document.readyState == 'complete' && window.assent && assent.get().action == 'withdraw'")
	browsertest.Wait(t, ctx, workers+".then(s => s == '/own')")
	browsertest.Wait(t, ctx, "caches.keys().then(all => all.join() == 'own-pages')")
	if got := browsertest.Eval[string](t, ctx, "caches.open('count-pages').then(() => 'opened', e => e.name)"); got != "AbortError" {
		t.Errorf("a declared cache after withdrawal: %s", got)
	}
}

func TestWhatCouldNotBeRemovedIsTold(t *testing.T) {
	ctx := browsertest.Start(t)
	n := declaring(site.Tracker{Kind: "third_party_cookie", Name: "viewer"}, site.Tracker{Kind: "request", Name: "hit"})
	n.Services[2].Trackers = append(n.Services[2].Trackers, site.Tracker{Kind: "third_party_cookie", Name: "never-granted"})
	w := newWeb(t, n, plainPage)
	left := "(assent.get().left ?? ['undefined']).join('|')"
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	if got := browsertest.Eval[string](t, ctx, left); got != "" {
		t.Errorf("left before anything was granted: %s", got)
	}
	browsertest.Eval[any](t, ctx, "void assent.set({services: {count: true}})")
	browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && document.readyState == 'complete' && window.assent && assent.allowed('count')")
	// A server may set a cookie again and again; here the page keeps one from being removed.
	w.show(strings.Replace(plainPage, "{tag}", `<script>document.cookie = "_count_stuck=1; path=/";
		const own = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
		Object.defineProperty(Document.prototype, "cookie", {...own, set(text) { if (!/^_count_stuck/.test(text)) own.set.call(this, text) }})</script>{tag}`, 1))
	browsertest.Eval[any](t, ctx, "void (window.before = true, assent.withdraw())")
	browsertest.Wait(t, ctx, "!window.before && document.readyState == 'complete' && window.assent && assent.get().action == 'withdraw'")
	const want = "_count_stuck|viewer (tracker.test)"
	browsertest.Wait(t, ctx, left+" == '"+want+"'")
	browsertest.Open(t, ctx, w.url(shop, "/next"))
	if got := browsertest.Eval[string](t, ctx, left); got != want {
		t.Errorf("on the next page is left: %s, want %s", got, want)
	}
	// Granted again, it is no remainder.
	browsertest.Eval[any](t, ctx, "void (window.before = true, assent.set({services: {count: true}}))")
	browsertest.Wait(t, ctx, "!window.before && document.readyState == 'complete' && window.assent && assent.allowed('count')")
	if got := browsertest.Eval[string](t, ctx, left+" + localStorage.assent_left_k3y"); got != "undefined" {
		t.Errorf("left although it is granted again: %s", got)
	}
}
