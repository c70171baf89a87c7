package site

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"assent/internal/fault"

	"github.com/gowebpki/jcs"
	"golang.org/x/net/publicsuffix"
)

// CategoryKeys are the categories of the field, in the order they are shown.
var CategoryKeys = []string{"necessary", "functional", "analytics", "advertising"}

var (
	keyPattern      = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	languagePattern = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$`)
	colourPattern   = regexp.MustCompile(`^#[0-9a-f]{6}$`)
	hostPattern     = regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*(:[0-9]{1,5})?$`)
	countryPattern  = regexp.MustCompile(`^([A-Z]{2})?$`)
)

// Limits keep a compiled script small and a record below its bound.
const (
	maxServices = 400
	maxText     = 4000 // characters of one text
	maxName     = 200
)

func wrong(format string, args ...any) error { return fault.New(fault.Unprocessed, format, args...) }

// Validate says what keeps a notice from being published, as a fault of kind
// Unprocessed with one sentence, or nil.
func (n *Notice) Validate() error {
	switch {
	case n.Schema != 1:
		return wrong("The notice's schema is %d; this binary knows 1.", n.Schema)
	case !oneOf(n.Regime, "opt-in", "opt-out", "notice-only"):
		return wrong("The regime %q is unknown. Use opt-in, opt-out or notice-only.", n.Regime)
	case n.ChoiceDays < 1 || n.ChoiceDays > 390:
		return wrong("A choice is kept between 1 and 390 days, not %d.", n.ChoiceDays)
	case !oneOf(n.Enforcement.Undeclared, "block", "with_all", "report"):
		return wrong("What is not declared is either blocked (block), waits for everything to be accepted (with_all), or is allowed and reported (report), not %q.", n.Enforcement.Undeclared)
	case !oneOf(n.Enforcement.UndeclaredStorage, "", "block", "allow"):
		return wrong("A name that is not declared is either refused (block) or stored (allow), not %q.", n.Enforcement.UndeclaredStorage)
	case !oneOf(n.Statistics, "", "exempt", "consent"):
		return wrong("Statistics are off, exempt (counted for everybody) or consent (views after consent), not %q.", n.Statistics)
	case n.Enforcement.Undeclared == "report" && !n.Enforcement.Report:
		return wrong("What is not declared can be allowed and reported only while the site reports. Switch reporting on, or choose block or with_all.")
	case utf8.RuneCountInString(n.Controller.Name) > maxName:
		return wrong("The controller's name is longer than %d characters.", maxName)
	}
	if err := checkURL("The privacy policy's address", n.Controller.PolicyURL); err != nil {
		return err
	}
	if err := n.checkCategories(); err != nil {
		return err
	}
	if err := n.checkRegimes(); err != nil {
		return err
	}
	if err := n.checkServices(); err != nil {
		return err
	}
	if err := n.checkTexts(); err != nil {
		return err
	}
	if err := n.checkSignals(); err != nil {
		return err
	}
	return n.Layout.validate()
}

func (n *Notice) checkCategories() error {
	if len(n.Categories) == 0 || n.Categories[0].Key != "necessary" {
		return wrong("The first category must be necessary.")
	}
	seen := map[string]bool{}
	for _, c := range n.Categories {
		if !oneOf(c.Key, CategoryKeys...) {
			return wrong("The category %q is unknown. Use necessary, functional, analytics or advertising.", c.Key)
		}
		if seen[c.Key] {
			return wrong("The category %s is there twice.", c.Key)
		}
		seen[c.Key] = true
		// GDPR article 6 with ePrivacy 5(3): an optional tracker rests on consent only.
		if c.Key == "necessary" && c.Basis != "legitimate_interest" || c.Key != "necessary" && c.Basis != "consent" {
			return wrong("The category %s cannot rest on %q: necessary rests on legitimate_interest, every other category on consent.", c.Key, c.Basis)
		}
	}
	return nil
}

func (n *Notice) checkServices() error {
	if len(n.Services) > maxServices {
		return wrong("A notice lists at most %d services.", maxServices)
	}
	seen := map[string]bool{}
	for i := range n.Services {
		s := &n.Services[i]
		if !keyPattern.MatchString(s.Key) {
			return wrong("The service key %q is not usable. Use lower-case letters, digits and hyphens.", s.Key)
		}
		if seen[s.Key] {
			return wrong("Two services have the key %s. Give one of them another.", s.Key)
		}
		seen[s.Key] = true
		if n.category(s.Category) == nil {
			return wrong("The service %s is in the category %q, which this notice does not have.", s.Key, s.Category)
		}
		if err := s.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) validate() error {
	switch {
	case strings.TrimSpace(s.Name) == "" || utf8.RuneCountInString(s.Name) > maxName:
		return wrong("The service %s needs a name of at most %d characters.", s.Key, maxName)
	case utf8.RuneCountInString(s.Provider) > maxName:
		return wrong("The provider of %s is longer than %d characters.", s.Key, maxName)
	case !countryPattern.MatchString(s.Country):
		return wrong("The country of %s is a code of two capital letters, for example DE, or empty.", s.Key)
	case len(s.Hosts) > 100 || len(s.Trackers) > 200:
		return wrong("The service %s has more than 100 hosts or 200 trackers. Use patterns with *.", s.Key)
	}
	if err := checkURL("The policy address of "+s.Key, s.PolicyURL); err != nil {
		return err
	}
	if s.Embed && len(s.Hosts) == 0 {
		return wrong("The service %s shows content in pages, but has no hosts. Name where it loads from: its content is known by that.", s.Key)
	}
	for what, texts := range map[string]map[string]string{"purpose": s.Purpose, "transfer note": s.Transfer} {
		for language, text := range texts {
			if !languagePattern.MatchString(language) || utf8.RuneCountInString(text) > maxText {
				return wrong("The %s of %s in %q is not usable: a language such as en, and at most %d characters.", what, s.Key, language, maxText)
			}
		}
	}
	for _, h := range s.Hosts {
		if suffix, icann := publicsuffix.PublicSuffix(strings.TrimPrefix(h, "*.")); icann && suffix == strings.TrimPrefix(h, "*.") {
			return wrong("The host %q of %s would stand for everybody below it. Name the vendor's own domain.", h, s.Key)
		}
		if _, err := netip.ParseAddrPort(h); err == nil {
			continue
		}
		if !hostPattern.MatchString(h) {
			return wrong("The host %q of %s is not usable. Write cdn.vendor.example, *.vendor.example or with :port, in lower case, without https:// or a path.", h, s.Key)
		}
	}
	for _, t := range s.Trackers {
		if !oneOf(t.Kind, TrackerKinds...) {
			return wrong("A tracker of %s has the kind %q. Use one of %s.", s.Key, t.Kind, strings.Join(TrackerKinds, ", "))
		}
		if t.Name == "" || len(t.Name) > 256 || strings.Trim(t.Name, "*") == "" && s.Category == "necessary" {
			return wrong("A tracker of %s needs a name of at most 256 bytes; * stands for any characters, and necessary services cannot claim everything.", s.Key)
		}
		if utf8.RuneCountInString(t.Lifetime) > maxName {
			return wrong("The lifetime of %s is longer than %d characters.", t.Name, maxName)
		}
	}
	return nil
}

func (n *Notice) checkTexts() error {
	if len(n.Languages) == 0 {
		return wrong("A notice needs at least one language.")
	}
	if len(n.Texts) != len(n.Languages) {
		return wrong("Every language of the notice needs texts, and no other language.")
	}
	for _, language := range n.Languages {
		if !languagePattern.MatchString(language) {
			return wrong("The language %q is not usable. Write en, de-CH or zh-Hant.", language)
		}
		t, ok := n.Texts[language]
		if !ok {
			return wrong("The texts in %s are missing.", language)
		}
		for name, text := range allTexts(t) {
			if strings.TrimSpace(text) == "" {
				return wrong("The text %s in %s is empty. Visitors need it.", name, language)
			}
			if strings.ContainsFunc(text, isControl) {
				return wrong("The text %s in %s has a control character. Type it again instead of pasting it.", name, language)
			}
			if utf8.RuneCountInString(text) > maxText {
				return wrong("The text %s in %s is longer than %d characters.", name, language, maxText)
			}
		}
		for _, c := range n.Categories {
			if strings.TrimSpace(t.CategoryName[c.Key]) == "" || strings.TrimSpace(t.CategoryDescription[c.Key]) == "" {
				return wrong("The category %s needs a name and a description in %s.", c.Key, language)
			}
		}
		for name, forms := range map[string]map[string]string{"partners": t.Partners, "blocked_count": t.BlockedCount} {
			for form := range forms {
				if !oneOf(form, "zero", "one", "two", "few", "many", "other") {
					return wrong("The text %s in %s has the plural form %q. Use zero, one, two, few, many and other.", name, language, form)
				}
			}
			if len(forms) > 0 && forms["other"] == "" {
				return wrong("The text %s in %s needs the plural form other, which stands in for every other one.", name, language)
			}
		}
	}
	return nil
}

// allTexts yields every single text by its JSON name, one of a map as name.key.
// Texts that came later than the notice are not among them.
func allTexts(t Texts) map[string]string {
	raw, _ := json.Marshal(t)
	var fields map[string]any
	json.Unmarshal(raw, &fields)
	texts := map[string]string{}
	for name, v := range fields {
		switch v := v.(type) {
		case string:
			texts[name] = v
		case map[string]any:
			for key, text := range v {
				texts[name+"."+key], _ = text.(string)
			}
		}
	}
	return texts
}

// ButtonContrast is what the buttons need at least, their text on them and they
// themselves on the background: more than the 4.5:1 of WCAG 2.2, 1.4.3, because a
// refusal that is hard to see is none (CNIL 2020-091, EDPB 03/2022).
const ButtonContrast = 5

func (l Layout) validate() error {
	if !oneOf(l.Placement, "bar", "box", "centre") {
		return wrong("The placement %q is unknown. Use bar, box or centre.", l.Placement)
	}
	if l.Radius < 0 || l.Radius > 24 {
		return wrong("The radius of corners is between 0 and 24 pixels, not %d.", l.Radius)
	}
	for mode, c := range map[string]Colours{"light": l.Light, "dark": l.Dark} {
		for _, colour := range []string{c.Background, c.Text, c.Button, c.ButtonText} {
			if !colourPattern.MatchString(colour) {
				return wrong("The %s colour %q is not usable. Write it like #1a2b3c.", mode, colour)
			}
		}
		if r := Contrast(c.Background, c.Text); r < 4.5 {
			return wrong("Text on the %s background has a contrast of %.1f:1; visitors with weak sight need at least 4.5:1 (WCAG 2.2, 1.4.3). Make one of the two colours darker or lighter.", mode, r)
		}
		if r := Contrast(c.Button, c.ButtonText); r < ButtonContrast {
			return wrong("The text on the %s buttons has a contrast of %.1f:1; refusing and accepting must be easy to read, at least 5:1. Make one of the two colours darker or lighter.", mode, r)
		}
		if r := Contrast(c.Button, c.Background); r < ButtonContrast {
			return wrong("The %s buttons have a contrast of %.1f:1 to the background; refusing and accepting must be easy to find, at least 5:1. Make one of the two colours darker or lighter.", mode, r)
		}
	}
	return nil
}

// isControl is true for characters that have no place in a text.
func isControl(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }

func checkURL(what, address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(address) > 2000 {
		return wrong("%s must be a whole address that starts with https://.", what)
	}
	return nil
}

func (n *Notice) category(key string) *Category {
	for i := range n.Categories {
		if n.Categories[i].Key == key {
			return &n.Categories[i]
		}
	}
	return nil
}

// HasCategory tells whether the notice asks about a category.
func (n *Notice) HasCategory(key string) bool { return n.category(key) != nil }

func oneOf(s string, allowed ...string) bool {
	for _, a := range allowed {
		if s == a {
			return true
		}
	}
	return false
}

// Contrast is the WCAG 2.2 contrast ratio of two "#rrggbb" colours, 1 to 21;
// 0 when one cannot be read.
func Contrast(a, b string) float64 {
	la, okA := luminance(a)
	lb, okB := luminance(b)
	if !okA || !okB {
		return 0
	}
	if la < lb {
		la, lb = lb, la
	}
	return (la + 0.05) / (lb + 0.05)
}

func luminance(colour string) (float64, bool) {
	if !colourPattern.MatchString(colour) {
		return 0, false
	}
	weights := [3]float64{0.2126, 0.7152, 0.0722}
	var sum float64
	for i, w := range weights {
		v, _ := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		sum += w * linear[v]
	}
	return sum, true
}

// Canonical is the notice's canonical JSON (RFC 8785): the bytes whose SHA-256
// names a version. Missing lists and maps are written as empty ones.
func (n *Notice) Canonical() ([]byte, error) {
	raw, err := json.Marshal(n.filled())
	if err != nil {
		return nil, err
	}
	return jcs.Transform(raw)
}

// filled is a copy in which no list or map is nil, so that equal notices have
// equal bytes.
func (n *Notice) filled() *Notice {
	c := *n
	c.Categories = append([]Category{}, n.Categories...)
	c.Languages = append([]string{}, n.Languages...)
	c.Signals = n.Signals.filled()
	c.Services = append([]Service{}, n.Services...)
	for i := range c.Services {
		s := &c.Services[i]
		s.Hosts = append([]string{}, s.Hosts...)
		s.Trackers = append([]Tracker{}, s.Trackers...)
		if s.Purpose == nil {
			s.Purpose = map[string]string{}
		}
	}
	if c.Texts == nil {
		c.Texts = map[string]Texts{}
	}
	return &c
}
