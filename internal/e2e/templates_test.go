package e2e

import (
	"path"
	"slices"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

// withAssent is a template with every library, all of them declared, behind the tag.
func withAssent(t *testing.T, template string) (*page, *world) {
	t.Helper()
	p := newPage(t, template)
	var services []site.Service
	for _, l := range libraries {
		services = append(services, l.service(p.b.port))
	}
	w := newWorld(t, services...)
	p.first = w.tag()
	return p, w
}

// scannable are the files that the page asks for in static mark-up: a browser
// may ask for them before any policy that a script writes, and runs none of them.
var scannable = []string{"/static/array.full.js", "/leaflet/leaflet.js", "/leaflet/leaflet.css", "/lite/lite-yt-embed.js", "/lite/lite-yt-embed.css"}

// nothingForeignRuns looks at a page that has been loaded since mark and the
// last v.forget: no foreign code, nothing stored, and no request but those that
// the preload scanner sent. It returns the number of these.
func (p *page) nothingForeignRuns(t *testing.T, v *visitor, when string, mark int) int {
	t.Helper()
	browsertest.Wait(t, v.ctx, `document.readyState === 'complete' && window.assent`)
	quiet(t, p.b)
	if ran := v.foreignScripts(); len(ran) != 0 {
		t.Errorf("%s: foreign scripts ran: %v", when, ran)
	}
	for _, l := range libraries {
		// The frame element is the page's own; what it loads is looked at below.
		if l.key != videoEmbed.key && browsertest.Eval[bool](t, v.ctx, l.runs) {
			t.Errorf("%s: %s runs", when, l.name)
		}
	}
	// Cookies of other hosts are out of every page's reach; none may be new.
	left := slices.DeleteFunc(v.holds(t), func(s string) bool { return strings.HasPrefix(s, "foreign_cookie ") })
	if len(left) != 0 {
		t.Errorf("%s: the browser holds %s", when, strings.Join(left, ", "))
	}
	hits := p.b.since(mark)
	for _, h := range hits {
		if !slices.Contains(scannable, h.path) {
			t.Errorf("%s: %s left the page", when, h)
		}
	}
	return len(hits)
}

func TestAChoiceIsObeyed(t *testing.T) {
	for _, template := range templates {
		t.Run(path.Dir(template), func(t *testing.T) {
			p, w := withAssent(t, template)
			v := newVisitor(t)

			browsertest.Open(t, v.ctx, p.url+"/")
			browsertest.Wait(t, v.ctx, layer(acceptAll))
			scanned := p.nothingForeignRuns(t, v, "before a choice", 0)
			if n := len(v.holds(t)); n != 0 {
				t.Errorf("before a choice: %d foreign cookies", n)
			}
			browsertest.Shot(t, v.ctx, "e2e-"+path.Dir(template)+"-banner")

			mark := p.b.mark()
			w.pressForReload(t, v, acceptAll, "accepted_all")
			p.everyLibraryWorks(t, v, mark)
			quiet(t, p.b)
			accepted := len(p.b.since(mark))
			held := v.holds(t)
			for _, kind := range []string{"cookie mp_", "cookie amp_", "cookie ph_", "local_storage e2e/cly_", "session_storage ph_", "indexed_db mixpanel"} {
				if !containsPrefix(held, kind) {
					t.Errorf("after accepting, nothing of %s…: it holds %s", kind, strings.Join(held, ", "))
				}
			}
			mark = p.b.mark()
			browsertest.Open(t, v.ctx, p.url+"/page/two")
			p.everyLibraryWorks(t, v, mark)

			w.withdraws(t, v, p)
			v.forget()
			mark = p.b.mark()
			browsertest.Open(t, v.ctx, p.url+"/page/three")
			again := p.nothingForeignRuns(t, v, "after withdrawal", mark)

			w.receipts(t, v, "accept_all accepted_all", "withdraw accepted_necessary")
			t.Logf("requests: %d before a choice (preload scanner), %d after accept all, 0 at the withdrawal, %d on the next page (preload scanner); stored: 0, %d, 0",
				scanned, accepted, again, len(held))
		})
	}
}

// withdraws opens the preferences and takes everything back: from that click on
// nobody hears of the page any more, not even by the beacons that libraries send
// when a page is left, and what they stored is gone.
func (w *world) withdraws(t *testing.T, v *visitor, p *page) {
	t.Helper()
	browsertest.Eval[bool](t, v.ctx, `(assent.open(), true)`)
	quiet(t, p.b)
	mark := p.b.mark()
	v.forget()
	w.pressForReload(t, v, withdraw, "accepted_necessary")
	quiet(t, p.b)
	for _, h := range p.b.since(mark) {
		if !slices.Contains(scannable, h.path) {
			t.Errorf("after the withdrawal %s was still sent", h)
		}
	}
	left := slices.DeleteFunc(v.holds(t), func(s string) bool { return strings.HasPrefix(s, "foreign_cookie ") })
	if len(left) != 0 {
		t.Errorf("withdrawal left %s", strings.Join(left, ", "))
	}
}

func TestARefusalIsObeyed(t *testing.T) {
	for _, template := range templates {
		t.Run(path.Dir(template), func(t *testing.T) {
			p, w := withAssent(t, template)
			v := newVisitor(t)
			browsertest.Open(t, v.ctx, p.url+"/")
			w.press(t, v, refuseAll, "accepted_necessary")
			p.nothingForeignRuns(t, v, "after refusing", 0)
			mark := p.b.mark()
			browsertest.Open(t, v.ctx, p.url+"/page/two")
			p.nothingForeignRuns(t, v, "on the page after refusing", mark)
			if browsertest.Eval[bool](t, v.ctx, "Boolean("+layer(".banner")+")") {
				t.Error("a visitor who refused is asked again")
			}
			w.receipts(t, v, "accept_necessary accepted_necessary")
		})
	}
}

func TestAPartialChoiceLetsOnlyItsCategoriesWork(t *testing.T) {
	p, w := withAssent(t, templates[0])
	v := newVisitor(t)
	browsertest.Open(t, v.ctx, p.url+"/")
	browsertest.Wait(t, v.ctx, layer(acceptAll))
	quiet(t, p.b)
	mark := p.b.mark()
	browsertest.Eval[bool](t, v.ctx, `(assent.open(), true)`)
	browsertest.Click(t, v.ctx, layer("#c-analytics")+`.closest('.category').querySelector('.row input')`)
	w.pressForReload(t, v, ".preferences .save", "accepted_partially")
	for _, l := range libraries {
		if l.category == "analytics" {
			browsertest.Wait(t, v.ctx, l.runs)
			browsertest.Until(t, "an event at "+l.host, func() bool { return count(p.b.since(mark), l.host, l.event) > 0 })
		}
	}
	quiet(t, p.b)
	for _, l := range libraries {
		if l.category == "analytics" {
			continue
		}
		if l.key != videoEmbed.key && browsertest.Eval[bool](t, v.ctx, l.runs) {
			t.Errorf("%s runs and was not accepted", l.name)
		}
		if n := count(p.b.since(mark), l.host, l.event); n != 0 {
			t.Errorf("%s was told %d times and was not accepted", l.name, n)
		}
	}
	for _, h := range v.holds(t) {
		if _, name, _ := strings.Cut(h, " "); strings.HasPrefix(name, "mp_") || strings.HasPrefix(name, "__mp") {
			t.Errorf("%s is stored and was not accepted", h)
		}
	}
	w.receipts(t, v, "save accepted_partially")
}
