package site

// DefaultNotice is the notice that a new site starts with: four categories,
// English texts, opt-in, everything enforced.
func DefaultNotice(key, name string) *Notice {
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
		Languages: []string{"en"},
		Texts:     map[string]Texts{"en": englishTexts()},
		Layout: Layout{
			Placement: "box",
			Light:     Colours{Background: "#ffffff", Text: "#1c2430", Button: "#1f4b99", ButtonText: "#ffffff"},
			Dark:      Colours{Background: "#1b2029", Text: "#e8ecf2", Button: "#a9c4f5", ButtonText: "#10151d"},
			Radius:    8,
			Floating:  true,
		},
	}
}

func englishTexts() Texts {
	return Texts{
		Title:            "Your choice about cookies",
		Body:             "We would like to store information on your device and use it to improve this site, to measure visits and to show advertising. You decide, and you can change your mind at any time.",
		AcceptAll:        "Accept all",
		RefuseAll:        "Refuse all",
		Choose:           "Choose",
		Save:             "Save my choice",
		Close:            "Close",
		Policy:           "Privacy policy",
		PreferencesTitle: "What may be used",
		PreferencesBody:  "Nothing optional is used unless you allow it. Refusing costs you nothing.",
		CategoryName: map[string]string{
			"necessary":   "Necessary",
			"functional":  "Functional",
			"analytics":   "Analytics",
			"advertising": "Advertising",
		},
		CategoryDescription: map[string]string{
			"necessary":   "Needed for the site to work, for example to keep your basket or to remember this choice.",
			"functional":  "Extras such as videos, maps, chat and remembered settings.",
			"analytics":   "Counts visits and shows us which pages work well.",
			"advertising": "Shows advertising that fits you and measures whether it works.",
		},
		AlwaysActive: "Always active",
		NoServices:   "Nothing in this category is used at present.",
		Provider:     "Provider",
		Purpose:      "Purpose",
		Trackers:     "What is stored",
		Lifetime:     "Kept for",
		YourChoice:   "Your recorded choice",
		RecordID:     "Record ID",
		ConsentID:    "Consent ID",
		Date:         "Date",
		Receipt:      "Receipt",
		Copy:         "Copy",
		Copied:       "Copied",
		Withdraw:     "Withdraw my consent",
		NotSent:      "Saved on this device; it will be sent to the register as soon as the connection allows.",
		Reopen:       "Cookie choices",
	}
}
