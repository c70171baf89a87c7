package choice

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"assent/internal/regime/packs"
)

// vectors reads a file that drives the script's rule as well.
func vectors(t testing.TB, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "client", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

type cookieVectors struct {
	Valid []struct {
		Name, Text string
		Choice     struct {
			ConsentID  string `json:"consent_id"`
			RecordID   string `json:"record_id"`
			Scope      string
			Time       int64
			Action     string
			Categories map[string]bool
			Services   map[string]bool
		}
	}
	Invalid []struct{ Name, Text string }
}

func TestCookieVectors(t *testing.T) {
	var v cookieVectors
	vectors(t, "cookie.json", &v)
	if len(v.Valid) < 5 || len(v.Invalid) < 5 {
		t.Fatalf("%d valid and %d invalid vectors", len(v.Valid), len(v.Invalid))
	}
	for _, row := range v.Valid {
		c, ok := ReadCookie(row.Text)
		if !ok {
			t.Errorf("%s: refused %q", row.Name, row.Text)
			continue
		}
		want := row.Choice
		if c.ConsentID.String() != want.ConsentID || c.RecordID.String() != want.RecordID || c.Scope != want.Scope || c.Time.UnixMilli() != want.Time ||
			c.Action != want.Action || !maps.Equal(c.Categories, want.Categories) || !maps.Equal(c.Services, want.Services) {
			t.Errorf("%s: %+v, want %+v", row.Name, c, want)
		}
		if c.String() != row.Text {
			t.Errorf("%s: written again as %q, want %q", row.Name, c, row.Text)
		}
	}
	for _, row := range v.Invalid {
		if c, ok := ReadCookie(row.Text); ok {
			t.Errorf("%s: %q was taken as %+v", row.Name, row.Text, c)
		}
	}
}

// FuzzReadCookie: whatever is taken has one spelling.
func FuzzReadCookie(f *testing.F) {
	var v cookieVectors
	vectors(f, "cookie.json", &v)
	for _, row := range v.Valid {
		f.Add(row.Text)
	}
	for _, row := range v.Invalid {
		f.Add(row.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := ReadCookie(text)
		if !ok {
			return
		}
		if c.String() != text {
			t.Fatalf("%q is written again as %q", text, c)
		}
		if again, ok := ReadCookie(c.String()); !ok || !reflect.DeepEqual(again, c) {
			t.Fatalf("%q reads as %+v, then as %+v", text, c, again)
		}
	})
}

func TestHostVectors(t *testing.T) {
	var v struct {
		Cases []struct {
			Name, Host   string
			Domains      []string
			Owned        bool
			CookieDomain string `json:"cookie_domain"`
		}
	}
	vectors(t, "hosts.json", &v)
	for _, c := range v.Cases {
		owned := false
		for _, d := range c.Domains {
			owned = owned || Within(c.Host, d)
		}
		if owned != c.Owned {
			t.Errorf("%s: owned %v, want %v", c.Name, owned, c.Owned)
		}
		if got := CookieDomain(c.Domains, c.Host); got != c.CookieDomain {
			t.Errorf("%s: cookie domain %q, want %q", c.Name, got, c.CookieDomain)
		}
		if got := Covering(c.Domains, c.Host); (got != "") != c.Owned || c.CookieDomain != "" && got != c.CookieDomain {
			t.Errorf("%s: covered by %q", c.Name, got)
		}
	}
	if len(v.Cases) < 10 {
		t.Errorf("%d vectors", len(v.Cases))
	}
}

func TestForceVectors(t *testing.T) {
	var v struct {
		Scope      string
		ChoiceDays int `json:"choice_days"`
		Now        int64
		Categories []string
		Cases      []struct {
			Name, Regime string
			GPC          bool
			Categories   []string
			Stored       *struct {
				Scope  string
				Time   int64
				Action string
			}
			State Verdict
		}
	}
	vectors(t, "force.json", &v)
	for _, c := range v.Cases {
		m := &Manifest{Scope: v.Scope, ChoiceDays: v.ChoiceDays, Regime: c.Regime, HonourGPC: true, Categories: v.Categories}
		if c.Categories != nil {
			m.Categories = c.Categories
		}
		var stored *Cookie
		if c.Stored != nil {
			stored = &Cookie{Scope: c.Stored.Scope, Action: c.Stored.Action, Time: time.UnixMilli(c.Stored.Time)}
		}
		if got := m.Judge(stored, time.UnixMilli(v.Now), Signals{GPC: c.GPC}); got != c.State {
			t.Errorf("%s: %s, want %s", c.Name, got, c.State)
		}
		if m.HonourGPC = false; m.Judge(stored, time.UnixMilli(v.Now), Signals{GPC: c.GPC}) == Signal {
			t.Errorf("%s: a signal decides though the notice does not honour it", c.Name)
		}
	}
	if len(v.Cases) < 10 {
		t.Errorf("%d vectors", len(v.Cases))
	}
}

// regimeVectors are variants of one site, and what holds in which place.
type regimeVectors struct {
	Now        int64
	Categories []string
	HonourDNT  bool `json:"honour_dnt"`
	Variants   []struct {
		Variant
		Preset map[string]bool
	}
	Places packs.ByPlace
	Cases  []struct {
		Name, Country, Subdivision, At string
		GPC, DNT                       bool
		Stored                         *struct {
			Scope, Action string
			Time          int64
			Categories    map[string]bool
		}
		State   Verdict
		Granted []string
	}
}

func TestRegimeVectors(t *testing.T) {
	var v regimeVectors
	vectors(t, "regimes.json", &v)
	m := goodManifest()
	m.Categories, m.HonourDNT, m.Places = v.Categories, v.HonourDNT, &v.Places
	m.Services[0].Category = "analytics"
	presets := map[string]map[string]bool{}
	for i, one := range v.Variants {
		presets[one.Name] = one.Preset
		if i == 0 {
			m.Scope, m.ChoiceDays, m.Regime, m.HonourGPC, m.Exempt = one.Scope, one.ChoiceDays, one.Regime, one.HonourGPC, one.Exempt
			continue
		}
		m.Variants = append(m.Variants, one.Variant)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ReadManifest(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range v.Cases {
		of, name := read.In(c.Country, c.Subdivision)
		var stored *Cookie
		if c.Stored != nil {
			stored = &Cookie{Scope: c.Stored.Scope, Action: c.Stored.Action, Time: time.UnixMilli(c.Stored.Time), Categories: c.Stored.Categories}
		}
		verdict, selection := of.InForce(stored, time.UnixMilli(v.Now), Signals{GPC: c.GPC, DNT: c.DNT})
		var granted []string
		for _, key := range of.optional() {
			if selection.Categories[key] {
				granted = append(granted, key)
			}
		}
		if name != c.At || verdict != c.State || !slices.Equal(granted, c.Granted) {
			t.Errorf("%s: the variant %q, %s, %v, want %q, %s, %v", c.Name, name, verdict, granted, c.At, c.State, c.Granted)
		}
		want := presets[name]
		if want == nil {
			want = of.Uniform(false).Categories
		}
		if got := of.Preset().Categories; !maps.Equal(got, want) {
			t.Errorf("%s: %v before a choice, and the script has %v", name, got, want)
		}
	}
	if len(v.Cases) < 10 {
		t.Errorf("%d vectors", len(v.Cases))
	}
}

func TestPolicyVectors(t *testing.T) {
	var v struct {
		Notice        Manifest
		Page, Consent string
		Cases         []struct {
			Name, Undeclared, Policy, Page string
			Categories, Services           map[string]bool
		}
	}
	vectors(t, "policy.json", &v)
	m := v.Notice
	m.Origin, m.Enforce = v.Consent, true
	for _, c := range v.Cases {
		m.Undeclared = c.Undeclared
		page := v.Page
		if c.Page != "" {
			page = c.Page
		}
		if got := m.Policy(&Selection{c.Categories, c.Services}, page); got != c.Policy {
			t.Errorf("%s:\n%s, want\n%s", c.Name, got, c.Policy)
		}
	}
	if len(v.Cases) < 10 {
		t.Errorf("%d vectors", len(v.Cases))
	}
	if got := m.Policy(nil, ""); !strings.HasSuffix(got, " data: blob: "+v.Consent) {
		t.Errorf("when nothing is known: %q", got)
	}
	// The script never writes a choice without every category, and no key of its own making.
	m.Undeclared = "with_all"
	for _, s := range []Selection{{Categories: map[string]bool{"advertising": true}}, {Categories: map[string]bool{"other": true}, Services: map[string]bool{"any": true}}, {}} {
		if m.Policy(&s, v.Page) == "" {
			t.Errorf("%v lifts the policy", s)
		}
	}
	m.Enforce = false
	if got := m.Policy(&Selection{}, v.Page); got != "" {
		t.Errorf("a site without a policy gets %q", got)
	}
}

func TestPresets(t *testing.T) {
	for regime, want := range map[string]bool{"opt-in": false, "opt-out": true, "notice-only": true} {
		m := &Manifest{Regime: regime, Categories: []string{"necessary", "analytics"}, ChoiceDays: 1, HonourGPC: true}
		_, got := m.InForce(nil, time.Unix(0, 0), Signals{})
		if !maps.Equal(got.Categories, map[string]bool{"analytics": want}) {
			t.Errorf("%s: %v", regime, got)
		}
	}
}

func goodManifest() Manifest {
	return Manifest{Schema: 1, Site: "shop", Version: strings.Repeat("0", 64), Scope: "5f2c1d7e9a0b4c3d", ChoiceDays: 180, Regime: "opt-in", Enforce: true, Undeclared: "block",
		Origin: "https://consent.example", Domains: []string{"shop.example"}, Categories: []string{"necessary", "analytics"},
		Services: []Service{{Key: "count", Category: "analytics", Hosts: []string{"*.count.example:8443"}}}, Boot: "void 0"}
}

func TestReadManifestRefuses(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"another schema":           func(m *Manifest) { m.Schema = 2 },
		"a site key with a quote":  func(m *Manifest) { m.Site = `a"b` },
		"a host with a semicolon":  func(m *Manifest) { m.Services[0].Hosts[0] = "a; script-src *" },
		"a domain with a newline":  func(m *Manifest) { m.Domains[0] = "a\r\nSet-Cookie: x" },
		"an origin with a path":    func(m *Manifest) { m.Origin = "https://consent.example/x" },
		"an origin of a script":    func(m *Manifest) { m.Origin = "javascript:alert(1)" },
		"a boot that ends itself":  func(m *Manifest) { m.Boot = "'</SCRIPT >'" },
		"an unknown regime":        func(m *Manifest) { m.Regime = "" },
		"a version with a newline": func(m *Manifest) { m.Version = strings.Repeat("0", 63) + "\n" },
		"no scope":                 func(m *Manifest) { m.Scope = "" },
		"no days":                  func(m *Manifest) { m.ChoiceDays = 0 },
		"a variant with a quote": func(m *Manifest) {
			m.Variants = []Variant{{Name: `a"b`, Scope: m.Scope, ChoiceDays: 1, Regime: "opt-out"}}
		},
		"a variant without days": func(m *Manifest) { m.Variants = []Variant{{Name: "a", Scope: m.Scope, Regime: "opt-out"}} },
		"a variant of no regime": func(m *Manifest) { m.Variants = []Variant{{Name: "a", Scope: m.Scope, ChoiceDays: 1}} },
		"two of a name": func(m *Manifest) {
			m.Variants = slices.Repeat([]Variant{{Name: "a", Scope: m.Scope, ChoiceDays: 1, Regime: "opt-out"}}, 2)
		},
		"too many variants":    func(m *Manifest) { m.Variants = make([]Variant, maxVariants+1) },
		"a place of nobody":    func(m *Manifest) { m.Places = &packs.ByPlace{Names: map[string]string{"XX": ""}} },
		"a place in quotes":    func(m *Manifest) { m.Places = &packs.ByPlace{Names: map[string]string{`US-"`: ""}} },
		"a variant of no name": func(m *Manifest) { m.Places = &packs.ByPlace{Rest: "a"} },
	} {
		m := goodManifest()
		data, _ := json.Marshal(m)
		if _, err := ReadManifest(data); err != nil {
			t.Fatal(err)
		}
		change(&m)
		data, _ = json.Marshal(m)
		if _, err := ReadManifest(data); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// FuzzReadManifest: whatever is taken makes a policy that is one, and only one,
// directive of printable characters.
func FuzzReadManifest(f *testing.F) {
	data, _ := json.Marshal(goodManifest())
	f.Add(data, "www.shop.example:8080")
	f.Add([]byte(`{"schema":1}`), "")
	several := goodManifest()
	several.Variants = []Variant{{Name: "us-ca", Scope: several.Scope, ChoiceDays: 1, Regime: "opt-out", Exempt: []string{"analytics"}}}
	several.Places = &packs.ByPlace{Names: map[string]string{"US-CA": "us-ca", "US-*": "us-ca"}, Rest: "us-ca"}
	data, _ = json.Marshal(several)
	f.Add(data, "shop.example")
	f.Fuzz(func(t *testing.T, data []byte, host string) {
		m, err := ReadManifest(data)
		if err != nil {
			return
		}
		of, name := m.In("US", "US-CA")
		if _, again := of.In("US", "US-CA"); again != name || name != "" && !keyForm.MatchString(name) {
			t.Fatalf("the variant %q, then %q", name, again)
		}
		preset := of.Preset()
		for _, s := range []*Selection{nil, {}, &preset} {
			policy := m.Policy(s, PageHost(host))
			if strings.ContainsFunc(policy, func(r rune) bool { return r < ' ' || r > '~' || r == ';' || r == ',' || r == '"' }) {
				t.Fatalf("policy %q", policy)
			}
		}
	})
}
