package banner

import (
	"testing"

	"assent/internal/browsertest"
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

// Where visitors opt out or are only informed everything runs, and refusing is as easy as elsewhere.
func TestRegimesThatAllowUntilRefused(t *testing.T) {
	for regime, obeys := range map[string]bool{"opt-out": true, "notice-only": false} {
		t.Run(regime, func(t *testing.T) {
			n := notice()
			n.Regime = regime
			signalled := browsertest.Start(t, browsertest.Options{GPC: true})
			w := newWeb(t, n, foreignPage)
			browsertest.Open(t, signalled, w.url(shop, "/"))
			if obeys {
				browsertest.Wait(t, signalled, "assent.get().action == 'signal'")
			} else {
				browsertest.Wait(t, signalled, banner+" && window.ran")
			}

			ctx := browsertest.Start(t, browsertest.Options{Still: true})
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Wait(t, ctx, banner+" && window.ran")
			browsertest.Click(t, ctx, in(banner, ".choose"))
			browsertest.Wait(t, ctx, dialog+".querySelectorAll('input:checked').length == 5")
			browsertest.Shot(t, ctx, regime)
			browsertest.Click(t, ctx, in(dialog, "input[aria-labelledby=c-analytics]"))
			browsertest.Click(t, ctx, in(dialog, ".save"))
			browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && document.readyState == 'complete' && assent.get().status == 'accepted_partially' && !('ran' in window)")
		})
	}
}
