// Package i18n holds the banner's default words in every language that Assent
// speaks, and what has to be known of a language to use them: its own name, its
// direction, its plural forms.
package i18n

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Texts are the banner's words in one language. Those without omitempty are in
// every notice; the others came later, and where a notice lacks one, Fill has it.
// Category keys index the maps of categories, a tracker's kind KindName, and a
// plural form of CLDR (zero, one, two, few, many, other) the two counts.
type Texts struct {
	Title string `json:"title"`
	// Body says why. {partners} in it stands for their number, and then the
	// sentence Partners is left away.
	Body      string `json:"body"`
	AcceptAll string `json:"accept_all"`
	RefuseAll string `json:"refuse_all"`
	Choose    string `json:"choose"`
	Save      string `json:"save"`
	Close     string `json:"close"`
	Policy    string `json:"policy"`

	PreferencesTitle    string            `json:"preferences_title"`
	PreferencesBody     string            `json:"preferences_body"`
	CategoryName        map[string]string `json:"category_name"`
	CategoryDescription map[string]string `json:"category_description"`
	AlwaysActive        string            `json:"always_active"`
	NoServices          string            `json:"no_services"`
	Provider            string            `json:"provider"`
	Purpose             string            `json:"purpose"`
	Trackers            string            `json:"trackers"`
	Lifetime            string            `json:"lifetime"`
	YourChoice          string            `json:"your_choice"` // heading above record ID and date
	RecordID            string            `json:"record_id"`
	ConsentID           string            `json:"consent_id"`
	Date                string            `json:"date"`
	Receipt             string            `json:"receipt"`
	Copy                string            `json:"copy"`
	Copied              string            `json:"copied"`
	Withdraw            string            `json:"withdraw"`
	NotSent             string            `json:"not_sent"` // the record waits in the queue
	Reopen              string            `json:"reopen"`   // label of the floating button

	// Partners tells how many companies would receive data; {n} is their number.
	Partners       map[string]string `json:"partners,omitempty"`
	OptoutTitle    string            `json:"optout_title,omitempty"`
	OptoutBody     string            `json:"optout_body,omitempty"`
	OptoutLink     string            `json:"optout_link,omitempty"`
	NoticeTitle    string            `json:"notice_title,omitempty"`
	NoticeBody     string            `json:"notice_body,omitempty"`
	NoticeOK       string            `json:"notice_ok,omitempty"`
	GPCHonoured    string            `json:"gpc_honoured,omitempty"`
	DNTHonoured    string            `json:"dnt_honoured,omitempty"`
	LegalBasis     string            `json:"legal_basis,omitempty"`
	BasisConsent   string            `json:"basis_consent,omitempty"`
	BasisNecessary string            `json:"basis_necessary,omitempty"`
	BasisInterest  string            `json:"basis_legitimate_interest,omitempty"`
	Transfer       string            `json:"transfer,omitempty"` // where a service's data goes
	KindName       map[string]string `json:"kind_name,omitempty"`
	Session        string            `json:"session,omitempty"` // the lifetime of a session cookie
	NotRemoved     string            `json:"not_removed,omitempty"`
	BlockedTitle   string            `json:"blocked_title,omitempty"`
	BlockedCount   map[string]string `json:"blocked_count,omitempty"` // {n} is the number
	BlockedNone    string            `json:"blocked_none,omitempty"`
	EmbedTitle     string            `json:"embed_title,omitempty"` // {service}
	EmbedBody      string            `json:"embed_body,omitempty"`  // {provider}
	EmbedOnce      string            `json:"embed_once,omitempty"`
	EmbedAlways    string            `json:"embed_always,omitempty"`
}

// Files is the folder banner, a file a language.
//
//go:embed banner
var Files embed.FS

// loaded reads every file once. A variant (de-CH) states only what differs from
// its base (de).
var loaded = sync.OnceValues(func() (map[string]Texts, error) {
	all := map[string]Texts{}
	tags := make([]string, 0, len(languages))
	for _, l := range languages {
		tags = append(tags, l.Tag)
	}
	// Bases come before their variants.
	slices.SortFunc(tags, func(a, b string) int { return strings.Count(a, "-") - strings.Count(b, "-") })
	for _, tag := range tags {
		raw, err := Files.ReadFile("banner/" + tag + ".json")
		if err != nil {
			return nil, err
		}
		t := all[base(tag)].clone()
		if err := decode(raw, &t); err != nil {
			return nil, fmt.Errorf("banner/%s.json: %w", tag, err)
		}
		all[tag] = t
	}
	return all, nil
})

// decode reads a file strictly: no unknown key, and at the end none that is missing.
func decode(raw []byte, t *Texts) error {
	// A map that a variant states replaces its base's forms, which may be others.
	var stated map[string]json.RawMessage
	if err := json.Unmarshal(raw, &stated); err != nil {
		return err
	}
	for name, forms := range map[string]*map[string]string{"partners": &t.Partners, "blocked_count": &t.BlockedCount} {
		if _, ok := stated[name]; ok {
			*forms = nil
		}
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(t); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind the texts")
	}
	if missing := t.missing(); len(missing) > 0 {
		return fmt.Errorf("missing: %s", strings.Join(missing, ", "))
	}
	return nil
}

// missing names the texts that are empty, by their JSON names.
func (t Texts) missing() []string {
	var names []string
	v := reflect.ValueOf(t)
	for i := range v.NumField() {
		if v.Field(i).Len() == 0 {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	return names
}

func (t Texts) clone() Texts {
	for _, m := range []*map[string]string{&t.CategoryName, &t.CategoryDescription, &t.Partners, &t.KindName, &t.BlockedCount} {
		*m = maps.Clone(*m)
	}
	return t
}

// texts are the words of every language that there is a file for.
func texts() map[string]Texts {
	all, err := loaded()
	if err != nil {
		panic("i18n: " + err.Error()) // the files are in the binary, and a test reads them all
	}
	return all
}

// Default are the default words of exactly this language (BCP 47), and whether
// there are any. The maps are the caller's own.
func Default(tag string) (Texts, bool) {
	t, ok := texts()[tag]
	return t.clone(), ok
}

// Nearest are the default words of a language, of its base, or else English.
func Nearest(tag string) Texts { return texts()[nearest(tag)].clone() }

func nearest(tag string) string {
	for _, candidate := range []string{tag, base(tag)} {
		if _, ok := texts()[candidate]; ok {
			return candidate
		}
	}
	return "en"
}

// Required are the JSON names of the texts that every notice has to have.
func Required() []string { return required }

var required = func() []string {
	var names []string
	t := reflect.TypeFor[Texts]()
	for i := range t.NumField() {
		if name, omit, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); omit == "" {
			names = append(names, name)
		}
	}
	return names
}()

// Fill puts the default words of the language where t has none.
func Fill(t Texts, tag string) Texts {
	v, defaults := reflect.ValueOf(&t).Elem(), reflect.ValueOf(Nearest(tag))
	for i := range v.NumField() {
		if v.Field(i).Len() == 0 {
			v.Field(i).Set(defaults.Field(i))
		}
	}
	return t
}

func base(tag string) string {
	first, _, _ := strings.Cut(tag, "-")
	return first
}

var rtl = regexp.MustCompile(`^(ar|ckb|dv|fa|he|ps|sd|ug|ur|yi)(-|$)|-Arab`)

// RightToLeft tells whether a language (BCP 47) is written from right to left.
func RightToLeft(tag string) bool {
	return rtl.MatchString(tag) && !strings.Contains(tag, "-Latn")
}
