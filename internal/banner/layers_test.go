package banner

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assent/internal/browsertest"
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
	texts := n.Texts["en"]
	texts.Title, texts.Body = "اختيارك بشأن ملفات تعريف الارتباط", "نود تخزين معلومات على جهازك واستخدامها لتحسين هذا الموقع وقياس الزيارات وعرض الإعلانات. القرار لك، ويمكنك تغييره في أي وقت."
	texts.AcceptAll, texts.RefuseAll, texts.Choose, texts.Save = "قبول الكل", "رفض الكل", "اختيار", "حفظ اختياري"
	texts.PreferencesTitle, texts.PreferencesBody, texts.Policy = "ما يجوز استخدامه", "لا يستخدم أي شيء اختياري ما لم تسمح به.", "سياسة الخصوصية"
	texts.CategoryName = map[string]string{"necessary": "ضروري", "functional": "وظيفي", "analytics": "إحصاءات", "advertising": "إعلانات"}
	texts.AlwaysActive = "مفعّل دائمًا"
	n.Languages = append(n.Languages, "ar")
	n.Texts["ar"] = texts
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
			checkFirstLayer(t, ctx, row.placement)
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

func checkFirstLayer(t *testing.T, ctx context.Context, placement string) {
	t.Helper()
	if !browsertest.Eval[bool](t, ctx, `(() => {
		const size = e => { const r = e.getBoundingClientRect(), s = getComputedStyle(e); return [r.width, r.height, s.fontSize, s.fontWeight, s.color, s.backgroundColor, s.borderColor].join() };
		const l = `+banner+`; return size(l.querySelector(".accept")) == size(l.querySelector(".refuse")) })()`) {
		t.Error("accept and refuse do not have the same size and weight")
	}
	if placement != "centre" && browsertest.Eval[float64](t, ctx, `(() => { const r = `+banner+`.getBoundingClientRect();
		return (Math.min(r.right, innerWidth) - Math.max(r.left, 0)) * (Math.min(r.bottom, innerHeight) - Math.max(r.top, 0)) / (innerWidth * innerHeight) })()`) > 0.5 {
		t.Error("the first layer covers more than half of the screen")
	}
	if browsertest.Eval[bool](t, ctx, `(() => { const l = `+banner+`, r = l.getBoundingClientRect();
		return r.top < 0 || r.left < 0 || r.bottom > innerHeight + .5 || r.right > innerWidth + .5 || [...l.querySelectorAll("button")].some(b => { const q = b.getBoundingClientRect(); return q.bottom > r.bottom || b.scrollWidth > b.clientWidth + 1 }) })()`) {
		t.Error("the first layer or one of its buttons is cut off")
	}
}

func TestKeyboardAloneIsEnough(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), strings.Replace(shopPage, "LANG", "en", 1))
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	focused := func(class string) string { return root + ".activeElement?.classList.contains('" + class + "')" }
	for _, class := range []string{"refuse", "accept", "choose"} {
		for i := 0; i < 4 && !browsertest.Eval[bool](t, ctx, "Boolean("+focused(class)+")"); i++ {
			browsertest.Press(t, ctx, browsertest.TabKey)
		}
		browsertest.Wait(t, ctx, focused(class))
	}
	if !browsertest.Eval[bool](t, ctx, "getComputedStyle("+root+".activeElement).outlineStyle == 'solid'") {
		t.Error("the focus is not visible")
	}
	browsertest.Press(t, ctx, browsertest.Enter)
	browsertest.Wait(t, ctx, dialog)
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

func TestHostileStylesheetCannotHideTheBanner(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), `<!doctype html><html lang="en"><head><meta http-equiv="Content-Security-Policy" content="style-src 'unsafe-inline'">{tag}<style>
		html { font-size: 3px; direction: rtl } :not(html) { display: none !important; opacity: 0 !important; color: red !important; position: absolute !important; font: 60px fantasy !important; --bg: red !important; visibility: hidden !important; transform: scale(0) !important; pointer-events: none !important }
		</style></head><body><h1>Shop</h1></body></html>`)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	if !browsertest.Eval[bool](t, ctx, `(() => { const r = `+banner+`.getBoundingClientRect(), s = getComputedStyle(`+banner+`);
		return r.width > 300 && r.height > 100 && s.visibility == 'visible' && s.backgroundColor == 'rgb(255, 255, 255)' && parseFloat(s.fontSize) == 15 && getComputedStyle(document.querySelector('assent-consent')).opacity == '1' })()`) {
		t.Errorf("the page's style reached the banner: %s", browsertest.Eval[string](t, ctx, `JSON.stringify([`+banner+`.getBoundingClientRect(), getComputedStyle(`+banner+`).cssText.slice(0, 300)])`))
	}
	browsertest.Shot(t, ctx, "hostile")
}

func TestStrictPolicyOfThePageItselfLetsTheBannerLook(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), "")
	w.page = `<!doctype html><html lang="en"><head><meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ` + w.url(consent, "") + `; connect-src ` + w.url(consent, "") + `">` + w.tag("") + `</head><body><h1>Shop</h1></body></html>`
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	if !browsertest.Eval[bool](t, ctx, "getComputedStyle("+banner+").position == 'fixed'") {
		t.Error("the style needs unsafe-inline")
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
