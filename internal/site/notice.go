// Package site keeps sites, their domains, and their notices: a draft that is
// edited and immutable published versions.
package site

import "assent/internal/i18n"

// Notice is what a visitor is asked and what is enforced: texts in every
// language, categories, services with their trackers, look and rules. Its
// canonical JSON (RFC 8785) is a notice version; the version's name is the
// SHA-256 of those bytes in hex.
type Notice struct {
	Schema int    `json:"schema"` // 1
	Site   string `json:"site"`   // site key
	// Domains are the site's domains when the script is compiled, which scopes its
	// cookie and its policy by them; the store fills them in. They are no part of
	// the version: adding a domain asks nobody again.
	Domains    []string   `json:"-"`
	Controller Controller `json:"controller"`
	Regime     string     `json:"regime"` // opt-in, opt-out or notice-only
	// ChoiceDays is how long a choice is kept before the visitor is asked
	// again, in days; 1 to 390. 180 by default (CNIL 2020-092; Italy forbids less).
	ChoiceDays int `json:"choice_days"`
	// HonourGPC makes Global Privacy Control a refusal without a banner.
	HonourGPC bool `json:"honour_gpc"`
	// Regimes are keys of regime packs (internal/regime/packs), by whose rules
	// visitors of their places are asked; none: Regime serves everybody. With them Regime is the
	// strictest model among them, and RestOfWorld the pack of all other places, or
	// "strictest" (so is "").
	Regimes     []string `json:"regimes,omitempty"`
	RestOfWorld string   `json:"rest_of_world,omitempty"`
	// Exempt are the categories of which the site says that they meet the conditions
	// of an exemption, where a pack has one for them.
	Exempt []string `json:"exempt,omitempty"`
	// DNT says what Do Not Track (W3C, retired 2019) does: "ignore" (so does "") or "refuse".
	DNT string `json:"dnt,omitempty"`
	// Statistics says what pages tell of the banner and of views, and when: "" nothing;
	// "exempt" all of it, as audience measurement that needs no consent where the law
	// has such an exemption (CNIL 2020-091); "consent" the banner at all times, views
	// once analytics was granted. Neither stores anything in a browser.
	Statistics string `json:"statistics,omitempty"`
	// Apart has visitors asked on each of the site's domains that share no cookie, where
	// else a choice is handed over; see HandsOver.
	Apart bool `json:"apart,omitempty"`
	// Variant is the one that is compiled; nil while nobody has chosen one.
	Variant     *Variant         `json:"-"`
	Enforcement Enforcement      `json:"enforcement"`
	Categories  []Category       `json:"categories"` // necessary first
	Services    []Service        `json:"services"`
	Languages   []string         `json:"languages"` // BCP 47; the first is the fallback
	Texts       map[string]Texts `json:"texts"`     // by language
	Layout      Layout           `json:"layout"`
	// Signals are settings of what the page's tools are told; nil: the usual ones.
	Signals *Signals `json:"signals,omitempty"`
}

// Controller is who asks (GDPR article 13(1)(a)).
type Controller struct {
	Name      string `json:"name"`
	PolicyURL string `json:"policy_url"` // https address of the privacy policy, or ""
}

// Enforcement says how the browser is made to respect the choice.
type Enforcement struct {
	// Policy inserts a Content-Security-Policy before the page's own tags.
	// Without it only marked-up elements are gated.
	Policy bool `json:"policy"`
	// Undeclared is what a third party that no service declares gets: "block" at
	// all times; "with_all": once everything was accepted; or "report": it is allowed
	// at all times and counted. A policy cannot name what it blocks, so with "report"
	// there is none: declared services wait where they are marked up, and their names.
	Undeclared string `json:"undeclared"`
	// UndeclaredStorage is what a cookie, item or database that no service declares
	// gets: "block" or "": it waits for everything to be accepted, and with Undeclared
	// "block" for ever; or "allow": it is stored at all times.
	UndeclaredStorage string `json:"undeclared_storage,omitempty"`
	// Report counts the hosts and names that no service declares (stats.Seen).
	Report bool `json:"report,omitempty"`
}

// Category is a purpose group that a visitor decides on.
type Category struct {
	Key   string `json:"key"` // necessary, functional, analytics, advertising
	Basis string `json:"basis"`
}

// Service is a vendor's product, for example an analytics tool.
type Service struct {
	Key       string            `json:"key"` // lower-case letters, digits, hyphens; unique in the notice
	Name      string            `json:"name"`
	Category  string            `json:"category"`
	Provider  string            `json:"provider"` // legal name
	Country   string            `json:"country"`  // ISO 3166-1 alpha-2 of the provider, or ""
	Purpose   map[string]string `json:"purpose"`  // by language
	PolicyURL string            `json:"policy_url"`
	// Transfer says where data goes and what protects it there, by language (GDPR
	// article 13(1)(f)); empty for services that keep it in the country.
	Transfer map[string]string `json:"transfer,omitempty"`
	// Hosts are where the service loads from and sends to: a host, *.host for
	// its subdomains, either with :port.
	Hosts    []string  `json:"hosts"`
	Trackers []Tracker `json:"trackers"`
	// Embed says that the service shows content in pages (a video, a map, a post):
	// while it is refused, a placeholder stands in its place. Left out of the JSON
	// when it is false, so that older versions keep their bytes.
	Embed bool `json:"embed,omitempty"`
	// Signal is how the service itself is told about the choice, one of Tools; "": not at all.
	Signal string `json:"signal,omitempty"`
}

// Tracker is one thing that a service stores or sends.
type Tracker struct {
	Kind     string `json:"kind"`     // one of TrackerKinds
	Name     string `json:"name"`     // exact, or with * for any run of characters
	Lifetime string `json:"lifetime"` // in words, for example "13 months"; "" for requests
}

// TrackerKinds are what a service can store or send. The name of a service_worker is
// its script's address or its scope, whole or from the first slash of the path; that of a
// third_party_cookie a cookie on the service's own hosts, which no page of the site can remove.
var TrackerKinds = []string{"cookie", "local_storage", "session_storage", "indexed_db", "cache", "service_worker", "request", "third_party_cookie"}

// Texts are the words of one language.
type Texts = i18n.Texts

// Layout is where the banner stands and how it looks.
type Layout struct {
	Placement string `json:"placement"` // bar, box or centre
	// NonModal leaves the page usable while the placement centre asks; the other
	// placements always do.
	NonModal bool `json:"non_modal,omitempty"`
	// Colours by mode; each "#rrggbb". Light and Dark follow the visitor's system.
	Light    Colours `json:"light"`
	Dark     Colours `json:"dark"`
	Radius   int     `json:"radius"`   // of corners, CSS pixels, 0 to 24
	Floating bool    `json:"floating"` // show the button that opens the preferences again
}

// Colours of one mode, "#rrggbb".
type Colours struct {
	Background string `json:"background"`
	Text       string `json:"text"`
	Button     string `json:"button"`
	ButtonText string `json:"button_text"`
}
