package i18n

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// asked are the languages that the banner must speak: the EU's and the EEA's
// official ones, Switzerland's, and those of visitors from elsewhere.
const asked = `bg hr cs da nl en et fi fr de el hu ga it lv lt mt pl pt ro sk sl es sv is nb nn
	en-GB en-US uk tr ar he de-CH fr-CH it-CH rm ca eu gl cy ja ko zh-Hans zh-Hant hi pt-BR es-419`

func TestEveryLanguageHasEveryText(t *testing.T) {
	all, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range strings.Fields(asked) {
		if _, ok := all[tag]; !ok {
			t.Errorf("there are no texts in %s", tag)
		}
	}
	entries, err := fs.ReadDir(Files, "banner")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := all[strings.TrimSuffix(e.Name(), ".json")]; !ok {
			t.Errorf("banner/%s is not in the list of languages", e.Name())
		}
	}
	english := all["en"]
	for tag, texts := range all {
		for what, pair := range map[string][2]map[string]string{"category_name": {texts.CategoryName, english.CategoryName},
			"category_description": {texts.CategoryDescription, english.CategoryDescription}, "kind_name": {texts.KindName, english.KindName}} {
			if got, want := slices.Sorted(maps.Keys(pair[0])), slices.Sorted(maps.Keys(pair[1])); !slices.Equal(got, want) {
				t.Errorf("%s: %s has the keys %v, want %v", tag, what, got, want)
			}
		}
		if !strings.Contains(texts.EmbedTitle, "{service}") || !strings.Contains(texts.EmbedBody, "{provider}") {
			t.Errorf("%s: embed_title needs {service}, embed_body {provider}", tag)
		}
		if texts.AcceptAll == texts.RefuseAll {
			t.Errorf("%s: both buttons say %q", tag, texts.AcceptAll)
		}
		for _, text := range words(t, texts) {
			if strings.TrimSpace(text) != text || text == "" || strings.ContainsFunc(text, unicode.IsControl) || strings.ContainsAny(text, "<>") {
				t.Errorf("%s: %q is empty, or has space, controls or mark-up that it should not have", tag, text)
			}
		}
	}
}

// words are all texts of a language.
func words(t *testing.T, texts Texts) []string {
	t.Helper()
	raw, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, v := range fields {
		switch v := v.(type) {
		case string:
			list = append(list, v)
		case map[string]any:
			for _, text := range v {
				list = append(list, text.(string))
			}
		}
	}
	return list
}

func TestTextFileIsReadStrictly(t *testing.T) {
	for name, raw := range map[string]string{
		"a missing text":    `{"title": ""}`,
		"an unknown key":    `{"titel": "x"}`,
		"something behind":  `{} {}`,
		"another type":      `{"title": 1}`,
		"no JSON":           `title`,
		"a missing count":   `{"partners": {}}`,
		"a list for a word": `{"close": ["x"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			texts, _ := Default("en")
			if err := decode([]byte(raw), &texts); err == nil {
				t.Error("it was read")
			}
		})
	}
}

// A form that stands for several numbers has to say which.
func TestCountsNameTheirNumber(t *testing.T) {
	for _, l := range languages {
		texts, _ := Default(l.Tag)
		for what, forms := range map[string]map[string]string{"partners": texts.Partners, "blocked_count": texts.BlockedCount} {
			numbers := map[string][]int{}
			for n := 1; n <= 400; n++ {
				numbers[Plural(l.Tag, n)] = append(numbers[Plural(l.Tag, n)], n)
			}
			for form, list := range numbers {
				text, ok := forms[form]
				if !ok {
					t.Errorf("%s: %s lacks the form %s, which %v have", l.Tag, what, form, list[:1])
				}
				if len(list) > 1 && !strings.Contains(text, "{n}") {
					t.Errorf("%s: %s.%s is for %d and %d and does not say {n}: %q", l.Tag, what, form, list[0], list[1], text)
				}
			}
			if forms["other"] == "" {
				t.Errorf("%s: %s has no form other", l.Tag, what)
			}
		}
	}
}

// The vectors are what Intl.PluralRules says; client/test makes sure of that.
func TestPluralRulesAreThoseOfTheBrowser(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "client", "testdata", "plurals.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		From, To int
		Cases    []struct {
			Languages []string
			Forms     map[string]string
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, c := range v.Cases {
		want := map[int]string{}
		for form, ranges := range c.Forms {
			for r := range strings.FieldsSeq(ranges) {
				from, to, isRange := strings.Cut(r, "-")
				if !isRange {
					to = from
				}
				a, errA := strconv.Atoi(from)
				b, errB := strconv.Atoi(to)
				if errA != nil || errB != nil {
					t.Fatalf("the range %q is not usable", r)
				}
				for n := a; n <= b; n++ {
					want[n] = form
				}
			}
		}
		for _, tag := range c.Languages {
			seen++
			for n := v.From; n <= v.To; n++ {
				if got := Plural(tag, n); got != want[n] {
					t.Errorf("%s: the form of %d is %q, want %q", tag, n, got, want[n])
				}
			}
		}
	}
	if seen != len(languages) {
		t.Errorf("the vectors have %d languages, want %d", seen, len(languages))
	}
}

func TestWhatALanguageLacksComesFromTheNearest(t *testing.T) {
	de, _ := Default("de")
	for tag, want := range map[string]string{"de": de.Title, "de-LI": de.Title, "xx": Nearest("en").Title, "de-CH": de.Title} {
		if got := Nearest(tag).Title; got != want {
			t.Errorf("%s: %q, want %q", tag, got, want)
		}
	}
	if swiss := Nearest("de-CH"); swiss.Close != "Schliessen" || swiss.Save != de.Save {
		t.Errorf("Swiss German is %q and %q", swiss.Close, swiss.Save)
	}
	filled := Fill(Texts{Title: "Unsere Kekse"}, "de-LI")
	if filled.Title != "Unsere Kekse" || filled.Session != de.Session || len(filled.missing()) != 0 {
		t.Errorf("filled: %q, %q, missing %v", filled.Title, filled.Session, filled.missing())
	}
	filled.KindName["cookie"] = "changed"
	if again := Nearest("de"); again.KindName["cookie"] == "changed" {
		t.Error("a caller changed the default words")
	}
	if got := Form(map[string]string{"one": " ", "other": "{n}"}, "en", 1); got != "{n}" {
		t.Errorf("an empty form gives %q", got)
	}
}

func TestDirectionOfLanguages(t *testing.T) {
	for tag, want := range map[string]bool{"ar": true, "he": true, "fa-IR": true, "ur": true, "az-Arab": true,
		"en": false, "arn": false, "hy": false, "ur-Latn": false, "de": false} {
		if got := RightToLeft(tag); got != want {
			t.Errorf("%s is written from right to left: %v, want %v", tag, got, want)
		}
	}
}

func TestLanguagesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range Languages() {
		if l.Name == "" || seen[l.English] {
			t.Errorf("%s is called %q, %q", l.Tag, l.Name, l.English)
		}
		seen[l.English] = true
	}
	if Name("de") != "German" || Name("tlh") != "tlh" {
		t.Errorf("names: %q, %q", Name("de"), Name("tlh"))
	}
}
