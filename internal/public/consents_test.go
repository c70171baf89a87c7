package public_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/public"
	"assent/internal/register"
	"assent/receipt"

	"github.com/google/uuid"
)

const (
	plain = "text/plain;charset=UTF-8"
	jsonT = "application/json"
	shop  = "https://shop.example"
)

// consentRow is one request and everything that it may change.
type consentRow struct {
	name   string
	body   string
	media  string
	origin string // "" for none
	status int
	says   string // in the problem's sentence
	adds   int    // records
	reads  bool   // the page may read the answer
}

func consentRows(f *fixture) []consentRow {
	again := f.decision("record_id", recordID)
	return []consentRow{
		{"a decision from a page", again, plain, shop, 201, "", 1, true},
		{"the same decision again", again, plain, shop, 200, "", 0, true},
		{"the same decision again as JSON from another network's page", f.decision("record_id", recordID, "page", "https://www.shop.example/"), jsonT, "https://www.shop.example", 200, "", 0, true},
		{"another decision with the same ID", f.decision("record_id", recordID, "categories", `{"analytics":true}`), plain, shop, 409, "", 0, true},
		{"a decision as application/json", f.decision(), jsonT, shop, 201, "", 1, true},
		{"a decision from a subdomain with a port", f.decision(), plain, "https://www.shop.example:8443", 201, "", 1, true},
		{"a decision from a second domain over http", f.decision("page", "http://localhost:3000/"), plain, "http://localhost:3000", 201, "", 1, true},
		{"a decision from an app: no origin and no page", f.decision("page", "", "source", "api"), jsonT, "", 201, "", 1, false},
		{"a decision on the older notice version", f.decision("version", f.older), plain, shop, 201, "", 1, true},
		{"accept all without a map", f.decision("action", "accept_all", "categories", ""), plain, shop, 201, "", 1, true},
		{"a browser's signal", f.decision("action", "signal", "source", "signal", "gpc", "true", "categories", ""), plain, shop, 201, "", 1, true},

		{"a body cut off", again[:100], plain, shop, 400, "ends too early", 0, true},
		{"an empty body", "", plain, shop, 400, "ends too early", 0, true},
		{"a body that is not JSON", "site=shop", plain, shop, 400, "cannot be read as JSON", 0, true},
		{"an unknown member", f.decision("colour", "red"), plain, shop, 400, "not known", 0, true},
		{"no consent ID", f.decision("consent_id", ""), plain, shop, 400, "consent_id", 0, true},
		{"a record ID in capitals", f.decision("record_id", strings.ToUpper(recordID)), plain, shop, 400, "lower case", 0, true},
		{"a body of 17 KB", f.decision("tc", strings.Repeat("A", 17<<10)), plain, shop, 413, "16 KB", 0, true},
		{"a form", "a=b", "application/x-www-form-urlencoded", shop, 415, "Content-Type", 0, true},
		{"no media type", again, "", shop, 415, "Content-Type", 0, true},
		{"another character set", again, "text/plain; charset=iso-8859-1", shop, 415, "UTF-8", 0, true},

		{"an unknown site", f.decision("site", "nosuchsite"), plain, shop, 404, "no site with this key", 0, true},
		{"an origin that is not the site's", f.decision(), plain, "https://evil.example", 403, "not one of the site's domains", 0, false},
		{"an origin that ends like the site's domain", f.decision(), plain, "https://evilshop.example", 403, "not one of", 0, false},
		{"an origin that starts like the site's domain", f.decision(), plain, "https://shop.example.evil.example", 403, "not one of", 0, false},
		{"a sandboxed page", f.decision(), plain, "null", 403, "not one of", 0, false},
		{"an origin that is no web address", f.decision(), plain, "file://", 403, "not one of", 0, false},
		{"a page that is not the site's", f.decision("page", "https://evil.example/"), plain, shop, 403, "page is not on", 0, false},
		{"a page that is not the site's, without an origin", f.decision("page", "https://evil.example/"), jsonT, "", 403, "page is not on", 0, false},
		{"an unknown version", f.decision("version", strings.Repeat("ab", 32)), plain, shop, 422, "not one of the site's", 0, true},
		{"a category that the version does not have", f.decision("categories", `{"marketing":true}`), plain, shop, 422, `"marketing"`, 0, true},
		{"a service that only the newer version has", f.decision("version", f.older, "services", `{"example-analytics":true}`), plain, shop, 422, `"example-analytics"`, 0, true},
		{"accept all that refuses", f.decision("action", "accept_all", "categories", `{"analytics":false}`), plain, shop, 422, "contradicts", 0, true},
	}
}

func TestConsents(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		for _, row := range consentRows(f) {
			t.Run(row.name, func(t *testing.T) {
				header := http.Header{}
				if row.media != "" {
					header.Set("Content-Type", row.media)
				}
				if row.origin != "" {
					header.Set("Origin", row.origin)
				}
				before := f.records()
				got := f.do("POST", "/v1/consents", header, strings.NewReader(row.body))
				if row.status >= 400 {
					got.wantProblem(t, row.status, row.says)
				} else if got.status != row.status {
					t.Fatalf("status %d %s, want %d", got.status, got.body, row.status)
				}
				if added := f.records() - before; added != row.adds {
					t.Errorf("%d records were added, want %d", added, row.adds)
				}
				wantCORS(t, got, row)
			})
			f.wholeLog()
		}
	})
}

func wantCORS(t *testing.T, got answer, row consentRow) {
	t.Helper()
	want := ""
	if row.reads {
		want = row.origin
	}
	if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != want {
		t.Errorf("Access-Control-Allow-Origin = %q, want %q", allowed, want)
	}
	if got.header.Get("Vary") != "Origin" || got.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("Vary %q, credentials %q", got.header.Get("Vary"), got.header.Get("Access-Control-Allow-Credentials"))
	}
}

func TestAnswerAndRecord(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d, func(deps *public.Deps, _ *register.Config) {
			deps.TrustProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		})
		body := f.decision("record_id", recordID, "services", `{"example-analytics":true}`)
		header := http.Header{"Content-Type": {plain}, "Origin": {shop}, "X-Forwarded-For": {"1.2.3.4, 129.187.5.77"},
			"User-Agent": {"Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0"}}
		first := f.do("POST", "/v1/consents", header, strings.NewReader(body))
		const want = `{"record_id":"0190f5fe-7c00-7a00-8000-0123456789ab","consent_id":"7d444840-9dc0-41d2-a72e-0f6e4f5f0d11","time":"2026-03-01T12:00:00.005Z","status":"accepted_partially","receipt":"https://consent.example/r/0190f5fe-7c00-7a00-8000-0123456789ab"}`
		if first.status != 201 || string(first.body) != want || first.header.Get("Content-Type") != jsonT ||
			first.header.Get("Location") != "https://consent.example/r/"+recordID || first.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %s %v", first.status, first.body, first.header)
		}
		header.Set("X-Forwarded-For", "203.0.113.7")
		second := f.do("POST", "/v1/consents", header, strings.NewReader(body))
		if second.status != 200 || string(second.body) != want {
			t.Errorf("repeated: %d %s", second.status, second.body)
		}
		stored, err := f.reg.Find(t.Context(), uuid.MustParse(recordID))
		f.must(err)
		const payload = `{"action":"save","browser":"firefox","categories":{"advertising":false,"analytics":false,"functional":true},"consent_id":"7d444840-9dc0-41d2-a72e-0f6e4f5f0d11","country":"DE","device":"mobile","gpc":false,"gpp":"","language":"en","network":"129.187.5.0/24","page":"shop.example/path","record_id":"0190f5fe-7c00-7a00-8000-0123456789ab","regime":"opt-in","services":{"example-analytics":true},"site":"SITE","source":"banner","status":"accepted_partially","tc":"","time":"2026-03-01T12:00:00.005Z","type":"assent/record/v2","version":"VERSION"}`
		wanted := strings.NewReplacer("SITE", f.site.Key, "VERSION", f.site.Version).Replace(payload)
		if string(stored.Payload) != wanted || !stored.Time.Equal(clock.Truncate(1e6)) {
			t.Errorf("stored %s at %v, want %s", stored.Payload, stored.Time, wanted)
		}
		if text := string(stored.Payload); strings.Contains(text, "129.187.5.77") || strings.Contains(text, "1.2.3.4") {
			t.Error("a whole address is in the record")
		}
	})
}

func TestChunkedBodies(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	header := http.Header{"Content-Type": {plain}, "Origin": {shop}}
	chunked := func(text string) io.Reader { return struct{ io.Reader }{strings.NewReader(text)} } // no length is known
	if got := f.do("POST", "/v1/consents", header, chunked(f.decision())); got.status != 201 {
		t.Errorf("chunked: %d %s", got.status, got.body)
	}
	f.do("POST", "/v1/consents", header, chunked(f.decision("tc", strings.Repeat("A", 17<<10)))).wantProblem(t, 413, "16 KB")
	header.Set("Content-Encoding", "gzip")
	f.do("POST", "/v1/consents", header, chunked("x")).wantProblem(t, 415, "compressed")
	if n := f.records(); n != 1 {
		t.Errorf("%d records", n)
	}
}

func TestPreflight(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	header := http.Header{"Origin": {shop}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type"}}
	got := f.do("OPTIONS", "/v1/consents", header, nil)
	if h := got.header; got.status != 204 || h.Get("Access-Control-Allow-Origin") != shop || h.Get("Access-Control-Allow-Methods") != "POST" ||
		h.Get("Access-Control-Allow-Headers") != "Content-Type" || h.Get("Vary") != "Origin" {
		t.Errorf("%d %v", got.status, h)
	}
	header.Set("Origin", "null")
	if got := f.do("OPTIONS", "/v1/consents", header, nil); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("null is allowed: %v", got.header)
	}
}

func TestRateByNetwork(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t), func(deps *public.Deps, _ *register.Config) {
		deps.TrustProxies, deps.RatePerMinute = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, 3
	})
	for i, row := range []struct {
		from   string
		status int
	}{
		{"203.0.113.1", 201}, {"203.0.113.2", 201}, {"203.0.113.3", 201},
		{"203.0.113.4", 429}, // the same /24
		{"203.0.112.4", 201}, // another
		{"::ffff:203.0.113.9", 429},
		{"2001:db8:1:1::1", 201}, {"2001:db8:1:2::1", 201}, {"2001:db8:1:3::1", 201}, {"2001:db8:1:4::1", 429},
		{"10.1.2.3", 201}, {"10.1.2.3", 201}, {"10.1.2.3", 201}, {"10.1.2.3", 201}, // the operator's own network
	} {
		before := f.records()
		got := f.do("POST", "/v1/consents", http.Header{"Content-Type": {plain}, "X-Forwarded-For": {row.from}}, strings.NewReader(f.decision()))
		if row.status == 429 {
			got.wantProblem(t, 429, "Too many")
			if f.records() != before {
				t.Errorf("row %d was recorded", i)
			}
		} else if got.status != row.status {
			t.Errorf("row %d from %s: %d %s, want %d", i, row.from, got.status, got.body, row.status)
		}
	}
}

func TestRateBySite(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t), func(deps *public.Deps, _ *register.Config) { deps.SiteRatePerMinute = 2 })
	for range 2 {
		if got := f.post(f.decision()); got.status != 201 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	got := f.post(f.decision())
	got.wantProblem(t, 429, "Too many decisions came for this site")
	if got.header.Get("Retry-After") == "" || f.records() != 2 {
		t.Errorf("Retry-After %q, %d records", got.header.Get("Retry-After"), f.records())
	}
}

func TestEventsDoNotUseUpTheShareOfDecisions(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t), func(deps *public.Deps, _ *register.Config) {
		deps.TrustProxies, deps.RatePerMinute = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, 1
	})
	header := http.Header{"Content-Type": {plain}, "X-Forwarded-For": {"203.0.113.1"}}
	batch := `{"site":"` + f.site.Key + `","events":[{"type":"page_view"}]}`
	for range 5 {
		if got := f.do("POST", "/v1/events", header, strings.NewReader(batch)); got.status != 204 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	f.do("POST", "/v1/events", header, strings.NewReader(batch)).wantProblem(t, 429, "Too many")
	if got := f.do("POST", "/v1/consents", header, strings.NewReader(f.decision())); got.status != 201 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestReceiptOfADecisionVerifies(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		for range 3 {
			if got := f.post(f.decision()); got.status != 201 {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
		var sent struct {
			Receipt string `json:"receipt"`
		}
		f.must(json.Unmarshal(f.post(f.decision()).body, &sent))
		id := strings.TrimPrefix(sent.Receipt, "https://consent.example/r/")
		got := f.get("/v1/receipts/" + id)
		if h := got.header; got.status != 200 || h.Get("Content-Type") != jsonT || h.Get("Cache-Control") != "no-store" || h.Get("Content-Disposition") != "" ||
			h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%d %v", got.status, h)
		}
		state, err := f.reg.State(t.Context(), f.site.ID)
		f.must(err)
		result, err := receipt.Verify(got.body, state.Key)
		if err != nil || !result.Valid || result.Record.RecordID != id || result.Size != 4 {
			t.Errorf("%+v, %v", result, err)
		}
		if h := f.get("/v1/receipts/" + id + "?download=1").header; h.Get("Content-Disposition") != `attachment; filename="receipt-`+id+`.json"` {
			t.Errorf("%v", h)
		}
		f.get("/v1/receipts/"+recordID).wantProblem(t, 404, "no record")
		f.get("/v1/receipts/nonsense").wantProblem(t, 404, "no record")
		if got := f.get("/v1/receipts/" + strings.ToUpper(id)); got.status != 200 {
			t.Errorf("a record ID copied in capitals: %d", got.status)
		}
	})
}
