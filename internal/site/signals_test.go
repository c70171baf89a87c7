package site

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"assent/internal/fault"
)

// told is a notice with a service that is told through Google.
func told() *Notice {
	n := DefaultNotice("k", "Shop")
	n.Services = []Service{{Key: "stats", Name: "Stats", Category: "analytics", Hosts: []string{"stats.example"}, Signal: "google"}}
	n.Signals = &Signals{ConsentMode: &ConsentMode{Mode: "basic", Wait: 500, Regions: []string{"DE", "US-CA"}, Types: n.DefaultConsentTypes()}, Event: true}
	return n
}

func TestSignalsAreChecked(t *testing.T) {
	if err := told().Validate(); err != nil {
		t.Fatalf("a notice with every kind of signal: %v", err)
	}
	for name, row := range map[string]struct {
		change func(*Notice)
		says   string
	}{
		"an unknown signal":                 {func(n *Notice) { n.Services[0].Signal = "smoke" }, "documented ones"},
		"Google without Consent Mode":       {func(n *Notice) { n.Signals = nil }, "Turn it on under Signals"},
		"Amazon without a country":          {func(n *Notice) { n.Services[0].Signal = "amazon" }, "Enter the country for Amazon"},
		"a country that is none":            {func(n *Notice) { n.Signals.Country = "Germany" }, "two capital letters"},
		"Limited Data Use with opt-in":      {func(n *Notice) { n.Services[0].Signal = "meta-ldu" }, "Meta's ordinary signal"},
		"a mode that is none":               {func(n *Notice) { n.Signals.ConsentMode.Mode = "" }, "basic or advanced"},
		"a negative wait":                   {func(n *Notice) { n.Signals.ConsentMode.Wait = -1 }, "between 0 and 10000"},
		"a long wait":                       {func(n *Notice) { n.Signals.ConsentMode.Wait = 10_001 }, "between 0 and 10000"},
		"a region in small letters":         {func(n *Notice) { n.Signals.ConsentMode.Regions = []string{"de"} }, "US-CA"},
		"a region twice":                    {func(n *Notice) { n.Signals.ConsentMode.Regions = []string{"DE", "DE"} }, "there twice"},
		"a type that follows nothing":       {func(n *Notice) { n.Signals.ConsentMode.Types["ad_storage"] = "ads" }, "ad_storage follows"},
		"a type that is missing":            {func(n *Notice) { delete(n.Signals.ConsentMode.Types, "ad_storage") }, "each of Google's 7 types"},
		"a type too many":                   {func(n *Notice) { n.Signals.ConsentMode.Types["x"] = "necessary" }, "each of Google's 7 types"},
		"a data layer that breaks out":      {func(n *Notice) { n.Signals.DataLayer = "a];alert(1)" }, "JavaScript name"},
		"advanced, and nothing is Google's": {func(n *Notice) { n.Signals.ConsentMode.Mode, n.Services[0].Signal = "advanced", "" }, "Mark the services"},
	} {
		t.Run(name, func(t *testing.T) {
			n := told()
			row.change(n)
			err := n.Validate()
			if fault.KindOf(err) != fault.Unprocessed || !strings.Contains(fault.Message(err), row.says) {
				t.Errorf("got %v, want a sentence with %q", err, row.says)
			}
		})
	}
}

func TestEveryToolIsAccepted(t *testing.T) {
	for _, tool := range Tools {
		n := told()
		n.Regime, n.Services[0].Signal, n.Signals.Country = "opt-out", tool.Signal, "US"
		if err := n.Validate(); err != nil {
			t.Errorf("%s: %v", tool.Name, err)
		}
	}
	if !slices.IsSortedFunc(Tools, func(a, b Tool) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the tools are not in the order in which people look for them")
	}
}

func TestDefaultConsentTypesFitTheCategories(t *testing.T) {
	n := DefaultNotice("k", "Shop")
	n.Categories = n.Categories[:2] // necessary, functional
	types := n.DefaultConsentTypes()
	if got := slices.Sorted(maps.Keys(types)); !slices.Equal(got, slices.Sorted(slices.Values(ConsentTypes))) {
		t.Errorf("types = %v", got)
	}
	for name, category := range types {
		if n.category(category) == nil {
			t.Errorf("%s follows %q, which the notice does not have", name, category)
		}
		if name != "security_storage" && category == "necessary" {
			t.Errorf("%s needs no consent", name)
		}
	}
}

// Versions that were published before signals existed keep their names.
func TestNoticeWithoutSignalsHasTheBytesItHad(t *testing.T) {
	n := DefaultNotice("k", "Shop")
	n.Services = []Service{{Key: "stats", Name: "Stats", Category: "analytics"}}
	raw, err := n.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "signal") {
		t.Errorf("the canonical JSON speaks of signals: %s", raw)
	}
}

func TestSignalsInScopeAndDiff(t *testing.T) {
	n := told()
	if plain := told(); true {
		plain.Services[0].Signal, plain.Signals = "", nil
		if n.Scope() != plain.Scope() {
			t.Error("telling a tool asks everybody again")
		}
	}
	advanced := told()
	advanced.Signals.ConsentMode.Mode = "advanced"
	if n.Scope() == advanced.Scope() {
		t.Error("the advanced form, in which a refusal means something else, asks nobody again")
	}
	advanced.Signals.ConsentMode.Regions = []string{"DE"}
	changes := map[string]string{}
	for _, c := range Diff(n, advanced) {
		changes[c.Path] = c.Before + " > " + c.After
	}
	want := map[string]string{"signals › consent mode › mode": "basic > advanced", "signals › consent mode › regions": "DE, US-CA > DE"}
	if !maps.Equal(changes, want) {
		t.Errorf("changes = %v, want %v", changes, want)
	}
	raw, err := n.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	var read Notice
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	if d := Diff(n, &read); len(d) > 0 {
		t.Errorf("reading what was written changes %v", d)
	}
}
