package banner

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

func TestDecisionIsSentAgainWithTheSameRecordIDAfterA503(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), plainPage)
	w.answer(503)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	browsertest.Until(t, "the decision is sent twice", func() bool { return len(w.sent()) == 2 })
	browsertest.Wait(t, ctx, "!assent.get().waiting")
	if a, b := w.sent()[0], w.sent()[1]; a.RecordID != b.RecordID || a.RecordID == "" {
		t.Errorf("record IDs %q and %q, want one", a.RecordID, b.RecordID)
	}
}

func TestDecisionWithoutALineSurvivesTheReloadAndIsSentLater(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), plainPage)
	w.answer(500)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Click(t, ctx, in(banner, ".accept")) // the page reloads
	browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && document.readyState == 'complete' && assent.get().status == 'accepted_all'")
	browsertest.Until(t, "the decision is sent from the next page", func() bool { return len(w.sent()) == 2 })
	browsertest.Wait(t, ctx, "!assent.get().waiting")
	if w.sent()[0].RecordID != w.sent()[1].RecordID {
		t.Error("the second try has another record ID")
	}
}

func TestDecisionMadeOfflineIsSentWhenTheLineIsBack(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	offline(t, ctx, true)
	browsertest.Eval[any](t, ctx, "assent.set('none').then(() => { window.tried = true })")
	browsertest.Wait(t, ctx, "window.tried && assent.get().waiting")
	browsertest.Eval[any](t, ctx, "assent.open()")
	browsertest.Wait(t, ctx, in(dialog, ".record")+".textContent.includes('as soon as the connection allows')")
	offline(t, ctx, false)
	browsertest.Wait(t, ctx, "!assent.get().waiting")
	if n := len(w.sent()); n != 1 {
		t.Errorf("%d posts, want 1", n)
	}
}

func TestAcceptingOfflineKeepsThePage(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	offline(t, ctx, true)
	browsertest.Eval[any](t, ctx, "(window.same = true, assent.set('all').then(() => { window.tried = true }))")
	browsertest.Wait(t, ctx, "window.tried && window.same && assent.get().status == 'accepted_all'")
	offline(t, ctx, false)
	browsertest.Wait(t, ctx, "!window.same && window.assent?.get().status == 'accepted_all' && !document.querySelector('meta[http-equiv]')")
	browsertest.Until(t, "the decision is sent", func() bool { return len(w.sent()) > 0 })
}

func TestRefusedDecisionIsNotSentForever(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), plainPage)
	w.answer(422)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	browsertest.Wait(t, ctx, "assent.get().status == 'accepted_necessary' && !assent.get().waiting")
	if n := browsertest.Eval[int](t, ctx, "Object.keys(localStorage).filter(k => k.startsWith('assent_queue')).length"); n != 0 {
		t.Errorf("%d entries are left in the queue", n)
	}
}

func TestChoiceInOneTabHoldsInTheOther(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	other := browsertest.Tab(t, ctx)
	browsertest.Open(t, other, w.url(shop, "/other"))
	browsertest.Wait(t, other, banner)
	browsertest.Eval[any](t, other, "void (window.heard = [], assent.on('change', s => heard.push(s.action)))")
	browsertest.Wait(t, ctx, banner)
	browsertest.Eval[any](t, ctx, "assent.set('none')")
	browsertest.Wait(t, other, "!("+banner+") && heard.join() == 'accept_necessary'")
	if a, b := browsertest.Eval[string](t, ctx, "assent.get().recordId"), browsertest.Eval[string](t, other, "assent.get().recordId"); a != b {
		t.Errorf("record IDs of the tabs: %s and %s", a, b)
	}
	if n := len(w.sent()); n != 1 {
		t.Errorf("%d posts, want 1", n)
	}
}

func TestWithdrawalInOneTabStopsTheOther(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && assent.get().status == 'accepted_all'")
	other := browsertest.Tab(t, ctx)
	browsertest.Open(t, other, w.url(shop, "/other"))
	hit := "fetch('" + w.url(tracker, "/hit") + "', {mode: 'no-cors'}).then(() => true, () => false)"
	if !browsertest.Eval[bool](t, other, hit) {
		t.Fatal("the third party cannot be reached after acceptance")
	}
	browsertest.Eval[any](t, other, "void (window.typing = 'an order')")
	browsertest.Eval[any](t, ctx, "void assent.withdraw()")
	browsertest.Wait(t, other, "assent.get().action == 'withdraw'")
	if browsertest.Eval[bool](t, other, hit) {
		t.Error("the third party is still reached from the other tab")
	}
	if browsertest.Eval[string](t, other, "window.typing") != "an order" {
		t.Error("the other tab was reloaded while somebody typed")
	}
}

// An agency's notice can list hundreds of services, each decided on by itself.
func TestHundredsOfServicesOverrideTheirCategory(t *testing.T) {
	ctx := browsertest.Start(t)
	n := notice()
	for i := range 390 {
		n.Services = append(n.Services, site.Service{Key: fmt.Sprintf("%03d-%s", i, strings.Repeat("long", 12)), Name: "S", Category: "analytics"})
	}
	w := newWeb(t, n, plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/"))
	browsertest.Wait(t, ctx, banner)
	browsertest.Eval[bool](t, ctx, `(void assent.set({services: Object.fromEntries(Object.keys(assent.get().services).filter((k, i) => i % 2).map(k => [k, true]))}), true)`)
	browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && assent.get().status == 'accepted_partially'")
	browsertest.Open(t, ctx, w.url(shop, "/next"))
	browsertest.Wait(t, ctx, "assent.get().status == 'accepted_partially'")
	if len(w.sent()) == 0 || w.sent()[0].size > 16<<10 {
		t.Errorf("the body is larger than the register takes")
	}
}

// offline takes the line away or gives it back: first the line, then the news of
// it, so that what the page does on the news finds the line.
func offline(t *testing.T, ctx context.Context, off bool) {
	t.Helper()
	rules := []*network.Conditions{{Offline: off, DownloadThroughput: -1, UploadThroughput: -1}}
	if _, err := chromedp.Call(ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: rules}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: off, DownloadThroughput: -1, UploadThroughput: -1}); err != nil {
		t.Fatal(err)
	}
}
