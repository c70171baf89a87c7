package public_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/public"
	"assent/internal/register"
	"assent/receipt"

	"github.com/andybalholm/brotli"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/net/html"
)

func TestScript(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	path := "/b/" + f.site.Key + ".js"
	bundle := f.cache.Site(f.site.Key).Bundle
	for _, row := range []struct {
		name, accept, coding string
		etag                 string // of If-None-Match
		status               int
	}{
		{"a browser of today", "gzip, deflate, br, zstd", "br", "", 200},
		{"a client that knows gzip", "gzip, deflate", "gzip", "", 200},
		{"a client that knows nothing", "", "", "", 200},
		{"a client that wants it plain", "identity", "", "", 200},
		{"a client that refuses brotli", "br;q=0, gzip;q=0.5", "gzip", "", 200},
		{"a client that refuses brotli with decimals", "br; q=0.000, gzip", "gzip", "", 200},
		{"a client that takes anything", "*", "br", "", 200},
		{"a client that takes anything but brotli", "*, br;q=0", "gzip", "", 200},
		{"a client that takes nothing", "*;q=0", "", "", 200},
		{"capitals", "BR", "br", "", 200},
		{"a word that only contains br", "brx", "", "", 200},
		{"known already, brotli", "br", "br", "br", 304},
		{"known already, among others", "br", "br", `"x", W/%s`, 304},
		{"known already, plain", "", "", "", 304},
		{"known in another coding", "gzip", "gzip", "br", 200},
		{"an older one is known", "br", "br", `"old"`, 200},
	} {
		t.Run(row.name, func(t *testing.T) {
			tag := func(coding string) string {
				return strings.TrimSuffix(bundle.ETag, `"`) + map[string]string{"br": `-br"`, "gzip": `-gz"`, "": `"`}[coding]
			}
			header := http.Header{"Accept-Encoding": {row.accept}}
			switch {
			case strings.Contains(row.etag, "%s"):
				header.Set("If-None-Match", fmt.Sprintf(row.etag, tag(row.coding)))
			case strings.HasPrefix(row.etag, `"`):
				header.Set("If-None-Match", row.etag)
			case row.status == 304, row.etag != "":
				header.Set("If-None-Match", tag(row.etag))
			}
			got := f.do("GET", path, header, nil)
			h := got.header
			if got.status != row.status || h.Get("ETag") != tag(row.coding) || h.Get("Vary") != "Accept-Encoding" ||
				h.Get("Cache-Control") != "public, max-age=300, stale-while-revalidate=86400" || h.Get("X-Content-Type-Options") != "nosniff" ||
				h.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
				t.Fatalf("%d %v", got.status, h)
			}
			if row.status == 304 {
				if len(got.body) != 0 {
					t.Errorf("a body of %d bytes", len(got.body))
				}
				return
			}
			if h.Get("Content-Encoding") != row.coding || !strings.HasPrefix(h.Get("Content-Type"), "text/javascript") || !bytes.Equal(decode(t, row.coding, got.body), bundle.Plain) {
				t.Errorf("coding %q, type %q, %d bytes", h.Get("Content-Encoding"), h.Get("Content-Type"), len(got.body))
			}
			head := f.do("HEAD", path, header, nil)
			if head.status != 200 || head.header.Get("Content-Length") != fmt.Sprint(len(got.body)) || len(head.body) != 0 {
				t.Errorf("HEAD: %d %v", head.status, head.header)
			}
		})
	}
	for _, path := range []string{"/b/nosuchsite.js", "/b/" + f.site.Key, "/b/.js", "/b/"} {
		f.get(path).wantProblem(t, 404, "")
	}
	browser := http.Header{"Accept": {"text/html,application/xhtml+xml"}}
	if got := f.do("GET", "/nothing", browser, nil); got.status != 404 || !strings.Contains(string(got.body), "<h1>Not found</h1>") || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		t.Errorf("for people: %d, %v\n%s", got.status, got.header, got.body)
	}
}

func decode(t *testing.T, coding string, body []byte) []byte {
	t.Helper()
	var in io.Reader = bytes.NewReader(body)
	var err error
	switch coding {
	case "br":
		in = brotli.NewReader(in)
	case "gzip":
		in, err = gzip.NewReader(in)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestScriptFollowsAPublication(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	path := "/b/" + f.site.Key + ".js"
	before := f.get(path)
	n, err := f.sites.Draft(t.Context(), f.site.Key)
	f.must(err)
	n.ChoiceDays = 90
	f.must(f.sites.SaveDraft(t.Context(), f.site.Key, n))
	_, err = f.sites.Publish(t.Context(), f.site.Key, "test")
	f.must(err)
	f.must(f.cache.Refresh(t.Context()))
	after := f.get(path)
	if before.header.Get("ETag") == after.header.Get("ETag") || bytes.Equal(before.body, after.body) {
		t.Error("the former script is still served")
	}
}

func TestMethodsAndAddresses(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	for _, row := range []struct{ method, path, allow string }{
		{"POST", "/b/" + f.site.Key + ".js", "GET, HEAD"},
		{"GET", "/v1/consents", "OPTIONS, POST"},
		{"PUT", "/v1/consents", "OPTIONS, POST"},
		{"GET", "/v1/events", "OPTIONS, POST"},
		{"DELETE", "/v1/receipts/" + recordID, "GET, HEAD"},
		{"POST", "/r/" + recordID, "GET, HEAD"},
		{"POST", "/log/" + f.site.Key + "/checkpoint", "GET, HEAD"},
		{"POST", "/metrics", "GET, HEAD"},
	} {
		got := f.do(row.method, row.path, nil, nil)
		got.wantProblem(t, 405, row.allow)
		if got.header.Get("Allow") != row.allow {
			t.Errorf("%s %s: Allow = %q", row.method, row.path, got.header.Get("Allow"))
		}
	}
	for _, path := range []string{"/", "/nothing", "/v1", "/v1/consents/x", "/log/nosuchsite", "/log/nosuchsite/checkpoint"} {
		f.get(path).wantProblem(t, 404, "")
	}
	browser := http.Header{"Accept": {"text/html,application/xhtml+xml"}}
	if got := f.do("GET", "/nothing", browser, nil); got.status != 404 || !strings.Contains(string(got.body), "<h1>Not found</h1>") || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		t.Errorf("for people: %d, %v\n%s", got.status, got.header, got.body)
	}
}

func TestEvents(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	batch := func(events string) string { return `{"site":"` + f.site.Key + `","events":[` + events + `]}` }
	for _, row := range []struct {
		name, body, origin string
		status             int
	}{
		{"a batch", batch(`{"type":"page_view"},{"type":"banner_shown","count":3}`), shop, 204},
		{"a batch without an origin", batch(`{"type":"page_view"}`), "", 204},
		{"another origin", batch(`{"type":"page_view"}`), "https://evil.example", 403},
		{"an unknown site", `{"site":"nosuchsite","events":[{"type":"page_view"}]}`, shop, 404},
		{"no events", batch(""), shop, 400},
		{"too many events", batch(strings.Repeat(`{"type":"a"},`, 64) + `{"type":"a"}`), shop, 400},
		{"a type with a space", batch(`{"type":"page view"}`), shop, 400},
		{"a count below nothing", batch(`{"type":"a","count":-1}`), shop, 400},
		{"an ID of a visitor", batch(`{"type":"a","visitor":"x"}`), shop, 400},
		{"two batches", batch(`{"type":"a"}`) + batch(`{"type":"a"}`), shop, 400},
		{"no JSON", "x", shop, 400},
		{"17 KB", batch(`{"type":"` + strings.Repeat("a", 17<<10) + `"}`), shop, 413},
	} {
		header := http.Header{"Content-Type": {plain}}
		if row.origin != "" {
			header.Set("Origin", row.origin)
		}
		got := f.do("POST", "/v1/events", header, strings.NewReader(row.body))
		if row.status == 204 && (got.status != 204 || len(got.body) != 0) {
			t.Errorf("%s: %d %s", row.name, got.status, got.body)
		}
		if row.status >= 400 {
			got.wantProblem(t, row.status, "")
		}
	}
	f.do("POST", "/v1/events", nil, strings.NewReader("{}")).wantProblem(t, 415, "Content-Type")
}

func TestLog(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		const records = 260 // one full tile, one partial
		for range records {
			got := httptest.NewRecorder()
			r := httptest.NewRequest("POST", "/v1/consents", strings.NewReader(f.decision()))
			r.Header.Set("Content-Type", plain)
			if f.handler.ServeHTTP(got, r); got.Code != 201 {
				t.Fatalf("%d %s", got.Code, got.Body)
			}
		}
		log := "/log/" + f.site.Key
		state, err := f.reg.State(t.Context(), f.site.ID)
		f.must(err)
		got := f.get(log + "/checkpoint")
		c, err := receipt.OpenCheckpoint(got.body, state.Key)
		if err != nil || c.Size != records || got.header.Get("Content-Type") != "text/plain; charset=utf-8" || got.header.Get("Cache-Control") != "no-cache" {
			t.Fatalf("%+v, %v, %v", c, err, got.header)
		}
		for _, row := range []struct {
			path, cache string
			size        int
		}{
			{"/tile/0/000", "public, max-age=31536000, immutable", 256 * 32},
			{"/tile/0/001.p/4", "public, max-age=60", 4 * 32},
			{"/tile/0/001.p/3", "public, max-age=60", 3 * 32},
			{"/tile/1/000.p/1", "public, max-age=60", 32},
		} {
			got := f.get(log + row.path)
			if h := got.header; got.status != 200 || len(got.body) != row.size || h.Get("Cache-Control") != row.cache ||
				h.Get("Content-Type") != "application/octet-stream" || h.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: %d, %d bytes, %v", row.path, got.status, len(got.body), h)
			}
		}
		if root := rootFromTiles(f, log, records); root != c.Root {
			t.Errorf("the root that the tiles give is %v, the checkpoint's %v", root, c.Root)
		}
		for _, path := range []string{"/tile/0/001", "/tile/0/001.p/5", "/tile/0/002", "/tile/0/0", "/tile/0/1", "/tile/00/000", "/tile/0/x000/000", "/tile/64/000",
			"/tile/-1/000", "/tile/data/000", "/tile/8/0/000", "/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/000.p/01", "/tile/", "/tile/0", "/tile/entries/x"} {
			f.get(log+path).wantProblem(t, 404, "")
		}
	})
}

// rootFromTiles computes the root from what the server serves, as an auditor
// does: entry bundles hold length-prefixed commitments (C2SP tlog-tiles).
func rootFromTiles(f *fixture, log string, size int64) tlog.Hash {
	f.t.Helper()
	bundles := append(f.get(log+"/tile/entries/000").body, f.get(log+fmt.Sprintf("/tile/entries/001.p/%d", size-256)).body...)
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var list []tlog.Hash
		for _, i := range indexes {
			list = append(list, hashes[i])
		}
		return list, nil
	})
	for n := range size {
		if len(bundles) < 2 {
			f.t.Fatalf("the bundles end at entry %d", n)
		}
		length := int(bundles[0])<<8 | int(bundles[1])
		more, err := tlog.StoredHashes(n, bundles[2:2+length], reader)
		f.must(err)
		hashes, bundles = append(hashes, more...), bundles[2+length:]
	}
	if len(bundles) != 0 {
		f.t.Errorf("%d bytes follow the last entry", len(bundles))
	}
	root, err := tlog.TreeHash(size, reader)
	f.must(err)
	return root
}

func TestReceiptPage(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		f.post(f.decision("record_id", recordID, "services", `{"example-analytics":true}`))
		got := f.do("GET", "/r/"+recordID, http.Header{"Accept": {"text/html"}}, nil)
		text := string(got.body)
		for _, want := range []string{"A part was accepted", "1 March 2026, 12:00:00", "Shop &lt;&amp; Söhne&gt;", "Example &lt;Analytics&gt;", "Functional", recordID,
			f.site.Version, "unchanged", "assent verify receipt-" + recordID + ".json", `href="/v1/receipts/` + recordID + `?download=1"`, `content="noindex"`} {
			if !strings.Contains(text, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
		if got.status != 200 || strings.Contains(text, "Does not hold") || strings.Contains(text, "<script") {
			t.Errorf("%d\n%s", got.status, text)
		}
		if a, b, c := strings.Index(text, ">Functional<"), strings.Index(text, ">Analytics<"), strings.Index(text, ">Advertising<"); a < 0 || a > b || b > c {
			t.Error("the categories do not stand in the notice's order")
		}
		if _, err := html.Parse(bytes.NewReader(got.body)); err != nil {
			t.Error(err)
		}
		wantPolicy(t, got)
		missing := f.do("GET", "/r/"+uuid.NewString(), http.Header{"Accept": {"text/html"}}, nil)
		if missing.status != 404 || !strings.Contains(string(missing.body), "no record with this ID") {
			t.Errorf("%d %s", missing.status, missing.body)
		}
		wantPolicy(t, missing)
		f.do("GET", "/r/"+uuid.NewString(), http.Header{"Accept": {"application/json"}}, nil).wantProblem(t, 404, "no record")
	})
}

// wantPolicy checks that the page's policy is strict and lets its own style in.
func wantPolicy(t *testing.T, got answer) {
	t.Helper()
	h := got.header
	policy := h.Get("Content-Security-Policy")
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindSubmatch(got.body)
	if style == nil {
		t.Fatal("the page has no style")
	}
	raw, err := base64.StdEncoding.DecodeString(regexp.MustCompile(`'sha256-([^']+)'`).FindStringSubmatch(policy)[1])
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256Of(style[1]); !bytes.Equal(raw, sum) {
		t.Errorf("the policy does not let the page's own style in")
	}
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") || h.Get("Referrer-Policy") != "no-referrer" ||
		h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Robots-Tag") != "noindex" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", h)
	}
}

func TestPageOfADamagedRecordSaysSo(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	f.post(f.decision("record_id", recordID))
	_, err := f.db.Writer().Exec(`update record set payload = replace(payload, '"functional":true', '"functional":false')`)
	f.must(err)
	got := f.do("GET", "/r/"+recordID, http.Header{"Accept": {"text/html"}}, nil)
	if text := string(got.body); got.status != 200 || !strings.Contains(text, "could not be verified") || strings.Contains(text, "unchanged.") {
		t.Errorf("%d %s", got.status, text)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	away := false
	f := newFixture(t, dbtest.SQLite(t), func(d *public.Deps, _ *register.Config) {
		ping := d.Ready
		d.Ready = func(ctx context.Context) error {
			if away {
				return context.DeadlineExceeded
			}
			return ping(ctx)
		}
	})
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if got := f.get(path); got.status != 200 || string(got.body) != want || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %q", path, got.status, got.body)
		}
	}
	away = true
	f.get("/readyz").wantProblem(t, 503, "database")
	body := f.decision("action", "accept_all", "categories", "")
	f.post(body)
	f.post(body)
	f.post("{}")
	text := string(f.get("/metrics").body)
	for _, want := range []string{
		`assent_requests_total{route="POST /v1/consents",status="201"} 1`,
		`assent_requests_total{route="POST /v1/consents",status="200"} 1`,
		`assent_requests_total{route="POST /v1/consents",status="400"} 1`,
		`assent_consents_total{outcome="recorded",status="accepted_all"} 1`,
		`assent_consents_total{outcome="repeated",status="accepted_all"} 1`,
		"assent_consents_waiting 0", "process_resident_memory_bytes", "go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(text, f.site.Key) || strings.Contains(text, "127.0.0.1") {
		t.Error("the metrics name a site or an address")
	}
}

func sha256Of(text []byte) []byte {
	sum := sha256.Sum256(text)
	return sum[:]
}
