package tongue

import (
	"bytes"
	"html/template"
	"slices"
	"strings"
	"testing"
)

// page parses a template, translates it and executes it.
func page(t *testing.T, l *Language, source string, data any) string {
	t.Helper()
	set := template.Must(template.New("page").Funcs(template.FuncMap{"say": l.SayAny, "count": l.Count}).Parse(source))
	l.Translate(set)
	var b strings.Builder
	if err := set.Execute(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextOfATemplateIsTranslated(t *testing.T) {
	l := New("de", Texts{
		"Sites": "Websites", "Save": "Speichern", "Name: %s": "Name: %s", "one": "eins",
		"{N} of <a>all {Sum}</a>, {code}.":  "<a>Von allen {Sum}</a> {N}, {code}.",
		"it is {if}, until {Day}":           "bis {Day} ist es {if}",
		"on":                                "an",
		"Remove {Name}":                     "{Name} entfernen",
		"a < b, \"quoted\" & more":          "",
		"decision|decisions":                "Entscheidung|Entscheidungen",
		"{Name} is missing its placeholder": "Der Platzhalter fehlt",
		"mark-up":                           "<b>fett</b>",
	})
	data := map[string]any{"N": 3, "Sum": `<script>`, "On": true, "Day": "x", "Name": "Save", "Label": "Save", "List": []string{"Save"}, "Count": 1}
	for source, want := range map[string]string{
		`<p>Sites</p>`:      `<p>Websites</p>`,
		"<p>\n Sites\n</p>": "<p>\n Websites\n</p>",
		`<p>{{.N}} of <a href="/{{.N}}" class="b">all {{.Sum}}</a>, <code>Save</code>.</p>`: `<p><a href="/3" class="b">Von allen &lt;script&gt;</a> 3, <code>Save</code>.</p>`,
		`<p>it is {{if .On}}on{{else}}off{{end}}, until {{.Day}}</p>`:                       `<p>bis x ist es an</p>`,
		`<a title="Save" href="Save" data-x="Save">{{.Name}}</a>`:                           `<a title="Speichern" href="Save" data-x="Save">Save</a>`,
		`<button aria-label="Remove {{.Name}}"{{if .On}} disabled{{end}}>Save</button>`:     `<button aria-label="Save entfernen" disabled>Speichern</button>`,
		`<b>{{.Label}}</b> {{.Name}} {{range .List}}{{.}}{{end}}`:                           `<b>Speichern</b> Save Speichern`,
		`<li>Sites</li><li><b>Save</b></li>`:                                                `<li>Websites</li><li><b>Speichern</b></li>`,
		`<title>Save</title><script>Save</script><textarea>Save</textarea>`:                 `<title>Speichern</title><script>Save</script><textarea>Save</textarea>`,
		`<p>{{count .Count "decision" "decisions"}} {{count 2 "decision" "decisions"}}</p>`: `<p>1 Entscheidung 2 Entscheidungen</p>`,
		`<p>{{.Name}} is missing its placeholder</p><p>mark-up</p>`:                         `<p>Save is missing its placeholder</p><p>mark-up</p>`,
	} {
		if got := page(t, l, source, data); got != want {
			t.Errorf("%s\n is %s\nwant %s", source, got, want)
		}
	}
}

// A translation is text, whatever it holds: it opens no tag and ends no attribute.
func TestTranslationCannotBreakOut(t *testing.T) {
	l := &Language{Tag: "de", texts: Texts{"Save": `"><script>alert(1)</script>&`, "To {Name}": `' onclick=x {Name}`}}
	got := page(t, l, `<p title="Save">Save</p><i title='To {{.Name}}'></i>`, map[string]any{"Name": `"'><b>`})
	if strings.Contains(got, "<script") || strings.Contains(got, "<b>") || strings.Contains(got, `title=''`) || strings.Count(got, "<") != 4 {
		t.Errorf("the page is %s", got)
	}
}

func TestSentencesOfGoAreRecognised(t *testing.T) {
	l := New("de", Texts{"The form is larger than %d MB.": "Das Formular ist größer als %d MB.", "Seen on %s %s, version %d.": "Gesehen %[2]s auf %[1]s, Version %[3]d.",
		"%s minutes ago": "vor %s Minuten", "privacy officer": "datenschutzbeauftragt", "saved change|saved changes": "gespeicherte Änderung|gespeicherte Änderungen",
		"95 %% interval: %.1f to %.1f %%": "95-%%-Intervall: %.1f bis %.1f %%", "%s": "immer", "Save": "Speichern", "See it": "Ansehen"})
	for text, want := range map[string]string{
		"The form is larger than 4 MB.":               "Das Formular ist größer als 4 MB.",
		"Seen on a.example 3 minutes ago, version 4.": "Gesehen vor 3 Minuten auf a.example, Version 4.",
		"1 saved change":                              "1 gespeicherte Änderung",
		"7 saved changes":                             "7 gespeicherte Änderungen",
		"many saved changes":                          "many saved changes",
		"95 % interval: 1.5 to 2.5 %":                 "95-%-Intervall: 1,5 bis 2,5 %",
		"12.5 %":                                      "12,5 %",
		"Privacy officer":                             "Datenschutzbeauftragt",
		"see it":                                      "Ansehen",
		"Another":                                     "Another",
		"":                                            "",
	} {
		if got := l.Say(text); got != want {
			t.Errorf("%q is said as %q, want %q", text, got, want)
		}
	}
	if got := English.Say("Save"); got != "Save" {
		t.Errorf("English says %q", got)
	}
}

func TestTranslationHasToFit(t *testing.T) {
	for _, c := range []struct {
		message, text string
		fits          bool
	}{
		{"{N} of {Sum}", "von {Sum} {N}", true}, {"{N} of {Sum}", "{N}", false}, {"{N}", "{N}{N}", false}, {"a <b>b</b>", "<b>b</b>", true}, {"a <b>b</b>", "</b>b<b>", false},
		{"a", "<i>a</i>", false}, {"a", "a>", false}, {"%d to %s", "%[2]s bis %[1]d", true}, {"%d to %s", "%s bis %d", false}, {"%d", "%d%d", false},
		{"one|many", "eins|viele", true}, {"one|many", "eins", false}, {"a", "", false}, {"a", " a", false}, {"95 % of", "95 % von", true},
	} {
		if err := Check(c.message, c.text); (err == nil) != c.fits {
			t.Errorf("%q for %q: %v", c.text, c.message, err)
		}
	}
}

func TestPackedLanguagesAreRead(t *testing.T) {
	var b bytes.Buffer
	if err := Pack(&b, map[string]Texts{"de": {"a": "A", "b": "B"}, "fi": {"a": "AA", "b": ""}}); err != nil {
		t.Fatal(err)
	}
	s := Open(b.Bytes(), "de", "fi")
	if s.Language("de").Say("b") != "B" || s.Language("fi").Say("a") != "AA" || s.Language("fi").Say("b") != "b" || s.Language("xx") != English {
		t.Error("a language says something else than what was packed")
	}
	for wish, want := range map[string]string{"de-AT": "de", "FI": "fi", "en-GB": "en", "xx": "en", "": "en"} {
		if got := s.Choose(wish); got != want {
			t.Errorf("%q is %q, want %q", wish, got, want)
		}
	}
}

func TestMessagesAreFound(t *testing.T) {
	set := template.Must(template.New("x").Funcs(template.FuncMap{"count": func(...any) string { return "" }, "input": func(...any) string { return "" }}).
		Parse(`<p>See {{.Name}}</p>{{if .A}}<b>yes</b>{{else}}no{{end}}<i title="Tip">{{count 1 "site" "sites"}}</i>{{input "key" "A label" ""}}`))
	var found []string
	Templates(set, func(m string) { found = append(found, m) })
	slices.Sort(found)
	if want := []string{"A label", "See {Name}", "Tip", "no", "site|sites", "yes"}; !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
}
