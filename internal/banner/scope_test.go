package banner

import (
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

// nextVersion is another notice version than testVersion, published after it.
var nextVersion = strings.Repeat("ab", 32)

// republish changes the notice as a publication would.
func (w *web) republish(change func(*site.Notice)) {
	w.t.Helper()
	n := notice()
	change(n)
	b, err := Compile(n, nextVersion)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.script = b.Plain
}

func TestPublicationAsksAgainOnlyAboutSomethingElse(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*site.Notice)
		asks   bool
	}{
		"another title, purpose and colour": {func(n *site.Notice) {
			texts := n.Texts["en"]
			texts.Title = "A new title"
			n.Texts["en"] = texts
			n.Services[1].Purpose["en"] = "Counts the visits."
			n.Layout.Light.Button = "#004411"
		}, false},
		"another domain": {func(n *site.Notice) { n.Domains = append(n.Domains, "shop.example") }, false},
		"a new service": {func(n *site.Notice) {
			n.Services = append(n.Services, site.Service{Key: "heat", Name: "Heat", Category: "analytics"})
		}, true},
		"a service gone": {func(n *site.Notice) { n.Services = n.Services[:2] }, true},
		// Who refused stays out, also where others are no longer asked.
		"a milder regime": {func(n *site.Notice) { n.Regime = "opt-out" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := browsertest.Start(t)
			w := newWeb(t, notice(), plainPage)
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Click(t, ctx, in(banner, ".refuse"))
			browsertest.Wait(t, ctx, "assent.get().status == 'accepted_necessary' && !assent.get().waiting")

			w.republish(row.change)
			browsertest.Open(t, ctx, w.url(shop, "/next"))
			browsertest.Wait(t, ctx, "document.readyState == 'complete' && assent.get().version == '"+nextVersion+"'")
			if asks := browsertest.Eval[bool](t, ctx, "Boolean("+banner+")"); asks != row.asks {
				t.Errorf("asks again: %v, want %v", asks, row.asks)
			}
			if decided := browsertest.Eval[bool](t, ctx, "assent.get().status !== null"); decided == row.asks {
				t.Errorf("a choice is in force: %v", decided)
			}
			browsertest.Eval[bool](t, ctx, "(void assent.set('none'), true)") // a reload may follow at once
			browsertest.Until(t, "the next decision is sent", func() bool { return len(w.sent()) == 2 })
			if a, b := w.sent()[0], w.sent()[1]; a.Version != testVersion || b.Version != nextVersion || a.ConsentID != b.ConsentID {
				t.Errorf("the records name the versions %s and %s and the visitors %s and %s; want the versions in force and one visitor", a.Version, b.Version, a.ConsentID, b.ConsentID)
			}
		})
	}
}
