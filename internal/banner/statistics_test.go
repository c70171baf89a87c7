package banner

import (
	"strings"
	"testing"

	"assent/internal/browsertest"
)

// A site that has no statistics has nothing of them in its script, and one that has
// loads nothing more for them.
func TestScriptWithoutStatisticsHasNothingOfThem(t *testing.T) {
	plain := mustCompile(t, notice())
	n := notice()
	n.Statistics = "exempt"
	counting := mustCompile(t, n)
	for _, word := range []string{"page_view", "utm_"} {
		if strings.Contains(string(plain.Plain), word) {
			t.Errorf("the script holds %q", word)
		}
		if !strings.Contains(string(counting.Plain), word) {
			t.Errorf("a script that counts lacks %q", word)
		}
	}
	for name, part := range counting.Parts {
		if holds := strings.Contains(string(part.Plain), "page_view"); holds != (strings.Contains(name, "core") || strings.Contains(name, "ask")) {
			t.Errorf("the part %s counts: %v", name, holds)
		}
	}
	if was, is := len(plain.Plain), len(counting.Plain); is-was > 1800 {
		t.Errorf("counting takes %d bytes", is-was)
	}
}

// What a page tells: its view, the banner, the answer; and after consent, views only then.
func TestPagesTellWhatBecameOfTheBanner(t *testing.T) {
	for _, row := range []struct {
		statistics, button string
		want               []string
	}{
		{"exempt", "accept_necessary", []string{"accepted_necessary /*", "banner_shown /*", "page_view /*"}},
		{"consent", "accept_necessary", []string{"accepted_necessary /*", "banner_shown /*"}},
		{"consent", "all", []string{"accepted_all /*", "banner_shown /*", "page_view /*"}},
	} {
		t.Run(row.statistics+" "+row.button, func(t *testing.T) {
			n := notice()
			n.Statistics, n.Enforcement.Report = row.statistics, false
			w := newWeb(t, n, `<!doctype html><html lang="en"><head>{tag}<title>Shop</title></head><body>Shop</body></html>`)
			ctx := browsertest.Start(t)
			browsertest.Open(t, ctx, w.url(shop, "/4711?utm_source=letter"))
			browsertest.Wait(t, ctx, `!!document.querySelector("assent-consent")`)
			choice := "none"
			if row.button == "all" {
				choice = "all"
			}
			browsertest.Eval[bool](t, ctx, `(()=>{assent.set("`+choice+`");return true})()`)
			browsertest.Wait(t, ctx, `!!window.assent && assent.get().status !== null`)
			browsertest.Open(t, ctx, w.url(consent, "/elsewhere")) // leaving sends the rest
			browsertest.Until(t, "what the page tells", func() bool { return w.told() == strings.Join(row.want, "\n") }, func() string { return w.told() })
			w.mu.Lock()
			defer w.mu.Unlock()
			all := strings.Join(w.reports, "\n")
			if !strings.Contains(all, `"utm_source":"letter"`) || strings.Contains(all, "4711") {
				t.Errorf("sent: %s", all)
			}
		})
	}
}

// told is every event of pages so far, with the page's class.
func (w *web) told() string {
	w.mu.Lock()
	bodies := strings.Join(w.reports, "\n")
	w.mu.Unlock()
	var list []string
	for _, kind := range []string{"accepted_all", "accepted_necessary", "banner_shown", "page_view"} {
		if strings.Contains(bodies, `"type":"`+kind+`"`) {
			list = append(list, kind+" /*")
		}
	}
	return strings.Join(list, "\n")
}
