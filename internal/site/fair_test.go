package site

import (
	"slices"
	"strings"
	"testing"

	"assent/internal/i18n"
)

// The words and colours that a site starts with give no cause, in any language.
func TestDefaultsGiveNoConcern(t *testing.T) {
	for _, l := range i18n.Languages() {
		n := DefaultNotice("testsite", "Shop", l.Tag)
		n.Controller.PolicyURL = "https://shop.example/privacy"
		if list := n.Concerns(nil); len(list) != 0 {
			t.Errorf("%s: %+v", l.Tag, list)
		}
	}
}

func TestConcerns(t *testing.T) {
	texts := func(change func(*Texts)) func(*Notice) {
		return func(n *Notice) { t := n.Texts["en"]; change(&t); n.Texts["en"] = t }
	}
	service := func(s Service) func(*Notice) {
		return func(n *Notice) {
			if s.Purpose == nil {
				s.Purpose = map[string]string{"en": "Counts."}
			}
			n.Services = append(n.Services, s)
		}
	}
	both := func(a, b func(*Notice)) func(*Notice) { return func(n *Notice) { a(n); b(n) } }
	counter := Service{Key: "counter", Name: "Counter", Category: "analytics", Provider: "Counter Ltd", Hosts: []string{"cdn.counter.example"}}
	for name, c := range map[string]struct {
		change func(*Notice)
		want   string // kinds
		says   string
	}{
		"nothing wrong":         {service(counter), "", ""},
		"same words":            {texts(func(t *Texts) { t.RefuseAll = "Choose …" }), "missing_refusal", "says the same"},
		"wordy refusal":         {texts(func(t *Texts) { t.RefuseAll = "No, I would rather have a worse site" }), "unequal_buttons", "far more words"},
		"cheering":              {texts(func(t *Texts) { t.AcceptAll = "Yes, please!" }), "unequal_buttons", "cheered on"},
		"shouting":              {texts(func(t *Texts) { t.AcceptAll = "ACCEPT ALL" }), "unequal_buttons", "cheered on"},
		"both shout":            {texts(func(t *Texts) { t.AcceptAll, t.RefuseAll = "ACCEPT ALL", "REFUSE ALL" }), "", ""},
		"long body":             {texts(func(t *Texts) { t.Body = strings.Repeat("We value your privacy. ", 30) }), "wordy", "500 characters"},
		"long title":            {texts(func(t *Texts) { t.Title = strings.Repeat("privacy ", 20) }), "wordy", "90 characters"},
		"long button":           {texts(func(t *Texts) { t.Choose = strings.Repeat("choose ", 10) }), "wordy", "40 characters"},
		"no way back":           {func(n *Notice) { n.Layout.Floating = false }, "hidden_withdrawal", "as easy as deciding"},
		"only informed":         {both(service(counter), func(n *Notice) { n.Regime = "notice-only" }), "missing_refusal", "cannot refuse"},
		"opt-out":               {both(service(counter), func(n *Notice) { n.Regime = "opt-out" }), "pre_ticked", "until somebody refuses"},
		"opt-out by country":    {both(service(counter), func(n *Notice) { n.Regime = "opt-out"; n.Regimes = []string{"us-california"} }), "", ""},
		"informed of nothing":   {func(n *Notice) { n.Regime = "notice-only" }, "", ""},
		"let through":           {func(n *Notice) { n.Enforcement.Undeclared = "report" }, "missing_refusal", "does not stop"},
		"exempt advertising":    {func(n *Notice) { n.Exempt = []string{"advertising"} }, "pre_ticked", "No exemption"},
		"consent mode advanced": {func(n *Notice) { n.Signals = &Signals{ConsentMode: &ConsentMode{Mode: "advanced"}} }, "pre_ticked", "after a no"},
		"pixel as necessary":    {service(Service{Key: "pixel", Name: "Pixel", Category: "necessary", Signal: "meta"}), "pre_ticked", "Listed as necessary"},
		"counter as necessary":  {service(Service{Key: "counting", Name: "Counting", Category: "necessary"}), "pre_ticked", "Listed as necessary"},
		"basket":                {service(Service{Key: "basket", Name: "Basket", Category: "necessary", Trackers: []Tracker{{Kind: "cookie", Name: "cart"}}}), "", ""},
		"asked again soon":      {func(n *Notice) { n.ChoiceDays = 30 }, "nagging", "180 days"},
		"no policy":             {func(n *Notice) { n.Controller.PolicyURL = "" }, "uninformed", "privacy policy is missing"},
		"no purpose":            {service(Service{Key: "a", Name: "A", Category: "analytics", Purpose: map[string]string{}}), "uninformed", "What it is for"},
		"no provider":           {service(Service{Key: "a", Name: "A", Category: "analytics", Hosts: []string{"a.example"}}), "uninformed", "not named"},
		"no lifetime":           {service(Service{Key: "a", Name: "A", Category: "analytics", Trackers: []Tracker{{Kind: "cookie", Name: "a"}}}), "uninformed", "How long"},
		"requests have none":    {service(Service{Key: "a", Name: "A", Category: "analytics", Trackers: []Tracker{{Kind: "request", Name: "/a"}}}), "", ""},
		"grey on grey":          {func(n *Notice) { n.Layout.Light.Text = "#999999" }, "contrast", "hard to read"},
		"pale buttons":          {func(n *Notice) { n.Layout.Dark.Button = "#333333" }, "contrast", "hard to see"},
		"several, in order":     {both(func(n *Notice) { n.ChoiceDays = 30 }, texts(func(t *Texts) { t.RefuseAll = t.AcceptAll })), "missing_refusal nagging", ""},
	} {
		n := DefaultNotice("testsite", "Shop")
		n.Controller.PolicyURL = "https://shop.example/privacy"
		c.change(n)
		var kinds []string
		said := ""
		for _, found := range n.Concerns(func(key string) string { return map[string]string{"counting": "analytics"}[key] }) {
			kinds = append(kinds, found.Kind)
			said += found.Says
			if found.Where == "" || found.Source == "" || !slices.Contains(ConcernKinds, found.Kind) {
				t.Errorf("%s: %+v lacks its place or its rule", name, found)
			}
		}
		if got := strings.Join(kinds, " "); got != c.want || !strings.Contains(said, c.says) {
			t.Errorf("%s: %q, want %q: %s", name, got, c.want, said)
		}
	}
}

// Every concern says which fields it is about, so that it can be shown beside them.
func TestConcernsNameTheirFields(t *testing.T) {
	n := DefaultNotice("testsite", "Shop", "en")
	texts := n.Texts["en"]
	texts.RefuseAll, texts.OptoutBody, texts.Title = "Choose", strings.Repeat("long ", 150), strings.Repeat("long ", 30)
	n.Texts["en"] = texts
	n.Layout.Floating, n.Layout.Light.Button = false, "#eeeeee"
	n.Exempt, n.Enforcement.Undeclared, n.ChoiceDays = []string{"advertising"}, "report", 10
	n.Services = []Service{{Key: "a", Name: "A", Category: "analytics", Hosts: []string{"a.example"}, Trackers: []Tracker{{Kind: "cookie", Name: "x"}}}, {Key: "b", Name: "B", Category: "necessary", Signal: "meta"}}
	var fields []string
	for _, c := range n.Concerns(nil) {
		if len(c.Fields) == 0 {
			t.Errorf("%+v names no field", c)
		}
		fields = append(fields, c.Fields...)
	}
	for _, want := range []string{"texts.en.refuse_all", "texts.en.optout_body", "texts.en.title", "layout.floating", "layout.light.button", "exempt.advertising", "enforcement.undeclared", "choice_days",
		"controller.policy_url", "services.a.purpose.en", "services.a.provider", "services.a.trackers", "services.b.category"} {
		if !slices.Contains(fields, want) {
			t.Errorf("%s is not among %v", want, fields)
		}
	}
}
