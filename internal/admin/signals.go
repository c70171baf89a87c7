package admin

import (
	"net/url"
	"strconv"
	"strings"

	"assent/internal/site"
)

// The editor's section about signals.

// googleType is one of Google's purposes with the category that allows it.
type googleType struct {
	Name, Label string
	Categories  []option
}

var googleLabels = map[string]string{
	"ad_storage":              "Cookies for advertising",
	"ad_user_data":            "Sending visitors’ data for advertising",
	"ad_personalization":      "Personal advertising",
	"analytics_storage":       "Cookies for statistics",
	"functionality_storage":   "Remembering settings",
	"personalization_storage": "Personal content",
	"security_storage":        "Security",
}

// googleView is Consent Mode as the form shows it, on or off.
type googleView struct {
	site.ConsentMode
	RegionText string
}

// Told are the settings of signals.
func (p bannerPage) Told() site.Signals {
	if p.Notice.Signals == nil {
		return site.Signals{}
	}
	return *p.Notice.Signals
}

// Google is Consent Mode; its Mode is "" when it is off.
func (p bannerPage) Google() googleView {
	m := p.Told().ConsentMode
	if m == nil {
		return googleView{}
	}
	return googleView{*m, strings.Join(m.Regions, " ")}
}

// GoogleTypes are Google's purposes; what is off shows what it would start with.
func (p bannerPage) GoogleTypes() []googleType {
	types := p.Google().Types
	if types == nil {
		types = p.Notice.DefaultConsentTypes()
	}
	var list []googleType
	for _, name := range site.ConsentTypes {
		list = append(list, googleType{name, googleLabels[name], p.CategoriesFor(types[name])})
	}
	return list
}

// ToolsFor are the ways in which a service can be told.
func (p bannerPage) ToolsFor(signal string) []option {
	pairs := []string{"", "nothing: it is only blocked until a yes"}
	for _, t := range site.Tools {
		pairs = append(pairs, t.Signal, t.Name)
	}
	return chosen(signal, pairs...)
}

// SignalWords say in short what is told.
func (p bannerPage) SignalWords() string {
	var words []string
	switch p.Google().Mode {
	case "basic":
		words = append(words, "Consent Mode, basic")
	case "advanced":
		words = append(words, "Consent Mode, advanced")
	}
	if p.Told().Event {
		words = append(words, "tag manager")
	}
	tools := 0
	for _, s := range p.Notice.Services {
		if s.Signal != "" && s.Signal != "google" {
			tools++
		}
	}
	if tools > 0 {
		words = append(words, count(tools, "service", "services"))
	}
	if len(words) == 0 {
		return "nothing is told"
	}
	return strings.Join(words, ", ")
}

func waitOf(n *site.Notice) string {
	if n.Signals == nil || n.Signals.ConsentMode == nil {
		return "0"
	}
	return strconv.Itoa(n.Signals.ConsentMode.Wait)
}

// signals reads the section; a form in which nothing is told leaves nothing in
// the notice, so that its version stays the same.
func (f *form) signals(v url.Values) {
	s := &site.Signals{Event: v.Get("signals.event") != "", DataLayer: get(v, "signals.data_layer"), Country: strings.ToUpper(get(v, "signals.country"))}
	f.notice.Signals = s
	if mode := v.Get("signals.consent_mode"); mode != "" {
		m := &site.ConsentMode{Mode: mode, URLPassthrough: v.Get("signals.url_passthrough") != "", AdsDataRedaction: v.Get("signals.ads_data_redaction") != "",
			Regions: strings.Fields(strings.ToUpper(strings.ReplaceAll(v.Get("signals.regions"), ",", " "))), Types: map[string]string{}}
		m.Wait = f.number("signals.wait", f.numbers.Wait, 0, 10_000, "milliseconds")
		for _, name := range site.ConsentTypes {
			m.Types[name] = v.Get("signals." + name)
		}
		s.ConsentMode = m
	}
	if *s == (site.Signals{}) {
		f.notice.Signals = nil
	}
}
