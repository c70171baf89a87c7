package banner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

// DuckDuckGo's autoconsent looks for a refusal in whatever popup a page has, without
// rules for it. What it presses is a decision as any other, made on the first layer.
// It reads the page's own tree, no shadow root, knows some languages, and takes
// for hidden what stands in a modal dialog.
func TestAutoconsentFindsTheRefusal(t *testing.T) {
	script, err := os.ReadFile(filepath.Join("..", "..", "node_modules", "@duckduckgo", "autoconsent", "dist", "autoconsent.playwright.js"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("autoconsent is not installed; run: make deps")
		}
		t.Skip("autoconsent is not installed; run: make deps")
	}
	ctx := browsertest.Start(t)
	// What its browser's background part answers. A busy machine may need longer for the
	// search than the tenth of a second that it is given otherwise.
	browsertest.BeforePage(t, ctx, `if (self === top) {
		window.heard = [];
		window.autoconsentSendMessage = async (m) => {
			heard.push(m);
			await null; // until it can be answered
			if (m.type == "init") autoconsentReceiveMessage({type: "initResp", rules: {autoconsent: []}, config: {enabled: true, autoAction: "optOut", disabledCmps: [],
				enablePrehide: false, enableCosmeticRules: false, enableGeneratedRules: false, detectRetries: 1000, isMainWorld: true, heuristicMode: "reject", heuristicPopupSearchTimeout: 20000}});
		};
		`+string(script)+`}`)
	for _, placement := range []string{"box", "bar", "centre"} {
		for _, language := range []string{"en", "de", "fr", "nl"} {
			t.Run(placement+" "+language, func(t *testing.T) {
				n := site.DefaultNotice("k3y", "Shop Ltd", language)
				n.Domains, n.Layout.Placement, n.Layout.NonModal, n.Services = []string{shop}, placement, true, notice().Services
				w := newWeb(t, n, strings.Replace(shopPage, "LANG", language, 1))
				browsertest.Open(t, ctx, w.url(shop, "/"))
				browsertest.Wait(t, ctx, "assent.get().status == 'accepted_necessary' && !("+banner+") && !assent.get().waiting")
				browsertest.Wait(t, ctx, "heard.some(m => m.type == 'optOutResult' && m.result)")
				if posts := w.sent(); len(posts) != 1 || posts[0].Action != "accept_necessary" || posts[0].Source != "banner" || posts[0].Services["count"] {
					t.Errorf("what was recorded: %+v", posts)
				}
				browsertest.Eval[any](t, ctx, "void (document.cookie = 'assent_k3y=; path=/; domain=shop.test; max-age=0', localStorage.clear())")
			})
		}
	}
}
