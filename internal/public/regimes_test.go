package public_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/public"
	"assent/internal/register"
	"assent/receipt"
)

// Addresses whose countries the built-in table knows, and loopback, which is nowhere.
const (
	fromGermany = "129.187.0.1"
	fromUS      = "8.8.8.8"
	fromJapan   = "202.232.2.1"
)

// worldwide publishes a notice for several regimes: the strictest asks first, the
// United States opt out, everybody else is informed.
func (f *fixture) worldwide() {
	f.t.Helper()
	ctx := context.Background()
	n, err := f.sites.Draft(ctx, f.site.Key)
	f.must(err)
	n.Regimes, n.RestOfWorld = []string{"eu", "us-ca", "us-other"}, "world-notice"
	f.must(f.sites.SaveDraft(ctx, f.site.Key, n))
	_, err = f.sites.Publish(ctx, f.site.Key, "test")
	f.must(err)
	f.site, err = f.sites.Get(ctx, f.site.Key)
	f.must(err)
	f.must(f.cache.Refresh(ctx))
}

func behind(proxy, country string) func(*public.Deps, *register.Config) {
	return func(d *public.Deps, _ *register.Config) {
		if proxy != "" {
			d.TrustProxies = []netip.Prefix{netip.MustParsePrefix(proxy)}
		}
		d.CountryHeader = country
	}
}

// variant is the name of the variant that a whole script was compiled for.
func variant(t *testing.T, a answer) string {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d", a.status)
	}
	for _, name := range []string{"us-ca", "us-other", "world-notice", "eu"} {
		if strings.Contains(string(a.body), "~"+name+`"`) {
			return name
		}
	}
	return ""
}

func TestScriptByTheCallersPlace(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d, behind("127.0.0.0/8", ""))
		path := "/b/" + f.site.Key + ".js"
		one := f.do("GET", path, http.Header{"X-Forwarded-For": {fromUS}}, nil)
		if got := one.header.Get("Cache-Control"); !strings.HasPrefix(got, "public,") || variant(t, one) != "" {
			t.Errorf("one regime: Cache-Control %q, variant %q", got, variant(t, one))
		}
		f.worldwide()
		for _, row := range []struct{ name, address, want string }{
			{"nobody knows where", "", ""},
			{"Germany", fromGermany, "eu"},
			{"the United States, without a state", fromUS, "us-ca"},
			{"Japan", fromJapan, "world-notice"},
			{"a network for documentation", "192.0.2.1", ""},
			{"no address at all", "somebody", ""},
		} {
			header := http.Header{}
			if row.address != "" {
				header.Set("X-Forwarded-For", row.address)
			}
			a := f.do("GET", path, header, nil)
			if got := variant(t, a); got != row.want {
				t.Errorf("%s: variant %q, want %q", row.name, got, row.want)
			}
			if control, vary := a.header.Get("Cache-Control"), a.header.Get("Vary"); control != "private, max-age=300" || vary != "Accept-Encoding" {
				t.Errorf("%s: Cache-Control %q, Vary %q", row.name, control, vary)
			}
		}
		// A script that the browser has is not sent again, and another country's is.
		german := f.do("GET", path, http.Header{"X-Forwarded-For": {fromGermany}}, nil)
		again := http.Header{"X-Forwarded-For": {fromGermany}, "If-None-Match": {german.header.Get("Etag")}}
		if a := f.do("GET", path, again, nil); a.status != http.StatusNotModified {
			t.Errorf("the same place again: %d", a.status)
		}
		again.Set("X-Forwarded-For", fromUS)
		if a := f.do("GET", path, again, nil); variant(t, a) != "us-ca" {
			t.Error("another place is answered that nothing has changed")
		}
		ask := f.do("GET", "/b/"+f.site.Key+"/ask.en.js", http.Header{"X-Forwarded-For": {fromUS}}, nil)
		if ask.status != http.StatusOK || !strings.Contains(string(ask.body), "Your Privacy Choices") {
			t.Errorf("the part for the United States: %d", ask.status)
		}
		f.get("/b/"+f.site.Key+"/us-ca~ask.en.js").wantProblem(t, http.StatusNotFound, "")
	})
}

func TestCountryHeaderIsBelievedFromTheCDNOnly(outer *testing.T) {
	fixtures := map[string]*fixture{}
	for _, row := range []struct {
		name, proxy, header string
		sent                []string
		want, control, vary string
	}{
		{"from the CDN", "127.0.0.0/8", "Cf-Ipcountry", []string{"DE"}, "eu", "public", "Accept-Encoding, Cf-Ipcountry"},
		{"with a state", "127.0.0.0/8", "Cf-Ipcountry", []string{"US-OH"}, "us-other", "public", "Accept-Encoding, Cf-Ipcountry"},
		{"without a state", "127.0.0.0/8", "Cf-Ipcountry", []string{"US"}, "us-ca", "public", "Accept-Encoding, Cf-Ipcountry"},
		{"a country of the rest", "127.0.0.0/8", "Cf-Ipcountry", []string{"JP"}, "world-notice", "public", "Accept-Encoding, Cf-Ipcountry"},
		{"the CDN does not know", "127.0.0.0/8", "Cf-Ipcountry", []string{"XX"}, "", "public", "Accept-Encoding, Cf-Ipcountry"},
		{"Tor", "127.0.0.0/8", "Cf-Ipcountry", []string{"T1"}, "", "public", "Accept-Encoding, Cf-Ipcountry"},
		{"twice", "127.0.0.0/8", "Cf-Ipcountry", []string{"JP", "JP"}, "", "public", "Accept-Encoding, Cf-Ipcountry"},
		{"not at all", "127.0.0.0/8", "Cf-Ipcountry", nil, "", "public", "Accept-Encoding, Cf-Ipcountry"},
		{"from a stranger", "10.0.0.0/8", "Cf-Ipcountry", []string{"JP"}, "", "private", "Accept-Encoding"},
		{"where none is named", "127.0.0.0/8", "", []string{"JP"}, "", "private", "Accept-Encoding"},
	} {
		outer.Run(row.name, func(t *testing.T) {
			f := fixtures[row.proxy+row.header]
			if f == nil {
				f = newFixture(outer, dbtest.SQLite(outer), behind(row.proxy, row.header))
				f.worldwide()
				fixtures[row.proxy+row.header] = f
			}
			f.t = t
			a := f.do("GET", "/b/"+f.site.Key+".js", http.Header{"Cf-Ipcountry": row.sent}, nil)
			control, _, _ := strings.Cut(a.header.Get("Cache-Control"), ",")
			if got := variant(t, a); got != row.want || control != row.control || a.header.Get("Vary") != row.vary {
				t.Errorf("variant %q, Cache-Control %q, Vary %q", got, control, a.header.Get("Vary"))
			}
			// Cloudflare ignores Vary, so that it must not keep what depends on the place.
			if kept := a.header.Get("Cloudflare-Cdn-Cache-Control") != "no-store"; kept != (row.control == "private") {
				t.Errorf("Cloudflare-CDN-Cache-Control = %q", a.header.Get("Cloudflare-Cdn-Cache-Control"))
			}
			// The record names the place that chose the notice.
			id := f.decision()
			f.do("POST", "/v1/consents", http.Header{"Content-Type": {"text/plain"}, "Origin": {"https://shop.example"}, "Cf-Ipcountry": row.sent}, strings.NewReader(id))
			var body struct {
				RecordID string `json:"record_id"`
			}
			f.must(json.Unmarshal([]byte(id), &body))
			var made struct{ Record receipt.Record }
			f.must(json.Unmarshal(f.get("/v1/receipts/"+body.RecordID).body, &made))
			want := ""
			if row.want != "" {
				want = row.sent[0][:2]
			}
			if made.Record.Country != want {
				t.Errorf("the record says %q, want %q", made.Record.Country, want)
			}
			if _, regime, _ := strings.Cut(made.Record.Regime, "/"); regime != row.want {
				t.Errorf("the record's regime is %q, want that of the variant %q", made.Record.Regime, row.want)
			}
		})
	}
}

func TestWellKnownFileForGPC(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	a := f.get("/b/" + f.site.Key + "/gpc.json")
	var said struct {
		GPC        bool   `json:"gpc"`
		LastUpdate string `json:"lastUpdate"`
	}
	f.must(json.Unmarshal(a.body, &said))
	if !said.GPC || len(said.LastUpdate) != len("2026-11-30") || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	ctx := context.Background()
	n, err := f.sites.Draft(ctx, f.site.Key)
	f.must(err)
	n.HonourGPC = false
	f.must(f.sites.SaveDraft(ctx, f.site.Key, n))
	_, err = f.sites.Publish(ctx, f.site.Key, "test")
	f.must(err)
	f.must(f.cache.Refresh(ctx))
	if a = f.get("/b/" + f.site.Key + "/gpc.json"); !strings.HasPrefix(string(a.body), `{"gpc":false,`) {
		t.Errorf("a site that does not obey it says %s", a.body)
	}
	// Where California's law holds, it is obeyed whatever the site says.
	f.worldwide()
	if a = f.get("/b/" + f.site.Key + "/gpc.json"); !strings.HasPrefix(string(a.body), `{"gpc":true,`) {
		t.Errorf("a site for California says %s", a.body)
	}
	f.get("/b/nowhere/gpc.json").wantProblem(t, http.StatusNotFound, "no site")
}
