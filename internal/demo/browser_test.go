package demo_test

import (
	"testing"

	"assent/internal/browsertest"
	"assent/internal/demo"
)

// received is the number of requests that one third party shows in the panel.
func received(party string) string {
	return `document.querySelectorAll('[data-party="` + party + `"] ul li').length`
}

func TestWithoutAConsentToolEverythingLeaks(t *testing.T) {
	d := start(t, demo.Options{})
	ctx := browsertest.Start(t)
	browsertest.Open(t, ctx, d.ShopURL)
	// Script, page view and pixel; script, pixel, banner with its script, "seen".
	browsertest.Wait(t, ctx, received("analytics")+" >= 3")
	browsertest.Wait(t, ctx, received("advertising")+" >= 5")
	browsertest.Wait(t, ctx, received("fonts")+" === 2")
	browsertest.Wait(t, ctx, `document.querySelector('[data-party="video"] b').textContent === 'nothing'`)
	browsertest.Wait(t, ctx, `[...document.fonts].some(f => f.family.includes('Sample Ornaments') && f.status === 'loaded')`)
	browsertest.Wait(t, ctx, `document.querySelector('[data-held=cookies]').textContent.includes('_sa_visitor')`)
	browsertest.Wait(t, ctx, `document.querySelector('[data-held=local]').textContent.includes('sad_interests')`)
	browsertest.Shot(t, ctx, "demo-leak-desktop")

	browsertest.Open(t, ctx, d.ShopURL+"p/slow-kettle")
	browsertest.Wait(t, ctx, received("video")+" >= 4")
	// The advertiser knows this browser again by its own cookie, on the second page.
	browsertest.Wait(t, ctx, `document.querySelector('[data-party="advertising"] .cookie')?.textContent.includes('sample_ads_uid')`)
	browsertest.Wait(t, ctx, `document.querySelector('#panel-views li b').textContent !== 'nothing'`)
	// The beacon of the page that was left is told of that page, not of this one.
	browsertest.Until(t, "the first page's last beacon", func() bool {
		sent := d.Views()[1].Received["analytics"]
		return len(sent) == 4 && sent[3].Path == "/collect"
	})
	if first := d.Views()[0].Received["analytics"][0].Path; first != "/a.js" {
		t.Errorf("the second page view starts with %s", first)
	}
	browsertest.Shot(t, ctx, "demo-leak-product")
}

func TestPanelFindsItsWayBackAfterAReload(t *testing.T) {
	d := start(t, demo.Options{})
	ctx := browsertest.Start(t)
	browsertest.Open(t, ctx, d.ShopURL)
	browsertest.Wait(t, ctx, received("analytics")+" >= 3")
	browsertest.Open(t, ctx, d.ShopURL+"basket")
	browsertest.Wait(t, ctx, received("analytics")+" >= 3")
	browsertest.Wait(t, ctx, `document.querySelectorAll('#panel-views li').length === 1`)
	browsertest.Wait(t, ctx, `document.getElementById('panel-dot').className === 'dot live'`)
}

func TestLooks(t *testing.T) {
	for _, c := range []struct {
		name    string
		options browsertest.Options
	}{
		{"phone-light", browsertest.Options{Width: 390, Height: 844, Mobile: true}},
		{"phone-dark", browsertest.Options{Width: 390, Height: 844, Mobile: true, Dark: true}},
		{"desktop-dark", browsertest.Options{Width: 1440, Height: 900, Dark: true}},
		{"desktop-light", browsertest.Options{Width: 1440, Height: 900}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := start(t, demo.Options{})
			ctx := browsertest.Start(t, c.options)
			for _, page := range []struct{ name, path string }{{"home", ""}, {"product", "p/harbour-teapot"}, {"basket", "basket"}} {
				browsertest.Open(t, ctx, d.ShopURL+page.path)
				browsertest.Wait(t, ctx, `document.getElementById('panel-tally').classList.contains('some')`)
				browsertest.Wait(t, ctx, `document.documentElement.scrollWidth <= innerWidth`)
				browsertest.Shot(t, ctx, "demo-"+c.name+"-"+page.name)
			}
		})
	}
}
