package interchange

import (
	"fmt"
	"slices"

	"assent/internal/site"
)

// kantaraVersion is what the specification wants in the field version (section 4.3.1).
const kantaraVersion = "KI-CR-v1.1.0"

// kantaraReceipt has the fields of sections 4.3 to 4.5 of the specification.
type kantaraReceipt struct {
	Version          string              `json:"version"`
	Jurisdiction     string              `json:"jurisdiction"`
	ConsentTimestamp int64               `json:"consentTimestamp"` // seconds since 1970
	CollectionMethod string              `json:"collectionMethod"`
	ConsentReceiptID string              `json:"consentReceiptID"`
	Language         string              `json:"language,omitempty"`
	PIIPrincipalID   string              `json:"piiPrincipalId"`
	PIIControllers   []kantaraController `json:"piiControllers"`
	PolicyURL        string              `json:"policyUrl"`
	Services         []kantaraService    `json:"services"`
	Sensitive        bool                `json:"sensitive"`
	SPICat           []string            `json:"spiCat"`
}

type kantaraController struct {
	PIIController string         `json:"piiController"`
	OnBehalf      bool           `json:"onBehalf"`
	Contact       string         `json:"contact"`
	Address       kantaraAddress `json:"address"`
	Email         string         `json:"email"`
	Phone         string         `json:"phone"`
}

// kantaraAddress is a schema.org PostalAddress.
type kantaraAddress struct {
	StreetAddress string `json:"streetAddress,omitempty"`
}

type kantaraService struct {
	Service  string           `json:"service"`
	Purposes []kantaraPurpose `json:"purposes"`
}

type kantaraPurpose struct {
	Purpose              string   `json:"purpose"`
	PurposeCategory      []string `json:"purposeCategory"`
	ConsentType          string   `json:"consentType"`
	PIICategory          []string `json:"piiCategory"`
	PrimaryPurpose       bool     `json:"primaryPurpose"` // never: what the service cannot do without asks for no consent
	Termination          string   `json:"termination"`
	ThirdPartyDisclosure bool     `json:"thirdPartyDisclosure"`
	ThirdPartyName       string   `json:"thirdPartyName,omitempty"`
}

// kantara is the record as a consent receipt. It lists what was consented to and nothing
// else: after a refusal or a withdrawal there are no services. A notice says nothing of
// sensitive categories, and so does the receipt.
func (e *Encoder) kantara(d *decision) any {
	n, c := d.notice(), &e.source.Contact
	doc := &kantaraReceipt{
		Version: kantaraVersion, Jurisdiction: d.Country, ConsentTimestamp: d.at.Unix(), CollectionMethod: d.method(),
		ConsentReceiptID: d.RecordID, Language: d.Language, PIIPrincipalID: d.ConsentID,
		PIIControllers: []kantaraController{{PIIController: n.Controller.Name, Contact: c.Name,
			Address: kantaraAddress{c.Address}, Email: c.Email, Phone: c.Phone}},
		PolicyURL: n.Controller.PolicyURL, Services: []kantaraService{}, SPICat: []string{},
	}
	if doc.Jurisdiction == "" {
		doc.Jurisdiction = "not known; asked by the rule " + d.variant.Regime
	}
	for _, p := range d.purposes() {
		if p.granted {
			doc.Services = append(doc.Services, kantaraService{d.name(&p), []kantaraPurpose{d.kantaraPurpose(&p)}})
		}
	}
	return doc
}

func (d *decision) kantaraPurpose(p *purpose) kantaraPurpose {
	doc := kantaraPurpose{
		PurposeCategory: []string{p.category}, ConsentType: "EXPLICIT", PIICategory: piiCategories(p.service),
		Termination: fmt.Sprintf("%d days after the choice, or earlier by withdrawing it in the site's privacy preferences", d.variant.ChoiceDays),
	}
	if doc.Purpose, _ = d.text(p); doc.Purpose == "" {
		doc.Purpose = d.name(p)
	}
	if !d.expressed() {
		doc.ConsentType = "IMPLICIT: switched on beforehand (" + d.variant.Regime + "), and left on when the visitor saved"
	}
	doc.ThirdPartyName = d.recipient(p.service)
	doc.ThirdPartyDisclosure = doc.ThirdPartyName != ""
	return doc
}

func piiCategories(s *site.Service) []string {
	var list []string
	if s != nil {
		if transmits(s) {
			list = append(list, "IP address and what the browser sends with a request")
		}
		if slices.ContainsFunc(s.Trackers, func(t site.Tracker) bool { return t.Kind != "request" }) {
			list = append(list, "information stored in the browser")
		}
	}
	if list == nil {
		list = []string{"as the purpose says"}
	}
	return list
}
