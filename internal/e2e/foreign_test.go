package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// hit is one request that a foreign origin received.
type hit struct {
	host   string // without port
	method string
	path   string
	query  string
	body   string // at most 64 KB
}

func (h hit) String() string { return h.method + " " + h.host + h.path }

// foreign is one listener that answers for every foreign host name (the browser
// resolves them all to this machine) and logs every request.
type foreign struct {
	server *httptest.Server
	port   string
	mu     sync.Mutex
	hits   []hit
}

// serveForeign answers by host; unknown hosts and paths get 404 and are logged
// all the same.
func serveForeign(t *testing.T, handlers map[string]http.Handler) *foreign {
	t.Helper()
	f := &foreign{}
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Host)
		body, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10))
		if r.Method != http.MethodOptions {
			f.mu.Lock()
			f.hits = append(f.hits, hit{host, r.Method, r.URL.Path, r.URL.RawQuery, string(body)})
			f.mu.Unlock()
		}
		allowAll(w, r)
		if h := handlers[host]; h != nil && r.Method != http.MethodOptions {
			h.ServeHTTP(w, r)
		} else if r.Method != http.MethodOptions {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(f.server.Close)
	u, err := url.Parse(f.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	f.port = u.Port()
	return f
}

// allowAll is CORS as public ingestion endpoints have it.
func allowAll(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store") // every request is to be seen
	if from := r.Header.Get("Origin"); from != "" {
		h.Set("Access-Control-Allow-Origin", from)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, OPTIONS")
		if wanted := r.Header.Get("Access-Control-Request-Headers"); wanted != "" {
			h.Set("Access-Control-Allow-Headers", wanted)
		}
	}
}

// base is the address of a foreign host.
func (f *foreign) base(host string) string { return "http://" + host + ":" + f.port }

// mark is the place in the log from which since counts.
func (f *foreign) mark() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.hits)
}

func (f *foreign) since(mark int) []hit {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.hits[mark:])
}

// modules is the folder with the development dependencies; the test is skipped
// without it, or fails when CI=true.
func modules(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "leaflet")); err != nil {
		const hint = "the pages and libraries of the browser tests are not installed; run: make deps"
		if os.Getenv("CI") == "true" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	return dir
}

func readModule(t *testing.T, path string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(modules(t), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// text answers with fixed content of a type.
func text(kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		fmt.Fprint(w, body)
	}
}

// folder serves a folder of an installed package, unmodified.
func folder(t *testing.T, strip, path string) http.Handler {
	t.Helper()
	return http.StripPrefix(strip, http.FileServer(http.Dir(filepath.Join(modules(t), path))))
}

// A transparent GIF of one pixel (GIF89a).
const onePixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// serveTemplate serves a whole site template from its package. Its pages are
// unmodified except for what goes first into the head, last into the head and
// last into the body: what a site's owner pastes.
func serveTemplate(t *testing.T, path string, first, head, body *string) string {
	t.Helper()
	dir := filepath.Join(modules(t), path)
	files := http.FileServer(http.Dir(dir))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" && !strings.HasPrefix(r.URL.Path, "/page/") {
			files.ServeHTTP(w, r)
			return
		}
		page := readModule(t, path+"/index.html")
		for _, put := range []struct{ at, with string }{
			{"<head>", "<head>" + *first}, {"</head>", *head + "</head>"}, {"</body>", *body + "</body>"},
		} {
			if strings.Count(page, put.at) != 1 {
				http.Error(w, "the template has no single "+put.at, http.StatusInternalServerError)
				return
			}
			page = strings.Replace(page, put.at, put.with, 1)
		}
		// Sub-pages find the template's relative files through the base.
		page = strings.Replace(page, "<meta charset=\"utf-8\" />", "<base href=\"/\"><meta charset=\"utf-8\" />", 1)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, page)
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return "http://localhost:" + u.Port()
}
