package packs

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// good is a pack that Read takes, to be broken in one place.
const good = `{"key":"x","name":"X","valid_from":"2026-01-01","jurisdictions":["JP","US-CA"],"model":"opt-in","means":"Asked.",
	"gpc":{"duty":"mandatory","since":"2026-01-01"},"confirm_signal":"2026-01-01","ask_again":{"not_before_days":1,"latest_days":2},"refuse_on_first_layer":true,"link":"",
	"exempt":[{"purpose":"p","category":"analytics","jurisdictions":["JP"],"conditions":["c"]}],
	"articles":[{"citation":"Act","in_force":"2026-01-01","says":"So."}]}`

func TestReadRefusesWhatIsNotSound(t *testing.T) {
	if _, err := Read([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, old, new string }{
		{"an unknown member", `"key"`, `"colour":1,"key"`},
		{"a second value", `"So."}]}`, `"So."}]}{}`},
		{"a key with a capital", `"key":"x"`, `"key":"X"`},
		{"the key that is a word of ours", `"key":"x"`, `"key":"strictest"`},
		{"a place that is none", `"JP","US-CA"`, `"JP","XX"`},
		{"a subdivision of no country", `"US-CA"`, `"ZZ-CA"`},
		{"a subdivision in small letters", `"US-CA"`, `"US-ca"`},
		{"a place twice", `"JP","US-CA"`, `"JP","JP"`},
		{"an unknown model", `"opt-in"`, `"ask"`},
		{"an unknown duty", `"mandatory"`, `"must"`},
		{"a duty without a day", `"since":"2026-01-01"`, `"since":""`},
		{"a day that there is not", `"valid_from":"2026-01-01"`, `"valid_from":"2026-02-30"`},
		{"no day", `"valid_from":"2026-01-01"`, `"valid_from":""`},
		{"asked again too late and too early", `"latest_days":2`, `"latest_days":-1`},
		{"asked again before it is allowed", `"not_before_days":1`, `"not_before_days":3`},
		{"an exemption in another's place", `["JP"],"conditions"`, `["DE"],"conditions"`},
		{"an exemption without conditions", `["c"]`, `[]`},
		{"an exemption of the necessary", `"analytics"`, `"necessary"`},
		{"an exemption where nobody is asked", `"opt-in"`, `"opt-out"`},
		{"a jurisdiction without articles", `[{"citation":"Act","in_force":"2026-01-01","says":"So."}]`, `[]`},
		{"an article without a day", `"in_force":"2026-01-01"`, `"in_force":""`},
		{"an article that is not yet in force", `"in_force":"2026-01-01"`, `"in_force":"2026-01-02"`},
		{"an article that says nothing", `"So."`, `""`},
		{"a confirmation of what need not be obeyed", `"mandatory","since":"2026-01-01"`, `"recommended","since":""`},
	} {
		broken := strings.Replace(good, row.old, row.new, 1)
		if broken == good {
			t.Fatalf("%s: nothing was changed", row.name)
		}
		if _, err := Read([]byte(broken)); err == nil {
			t.Errorf("%s is taken", row.name)
		}
	}
}

func TestTwoPacksForOnePlaceAreRefused(t *testing.T) {
	a, b := &Pack{Key: "a", Jurisdictions: []string{"DE", "FR"}}, &Pack{Key: "b", Jurisdictions: []string{"FR"}}
	if err := checkTogether([]*Pack{a, b}); err == nil || !strings.Contains(err.Error(), "FR") {
		t.Errorf("overlap: %v", err)
	}
	if err := checkTogether([]*Pack{a, {Key: "a"}}); err == nil {
		t.Error("two packs with one key are taken")
	}
}

func TestPacksOfTheBinary(t *testing.T) {
	list, err := loadFiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"eu", "uk", "ch", "br", "ca-qc", "us-ca", "us-gpc-states", "us-other", "world-opt-in", "world-opt-out", "world-notice"} {
		if Get(key) == nil {
			t.Errorf("there is no pack %s", key)
		}
	}
	if Get("nowhere") != nil {
		t.Error("there is a pack that is nowhere")
	}
	// The order is strict and total: one sequence, and every pair agrees with it.
	for i, a := range list {
		for j, b := range list {
			if got := Compare(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%s to %s: %d", a.Key, b.Key, got)
			}
		}
	}
	if first, last := list[0].Model, list[len(list)-1].Model; first != OptIn || last != NoticeOnly {
		t.Errorf("the order begins with %s and ends with %s", first, last)
	}
}

func TestWhichPacksGovern(t *testing.T) {
	all := []string{"eu", "uk", "ch", "br", "ca-qc", "us-ca", "us-gpc-states", "us-other"}
	for _, row := range []struct {
		name, country, subdivision string
		keys                       []string
		want                       string
	}{
		{"a member state", "DE", "", all, "eu"},
		{"a member state's subdivision", "DE", "DE-BY", all, "eu"},
		{"the EEA", "NO", "", all, "eu"},
		{"an overseas department", "RE", "", all, "eu"},
		{"an overseas collectivity that is not in the Union", "NC", "", all, ""},
		{"the United Kingdom", "GB", "GB-SCT", all, "uk"},
		{"Switzerland", "CH", "", all, "ch"},
		{"Brazil", "BR", "BR-SP", all, "br"},
		{"California", "US", "US-CA", all, "us-ca"},
		{"Texas", "US", "US-TX", all, "us-gpc-states"},
		{"Ohio", "US", "US-OH", all, "us-other"},
		{"Puerto Rico, which has a code of its own", "PR", "", all, "us-other"},
		{"somewhere in the United States", "US", "", all, "us-ca us-gpc-states us-other"},
		{"Quebec", "CA", "CA-QC", all, "ca-qc"},
		{"Ontario", "CA", "CA-ON", all, ""},
		{"somewhere in Canada", "CA", "", all, "ca-qc "},
		{"Japan", "JP", "", all, ""},
		{"a pack that the site does not have", "DE", "", []string{"uk"}, ""},
		{"California alone, elsewhere in the United States", "US", "US-TX", []string{"us-ca"}, ""},
		{"California alone, somewhere in the United States", "US", "", []string{"us-ca"}, "us-ca "},
		{"nowhere", "", "", []string{"eu", "us-ca"}, "eu us-ca "},
		{"a code for nowhere", "XX", "", []string{"eu", "us-ca"}, "eu us-ca "},
		{"Tor", "T1", "", []string{"eu"}, "eu "},
		{"a code for Europe", "EU", "", []string{"eu"}, "eu "},
	} {
		if got := strings.Join(In(row.keys, row.country, row.subdivision), " "); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestExemptionsByPlace(t *testing.T) {
	for _, row := range []struct{ pack, country, want string }{
		{"eu", "FR", "analytics"}, {"eu", "DE", ""}, {"uk", "GB", "analytics functional"}, {"us-ca", "US", ""},
	} {
		if got := strings.Join(Get(row.pack).Exempts(row.country, ""), " "); got != row.want {
			t.Errorf("%s in %s: %q, want %q", row.pack, row.country, got, row.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(good))
	for _, p := range All() {
		raw, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := Read(raw)
		if err != nil {
			return
		}
		if !slices.Contains(models, p.Model) || !slices.Contains(duties, p.GPC.Duty) {
			t.Fatalf("taken: %+v", p)
		}
	})
}
