package gate

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"assent/internal/choice"
	"assent/internal/regime/packs"

	"github.com/google/uuid"
)

// regimes are variants of one site and what holds where: client/testdata/regimes.json, which drives
// the script as well.
type regimes struct {
	Now        int64
	Categories []string
	HonourDNT  bool `json:"honour_dnt"`
	Variants   []choice.Variant
	Places     packs.ByPlace
	Cases      []struct {
		Name, Country, Subdivision, At string
		GPC, DNT                       bool
		Stored                         *struct {
			Scope, Action string
			Time          int64
			Categories    map[string]bool
		}
		State   choice.Verdict
		Granted []string
	}
}

func readRegimes(t *testing.T) *regimes {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "client", "testdata", "regimes.json"))
	if err != nil {
		t.Fatal(err)
	}
	v := new(regimes)
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatal(err)
	}
	return v
}

// worldwide makes the stand's site one with several regimes, behind a CDN that says the country.
func (v *regimes) worldwide(c *Config, m *choice.Manifest) {
	strictest := v.Variants[0]
	m.Scope, m.ChoiceDays, m.Regime, m.HonourGPC = strictest.Scope, strictest.ChoiceDays, strictest.Regime, strictest.HonourGPC
	m.Variants, m.Places, m.HonourDNT = v.Variants[1:], &v.Places, v.HonourDNT
	m.Categories = v.Categories
	c.CountryHeader = "x-country"
	c.Now = func() time.Time { return time.UnixMilli(v.Now) }
}

func pageWith(page, name, mark string) string {
	return strings.Replace(page, "<head>", `<head><script data-assent-regime="`+name+`" data-assent-gate="`+mark+`">`+boot+`</script>`, 1)
}

func TestTheVisitorsRegime(t *testing.T) {
	v := readRegimes(t)
	s := newStand(t, sends("text/html", simple), v.worldwide)
	m := *s.said.Load()
	for _, c := range v.Cases {
		place := c.Country
		if c.Subdivision != "" {
			place = c.Subdivision
		}
		if c.Country == "" {
			place = ""
		}
		headers, mark := []string{"X-Country", place}, map[choice.Verdict]string{choice.Signal: "signal"}[c.State]
		if c.GPC {
			headers = append(headers, "Sec-GPC", "1")
		}
		if c.DNT {
			headers = append(headers, "DNT", "1")
		}
		if c.Stored != nil {
			cookie := choice.Cookie{ConsentID: uuid.New(), RecordID: uuid.MustParse("019a4f2e-7c3a-7d1e-8b5c-6d7e8f901234"),
				Scope: c.Stored.Scope, Action: c.Stored.Action, Time: time.UnixMilli(c.Stored.Time), Categories: c.Stored.Categories}
			headers = append(headers, "Cookie", "assent_shop="+cookie.String())
			if c.State == choice.Stored {
				mark = "8f901234"
			}
		}
		a := s.page(headers...)
		selection := choice.Selection{Categories: map[string]bool{}}
		for _, key := range c.Granted {
			selection.Categories[key] = true
		}
		if want := m.Policy(&selection, "www.shop.example"); a.policy() != want {
			t.Errorf("%s: policy %q, want %q", c.Name, a.policy(), want)
		}
		if want := pageWith(simple, c.At, mark); a.body != want {
			t.Errorf("%s: %q, want %q", c.Name, a.body, want)
		}
		if vary := strings.Join(a.header["Vary"], ", "); a.header.Get("Cache-Control") != "private" || vary != "Cookie, Sec-GPC, Sec-Fetch-Dest, HX-Request, DNT, X-Country" {
			t.Errorf("%s: Cache-Control %q, Vary %q", c.Name, a.header.Get("Cache-Control"), vary)
		}
	}
}

// Addresses whose countries the built-in table knows.
const (
	fromFrance = "62.210.16.6"
	fromUS     = "8.8.8.8"
	fromJapan  = "202.232.2.1"
)

func TestWhereTheVisitorIs(t *testing.T) {
	v := readRegimes(t)
	believing := newStand(t, sends("text/html", simple), v.worldwide)
	byAddress := newStand(t, sends("text/html", simple), v.worldwide, func(c *Config, _ *choice.Manifest) { c.CountryHeader = "" })
	strange := newStand(t, sends("text/html", simple), v.worldwide, func(c *Config, _ *choice.Manifest) {
		c.TrustProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	for _, c := range []struct {
		name    string
		at      *stand
		headers []string
		want    string
	}{
		{"what the CDN says", believing, []string{"X-Country", "JP"}, "world-notice"},
		{"twice", believing, []string{"X-Country", "JP", "X-Country", "JP"}, ""},
		{"a list", believing, []string{"X-Country", "JP, JP"}, ""},
		{"Tor", believing, []string{"X-Country", "T1"}, ""},
		{"nothing, whatever the address says", believing, []string{"X-Forwarded-For", fromJapan}, ""},
		{"a stranger's word", strange, []string{"X-Country", "JP", "X-Forwarded-For", fromJapan}, ""},
		{"an address in France", byAddress, []string{"X-Forwarded-For", fromFrance}, ""},
		{"an address in the United States", byAddress, []string{"X-Forwarded-For", fromUS}, "us-ca"},
		{"an address in Japan", byAddress, []string{"X-Forwarded-For", "1.1.1.1, " + fromJapan}, "world-notice"},
		{"an address for documentation", byAddress, []string{"X-Forwarded-For", "192.0.2.1"}, ""},
		{"no address", byAddress, []string{"X-Forwarded-For", "unknown"}, ""},
		{"this machine", byAddress, []string{"X-Country", "JP"}, ""},
	} {
		if a := c.at.page(c.headers...); a.body != pageWith(simple, c.want, "") {
			t.Errorf("%s: %q, want the variant %q", c.name, a.body, c.want)
		}
	}
	if _, err := New(Config{Server: "https://consent.example", Site: "shop", CountryHeader: "CF-IPCountry"}); err == nil {
		t.Error("a header that everybody may send is believed")
	}
	if _, err := New(Config{Server: "https://consent.example", Site: "shop", GeoIP: "missing.mmdb"}); err == nil {
		t.Error("a table that is not there was taken")
	}
}

// What the browser keeps of a page is used again under the same regime only, and nothing shared
// keeps any of it, whatever the website says.
func TestNoCacheMixesCountries(t *testing.T) {
	v := readRegimes(t)
	page := func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("ETag", `"v1"`)
		h.Set("Cache-Control", "public, s-maxage=3600, max-age=60")
		h.Set("CDN-Cache-Control", "max-age=3600")
		h.Set("Content-Type", "text/html")
		if strings.Contains(r.Header.Get("If-None-Match"), `"v1"`) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Write([]byte(simple))
	}
	for name, change := range map[string]func(*Config, *choice.Manifest){
		"by header":  func(*Config, *choice.Manifest) {},
		"by address": func(c *Config, _ *choice.Manifest) { c.CountryHeader = "" },
	} {
		s := newStand(t, page, v.worldwide, change)
		from := func(address, country string, more ...string) answer {
			return s.page(append([]string{"X-Forwarded-For", address, "X-Country", country}, more...)...)
		}
		american := from(fromUS, "US")
		tag := american.header.Get("ETag")
		again := from(fromUS, "US", "If-None-Match", tag)
		if again.status != http.StatusNotModified || again.header.Get("ETag") != tag {
			t.Errorf("%s: the same place again: %d %v", name, again.status, again.header)
		}
		french := from(fromFrance, "FR", "If-None-Match", tag)
		if french.status != http.StatusOK || french.body != pageWith(simple, "", "") || french.policy() == "" {
			t.Errorf("%s: the copy of another place is used: %d %q", name, french.status, french.body)
		}
		for _, a := range []answer{american, again, french} {
			if a.header.Get("Cache-Control") != "private, max-age=60" || a.header.Get("CDN-Cache-Control") != "" {
				t.Errorf("%s: a shared cache may keep it: %v", name, a.header)
			}
		}
	}
}

// Where there is no policy the page is the same for everybody, and the choice is kept by the
// rules of the place. Where the server chooses the script, the strictest holds.
func TestRegimesWithoutPolicyOrBoot(t *testing.T) {
	v := readRegimes(t)
	open := newStand(t, sends("text/html", simple), v.worldwide, func(_ *Config, m *choice.Manifest) { m.Enforce = false })
	a := open.page("X-Country", "US")
	if a.body != strings.Replace(simple, "<head>", "<head><script>"+boot+"</script>", 1) || a.header.Get("Cache-Control") != "" || slices.Contains(a.header["Vary"], "X-Country") {
		t.Errorf("without a policy: %q %v", a.body, a.header)
	}
	cookie := choice.Cookie{ConsentID: uuid.New(), RecordID: uuid.New(), Scope: "5f2c1d7e9a0b4c3f", Action: "accept_all", Time: time.UnixMilli(v.Now - 1000),
		Categories: map[string]bool{"functional": true, "analytics": true}}
	for country, want := range map[string]int{"US": 2, "FR": 0} {
		if got := open.page("X-Country", country, "Cookie", "assent_shop="+cookie.String()).header["Set-Cookie"]; len(got) != want {
			t.Errorf("%s: %q, want %d cookies", country, got, want)
		}
	}
	bootless := newStand(t, sends("text/html", simple), v.worldwide, func(_ *Config, m *choice.Manifest) { m.Boot = "" })
	if a := bootless.page("X-Country", "US"); a.policy() == "" || !strings.Contains(a.body, ` data-assent-regime="" data-assent-gate=""`) {
		t.Errorf("without a boot: %q, policy %q", a.body, a.policy())
	}
}

// With a CDN's header the fronts know as much of a place as the gate, and without one they are
// under the strictest rules, and say so to the boot.
func TestFrontsByPlace(t *testing.T) {
	v := readRegimes(t)
	site := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("CDN-Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, simple)
	}
	for _, program := range []string{"nginx", "caddy"} {
		t.Run(program, func(t *testing.T) {
			s := newStand(t, site, v.worldwide)
			m := s.said.Load()
			check := func(name, address string, headers http.Header, granted []string, regime, mark, vary string) {
				t.Helper()
				r, err := http.NewRequest("GET", address+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header = headers.Clone()
				r.Header.Set("Sec-Fetch-Dest", "document")
				res, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				body, err := io.ReadAll(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				selection := choice.Selection{Categories: map[string]bool{}}
				for _, key := range granted {
					selection.Categories[key] = true
				}
				if got, want := res.Header.Get("Content-Security-Policy"), m.Policy(&selection, ""); got != want {
					t.Errorf("%s: policy %q, want %q", name, got, want)
				}
				if want := pageWith(simple, regime, mark); program == "nginx" && string(body) != want {
					t.Errorf("%s: %q, want %q", name, body, want)
				}
				if got := strings.Join(res.Header["Vary"], ", "); got != vary || !strings.Contains(res.Header.Get("Cache-Control"), "private") || res.Header.Get("CDN-Cache-Control") != "" {
					t.Errorf("%s: Vary %q, want %q; %v", name, got, vary, res.Header)
				}
			}
			const vary = "Cookie, Sec-GPC, Sec-Fetch-Dest"
			address := front(t, program, s, http.HandlerFunc(site))
			for _, c := range v.Cases {
				headers := http.Header{}
				if place := cmp.Or(c.Subdivision, c.Country); place != "" && c.Country != "" {
					headers.Set("X-Country", place)
				}
				if c.GPC {
					headers.Set("Sec-GPC", "1")
				}
				if c.DNT {
					headers.Set("DNT", "1")
				}
				if c.Stored == nil {
					check(c.Name, address, headers, c.Granted, c.At, map[choice.Verdict]string{choice.Signal: "signal"}[c.State], vary+", X-Country, DNT")
				}
			}
			for scope, country := range map[string]string{"5f2c1d7e9a0b4c3d": "FR", "5f2c1d7e9a0b4c3f": "US"} {
				cookie := choice.Cookie{ConsentID: uuid.New(), RecordID: uuid.MustParse("019a4f2e-7c3a-7d1e-8b5c-6d7e8f901234"), Scope: scope, Action: "save", Time: clock,
					Categories: map[string]bool{"functional": false, "analytics": true}}
				regime := map[string]string{"US": "us-ca"}
				check("a choice about the question of "+country, address, http.Header{"X-Country": {country}, "Cookie": {"assent_shop=" + cookie.String()}}, []string{"analytics"}, regime[country], "8f901234", vary+", X-Country, DNT")
				other := map[string]string{"US": "FR", "FR": "US"}[country]
				check("a choice about another question than that of "+other, address, http.Header{"X-Country": {other}, "Cookie": {"assent_shop=" + cookie.String()}}, nil, regime[other], "", vary+", X-Country, DNT")
			}
			s.gate.config.TrustProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			check("a stranger's word", front(t, program, s, http.HandlerFunc(site)), http.Header{"X-Country": {"JP"}}, nil, "", "", vary+", X-Country, DNT")
			s.gate.config.CountryHeader = ""
			check("nobody's word", front(t, program, s, http.HandlerFunc(site)), http.Header{"X-Country": {"JP"}}, nil, "", "", vary+", DNT")
		})
	}
}
