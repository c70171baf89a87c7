package banner

import (
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

func TestSiteWithNothingToDecideAsksNothing(t *testing.T) {
	ctx := browsertest.Start(t, browsertest.Options{GPC: true, Still: true})
	n := notice()
	n.Categories, n.Services = n.Categories[:1], n.Services[:1]
	w := newWeb(t, n, foreignPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, in(root, ".floating")+" && window.own && assent.get().status === null && !assent.get().waiting")
	if browsertest.Eval[bool](t, ctx, "Boolean("+banner+") || 'ran' in window") {
		t.Error("the banner asks, or a foreign script ran")
	}
	browsertest.Click(t, ctx, in(root, ".floating"))
	browsertest.Wait(t, ctx, in(dialog, "summary"))
	browsertest.Shot(t, ctx, "necessary-only")
	if n := browsertest.Eval[int](t, ctx, dialog+".querySelectorAll('input, .accept, .refuse, .save').length"); n != 0 {
		t.Errorf("%d controls for a choice, want none", n)
	}
	browsertest.Click(t, ctx, in(dialog, ".x"))
	browsertest.Wait(t, ctx, "!("+dialog+")")
	if len(w.sent()) != 0 {
		t.Error("a decision was sent, and there was none")
	}
}

const everythingRan = "document.readyState == 'complete' && window.ran && window.own"

// Where visitors opt out everything runs, nothing is asked, and a click on "Opt out" ends it.
func TestOptOut(t *testing.T) {
	n := notice()
	n.Regime = "opt-out"
	w := newWeb(t, n, foreignPage)
	ctx := browsertest.Start(t, browsertest.Options{Still: true})
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && "+everythingRan)
	if browsertest.Eval[bool](t, ctx, "Boolean("+in(banner, ".accept")+")") {
		t.Error("the notice asks for an acceptance")
	}
	if said := browsertest.Eval[string](t, ctx, in(banner, "h2")+".textContent"); said != englishOptoutTitle {
		t.Errorf("the notice says %q", said)
	}
	browsertest.Shot(t, ctx, "opt-out")
	browsertest.Click(t, ctx, in(banner, ".close"))
	browsertest.Wait(t, ctx, "!("+banner+") && "+in(root, ".floating"))
	// It was read: it does not come back, and no choice was made up.
	browsertest.Open(t, ctx, w.url(shop, "/next"))
	browsertest.Wait(t, ctx, in(root, ".floating")+" && "+everythingRan)
	if browsertest.Eval[bool](t, ctx, "Boolean("+banner+") || assent.get().status !== null") || len(w.sent()) != 0 {
		t.Error("closing is told again, or was taken for a choice")
	}
	browsertest.Click(t, ctx, in(root, ".floating"))
	browsertest.Wait(t, ctx, dialog+".querySelectorAll('input:checked').length == 5")
	browsertest.Click(t, ctx, in(dialog, "input[aria-labelledby=c-analytics]"))
	browsertest.Click(t, ctx, in(dialog, ".save"))
	browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && document.readyState == 'complete' && assent.get().status == 'accepted_partially' && !('ran' in window)")
	// What is new is out, too, and nobody who has decided is asked again.
	w.republish(func(n *site.Notice) {
		n.Regime = "opt-out"
		n.Services = append(n.Services, site.Service{Key: "heat", Name: "Heat", Category: "analytics"})
	})
	browsertest.Open(t, ctx, w.url(shop, "/next"))
	browsertest.Wait(t, ctx, "document.readyState == 'complete' && assent.get().version == '"+nextVersion+"' && "+in(root, ".floating"))
	if browsertest.Eval[bool](t, ctx, "Boolean("+banner+") || assent.allowed('heat') || !assent.allowed('ads')") {
		t.Error("a new service undoes an opt-out")
	}
}

func TestOptOutWithOneClick(t *testing.T) {
	n := notice()
	n.Regime = "opt-out"
	w := newWeb(t, n, foreignPage)
	ctx := browsertest.Start(t)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && "+everythingRan)
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	browsertest.Wait(t, ctx, "document.readyState == 'complete' && assent.get().status == 'accepted_necessary' && !assent.get().waiting && !('ran' in window) && !("+banner+")")
	if posts := w.sent(); len(posts) != 1 || posts[0].Action != "accept_necessary" || posts[0].Source != "banner" {
		t.Errorf("sent: %+v", posts)
	}
}

// Where visitors are only informed there is one button, and the choices all the same.
func TestNoticeOnly(t *testing.T) {
	n := notice()
	n.Regime = "notice-only"
	w := newWeb(t, n, foreignPage)
	ctx := browsertest.Start(t, browsertest.Options{GPC: true, Still: true})
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && "+everythingRan)
	browsertest.Shot(t, ctx, "notice-only")
	if buttons := browsertest.Eval[string](t, ctx, "[..."+banner+".querySelectorAll('button')].map(b => b.textContent).join()"); buttons != englishNoticeOK {
		t.Errorf("the buttons are %q", buttons)
	}
	browsertest.Click(t, ctx, in(banner, ".close"))
	browsertest.Wait(t, ctx, "!("+banner+")")
	browsertest.Open(t, ctx, w.url(shop, "/next"))
	browsertest.Wait(t, ctx, in(root, ".floating")+" && "+everythingRan)
	if browsertest.Eval[bool](t, ctx, "Boolean("+banner+")") || len(w.sent()) != 0 {
		t.Error("a visitor who was informed is informed again, or a choice was made up")
	}
	browsertest.Click(t, ctx, in(root, ".floating"))
	browsertest.Click(t, ctx, in(dialog, ".refuse"))
	browsertest.Wait(t, ctx, "document.readyState == 'complete' && assent.get().status == 'accepted_necessary' && !('ran' in window)")
}

// A signal of the browser is obeyed before anything runs, and once the visitor is told so.
func TestSignalIsObeyedAndConfirmed(t *testing.T) {
	for name, row := range map[string]struct {
		dnt  bool
		says string
	}{"Global Privacy Control": {false, "Opt-out request honoured"}, "Do Not Track": {true, "Do Not Track request was honoured"}} {
		t.Run(name, func(t *testing.T) {
			n := notice()
			n.Regime = "opt-out"
			w := newWeb(t, n, foreignPage)
			ctx := browsertest.Start(t, browsertest.Options{GPC: !row.dnt, Still: true})
			if row.dnt {
				w.republish(func(n *site.Notice) { n.Regime, n.DNT = "opt-out", "refuse" })
				browsertest.BeforePage(t, ctx, "Object.defineProperty(Navigator.prototype, 'doNotTrack', {get: () => '1'})")
			}
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Wait(t, ctx, banner+" && assent.get().action == 'signal' && !assent.get().waiting")
			if said := browsertest.Eval[string](t, ctx, "document.querySelector('assent-consent').textContent + "+banner+".textContent"); !strings.Contains(said, row.says) || !strings.Contains(said, name) {
				t.Errorf("the visitor is told %q", said)
			}
			browsertest.Shot(t, ctx, "signal")
			if browsertest.Eval[bool](t, ctx, "'ran' in window") {
				t.Error("a foreign script ran")
			}
			posts := w.sent()
			if len(posts) != 1 || posts[0].Action != "signal" || posts[0].GPC == row.dnt {
				t.Errorf("sent: %+v", posts)
			}
			browsertest.Click(t, ctx, in(banner, ".close"))
			browsertest.Wait(t, ctx, "!("+banner+")")
			browsertest.Open(t, ctx, w.url(shop, "/next"))
			browsertest.Wait(t, ctx, in(root, ".floating")+" && document.readyState == 'complete'")
			if browsertest.Eval[bool](t, ctx, "Boolean("+banner+")") || len(w.sent()) != 1 {
				t.Error("the visitor is told again, or another record was made")
			}
		})
	}
}

// Each variant of a site with several regimes does what its place asks for, and a visitor
// who travels is under the rules of the place.
func TestVariantsOfOneSite(t *testing.T) {
	n := notice()
	n.Regimes, n.RestOfWorld, n.Exempt = []string{"eu", "uk", "us-ca"}, "world-notice", []string{"analytics"}
	if err := n.Validate(); err != nil {
		t.Fatal(err)
	}
	b := mustCompile(t, n)
	w := newWeb(t, notice(), foreignPage)
	serve := func(country, subdivision string) {
		name := n.Variants().For(country, subdivision)
		part := b.Parts[name+"~"]
		if part == nil {
			t.Fatalf("%s has the variant %q, which is not there", country, name)
		}
		w.mu.Lock()
		w.script = part.Plain
		w.mu.Unlock()
	}
	ctx := browsertest.Start(t, browsertest.Options{Still: true})

	serve("US", "US-CA")
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && "+everythingRan+" && localStorage.assent_regime_k3y == 'us-ca'")
	browsertest.Shot(t, ctx, "california")
	browsertest.Click(t, ctx, in(banner, ".close"))
	browsertest.Wait(t, ctx, in(root, ".floating svg")+" && "+root+".querySelector('.floating').textContent == 'Your Privacy Choices'")
	browsertest.Shot(t, ctx, "california-closed")

	serve("DE", "")
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, in(banner, ".accept")+" && window.own && localStorage.assent_regime_k3y == 'eu'")
	if browsertest.Eval[bool](t, ctx, "'ran' in window || assent.allowed('analytics')") {
		t.Error("in the Union something ran before a choice")
	}

	serve("GB", "")
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, in(banner, ".refuse"))
	if browsertest.Eval[bool](t, ctx, "!assent.allowed('analytics') || !document.querySelector('meta[http-equiv]').content.includes('tracker.test') || assent.allowed('advertising') || assent.get().status !== null") {
		t.Error("in the United Kingdom the exempt category waits, or another one does not")
	}
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && document.readyState == 'complete' && assent.get().status == 'accepted_necessary' && !('ran' in window)")

	serve("JP", "")
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, "document.readyState == 'complete' && window.assent && localStorage.assent_regime_k3y == 'world-notice'")
	if browsertest.Eval[bool](t, ctx, "Boolean("+banner+") || assent.allowed('analytics')") {
		t.Error("a refusal is gone behind a border")
	}
}

// A site with one regime has one script, and nothing in it of the others.
func TestOneRegimeHasNoVariants(t *testing.T) {
	b := mustCompile(t, notice())
	for name := range b.Parts {
		if strings.Contains(name, "~") {
			t.Errorf("there is a part %s", name)
		}
	}
	for _, word := range []string{"assent_regime_", "assent_told_", "doNotTrack", englishOptoutTitle, "Opt-out request"} {
		if strings.Contains(string(b.Plain), word) || strings.Contains(string(b.Parts["boot"].Plain), word) {
			t.Errorf("the script holds %q", word)
		}
	}
}

// A page is the same for everybody: its boot begins with the strictest, is followed by
// the script for the visitor's place, and begins with that from the next page on.
func TestBootOfASiteWithSeveralRegimes(t *testing.T) {
	n := notice()
	n.Regimes = []string{"eu", "us-ca"}
	if err := n.Validate(); err != nil {
		t.Fatal(err)
	}
	w := newWeb(t, n, bootPage)
	b := mustCompile(t, n)
	live := &site.Live{Bundle: b}
	visit := func(country, subdivision string) { // as internal/public chooses
		v := site.Variant{Name: n.Variants().For(country, subdivision)}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.id, w.script = site.BundleID(testVersion, b.Build)+v.Suffix(), live.Script(v.Name, "").Plain
		w.parts = map[string]*site.Script{"boot": b.Parts["boot"]}
		for _, name := range []string{"core.en", "ask.en", "more.en", "mark.en"} {
			w.parts[name] = live.Script(v.Name, name)
		}
	}
	ctx := browsertest.Start(t, browsertest.Options{Still: true})

	visit("US", "US-CA")
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, in(banner, ".close")+" && document.readyState == 'complete' && localStorage.assent_regime_k3y == 'us-ca'")
	if browsertest.Eval[bool](t, ctx, "'ran' in window || Boolean("+in(banner, ".accept")+")") {
		t.Error("the first page is not held to the strictest, or asks")
	}
	if got := w.loaded(); got != "ask.en" {
		t.Errorf("the first page asks for %q, want one script", got)
	}
	browsertest.Click(t, ctx, in(banner, ".close"))
	browsertest.Open(t, ctx, w.url(shop, "/next"))
	browsertest.Wait(t, ctx, in(root, ".floating")+" && "+everythingRan)
	if got := w.loaded(); got != "core.en" {
		t.Errorf("the next page asks for %q, want core.en", got)
	}
	if label := browsertest.Eval[string](t, ctx, in(root, ".floating")+".textContent"); label != "Your Privacy Choices" {
		t.Errorf("the button says %q", label)
	}
	browsertest.Shot(t, ctx, "california-next-page")

	visit("DE", "")
	browsertest.Open(t, ctx, w.url(shop, "/abroad"))
	browsertest.Wait(t, ctx, in(banner, ".accept")+" && localStorage.assent_regime_k3y != 'us-ca' && !assent.allowed('analytics')")
	browsertest.Open(t, ctx, w.url(shop, "/abroad/next"))
	browsertest.Wait(t, ctx, in(banner, ".accept")+" && window.own && document.readyState == 'complete'")
	if browsertest.Eval[bool](t, ctx, "'ran' in window") {
		t.Error("the second page abroad runs what waits for a yes")
	}
}
