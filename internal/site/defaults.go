package site

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"assent/internal/i18n"
)

// DefaultNotice is the notice that a new site starts with: four categories,
// opt-in, everything enforced, the default words of the languages. Without a
// language they are English; one that i18n does not know gets its nearest one's.
func DefaultNotice(key, name string, languages ...string) *Notice {
	if len(languages) == 0 {
		languages = []string{"en"}
	}
	texts := map[string]Texts{}
	for _, language := range languages {
		texts[language] = i18n.Nearest(language)
	}
	return &Notice{
		Schema:      1,
		Site:        key,
		Controller:  Controller{Name: name},
		Regime:      "opt-in",
		ChoiceDays:  180,
		HonourGPC:   true,
		Enforcement: Enforcement{Policy: true, Undeclared: "with_all", Report: true},
		Categories: []Category{
			{"necessary", "legitimate_interest"},
			{"functional", "consent"},
			{"analytics", "consent"},
			{"advertising", "consent"},
		},
		Services:  []Service{},
		Languages: slices.Clone(languages),
		Texts:     texts,
		Layout: Layout{
			Placement: "box",
			Light:     Colours{Background: "#ffffff", Text: "#1c2430", Button: "#1f4b99", ButtonText: "#ffffff"},
			Dark:      Colours{Background: "#1b2029", Text: "#e8ecf2", Button: "#a9c4f5", ButtonText: "#10151d"},
			Radius:    8,
			Floating:  true,
		},
	}
}

// Spoken is the notice with a text for everything that this binary can say: what
// a version lacks, because it is older than the text, comes from the defaults of
// its language. The version itself stays as it was published.
func (n *Notice) Spoken() *Notice {
	c := *n
	c.Texts = maps.Clone(n.Texts)
	for language, texts := range c.Texts {
		c.Texts[language] = i18n.Fill(texts, language)
	}
	return &c
}

// Idle are the categories that visitors are asked about although no service is in
// them, so that there is nothing to consent to.
func (n *Notice) Idle() (keys []string) {
	for _, c := range n.Categories {
		if c.Key != "necessary" && !slices.ContainsFunc(n.Services, func(s Service) bool { return s.Category == c.Key }) {
			keys = append(keys, c.Key)
		}
	}
	return keys
}

// Partners is how many companies receive data from a visitor who accepts
// everything: the distinct providers of the services that need consent, without
// the controller. A service without a provider counts by its name.
func (n *Notice) Partners() int {
	seen := map[string]bool{}
	for _, s := range n.Services {
		if who := cmp.Or(strings.TrimSpace(s.Provider), s.Name); s.Category != "necessary" && who != n.Controller.Name {
			seen[strings.ToLower(who)] = true
		}
	}
	return len(seen)
}
