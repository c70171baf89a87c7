package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"assent/internal/site"
)

// library is a real third-party product from its npm package, installed as its
// maker tells sites to.
type library struct {
	key, name, category string
	host                string                                         // where it is loaded from and sends to, without port
	serve               func(t *testing.T, mux *http.ServeMux)         // files of the package and its ingestion endpoint
	head, body          func(t *testing.T, base, origin string) string // what is pasted; origin is host:port
	runs                string                                         // JavaScript that is true once its script has run
	event               func(hit) bool                                 // its endpoint was told something
	trackers            []site.Tracker
}

func (l library) service(port string) site.Service {
	return site.Service{
		Key: l.key, Name: l.name, Category: l.category, Provider: l.name, Hosts: []string{l.host + ":" + port},
		Purpose: map[string]string{"en": "Part of the test."}, Trackers: l.trackers,
	}
}

func post(path string) func(hit) bool {
	return func(h hit) bool { return h.method == http.MethodPost && strings.HasPrefix(h.path, path) }
}

func none(*testing.T, string, string) string { return "" }

var libraries = []library{posthog, mixpanel, amplitude, plausible, countly, leaflet, liteYouTube, videoEmbed}

var posthog = library{
	key: "posthog", name: "PostHog", category: "analytics", host: "posthog.test",
	serve: func(t *testing.T, mux *http.ServeMux) {
		mux.Handle("/static/", folder(t, "/static/", "posthog-js/dist"))
		settings := text("application/json", `{"token":"phc_e2e","supportedCompression":["gzip-js"],"hasFeatureFlags":false,"featureFlags":{},"sessionRecording":false,"surveys":false,"heatmaps":false,"toolbarParams":{},"siteApps":[]}`)
		mux.Handle("/array/phc_e2e/config", settings)
		mux.Handle("/flags/", settings)
		mux.Handle("/e/", text("application/json", `{"status":1}`))
		mux.Handle("/i/", text("application/json", `{"status":1}`))
	},
	head: func(_ *testing.T, base, _ string) string {
		return `<script src="` + base + `/static/array.full.js"></script>
<script>posthog.init('phc_e2e', {api_host: '` + base + `', defaults: '2025-05-24', opt_out_useragent_filter: true, disable_session_recording: true})</script>`
	},
	body: none,
	runs: `typeof posthog === 'object' && posthog.__loaded`,
	event: func(h hit) bool {
		return post("/e/")(h) || post("/i/")(h)
	},
	trackers: []site.Tracker{
		{Kind: "cookie", Name: "ph_*", Lifetime: "1 year"},
		{Kind: "cookie", Name: "dmn_chk_*", Lifetime: "a moment"},
		{Kind: "local_storage", Name: "ph_*"}, {Kind: "local_storage", Name: "__ph*"},
		{Kind: "session_storage", Name: "ph_*"}, {Kind: "session_storage", Name: "__ph*"},
	},
}

var mixpanel = library{
	key: "mixpanel", name: "Mixpanel", category: "advertising", host: "mixpanel.test",
	serve: func(t *testing.T, mux *http.ServeMux) {
		mux.Handle("/libs/", folder(t, "/libs/", "mixpanel-browser/dist"))
		mux.Handle("/", text("application/json", `1`))
	},
	head: func(t *testing.T, base, _ string) string {
		return `<script>MIXPANEL_CUSTOM_LIB_URL = '` + base + `/libs/mixpanel.min.js'</script>
<script>` + readModule(t, "mixpanel-browser/dist/mixpanel-jslib-snippet.min.js") + `</script>
<script>mixpanel.init('e2e', {api_host: '` + base + `', track_pageview: true, batch_flush_interval_ms: 250, ignore_dnt: true, opt_out_tracking_by_default: false}); mixpanel.track('seen')</script>`
	},
	body:  none,
	runs:  `typeof mixpanel === 'object' && mixpanel.__loaded === true`,
	event: post("/track"),
	trackers: []site.Tracker{
		{Kind: "cookie", Name: "mp_*", Lifetime: "1 year"},
		{Kind: "cookie", Name: "__mp*", Lifetime: "a moment"},
		{Kind: "local_storage", Name: "__mp*"}, {Kind: "local_storage", Name: "mp_*"},
		{Kind: "session_storage", Name: "mp_*"}, {Kind: "session_storage", Name: "__mp*"},
		{Kind: "indexed_db", Name: "mixpanel*"},
	},
}

var amplitudeSource = regexp.MustCompile(`r\.src="[^"]*"`)
var amplitudeIntegrity = regexp.MustCompile(`r\.integrity="[^"]*";?`)

var amplitude = library{
	key: "amplitude", name: "Amplitude", category: "analytics", host: "amplitude.test",
	serve: func(t *testing.T, mux *http.ServeMux) {
		mux.Handle("/libs/", folder(t, "/libs/", "amplitude-js"))
		mux.Handle("POST /{$}", text("text/html", `success`))
	},
	head: func(t *testing.T, base, origin string) string {
		snippet := readModule(t, "amplitude-js/amplitude-snippet.min.js")
		snippet = amplitudeSource.ReplaceAllString(snippet, `r.src="`+base+`/libs/amplitude.umd.min.js"`)
		snippet = amplitudeIntegrity.ReplaceAllString(snippet, "") // the hash of the vendor's own delivery
		return `<script>` + snippet + `</script>
<script>amplitude.getInstance().init('e2e0e2e0', null, {apiEndpoint: '` + origin + `', forceHttps: false}); amplitude.getInstance().logEvent('seen')</script>`
	},
	body:  none,
	runs:  `typeof amplitude === 'object' && typeof amplitude.__VERSION__ === 'string'`,
	event: post("/"),
	trackers: []site.Tracker{
		{Kind: "cookie", Name: "amp_*", Lifetime: "10 years"},
		{Kind: "cookie", Name: "amplitude_*", Lifetime: "a moment"},
		{Kind: "local_storage", Name: "amplitude_*"}, {Kind: "session_storage", Name: "amplitude_*"},
	},
}

var plausible = library{
	key: "plausible", name: "Plausible", category: "analytics", host: "plausible.test",
	serve: func(t *testing.T, mux *http.ServeMux) {
		mux.Handle("/js/", folder(t, "/js/", "@plausible-analytics/tracker"))
		mux.Handle("POST /api/event", text("text/plain", `ok`))
	},
	head: func(_ *testing.T, base, _ string) string {
		return `<script>window.__plausible = true /* lets its robot filter pass a test browser */</script>
<script type="module">import { init } from '` + base + `/js/plausible.js'; init({domain: 'shop.example', endpoint: '` + base + `/api/event', captureOnLocalhost: true})</script>`
	},
	body:  none,
	runs:  `typeof plausible === 'function'`,
	event: post("/api/event"),
}

var countly = library{
	key: "countly", name: "Countly", category: "analytics", host: "countly.test",
	serve: func(t *testing.T, mux *http.ServeMux) {
		mux.Handle("/sdk/", folder(t, "/sdk/", "countly-sdk-web/lib"))
		mux.Handle("/i", text("application/json", `{"result":"Success"}`))
		mux.Handle("/i/", text("application/json", `{"result":"Success"}`))
		mux.Handle("/o/", text("application/json", `{}`))
	},
	head: func(_ *testing.T, base, _ string) string {
		return `<script>
var Countly = Countly || {};
Countly.q = Countly.q || [];
Countly.app_key = 'e2e';
Countly.url = '` + base + `';
Countly.ignore_bots = false;
Countly.q.push(['track_sessions'], ['track_pageview']);
(function (s) { s.async = true; s.src = '` + base + `/sdk/countly.min.js'; s.onload = function () { Countly.init() }; document.head.appendChild(s) })(document.createElement('script'));
</script>`
	},
	body:  none,
	runs:  `typeof Countly === 'object' && typeof Countly.add_event === 'function'`,
	event: func(h hit) bool { return h.path == "/i" },
	trackers: []site.Tracker{
		{Kind: "cookie", Name: "*/cly_*", Lifetime: "1 year"}, {Kind: "cookie", Name: "cly_*", Lifetime: "1 year"},
		{Kind: "local_storage", Name: "*/cly_*"}, {Kind: "local_storage", Name: "cly_*"},
		{Kind: "session_storage", Name: "*/cly_*"}, {Kind: "session_storage", Name: "cly_*"},
	},
}

var leaflet = library{
	key: "maps", name: "Maps (Leaflet)", category: "functional", host: "maps.test",
	serve: func(t *testing.T, mux *http.ServeMux) {
		mux.Handle("/leaflet/", folder(t, "/leaflet/", "leaflet/dist"))
		mux.Handle("/tile/", text("image/gif", onePixel))
	},
	head: func(_ *testing.T, base, _ string) string {
		return `<link rel="stylesheet" href="` + base + `/leaflet/leaflet.css"><script src="` + base + `/leaflet/leaflet.js"></script>`
	},
	body: func(_ *testing.T, base, _ string) string {
		return `<div id="map" style="height:180px"></div><script>L.tileLayer('` + base + `/tile/{z}/{x}/{y}.png').addTo(L.map('map').setView([51.5, 0], 13))</script>`
	},
	runs:  `typeof L === 'object' && typeof L.map === 'function'`,
	event: func(h hit) bool { return strings.HasPrefix(h.path, "/tile/") },
}

var liteYouTube = library{
	key: "lite-youtube", name: "Video (lite embed)", category: "functional", host: "lite-youtube.test",
	serve: func(t *testing.T, mux *http.ServeMux) {
		mux.Handle("/lite/", folder(t, "/lite/", "lite-youtube-embed/src"))
		mux.Handle("/poster/", text("image/gif", onePixel))
	},
	head: func(_ *testing.T, base, _ string) string {
		return `<link rel="stylesheet" href="` + base + `/lite/lite-yt-embed.css"><script src="` + base + `/lite/lite-yt-embed.js" defer></script>`
	},
	body: func(_ *testing.T, base, _ string) string {
		return `<lite-youtube id="lite" videoid="e2e" style="background-image:url('` + base + `/poster/e2e.gif');min-height:90px"></lite-youtube>`
	},
	runs:  `customElements.get('lite-youtube') !== undefined && document.querySelector('#lite .lyt-playbtn') !== null`,
	event: func(h hit) bool { return strings.HasPrefix(h.path, "/poster/") },
}

// videoEmbed is no package: a page in a frame as video sites give them, with a
// cookie of its own and a script that reports. Its host is an address because a
// cookie in a frame has to be Secure, which Chromium waives for loopback only.
var videoEmbed = library{
	key: "video", name: "Video (frame)", category: "functional", host: "127.0.0.1",
	serve: func(_ *testing.T, mux *http.ServeMux) {
		mux.HandleFunc("/embed/", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "viewer=e2e; Path=/; SameSite=None; Secure; Partitioned")
			text("text/html", `<!doctype html><title>Film</title><script src="/player.js"></script>`)(w, r)
		})
		mux.Handle("/player.js", text("text/javascript", `navigator.sendBeacon('/log', 'shown')`))
		mux.Handle("/log", text("text/plain", ""))
	},
	head: none,
	body: func(_ *testing.T, base, _ string) string {
		return `<iframe id="film" src="` + base + `/embed/e2e" title="Film" width="320" height="180"></iframe>`
	},
	runs:  `document.getElementById('film') !== null`,
	event: post("/log"),
}
