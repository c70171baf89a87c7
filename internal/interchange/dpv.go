package interchange

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"assent/internal/regime/packs"
	"assent/internal/site"
)

// dpvContext stands in every document, so that nothing has to be fetched to read one:
// the namespaces (W3C Data Privacy Vocabularies and Controls Community Group, DCMI, W3C,
// whose addresses are permanent), and which members hold identifiers or times.
var dpvContext = json.RawMessage(`{` +
	`"dpv":"https://w3id.org/dpv#",` +
	`"pd":"https://w3id.org/dpv/pd#",` +
	`"loc":"https://w3id.org/dpv/loc#",` +
	`"dct":"http://purl.org/dc/terms/",` +
	`"rdf":"http://www.w3.org/1999/02/22-rdf-syntax-ns#",` +
	`"xsd":"http://www.w3.org/2001/XMLSchema#",` +
	`"dct:conformsTo":{"@type":"@id"},` +
	`"dct:source":{"@type":"@id"},` +
	`"dct:created":{"@type":"xsd:dateTime"},` +
	`"dct:issued":{"@type":"xsd:dateTime"},` +
	`"dct:valid":{"@type":"xsd:dateTime"},` +
	`"rdf:value":{"@type":"xsd:duration"},` +
	`"dpv:hasConsentControl":{"@type":"@id"},` +
	`"dpv:hasCountry":{"@type":"@id"},` +
	`"dpv:hasJurisdiction":{"@type":"@id"},` +
	`"dpv:hasLegalBasis":{"@type":"@id"},` +
	`"dpv:hasLocation":{"@type":"@id"},` +
	`"dpv:hasPersonalData":{"@type":"@id"},` +
	`"dpv:hasProcessing":{"@type":"@id"},` +
	`"dpv:hasPurpose":{"@type":"@id"},` +
	`"dpv:isIndicatedAtTime":{"@type":"xsd:dateTime"},` +
	`"dpv:isIndicatedBy":{"@type":"@id"}}`)

// profile27560 names the schema that a record follows: the one of the DPV community
// group for ISO/IEC TS 27560:2023.
const profile27560 = "https://w3id.org/dpv/schema/dpv-27560#record"

// purposeTerms are the purposes of the vocabulary that the categories stand for.
var purposeTerms = map[string]string{
	"functional":  "dpv:ServicePersonalisation",
	"analytics":   "dpv:ServiceUsageAnalytics",
	"advertising": "dpv:Advertising",
}

type dpvRecord struct {
	Context      json.RawMessage `json:"@context"`
	ID           string          `json:"@id"`
	Type         string          `json:"@type"`
	Identifier   string          `json:"dct:identifier"`
	ConformsTo   string          `json:"dct:conformsTo"`
	Created      string          `json:"dct:created"`
	Source       string          `json:"dct:source,omitempty"`
	Subject      dpvSubject      `json:"dpv:hasDataSubject"`
	Controller   dpvController   `json:"dpv:hasDataController"`
	Notices      []dpvNotice     `json:"dpv:hasNotice"`
	Jurisdiction any             `json:"dpv:hasJurisdiction"`
	Processes    []dpvProcess    `json:"dpv:hasProcess"`
	Control      dpvNamed        `json:"dpv:hasConsentControl"`
}

type dpvSubject struct {
	ID         string `json:"@id"`
	Type       string `json:"@type"`
	Identifier string `json:"dct:identifier"`
}

type dpvController struct {
	Type       string   `json:"@type"`
	Identifier string   `json:"dpv:hasIdentifier"` // the site's key
	Name       string   `json:"dpv:hasName"`
	Address    string   `json:"dpv:hasAddress,omitempty"`
	Contact    []string `json:"dpv:hasContact,omitempty"`
}

type dpvNotice struct {
	ID         string `json:"@id"`
	Type       string `json:"@type"`
	Identifier string `json:"dct:identifier,omitempty"`
	Language   string `json:"dct:language,omitempty"`
	Issued     string `json:"dct:issued,omitempty"`
}

type dpvProcess struct {
	Type         string        `json:"@type"`
	Identifier   string        `json:"dct:identifier"` // key of the service or category
	Title        string        `json:"dct:title"`
	Description  *dpvText      `json:"dct:description,omitempty"`
	Purpose      string        `json:"dpv:hasPurpose"`
	LegalBasis   string        `json:"dpv:hasLegalBasis"`
	PersonalData []string      `json:"dpv:hasPersonalData"`
	Processing   []string      `json:"dpv:hasProcessing"`
	Recipient    *dpvRecipient `json:"dpv:hasRecipient,omitempty"`
	Storage      []dpvStorage  `json:"dpv:hasStorageCondition,omitempty"`
	Status       dpvEvent      `json:"dpv:hasConsentStatus"`
}

type dpvRecipient struct {
	Type        string   `json:"@type"`
	Name        string   `json:"dpv:hasName"`
	Country     any      `json:"dpv:hasCountry,omitempty"`
	Description *dpvText `json:"dct:description,omitempty"` // where data goes and what protects it there
}

type dpvStorage struct {
	Type        string `json:"@type"`
	Location    string `json:"dpv:hasLocation"`
	Title       string `json:"dct:title,omitempty"`       // of what is stored
	Description string `json:"dct:description,omitempty"` // how long, in the notice's words
}

type dpvEvent struct {
	Type     string      `json:"@type"`
	Time     string      `json:"dpv:isIndicatedAtTime"`
	By       string      `json:"dpv:isIndicatedBy"`
	Method   string      `json:"dpv:hasIndicationMethod"`
	Duration dpvDuration `json:"dpv:hasDuration"`
}

type dpvDuration struct {
	Type  string `json:"@type"`
	Value string `json:"rdf:value"` // ISO 8601
	Until string `json:"dct:valid"`
}

type dpvNamed struct {
	Type        string `json:"@type"`
	Description string `json:"dct:description"`
}

type dpvText struct {
	Value    string `json:"@value"`
	Language string `json:"@language,omitempty"`
}

// record27560 is the record in the structure of ISO/IEC TS 27560:2023, clause 6.3, as
// the DPV community group's guide maps it. Each purpose has its own state: given, refused,
// or withdrawn, of which only the action withdraw speaks.
func (e *Encoder) record27560(d *decision) any {
	n, c := d.notice(), &e.source.Contact
	doc := &dpvRecord{
		Context: dpvContext, ID: "urn:uuid:" + d.RecordID, Type: "dpv:ConsentRecord", Identifier: d.RecordID,
		ConformsTo: profile27560, Created: d.Time, Source: e.source.Page(d.RecordID),
		Subject:      dpvSubject{"urn:uuid:" + d.ConsentID, "dpv:DataSubject", d.ConsentID},
		Controller:   dpvController{Type: "dpv:DataController", Identifier: n.Site, Name: n.Controller.Name, Address: c.Address},
		Notices:      []dpvNotice{{noticeID(d.Version), "dpv:ConsentNotice", d.Version, d.Language, d.version.PublishedAt.UTC().Format(time.RFC3339)}},
		Jurisdiction: place(d.Country, "not known; asked by the rule "+d.variant.Regime),
		Processes:    []dpvProcess{},
		Control:      dpvNamed{"dpv:WithdrawConsent", "the privacy preferences, which every page of the site opens"},
	}
	for _, contact := range []string{c.Name, c.Email, c.Phone} {
		if contact != "" {
			doc.Controller.Contact = append(doc.Controller.Contact, contact)
		}
	}
	if url := n.Controller.PolicyURL; url != "" {
		doc.Notices = append(doc.Notices, dpvNotice{ID: url, Type: "dpv:PrivacyNotice"})
	}
	for _, p := range d.purposes() {
		doc.Processes = append(doc.Processes, d.process(&p))
	}
	return doc
}

// noticeID names a notice version by what it is (RFC 6920).
func noticeID(version string) string {
	hash, _ := hex.DecodeString(version)
	return "ni:///sha-256;" + base64.RawURLEncoding.EncodeToString(hash)
}

// place is a country as the location vocabulary has it, or otherwise in words.
func place(country, otherwise string) any {
	switch {
	case country == "XK": // Kosovo has a code by custom, and none in ISO 3166-1
		return dpvNamed{"dpv:Country", country}
	case packs.Known(country):
		return "loc:" + country
	}
	return dpvNamed{"dpv:Jurisdiction", otherwise}
}

func (d *decision) process(p *purpose) dpvProcess {
	key, term := p.category, purposeTerms[p.category]
	if p.service != nil {
		key = p.service.Key
	}
	if term == "" {
		term = "dpv:Purpose"
	}
	basis := "dpv:ExpressedConsent"
	if !d.expressed() {
		basis = "dpv:ImpliedConsent"
	}
	doc := dpvProcess{
		Type: "dpv:Process", Identifier: key, Title: d.name(p), Purpose: term, LegalBasis: basis,
		Status: dpvEvent{
			Type: "dpv:ConsentRefused", Time: d.Time, By: "urn:uuid:" + d.ConsentID, Method: d.method(),
			Duration: dpvDuration{"dpv:TemporalDuration", fmt.Sprintf("P%dD", d.variant.ChoiceDays), d.until().UTC().Format(time.RFC3339)},
		},
	}
	switch {
	case p.granted:
		doc.Status.Type = "dpv:ConsentGiven"
	case d.Action == "withdraw":
		doc.Status.Type = "dpv:ConsentWithdrawn"
	}
	if text, language := d.text(p); text != "" {
		doc.Description = &dpvText{text, language}
	}
	doc.data(p.service)
	if who := d.recipient(p.service); who != "" {
		doc.Recipient = &dpvRecipient{Type: "dpv:ThirdParty", Name: who}
		if country := p.service.Country; packs.Known(country) {
			doc.Recipient.Country = place(country, "")
		}
		if text, language := d.transfer(p.service); text != "" {
			doc.Recipient.Description = &dpvText{text, language}
		}
	}
	return doc
}

// data says what a service handles: the address, which whoever is asked for something
// learns, and what it keeps in the browser, how long.
func (doc *dpvProcess) data(s *site.Service) {
	if transmits(s) {
		doc.PersonalData, doc.Processing = append(doc.PersonalData, "pd:IPAddress"), append(doc.Processing, "dpv:Transmit")
	}
	if s != nil {
		for _, t := range s.Trackers {
			if t.Kind == "request" {
				continue
			}
			doc.Storage = append(doc.Storage, dpvStorage{"dpv:StorageDuration", "dpv:LocalLocation", t.Kind + " " + t.Name, t.Lifetime})
		}
	}
	if len(doc.Storage) > 0 {
		doc.PersonalData, doc.Processing = append(doc.PersonalData, "pd:DeviceBased"), append(doc.Processing, "dpv:Store")
	}
	if len(doc.PersonalData) == 0 {
		doc.PersonalData, doc.Processing = []string{"dpv:PersonalData"}, []string{"dpv:Collect"}
	}
}
