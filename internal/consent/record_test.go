package consent

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"assent/internal/fault"
	"assent/internal/site"
)

// version is a notice version with two services in analytics, one in
// advertising and one that is necessary.
func version() *site.Version {
	n := site.DefaultNotice("shop", "Shop")
	n.Languages = []string{"en", "de", "pt-BR"}
	n.Services = []site.Service{
		{Key: "basket", Name: "Basket", Category: "necessary"},
		{Key: "example-analytics", Name: "Example Analytics", Category: "analytics"},
		{Key: "heatmap", Name: "Heatmap", Category: "analytics"},
		{Key: "ads", Name: "Ads", Category: "advertising"},
	}
	return &site.Version{Version: hash, Site: "shop", Notice: n}
}

var circumstances = Circumstances{Time: time.Date(2026, 3, 1, 13, 0, 0, 5e6, time.FixedZone("", 3600)),
	Network: "203.0.113.0/24", Country: "DE", Device: "mobile", Browser: "firefox"}

func TestRecord(t *testing.T) {
	all := map[string]bool{"functional": true, "analytics": true, "advertising": true}
	nothing := map[string]bool{"functional": false, "analytics": false, "advertising": false}
	allServices := map[string]bool{"example-analytics": true, "heatmap": true, "ads": true}
	noServices := map[string]bool{"example-analytics": false, "heatmap": false, "ads": false}
	for _, c := range []struct {
		name                 string
		body                 []byte
		status               string
		categories, services map[string]bool
	}{
		{"accept all without a map", body("action", `"accept_all"`, "categories", "", "services", ""), AcceptedAll, all, allServices},
		{"accept all with a map that agrees", body("action", `"accept_all"`, "categories", `{"analytics":true}`, "services", `{"ads":true}`), AcceptedAll, all, allServices},
		{"refuse all", body("action", `"accept_necessary"`, "categories", "", "services", ""), AcceptedNecessary, nothing, noServices},
		{"withdraw", body("action", `"withdraw"`, "categories", `{"analytics":false}`, "services", ""), AcceptedNecessary, nothing, noServices},
		{"a refusal of a service that is not there", body("action", `"accept_necessary"`, "categories", "", "services", `{"long-gone":false}`), AcceptedNecessary, nothing, noServices},
		{"GPC refuses all", body("action", `"signal"`, "source", `"signal"`, "gpc", "true", "categories", "", "services", ""), AcceptedNecessary, nothing, noServices},
		{"save some: services follow their category", body("categories", `{"analytics":true}`, "services", ""), AcceptedPartially,
			map[string]bool{"functional": false, "analytics": true, "advertising": false}, map[string]bool{"example-analytics": true, "heatmap": true, "ads": false}},
		{"save nothing", body("categories", "", "services", ""), AcceptedNecessary, nothing, noServices},
		{"save everything", body("categories", `{"functional":true,"analytics":true,"advertising":true}`, "services", ""), AcceptedAll, all, allServices},
		{"save everything but one service", body("categories", `{"functional":true,"analytics":true,"advertising":true}`, "services", `{"heatmap":false}`), AcceptedPartially,
			all, map[string]bool{"example-analytics": true, "heatmap": false, "ads": true}},
		{"save nothing but one service", body("categories", "", "services", `{"ads":true}`), AcceptedPartially,
			nothing, map[string]bool{"example-analytics": false, "heatmap": false, "ads": true}},
		{"necessary as true is dropped", body("categories", `{"necessary":true}`, "services", `{"basket":true}`), AcceptedNecessary, nothing, noServices},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Decode(c.body)
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Record(version(), circumstances)
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != c.status || !maps.Equal(r.Categories, c.categories) || !maps.Equal(r.Services, c.services) {
				t.Errorf("%s %v %v; want %s %v %v", r.Status, r.Categories, r.Services, c.status, c.categories, c.services)
			}
		})
	}
}

func TestRecordIsWhole(t *testing.T) {
	d, err := Decode(body("tc", `"CPX"`, "gpp", `"DBAA~x"`, "gpc", "true"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Record(version(), circumstances)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "action": "save",
 "browser": "firefox",
 "categories": {
  "advertising": false,
  "analytics": false,
  "functional": true
 },
 "consent_id": "7d444840-9dc0-41d2-a72e-0f6e4f5f0d11",
 "country": "DE",
 "device": "mobile",
 "gpc": true,
 "gpp": "DBAA~x",
 "language": "de",
 "network": "203.0.113.0/24",
 "page": "shop.example/a/b",
 "record_id": "0190f5fe-7c00-7a00-8000-0123456789ab",
 "regime": "opt-in",
 "services": {
  "ads": false,
  "example-analytics": true,
  "heatmap": false
 },
 "site": "shop",
 "source": "banner",
 "status": "accepted_partially",
 "tc": "CPX",
 "time": "2026-03-01T12:00:00.005Z",
 "type": "assent/record/v2",
 "version": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
}`
	if string(text) != want {
		t.Errorf("record:\n%s\nwant:\n%s", text, want)
	}
}

// The record names the rule by which the visitor was asked; the page's word alone is marked as such.
func TestRegime(t *testing.T) {
	one, several := version(), version()
	one.Notice.Regime = "opt-out"
	several.Notice.Regimes, several.Notice.RestOfWorld = []string{"eu", "us-ca", "us-other"}, "world-notice"
	for _, c := range []struct {
		name          string
		version       *site.Version
		country, part string
		says, want    string
	}{
		{"one rule", one, "DE", "", "", "opt-out"},
		{"one rule, whatever the page says", one, "DE", "", "us-ca", "opt-out"},
		{"the strictest where it governs", several, "", "", "-", "opt-in"},
		{"nothing said: by the place", several, "US", "US-CA", "", "opt-out/us-ca"},
		{"the rule of the place", several, "US", "US-CA", "us-ca", "opt-out/us-ca"},
		{"the strictest, which may govern anywhere", several, "US", "US-CA", "-", "opt-in"},
		{"a milder one than the place has", several, "DE", "", "us-ca", "opt-out/us-ca by page"},
		{"another one than the place has", several, "US", "US-CA", "world-notice", "notice-only/world-notice by page"},
		{"a name that the version does not have", several, "JP", "", "elsewhere", "notice-only/world-notice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := ""
			if c.says != "" {
				said = `"` + strings.TrimPrefix(c.says, "-") + `"`
			}
			d, err := Decode(body("regime", said))
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Record(c.version, Circumstances{Time: circumstances.Time, Country: c.country, Part: c.part})
			if err != nil || r.Regime != c.want {
				t.Errorf("regime %q, want %q; %v", r.Regime, c.want, err)
			}
		})
	}
}

func TestRecordRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		body []byte
		says string
	}{
		{"a category that the version does not have", body("categories", `{"marketing":true}`), `no category "marketing"`},
		{"a service that the version does not have", body("services", `{"other-ads":true}`), `no service "other-ads"`},
		{"necessary refused", body("categories", `{"necessary":false}`), "cannot be refused"},
		{"a necessary service refused", body("services", `{"basket":false}`), "cannot be refused"},
		{"accept all that refuses a category", body("action", `"accept_all"`, "services", "", "categories", `{"analytics":false}`), `accept_all contradicts the category "analytics" being refused`},
		{"accept all that refuses a service", body("action", `"accept_all"`, "categories", "", "services", `{"ads":false}`), `accept_all contradicts the service "ads" being refused`},
		{"refuse all that grants", body("action", `"accept_necessary"`, "services", "", "categories", `{"analytics":true}`), "accept_necessary contradicts"},
		{"a withdrawal that grants", body("action", `"withdraw"`, "services", "", "categories", `{"analytics":true}`), "withdraw contradicts"},
		{"a signal that grants", body("action", `"signal"`, "source", `"signal"`, "services", "", "categories", `{"analytics":true}`), "signal contradicts"},
		{"a choice from a signal", body("source", `"signal"`), "can only refuse"},
		{"another site's version", body("site", `"other"`), "not one of the site's"},
		{"another version", body("version", `"`+strings.Repeat("f", 64)+`"`), "not one of the site's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Decode(c.body)
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Record(version(), circumstances)
			if fault.KindOf(err) != fault.Unprocessed || !strings.Contains(fault.Message(err), c.says) {
				t.Errorf("record %+v, error %v; want one that says %q", r, err, c.says)
			}
		})
	}
}

func TestStatusWithoutAnythingOptional(t *testing.T) {
	v := version()
	v.Notice.Categories, v.Notice.Services = v.Notice.Categories[:1], v.Notice.Services[:1]
	d, err := Decode(body("action", `"accept_all"`, "categories", "", "services", ""))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := d.Record(v, circumstances); err != nil || r.Status != AcceptedNecessary || len(r.Categories)+len(r.Services) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestShownLanguage(t *testing.T) {
	for _, c := range []struct{ name, asked, want string }{
		{"the version's own", "de", "de"},
		{"in another case", "PT-br", "pt-BR"},
		{"a region the version does not tell apart", "de-AT", "de"},
		{"a language that it has with a region only", "pt", "pt-BR"},
		{"a language that it does not have falls back to the first", "fr", "en"},
		{"none falls back to the first", "", "en"},
	} {
		if got := shownLanguage(c.asked, []string{"en", "de", "pt-BR"}); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSame(t *testing.T) {
	payload := func(b []byte, c Circumstances) []byte {
		d, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.Record(version(), c)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	stored := payload(body(), circumstances)
	later := Circumstances{Time: circumstances.Time.Add(time.Hour), Network: "198.51.100.0/24", Country: "FR", Device: "desktop", Browser: "chrome"}
	for _, c := range []struct {
		name  string
		again []byte
		want  bool
	}{
		{"the same bytes", stored, true},
		{"later and from elsewhere", payload(body("page", `"https://shop.example/other"`, "language", `"en"`), later), true},
		{"another category", payload(body("categories", `{"functional":false}`), circumstances), false},
		{"another service", payload(body("services", `{"example-analytics":false}`), circumstances), false},
		{"another visitor", payload(body("consent_id", `"7d444840-9dc0-41d2-a72e-0f6e4f5f0d12"`), circumstances), false},
		{"another action", payload(body("action", `"withdraw"`, "categories", "", "services", ""), circumstances), false},
		{"another source", payload(body("source", `"preferences"`), circumstances), false},
		{"GPC sent", payload(body("gpc", "true"), circumstances), false},
		{"another TC string", payload(body("tc", `"X"`), circumstances), false},
		{"another GPP string", payload(body("gpp", `"X"`), circumstances), false},
		{"no JSON", []byte("x"), false},
	} {
		if got := Same(stored, c.again); got != c.want {
			t.Errorf("%s: Same = %v", c.name, got)
		}
	}
}

func TestRecordAllocations(t *testing.T) {
	d, err := Decode(body())
	if err != nil {
		t.Fatal(err)
	}
	v := version()
	if n := testing.AllocsPerRun(200, func() { d.Record(v, circumstances) }); n > 10 {
		t.Errorf("%v allocations, want at most 10 (record, two maps, three strings)", n)
	}
}
