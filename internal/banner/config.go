package banner

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"assent/internal/fault"
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
	// detail is a service as people see it.
	detail struct {
		Key       string            `json:"$key"`
		Name      string            `json:"$name"`
		Provider  string            `json:"$provider"`
		PolicyURL string            `json:"$policy_url"`
		Purpose   map[string]string `json:"$purpose"`
		Lifetimes []string          `json:"$lifetimes"`
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
		Own:        gatedHosts(n.Domains),
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
		if rightToLeft(language) {
			t.Dir[language] = "rtl"
		}
		if n.Layout.Floating {
			t.Reopen[language] = reopenWord(n, language)
		}
	}
	return t
}

// gatedHosts are the sources of a Content-Security-Policy that stand for the site's
// own domains: every port, and every subdomain where there can be some.
func gatedHosts(domains []string) []string {
	hosts := []string{}
	for _, d := range domains {
		hosts = append(hosts, d+":*")
		if _, err := netip.ParseAddr(strings.Trim(d, "[]")); err != nil && (strings.Contains(d, ".") || d == "localhost") {
			hosts = append(hosts, "*."+d+":*")
		}
	}
	return hosts
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
	optional := 0
	for _, s := range n.Services {
		if s.Category != "necessary" {
			optional++
		}
	}
	for _, language := range languages {
		t := n.Texts[language]
		words := map[string]string{
			"$title": t.Title, "$body": t.Body,
			"$accept_all": t.AcceptAll, "$refuse_all": t.RefuseAll, "$choose": t.Choose, "$policy": t.Policy,
		}
		mildWords(n, language, words)
		words["$body"] = strings.ReplaceAll(words["$body"], "{partners}", strconv.Itoa(optional))
		q.Words[language] = words
	}
	return q
}

// notDetails are texts that no preferences show: they are the first layer's, or
// the site has no use for them.
func notDetails(n *site.Notice) []string {
	names := []string{"$title", "$body", "$accept_all", "$refuse_all", "$choose", "$policy", "$reopen",
		"$optout_title", "$optout_body", "$optout_link", "$notice_title", "$notice_body", "$notice_ok", "$gpc_honoured", "$dnt_honoured"}
	if len(n.Services) == 0 {
		names = append(names, "$provider", "$purpose", "$trackers", "$lifetime")
	}
	return names
}

func detailsOf(n *site.Notice, languages []string) details {
	d := details{Services: []detail{}, Words: map[string]any{}}
	for _, s := range n.Services {
		d.Services = append(d.Services, detailOf(s, languages))
	}
	for _, language := range languages {
		words := marked(n.Texts[language])
		for _, name := range notDetails(n) {
			delete(words, name)
		}
		words["$preferences_body"] = preferencesBody(n, language)
		d.Words[language] = words
	}
	return d
}

func detailOf(s site.Service, languages []string) detail {
	d := detail{Key: s.Key, Name: s.Name, Provider: s.Provider, PolicyURL: webAddress(s.PolicyURL), Purpose: map[string]string{}, Lifetimes: []string{}}
	if s.Country != "" && s.Provider != "" {
		d.Provider += " (" + s.Country + ")"
	}
	for _, language := range languages {
		if purpose := s.Purpose[language]; purpose != "" {
			d.Purpose[language] = purpose
		}
	}
	for _, t := range s.Trackers {
		d.Lifetimes = append(d.Lifetimes, t.Lifetime)
	}
	return d
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

var rtl = regexp.MustCompile(`^(ar|ckb|dv|fa|he|ps|sd|ug|ur|yi)(-|$)|-Arab`)

// rightToLeft tells whether a language (BCP 47) is written from right to left.
func rightToLeft(language string) bool {
	return rtl.MatchString(language) && !strings.Contains(language, "-Latn")
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
