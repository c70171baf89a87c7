package admin

import (
	"net/url"
	"slices"
	"strings"

	"assent/internal/i18n"
	"assent/internal/site"
)

// textField is one text of a language in the editor.
type textField struct {
	Name, Label, Hint string
	Long              bool
	of                func(*site.Texts) *string
}

// formField is a text that has several forms, by key.
type formField struct {
	Name, Label string
	of          func(*site.Texts) *map[string]string
	keys        func(language string) []string
}

// textGroup is what belongs together on the screen.
type textGroup struct {
	Title  string
	Folded bool // rarely changed: default words do
	Fields []textField
	Forms  []formField
}

var textGroups = []textGroup{
	{"First view", false, []textField{
		{"title", "Heading", "", false, func(t *site.Texts) *string { return &t.Title }},
		{"body", "Text", "How many companies would receive data is said behind it, or where {partners} stands for their number.", true, func(t *site.Texts) *string { return &t.Body }},
		{"accept_all", "Button: accept everything", "", false, func(t *site.Texts) *string { return &t.AcceptAll }},
		{"refuse_all", "Button: refuse everything", "As short and as clear as the one before.", false, func(t *site.Texts) *string { return &t.RefuseAll }},
		{"choose", "Button: choose", "", false, func(t *site.Texts) *string { return &t.Choose }},
		{"policy", "Link to the privacy policy", "", false, func(t *site.Texts) *string { return &t.Policy }},
	}, nil},
	{"Preferences", true, []textField{
		{"preferences_title", "Heading", "", false, func(t *site.Texts) *string { return &t.PreferencesTitle }},
		{"preferences_body", "Text", "", true, func(t *site.Texts) *string { return &t.PreferencesBody }},
		{"save", "Button: save the choice", "", false, func(t *site.Texts) *string { return &t.Save }},
		{"withdraw", "Button: withdraw", "", false, func(t *site.Texts) *string { return &t.Withdraw }},
		{"close", "Button: close", "", false, func(t *site.Texts) *string { return &t.Close }},
		{"reopen", "Floating button", "", false, func(t *site.Texts) *string { return &t.Reopen }},
	}, nil},
	{"How many companies receive data", true, nil, []formField{{"partners", "Companies", func(t *site.Texts) *map[string]string { return &t.Partners }, i18n.PluralForms}}},
	{"Small words", true, []textField{
		{"always_active", "Beside what is necessary", "", false, func(t *site.Texts) *string { return &t.AlwaysActive }},
		{"no_services", "A category without services", "", false, func(t *site.Texts) *string { return &t.NoServices }},
		{"provider", "Provider", "", false, func(t *site.Texts) *string { return &t.Provider }},
		{"purpose", "Purpose", "", false, func(t *site.Texts) *string { return &t.Purpose }},
		{"transfer", "Where data goes", "", false, func(t *site.Texts) *string { return &t.Transfer }},
		{"trackers", "What is stored", "", false, func(t *site.Texts) *string { return &t.Trackers }},
		{"lifetime", "How long", "", false, func(t *site.Texts) *string { return &t.Lifetime }},
		{"session", "How long, for a session", "", false, func(t *site.Texts) *string { return &t.Session }},
		{"legal_basis", "Legal basis", "", false, func(t *site.Texts) *string { return &t.LegalBasis }},
		{"basis_consent", "Legal basis: consent", "", false, func(t *site.Texts) *string { return &t.BasisConsent }},
		{"basis_necessary", "Legal basis: necessary", "", false, func(t *site.Texts) *string { return &t.BasisNecessary }},
		{"basis_legitimate_interest", "Legal basis: legitimate interest", "", false, func(t *site.Texts) *string { return &t.BasisInterest }},
		{"your_choice", "Heading above the receipt", "", false, func(t *site.Texts) *string { return &t.YourChoice }},
		{"record_id", "Record ID", "", false, func(t *site.Texts) *string { return &t.RecordID }},
		{"consent_id", "Consent ID", "", false, func(t *site.Texts) *string { return &t.ConsentID }},
		{"date", "Date", "", false, func(t *site.Texts) *string { return &t.Date }},
		{"receipt", "Receipt", "", false, func(t *site.Texts) *string { return &t.Receipt }},
		{"copy", "Button: copy", "", false, func(t *site.Texts) *string { return &t.Copy }},
		{"copied", "After copying", "", false, func(t *site.Texts) *string { return &t.Copied }},
		{"not_sent", "When the connection fails", "", true, func(t *site.Texts) *string { return &t.NotSent }},
		{"not_removed", "What could not be removed", "", true, func(t *site.Texts) *string { return &t.NotRemoved }},
	}, []formField{{"kind_name", "Kind", func(t *site.Texts) *map[string]string { return &t.KindName },
		func(string) []string {
			return []string{"cookie", "local_storage", "session_storage", "indexed_db", "request"}
		}}}},
	{"What is blocked", true, []textField{
		{"blocked_title", "Heading", "", false, func(t *site.Texts) *string { return &t.BlockedTitle }},
		{"blocked_none", "When nothing is", "", false, func(t *site.Texts) *string { return &t.BlockedNone }},
	}, []formField{{"blocked_count", "Connections", func(t *site.Texts) *map[string]string { return &t.BlockedCount }, i18n.PluralForms}}},
	{"Embedded content", true, []textField{
		{"embed_title", "Heading", "{service} is the service's name.", false, func(t *site.Texts) *string { return &t.EmbedTitle }},
		{"embed_body", "Text", "{provider} is the company's name.", true, func(t *site.Texts) *string { return &t.EmbedBody }},
		{"embed_once", "Button: once", "", false, func(t *site.Texts) *string { return &t.EmbedOnce }},
		{"embed_always", "Button: always", "", false, func(t *site.Texts) *string { return &t.EmbedAlways }},
	}, nil},
	{"Other rules than opt-in, and signals of the browser", true, []textField{
		{"optout_title", "Opt-out: heading", "", false, func(t *site.Texts) *string { return &t.OptoutTitle }},
		{"optout_body", "Opt-out: text", "", true, func(t *site.Texts) *string { return &t.OptoutBody }},
		{"optout_link", "Opt-out: link", "", false, func(t *site.Texts) *string { return &t.OptoutLink }},
		{"notice_title", "Only inform: heading", "", false, func(t *site.Texts) *string { return &t.NoticeTitle }},
		{"notice_body", "Only inform: text", "", true, func(t *site.Texts) *string { return &t.NoticeBody }},
		{"notice_ok", "Only inform: button", "", false, func(t *site.Texts) *string { return &t.NoticeOK }},
		{"gpc_honoured", "Global Privacy Control was honoured", "", true, func(t *site.Texts) *string { return &t.GPCHonoured }},
		{"dnt_honoured", "Do Not Track was honoured", "", true, func(t *site.Texts) *string { return &t.DNTHonoured }},
	}, nil},
}

// wordsView is a group of inputs of one language.
type wordsView struct {
	Title  string
	Folded bool
	Inputs []wordInput
}

type wordInput struct {
	input
	Long bool
}

// Words are the inputs of a language's texts. A text that has a default need not
// be written: the default stands in the empty field, greyed out.
func (p bannerPage) Words(language string) []wordsView {
	texts, defaults := p.Notice.Texts[language], i18n.Nearest(language)
	var views []wordsView
	for _, g := range textGroups {
		view := wordsView{Title: g.Title, Folded: g.Folded}
		add := func(name, label, value, standard, hint string, long bool) {
			in := newInput("texts."+language+"."+name, label, value, p.Errors, hint)
			in.Placeholder = standard
			in = p.Translation(language, name, in)
			view.Inputs = append(view.Inputs, wordInput{in, long})
			view.Folded = view.Folded && in.Error == "" && in.Stale == ""
		}
		for _, f := range g.Fields {
			add(f.Name, f.Label, *f.of(&texts), *f.of(&defaults), f.Hint, f.Long)
		}
		for _, f := range g.Forms {
			for _, key := range f.keys(language) {
				add(f.Name+"."+key, f.Label+": "+strings.ReplaceAll(key, "_", " "), (*f.of(&texts))[key], (*f.of(&defaults))[key], "", false)
			}
		}
		views = append(views, view)
	}
	return views
}

// Translation is an input that says when its source text was changed after it.
func (p bannerPage) Translation(language, path string, in input) input {
	in.Stale = p.Stale[language][path]
	return in
}

// texts reads every language that the form carries.
func (f *form) texts(v url.Values) {
	n := f.notice
	n.Languages, n.Texts = nil, map[string]site.Texts{}
	for _, language := range v["languages"] {
		if _, twice := n.Texts[language]; twice || !languagePattern.MatchString(language) || len(n.Languages) >= 100 {
			continue
		}
		n.Languages = append(n.Languages, language)
		t := site.Texts{CategoryName: map[string]string{}, CategoryDescription: map[string]string{}}
		for _, g := range textGroups {
			for _, field := range g.Fields {
				name := "texts." + language + "." + field.Name
				*field.of(&t) = get(v, name)
				if slices.Contains(i18n.Required(), field.Name) {
					f.required(name, get(v, name))
				}
			}
			for _, field := range g.Forms {
				forms := map[string]string{}
				for _, key := range field.keys(language) {
					if text := get(v, "texts."+language+"."+field.Name+"."+key); text != "" {
						forms[key] = text
					}
				}
				if len(forms) > 0 {
					*field.of(&t) = forms
				}
				if _, ok := forms["other"]; len(forms) > 0 && !ok && slices.Contains(field.keys(language), "other") {
					f.errors["texts."+language+"."+field.Name+".other"] = "This form stands in for every other one. Fill it in, or leave all of them empty."
				}
			}
		}
		for _, c := range n.Categories {
			name, description := "texts."+language+".name."+c.Key, "texts."+language+".description."+c.Key
			t.CategoryName[c.Key], t.CategoryDescription[c.Key] = get(v, name), get(v, description)
			f.required(name, t.CategoryName[c.Key])
			f.required(description, t.CategoryDescription[c.Key])
		}
		n.Texts[language] = t
	}
}

func (f *form) required(name, value string) {
	if value == "" {
		f.errors[name] = "Visitors need this text. Fill it in."
	}
}

// addLanguage starts a language with its default words; one that there are none
// for with those of the first language, to translate.
func (f *form) addLanguage(language string, e problems) error {
	n := f.notice
	_, twice := n.Texts[language]
	texts, known := i18n.Default(language)
	switch {
	case !languagePattern.MatchString(language):
		e["new_language"] = "Write a language code such as de, fr or pt-BR."
	case twice:
		e["new_language"] = "That language is there already."
	case known:
		n.Languages = append(n.Languages, language)
		n.Texts[language] = texts
	case len(n.Languages) > 0:
		n.Languages = append(n.Languages, language)
		n.Texts[language] = n.Texts[n.Languages[0]]
	}
	return nil
}
