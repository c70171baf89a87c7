// Package catalogue describes well-known services as they are usually declared in
// a notice: who provides them, for what, what they store and which hosts they talk
// to. Its data, in data/, are facts that the providers publish, put down for Assent
// in words of its own; docs/catalogue.md says how to read, correct and extend them.
// Nothing is read before it is first asked for.
package catalogue

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"assent/internal/site"
)

// Entry is a service as the catalogue knows it. A field that is not known for
// sure is empty.
type Entry struct {
	Key      string `json:"key"`      // stable; lower-case letters, digits, hyphens
	Name     string `json:"name"`     // of the product
	Group    string `json:"group"`    // file that it stands in: analytics, payments, …
	Provider string `json:"provider"` // legal name; "" for what a site runs itself
	Country  string `json:"country"`  // of the provider, ISO 3166-1 alpha-2
	Category string `json:"category"` // one of site.CategoryKeys
	// Basis is the legal basis that is usually claimed, one of Bases. Whether it holds
	// is for the site to say: its notice asks for consent outside necessary.
	Basis     string            `json:"basis"`
	Purpose   map[string]string `json:"purpose"` // by language: en, de
	PolicyURL string            `json:"policy_url"`
	Transfer  Transfer          `json:"transfer"`
	Hosts     []string          `json:"hosts"`    // as site.Service has them
	Trackers  []site.Tracker    `json:"trackers"` // a lifetime is "" where none is published
	Signal    string            `json:"signal"`   // one of site.Tools, or ""
	Embed     bool              `json:"embed"`    // shows content in pages
	Note      string            `json:"note"`     // what to know before it is declared
	Aliases   []string          `json:"aliases"`  // other words that find it
}

// Bases are the legal bases of GDPR article 6(1)(a), (b) and (f).
var Bases = []string{"consent", "contract", "legitimate_interest"}

// Transfer is what protects data outside the European Economic Area, as the
// provider says of itself (GDPR chapter V).
type Transfer struct {
	// Mechanism is "dpf" (EU-US Data Privacy Framework), "scc" (standard contractual
	// clauses), "adequacy" (a decision of the Commission), "none" (data stays in the
	// area), or "" (not known).
	Mechanism string `json:"mechanism"`
	Country   string `json:"country"` // where to, ISO 3166-1 alpha-2; "" with none and ""
}

// data is everything that was read.
type data struct {
	entries []*Entry
	byKey   map[string]*Entry
	shared  map[string]string // hosts that several services use, and why
}

// load reads the embedded files, once, when somebody asks. They were checked by
// this package's test: an error is one of the build.
var load = sync.OnceValue(func() *data {
	files, err := unpack(packed)
	if err != nil {
		panic(err)
	}
	d, err := read(files)
	if err != nil {
		panic(err)
	}
	return d
})

// All are the entries by name. They must not be changed.
func All() []*Entry { return load().entries }

// Get is the entry of a key; nil: there is none.
func Get(key string) *Entry { return load().byKey[key] }

// common are the services that most sites ask for; of equally good finds they come first.
var common = []string{"google-analytics", "google-tag-manager", "google-ads", "meta-pixel", "youtube", "google-maps", "google-fonts", "recaptcha", "matomo",
	"hotjar", "microsoft-clarity", "microsoft-advertising", "linkedin-insight", "tiktok-pixel", "pinterest-tag", "vimeo", "youtube-nocookie", "openstreetmap",
	"stripe", "paypal", "klarna", "hubspot", "mailchimp", "brevo", "klaviyo", "intercom", "zendesk", "calendly", "typeform", "trustpilot", "trusted-shops",
	"instagram-embed", "facebook-plugins", "x-embed", "spotify-embed", "cloudflare", "cloudflare-turnstile", "sentry", "woocommerce", "wordpress", "shopify-shop"}

// rank is the place among the common ones, behind them for every other.
func rank(e *Entry) int {
	if i := slices.Index(common, e.Key); i >= 0 {
		return i
	}
	return len(common)
}

// Search lists the entries that all words of text are about, best first; every
// entry for an empty text. A word is found at the start of a word of the name,
// the key, the provider, an alias, the category, a host or a tracker's name.
func Search(text string) []*Entry {
	words := strings.Fields(strings.ToLower(text))
	if len(words) == 0 {
		list := slices.Clone(All())
		slices.SortStableFunc(list, func(a, b *Entry) int { return rank(a) - rank(b) })
		return list
	}
	type found struct {
		*Entry
		score int
	}
	var list []found
	for _, e := range All() {
		if score := e.score(words, strings.Join(words, " ")); score > 0 {
			list = append(list, found{e, score})
		}
	}
	slices.SortStableFunc(list, func(a, b found) int { return cmp.Or(b.score-a.score, rank(a.Entry)-rank(b.Entry)) })
	entries := make([]*Entry, len(list))
	for i, f := range list {
		entries[i] = f.Entry
	}
	return entries
}

// score tells how well the words fit; 0: not all of them do.
func (e *Entry) score(words []string, whole string) int {
	name := strings.ToLower(e.Name)
	total := 0
	switch {
	case whole == e.Key || whole == name || slices.Contains(e.Aliases, whole):
		total = 100
	case strings.HasPrefix(name, whole):
		total = 50
	}
	for _, word := range words {
		best := 0
		if slices.Contains(e.Aliases, word) {
			best = 12 // as good as the name
		}
		for _, place := range []struct {
			weight int
			text   string
		}{{12, name}, {11, e.Key}, {8, strings.Join(e.Aliases, " ")}, {5, strings.ToLower(e.Provider)}, {3, e.Category + " " + e.Group},
			{4, strings.Join(e.Hosts, " ")}, {1, strings.ToLower(e.Purpose["en"])}} {
			if place.weight > best && startsWord(place.text, word) {
				best = place.weight
			}
		}
		for i := range e.Trackers {
			fits := 7 // a cookie on one's own site is what people look up
			if e.Trackers[i].Kind == "third_party_cookie" {
				fits = 6
			}
			if t := strings.ToLower(e.Trackers[i].Name); best < fits && (strings.HasPrefix(t, word) || site.MatchName(t, word)) {
				best = fits
			}
		}
		for _, host := range e.Hosts {
			if best < 6 && site.MatchHost(host, word) {
				best = 6
			}
		}
		if best == 0 {
			return 0
		}
		total += best
	}
	return total
}

// startsWord tells whether word stands at the start of a word of text.
func startsWord(text, word string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		at += i
		if at == 0 || !letterOrDigit(text[at-1]) {
			return true
		}
		at++
	}
}

func letterOrDigit(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b >= 0x80
}
