package banner

import (
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

// databasePage opens databases and caches as libraries do, and keeps in log what came of it.
const databasePage = `<!doctype html><html lang="en"><head>{tag}<script>
	window.log = [];
	function open(name) {
		const r = indexedDB.open(name);
		r.onupgradeneeded = () => { log.push(name + " made"); r.result.createObjectStore("s") };
		r.onsuccess = () => { log.push(name + " open"); r.result.close() };
		r.onerror = () => log.push(name + " " + r.error.name + " " + (r instanceof IDBOpenDBRequest));
	}
	open("count-db"); open("undeclared-db"); open("basket-db");
	for (const name of ["count-db", "basket-db"]) caches.open(name).then(() => log.push(name + " cache"), e => log.push(name + " cache " + e.name));
</script></head><body><h1>Shop</h1></body></html>`

func TestDatabasesAndCachesWaitForAChoice(t *testing.T) {
	ctx := browsertest.Start(t)
	n := notice()
	n.Domains = []string{"localhost"}
	n.Services[0].Trackers = append(n.Services[0].Trackers, site.Tracker{Kind: "indexed_db", Name: "basket-db"})
	w := newWeb(t, n, databasePage)
	const (
		stored  = "Promise.all([indexedDB.databases(), caches.keys()]).then(([d, c]) => d.map(x => x.name).sort().join() + '|' + c.sort().join())"
		refused = "basket-db cache,basket-db open,count-db AbortError true,count-db cache AbortError,undeclared-db AbortError true"
		granted = "basket-db cache,basket-db open,count-db cache,count-db made,count-db open,undeclared-db made,undeclared-db open"
	)
	saw := func(when, want string) {
		t.Helper()
		browsertest.Wait(t, ctx, "log.filter(l => l != 'basket-db made').length == '"+want+"'.split(',').length")
		if got := browsertest.Eval[string](t, ctx, "log.filter(l => l != 'basket-db made').sort().join()"); got != want {
			t.Errorf("%s the page saw %s, want %s", when, got, want)
		}
	}
	browsertest.Open(t, ctx, w.url(secure, "/"))
	browsertest.Wait(t, ctx, banner)
	saw("before a choice", refused)
	if got := browsertest.Eval[string](t, ctx, stored); got != "basket-db|basket-db" {
		t.Errorf("before a choice there are %s, want the basket's alone", got)
	}
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && assent.get().status == 'accepted_all'")
	saw("after acceptance", granted)
	browsertest.Wait(t, ctx, stored+".then(s => s == 'basket-db,count-db,undeclared-db|basket-db,count-db')")

	browsertest.Eval[any](t, ctx, "void (window.before = true, assent.withdraw())")
	browsertest.Wait(t, ctx, "!window.before && window.log && assent.get().action == 'withdraw'")
	saw("after withdrawal", refused)
	browsertest.Wait(t, ctx, stored+".then(s => s == 'basket-db,undeclared-db|basket-db')")
}

func TestDatabasesFromBeforeTheTagAreDropped(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), `<!doctype html><title>Before</title><script>for (const n of ["count-db", "other"]) indexedDB.open(n).onsuccess = e => e.target.result.close()</script>`)
	names := "indexedDB.databases().then(all => all.map(db => db.name).sort().join())"
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, names+".then(s => s == 'count-db,other')")
	w.show(plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && "+names+".then(s => s == 'other')")
}

func TestItemsThatAPageAssignsGo(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), `<!doctype html><title>Before</title><script>localStorage.old = "1"; sessionStorage.old = "1"</script>`)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	w.show(`<!doctype html><html lang="en"><head>{tag}<script>
		for (const area of [localStorage, sessionStorage]) { area.assigned = "1"; area["basket"] = "1"; area.old = "2" }
	</script></head><body><iframe srcdoc="<script>parent.frames[0].localStorage.setItem('framed', '1')</script>"></iframe></body></html>`)
	items := "Object.keys(localStorage).sort().join() + '|' + Object.keys(sessionStorage).sort().join()"
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && document.readyState == 'complete'")
	browsertest.Wait(t, ctx, items+" == 'basket,old|old'")
	browsertest.Eval[any](t, ctx, "void (localStorage.later = '1')")
	browsertest.Open(t, ctx, w.url(shop, "/next"))
	browsertest.Wait(t, ctx, banner+" && document.readyState == 'complete' && "+items+" == 'basket,old|old'")

	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && document.readyState == 'complete'")
	browsertest.Wait(t, ctx, items+" == 'assent_k3y,assigned,basket,framed,old|assigned,basket,old'")
}
