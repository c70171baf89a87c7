package banner

import (
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"

	"github.com/chromedp/chromedp/kb"
)

var bootPage = strings.Replace(foreignPage, "{tag}", "{boot}", 1)

const reloaded = "performance.getEntriesByType('navigation')[0].type == 'reload' && document.readyState == 'complete'"

// The boot enforces by itself; asking takes one request, a returning visit one
// smaller one, and the preferences come when they are asked for.
func TestBootInThePageLoadsOnlyWhatThePageNeeds(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), bootPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && document.readyState == 'complete' && window.own && window.evaluated")
	if browsertest.Eval[bool](t, ctx, "'ran' in window") {
		t.Error("a foreign script ran before a choice")
	}
	if got := browsertest.Eval[string](t, ctx, "document.cookie.split('; ').sort().join()+'|'+Object.keys(localStorage)+'|'+Object.keys(sessionStorage)"); got != "basket=1,server=1|basket|" {
		t.Errorf("kept before a choice: %s", got)
	}
	if got := w.loaded(); got != "ask.en" {
		t.Errorf("a first visit asks for %q, want ask.en alone", got)
	}
	browsertest.Click(t, ctx, in(banner, ".choose"))
	browsertest.Wait(t, ctx, dialog)
	if got := w.loaded(); got != "more.en" {
		t.Errorf("opening the preferences asks for %q", got)
	}
	browsertest.Press(t, ctx, kb.Escape)
	browsertest.Wait(t, ctx, "!("+dialog+")")
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, reloaded+" && window.ran && assent.get().status == 'accepted_all' && "+in(root, ".floating"))
	if got := w.loaded(); got != "core.en" {
		t.Errorf("the page after the choice asks for %q, want core.en alone", got)
	}
	browsertest.Until(t, "the decision is sent", func() bool { return len(w.sent()) == 1 })

	browsertest.Click(t, ctx, in(root, ".floating"))
	browsertest.Wait(t, ctx, dialog)
	if got := w.loaded(); got != "more.en ask.en" && got != "ask.en more.en" {
		t.Errorf("opening the preferences later asks for %q", got)
	}
	browsertest.Click(t, ctx, in(dialog, ".withdraw"))
	browsertest.Wait(t, ctx, "!window.ran && window.own && assent.get().action == 'withdraw' && assent.get().status == 'accepted_necessary'")
	if got := browsertest.Eval[string](t, ctx, "document.cookie.split('; ').map(c => c.split('=')[0]).sort().join()+'|'+Object.keys(localStorage).sort()"); got != "assent_k3y,basket,server,undeclared|assent_k3y,basket" {
		t.Errorf("kept after the withdrawal: %s; want what nobody declared, and nothing that a service did", got)
	}
}

func TestSiteCodeIsHeardBeforeTheRestHasCome(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), strings.Replace(bootPage, "{boot}", `{boot}<script>
		window.heard = []; assent.on("change", (s) => heard.push(s.status));
		window.early = [assent.get().status, assent.allowed("count"), assent.allowed("basket")];
		assent.ready.then((s) => { window.ready = s.version });
		assent.set({ categories: { analytics: true } }).then(() => { window.done = true });
	</script>`, 1))
	w.page = strings.Replace(w.page, "location.reload", "", 1)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Until(t, "the decision is sent", func() bool { return len(w.sent()) >= 1 })
	browsertest.Wait(t, ctx, "window.ready == '"+testVersion+"' && assent.allowed('count')")
	if p := w.sent()[0]; p.Source != "api" || !p.Categories["analytics"] || p.Categories["advertising"] {
		t.Errorf("sent: %+v", p)
	}
}

// A boot that was pasted for another version is followed by the whole script, which
// decides from then on; what listened to the old one goes on listening.
func TestBootOfAnotherVersionIsFollowedByTheWholeScript(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), strings.Replace(bootPage, "{boot}", `{boot}<script>window.heard = []; const old = assent; old.on("change", (s) => heard.push(s.status))</script>`, 1))
	old := w.parts
	changed := notice()
	words := changed.Texts["en"]
	words.Title = "Another title"
	changed.Texts["en"] = words
	fresh := mustCompile(t, changed)
	w.script, w.parts, w.id = fresh.Plain, old, "another"
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && document.querySelectorAll('assent-consent').length == 1")
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	browsertest.Wait(t, ctx, "heard.join() == 'accepted_necessary' && !("+banner+")")
	browsertest.Until(t, "the decision is sent", func() bool { return len(w.sent()) == 1 })
	browsertest.Eval[any](t, ctx, "void old.set('all')")
	browsertest.Wait(t, ctx, reloaded+" && window.ran && assent.get().status == 'accepted_all'")
}

// Behind a gate the policy came with the page.
func TestBootBehindAGateWritesNoPolicy(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), "")
	w.page = strings.Replace(bootPage, "{boot}", strings.Replace(w.boot(), "<script>", "<script data-assent-gate>", 1), 1)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && window.ran")
	if browsertest.Eval[bool](t, ctx, "!!document.querySelector('meta[http-equiv]')") {
		t.Error("the boot wrote a policy although the gate sends one")
	}
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, reloaded+" && assent.get().status == 'accepted_all'")
}

func TestMarkedElementsOfABootPageAreReleased(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), `<!doctype html><html lang="en"><head>{boot}<title>Shop</title></head><body><h1>Shop</h1>
		<script type="text/plain" data-assent="count">window.marked = 1</script></body></html>`)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "window.marked == 1")
	browsertest.Eval[any](t, ctx, `void document.body.append(Object.assign(document.createElement("img"), {alt: "", id: "late"}));
		document.querySelector("#late").dataset.assent = "count"`)
	browsertest.Eval[any](t, ctx, `void (() => { const s = document.createElement("script"); s.type = "text/plain"; s.dataset.assent = "count"; s.textContent = "window.late = 1"; document.body.append(s) })()`)
	browsertest.Wait(t, ctx, "window.late == 1")
	if got := w.loaded(); !strings.Contains(got, "mark.en") {
		t.Errorf("the page asked for %q and not for what releases marked elements", got)
	}
}

func TestGPCInABootPage(t *testing.T) {
	ctx := browsertest.Start(t, browsertest.Options{GPC: true})
	w := newWeb(t, notice(), bootPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Until(t, "the signal is recorded", func() bool { return len(w.sent()) == 1 })
	browsertest.Wait(t, ctx, "assent.get().action == 'signal' && "+in(root, ".floating"))
	if p := w.sent()[0]; p.Action != "signal" || !p.GPC || w.loaded() != "ask.en" {
		t.Errorf("sent: %+v", p)
	}
}

// A tag with more languages than one script should carry asks for the visitor's own.
func TestTagWithManyLanguagesLoadsTheVisitorsOne(t *testing.T) {
	ctx := browsertest.Start(t)
	n := site.DefaultNotice("k3y", "Shop Ltd", "en", "fr", "de", "et", "fi")
	n.Domains = []string{shop}
	w := newWeb(t, n, strings.Replace(foreignPage, `lang="en"`, `lang="de"`, 1))
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && document.querySelector('assent-consent').textContent.includes('Alle ablehnen')")
	if got := w.loaded(); got != "ask.de" {
		t.Errorf("the page asks for %q, want ask.de alone", got)
	}
	if browsertest.Eval[bool](t, ctx, "'ran' in window") {
		t.Error("a foreign script ran before a choice")
	}
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, reloaded+" && window.ran && assent.get().status == 'accepted_all'")
	if got := w.loaded(); got != "core.de" {
		t.Errorf("the page after the choice asks for %q, want core.de alone", got)
	}
}
