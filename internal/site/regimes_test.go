package site

import (
	"strings"
	"testing"

	"assent/internal/fault"
	"assent/internal/regime/packs"
)

// world is a notice with every jurisdiction and the site's choice for the rest.
func world(rest string) *Notice {
	n := DefaultNotice("k3y", "Shop")
	n.Regimes = []string{"eu", "uk", "ch", "br", "ca-qc", "us-ca", "us-gpc-states", "us-other"}
	n.RestOfWorld = rest
	n.HonourGPC = false
	return n
}

func TestVariantOfAPlace(t *testing.T) {
	exempt := world("world-notice")
	exempt.Exempt = []string{"analytics", "functional"}
	quick := world("world-notice")
	quick.ChoiceDays = 30
	honour := world("world-notice")
	honour.HonourGPC = true
	for _, row := range []struct {
		name                 string
		notice               *Notice
		country, subdivision string
		want                 string // name regime days signals exempt link
	}{
		{"nobody knows where", world("world-notice"), "", "", " opt-in 365 gpc+told  "},
		{"a code for nowhere", world("world-notice"), "XX", "", " opt-in 365 gpc+told  "},
		{"Germany", world("world-notice"), "DE", "", "eu opt-in 180   "},
		{"Switzerland, which is like the Union here", world("world-notice"), "CH", "", "eu opt-in 180   "},
		{"California", world("world-notice"), "US", "US-CA", "us-ca opt-out 365 gpc+told  Your Privacy Choices"},
		{"the United States, without a state", world("world-notice"), "US", "", "us-ca opt-out 365 gpc+told  Your Privacy Choices"},
		{"Texas", world("world-notice"), "US", "US-TX", "us-gpc-states opt-out 180 gpc+told  "},
		{"Ohio", world("world-notice"), "US", "US-OH", "us-other opt-out 180   "},
		{"Ohio, where the site obeys the signal everywhere", honour, "US", "US-OH", "us-other opt-out 180 gpc+told  "},
		{"Quebec", world("world-notice"), "CA", "CA-QC", "eu opt-in 180   "},
		{"Ontario", world("world-notice"), "CA", "CA-ON", "world-notice notice-only 180   "},
		{"Canada, without a province", world("world-notice"), "CA", "", "eu opt-in 180   "},
		{"Japan", world("world-notice"), "JP", "", "world-notice notice-only 180   "},
		{"Japan, where the rest is the strictest", world(""), "JP", "", " opt-in 365 gpc+told  "},
		{"Japan, asked first", world("world-opt-in"), "JP", "", "eu opt-in 180   "},
		{"Japan, as in the Union", world("eu"), "JP", "", "eu opt-in 180   "},
		{"France, with audience measurement", exempt, "FR", "", "eu-fr opt-in 180  analytics "},
		{"Germany, which has no such exemption", exempt, "DE", "", "eu opt-in 180   "},
		{"the United Kingdom, with both exemptions", exempt, "GB", "", "uk opt-in 180  analytics,functional "},
		{"Switzerland, which has the same two", exempt, "CH", "CH-ZH", "uk opt-in 180  analytics,functional "},
		{"nobody knows where, with exemptions", exempt, "", "", " opt-in 365 gpc+told  "},
		{"Italy is not asked after a month", quick, "IT", "", "eu opt-in 180   "},
		{"Brazil, like the United Kingdom, is", quick, "BR", "", "uk opt-in 30   "},
	} {
		if err := row.notice.Validate(); err != nil {
			t.Fatal(row.name, err)
		}
		vs := row.notice.Variants()
		name := vs.For(row.country, row.subdivision)
		for i := range vs.List {
			v := &vs.List[i]
			if v.Name != name {
				continue
			}
			signals := ""
			if v.HonourGPC {
				signals = "gpc"
			}
			if v.Confirm {
				signals += "+told"
			}
			got := strings.Join([]string{v.Name, v.Regime, itoa(v.ChoiceDays), signals, strings.Join(v.Exempt, ","), v.Link}, " ")
			if got != row.want {
				t.Errorf("%s: %q, want %q", row.name, got, row.want)
			}
			name = "found"
		}
		if name != "found" {
			t.Errorf("%s: there is no variant %q", row.name, name)
		}
	}
}

func itoa(n int) string {
	return strings.TrimLeft(string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)}), "0")
}

// Whatever a site chooses, no place has less than its own packs ask for, and the
// strictest, which unknown places get, has no less than any.
func TestNoPlaceHasLessThanItsPacks(t *testing.T) {
	for _, rest := range []string{"", "world-opt-in", "world-opt-out", "world-notice", "us-ca"} {
		n := world(rest)
		n.Exempt = []string{"analytics"}
		vs := n.Variants()
		names := map[string]*Variant{}
		for i := range vs.List {
			if names[vs.List[i].Name] != nil {
				t.Fatalf("two variants are called %q", vs.List[i].Name)
			}
			names[vs.List[i].Name] = &vs.List[i]
		}
		strictest := names[""]
		for _, p := range packs.All() {
			for _, j := range append([]string{""}, p.Jurisdictions...) {
				country, _, _ := strings.Cut(j, "-")
				for _, subdivision := range []string{j, ""} {
					if subdivision == country {
						subdivision = ""
					}
					v := names[vs.For(country, subdivision)]
					if v == nil {
						t.Fatalf("%s %s has no variant", country, subdivision)
					}
					if j != "" && !p.World() && (packs.Rank(v.Regime) > packs.Rank(p.Model) || p.GPC.Duty == packs.Mandatory && !v.HonourGPC || v.ChoiceDays < p.AskAgain.NotBefore) {
						t.Errorf("%s (%q) has %+v, less than %s", j, subdivision, v, p.Key)
					}
					if packs.Rank(v.Regime) < packs.Rank(strictest.Regime) || v.HonourGPC && !strictest.HonourGPC || v.ChoiceDays > strictest.ChoiceDays || len(strictest.Exempt) > 0 {
						t.Errorf("%s is stricter than the strictest: %+v", j, v)
					}
				}
			}
		}
	}
}

func TestOneRegimeIsOneVariant(t *testing.T) {
	n := DefaultNotice("k3y", "Shop")
	vs := n.Variants()
	if len(vs.List) != 1 || vs.List[0].Several() || vs.For("US", "US-CA") != "" || vs.List[0].ChoiceDays != n.ChoiceDays {
		t.Errorf("variants = %+v", vs)
	}
	n.Regimes, n.RestOfWorld = []string{"eu"}, "eu"
	if vs = n.Variants(); len(vs.List) != 1 || vs.List[0].Several() {
		t.Errorf("the Union everywhere is %d variants", len(vs.List))
	}
	if n.As(&vs.List[0]).Scope() != DefaultNotice("k3y", "Shop").Scope() {
		t.Error("a pack of the same strictness asks everybody again")
	}
}

// A database may be opened by a release that does not know a pack any more, or not yet.
func TestUnknownPackIsTheStrictest(t *testing.T) {
	n := world("world-notice")
	n.Regimes = []string{"us-ca", "of-another-release"}
	vs := n.Variants()
	if v := vs.List[0]; v.Name != "" || v.Regime != "opt-in" || !v.HonourGPC {
		t.Errorf("the strictest is %+v", v)
	}
	if name := vs.For("US", "US-CA"); name != "us-ca" {
		t.Errorf("California has %q", name)
	}
}

func TestRegimesThatAreRefused(t *testing.T) {
	for _, row := range []struct {
		name, says string
		change     func(*Notice)
	}{
		{"an unknown pack", "no regime pack", func(n *Notice) { n.Regimes = append(n.Regimes, "atlantis") }},
		{"the world as a jurisdiction", "no regime pack", func(n *Notice) { n.Regimes = append(n.Regimes, "world-notice") }},
		{"a pack twice", "twice", func(n *Notice) { n.Regimes = append(n.Regimes, "eu") }},
		{"an unknown rest", "rest of the world", func(n *Notice) { n.RestOfWorld = "anything" }},
		{"a rest without regimes", "beside regimes", func(n *Notice) { n.Regimes = nil }},
		{"an exemption without regimes", "beside regimes", func(n *Notice) { n.Regimes, n.RestOfWorld, n.Exempt = nil, "", []string{"analytics"} }},
		{"an exemption of the necessary", "cannot be exempt", func(n *Notice) { n.Exempt = []string{"necessary"} }},
		{"a milder regime than the strictest pack", "the strictest, opt-in", func(n *Notice) { n.Regime = "opt-out" }},
		{"an unknown word for Do Not Track", "Do Not Track", func(n *Notice) { n.DNT = "maybe" }},
	} {
		n := world("world-notice")
		row.change(n)
		if err := n.Validate(); fault.KindOf(err) != fault.Unprocessed || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// The names of published versions hang on these bytes.
func TestRegimesChangeNoExistingVersion(t *testing.T) {
	n := DefaultNotice("k3y", "Shop")
	raw, err := n.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{`"regimes"`, `"rest_of_world"`, `"exempt"`, `"dnt"`, "Variant"} {
		if strings.Contains(string(raw), word) {
			t.Errorf("the canonical JSON of a notice without regimes has %s", word)
		}
	}
}
