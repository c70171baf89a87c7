package consent

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/internal/site"
	"assent/receipt"
)

// Statuses, derived and never taken from a client.
const (
	AcceptedAll       = "accepted_all"
	AcceptedPartially = "accepted_partially"
	AcceptedNecessary = "accepted_necessary"
)

// necessary is the category that nobody decides on.
const necessary = "necessary"

// Circumstances is what the server itself knows of a decision.
type Circumstances struct {
	Time    time.Time // the server's clock
	Network string    // masked, see MaskIP; "" when unknown
	Country string    // ISO 3166-1 alpha-2; "" when unknown
	Part    string    // ISO 3166-2 of the subdivision, which is not recorded; "" when unknown
	Device  string    // see ParseAgent
	Browser string    // see ParseAgent
}

// Record checks the decision against the notice version that was shown and
// makes the whole consent record: an answer for every optional category and for
// every service outside necessary, and the status. A decision that the version
// cannot have led to is a fault of kind Unprocessed.
//
// accept_all grants everything; accept_necessary, withdraw and signal refuse
// everything (a browser's signal can refuse, never grant); what the client sends
// beside these actions may only agree. With save, a category that is not named
// is refused, and a service that is not named follows its category. A refusal of
// a service that the version does not have is dropped: a page with an older list
// may send it.
func (d *Decision) Record(v *site.Version, c Circumstances) (*receipt.Record, error) {
	if d.Site != v.Site || d.Version != v.Version {
		return nil, fault.New(fault.Unprocessed, "This notice version is not one of the site's. Load the page again, so that the current notice is shown.")
	}
	if d.Source == "signal" && d.Action != Signal {
		return nil, fault.New(fault.Unprocessed, "A browser's signal can only refuse. Send the action signal with the source signal.")
	}
	categories, err := d.categories(v.Notice)
	if err != nil {
		return nil, err
	}
	services, err := d.services(v.Notice, categories)
	if err != nil {
		return nil, err
	}
	return &receipt.Record{
		Type: receipt.RecordType, Time: c.Time.UTC().Format(receipt.TimeLayout),
		RecordID: d.RecordID.String(), ConsentID: d.ConsentID.String(), Regime: d.regime(v, c),
		Site: d.Site, Version: d.Version, Action: d.Action, Source: d.Source,
		Status: status(categories, services), Categories: categories, Services: services,
		Language: shownLanguage(d.Language, v.Notice.Languages), Page: d.Page,
		GPC: d.GPC, TC: d.TC, GPP: d.GPP,
		Network: c.Network, Country: c.Country, Device: c.Device, Browser: c.Browser,
	}, nil
}

// regime is by which rule the visitor was asked. A notice with one rule leaves no doubt. Of
// several, the page says which one its script was compiled for, and is believed where that is the
// strictest, which may govern anywhere, or the one of the visitor's place; else the record says that
// it is the page's word. A name that the version does not have says nothing (another
// release may have had it), and the place decides, as it does for a body without one.
func (d *Decision) regime(v *site.Version, c Circumstances) string {
	if len(v.Notice.Regimes) == 0 {
		return v.Notice.Regime
	}
	variants := v.Variants()
	place := variants.Named(variants.For(c.Country, c.Part))
	if d.Regime == nil {
		return place.String()
	}
	switch applied := variants.Named(*d.Regime); {
	case applied == nil:
		return place.String()
	case applied == place || applied.Name == "":
		return applied.String()
	default:
		return applied.String() + receipt.ByPage
	}
}

func (d *Decision) categories(n *site.Notice) (map[string]bool, error) {
	answers := make(map[string]bool, len(n.Categories))
	for i := range n.Categories {
		if key := n.Categories[i].Key; key != necessary {
			answers[key] = d.Action == AcceptAll
		}
	}
	for _, c := range d.Categories {
		if c.Key == necessary {
			if !c.Granted {
				return nil, fault.New(fault.Unprocessed, "The category necessary cannot be refused. Leave it out.")
			}
			continue
		}
		answer, known := answers[c.Key]
		switch {
		case !known:
			return nil, fault.New(fault.Unprocessed, "The notice version has no category %q. Send the categories of the version that was shown.", c.Key)
		case d.Action == Save:
			answers[c.Key] = c.Granted
		case answer != c.Granted:
			return nil, d.contradiction("category", c)
		}
	}
	return answers, nil
}

func (d *Decision) services(n *site.Notice, categories map[string]bool) (map[string]bool, error) {
	answers := make(map[string]bool, len(n.Services))
	for i := range n.Services {
		if s := &n.Services[i]; s.Category != necessary {
			answers[s.Key] = categories[s.Category]
		}
	}
	for _, c := range d.Services {
		answer, known := answers[c.Key]
		switch {
		case !known && isNecessary(n, c.Key):
			if !c.Granted {
				return nil, fault.New(fault.Unprocessed, "The service %q is necessary and cannot be refused. Leave it out.", c.Key)
			}
		case !known && !c.Granted: // a refusal of what is not there changes nothing
		case !known:
			return nil, fault.New(fault.Unprocessed, "The notice version has no service %q. Send the services of the version that was shown.", c.Key)
		case d.Action == Save:
			answers[c.Key] = c.Granted
		case answer != c.Granted:
			return nil, d.contradiction("service", c)
		}
	}
	return answers, nil
}

func isNecessary(n *site.Notice, service string) bool {
	for i := range n.Services {
		if n.Services[i].Key == service {
			return n.Services[i].Category == necessary
		}
	}
	return false
}

func (d *Decision) contradiction(what string, c Choice) error {
	answer := "refused"
	if c.Granted {
		answer = "granted"
	}
	return fault.New(fault.Unprocessed, "The action %s contradicts the %s %q being %s. Use the action save for single answers.", d.Action, what, c.Key, answer)
}

// status says what the answers amount to. Where a notice has nothing optional,
// nothing beyond the necessary was accepted: the smaller claim is the true one.
func status(categories, services map[string]bool) string {
	granted, refused := false, false
	for _, answer := range categories {
		granted, refused = granted || answer, refused || !answer
	}
	for _, answer := range services {
		granted, refused = granted || answer, refused || !answer
	}
	switch {
	case granted && refused:
		return AcceptedPartially
	case granted:
		return AcceptedAll
	}
	return AcceptedNecessary
}

// shownLanguage is the language of the notice that was shown: the one asked
// for, else one with the same primary language, else the notice's first, as the
// banner itself falls back. A decision is not lost over a language tag.
func shownLanguage(asked string, languages []string) string {
	for _, l := range languages {
		if strings.EqualFold(l, asked) {
			return l
		}
	}
	primary, _, _ := strings.Cut(asked, "-")
	for _, l := range languages {
		if p, _, _ := strings.Cut(l, "-"); primary != "" && strings.EqualFold(p, primary) {
			return l
		}
	}
	if len(languages) == 0 {
		return ""
	}
	return languages[0]
}

// Same tells whether two payloads (canonical JSON of records) with one record
// ID are the same decision: a repeat over another network, a minute later or in
// another window is, another answer is not.
func Same(stored, again []byte) bool {
	var a, b receipt.Record
	if json.Unmarshal(stored, &a) != nil || json.Unmarshal(again, &b) != nil {
		return false
	}
	return a.Site == b.Site && a.ConsentID == b.ConsentID && a.Version == b.Version && a.Action == b.Action &&
		a.Source == b.Source && a.GPC == b.GPC && a.TC == b.TC && a.GPP == b.GPP &&
		maps.Equal(a.Categories, b.Categories) && maps.Equal(a.Services, b.Services)
}
