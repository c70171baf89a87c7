package banner

import (
	"bytes"
	"context"
	"testing"

	"assent/internal/browsertest"
)

// hostilePage breaks something ahead of the tag, and asks a third party for a script behind it.
func hostilePage(broken string) string {
	return `<!doctype html><html lang="en"><head><script>` + broken + `</script>{tag}<title>Shop</title><script>
		const s = document.createElement("script"); s.src = "{tracker}/count.js"; document.head.appendChild(s);
		s.onload = s.onerror = () => { window.tried = true };
		</script></head><body><h1>Shop</h1></body></html>`
}

const thrower = "const no = () => { throw new Error('the page broke this') };"

// ask: the first layer is shown in spite of it.
var brokenPages = map[string]struct {
	script string
	ask    bool
}{
	"split and JSON.parse":           {"String.prototype.split = no; JSON.parse = () => ({})", true},
	"split and the console":          {"String.prototype.split = no; console.error = console.warn = no", false},
	"observers":                      {"window.MutationObserver = window.ResizeObserver = no", true},
	"no observers":                   {"delete window.MutationObserver; delete window.ResizeObserver", true},
	"custom elements":                {"window.customElements.define = customElements.get = no", true},
	"shadow roots":                   {"Element.prototype.attachShadow = no", false},
	"storage that throws":            {"for (const m of ['getItem', 'setItem', 'removeItem']) Storage.prototype[m] = no", true},
	"storage that cannot be reached": {"for (const a of ['localStorage', 'sessionStorage']) Object.defineProperty(window, a, {get: no})", true},
	"cookies that throw":             {"Object.defineProperty(Document.prototype, 'cookie', {get: no, set: no, configurable: true})", true},
	"frozen prototypes":              {"for (const c of [Document, Storage, IDBFactory, CookieStore || Storage]) Object.freeze(c.prototype)", true},
	"a damaged choice":               {"localStorage.assent_k3y = '1.%.%.%'; document.cookie = 'assent_k3y=1..........'", true},
	"collections":                    {"window.Set = window.Map = window.WeakSet = window.WeakMap = window.Promise = no", false},
	"crypto":                         {"crypto.getRandomValues = no", true},
	"the clock":                      {"Date.now = no", false},
	"addresses":                      {"window.URL = no", false},
	"a document.write of its own":    {"document.write = document.writeln = no", true},
	"events":                         {"EventTarget.prototype.addEventListener = no", false},
	"objects":                        {"for (const m of ['keys', 'values', 'entries', 'fromEntries', 'assign', 'freeze', 'defineProperty']) Object[m] = no", false},
	"expressions":                    {"for (const m of ['test', 'exec']) RegExp.prototype[m] = no", false},
	"texts":                          {"for (const m of Object.getOwnPropertyNames(String.prototype)) if (m != 'constructor' && m != 'length') String.prototype[m] = no", false},
	"lists":                          {"for (const m of Object.getOwnPropertyNames(Array.prototype)) if (m != 'constructor' && m != 'length') Array.prototype[m] = no; Array.prototype[Symbol.iterator] = no", false},
	"lists that say yes":             {"for (const m of ['includes', 'some', 'every', 'find']) Array.prototype[m] = () => true", false},
	"lists that are empty":           {"for (const m of ['map', 'filter']) Array.prototype[m] = () => []", false},
	"inherited keys":                 {"Object.assign(Object.prototype, {analytics: true, count: true, advertising: true, functional: true})", true},
	"a name of ours":                 {"Object.defineProperty(window, 'assent', {value: 1})", true},
}

func TestPageThatBreaksTheScriptLoadsNothingForeign(t *testing.T) {
	ctx := browsertest.Start(t)
	for name, row := range brokenPages {
		t.Run(name, func(t *testing.T) {
			w := newWeb(t, notice(), hostilePage(thrower+row.script))
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Wait(t, ctx, "window.tried")
			w.closed(t, ctx)
			if row.ask {
				browsertest.Wait(t, ctx, in(banner, ".refuse")+".getBoundingClientRect().width > 50")
			}
			browsertest.Open(t, ctx, w.url(consent, "/b/k3y.js")) // what the page left cannot disturb the next one
		})
	}
}

func TestScriptWithADamagedConfigurationLoadsNothingForeign(t *testing.T) {
	ctx := browsertest.Start(t)
	for name, row := range map[string][2]string{
		"no categories": {`["necessary","functional","analytics","advertising"]`, "null"},
		"no domains":    {`["` + shop + `"]`, "7"},
		"no regime":     {`"opt-in"`, "null"},
		"other regime":  {`"opt-in"`, `"opt"`},
		"no texts":      {`{en:{`, `{xx:{`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWeb(t, notice(), hostilePage(""))
			damaged := bytes.Replace(w.script, []byte(row[0]), []byte(row[1]), 1)
			if bytes.Equal(damaged, w.script) {
				t.Fatalf("the script lacks %s", row[0])
			}
			w.script = damaged
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Wait(t, ctx, "window.tried")
			w.closed(t, ctx)
		})
	}
}

// closed asserts that the policy is in and that nothing foreign got past it.
func (w *web) closed(t *testing.T, ctx context.Context) {
	t.Helper()
	if !browsertest.Eval[bool](t, ctx, `document.head.querySelector("meta[http-equiv]")?.content.length > 60 && !("ran" in window)`) {
		t.Error("no policy is in the page, or a foreign script ran")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.foreign) != 0 {
		t.Errorf("requests to the third party: %v", w.foreign)
	}
}

// A choice that cannot be read may have been a refusal, and an acceptance that cannot be read waits.
func TestChoiceThatCannotBeReadIsNone(t *testing.T) {
	for regime, action := range map[string]string{"opt-in": "all", "opt-out": "none"} {
		t.Run(regime, func(t *testing.T) {
			ctx := browsertest.Start(t)
			n := notice()
			n.Regime = regime
			w := newWeb(t, n, plainPage)
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Wait(t, ctx, banner)
			browsertest.Eval[any](t, ctx, "void assent.set('"+action+"')")
			browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && assent.get().status && !assent.get().waiting")
			w.show(hostilePage(thrower + "String.prototype.split = no"))
			browsertest.Open(t, ctx, w.url(shop, "/next"))
			browsertest.Wait(t, ctx, "window.tried && "+banner)
			w.closed(t, ctx)
		})
	}
}

func TestGrantHoldsOnAPageThatBreaksTheLayers(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && assent.get().status == 'accepted_all'")
	w.show(hostilePage(thrower + "Element.prototype.attachShadow = window.MutationObserver = no; Object.freeze(Document.prototype)"))
	browsertest.Open(t, ctx, w.url(shop, "/next"))
	browsertest.Wait(t, ctx, "window.ran && assent.allowed('count')")
}

// A full session storage once kept the page from following the choice.
func TestPageFollowsTheChoiceWhereNothingCanBeStored(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), hostilePage("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }"))
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "window.ran && assent.get().status == 'accepted_all'")
	browsertest.Eval[any](t, ctx, "void (window.before = true, assent.withdraw())")
	browsertest.Wait(t, ctx, "!window.before && window.tried && assent.get().action == 'withdraw' && !window.ran")
	browsertest.Until(t, "both decisions are sent", func() bool { return len(w.sent()) == 2 })
}

func TestTagThatIsNoScriptElementLoadsNothingForeign(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), "")
	w.page = `<!doctype html><html lang="en"><head><script>fetch("` + w.url(shop, "/copy.js") + `").then(r => r.text()).then(text => import(URL.createObjectURL(new Blob([text], {type: "text/javascript"})))).catch(() => { window.tried = true })</script></head><body></body></html>`
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, "window.tried")
	browsertest.Wait(t, ctx, "document.head.querySelector('meta[http-equiv]') && !("+banner+")")
}
