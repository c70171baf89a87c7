package e2e

import (
	"slices"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

// plain is a page of a site without anything foreign.
func (p *vectorPage) plain() string {
	return "<!doctype html><html lang=en><head>" + p.first + `<meta charset=utf-8><title>Plain</title></head><body>
<a href="/next">A link of the page</a> <button id="settings" data-assent-open>Cookie settings</button></body></html>`
}

// marked is a page whose foreign parts are marked up, as docs/install.md says.
func (p *vectorPage) marked() string {
	return "<!doctype html><html lang=en><head>" + p.first + `<meta charset=utf-8><title>Marked</title><script>window.ran=[]</script></head><body>
<script type="text/plain" data-assent="analytics">ran.push('first')</script>
` + strings.ReplaceAll(`<script type="text/plain" data-assent="analytics" data-src="BASE/script"></script>
<script type="text/plain" data-assent="analytics">ran.push('middle')</script>
<script type="text/plain" data-assent="analytics" src="BASE/script-defer"></script>
<script type="text/plain" data-assent="analytics">ran.push('last')</script>
<img alt="" data-assent="analytics" data-src="BASE/img">
<iframe data-assent="functional analytics" data-src="BASE/iframe"></iframe></body></html>`, "BASE", p.b.base(foreignHost))
}

// helper is a service that a visitor can accept without accepting the tracker.
var helper = site.Service{
	Key: "helper", Name: "Helper", Category: "functional", Provider: "Helper", Hosts: []string{"helper.test"},
	Purpose: map[string]string{"en": "Part of the test."},
	Trackers: []site.Tracker{
		{Kind: "cookie", Name: "h_*"}, {Kind: "local_storage", Name: "h_*"},
		{Kind: "session_storage", Name: "h_*"}, {Kind: "indexed_db", Name: "h_*"},
	},
}

// stage is one engine, a site with everything enforced and its pages.
type stage struct {
	engine *browsertest.Engine
	world  *world
	page   *vectorPage
}

func (s *stage) visitor(t *testing.T, o ...browsertest.Options) *guest {
	t.Helper()
	return &guest{s.engine.Visitor(t, o...), s}
}

// guest is a visitor in any engine.
type guest struct {
	*browsertest.Visitor
	stage *stage
}

// view opens one of the pages and looks what it did.
func (g *guest) view(t *testing.T, path string) outcome {
	t.Helper()
	mark := g.stage.page.b.mark()
	g.Open(t, g.stage.page.url+path)
	return g.look(t, mark)
}

// look waits until the open page is done and sums up what it did since mark.
func (g *guest) look(t *testing.T, mark int) outcome {
	t.Helper()
	g.Wait(t, `document.readyState === 'complete' && window.step === 'end'`)
	quiet(t, g.stage.page.b)
	o := outcome{sent: g.sent(mark), ran: browsertest.Ask[[]string](t, g.Visitor, `window.ran`), held: g.holds(t)}
	return o
}

// sent are the requests that the foreign host received since mark, by vector.
func (g *guest) sent(mark int) map[string]int {
	sent := map[string]int{}
	for _, h := range g.stage.page.b.since(mark) {
		if h.host == foreignHost {
			sent[strings.TrimPrefix(h.path, "/")]++
		}
	}
	return sent
}

// holds lists what the browser stores for the page's host, without Assent's own.
func (g *guest) holds(t *testing.T) []string {
	t.Helper()
	list := browsertest.Ask[[]string](t, g.Visitor, `(async () => [
		...Object.keys(localStorage).map(n => 'local_storage ' + n),
		...Object.keys(sessionStorage).map(n => 'session_storage ' + n),
		...(await indexedDB.databases()).map(d => 'indexed_db ' + d.name),
		...(await caches.keys()).map(n => 'cache_storage ' + n)])()`)
	for _, name := range g.Cookies(t) {
		list = append(list, "cookie "+name)
	}
	list = slices.DeleteFunc(list, func(s string) bool {
		_, name, _ := strings.Cut(s, " ")
		return strings.HasPrefix(name, "assent_")
	})
	slices.Sort(list)
	return list
}

// decide clicks a button of a layer and waits until the decision is in force and
// sent; reloads is how often the page must be loaded again for it.
func (g *guest) decide(t *testing.T, selector, status string, reloads int64) {
	t.Helper()
	before := g.recordID(t)
	views := g.stage.page.views.Load()
	browsertest.Ask[bool](t, g.Visitor, `window.formerPage = true`)
	g.Click(t, layer(selector))
	g.decided(t, before, status)
	if reloads > 0 {
		g.Wait(t, `!window.formerPage && document.readyState === 'complete' && window.assent`)
	} else if !browsertest.Ask[bool](t, g.Visitor, `window.formerPage === true`) {
		t.Errorf("%s loaded the page again", selector)
	}
	quiet(t, g.stage.page.b)
	if got := g.stage.page.views.Load() - views; got != reloads {
		t.Errorf("%s loaded the page %d times again, want %d", selector, got, reloads)
	}
}

func (g *guest) decided(t *testing.T, before, status string) {
	t.Helper()
	g.Wait(t, `document.readyState === 'complete' && window.assent && (s => s.status === '`+status+`' && s.recordId !== '`+before+`' && !s.waiting)(assent.get())`)
}

func (g *guest) recordID(t *testing.T) string {
	t.Helper()
	return browsertest.Ask[string](t, g.Visitor, `assent.get().recordId`)
}

// registered checks the visitor's decisions in the register; see decisions.
func (g *guest) registered(t *testing.T, w *world, wanted ...string) {
	t.Helper()
	w.decisions(t, browsertest.Ask[string](t, g.Visitor, `assent.get().consentId`), wanted...)
}
