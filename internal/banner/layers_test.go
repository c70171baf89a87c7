package banner

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/i18n"
	"assent/internal/site"
)

// shopPage looks like a small shop, so that a screenshot shows what visitors see.
const shopPage = `<!doctype html><html lang="LANG"><head><meta charset="utf-8">{tag}<meta name="viewport" content="width=device-width">
<title>Shop</title><style>
:root { color-scheme: light dark; background: Canvas; color: CanvasText } a { color: inherit } body { font: 16px/1.5 Georgia, serif; margin: 0 auto; max-width: 60rem; padding: 1rem }
.p { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 1rem } .p div { background: #8883; height: 9rem; border-radius: .5rem }
</style></head><body><main><h1>Tea and tea pots</h1><p>Leaves from eleven gardens, sent the day they arrive.</p>
<div class="p"><div></div><div></div><div></div><div></div><div></div><div></div></div><p><a href="#" data-assent-open>Cookie choices</a></p></main></body></html>`

// arabic gives the notice texts that are written from right to left.
func arabic(n *site.Notice) *site.Notice {
	n.Languages = append(n.Languages, "ar")
	n.Texts["ar"], _ = i18n.Default("ar")
	return n
}

func TestBothLayersAreAccessibleAndCalm(t *testing.T) {
	axe, err := os.ReadFile(filepath.Join("..", "..", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("axe-core is not installed; run: make deps")
		}
		t.Skip("axe-core is not installed; run: make deps")
	}
	for name, row := range map[string]struct {
		options   browsertest.Options
		language  string
		placement string
	}{
		"phone-320-light":    {browsertest.Options{Width: 320, Height: 480, Mobile: true, Still: true}, "en", "box"},
		"phone-390-dark":     {browsertest.Options{Width: 390, Height: 844, Mobile: true, Dark: true, Still: true}, "en", "box"},
		"phone-390-bar":      {browsertest.Options{Width: 390, Height: 844, Mobile: true, Still: true}, "en", "bar"},
		"desktop-light":      {browsertest.Options{Still: true}, "en", "box"},
		"desktop-dark-rtl":   {browsertest.Options{Dark: true, Still: true}, "ar", "box"},
		"desktop-bar":        {browsertest.Options{Still: true}, "en", "bar"},
		"desktop-centre-rtl": {browsertest.Options{Still: true}, "ar", "centre"},
		"zoomed-400-box":     {browsertest.Options{Width: 320, Height: 256, Still: true}, "en", "box"},
		"phone-320-bar-rtl":  {browsertest.Options{Width: 320, Height: 480, Mobile: true, Dark: true, Still: true}, "ar", "bar"},
		"phone-320-centre":   {browsertest.Options{Width: 320, Height: 480, Mobile: true, Dark: true, Still: true}, "en", "centre"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := browsertest.Start(t, row.options)
			n := arabic(notice())
			n.Layout.Placement = row.placement
			w := newWeb(t, n, strings.Replace(shopPage, "LANG", row.language, 1))
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Wait(t, ctx, banner)
			browsertest.Eval[any](t, ctx, string(axe)+";void 0")
			browsertest.Shot(t, ctx, name+"-1")
			accessible(t, ctx, "first layer")
			if !strings.HasPrefix(name, "zoomed") { // a quarter of a screen has no room for less
				half(t, ctx)
			}
			checkFirstLayer(t, ctx)
			browsertest.Wait(t, ctx, "["+in(banner, ".text")+"].every(e => (e.scrollHeight > e.clientHeight) == (e.tabIndex == 0))")

			browsertest.Click(t, ctx, in(banner, ".choose"))
			browsertest.Wait(t, ctx, dialog)
			browsertest.Shot(t, ctx, name+"-2")
			accessible(t, ctx, "second layer")

			browsertest.Click(t, ctx, in(dialog, "input[aria-labelledby=c-analytics]"))
			browsertest.Click(t, ctx, in(dialog, "summary[id=s-count]"))
			browsertest.Shot(t, ctx, name+"-3")
			accessible(t, ctx, "second layer with a service open")
			browsertest.Click(t, ctx, in(dialog, ".save"))
			browsertest.Wait(t, ctx, "document.readyState == 'complete' && assent.get().status == 'accepted_partially' && !("+banner+") && "+in(root, ".floating")+" && !assent.get().waiting")

			browsertest.Eval[any](t, ctx, string(axe)+";void 0")
			browsertest.Shot(t, ctx, name+"-4")
			browsertest.Click(t, ctx, "document.querySelector('[data-assent-open]')")
			browsertest.Wait(t, ctx, in(dialog, ".record"))
			browsertest.Eval[any](t, ctx, "void "+in(dialog, ".scroll")+".scrollTo(0, 9999)")
			browsertest.Shot(t, ctx, name+"-5")
			accessible(t, ctx, "record")
		})
	}
}

func accessible(t *testing.T, ctx context.Context, what string) {
	t.Helper()
	type violation struct {
		ID    string `json:"id"`
		Help  string `json:"help"`
		Nodes []struct {
			HTML    string `json:"html"`
			Summary string `json:"failureSummary"`
		} `json:"nodes"`
	}
	report := browsertest.Eval[string](t, ctx, `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations))`)
	var violations []violation
	if err := json.Unmarshal([]byte(report), &violations); err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Errorf("%s: %s (%s): %+v", what, v.Help, v.ID, v.Nodes)
	}
}

func checkFirstLayer(t *testing.T, ctx context.Context) {
	t.Helper()
	if !browsertest.Eval[bool](t, ctx, `(() => {
		const text = e => size(e.assignedElements()[0]), size = e => { const r = e.getBoundingClientRect(), s = getComputedStyle(e); return [r.width, r.height, s.fontSize, s.fontWeight, s.color, s.backgroundColor, s.borderColor].join() };
		const l = `+banner+`; return size(l.querySelector(".accept")) == size(l.querySelector(".refuse")) && text(l.querySelector(".accept")) == text(l.querySelector(".refuse")) })()`) {
		t.Error("accept and refuse do not have the same size and weight")
	}
	if browsertest.Eval[bool](t, ctx, `(() => { const l = `+banner+`, r = l.getBoundingClientRect();
		return r.top < 0 || r.left < 0 || r.bottom > innerHeight + .5 || r.right > innerWidth + .5 || [...l.querySelectorAll("button, slot[name]")].some(b => { const q = b.getBoundingClientRect(); return q.bottom > r.bottom || q.height < 24 || b.scrollWidth > b.clientWidth + 1 }) })()`) {
		t.Error("the first layer or one of its buttons is cut off")
	}
}

// half asserts that the first layer leaves half of the screen to the page.
func half(t *testing.T, ctx context.Context) {
	t.Helper()
	if browsertest.Eval[float64](t, ctx, `(() => { const r = `+banner+`.getBoundingClientRect();
		return (Math.min(r.right, innerWidth) - Math.max(r.left, 0)) * (Math.min(r.bottom, innerHeight) - Math.max(r.top, 0)) / (innerWidth * innerHeight) })()`) > 0.5 {
		t.Error("the first layer covers more than half of the screen")
	}
}

func TestKeyboardAloneIsEnough(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), strings.Replace(shopPage, "LANG", "en", 1))
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	// The answers are elements of the page, shown in a slot.
	active := "(document.activeElement.assignedSlot ?? " + root + ".activeElement)"
	focused := func(class string) string { return active + "?.classList.contains('" + class + "')" }
	if !browsertest.Eval[bool](t, ctx, "document.activeElement == document.body") {
		t.Error("the first layer took the focus")
	}
	for _, class := range []string{"refuse", "accept", "choose"} {
		for i := 0; i < 4 && !browsertest.Eval[bool](t, ctx, "Boolean("+focused(class)+")"); i++ {
			browsertest.Press(t, ctx, browsertest.TabKey)
		}
		browsertest.Wait(t, ctx, focused(class))
		if !browsertest.Eval[bool](t, ctx, "(s => s.outlineStyle == 'solid' && parseFloat(s.outlineWidth) == 2)(getComputedStyle(document.activeElement.assignedSlot ? document.activeElement : "+active+"))") {
			t.Errorf("the focus on %s is not visible", class)
		}
	}
	// It is no trap: the page is the next stop.
	browsertest.Press(t, ctx, browsertest.TabKey)
	browsertest.Wait(t, ctx, "document.activeElement.matches('[data-assent-open]')")
	browsertest.Press(t, ctx, browsertest.TabKey, browsertest.Shift)
	browsertest.Wait(t, ctx, focused("choose"))
	browsertest.Press(t, ctx, browsertest.Enter)
	browsertest.Wait(t, ctx, dialog+" && "+dialog+".contains("+root+".activeElement)")
	for range 30 {
		browsertest.Press(t, ctx, browsertest.TabKey)
		if !browsertest.Eval[bool](t, ctx, "document.activeElement.localName == 'assent-consent' || document.activeElement == document.body") {
			t.Fatal("the focus left the dialog for the page")
		}
	}
	browsertest.Press(t, ctx, browsertest.Escape)
	browsertest.Wait(t, ctx, "!("+dialog+") && "+focused("choose"))
	if browsertest.Eval[any](t, ctx, "assent.get().status") != nil {
		t.Error("Esc made a choice")
	}
}

func TestNothingOptionalIsOnBeforeAChoice(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Click(t, ctx, in(banner, ".choose"))
	browsertest.Wait(t, ctx, dialog)
	if n := browsertest.Eval[int](t, ctx, dialog+".querySelectorAll('input:checked').length"); n != 0 {
		t.Errorf("%d switches are on", n)
	}
	if n := browsertest.Eval[int](t, ctx, dialog+".querySelectorAll('input[role=switch]').length"); n != 5 {
		t.Errorf("%d switches, want three categories and two services, none for necessary", n)
	}
	browsertest.Click(t, ctx, in(dialog, "input[aria-labelledby=s-count]"))
	browsertest.Wait(t, ctx, in(dialog, "input[aria-labelledby=c-analytics]")+".checked")
	browsertest.Click(t, ctx, in(dialog, "input[aria-labelledby=c-analytics]"))
	browsertest.Wait(t, ctx, "!"+in(dialog, "input[aria-labelledby=s-count]")+".checked")
}

const hostileStyle = `
	html { font-size: 3px; direction: rtl }
	body { direction: rtl; zoom: 3 }
	*, *::before, *::after { all: initial !important; direction: rtl !important }
	*::before, *::after { content: "x" !important }
	:not(html) { display: none !important; opacity: 0 !important; color: red !important; position: absolute !important; font: 60px fantasy !important; --bg: red !important; --on: red !important; visibility: hidden !important; transform: scale(0) !important; pointer-events: none !important }
	html { display: block !important }`

// looks is what a layer's visible parts compute to, and where they stand.
const looks = `((layer) => JSON.stringify([layer, ...layer.querySelectorAll("*")].flatMap(e => [e, ...(e.assignedElements?.() ?? [])]).map(e => { const s = getComputedStyle(e), r = e.getBoundingClientRect();
	return [e.localName, e.className, s.display, s.color, s.backgroundColor, s.font, s.direction, s.opacity, s.visibility, s.pointerEvents, s.textAlign, s.transform, r.x, r.y, r.width, r.height, getComputedStyle(e, "::before").content] })))`

// Whatever a page says about all elements, both layers look as on a page without style.
func TestHostileStylesheetChangesNothing(t *testing.T) {
	ctx := browsertest.Start(t, browsertest.Options{Still: true})
	const page = `<!doctype html><html lang="en"><head>{tag}<style>STYLE</style></head><body><h1>Shop</h1></body></html>`
	var seen [3][]string
	for i, style := range []string{"", hostileStyle, strings.Replace(hostileStyle, "3px", "300px", 1)} {
		w := newWeb(t, notice(), strings.Replace(page, "STYLE", style, 1))
		browsertest.Open(t, ctx, w.url(shop, "/"))
		browsertest.Wait(t, ctx, banner+" && document.readyState == 'complete'")
		seen[i] = append(seen[i], browsertest.Eval[string](t, ctx, looks+"("+banner+")"))
		browsertest.Shot(t, ctx, fmt.Sprint("hostile-", i))
		browsertest.Click(t, ctx, in(banner, ".choose"))
		browsertest.Wait(t, ctx, dialog)
		seen[i] = append(seen[i], browsertest.Eval[string](t, ctx, looks+"("+dialog+")"))
		browsertest.Eval[any](t, ctx, "void localStorage.clear()")
	}
	for i, layer := range []string{"first", "second"} {
		for _, hostile := range seen[1:] {
			calm, hit := seen[0][i], hostile[i]
			at := 0
			for at < min(len(calm), len(hit)) && calm[at] == hit[at] {
				at++
			}
			if calm != hit {
				t.Errorf("the page's style reached the %s layer:\n%.200s\n%.200s", layer, calm[max(0, at-100):], hit[max(0, at-100):])
			}
		}
	}
	if !strings.Contains(seen[0][0], `"rgb(255, 255, 255)"`) || !strings.Contains(seen[0][0], "15px") {
		t.Errorf("the first layer does not look like one: %s", seen[0][0])
	}
}

func TestForcedColoursKeepEverythingVisible(t *testing.T) {
	ctx := browsertest.Start(t, browsertest.Options{Forced: true, Still: true})
	w := newWeb(t, notice(), strings.Replace(shopPage, "LANG", "en", 1))
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && matchMedia('(forced-colors: active)').matches")
	browsertest.Shot(t, ctx, "forced-1")
	for _, name := range []string{".refuse", ".accept", ".choose"} {
		if !browsertest.Eval[bool](t, ctx, "(s => s.borderTopWidth != '0px' && s.borderTopColor != s.backgroundColor && s.color != s.backgroundColor)(getComputedStyle("+in(banner, name)+"))") {
			t.Errorf("%s cannot be told from the background", name)
		}
	}
	browsertest.Click(t, ctx, in(banner, ".choose"))
	browsertest.Wait(t, ctx, dialog)
	browsertest.Click(t, ctx, in(dialog, "input[aria-labelledby=c-analytics]"))
	browsertest.Shot(t, ctx, "forced-2")
	const knob = "(e => getComputedStyle(e, '::before').backgroundColor + getComputedStyle(e, '::before').marginLeft)"
	if browsertest.Eval[bool](t, ctx, knob+"("+in(dialog, "input[aria-labelledby=c-analytics]")+") == "+knob+"("+in(dialog, "input[aria-labelledby=c-advertising]")+")") {
		t.Error("on and off look the same")
	}
}

func TestStrictPolicyOfThePageItselfLetsTheBannerLook(t *testing.T) {
	for name, policy := range map[string]string{
		"hosts":         "default-src 'none'; script-src {consent}; connect-src {consent}",
		"nonce":         "default-src 'none'; script-src 'nonce-n0nce'; connect-src {consent}",
		"trusted types": "default-src 'none'; script-src 'nonce-n0nce'; connect-src {consent}; require-trusted-types-for 'script'; trusted-types assent",
	} {
		t.Run(name, func(t *testing.T) {
			ctx := browsertest.Start(t)
			w := newWeb(t, notice(), "")
			w.page = `<!doctype html><html lang="en"><head><meta http-equiv="Content-Security-Policy" content="` + strings.ReplaceAll(policy, "{consent}", w.url(consent, "")) + `">
				<script nonce="n0nce">addEventListener("securitypolicyviolation", (e) => (window.violations ??= []).push(e.violatedDirective + " " + e.blockedURI + " " + e.sample))</script>` + w.tag(`nonce="n0nce"`) + `<title>Shop</title></head><body><h1>Shop</h1></body></html>`
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Wait(t, ctx, banner)
			if !browsertest.Eval[bool](t, ctx, "getComputedStyle("+banner+").position == 'absolute'") {
				t.Error("the style needs unsafe-inline")
			}
			browsertest.Click(t, ctx, in(banner, ".choose"))
			browsertest.Click(t, ctx, in(dialog, "input[aria-labelledby=c-analytics]"))
			browsertest.Click(t, ctx, in(dialog, ".save"))
			browsertest.Wait(t, ctx, "assent.get().status == 'accepted_partially' && !assent.get().waiting")
			if v := browsertest.Eval[string](t, ctx, "JSON.stringify((window.violations ?? []).filter(v => !/favicon/.test(v)))"); name != "hosts" && v != "[]" {
				t.Errorf("violations: %s", v)
			}
		})
	}
}

// Everything that is known of a service is told in the visitor's language.
func TestSecondLayerSpeaksTheVisitorsLanguage(t *testing.T) {
	ctx := browsertest.Start(t)
	n := notice()
	n.Languages, n.Texts = []string{"de"}, site.DefaultNotice("k3y", "Shop Ltd", "de").Texts
	n.Services[1].Purpose = map[string]string{"de": "Zählt Besuche."}
	n.Services[2].Trackers = append(n.Services[2].Trackers, site.Tracker{Kind: "third_party_cookie", Name: "_adsid"})
	n.Services[1].Transfer = map[string]string{"de": "In die USA, unter Standardvertragsklauseln."}
	w := newWeb(t, n, plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner+" && document.querySelector('assent-consent').textContent.includes('2 Partner würden Daten erhalten.')")
	browsertest.Click(t, ctx, in(banner, ".choose"))
	browsertest.Click(t, ctx, in(dialog, "summary[id=s-count]"))
	told := browsertest.Eval[string](t, ctx, in(dialog, "li:has([id=s-count])")+".innerText")
	for _, want := range []string{"Count Ltd (Irland)", "Zählt Besuche.", "Wohin Daten gehen", "Standardvertragsklauseln", "_count* Cookie · Speicherdauer: 13 Monate",
		"count Sitzungsspeicher · Speicherdauer: bis zum Schließen des Browsers", "count-db Datenbank im Browser"} {
		if !strings.Contains(told, want) {
			t.Errorf("the service does not say %q:\n%s", want, told)
		}
	}
	all := browsertest.Eval[string](t, ctx, dialog+".innerText")
	for _, want := range []string{"Rechtsgrundlage: Unbedingt erforderlich", "Rechtsgrundlage: Ihre Einwilligung"} {
		if !strings.Contains(all, want) {
			t.Errorf("the second layer does not say %q", want)
		}
	}
	// Both decisions reload the page.
	for _, step := range [][2]string{{".accept", "accept_all"}, {".withdraw", "withdraw"}} {
		browsertest.Eval[any](t, ctx, "void (window.before = true)")
		browsertest.Click(t, ctx, in(dialog, step[0]))
		browsertest.Wait(t, ctx, "!window.before && document.readyState == 'complete' && assent.get().action == '"+step[1]+"' && "+in(root, ".floating"))
		browsertest.Click(t, ctx, in(root, ".floating"))
		browsertest.Wait(t, ctx, dialog)
	}
	if left := browsertest.Eval[string](t, ctx, in(dialog, ".record")+".innerText"); !strings.Contains(left, "konnten nicht entfernt werden") || !strings.Contains(left, "ads.test") {
		t.Errorf("what could not be removed is not told:\n%s", left)
	}
}

func TestSecondLayerTellsWhatIsBlocked(t *testing.T) {
	ctx := browsertest.Start(t)
	for page, want := range map[string]string{plainPage: "Nothing was blocked.", foreignPage: "connections were blocked.\n"} {
		w := newWeb(t, notice(), page)
		browsertest.Open(t, ctx, w.url(shop, "/"))
		browsertest.Wait(t, ctx, banner+" && document.readyState == 'complete'")
		if page == plainPage {
			want = strings.TrimSpace(want)
		} else {
			want += tracker
		}
		browsertest.Click(t, ctx, in(banner, ".choose"))
		browsertest.Wait(t, ctx, dialog)
		told := strings.ReplaceAll(browsertest.Eval[string](t, ctx, dialog+".innerText"), "\n\n", "\n")
		if !strings.Contains(told, "Blocked on this page right now\n") || !strings.Contains(strings.Replace(told, "1 connection was", "connections were", 1), want) {
			t.Errorf("want %q in\n%s", want, told)
		}
	}
}

func TestPreviewShowsBothLayersAndDoesNothingElse(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), "")
	script, err := Preview(notice())
	if err != nil {
		t.Fatal(err)
	}
	w.page = `<!doctype html><html lang="en"><head><title>Preview</title></head><body><script>` + string(script) + `</script></body></html>`
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Click(t, ctx, in(banner, ".choose"))
	browsertest.Click(t, ctx, in(dialog, ".accept"))
	browsertest.Wait(t, ctx, in(root, ".floating"))
	if browsertest.Eval[bool](t, ctx, "document.cookie.includes('assent') || localStorage.length > 0 || 'assent' in window || document.querySelector('meta[http-equiv]') !== null") {
		t.Error("the preview stored or blocked something")
	}
	if len(w.sent()) != 0 {
		t.Error("the preview sent something")
	}
}
