package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

// difference is what an engine does otherwise than the scenarios say, by its own
// nature. Each one is checked: an engine that no longer differs fails.
type difference struct {
	engine string
	kind   string // one of the kinds below
	what   string // the name of a vector or of a way to store
	why    string // as docs/engines.md says it
}

const (
	noVector     = "no vector"          // the engine does not load this, or not here
	noStore      = "no store"           // the engine has no such storage
	onlyTheNext  = "only the next page" // works for certain on the page after the one that was loaded again
	noSuchSignal = "no signal"          // the engine sends no such signal
)

var differences = []difference{
	{"webkit", noVector, "prefetch", "does not prefetch"},
	{"webkit", noVector, "track", "does not load the subtitles of a film without content"},
	{"webkit", noStore, "cookie-store", "has no `cookieStore`"},
	{"webkit", noStore, "cookie-store-object", "has no `cookieStore`"},
	{"firefox", onlyTheNext, "form-in-frame", "may leave a form unsent that a page sends into one of its frames while it is loaded again"},
	{"webkit", onlyTheNext, "css-object-model", "keeps what it knows of the images of a constructed style sheet over a reload"},
	{"webkit", noSuchSignal, "global privacy control", "sends no Global Privacy Control"},
}

// The page for web developers says the same.
func TestDifferencesAreWrittenDown(t *testing.T) {
	text, err := os.ReadFile("../../docs/engines.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		if !strings.Contains(string(text), d.why) {
			t.Errorf("docs/engines.md does not say that %s %s", d.engine, d.why)
		}
	}
}

// differs are the names of one kind of difference in the engine at hand.
func (s *stage) differs(kind string) []string {
	var names []string
	for _, d := range differences {
		if d.engine == s.engine.Name && d.kind == kind {
			names = append(names, d.what)
		}
	}
	return names
}

// scenarios are what every engine has to show, in this order.
var scenarios = []struct {
	name string
	run  func(*testing.T, *stage)
}{
	{"without a tag everything works", everythingWorks},
	{"before a choice, and after refusing", refusing},
	{"accepting all, a second tab, withdrawing", accepting},
	{"a choice of some services", choosing},
	{"mark-up is released in order", marking},
	{"behind the gate", gated},
	{"keyboard alone", typing},
	{"global privacy control", signalling},
}

func TestScenariosInEveryEngine(t *testing.T) {
	for _, name := range browsertest.Engines {
		t.Run(name, func(t *testing.T) {
			modules(t)
			s := &stage{engine: browsertest.Launch(t, name), page: newVectorPage(t)}
			t.Log(s.engine.Version)
			s.world = newWorld(t, vectorService(s.page.b.port), helper)
			for _, scenario := range scenarios {
				s.page.first = s.world.tag()
				t.Run(scenario.name, func(t *testing.T) { scenario.run(t, s) })
			}
		})
	}
}

func everythingWorks(t *testing.T, s *stage) {
	s.page.first = ""
	g := s.visitor(t)
	mark := s.page.b.mark()
	g.Open(t, s.page.url+"/")
	s.allWorks(t, "without a tag", g, mark, s.differs(noVector))
}

// allWorks waits until every vector but some has reached the foreign host since
// mark and run, and checks that everything was stored but for what the engine
// does not have.
func (s *stage) allWorks(t *testing.T, when string, g *guest, mark int, but []string, may ...string) {
	t.Helper()
	missing := func(o outcome) []string {
		var names []string
		for _, v := range vectors {
			// Prefetching is a hint, which Firefox leaves aside where it is busy.
			if slices.Contains(may, v.name) || v.name == "prefetch" && !slices.Contains(but, v.name) {
				continue
			}
			if o.sent[v.name] == 0 || v.code() && !slices.Contains(o.ran, v.name) {
				names = append(names, v.name)
			}
		}
		return names
	}
	var o outcome
	// Some, like prefetching, wait until the page is at rest.
	browsertest.Until(t, when+", every vector works", func() bool {
		o = g.look(t, mark)
		return !slices.ContainsFunc(missing(o), func(name string) bool { return !slices.Contains(but, name) })
	}, func() string { return "missing: " + strings.Join(missing(o), ", ") })
	same(t, when+", vectors that do not work", missing(o), but)
	var unstored []string
	for _, way := range stored {
		for _, prefix := range []string{"d_", "u_"} {
			if !slices.ContainsFunc(o.held, func(h string) bool { return strings.HasSuffix(h, " "+prefix+way.name) }) {
				unstored = append(unstored, way.name)
			}
		}
	}
	same(t, when+", ways to store that do not work", slices.Compact(unstored), s.differs(noStore))
	t.Logf("%s, %d of %d vectors sent %d requests, %d foreign scripts ran, %d items stored", when, len(o.sent), len(vectors), total(o.sent), len(o.ran), len(o.held))
}

// same reports what is on one list and not on the other.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, s := range got {
		if !slices.Contains(want, s) {
			t.Errorf("%s: %s, which is no known difference of this engine", what, s)
		}
	}
	for _, s := range want {
		if !slices.Contains(got, s) {
			t.Errorf("%s: not %s any more: take it off the list of differences", what, s)
		}
	}
}

// isQuiet checks that no foreign code ran, that nothing was sent but what
// browsers ask for ahead of the parser, and that nothing is stored.
func (s *stage) isQuiet(t *testing.T, when string, o outcome) {
	t.Helper()
	same(t, when+", foreign code ran", o.ran, nil)
	same(t, when+", the browser holds", slices.DeleteFunc(slices.Clone(o.held), later), beyondTheHooks)
	var left []string
	for name, n := range o.sent {
		left = append(left, fmt.Sprintf("%s %d", name, n))
		if !mayScan(name) {
			t.Errorf("%s: %s sent %d requests", when, name, n)
		}
	}
	slices.Sort(left)
	t.Logf("%s, %d requests left: %s", when, total(o.sent), strings.Join(left, ", "))
}

// later tells the items that no hook sees; they go when the page has loaded, at
// a decision, or when the page ends.
func later(item string) bool {
	return strings.HasSuffix(item, "-storage-property") || strings.HasSuffix(item, "-in-blank-frame")
}

// leave checks that nothing is stored any more once the page has ended.
func (s *stage) leave(t *testing.T, g *guest, when string) {
	t.Helper()
	g.Open(t, s.page.url+"/plain")
	same(t, when+", the browser still holds", g.holds(t), beyondTheHooks)
}

func refusing(t *testing.T, s *stage) {
	g := s.visitor(t)
	s.isQuiet(t, "before a choice", g.view(t, "/"))
	g.Shot(t, "engine-"+s.engine.Name+"-banner")
	evenHanded(t, g)
	mark := s.page.b.mark()
	g.decide(t, refuseAll, "accepted_necessary", 0)
	g.registered(t, s.world, "accept_necessary accepted_necessary")
	if sent := g.sent(mark); len(sent) != 0 {
		t.Errorf("refusing sent %v", sent)
	}
	s.leave(t, g, "after refusing")
	s.isQuiet(t, "on the page after refusing", g.view(t, "/next"))
	if browsertest.Ask[bool](t, g.Visitor, "!!"+layer(".banner")) {
		t.Error("whoever refused is asked again")
	}
	s.leave(t, g, "after a second page")
}

// gated shows what the gate alone can: not even the preload scanner asks a foreign host, and the
// site's own workers do not either. In Chromium TestNothingLeavesThroughTheGate shows more.
func gated(t *testing.T, s *stage) {
	if s.engine.Name == "chromium" {
		return
	}
	direct := s.page.url
	t.Cleanup(func() { s.page.url = direct })
	s.page.first, s.page.url = "", behindGate(t, s.world, direct)
	g := s.visitor(t)
	for _, path := range []string{"/", "/workers"} {
		if o := g.view(t, path); len(o.ran) != 0 || total(o.sent) != 0 {
			t.Errorf("%s: %d foreign scripts ran, %d requests left: %v", path, len(o.ran), total(o.sent), o.sent)
		}
		g.Wait(t, layer(refuseAll))
	}
}

// evenHanded checks that the first layer can be seen and pressed, and that
// refusing weighs as much as accepting.
func evenHanded(t *testing.T, g *guest) {
	t.Helper()
	look := func(selector string) string {
		return browsertest.Ask[string](t, g.Visitor, `(e => {
			const r = e.getBoundingClientRect(), c = getComputedStyle(e);
			// An answer is a slot, and stands in the page's own tree.
			const tops = [e.getRootNode(), document].map(tree => tree.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2));
			const seen = [e, ...e.assignedElements?.() ?? []].some(own => tops.includes(own)) && r.top >= 0 && r.left >= 0 && r.bottom <= innerHeight && r.right <= innerWidth;
			return [seen ? 'seen' : 'hidden', Math.round(r.width), Math.round(r.height), c.color, c.backgroundColor, c.fontSize, c.fontWeight].join(' ');
		})(`+layer(selector)+`)`)
	}
	refuse, accept := look(refuseAll), look(acceptAll)
	if refuse != accept || !strings.HasPrefix(refuse, "seen ") {
		t.Errorf("refusing looks like %s, accepting like %s", refuse, accept)
	}
	t.Logf("refuse and accept: %s", refuse)
}

func accepting(t *testing.T, s *stage) {
	g := s.visitor(t)
	g.view(t, "/")
	mark := s.page.b.mark()
	g.decide(t, acceptAll, "accepted_all", 1)
	s.allWorks(t, "after the reload", g, mark, s.differs(noVector), s.differs(onlyTheNext)...)
	// Requests of both pages: what a browser has in its memory it does not ask for again.
	g.Open(t, s.page.url+"/next")
	s.allWorks(t, "on the next page", g, mark, s.differs(noVector))

	record := g.recordID(t)
	second := &guest{g.Tab(t), s}
	second.Open(t, s.page.url+"/plain")
	g.Open(t, s.page.url+"/")
	for _, tab := range []*guest{g, second} {
		tab.Wait(t, `window.assent?.get().recordId === '`+record+`' && assent.get().status === 'accepted_all'`)
		if browsertest.Ask[bool](t, tab.Visitor, "!!"+layer(".banner")) {
			t.Error("whoever accepted is asked again")
		}
	}

	g.look(t, mark)
	browsertest.Ask[bool](t, g.Visitor, `(assent.open(), true)`)
	mark = s.page.b.mark()
	g.decide(t, withdraw, "accepted_necessary", 1)
	s.nothingDeclared(t, "after the reload for a withdrawal", g.look(t, mark))
	second.Wait(t, `assent.get().status === 'accepted_necessary'`)
	g.Open(t, s.page.url+"/next")
	s.nothingDeclared(t, "on the next page after a withdrawal", g.look(t, mark))
	g.registered(t, s.world, "accept_all accepted_all", "withdraw accepted_necessary")
}

// nothingDeclared checks that no foreign code ran, and that nothing that a
// service declares is left: what no service declares may be the site's own.
func (s *stage) nothingDeclared(t *testing.T, when string, o outcome) {
	t.Helper()
	same(t, when+", foreign code ran", o.ran, nil)
	for name, n := range o.sent {
		if !mayScan(name) {
			t.Errorf("%s: %s sent %d requests", when, name, n)
		}
	}
	for _, item := range o.held {
		if !undeclared(item) && !later(item) && !slices.Contains(beyondTheHooks, item) {
			t.Errorf("%s, the browser holds %s", when, item)
		}
	}
}

// choosing accepts one service and refuses another; each way to store follows
// the names that they declare.
func choosing(t *testing.T, s *stage) {
	g := s.visitor(t)
	g.Open(t, s.page.url+"/plain")
	g.Click(t, layer(".banner .choose"))
	g.Click(t, layer(`[aria-labelledby="c-functional"]`))
	g.Shot(t, "engine-"+s.engine.Name+"-preferences")
	g.decide(t, ".preferences .save", "accepted_partially", 1)
	g.registered(t, s.world, "save accepted_partially")
	var stores strings.Builder
	var want []string
	for _, way := range stored {
		for _, prefix := range []string{"d_", "h_", "u_"} {
			stores.WriteString("try{" + strings.ReplaceAll(way.code, "NAME", prefix+way.name) + "}catch(e){}\n")
		}
		if !slices.Contains(s.differs(noStore), way.name) {
			want = append(want, "h_"+way.name)
		}
	}
	browsertest.Ask[bool](t, g.Visitor, "(async()=>{"+stores.String()+"return true})()")
	// What a page assigns to the storage goes when the page ends.
	g.Open(t, s.page.url+"/plain")
	var names []string
	for _, item := range g.holds(t) {
		_, name, _ := strings.Cut(item, " ")
		names = append(names, name)
	}
	for _, item := range beyondTheHooks {
		_, name, _ := strings.Cut(item, " ")
		want = append(want, name)
	}
	same(t, "stored", names, want)
}

func marking(t *testing.T, s *stage) {
	w := newWorldWith(t, func(n *site.Notice) {
		n.Services = []site.Service{vectorService(s.page.b.port), helper}
		n.Enforcement.Policy = false
	})
	s.page.first = w.tag()
	g := s.visitor(t)
	mark := s.page.b.mark()
	g.Open(t, s.page.url+"/marked")
	g.Wait(t, layer(acceptAll))
	quiet(t, s.page.b)
	if sent := g.sent(mark); len(sent) != 0 {
		t.Errorf("before a choice, marked elements sent %v", sent)
	}
	same(t, "before a choice, marked code ran", browsertest.Ask[[]string](t, g.Visitor, "ran"), nil)
	g.decide(t, acceptAll, "accepted_all", 0)
	g.Wait(t, "ran.length >= 5")
	if got := strings.Join(browsertest.Ask[[]string](t, g.Visitor, "ran"), " "); got != "first script middle script-defer last" {
		t.Errorf("marked scripts ran in the order %s", got)
	}
	browsertest.Until(t, "the frame and the image are loaded", func() bool {
		sent := g.sent(mark)
		return sent["iframe"] == 1 && sent["img"] == 1
	})
	g.registered(t, w, "accept_all accepted_all")
}

// typing is a visitor without a mouse.
func typing(t *testing.T, s *stage) {
	g := s.visitor(t)
	g.Open(t, s.page.url+"/plain")
	g.Wait(t, layer(acceptAll))
	const root = `document.querySelector('assent-consent').shadowRoot`
	// The two answers stand in the page's own tree and are shown through slots.
	const touched = `(e => e?.slot ? e : ` + root + `.activeElement)(document.activeElement)`
	const focused = `(e => e?.slot ? ` + root + `.querySelector('.' + e.slot) : ` + root + `.activeElement)(document.activeElement)`
	const dialog = root + `.querySelector('.preferences')`
	// until presses keys until the focus is on an element of the layers.
	until := func(selector string, keys ...browsertest.Key) {
		t.Helper()
		for range 12 {
			if browsertest.Ask[bool](t, g.Visitor, `!!`+focused+`?.matches('`+selector+`')`) {
				return
			}
			g.Press(t, keys...)
		}
		t.Fatalf("the keyboard does not reach %s", selector)
	}
	for _, selector := range []string{".refuse", ".accept", ".choose"} {
		until(selector, browsertest.KeyTab)
		if browsertest.Ask[bool](t, g.Visitor, `(s => s.outlineStyle === 'none' || s.outlineWidth === '0px')(getComputedStyle(`+touched+`))`) {
			t.Errorf("the focus on %s cannot be seen", selector)
		}
	}
	g.Press(t, browsertest.KeyEnter)
	g.Wait(t, dialog+`.open && `+dialog+`.contains(`+focused+`)`)
	// Beyond the last element, browsers go on to their own tool bar: then nothing
	// of the page has the focus. It must come back into the dialog.
	inside := map[string]bool{}
	for range 24 {
		g.Press(t, browsertest.KeyTab)
		where := browsertest.Ask[string](t, g.Visitor, `(e => !e ? (document.activeElement === document.body || document.activeElement.localName === 'assent-consent' ? '' : 'the page') :
			`+dialog+`.contains(e) ? e.className || e.getAttribute('aria-labelledby') || e.id || e.localName : 'outside')(`+focused+`)`)
		if where == "outside" || where == "the page" {
			t.Fatalf("Tab left the open dialog for %s", where)
		}
		inside[where] = true
	}
	until("dialog .save", browsertest.KeyTab)
	for _, part := range []string{"c-analytics", "main save", "plain refuse", "plain accept"} {
		if !inside[part] {
			t.Errorf("Tab does not reach %s in the dialog; it reached %v", part, inside)
		}
	}
	g.Press(t, browsertest.KeyEscape)
	g.Wait(t, `!`+dialog+`.open && `+focused+`?.matches('.choose')`)

	until(".refuse", browsertest.KeyShift, browsertest.KeyTab)
	before := g.recordID(t)
	g.Press(t, browsertest.KeyEnter)
	g.decided(t, before, "accepted_necessary")
	g.registered(t, s.world, "accept_necessary accepted_necessary")

	until(".floating", browsertest.KeyTab)
	g.Press(t, browsertest.KeySpace)
	g.Wait(t, dialog+`.open`)
	g.Press(t, browsertest.KeyEscape)
	g.Wait(t, `!`+dialog+`.open && `+focused+`?.matches('.floating')`)
}

func signalling(t *testing.T, s *stage) {
	if len(s.differs(noSuchSignal)) > 0 {
		g := s.visitor(t)
		g.Open(t, s.page.url+"/plain")
		if browsertest.Ask[bool](t, g.Visitor, "'globalPrivacyControl' in navigator") {
			t.Error("the engine knows Global Privacy Control now: take it off the list of differences")
		}
		return
	}
	g := s.visitor(t, browsertest.Options{GPC: true})
	s.isQuiet(t, "with Global Privacy Control", g.view(t, "/"))
	g.decided(t, "", "accepted_necessary")
	if browsertest.Ask[bool](t, g.Visitor, "!!"+layer(".banner")) {
		t.Error("whoever sends the signal is asked all the same")
	}
	g.registered(t, s.world, "signal accepted_necessary")
}
