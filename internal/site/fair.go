package site

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Concern is something in a notice that can be published and that a regulator has
// objected to elsewhere. It is for people to judge: nothing is refused for it.
type Concern struct {
	Kind   string // one of ConcernKinds
	Where  string // in words: a text with its language, a setting, or services
	Says   string // what is wrong and what to do, one or two sentences
	Source string // the rule: article, guideline with paragraph, decision
	// Fields are what it concerns, as paths of the notice's JSON: "texts.en.title",
	// "layout.light.button", "services.KEY.category".
	Fields []string
}

// ConcernKinds are, in the order in which concerns are listed.
var ConcernKinds = []string{"missing_refusal", "unequal_buttons", "pre_ticked", "hidden_withdrawal", "contrast", "wordy", "uninformed", "nagging"}

// Limits of words: a first layer is read in five seconds, or not at all.
const (
	maxBody   = 500 // characters of the first layer's text
	maxTitle  = 90
	maxButton = 40
	fairDays  = 180 // asking sooner wears people down
)

// Sources of the rules.
const (
	planet49   = "CJEU C-673/17 (Planet49); GDPR, article 4(11); EDPB Cookie Banner Taskforce 2023, practice B"
	ePrivacy   = "ePrivacy Directive, article 5(3)"
	equalRule  = "EDPB Guidelines 03/2022 on deceptive design; CNIL 2020-091, 2020-092; EDPB Cookie Banner Taskforce 2023, practices C to E"
	withdrawal = "GDPR, article 7(3); EDPB Cookie Banner Taskforce 2023, practice K"
	concise    = "GDPR, article 12(1); EDPB Guidelines 05/2020, section 3.3"
	informed   = "GDPR, article 13(1); CJEU C-673/17 (Planet49), 75-81"
	classified = "ePrivacy Directive, article 5(3); EDPB Cookie Banner Taskforce 2023, practice I"
)

// Concerns are the dark patterns and gaps of a notice: unequal buttons, what is
// ticked before, a missing refusal, weak contrast, wordy texts, a hidden withdrawal, what visitors
// are not told. usual says which category a service's key usually belongs to, "" when
// unknown (internal/catalogue); nil: nobody knows.
func (n *Notice) Concerns(usual func(key string) string) []Concern {
	list := append(n.refusal(), n.ticked(usual)...)
	if !n.Layout.Floating {
		list = append(list, Concern{"hidden_withdrawal", "Look", "The small button that opens the choices again is off. Changing one's mind must be as easy as deciding was: turn it on, or put a link of your own on every page.", withdrawal, []string{"layout.floating"}})
	}
	list = append(list, n.contrasts()...)
	for _, language := range n.Languages {
		list = append(list, textConcerns(language, n.Texts[language])...)
	}
	list = append(list, n.untold()...)
	if n.ChoiceDays < fairDays && len(n.Regimes) == 0 {
		list = append(list, Concern{"nagging", "Rules", "Visitors are asked again after less than 180 days. Whoever said no and is asked again and again gives in at last: keep the choice for six months.", "Garante 10 June 2021, section 7.1; CNIL 2020-092", []string{"choice_days"}})
	}
	slices.SortStableFunc(list, func(a, b Concern) int {
		return cmp.Compare(slices.Index(ConcernKinds, a.Kind), slices.Index(ConcernKinds, b.Kind))
	})
	return list
}

// refusal finds what leaves a no without effect.
func (n *Notice) refusal() (list []Concern) {
	optional := slices.ContainsFunc(n.Services, func(s Service) bool { return s.Category != "necessary" })
	if len(n.Regimes) == 0 && optional && n.Regime == "notice-only" {
		list = append(list, Concern{"missing_refusal", "Rules", "Visitors are only informed and cannot refuse, while optional services run. In the EU, the UK and Switzerland these wait for a yes: choose to ask first, or set rules by country.", ePrivacy + "; EDPB Cookie Banner Taskforce 2023, practice A", []string{"regime"}})
	}
	if n.Enforcement.Undeclared == "report" {
		list = append(list, Concern{"missing_refusal", "Rules", "What no service declares is let through, so a no does not stop it. Declare what your pages need, then choose a stricter rule.", ePrivacy, []string{"enforcement.undeclared"}})
	}
	return list
}

// ticked finds what runs, or counts as wanted, before a visitor said anything.
func (n *Notice) ticked(usual func(string) string) (list []Concern) {
	if len(n.Regimes) == 0 && n.Regime == "opt-out" && slices.ContainsFunc(n.Services, func(s Service) bool { return s.Category != "necessary" }) {
		list = append(list, Concern{"pre_ticked", "Rules", "Optional services run until somebody refuses. That is lawful in parts of the United States and not in the EU, the UK and Switzerland: set rules by country, or ask first.", planet49, []string{"regime"}})
	}
	if slices.Contains(n.Exempt, "advertising") {
		list = append(list, Concern{"pre_ticked", "Rules", "Advertising runs before a choice. No exemption of an EU country covers it.", ePrivacy + "; " + planet49, []string{"exempt.advertising"}})
	}
	if n.Advanced() {
		list = append(list, Concern{"pre_ticked", "Signals", "With Consent Mode's advanced form Google gets every page view before a choice, and after a no. The basic form sends nothing before a yes.", ePrivacy + "; EDPB Guidelines 2/2023", []string{"signals.consent_mode"}})
	}
	var names, fields []string
	for i := range n.Services {
		s := &n.Services[i]
		other := ""
		if usual != nil {
			other = usual(s.Key)
		}
		if s.Category == "necessary" && (s.Signal != "" && s.Signal != "shopify" && s.Signal != "wordpress" || other != "" && other != "necessary") {
			names, fields = append(names, s.Name), append(fields, "services."+s.Key+".category")
		}
	}
	if len(names) > 0 {
		list = append(list, Concern{"pre_ticked", some(names), "Listed as necessary, so it runs without a yes, although its kind usually measures, advertises or shows content. Necessary is only what a visitor asked for: move it to its category, or know why it stands there.", classified, fields})
	}
	return list
}

// contrasts finds colours that are hard to read; Validate refuses the worst.
func (n *Notice) contrasts() (list []Concern) {
	for _, m := range []struct {
		name, field string
		Colours
	}{{"Light", "layout.light.", n.Layout.Light}, {"Dark", "layout.dark.", n.Layout.Dark}} {
		if r := Contrast(m.Background, m.Text); r < 4.5 {
			list = append(list, Concern{"contrast", m.name + " colours", "Text is hard to read on the background: the contrast is below 4.5:1.", "WCAG 2.2, 1.4.3", []string{m.field + "text"}})
		}
		if Contrast(m.Button, m.ButtonText) < ButtonContrast || Contrast(m.Button, m.Background) < ButtonContrast {
			list = append(list, Concern{"contrast", m.name + " colours", "The buttons are hard to see or to read: their contrast is below 5:1. A refusal that is hard to see is none.", "CNIL 2020-091; WCAG 2.2, 1.4.3, 1.4.11", []string{m.field + "button"}})
		}
	}
	return list
}

// textConcerns finds words that push, and words that nobody reads.
func textConcerns(language string, t Texts) (list []Concern) {
	add := func(kind, text, says, source string) {
		field, more, _ := strings.Cut(text, ", ") // "body, opt-out" is optout_body
		if more != "" {
			field = strings.ReplaceAll(more, "-", "") + "_" + field
		}
		list = append(list, Concern{kind, "Texts, " + language + ": " + text, says, source, []string{"texts." + language + "." + strings.ReplaceAll(field, " ", "_")}})
	}
	accept, refuse, choose := plain(t.AcceptAll), plain(t.RefuseAll), plain(t.Choose)
	switch {
	case refuse == accept || refuse == choose:
		add("missing_refusal", "refuse all", "The button that refuses says the same as another one. Nobody can tell that it refuses: call it by what it does.", equalRule)
	case length(t.RefuseAll) > 2*length(t.AcceptAll)+10:
		add("unequal_buttons", "refuse all", "Refusing takes far more words than accepting. Write both alike, for example “Accept all” and “Refuse all”.", equalRule)
	}
	if loud(t.AcceptAll) && !loud(t.RefuseAll) {
		add("unequal_buttons", "accept all", "Accepting is cheered on (an exclamation mark, capitals or a symbol) and refusing is not. Write both alike.", equalRule)
	}
	for _, b := range []struct{ name, text string }{{"accept all", t.AcceptAll}, {"refuse all", t.RefuseAll}, {"choose", t.Choose}} {
		if length(b.text) > maxButton {
			add("wordy", b.name, "A button of more than 40 characters is not read. Two or three words do.", concise)
		}
	}
	if length(t.Title) > maxTitle {
		add("wordy", "title", "The title has more than 90 characters. Say in one line what the choice is about.", concise)
	}
	for _, b := range []struct{ name, text string }{{"body", t.Body}, {"body, opt-out", t.OptoutBody}, {"body, notice", t.NoticeBody}} {
		if length(b.text) > maxBody {
			add("wordy", b.name, "The text of the first view has more than 500 characters. Say what is used and for what, and leave the rest to the second view.", concise)
		}
	}
	return list
}

// untold finds what visitors have a right to know and are not told.
func (n *Notice) untold() (list []Concern) {
	add := func(where, says string, fields []string) {
		list = append(list, Concern{"uninformed", where, says, informed, fields})
	}
	if n.Controller.PolicyURL == "" {
		add("Who asks", "The address of your privacy policy is missing. The banner links to it.", []string{"controller.policy_url"})
	}
	if len(n.Languages) == 0 {
		return list
	}
	for _, gap := range []struct {
		says, field string
		open        func(s *Service) bool
	}{
		{"What it is for is not said.", "purpose." + n.Languages[0], func(s *Service) bool { return s.Purpose[n.Languages[0]] == "" }},
		{"Data goes to another company, which is not named.", "provider", func(s *Service) bool { return s.Provider == "" && len(s.Hosts) > 0 }},
		{"How long its cookies or items are kept is not said.", "trackers", func(s *Service) bool {
			return slices.ContainsFunc(s.Trackers, func(t Tracker) bool { return t.Lifetime == "" && t.Kind != "request" })
		}},
	} {
		var names, fields []string
		for i := range n.Services {
			if s := &n.Services[i]; s.Category != "necessary" && gap.open(s) {
				names, fields = append(names, s.Name), append(fields, "services."+s.Key+"."+gap.field)
			}
		}
		if names != nil {
			add(some(names), gap.says+" Fill it in under Services.", fields)
		}
	}
	return list
}

// some names at most five.
func some(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}

func length(s string) int { return utf8.RuneCountInString(strings.TrimSpace(s)) }

// plain is a text without what does not tell one button from another.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// loud tells whether a button shouts: an exclamation mark, a symbol, or capitals.
func loud(s string) bool {
	letters, upper, lower := 0, 0, 0
	for _, r := range s {
		switch {
		case r == '!' || r == '！' || unicode.Is(unicode.So, r):
			return true
		case unicode.IsUpper(r):
			upper++
		case unicode.IsLower(r):
			lower++
		}
		if unicode.IsLetter(r) {
			letters++
		}
	}
	return letters > 3 && upper > 3 && lower == 0
}
