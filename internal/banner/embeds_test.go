package banner

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

// filmNotice has a service that shows films in pages, from a host of the fixture that no other service declares.
func (w *web) filmNotice() *site.Notice {
	n := arabic(notice())
	n.Services = append(n.Services, site.Service{Key: "film", Name: "Example Film", Category: "functional", Provider: "Film Inc.", Country: "US",
		PolicyURL: "https://film.example/privacy", Purpose: map[string]string{"en": "Shows films."}, Hosts: []string{w.url("sub."+tracker, "")[len("http://"):]},
		Trackers: []site.Tracker{}, Embed: true})
	texts := n.Texts["ar"]
	texts.EmbedTitle, texts.EmbedBody = "محتوى من {service}", "إذا عرضته، فستتلقى {provider} عنوان IP الخاص بك وقد تخزن معلومات على جهازك."
	texts.EmbedOnce, texts.EmbedAlways = "عرض مرة واحدة", "عرض دائمًا"
	n.Texts["ar"] = texts
	return n
}

// filmWeb is a shop whose page shows films and a post.
func filmWeb(t *testing.T, page string, change ...func(*site.Notice)) *web {
	t.Helper()
	w := newWeb(t, notice(), page)
	n := w.filmNotice()
	for _, c := range change {
		c(n)
	}
	w.script = mustCompile(t, n).Plain
	return w
}

// filmPage lays its frames out in the ways that pages do.
const filmPage = `<!doctype html><html lang="LANG"><head><meta charset="utf-8">{tag}<meta name="viewport" content="width=device-width"><title>Shop</title>
<script>window.shifts = []; new PerformanceObserver(l => l.getEntries().forEach(e => shifts.push(e.value + e.sources.map(s => " " + (s.node?.id || s.node?.nodeName)).join("")))).observe({type: "layout-shift", buffered: true})</script>
<style>:root { color-scheme: light dark; background: Canvas; color: CanvasText } body { font: 16px/1.5 Georgia, serif; margin: 0 auto; max-width: 60rem; padding: 1rem } a { color: inherit }
iframe { border: 0; max-width: 100%; min-width: 0 } .frames > * { margin-block: 1rem } .frames > :last-child { margin-bottom: 3rem } .frames > * + * { margin-top: 1.5rem } .frames > iframe + p { margin-top: 2rem }
.wide { position: relative; padding-bottom: 40%; overflow: hidden; border-radius: 1rem } .wide iframe { position: absolute; inset: 0; width: 100%; height: 100%; z-index: 3 }
#ratio { display: block; width: 100%; max-width: 30rem; aspect-ratio: 16/9; border-radius: 12px } .row { display: flex; flex-wrap: wrap; gap: 1rem; justify-content: space-around; align-items: center }
#post { min-height: 11rem; border-inline-start: 4px solid; padding: 1rem } .zoom { transform: scale(.9); transform-origin: 0 0 }</style></head>
<body><main class="frames"><h1>Tea films</h1><p>How a tea pot is made, in pictures.</p>
<iframe id="first" title="Film" width="560" height="315" src="{subtracker}/film.html"></iframe><p id="behind">Behind the first.</p>
<div class="wide"><iframe id="wide" title="Film" src="{subtracker}/wide.html"></iframe></div>
<iframe id="ratio" title="Film" src="{subtracker}/ratio.html"></iframe>
<div class="row"><span>Side</span><iframe id="flex" title="Map" width="300" height="200" src="{subtracker}/map.html"></iframe><span>Side</span></div>
<div class="zoom"><iframe id="zoomed" title="Map" width="300" height="180" src="{subtracker}/zoomed.html"></iframe></div>
<blockquote id="post" data-assent="film">A post, as it reads without the widget.</blockquote>
<iframe id="pixel" title="Nothing" width="1" height="1" src="{subtracker}/pixel.html"></iframe>
<iframe id="foreign" title="Undeclared" width="200" height="100" src="{tracker}/foreign.html"></iframe>
<p><a href="#" data-assent-open>Cookie choices</a></p></main></body></html>`

const (
	filmFrames = "['first','wide','ratio','flex','zoomed','post'].map(id => document.getElementById(id))"
	allRects   = "JSON.stringify([...document.querySelectorAll('main, main > *, main iframe, main span')].filter(e => e.localName != 'assent-embed').map(e => { const r = e.getBoundingClientRect(); return [e.id || e.localName, r.x, r.y + scrollY, r.width, r.height].map(v => v.toFixed?.(2) ?? v).join(' ') }))"
)

// over is the placeholder of the frame with the ID.
func over(id, selector string) string {
	return "[...document.querySelectorAll('assent-embed')].find(h => h.previousSibling?.id == '" + id + "' || h.nextSibling?.id == '" + id + "')?.shadowRoot.querySelector('" + selector + "')"
}

func axeCore(t *testing.T) string {
	t.Helper()
	axe, err := os.ReadFile(filepath.Join("..", "..", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("axe-core is not installed; run: make deps")
		}
		t.Skip("axe-core is not installed; run: make deps")
	}
	return string(axe) + ";void 0"
}

func TestPlaceholdersHaveTheFramesPlaceAndShiftNothing(t *testing.T) {
	axe := axeCore(t)
	for name, row := range map[string]struct {
		options  browsertest.Options
		language string
	}{
		"embeds-desktop-light": {browsertest.Options{Height: 1400, Still: true}, "en"},
		"embeds-desktop-dark":  {browsertest.Options{Height: 1400, Dark: true, Still: true}, "ar"},
		"embeds-phone":         {browsertest.Options{Width: 390, Height: 1500, Mobile: true, Still: true}, "en"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := browsertest.Start(t, row.options)
			page := strings.Replace(filmPage, "LANG", row.language, 1)
			if row.language == "ar" {
				page = strings.Replace(page, "<html", `<html dir="rtl"`, 1)
			}
			w := filmWeb(t, strings.Replace(page, "{tag}", "", 1), func(n *site.Notice) { n.Layout.Floating = false })
			browsertest.Open(t, ctx, w.url(shop, "/without"))
			bare := browsertest.Eval[string](t, ctx, allRects)
			w.mu.Lock()
			w.foreign = nil
			w.mu.Unlock()

			w.show(page)
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Click(t, ctx, in(banner, ".refuse"))
			browsertest.Wait(t, ctx, "!("+banner+")")
			placed(t, ctx)
			if got := browsertest.Eval[string](t, ctx, allRects); got != bare {
				t.Errorf("the page is laid out as\n%s, without us it is\n%s", got, bare)
			}
			if shifts := browsertest.Eval[string](t, ctx, "shifts.join()"); shifts != "" {
				t.Errorf("layout shifts %s, want none", shifts)
			}
			browsertest.Eval[any](t, ctx, axe)
			browsertest.Shot(t, ctx, name)
			accessible(t, ctx, "placeholders")
			if small := browsertest.Eval[string](t, ctx, `[...document.querySelectorAll("assent-embed")].flatMap(h => h.closest(".zoom") ? [] : [...h.shadowRoot.querySelectorAll("a, button")]).map(e => e.getBoundingClientRect()).filter(r => r.width < 24 || r.height < 24).map(r => r.width + "x" + r.height).join()`); small != "" {
				t.Errorf("targets below 24 pixels: %s", small)
			}
			// A consent that lasts is not urged upon whoever wants to see one film.
			const look = "(e => { const s = getComputedStyle(e); return [s.color, s.backgroundColor, s.borderColor, s.font].join() })"
			if !browsertest.Eval[bool](t, ctx, look+"("+over("first", ".once")+") == "+look+"("+over("first", ".always")+")") {
				t.Error("once and always do not look alike")
			}
			if len(w.foreign) != 0 {
				t.Errorf("requests to third parties: %v", w.foreign)
			}
			text := browsertest.Eval[string](t, ctx, over("first", ".embed")+".textContent")
			if row.language == "en" && text != "Content from Example FilmIf you show it, Film Inc. (US) receives your IP address and may store information on your device. Privacy policyShow onceAlways show" {
				t.Errorf("the placeholder says %q", text)
			}
			// Content above that grows, and a window that becomes narrower, take the placeholders along.
			browsertest.Eval[any](t, ctx, "void document.querySelector('h1').insertAdjacentHTML('afterend', '<p style=height:77px>More</p>')")
			placed(t, ctx)
			browsertest.Eval[any](t, ctx, "void (document.body.style.maxWidth = '20rem')")
			placed(t, ctx)
		})
	}
}

// placed waits until every placeholder covers its frame, and only those are there.
func placed(t *testing.T, ctx context.Context) {
	t.Helper()
	browsertest.Wait(t, ctx, filmFrames+`.every(f => { const h = [f.nextSibling, f.previousSibling].find(n => n?.localName == "assent-embed"); if (!h) return false;
		const a = f.getBoundingClientRect(), b = h.getBoundingClientRect(); return ["x", "y", "width", "height"].every(k => Math.abs(a[k] - b[k]) < .1) && f.inert })`)
	if n := browsertest.Eval[int](t, ctx, "document.querySelectorAll('assent-embed').length"); n != 6 {
		t.Errorf("%d placeholders, want one for each frame of the service that is to be seen", n)
	}
}

func TestHostileStylesLeaveThePlaceholders(t *testing.T) {
	ctx := browsertest.Start(t, browsertest.Options{Height: 1400})
	w := filmWeb(t, strings.Replace(filmPage, "</style>", `
		assent-embed, main > *:not(h1, p, div, iframe, blockquote) { display: none !important; visibility: hidden !important; opacity: 0 !important; width: 1px !important; height: 1px !important; position: static !important; transform: scale(0) !important; pointer-events: none !important; z-index: -1 !important; --bg: red !important }
		button, strong, .embed { display: none !important; color: red !important }</style>`, 1))
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	placed(t, ctx)
	for _, id := range []string{"first", "wide", "flex", "post"} {
		browsertest.Eval[any](t, ctx, "void document.getElementById('"+id+"').scrollIntoView({block: 'center'})")
		if !browsertest.Eval[bool](t, ctx, `(() => { const b = `+over(id, ".once")+`, r = b.getBoundingClientRect(), s = getComputedStyle(b);
			return b.getRootNode().host == document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2) && s.opacity == "1" && s.visibility == "visible" && getComputedStyle(b.getRootNode().host).opacity == "1" &&
				getComputedStyle(b.closest(".embed")).backgroundColor == "rgb(255, 255, 255)" })()`) {
			t.Errorf("the placeholder of #%s is hidden, covered or dressed by the page", id)
		}
	}
}

func TestOnceIsOneViewOfOnePage(t *testing.T) {
	ctx := browsertest.Start(t)
	w := filmWeb(t, filmPage)
	browsertest.Open(t, ctx, w.url(shop, "/films"))
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	browsertest.Wait(t, ctx, "!("+banner+") && !assent.get().waiting")
	record := browsertest.Eval[string](t, ctx, "assent.get().recordId")
	browsertest.Eval[any](t, ctx, "void (window.before = true)")
	browsertest.Click(t, ctx, over("wide", ".once"))
	browsertest.Wait(t, ctx, "!window.before && document.readyState == 'complete' && document.activeElement.id == 'wide'")
	for _, path := range []string{"/film.html", "/wide.html", "/map.html"} {
		browsertest.Until(t, "a request for "+path, func() bool { return w.asked(path) > 0 })
	}
	if w.asked("/foreign.html") > 0 {
		t.Error("what the visitor did not ask for was shown, too")
	}
	if got := browsertest.Eval[string](t, ctx, "[document.querySelectorAll('assent-embed').length, assent.get().recordId == '"+record+"', assent.allowed('film'), sessionStorage.assent_once].join()"); got != "0,true,false," {
		t.Errorf("placeholders, same record, allowed, kept: %s; want none, yes, no, nothing", got)
	}
	if n := len(w.sent()); n != 1 {
		t.Errorf("%d records, want the refusal alone: once is no consent", n)
	}
	browsertest.Open(t, ctx, w.url(shop, "/films"))
	placed(t, ctx)

	// The key is for this address: another page takes it away.
	browsertest.Eval[any](t, ctx, "void sessionStorage.setItem('assent_once', 'film 0 "+w.url(shop, "/other")+"')")
	browsertest.Open(t, ctx, w.url(shop, "/films"))
	placed(t, ctx)
	if browsertest.Eval[bool](t, ctx, "'assent_once' in sessionStorage") {
		t.Error("a key of another address is kept")
	}
}

// With every other service granted, one that is shown once must not open the page to everybody.
func TestOnceDoesNotCountAsEverything(t *testing.T) {
	ctx := browsertest.Start(t)
	w := filmWeb(t, filmPage)
	browsertest.Open(t, ctx, w.url(shop, "/films"))
	browsertest.Wait(t, ctx, banner)
	browsertest.Eval[any](t, ctx, "void assent.set({categories: {functional: true, analytics: true, advertising: true}, services: {film: false}})")
	browsertest.Wait(t, ctx, "document.readyState == 'complete' && window.assent && assent.get().status == 'accepted_partially' && performance.getEntriesByType('navigation')[0].type == 'reload'")
	placed(t, ctx)
	browsertest.Eval[any](t, ctx, `void (window.before = true)`)
	browsertest.Click(t, ctx, over("first", ".once"))
	browsertest.Wait(t, ctx, "!window.before && document.readyState == 'complete' && document.activeElement.id == 'first'")
	got := browsertest.Eval[string](t, ctx, "new Promise(done => { addEventListener('securitypolicyviolation', e => done(e.blockedURI)); new Image().src = 'http://undeclared.test/x' })")
	if got != "http://undeclared.test/x" {
		t.Errorf("blocked %s", got)
	}
}

func TestAlwaysIsARecordedConsentForThatService(t *testing.T) {
	ctx := browsertest.Start(t)
	w := filmWeb(t, filmPage)
	browsertest.Open(t, ctx, w.url(shop, "/films"))
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	browsertest.Wait(t, ctx, "!("+banner+") && !assent.get().waiting")
	browsertest.Eval[any](t, ctx, "void (window.before = true, "+over("ratio", ".always")+".focus())")
	browsertest.Press(t, ctx, browsertest.Enter)
	browsertest.Wait(t, ctx, "!window.before && document.readyState == 'complete' && assent.allowed('film') && !assent.get().waiting && document.activeElement.id == 'ratio'")
	posts := w.sent()
	if len(posts) != 2 || posts[1].Action != "save" || posts[1].Source != "api" || !posts[1].Services["film"] || posts[1].Services["count"] || posts[1].Categories["functional"] {
		t.Errorf("posts = %+v, want a grant of the service alone", posts)
	}
	browsertest.Open(t, ctx, w.url(shop, "/next"))
	browsertest.Until(t, "the film is asked for again", func() bool { return w.asked("/film.html") > 1 })
	if n := browsertest.Eval[int](t, ctx, "document.querySelectorAll('assent-embed').length"); n != 0 {
		t.Errorf("%d placeholders after always, want none", n)
	}
}

func TestMarkedContentIsShownAtOnce(t *testing.T) {
	for _, answer := range []string{"once", "always"} {
		t.Run(answer, func(t *testing.T) {
			ctx := browsertest.Start(t)
			w := filmWeb(t, `<!doctype html><html lang="en"><head>{tag}</head><body><h1>Shop</h1>
				<iframe id="first" title="Film" width="560" height="315" data-assent="film" data-src="{subtracker}/film.html"></iframe>
				<div id="map" data-assent="film" style="height: 200px"></div>
				<iframe id="open" title="Film" width="300" height="150" src="{subtracker}/open.html"></iframe>
				<script type="text/plain" data-assent="film" data-src="{subtracker}/widget.js"></script></body></html>`,
				func(n *site.Notice) { n.Enforcement.Policy = false })
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Click(t, ctx, in(banner, ".refuse"))
			browsertest.Wait(t, ctx, "document.querySelectorAll('assent-embed').length == 2 && !assent.get().waiting")
			if w.asked("/film.html")+w.asked("/widget.js") > 0 {
				t.Error("marked content was requested before a choice")
			}
			size := "JSON.stringify(first.getBoundingClientRect()) + JSON.stringify(map.getBoundingClientRect())"
			before := browsertest.Eval[string](t, ctx, size)
			browsertest.Eval[any](t, ctx, "void (window.same = true)")
			browsertest.Click(t, ctx, over("map", "."+answer))
			browsertest.Wait(t, ctx, "window.ran && ran.includes('/widget.js') && document.activeElement == map && !document.querySelector('assent-embed') && !first.inert")
			browsertest.Until(t, "the film is asked for", func() bool { return w.asked("/film.html") == 1 })
			if after := browsertest.Eval[string](t, ctx, size); after != before {
				t.Errorf("the frames are %s, were %s", after, before)
			}
			if !browsertest.Eval[bool](t, ctx, "same") {
				t.Error("the page was loaded again")
			}
			browsertest.Until(t, "the records", func() bool { return len(w.sent()) == map[string]int{"once": 1, "always": 2}[answer] })
			// A frame that is added later is shown, too.
			browsertest.Eval[any](t, ctx, "void document.body.insertAdjacentHTML('beforeend', '<iframe title=Film width=200 height=100 data-assent=film data-src="+w.url("sub."+tracker, "/late.html")+"></iframe>')")
			browsertest.Until(t, "the late film is asked for", func() bool { return w.asked("/late.html") == 1 })
		})
	}
}

func TestAGateOffersOnlyAlways(t *testing.T) {
	ctx := browsertest.Start(t)
	w := filmWeb(t, "")
	w.show(strings.NewReplacer("{tag}", w.tag("data-assent-gate")).Replace(filmPage))
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, over("first", ".always"))
	if browsertest.Eval[bool](t, ctx, "Boolean("+over("first", ".once")+")") {
		t.Error("a page behind a gate offers what its policy does not allow")
	}
}
