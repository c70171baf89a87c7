// Package tongue translates pages: the text of parsed templates, and the sentences
// that Go hands to them. A message is named by its English text, so that a page is
// written in English only and what has no translation stays readable.
package tongue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"assent/internal/i18n"

	"github.com/andybalholm/brotli"
)

// Texts are translations by their English message. A message of a template is text
// with {placeholders} for what is filled in and <tags> for elements inside a
// sentence; one of Go is a format of package fmt; one of a count is "one|many".
type Texts map[string]string

// Language is one that pages are shown in.
type Language struct {
	Tag   string // BCP 47
	texts Texts
	says  map[string][]format // formats by their first letter, 0 for those that begin with a hole
}

// English is the language that pages are written in.
var English = &Language{Tag: "en"}

// New is a language of translations. Those that are empty, or that do not have what
// their message has, are left out: the English stands in.
func New(tag string, texts Texts) *Language {
	l := &Language{Tag: tag, texts: Texts{}, says: map[string][]format{}}
	for message, text := range texts {
		if text == "" || Check(message, text) != nil {
			continue
		}
		l.texts[message] = text
		for _, f := range formats(message, text) {
			first := f.first()
			l.says[first] = append(l.says[first], f)
		}
	}
	for _, list := range l.says {
		slices.SortFunc(list, func(a, b format) int { // the most said decides, then a fixed order
			if a.letters != b.letters {
				return b.letters - a.letters
			}
			return strings.Compare(a.key, b.key)
		})
	}
	return l
}

// Say is a text of Go in the language: what a format made is recognised, too. What
// is unknown stays as it is.
func (l *Language) Say(text string) string { return l.say(text, 0) }

// maxDepth bounds how often what stands in a sentence is a sentence itself.
const maxDepth = 3

func (l *Language) say(text string, depth int) string {
	if l.texts == nil || text == "" || depth == maxDepth {
		return text
	}
	if found, ok := l.texts[text]; ok && !strings.Contains(text, "|") {
		return found
	}
	if len(text) > 2000 {
		return text
	}
	for _, first := range []string{text[:1], ""} {
		for _, f := range l.says[first] {
			if said, ok := f.say(text, l, depth); ok {
				return said
			}
		}
	}
	return l.otherwise(text)
}

// number is one with decimals, and perhaps in per cent.
var number = regexp.MustCompile(`^\d+\.\d+( %)?$`)

// otherwise is what is said in another case than its message, and numbers with the
// comma that all of these languages write.
func (l *Language) otherwise(text string) string {
	if number.MatchString(text) {
		return strings.Replace(text, ".", ",", 1)
	}
	first, size := utf8.DecodeRuneInString(text)
	if said, ok := l.texts[string(unicode.ToLower(first))+text[size:]]; ok && unicode.IsUpper(first) {
		r, n := utf8.DecodeRuneInString(said)
		return string(unicode.ToUpper(r)) + said[n:]
	}
	if said, ok := l.texts[string(unicode.ToUpper(first))+text[size:]]; ok && unicode.IsLower(first) && strings.Contains(text, " ") {
		if r, n := utf8.DecodeRuneInString(said); l.Tag != "de" { // German nouns begin with a capital everywhere
			return string(unicode.ToLower(r)) + said[n:]
		}
		return said
	}
	return text
}

// SayAny is Say for whatever a template prints; what is no plain string stays.
func (l *Language) SayAny(v any) any {
	if s, ok := v.(string); ok {
		return l.Say(s)
	}
	return v
}

// Count is a whole number and what is counted, in the form that the language wants.
func (l *Language) Count(n int, one, many string) string {
	if text, ok := l.texts[one+"|"+many]; ok {
		one, many, _ = strings.Cut(text, "|")
	}
	if i18n.Plural(l.Tag, n) == "one" {
		many = one
	}
	return fmt.Sprint(n) + " " + many
}

// Translate puts the language's words into a set of templates that was not
// executed yet, so that html/template escapes them like any other text.
func (l *Language) Translate(t *template.Template) {
	if l.texts == nil {
		return
	}
	t.Funcs(template.FuncMap{"say": l.SayAny})
	for _, one := range t.Templates() {
		if one.Tree != nil && one.Tree.Root != nil {
			w := walker{tree: one.Tree, texts: l.texts}
			w.walk()
		}
	}
}

// Pack writes the texts of several languages compressed, each by the list of messages.
func Pack(w io.Writer, languages map[string]Texts) error {
	messages := map[string]bool{}
	for _, texts := range languages {
		for m, text := range texts {
			if text != "" {
				messages[m] = true
			}
		}
	}
	p := packed{Languages: map[string][]string{}}
	for m := range messages {
		p.Messages = append(p.Messages, m)
	}
	slices.Sort(p.Messages)
	for tag, texts := range languages {
		for _, m := range p.Messages {
			p.Languages[tag] = append(p.Languages[tag], texts[m])
		}
	}
	b := brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: 11, LGWin: 22})
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p); err != nil {
		return err
	}
	return b.Close()
}

type packed struct {
	Messages  []string
	Languages map[string][]string
}

// Set is the languages of a packed file, each read when it is first asked for.
type Set struct {
	raw  []byte
	tags []string
	mu   sync.Mutex
	read map[string]*Language
}

// Open names the languages of a file that Pack wrote, English besides.
func Open(raw []byte, tags ...string) *Set {
	return &Set{raw: raw, tags: tags, read: map[string]*Language{}}
}

// Tags are the languages besides English.
func (s *Set) Tags() []string { return s.tags }

// Language is the one of a tag, English for any other.
func (s *Set) Language(tag string) *Language {
	if !slices.Contains(s.tags, tag) {
		return English
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.read[tag]; l != nil {
		return l
	}
	var p packed
	if err := json.NewDecoder(brotli.NewReader(bytes.NewReader(s.raw))).Decode(&p); err != nil {
		panic("tongue: the texts in the binary cannot be read: " + err.Error()) // a test reads them
	}
	texts := Texts{}
	for i, text := range p.Languages[tag] {
		texts[p.Messages[i]] = text
	}
	s.read[tag] = New(tag, texts)
	return s.read[tag]
}

// Choose is the first of the wishes (BCP 47 tags, as people or browsers write them)
// that there is, "en" for none.
func (s *Set) Choose(wishes ...string) string {
	for _, w := range wishes {
		base, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(w)), "-")
		if base == "en" || slices.Contains(s.tags, base) {
			return base
		}
	}
	return "en"
}
