package catalogue

import (
	"slices"
	"strings"

	"assent/internal/fault"
	"assent/internal/site"
)

// countries are the places that data goes to, by code: in English and in German.
var countries = map[string][2]string{
	"AR": {"Argentina", "Argentinien"}, "AU": {"Australia", "Australien"}, "CA": {"Canada", "Kanada"}, "CH": {"Switzerland", "Schweiz"}, "CN": {"China", "China"},
	"GB": {"United Kingdom", "Vereinigtes Königreich"}, "IL": {"Israel", "Israel"}, "IN": {"India", "Indien"}, "JP": {"Japan", "Japan"},
	"NZ": {"New Zealand", "Neuseeland"}, "SG": {"Singapore", "Singapur"}, "US": {"United States", "USA"},
}

var mechanisms = map[string][2]string{
	"dpf":      {"EU-US Data Privacy Framework (GDPR, article 45)", "EU-US Data Privacy Framework (DSGVO, Artikel 45)"},
	"scc":      {"standard contractual clauses (GDPR, article 46)", "Standardvertragsklauseln (DSGVO, Artikel 46)"},
	"adequacy": {"adequacy decision of the European Commission (GDPR, article 45)", "Angemessenheitsbeschluss der Europäischen Kommission (DSGVO, Artikel 45)"},
}

// Words say where data goes and what protects it there, in "en" or "de"; "" when
// it goes nowhere, or nobody knows.
func (t Transfer) Words(language string) string {
	i := 0
	if language == "de" {
		i = 1
	}
	m, ok := mechanisms[t.Mechanism]
	if !ok {
		return ""
	}
	return countries[t.Country][i] + ": " + m[i]
}

// untilDeleted is the lifetime of what has none, in the languages of most sites; a
// number of days and a session the banner says in every language by itself.
var untilDeleted = map[string]string{"da": "indtil det slettes", "de": "bis zur Löschung", "es": "hasta que se borra", "et": "kuni kustutamiseni", "fi": "kunnes poistetaan",
	"fr": "jusqu’à suppression", "it": "fino alla cancellazione", "nl": "tot verwijdering", "pl": "do usunięcia", "pt": "até ser eliminado", "sv": "tills det raderas"}

// UntilDeleted is the lifetime of what a browser keeps until somebody removes it.
const UntilDeleted = "until deleted"

// Service is the entry as a service of the notice, in the notice's languages, and
// what of it the notice has no room for yet, in sentences.
func (e *Entry) Service(n *site.Notice) (s site.Service, missing []string) {
	s = site.Service{Key: e.Key, Name: e.Name, Category: e.Category, Provider: e.Provider, Country: e.Country, PolicyURL: e.PolicyURL,
		Purpose: map[string]string{}, Hosts: slices.Clone(e.Hosts), Trackers: slices.Clone(e.Trackers), Embed: e.Embed, Signal: e.Signal}
	for i, language := range n.Languages {
		base, _, _ := strings.Cut(language, "-")
		if e.Purpose[base] == "" {
			if i > 0 {
				continue
			}
			base = "en" // the first language stands in for every other one, so it says something
		}
		s.Purpose[language] = e.Purpose[base]
		if words := e.Transfer.Words(base); words != "" {
			if s.Transfer == nil {
				s.Transfer = map[string]string{}
			}
			s.Transfer[language] = words
		}
	}
	if len(n.Languages) > 0 {
		base, _, _ := strings.Cut(n.Languages[0], "-")
		for i := range s.Trackers {
			if words := untilDeleted[base]; s.Trackers[i].Lifetime == UntilDeleted && words != "" {
				s.Trackers[i].Lifetime = words
			}
		}
	}
	switch {
	case s.Signal == "google" && (n.Signals == nil || n.Signals.ConsentMode == nil):
		s.Signal = ""
		missing = append(missing, e.Name+" is not told the choice yet: turn on Google Consent Mode under Signals, then choose it at the service.")
	case s.Signal == "amazon" && (n.Signals == nil || n.Signals.Country == ""):
		s.Signal = ""
		missing = append(missing, e.Name+" is not told the choice yet: enter the country for Amazon under Signals, then choose it at the service.")
	}
	return s, missing
}

// Add adds the entries of the keys to the notice, each under the catalogue's key.
// A service that the notice has under that key stays as it is. It returns the keys
// that were added and what the notice has no room for yet.
// Errors: fault.NotFound, a key that the catalogue does not have; fault.Unprocessed,
// a category that the notice does not have. The notice is then unchanged.
func Add(n *site.Notice, keys ...string) (added, missing []string, err error) {
	services := slices.Clone(n.Services)
	for _, key := range keys {
		e := Get(key)
		if e == nil {
			return nil, nil, fault.New(fault.NotFound, "The catalogue has no service %q. Search it: assent catalogue search WORD", key)
		}
		if slices.ContainsFunc(services, func(s site.Service) bool { return s.Key == key }) {
			continue
		}
		if !n.HasCategory(e.Category) {
			return nil, nil, fault.New(fault.Unprocessed, "%s belongs to the category %s, which this notice does not have. Add it as a service of your own.", e.Name, e.Category)
		}
		s, lacks := e.Service(n)
		services, added, missing = append(services, s), append(added, key), append(missing, lacks...)
	}
	n.Services = services
	return added, missing, nil
}

// News is what the catalogue knows of a service that the notice does not say.
type News struct {
	Key, Name string
	Hosts     []string
	Trackers  []site.Tracker
}

// NewsOf lists the services of the notice that carry a key of the catalogue, and of
// which the catalogue knows hosts or trackers that the notice does not name.
func NewsOf(n *site.Notice) []News {
	var list []News
	for i := range n.Services {
		s := &n.Services[i]
		e := Get(s.Key)
		if e == nil {
			continue
		}
		whole, _ := e.Service(n)
		news := News{Key: s.Key, Name: s.Name}
		for _, h := range whole.Hosts {
			if !slices.ContainsFunc(s.Hosts, func(own string) bool { return own == h || site.MatchHost(own, h) }) {
				news.Hosts = append(news.Hosts, h)
			}
		}
		for _, t := range whole.Trackers {
			if !slices.ContainsFunc(s.Trackers, func(own site.Tracker) bool { return own.Kind == t.Kind && site.MatchName(own.Name, t.Name) }) {
				news.Trackers = append(news.Trackers, t)
			}
		}
		if len(news.Hosts)+len(news.Trackers) > 0 {
			list = append(list, news)
		}
	}
	return list
}

// Complete adds to the notice's service what NewsOf lists for it, and nothing else:
// what was written by hand stays. It tells whether there was something.
func Complete(n *site.Notice, key string) bool {
	for _, news := range NewsOf(n) {
		if news.Key != key {
			continue
		}
		services := slices.Clone(n.Services)
		i := slices.IndexFunc(services, func(s site.Service) bool { return s.Key == key })
		services[i].Hosts = append(slices.Clone(services[i].Hosts), news.Hosts...)
		services[i].Trackers = append(slices.Clone(services[i].Trackers), news.Trackers...)
		n.Services = services
		return true
	}
	return false
}
