package site

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Signals are settings of what the tools of a page are told about the choice.
// Which services are told at all, their Signal says.
type Signals struct {
	// ConsentMode tells Google's tags; nil: they are told nothing.
	ConsentMode *ConsentMode `json:"consent_mode,omitempty"`
	// Event pushes the event "assent_consent" to the data layer at every page view
	// and decision, for a tag manager's triggers.
	Event bool `json:"event"`
	// DataLayer is the name of the global list that tag managers read; "" is "dataLayer".
	DataLayer string `json:"data_layer,omitempty"`
	// Country is whose law applies to what Amazon gets, ISO 3166-1 alpha-2, or "".
	Country string `json:"country,omitempty"`
}

// ConsentMode is Google Consent Mode v2
// (developers.google.com/tag-platform/security/guides/consent).
type ConsentMode struct {
	// Mode is "basic": Google's tags wait for a choice; or "advanced": the hosts of
	// services with the signal google are open before a choice and after a refusal, and
	// the tags send what they send without cookies.
	Mode string `json:"mode"`
	// Wait is how long tags wait for a choice, in milliseconds, 0 to 10000.
	Wait             int  `json:"wait_for_update"`
	URLPassthrough   bool `json:"url_passthrough"`    // hand click IDs on in addresses while cookies are denied
	AdsDataRedaction bool `json:"ads_data_redaction"` // send no click IDs while advertising is denied
	// Regions are those whose default is what holds before a choice; everybody else's is
	// granted. ISO 3166-1 alpha-2 or 3166-2 codes; none: the same everywhere.
	Regions []string `json:"regions"`
	// Types says which category each of Google's seven types follows.
	Types map[string]string `json:"types"`
}

// ConsentTypes are Google's types, in the order of its documentation.
var ConsentTypes = []string{"ad_storage", "ad_user_data", "ad_personalization", "analytics_storage",
	"functionality_storage", "personalization_storage", "security_storage"}

// Tool is a product whose own consent interface a service can be told through.
type Tool struct{ Signal, Name string }

// Tools are the signals that a service may have, by name. LinkedIn's Insight Tag has
// no such interface: it is blocked until a yes, like every service without one.
var Tools = []Tool{
	{"adobe", "Adobe Web SDK"},
	{"amazon", "Amazon Ad Tag"},
	{"google", "Google tag, Tag Manager"},
	{"matomo-cookies", "Matomo: no cookies before a yes"},
	{"matomo", "Matomo: no requests before a yes"},
	{"meta", "Meta Pixel"},
	{"meta-ldu", "Meta Pixel: Limited Data Use (United States)"},
	{"uet", "Microsoft Advertising (UET)"},
	{"clarity", "Microsoft Clarity"},
	{"piwik-pro", "Piwik PRO"},
	{"posthog", "PostHog"},
	{"segment", "Segment"},
	{"shopify", "Shopify"},
	{"tiktok", "TikTok Pixel"},
	{"wordpress", "WordPress (WP Consent API)"},
}

// DefaultConsentTypes is what each of Google's types means in our categories, as far
// as the notice has them; necessary stands in for no other.
func (n *Notice) DefaultConsentTypes() map[string]string {
	types := map[string]string{"security_storage": "necessary"}
	for category, followers := range map[string][]string{
		"advertising": {"ad_storage", "ad_user_data", "ad_personalization"},
		"analytics":   {"analytics_storage"},
		"functional":  {"functionality_storage", "personalization_storage"},
	} {
		if n.category(category) == nil {
			category = n.Categories[len(n.Categories)-1].Key
		}
		for _, t := range followers {
			types[t] = category
		}
	}
	return types
}

// Advanced tells whether Google's tags may send before a choice.
func (n *Notice) Advanced() bool {
	return n.Signals != nil && n.Signals.ConsentMode != nil && n.Signals.ConsentMode.Mode == "advanced"
}

// Layer is the data layer's name.
func (n *Notice) Layer() string {
	if n.Signals == nil || n.Signals.DataLayer == "" {
		return "dataLayer"
	}
	return n.Signals.DataLayer
}

var (
	layerPattern  = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,62}$`)
	regionPattern = regexp.MustCompile(`^[A-Z]{2}(-[A-Z0-9]{1,3})?$`)
)

const (
	maxRegions = 300
	maxWait    = 10_000 // milliseconds
)

func (n *Notice) checkSignals() error {
	if err := n.checkTold(); err != nil {
		return err
	}
	s := n.Signals
	if s == nil {
		return nil
	}
	switch {
	case s.DataLayer != "" && !layerPattern.MatchString(s.DataLayer):
		return wrong("The data layer's name %q is not usable. It is a JavaScript name, most often dataLayer.", s.DataLayer)
	case !countryPattern.MatchString(s.Country):
		return wrong("The country for Amazon is a code of two capital letters, for example DE, or empty.")
	case s.ConsentMode != nil:
		return s.ConsentMode.validate(n)
	}
	return nil
}

// checkTold checks the signals of services against the settings that they need.
func (n *Notice) checkTold() error {
	google := false
	for i := range n.Services {
		s := &n.Services[i]
		if s.Signal != "" && !slices.ContainsFunc(Tools, func(t Tool) bool { return t.Signal == s.Signal }) {
			return wrong("The signal %q of %s is unknown. Leave it out, or use one of the documented ones, for example google or matomo.", s.Signal, s.Key)
		}
		google = google || s.Signal == "google" && s.Category != "necessary"
		switch {
		case s.Signal == "google" && (n.Signals == nil || n.Signals.ConsentMode == nil):
			return wrong("The service %s is told through Google Consent Mode, which is off. Turn it on under Signals, or choose that the service is told nothing.", s.Key)
		case s.Signal == "amazon" && (n.Signals == nil || n.Signals.Country == ""):
			return wrong("Amazon wants to know whose law applies to what %s sends. Enter the country for Amazon under Signals.", s.Key)
		case s.Signal == "meta-ldu" && n.Regime == "opt-in":
			return wrong("Limited Data Use of %s is for visitors who opt out. Where consent is asked for first, use Meta's ordinary signal.", s.Key)
		}
	}
	if n.Advanced() && !google {
		return wrong("Consent Mode's advanced form opens the hosts of Google's services before a choice. Mark the services that it is about as told through Google, or use the basic form.")
	}
	return nil
}

func (m *ConsentMode) validate(n *Notice) error {
	switch {
	case !oneOf(m.Mode, "basic", "advanced"):
		return wrong("Consent Mode is basic or advanced, not %q.", m.Mode)
	case m.Wait < 0 || m.Wait > maxWait:
		return wrong("Google's tags wait for a choice between 0 and %d milliseconds, not %d.", maxWait, m.Wait)
	case len(m.Regions) > maxRegions:
		return wrong("Consent Mode takes at most %d regions.", maxRegions)
	case len(m.Types) != len(ConsentTypes):
		return wrong("Consent Mode needs a category for each of Google's %d types: %s.", len(ConsentTypes), strings.Join(ConsentTypes, ", "))
	}
	for _, t := range ConsentTypes {
		if n.category(m.Types[t]) == nil {
			return wrong("Google's type %s follows the category %q, which this notice does not have.", t, m.Types[t])
		}
	}
	seen := map[string]bool{}
	for _, r := range m.Regions {
		if !regionPattern.MatchString(r) {
			return wrong("The region %q is not usable. Write DE, or US-CA for a part of a country, in capital letters.", r)
		}
		if seen[r] {
			return wrong("The region %s is there twice.", r)
		}
		seen[r] = true
	}
	return nil
}

// filled is a copy in which no list or map is nil.
func (s *Signals) filled() *Signals {
	if s == nil {
		return nil
	}
	c := *s
	if s.ConsentMode != nil {
		m := *s.ConsentMode
		m.Regions = append([]string{}, m.Regions...)
		if m.Types = maps.Clone(m.Types); m.Types == nil {
			m.Types = map[string]string{}
		}
		c.ConsentMode = &m
	}
	return &c
}
