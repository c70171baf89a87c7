package banner

import (
	"testing"

	"assent/internal/browsertest"
)

func TestSiteCodeAsksDecidesAndListens(t *testing.T) {
	ctx := browsertest.Start(t)
	n := notice()
	n.Enforcement.Policy = false // nothing reloads when more is granted
	w := newWeb(t, n, `<!doctype html><html lang="en"><head>{tag}<script>
		window.seen = []; window.stop = assent.on("change", s => seen.push(s.status));
		assent.on("change", () => { throw new Error("a listener of the page fails") });
		assent.ready.then(s => { window.first = s });
		</script></head><body><a href="#x" data-assent-open><b>Choices</b></a></body></html>`)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, "window.first && first.status === null && first.recordId === '' && first.date === null && first.categories.necessary && first.services.basket && !first.services.count")
	browsertest.Wait(t, ctx, "assent.allowed('necessary') && assent.allowed('basket') && !assent.allowed('analytics') && !assent.allowed('nonsense')")

	for _, wrong := range []string{"{categories: {nonsense: true}}", "{services: {nonsense: true}}", "{categories: {necessary: false}}",
		"{functional: true}", "{categories: {functional: 'yes'}}", "'everything'", "undefined", "null", "{category: {functional: true}}"} {
		if !browsertest.Eval[bool](t, ctx, "assent.set("+wrong+").then(() => false, e => e instanceof TypeError)") {
			t.Errorf("set(%s) is accepted", wrong)
		}
	}
	browsertest.Eval[any](t, ctx, "assent.set({services: {count: true}})")
	browsertest.Wait(t, ctx, "seen.join() == 'accepted_partially' && assent.allowed('count') && !assent.allowed('ads') && !assent.allowed('analytics')")
	browsertest.Eval[any](t, ctx, "assent.set({categories: {advertising: true, functional: true}})")
	browsertest.Wait(t, ctx, "seen.length == 2 && assent.allowed('count') && assent.allowed('ads')")
	browsertest.Eval[any](t, ctx, "void stop()")
	browsertest.Eval[any](t, ctx, "assent.set('all')")
	browsertest.Wait(t, ctx, "seen.length == 2 && assent.get().status == 'accepted_all' && assent.get().date instanceof Date")
	browsertest.Until(t, "three decisions are sent", func() bool { return len(w.sent()) == 3 })
	if p := w.sent()[0]; p.Source != "api" || p.Action != "save" || !p.Services["count"] || p.Categories["analytics"] {
		t.Errorf("post = %+v", p)
	}

	browsertest.Click(t, ctx, "document.querySelector('[data-assent-open] b')")
	browsertest.Wait(t, ctx, dialog)
	if hash := browsertest.Eval[string](t, ctx, "location.hash"); hash != "" {
		t.Errorf("the link that opens the preferences also leads to %s", hash)
	}
}

func TestOldTrackersOfRefusedServicesAreSweptAway(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), `<!doctype html><title>Before</title><script>
		document.cookie = "_count_old=1; path=/; domain=shop.test"; document.cookie = "basket=1; path=/"; document.cookie = "other=1; path=/";
		localStorage.count_old = "1"; localStorage.basket = "1"; localStorage.other = "1";</script>`)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, "document.cookie.includes('_count_old')")
	w.show(plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	if got := browsertest.Eval[string](t, ctx, "document.cookie.split('; ').sort().join()+'|'+Object.keys(localStorage).sort().join()"); got != "basket=1,other=1,server=1|basket,other" {
		t.Errorf("left: %s; want all but the declared trackers of refused services", got)
	}
	// What a page assigns past the hooks goes when the page goes.
	browsertest.Eval[any](t, ctx, "void (localStorage.count_new = '1')")
	w.show("<!doctype html><title>After</title>")
	browsertest.Open(t, ctx, w.url(shop, "/"))
	if browsertest.Eval[bool](t, ctx, "'count_new' in localStorage") {
		t.Error("an assigned item of a refused service is left")
	}
}

func TestSecureContext(t *testing.T) {
	ctx := browsertest.Start(t)
	n := notice()
	n.Domains = []string{"localhost"}
	w := newWeb(t, n, plainPage)
	browsertest.Open(t, ctx, w.url(secure, "/"))
	browsertest.Wait(t, ctx, banner+" && isSecureContext")
	browsertest.Eval[any](t, ctx, `(async () => {
		await cookieStore.set("_count_a", "1"); await cookieStore.set({name: "_count_b", value: "1"}); await cookieStore.set("basket", "1") })()`)
	if got := browsertest.Eval[string](t, ctx, "cookieStore.getAll().then(all => all.map(c => c.name).sort().join())"); got != "basket,server" {
		t.Errorf("cookies = %s, want the necessary one and the server's own", got)
	}
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	browsertest.Wait(t, ctx, "assent.get().status && !assent.get().waiting")
	browsertest.Eval[any](t, ctx, "assent.open()")
	browsertest.Eval[any](t, ctx, "void (window.copied = '', navigator.clipboard.writeText = async text => { copied = text })")
	browsertest.Click(t, ctx, in(dialog, ".copy"))
	browsertest.Wait(t, ctx, in(dialog, "[role=status]")+".textContent == 'Copied' && copied.includes(assent.get().recordId) && copied.includes(assent.get().consentId)")
	browsertest.Wait(t, ctx, in(dialog, ".record a")+".href == '"+w.url(consent, "/r/")+"' + assent.get().recordId")
	if browsertest.Eval[bool](t, ctx, "Boolean("+in(dialog, ".withdraw")+")") {
		t.Error("there is nothing to withdraw, and a button for it")
	}
}

// A sandbox refuses cookies and storage; reading them throws.
func TestSandboxWithoutAnyStorage(t *testing.T) {
	ctx := browsertest.Start(t)
	n := notice()
	n.Enforcement.Policy = false
	w := newWeb(t, n, plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/sandbox"))
	browsertest.Wait(t, ctx, "origin == 'null'")
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "assent.get().status == 'accepted_all' && !assent.get().waiting && !("+banner+")")
	if len(w.sent()) != 1 {
		t.Errorf("%d posts, want 1", len(w.sent()))
	}
}

func TestPageFromTheBackCacheFollowsTheNewChoice(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), foreignPage)
	browsertest.Open(t, ctx, w.url(shop, "/one"))
	browsertest.Wait(t, ctx, banner)
	browsertest.Open(t, ctx, w.url(shop, "/two"))
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "window.ran && assent.get().status == 'accepted_all'")
	browsertest.Eval[any](t, ctx, "void history.back()")
	browsertest.Wait(t, ctx, "location.pathname == '/one' && window.ran && assent.get().status == 'accepted_all' && !("+banner+")")
}
