package banner

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"assent/internal/site"
)

// Hosts of the fixture; all of them are one server on 127.0.0.1.
const (
	shop    = "shop.test"
	consent = "consent.test"
	tracker = "tracker.test"
	secure  = "shop.localhost" // a secure context without a certificate
)

// post is what a visitor's script sends; the contract's words.
type post struct {
	Site       string          `json:"site"`
	RecordID   string          `json:"record_id"`
	ConsentID  string          `json:"consent_id"`
	Version    string          `json:"version"`
	Action     string          `json:"action"`
	Categories map[string]bool `json:"categories"`
	Services   map[string]bool `json:"services"`
	Language   string          `json:"language"`
	Source     string          `json:"source"`
	Page       string          `json:"page"`
	GPC        bool            `json:"gpc"`

	contentType string
	size        int
}

// web is a shop with the tag, a consent host that keeps what it gets, and a
// third party that counts who asks for what.
type web struct {
	t      *testing.T
	server *httptest.Server
	script []byte                  // the tag's
	parts  map[string]*site.Script // of the boot form
	id     string                  // what the boot's parts have to fit to

	mu      sync.Mutex
	scripts []string // parts that were asked for
	posts   []post
	answers []int // statuses of the next posts; 201 when none is left
	foreign []string
	reports []string // bodies
	page    string
}

func newWeb(t *testing.T, n *site.Notice, page string) *web {
	t.Helper()
	b := mustCompile(t, n)
	w := &web{t: t, page: page, script: b.Plain, parts: b.Parts, id: site.BundleID(testVersion, b.Build)}
	w.server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.server.Close)
	return w
}

// notice is the default one with two services whose hosts are the fixture's.
func notice() *site.Notice {
	n := site.DefaultNotice("k3y", "Shop Ltd")
	n.Domains = []string{shop}
	n.Controller.PolicyURL = "https://shop.test/privacy"
	n.Services = []site.Service{
		{Key: "basket", Name: "Basket", Category: "necessary", Provider: "Shop Ltd", Country: "DE",
			Purpose:  map[string]string{"en": "Keeps what you put into your basket."},
			Trackers: []site.Tracker{{Kind: "cookie", Name: "basket", Lifetime: "Session"}, {Kind: "local_storage", Name: "basket", Lifetime: "1 day"}}},
		{Key: "count", Name: "Example Count", Category: "analytics", Provider: "Count Ltd", Country: "IE", PolicyURL: "https://count.example/privacy",
			Purpose: map[string]string{"en": "Counts visits."}, Hosts: []string{tracker, "*." + tracker},
			Trackers: []site.Tracker{{Kind: "cookie", Name: "_count*", Lifetime: "13 months"}, {Kind: "local_storage", Name: "count_*", Lifetime: "13 months"},
				{Kind: "session_storage", Name: "count", Lifetime: "Session"}, {Kind: "indexed_db", Name: "count-db", Lifetime: "13 months"}}},
		{Key: "ads", Name: "Example Ads", Category: "advertising", Provider: "Ads Inc.", Country: "US",
			Purpose: map[string]string{"en": "Shows advertising that fits you."}, Hosts: []string{"ads.test"},
			Trackers: []site.Tracker{{Kind: "cookie", Name: "_ads", Lifetime: "90 days"}}},
	}
	return n
}

// url is an address of the fixture; HOST in a page stands for ":port".
func (w *web) url(host, path string) string {
	return "http://" + host + w.server.URL[strings.LastIndex(w.server.URL, ":"):] + path
}

func (w *web) tag(attributes string) string {
	return fmt.Sprintf(`<script src="%s" %s></script>`, w.url(consent, "/b/k3y.js"), attributes)
}

func (w *web) serve(rw http.ResponseWriter, r *http.Request) {
	host, _, _ := strings.Cut(r.Host, ":")
	switch {
	case strings.HasSuffix(host, tracker):
		w.serveForeign(rw, r)
	case host == consent && r.URL.Path == "/b/k3y.js", host == shop && r.URL.Path == "/copy.js":
		rw.Header().Set("Content-Type", "text/javascript")
		rw.Write(w.bundle())
	case host == consent && strings.HasPrefix(r.URL.Path, "/b/k3y/"):
		w.servePart(rw, r)
	case host == consent && r.URL.Path == "/v1/events":
		w.serveReport(rw, r)
	case host == consent && r.URL.Path == "/v1/consents":
		w.servePost(rw, r)
	case strings.HasSuffix(host, shop) && r.URL.Path == "/own.js":
		rw.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(rw, "window.own = true")
	case host == secure && strings.HasSuffix(r.URL.Path, "-worker.js"):
		rw.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(rw, "// does nothing")
	case (strings.HasSuffix(host, shop) || host == secure) && !strings.Contains(r.URL.Path, "."):
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/sandbox" {
			rw.Header().Set("Content-Security-Policy", "sandbox allow-scripts")
		}
		http.SetCookie(rw, &http.Cookie{Name: "server", Value: "1", Path: "/"})
		replace := strings.NewReplacer("{tag}", w.tag(""), "{boot}", w.boot(), "{shop}", w.url(shop, ""), "{tracker}", w.url(tracker, ""), "{subtracker}", w.url("sub."+tracker, ""))
		replace.WriteString(rw, w.html())
	default:
		http.NotFound(rw, r)
	}
}

// boot is the element of the boot form.
func (w *web) boot() string {
	b := site.Bundle{Parts: w.parts}
	return "<script>" + string(b.Boot(w.url(consent, ""))) + "</script>"
}

// servePart answers as internal/public does: what does not fit to the boot is the whole script.
func (w *web) servePart(rw http.ResponseWriter, r *http.Request) {
	name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/b/k3y/"), ".js")
	rw.Header().Set("Content-Type", "text/javascript")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scripts = append(w.scripts, name)
	if part := w.parts[name]; part != nil && r.URL.RawQuery == w.id {
		rw.Write(part.Plain)
		return
	}
	rw.Write(w.script)
}

// loaded are the parts that were asked for since the last call.
func (w *web) loaded() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := strings.Join(w.scripts, " ")
	w.scripts = nil
	return all
}

// serveForeign answers as a third party would, and remembers what was asked.
func (w *web) serveForeign(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.foreign = append(w.foreign, r.URL.Path)
	w.mu.Unlock()
	rw.Header().Set("Access-Control-Allow-Origin", "*")
	switch {
	case strings.HasSuffix(r.URL.Path, ".js"):
		rw.Header().Set("Content-Type", "text/javascript")
		fmt.Fprintf(rw, `(window.ran=window.ran||[]).push(%q);document.cookie="_count_%d=1; path=/";localStorage.setItem("count_x","1");`+
			`sessionStorage.setItem("count","1");`, r.URL.Path, len(r.URL.Path))
		if r.URL.Path == "/write.js" {
			fmt.Fprint(rw, `document.write("<p id=writ"+"ten>writ");document.write("ten</p>");`)
		}
		if r.URL.Path == "/count.js" {
			fmt.Fprintf(rw, `indexedDB.open("count-db");fetch(%q);`, w.url(tracker, "/hit"))
		}
	case strings.HasSuffix(r.URL.Path, ".html"):
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprint(rw, "<!doctype html><title>frame</title>frame")
	default:
		rw.WriteHeader(http.StatusNoContent)
	}
}

func (w *web) servePost(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Access-Control-Allow-Origin", "*")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	status := http.StatusCreated
	if len(w.answers) > 0 {
		status, w.answers = w.answers[0], w.answers[1:]
	}
	p := post{contentType: r.Header.Get("Content-Type"), size: len(body)}
	if err := json.Unmarshal(body, &p); err != nil {
		w.t.Errorf("the body %s is no JSON: %v", body, err)
	}
	w.posts = append(w.posts, p)
	rw.WriteHeader(status)
	fmt.Fprint(rw, "{}")
}

func (w *web) sent() []post {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]post{}, w.posts...)
}

func (w *web) bundle() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.script
}

func (w *web) html() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.page
}

// show changes the page for the next request.
func (w *web) show(page string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.page = page
}

// asked tells how often a third-party path was requested.
func (w *web) asked(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, p := range w.foreign {
		if p == path {
			n++
		}
	}
	return n
}

func (w *web) answer(statuses ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = statuses
}

// Expressions that reach into the shadow root.
const (
	root   = "document.querySelector('assent-consent')?.shadowRoot"
	banner = root + "?.querySelector('.banner')"
	dialog = root + "?.querySelector('dialog.preferences[open]')"
)

func in(layer, selector string) string {
	return layer + "?.querySelector(" + fmt.Sprintf("%q", selector) + ")"
}
