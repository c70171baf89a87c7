package e2e

import (
	"context"
	"strings"
	"testing"

	"assent/internal/browsertest"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// A link that opens a tab takes the choice along, whatever has opened it.
func TestAChoiceGoesAlongToANewTab(t *testing.T) {
	c := newCrossing(t, "boot")
	v := newVisitor(t)
	// The button comes up when the token is there: with a key or the middle button nothing waits for it.
	browsertest.BeforePage(t, v.ctx, `const json = Response.prototype.json; Response.prototype.json = async function () {
		const value = await json.call(this); setTimeout(() => { window.token = value.token }); return value }`)
	browsertest.Open(t, v.ctx, c.url("shop.test", "/"))
	c.press(t, v, refuseAll, "accepted_necessary")
	record := browsertest.Eval[string](t, v.ctx, "assent.get().recordId")
	for _, row := range []struct {
		name, link string
		options    []chromedp.MouseOption
	}{
		{"by the middle button", "#other", []chromedp.MouseOption{chromedp.ButtonMiddle}},
		{"by a key", "#other", []chromedp.MouseOption{chromedp.ButtonLeft, chromedp.ButtonModifiers(chromedp.ModifierCtrl)}},
		{"by target=_blank", "#blank", []chromedp.MouseOption{chromedp.ButtonLeft}},
	} {
		t.Log(row.name)
		browsertest.Open(t, v.ctx, c.url("shop.test", "/"))
		browsertest.Wait(t, v.ctx, calm+" && assent.get().recordId == '"+record+"'")
		at := browsertest.Eval[[2]float64](t, v.ctx, "(() => { const r = document.querySelector('"+row.link+"').getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()")
		options := append(row.options, chromedp.ClickCount(1))
		if err := chromedp.Do(v.ctx, chromedp.MouseEvent(chromedp.MousePressed, at[0], at[1], options...)); err != nil {
			t.Fatal(err)
		}
		browsertest.Wait(t, v.ctx, "window.token")
		if err := chromedp.Do(v.ctx, chromedp.MouseEvent(chromedp.MouseReleased, at[0], at[1], options...)); err != nil {
			t.Fatal(err)
		}
		tab, shut := newTab(t, v, "www.laden.example")
		browsertest.Wait(t, tab, "location.hostname == 'www.laden.example' && "+calm+" && assent.get().status == 'accepted_necessary'")
		if got := browsertest.Eval[string](t, tab, "assent.get().recordId"); got != record {
			t.Errorf("%s: the record is %s, want %s", row.name, got, record)
		}
		// The next one is new there, too.
		browsertest.Eval[bool](t, tab, "(localStorage.clear(), document.cookie = 'assent_"+c.key+"=; Max-Age=0; Domain=laden.example; Path=/', true)")
		shut()
	}
}

// newTab is the tab of a visitor that shows a page of the host, once there is one, and
// closes it.
func newTab(t *testing.T, v *visitor, host string) (tab context.Context, shut func()) {
	t.Helper()
	own := chromedp.FromContext(v.ctx).BrowserContextID
	find := func() (found target.ID) {
		all, err := chromedp.Targets(v.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			if one.BrowserContextID == own && one.Type == "page" && strings.Contains(one.URL, "//"+host) {
				found = one.TargetID
			}
		}
		return found
	}
	var found target.ID
	browsertest.Until(t, "a tab with a page of "+host, func() bool {
		found = find()
		return found != ""
	})
	tab, cancel := chromedp.NewContext(v.ctx, chromedp.WithTargetID(found))
	t.Cleanup(cancel)
	// Attached here, without a limit: what attaches with one is let go of with it.
	if err := chromedp.Do(tab); err != nil {
		t.Fatalf("attach to the tab: %v", err)
	}
	return tab, func() {
		cancel()
		browsertest.Until(t, "the tab is closed", func() bool { return find() == "" })
	}
}
