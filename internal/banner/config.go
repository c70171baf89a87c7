package banner

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"assent/internal/fault"
	"assent/internal/site"
)

// config is what the script embeds; client/src/config.ts is its twin.
type config struct {
	Site       string         `json:"$site"`
	Version    string         `json:"$version"`
	Scope      string         `json:"$scope"`
	Regime     string         `json:"$regime"`
	ChoiceDays int            `json:"$choice_days"`
	Undeclared string         `json:"$undeclared"`
	Domains    []string       `json:"$domains"`
	Controller string         `json:"$controller"`
	PolicyURL  string         `json:"$policy_url"`
	Categories []string       `json:"$categories"`
	Services   []service      `json:"$services"`
	Languages  []string       `json:"$languages"`
	RTL        []string       `json:"$right_to_left"` // those of Languages
	Texts      map[string]any `json:"$texts"`
	Layout     layout         `json:"$layout"`
}

type service struct {
	Key       string            `json:"key"`
	Name      string            `json:"name"`
	Category  string            `json:"category"`
	Provider  string            `json:"provider"`
	Purpose   map[string]string `json:"purpose"`
	PolicyURL string            `json:"policy_url"`
	Hosts     []string          `json:"hosts"`
	Trackers  [][3]string       `json:"trackers"` // kind, name, lifetime
}

type layout struct {
	Placement string `json:"$placement"`
	Light     any    `json:"$light"`
	Dark      any    `json:"$dark"`
	Radius    int    `json:"$radius"`
}

// Only these reach a style sheet or a policy, where other characters would have a meaning.
var (
	colour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	host   = regexp.MustCompile(`^(\*\.)?[a-z0-9_.-]+(:[0-9]{1,5})?$|^\[[0-9a-f:.]+\](:[0-9]{1,5})?$`)
	word   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}$`)
	key    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

func trim(n *site.Notice, version string) (*config, error) {
	c := &config{
		Site:       n.Site,
		Version:    version,
		Scope:      n.Scope(),
		Regime:     n.Regime,
		ChoiceDays: n.ChoiceDays,
		Undeclared: n.Enforcement.Undeclared,
		Domains:    append([]string{}, n.Domains...),
		Controller: n.Controller.Name,
		PolicyURL:  webAddress(n.Controller.PolicyURL),
		Services:   []service{},
		Languages:  n.Languages,
		RTL:        []string{},
		Texts:      map[string]any{},
		Layout:     layout{n.Layout.Placement, marked(n.Layout.Light), marked(n.Layout.Dark), n.Layout.Radius},
	}
	for _, category := range n.Categories {
		c.Categories = append(c.Categories, category.Key)
	}
	optional := 0
	for _, s := range n.Services {
		c.Services = append(c.Services, trimService(s, n.Languages))
		if s.Category != "necessary" {
			optional++
		}
	}
	for _, language := range n.Languages {
		texts := n.Texts[language]
		texts.Body = strings.ReplaceAll(texts.Body, "{partners}", strconv.Itoa(optional))
		words := marked(texts)
		for _, name := range unusedTexts(n) {
			delete(words, name)
		}
		c.Texts[language] = words
		if rightToLeft(language) {
			c.RTL = append(c.RTL, language)
		}
	}
	return c, c.check(n)
}

// unusedTexts names the texts that the site's layers never show.
func unusedTexts(n *site.Notice) []string {
	var names []string
	if len(n.Services) == 0 {
		names = append(names, "$provider", "$purpose", "$trackers", "$lifetime")
	}
	if !n.Layout.Floating {
		names = append(names, "$reopen")
	}
	return names
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

func trimService(s site.Service, languages []string) service {
	t := service{
		Key:       s.Key,
		Name:      s.Name,
		Category:  s.Category,
		Provider:  s.Provider,
		Purpose:   map[string]string{},
		PolicyURL: webAddress(s.PolicyURL),
		Hosts:     append([]string{}, s.Hosts...),
		Trackers:  [][3]string{},
	}
	if s.Country != "" && s.Provider != "" {
		t.Provider += " (" + s.Country + ")"
	}
	for _, language := range languages {
		if purpose := s.Purpose[language]; purpose != "" {
			t.Purpose[language] = purpose
		}
	}
	for _, tracker := range s.Trackers {
		t.Trackers = append(t.Trackers, [3]string{tracker.Kind, tracker.Name, tracker.Lifetime})
	}
	return t
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
	hosts := c.Domains
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

// script is the configuration as a module. Without quotes the compiler may
// shorten the names, here and where they are read.
func (c *config) script() (string, error) {
	raw, err := json.Marshal(c)
	return "export default " + name.ReplaceAllString(string(raw), "$1:"), err
}
