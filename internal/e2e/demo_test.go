package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/demo"
)

// withDemo is the demo's shop in front of a real Assent, wired as the command
// assent demo wires it.
func withDemo(t *testing.T) (*demo.Demo, *world) {
	t.Helper()
	d, err := demo.Start(context.Background(), demo.Options{Port: 28090})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(context.Background()) })
	w := newWorld(t, demo.Services(d.Hosts)...)
	d.SetTag(w.tag())
	return d, w
}

// heard is the number of requests that all third parties received in the page
// view that the browser shows.
const heard = `document.querySelectorAll('[data-party] ul li').length`

// nobodyHeard waits for the panel's first word and until the page is at rest.
func nobodyHeard(t *testing.T, v *visitor, d *demo.Demo, when string) {
	t.Helper()
	browsertest.Wait(t, v.ctx, `document.readyState === 'complete' && document.querySelectorAll('[data-party].nothing').length === 4`)
	settled(t, d)
	for party, requests := range d.Views()[0].Received {
		t.Errorf("%s: %s received %d requests, first %s", when, party, len(requests), requests[0].Path)
	}
	if n := browsertest.Eval[int](t, v.ctx, heard); n != 0 {
		t.Errorf("%s: the panel shows %d requests", when, n)
	}
	if ran := v.foreignScripts(); len(ran) != 0 {
		t.Errorf("%s: foreign scripts ran: %v", when, ran)
	}
}

// settled waits until the third parties have been left alone for a while.
func settled(t *testing.T, d *demo.Demo) {
	t.Helper()
	stillFor(t, "quiet third parties", func() int {
		n := 0
		for _, v := range d.Views() {
			for _, requests := range v.Received {
				n += len(requests)
			}
		}
		return n
	})
}

func TestDemoShowsWhatAChoiceDoes(t *testing.T) {
	d, w := withDemo(t)
	v := newVisitor(t, browsertest.Options{Width: 1440, Height: 900})
	film := d.ShopURL + "p/harbour-teapot"

	browsertest.Open(t, v.ctx, d.ShopURL)
	browsertest.Wait(t, v.ctx, layer(acceptAll))
	nobodyHeard(t, v, d, "before a choice")
	browsertest.Shot(t, v.ctx, "demo-1-before")
	browsertest.Open(t, v.ctx, film)
	nobodyHeard(t, v, d, "on a page with a film")
	browsertest.Wait(t, v.ctx, `!document.querySelector('.asleep').hidden`)

	w.press(t, v, refuseAll, "accepted_necessary")
	browsertest.Click(t, v.ctx, `document.querySelector('.buy button')`)
	browsertest.Wait(t, v.ctx, `location.pathname === '/basket' && document.querySelector('.total')`)
	nobodyHeard(t, v, d, "after refusing")
	if held := v.holds(t); len(held) != 1 || held[0] != "cookie basket" {
		t.Errorf("after refusing, the browser holds %v, want the basket alone", held)
	}

	browsertest.Open(t, v.ctx, film)
	browsertest.Click(t, v.ctx, `document.querySelector('footer [data-assent-open]')`)
	w.pressForReload(t, v, ".preferences .accept", "accepted_all")
	for _, party := range []string{"analytics", "advertising", "video", "fonts"} {
		browsertest.Wait(t, v.ctx, `document.querySelector('[data-party="`+party+`"]').classList.contains('some')`)
	}
	browsertest.Wait(t, v.ctx, `document.querySelector('.asleep').hidden`)
	browsertest.Wait(t, v.ctx, `document.querySelector('[data-held=cookies]').textContent.includes('_sa_visitor')`)
	settled(t, d)
	browsertest.Shot(t, v.ctx, "demo-2-accepted")

	browsertest.Eval[bool](t, v.ctx, `(assent.open(), true)`)
	v.forget()
	w.pressForReload(t, v, withdraw, "accepted_necessary")
	nobodyHeard(t, v, d, "after withdrawal")
	for _, h := range v.holds(t) {
		if !strings.HasPrefix(h, "foreign_cookie ") && h != "cookie basket" {
			t.Errorf("withdrawal left %s", h)
		}
	}
	browsertest.Shot(t, v.ctx, "demo-3-withdrawn")
	w.receipts(t, v, "accept_necessary accepted_necessary", "accept_all accepted_all", "withdraw accepted_necessary")
}

func TestDemoWithoutItsTagLeaksAndIsSweptAfterwards(t *testing.T) {
	d, _ := withDemo(t)
	v := newVisitor(t, browsertest.Options{Width: 390, Height: 844, Mobile: true})
	browsertest.Open(t, v.ctx, d.LeakURL())
	browsertest.Wait(t, v.ctx, heard+" >= 10")
	browsertest.Wait(t, v.ctx, `!window.assent`)
	// What the page without a tag left is refused as soon as somebody asks.
	browsertest.Open(t, v.ctx, d.ShopURL)
	v.forget()
	browsertest.Open(t, v.ctx, d.ShopURL)
	nobodyHeard(t, v, d, "back with the tag")
	browsertest.Until(t, "what the leak left is gone", func() bool {
		return !slices.ContainsFunc(v.holds(t), func(s string) bool { return !strings.HasPrefix(s, "foreign_cookie ") })
	})
	browsertest.Click(t, v.ctx, `document.querySelector('#panel summary')`)
	browsertest.Wait(t, v.ctx, `document.querySelector('#panel details').open`)
	browsertest.Shot(t, v.ctx, "demo-4-phone-panel")
}

// The demo is what people judge the product by, with a keyboard or a screen
// reader as well.
func TestDemoIsAccessible(t *testing.T) {
	d, w := withDemo(t)
	axe := readModule(t, "axe-core/axe.min.js")
	for _, c := range []struct {
		name    string
		options browsertest.Options
	}{
		{"phone, light", browsertest.Options{Width: 390, Height: 844, Mobile: true}},
		{"desktop, dark", browsertest.Options{Width: 1280, Height: 800, Dark: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVisitor(t, c.options)
			browsertest.Open(t, v.ctx, d.ShopURL)
			w.press(t, v, refuseAll, "accepted_necessary")
			for _, path := range []string{"", "p/leaf-tin", "basket", "?without=1", "p/leaf-tin?without=1"} {
				browsertest.Open(t, v.ctx, d.ShopURL+path)
				browsertest.Wait(t, v.ctx, `document.getElementById('panel-tally').textContent !== '…'`)
				settled(t, d)
				browsertest.Eval[bool](t, v.ctx, `(document.querySelector('#panel details').open = true)`)
				browsertest.Eval[bool](t, v.ctx, axe+";true")
				found := browsertest.Eval[[]string](t, v.ctx, `axe.run({exclude: ['iframe', 'assent-consent']}).then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 120)).join(' | ')))`)
				for _, violation := range found {
					t.Errorf("/%s: %s", path, violation)
				}
			}
		})
	}
}
