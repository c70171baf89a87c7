package banner

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"assent/internal/choice"
	"assent/internal/fault"
	"assent/internal/i18n"
	"assent/internal/site"
)

// The modules that scripts embed; client/src/config.ts is their twin.
type (
	config struct {
		Site       string     `json:"$site"`
		ID         string     `json:"$id"`
		Origin     string     `json:"$origin"`
		Scope      string     `json:"$scope"`
		Regime     string     `json:"$regime"`
		ChoiceDays int        `json:"$choice_days"`
		Undeclared string     `json:"$undeclared"`
		Own        []string   `json:"$own"`
		Storage    string     `json:"$undeclared_storage,omitempty"` // "allow", or left out
		Categories []string   `json:"$categories"`
		Services   []enforced `json:"$services"`
		Languages  []string   `json:"$languages"`
		Preset     *preset    `json:"$preset,omitempty"`
		Heeds      bool       `json:"$heeds,omitempty"`

		Variants map[string]override `json:"$variants,omitempty"`
	}
	// enforced is a service as enforcement sees it.
	enforced struct {
		Key      string      `json:"key"`
		Category string      `json:"category"`
		Hosts    []string    `json:"hosts"`
		Trackers [][2]string `json:"trackers"` // kind, name
	}
	theme struct {
		Dir    map[string]string `json:"$dir"`
		Reopen map[string]string `json:"$reopen"`
	}
	question struct {
		Controller string         `json:"$controller"`
		PolicyURL  string         `json:"$policy_url"`
		Placement  string         `json:"$placement"`
		Domains    []string       `json:"$domains"`
		Pill       bool           `json:"$pill,omitempty"`
		Words      map[string]any `json:"$words"`
	}
	details struct {
		Services []detail       `json:"$services"`
		Words    map[string]any `json:"$words"`
	}
	placeholders struct {
		Services []placeholder  `json:"$services"`
		Words    map[string]any `json:"$words"`
	}
	placeholder struct {
		Key       string `json:"$key"`
		Name      string `json:"$name"`
		Provider  string `json:"$provider"`
		PolicyURL string `json:"$policy_url"`
	}
	// detail is a service as people see it.
	detail struct {
		Key       string            `json:"$key"`
		Name      string            `json:"$name"`
		Provider  string            `json:"$provider"`
		Country   string            `json:"$country"`
		PolicyURL string            `json:"$policy_url"`
		Purpose   map[string]string `json:"$purpose"`
		Transfer  map[string]string `json:"$transfer"`
		Lifetimes []any             `json:"$lifetimes"`
	}
)

// Only these reach a style sheet or a policy, where other characters would have a meaning.
var (
	colour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	host   = regexp.MustCompile(`^(\*\.)?[a-z0-9_.-]+(:[0-9]{1,5})?$|^\[[0-9a-f:.]+\](:[0-9]{1,5})?$`)
	word   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)
	key    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

// trim is the notice as enforcement needs it. id names version and compiler.
func trim(n *site.Notice, id string) (*config, error) {
	c := &config{
		Site:       n.Site,
		ID:         id,
		Scope:      n.Scope(),
		Regime:     n.Regime,
		ChoiceDays: n.ChoiceDays,
		Undeclared: n.Enforcement.Undeclared,
		Own:        choice.OwnHosts(n.Domains),
		Services:   []enforced{},
		Languages:  n.Languages,
	}
	c.Preset = presetOf(n)
	if n.Enforcement.UndeclaredStorage == "allow" {
		c.Storage = "allow"
	}
	for _, category := range n.Categories {
		c.Categories = append(c.Categories, category.Key)
	}
	for _, s := range n.Services {
		e := enforced{Key: s.Key, Category: s.Category, Hosts: append([]string{}, s.Hosts...), Trackers: [][2]string{}}
		if n.Advanced() && s.Signal == "google" {
			// Open before a choice and after a refusal, like the site's own hosts.
			c.Own = append(c.Own, s.Hosts...)
		}
		for _, t := range s.Trackers {
			e.Trackers = append(e.Trackers, [2]string{t.Kind, t.Name})
		}
		c.Services = append(c.Services, e)
	}
	return c, c.check(n)
}

func themeOf(n *site.Notice, languages []string) theme {
	t := theme{Dir: map[string]string{}, Reopen: map[string]string{}}
	for _, language := range languages {
		t.Dir[language] = "ltr"
		if i18n.RightToLeft(language) {
			t.Dir[language] = "rtl"
		}
		if n.Layout.Floating {
			t.Reopen[language] = reopenWord(n, language)
		}
	}
	return t
}

// buttonStyle is the look of the floating button where it stands alone: floating.css
// and the colours. A browser that does not know light-dark() gives it those of its own buttons.
func buttonStyle(l site.Layout) string {
	_, rule, _ := strings.Cut(minified(css("floating")), "{")
	rule, _, _ = strings.Cut(rule, "}")
	return rule + fmt.Sprintf(";border:1px solid;cursor:pointer;color:light-dark(%s,%s);background:light-dark(%s,%s)",
		l.Light.Text, l.Dark.Text, l.Light.Background, l.Dark.Background)
}

// colours are the custom properties of the theme, by the visitor's system.
func colours(l site.Layout) string {
	set := func(c site.Colours) string {
		return fmt.Sprintf(":host{--bg:%s!important;--fg:%s!important;--main:%s!important;--on:%s!important}", c.Background, c.Text, c.Button, c.ButtonText)
	}
	return set(l.Light) + fmt.Sprintf(":host{--r:%dpx}@media(prefers-color-scheme:dark){%s}", l.Radius, set(l.Dark))
}

func questionOf(n *site.Notice, languages []string) question {
	q := question{Controller: n.Controller.Name, PolicyURL: webAddress(n.Controller.PolicyURL), Placement: n.Layout.Placement,
		Pill: hasPill(n), Domains: append([]string{}, n.Domains...), Words: map[string]any{}}
	for _, language := range languages {
		t := n.Texts[language]
		words := map[string]string{
			"$title": t.Title, "$body": bodyOf(n, language),
			"$accept_all": t.AcceptAll, "$refuse_all": t.RefuseAll, "$choose": t.Choose, "$policy": t.Policy,
		}
		mildWords(n, language, words)
		q.Words[language] = words
	}
	return q
}

// bodyOf is why the visitor is asked, and how many companies would receive data.
func bodyOf(n *site.Notice, language string) string {
	body, partners := n.Texts[language].Body, n.Partners()
	if strings.Contains(body, "{partners}") {
		return strings.ReplaceAll(body, "{partners}", i18n.Number(language, partners))
	}
	if partners == 0 {
		return body
	}
	if !strings.HasSuffix(body, "。") { // ideographic full stops bring their space
		body += " "
	}
	return body + strings.ReplaceAll(i18n.Form(n.Texts[language].Partners, language, partners), "{n}", i18n.Number(language, partners))
}

// detailWords are the texts of the preferences that the site has a use for.
func detailWords(n *site.Notice) []string {
	names := strings.Fields(`$save $close $preferences_title $preferences_body $category_name $category_description $always_active
		$no_services $your_choice $record_id $consent_id $date $receipt $copy $copied $withdraw $not_sent`)
	if len(n.Services) > 0 {
		names = append(names, "$provider", "$purpose")
	}
	for name, used := range map[string]func(site.Service, site.Tracker) bool{
		"$trackers":  func(site.Service, site.Tracker) bool { return true },
		"$kind_name": func(site.Service, site.Tracker) bool { return true },
		"$lifetime":  func(_ site.Service, t site.Tracker) bool { return t.Lifetime != "" },
		"$session":   func(_ site.Service, t site.Tracker) bool { return lifetimeOf(t.Lifetime) == 0 },
	} {
		if stores(n, used) {
			names = append(names, name)
		}
	}
	if slices.ContainsFunc(n.Services, func(s site.Service) bool { return len(s.Transfer) > 0 }) {
		names = append(names, "$transfer")
	}
	if declares(n, "cookie", "third_party_cookie") {
		names = append(names, "$not_removed")
	}
	if n.Enforcement.Report {
		names = append(names, "$blocked_title", "$blocked_count", "$blocked_none")
	}
	return names
}

func placeholdersOf(n *site.Notice, languages []string) placeholders {
	p := placeholders{Services: []placeholder{}, Words: map[string]any{}}
	for _, s := range n.Services {
		if embedded(s) {
			provider := s.Provider
			if s.Country != "" && provider != "" {
				provider += " (" + s.Country + ")"
			}
			p.Services = append(p.Services, placeholder{s.Key, s.Name, provider, webAddress(s.PolicyURL)})
		}
	}
	for _, language := range languages {
		t := n.Texts[language]
		p.Words[language] = map[string]string{
			"$dir":    map[bool]string{false: "ltr", true: "rtl"}[i18n.RightToLeft(language)],
			"$title":  t.EmbedTitle,
			"$body":   t.EmbedBody,
			"$once":   t.EmbedOnce,
			"$always": t.EmbedAlways,
			"$policy": t.Policy,
		}
	}
	return p
}

// stores tells whether a service has such a tracker.
func stores(n *site.Notice, such func(site.Service, site.Tracker) bool) bool {
	for _, s := range n.Services {
		for _, t := range s.Trackers {
			if such(s, t) {
				return true
			}
		}
	}
	return false
}

func detailsOf(n *site.Notice, languages []string) details {
	d := details{Services: []detail{}, Words: map[string]any{}}
	for _, s := range n.Services {
		d.Services = append(d.Services, detailOf(s, languages))
	}
	for _, language := range languages {
		words := map[string]any{"$basis": basisOf(n, language)}
		for name, value := range marked(n.Texts[language]) {
			if slices.Contains(detailWords(n), name) {
				words[name] = value
			}
		}
		if kinds, ok := words["$kind_name"].(map[string]any); ok {
			maps.DeleteFunc(kinds, func(kind string, _ any) bool {
				return !stores(n, func(_ site.Service, t site.Tracker) bool { return t.Kind == kind })
			})
		}
		words["$preferences_body"] = preferencesBody(n, language)
		d.Words[language] = words
	}
	return d
}

// basisOf says on what each category rests, in a line by category. What is
// necessary needs no consent (ePrivacy directive, article 5(3)).
func basisOf(n *site.Notice, language string) map[string]string {
	t := n.Texts[language]
	lines := map[string]string{}
	for _, c := range n.Categories {
		basis := t.BasisConsent
		switch {
		case c.Key == "necessary":
			basis = t.BasisNecessary
		case c.Basis == "legitimate_interest":
			basis = t.BasisInterest
		}
		lines[c.Key] = t.LegalBasis + ": " + basis
	}
	return lines
}

func detailOf(s site.Service, languages []string) detail {
	d := detail{Key: s.Key, Name: s.Name, Provider: s.Provider, Country: s.Country, PolicyURL: webAddress(s.PolicyURL),
		Purpose: map[string]string{}, Transfer: map[string]string{}, Lifetimes: []any{}}
	for _, language := range languages {
		if purpose := s.Purpose[language]; purpose != "" {
			d.Purpose[language] = purpose
		}
		if transfer := s.Transfer[language]; transfer != "" {
			d.Transfer[language] = transfer
		}
	}
	for _, t := range s.Trackers {
		d.Lifetimes = append(d.Lifetimes, lifetimeOf(t.Lifetime))
	}
	return d
}

var span = regexp.MustCompile(`^([0-9]{1,6}) (second|minute|hour|day|week|month|year)s?$`)

// lifetimeOf is a lifetime as the script takes it: a number of units that it can
// say in every language, 0 for a session, or the words as they are.
func lifetimeOf(words string) any {
	plain := strings.ToLower(strings.TrimSpace(words))
	if plain == "session" {
		return 0
	}
	if m := span.FindStringSubmatch(plain); m != nil {
		number, _ := strconv.Atoi(m[1])
		return [2]any{number, m[2]}
	}
	return words
}

// marked gives the fields the names that the compiler shortens.
func marked(v any) map[string]any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, and maps of them
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		panic(err)
	}
	short := map[string]any{}
	for name, value := range fields {
		short["$"+name] = value
	}
	return short
}

// check refuses what would have a meaning of its own where the script puts it.
// site.Notice.Validate says more, and says it earlier.
func (c *config) check(n *site.Notice) error {
	if !key.MatchString(c.Site) {
		return fault.New(fault.Unprocessed, "The site key %q is not usable. Use lower-case letters, digits and hyphens.", c.Site)
	}
	if len(c.Languages) == 0 {
		return fault.New(fault.Unprocessed, "A notice needs at least one language.")
	}
	for _, k := range append(c.Languages[:len(c.Languages):len(c.Languages)], c.Categories...) {
		if !word.MatchString(k) {
			return fault.New(fault.Unprocessed, "The language or category %q is not usable. Use letters, digits and hyphens.", k)
		}
	}
	for _, l := range []site.Colours{n.Layout.Light, n.Layout.Dark} {
		for _, v := range []string{l.Background, l.Text, l.Button, l.ButtonText} {
			if !colour.MatchString(v) {
				return fault.New(fault.Unprocessed, "The colour %q is not usable. Write it like #1a2b3c.", v)
			}
		}
	}
	hosts := n.Domains
	for _, s := range c.Services {
		if !key.MatchString(s.Key) {
			return fault.New(fault.Unprocessed, "The service key %q is not usable. Use lower-case letters, digits and hyphens.", s.Key)
		}
		hosts = append(hosts[:len(hosts):len(hosts)], s.Hosts...)
	}
	for _, h := range hosts {
		if !host.MatchString(h) {
			return fault.New(fault.Unprocessed, "The host %q is not usable. Write cdn.vendor.example, *.vendor.example or with :port.", h)
		}
	}
	return nil
}

// webAddress drops everything that is not an address on the web, javascript: above all.
func webAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return s
}

// name finds a JSON key that starts with "$". Where one stands in a text, its
// quotes are escaped, and check keeps the keys that people choose free of it.
var name = regexp.MustCompile(`"(\$[a-z_]+)":`)

// module writes a value as a module. Without quotes the compiler may shorten
// the names, here and where they are read.
func module(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers, lists and maps of them
	}
	return "export default " + name.ReplaceAllString(string(raw), "$1:")
}
