package banner

import (
	"bytes"
	"cmp"
	"strings"

	"assent/internal/choice"
	"assent/internal/site"
)

// addVariants compiles the other variants of a notice: the whole script and
// its parts, under names with the variant's before a "~". A part that is the same as the
// strictest's is left out; site.Live.Script finds that one.
func addVariants(bundle *site.Bundle, n *site.Notice, version string, list []site.Variant) error {
	for i := range list {
		v := &list[i]
		c := compiler{notice: n.As(v), version: version}
		add := func(name string, p program, languages []string) error {
			plain, err := c.build(p, languages)
			if err != nil {
				return err
			}
			if same := bundle.Parts[name]; same != nil && bytes.Equal(same.Plain, plain) {
				return nil
			}
			bundle.Parts[v.Name+"~"+name], err = pack(plain)
			return err
		}
		if err := add("", wholeProgram(c.notice), n.Languages); err != nil {
			return err
		}
		for _, language := range n.Languages {
			for name, p := range parts(c.notice) {
				if err := add(name+"."+language, p, []string{language}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// parts are the programs that are compiled for each language.
func parts(n *site.Notice) map[string]program {
	return map[string]program{"core": coreProgram(n), "ask": askProgram(n), "more": moreProgram(n), "mark": markProgram(n)}
}

// override is what a variant has differently, for the boot in a page, which is the
// same for everybody.
type override struct {
	ID         string  `json:"$id"`
	Scope      string  `json:"$scope"`
	Regime     string  `json:"$regime"`
	ChoiceDays int     `json:"$choice_days"`
	Preset     *preset `json:"$preset"`
	Heeds      bool    `json:"$heeds"`
}

// preset is what holds before a choice, as a selection of client/src/decision.ts.
type preset struct {
	Categories map[string]bool `json:"categories"`
	Services   map[string]bool `json:"services"`
}

// presetOf is nil where nothing runs before a choice: a script that does not know
// better lets nothing run.
func presetOf(n *site.Notice) *preset {
	m := choice.Manifest{Regime: n.Regime}
	if n.Variant != nil {
		m.Exempt = n.Variant.Exempt
	}
	for _, c := range n.Categories {
		m.Categories = append(m.Categories, c.Key)
	}
	s := m.Preset()
	for _, granted := range s.Categories {
		if granted {
			return &preset{s.Categories, map[string]bool{}}
		}
	}
	return nil
}

// overrides are those of the variants besides the strictest.
func (c *compiler) overrides(list []site.Variant) map[string]override {
	all := map[string]override{}
	for i := range list {
		v := &list[i]
		of := compiler{notice: c.notice.As(v), version: c.version}
		all[v.Name] = override{of.id(), of.notice.Scope(), v.Regime, v.ChoiceDays, presetOf(of.notice), v.HonourGPC}
	}
	return all
}

// confirms tells whether a visitor whose signal was obeyed is told so.
func confirms(n *site.Notice) bool {
	if n.Variant != nil {
		return n.Variant.Confirm || n.DNT == "refuse" && n.Regime == "opt-out"
	}
	return n.Regime == "opt-out" && (n.HonourGPC || n.DNT == "refuse")
}

// hasPill tells whether the way to the choices has a sign beside its wording.
func hasPill(n *site.Notice) bool { return n.Variant != nil && n.Variant.Link != "" }

// obeysDNT tells whether Do Not Track can decide.
func obeysDNT(n *site.Notice) bool { return n.DNT == "refuse" && n.Regime != "notice-only" }

// English words stand in where a notice has none of its own for what it tells.
const (
	englishOptoutTitle = "Your privacy choices"
	englishOptoutBody  = "We store information on your device and use it to improve this site, to measure visits and to show advertising. You can opt out at any time."
	englishNoticeTitle = "How this site uses cookies"
	englishNoticeBody  = "This site stores information on your device so that it works, to measure visits and to improve it."
	englishNoticeOK    = "I understand"
	gpcHonoured        = "Opt-out request honoured: your browser asks sites not to sell or share your data (Global Privacy Control)."
	dntHonoured        = "Your browser's Do Not Track request was honoured."
)

// english returns the text where the language is English, else "".
func english(language, text string) string {
	if base, _, _ := strings.Cut(language, "-"); base == "en" {
		return text
	}
	return ""
}

// mildWords are the words of a first layer that tells instead of asking. Where the notice
// does not have them in a language, its words for asking stand in.
func mildWords(n *site.Notice, language string, words map[string]string) {
	t := n.Texts[language]
	switch n.Regime {
	case "opt-out":
		words["$title"] = cmp.Or(t.OptoutTitle, english(language, englishOptoutTitle), t.Title)
		words["$body"] = cmp.Or(t.OptoutBody, english(language, englishOptoutBody), t.Body)
		words["$choose"] = choicesWord(n, language)
		words["$close"] = t.Close
	case "notice-only":
		words["$title"] = cmp.Or(t.NoticeTitle, english(language, englishNoticeTitle), t.Title)
		words["$body"] = cmp.Or(t.NoticeBody, english(language, englishNoticeBody), t.Body)
		words["$close"] = cmp.Or(t.NoticeOK, english(language, englishNoticeOK), t.Close)
	}
	if confirms(n) {
		words["$close"] = cmp.Or(words["$close"], t.Close)
		if n.HonourGPC {
			words["$honoured"] = cmp.Or(t.GPCHonoured, gpcHonoured)
		}
		if obeysDNT(n) {
			words["$dnt_honoured"] = cmp.Or(t.DNTHonoured, dntHonoured)
		}
	}
}

// choicesWord is the wording of the way to the choices where visitors opt out.
func choicesWord(n *site.Notice, language string) string {
	link := ""
	if n.Variant != nil {
		link = n.Variant.Link
	}
	t := n.Texts[language]
	return cmp.Or(t.OptoutLink, english(language, cmp.Or(link, englishOptoutTitle)), t.Choose)
}

// reopenWord is the label of the floating button.
func reopenWord(n *site.Notice, language string) string {
	if n.Variant != nil && n.Variant.Link != "" {
		return choicesWord(n, language)
	}
	return n.Texts[language].Reopen
}

// preferencesBody says what holds before a choice.
func preferencesBody(n *site.Notice, language string) string {
	t := n.Texts[language]
	switch n.Regime {
	case "opt-out":
		return cmp.Or(t.OptoutBody, english(language, englishOptoutBody), t.Body)
	case "notice-only":
		return cmp.Or(t.NoticeBody, english(language, englishNoticeBody), t.Body)
	}
	return t.PreferencesBody
}
