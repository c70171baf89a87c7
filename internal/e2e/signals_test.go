package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"

	"github.com/evanw/esbuild/pkg/api"
)

// toolPage has four products on it, each as its maker's documentation installs it, and
// nothing holds them back: no policy, no mark-up. BASE is where they load from and send to.
const toolPage = `<!doctype html><title>Tools</title>TAG
<script>
// The Web SDK knows no address without TLS.
const send = window.fetch; window.fetch = (a, o) => send(typeof a === 'string' ? a.replace('https://tools.test', 'BASE') : a, o);

// PostHog: what its snippet leaves behind.
(e => { window.posthog = e; e._i = []; e.__SV = 1; e.init = (token, config) => e._i.push([token, config, 'posthog']); })(window.posthog || []);
posthog.init('phc_e2e', {api_host: 'BASE', defaults: '2025-05-24', opt_out_useragent_filter: true, disable_session_recording: true, autocapture: false});

// Segment: likewise.
window.analytics = window.analytics || [];
analytics._writeKey = 'e2e'; analytics._cdn = 'BASE';
analytics._loadOptions = {cdnURL: 'BASE', integrations: {'Segment.io': {apiHost: 'ORIGIN/segment', protocol: 'http'}}};
analytics.push(['page']);

// Adobe: its base code would step back here.
alloy('configure', {datastreamId: 'e2e', orgId: 'E2E@AdobeOrg', edgeDomain: 'tools.test', defaultConsent: 'pending', idMigrationEnabled: false}).catch(e => window.alloyError = String(e));
alloy('sendEvent', {xdm: {eventType: 'seen'}}).catch(() => {});

// Clarity: its tag starts the library before what waits in the queue.
clarity('start', {projectId: 'e2e', upload: 'BASE/collect', track: true, delay: 50});
clarity.q.unshift(clarity.q.pop());
</script>
<script src="BASE/static/array.full.js"></script><script src="BASE/umd/standalone.js"></script>
<script src="BASE/alloy.js"></script><script src="BASE/clarity/clarity.min.js"></script>
<p>Read on.</p>`

// sends are the endpoints by which each product tells its maker about a visitor.
// Clarity has none: without consent it counts without cookies, as its maker documents.
var sends = map[string]func(hit) bool{
	"posthog": func(h hit) bool { return post("/e/")(h) || post("/i/")(h) },
	"segment": post("/segment/"),
	"adobe":   func(h hit) bool { return strings.HasSuffix(h.path, "/v1/interact") },
}

// sent are the products that told something.
func sent(hits []hit) []string {
	var list []string
	for name, event := range sends {
		if slices.ContainsFunc(hits, event) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// tools answers as the products' servers do.
func tools(t *testing.T, latest func() hit) http.Handler {
	mux := http.NewServeMux()
	posthog.serve(t, mux)
	mux.Handle("/umd/", folder(t, "/umd/", "@segment/analytics-next/dist/umd"))
	mux.Handle("/v1/projects/e2e/settings", text("application/json", `{"integrations":{"Segment.io":{"apiKey":"e2e"}}}`))
	mux.Handle("/segment/", text("application/json", `{"success":true}`))
	mux.Handle("/clarity/", folder(t, "/clarity/", "clarity-js/build"))
	mux.Handle("/collect", text("text/plain", ""))
	mux.Handle("/alloy.js", text("text/javascript", alloy(t)))
	mux.HandleFunc("/ee/", func(w http.ResponseWriter, r *http.Request) {
		// Adobe's edge tells the library what to keep.
		answer := map[string]any{"requestId": "1", "handle": []any{}}
		if strings.HasSuffix(r.URL.Path, "/set-consent") {
			value := "general=out"
			if strings.Contains(latest().body, `"val":"y"`) {
				value = "general=in"
			}
			answer["handle"] = []any{map[string]any{"type": "state:store", "payload": []any{
				map[string]any{"key": "kndctr_E2E_AdobeOrg_consent", "value": value, "maxAge": 3600},
				map[string]any{"key": "kndctr_E2E_AdobeOrg_identity", "value": "e2e", "maxAge": 3600}}}}
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(answer)
	})
	return mux
}

// alloy is Adobe's library with the parts that consent needs, as its maker's builder
// makes it: the package holds sources only.
func alloy(t *testing.T) string {
	t.Helper()
	result := api.Build(api.BuildOptions{
		Stdin: &api.StdinOptions{ResolveDir: filepath.Dir(modules(t)), Contents: `
			import start from "@adobe/alloy-core/core/index.js";
			import consent from "@adobe/alloy-core/components/Consent/index.js";
			start({components: [consent]});`},
		Bundle: true, Format: api.FormatIIFE, Platform: api.PlatformBrowser, Define: map[string]string{"process.env.NODE_ENV": `"production"`},
	})
	if len(result.Errors) > 0 {
		t.Fatalf("Adobe's library: %s", result.Errors[0].Text)
	}
	return string(result.OutputFiles[0].Contents)
}

// Nothing but the signals holds these products back: each obeys its own.
func TestRealLibrariesObeyTheirSignals(t *testing.T) {
	v := newVisitor(t)
	var f *foreign
	latest := func() hit {
		all := f.since(0)
		i := len(all) - 1
		for !strings.HasSuffix(all[i].path, "/set-consent") {
			i--
		}
		return all[i]
	}
	f = serveForeign(t, map[string]http.Handler{"tools.test": tools(t, latest)})
	var services []site.Service
	for _, signal := range []string{"posthog", "segment", "adobe", "clarity"} {
		services = append(services, site.Service{Key: signal, Name: signal, Category: "analytics", Signal: signal})
	}
	w := newWorld(t, services...)
	w.republish(t, func(n *site.Notice) { n.Enforcement.Policy = false })
	base := f.base("tools.test")
	page := strings.NewReplacer("TAG", w.tag(), "BASE", base, "ORIGIN", strings.TrimPrefix(base, "http://")).Replace(toolPage)
	shop := serveOwn(t, page)

	const ready = `document.readyState === 'complete' && window.assent && posthog.__loaded && analytics.initialized && clarity.v`
	start := f.mark()
	nothing := func(when string) {
		t.Helper()
		quiet(t, f)
		if told := sent(f.since(start)); len(told) > 0 {
			t.Errorf("%s: %v told their makers something: %v", when, told, f.since(start))
		}
		// What PostHog and Segment keep wherever they are loaded, only blocking keeps away.
		held := slices.DeleteFunc(v.holds(t), func(s string) bool {
			return !strings.Contains(s, " _clck") && !strings.Contains(s, "AdobeOrg_identity")
		})
		if len(held) > 0 {
			t.Errorf("%s: the visitor's browser holds %v", when, held)
		}
	}
	browsertest.Open(t, v.ctx, shop)
	browsertest.Wait(t, v.ctx, ready)
	nothing("before a choice")

	w.press(t, v, refuseAll, "accepted_necessary")
	browsertest.Eval[bool](t, v.ctx, `(posthog.capture('seen'), analytics.track('seen'), true)`)
	nothing("after a refusal")

	browsertest.Eval[bool](t, v.ctx, `assent.set('all').then(() => true)`)
	browsertest.Eval[bool](t, v.ctx, `(posthog.capture('seen'), true)`)
	browsertest.Until(t, "what every product sends after a yes", func() bool { return len(sent(f.since(start))) == len(sends) },
		func() string { return fmt.Sprint(f.since(start)) })
	browsertest.Wait(t, v.ctx, `document.cookie.includes('_clck=')`)
	for _, h := range f.since(start) {
		if post("/segment/")(h) && !strings.Contains(h.body, `"categoryPreferences":{`) {
			t.Errorf("Segment got an event without the preferences: %s", h.body)
		}
	}

	browsertest.Eval[bool](t, v.ctx, `(window.formerPage = true, assent.withdraw(), true)`)
	browsertest.Wait(t, v.ctx, `!window.formerPage && `+ready)
	quiet(t, f)
	start = f.mark()
	browsertest.Eval[bool](t, v.ctx, `(posthog.capture('seen'), analytics.track('seen'), true)`)
	quiet(t, f)
	if told := sent(f.since(start)); len(told) > 0 {
		t.Errorf("after a withdrawal: %v told their makers something", told)
	}
	if browsertest.Eval[bool](t, v.ctx, `document.cookie.includes('_clck=')`) {
		t.Error("after a withdrawal Clarity's cookie is there")
	}
}

// republish changes the notice that visitors see.
func (w *world) republish(t *testing.T, change func(*site.Notice)) {
	t.Helper()
	ctx := context.Background()
	n, err := w.app.Sites.Draft(ctx, w.key)
	if err != nil {
		t.Fatal(err)
	}
	change(n)
	if err := w.app.Sites.SaveDraft(ctx, w.key, n); err != nil {
		t.Fatal(err)
	}
	if _, err := w.app.Sites.Publish(ctx, w.key, "test"); err != nil {
		t.Fatal(err)
	}
	if err := w.app.Cache.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
}

// serveOwn serves one page as the site's own, on localhost.
func serveOwn(t *testing.T, page string) string {
	t.Helper()
	s := httptest.NewServer(text("text/html; charset=utf-8", page))
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1) + "/"
}
