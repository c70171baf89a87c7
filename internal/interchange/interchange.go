// Package interchange says a consent record in the formats of others, so that it can
// be read without knowing ours: ISO/IEC TS 27560 with the terms of the W3C Data Privacy
// Vocabulary, and the Kantara consent receipt. A document is made of the record and of
// the notice version that it names, and stands for itself.
package interchange

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/internal/regime/packs"
	"assent/internal/site"
	"assent/receipt"
)

// Formats.
const (
	JSONLD  = "jsonld"  // consent records of ISO/IEC TS 27560:2023 as JSON-LD, terms of DPV 2.3
	Kantara = "kantara" // Kantara Initiative Consent Receipt Specification 1.1.0
)

// Contact is how the controller can be reached. Both formats have fields for it, a
// notice version has none; each may be empty.
type Contact struct {
	Name    string // a person or an office
	Email   string
	Phone   string // RFC 3966, such as +49-30-1234
	Address string // street, postal code and town
}

// Complete tells whether nothing is missing.
func (c *Contact) Complete() bool {
	return c.Name != "" && c.Email != "" && c.Phone != "" && c.Address != ""
}

// Source is where the rest comes from that a record does not hold itself.
type Source struct {
	Notice  func(ctx context.Context, version string) (*site.Version, error)
	Page    func(recordID string) string // address at which a record and its receipt are shown
	Contact Contact
}

// Encoder makes documents. It is for one goroutine.
type Encoder struct {
	source   Source
	document func(*decision) any
	versions map[string]*version
	out      bytes.Buffer
	json     *json.Encoder
}

// keptVersions bounds the notice versions that are kept; beyond it, they are read anew.
const keptVersions = 32

// NewEncoder makes an encoder for a format; one that is not known is a fault of kind
// Invalid.
func NewEncoder(format string, source Source) (*Encoder, error) {
	e := &Encoder{source: source, versions: map[string]*version{}}
	switch format {
	case JSONLD:
		e.document = e.record27560
	case Kantara:
		e.document = e.kantara
	default:
		return nil, fault.New(fault.Invalid, "Choose %s or %s as the format.", JSONLD, Kantara)
	}
	e.json = json.NewEncoder(&e.out)
	e.json.SetEscapeHTML(false)
	return e, nil
}

// Encode makes the document of a record: one line of JSON with its end, valid until
// the next call.
func (e *Encoder) Encode(ctx context.Context, r *receipt.Record) ([]byte, error) {
	v := e.versions[r.Version]
	if v == nil {
		shown, err := e.source.Notice(ctx, r.Version)
		if err != nil {
			return nil, err
		}
		if len(e.versions) >= keptVersions {
			clear(e.versions)
		}
		v = &version{Version: shown, variants: shown.Notice.Variants()}
		e.versions[r.Version] = v
	}
	at, err := time.Parse(receipt.TimeLayout, r.Time)
	if err != nil {
		return nil, fmt.Errorf("the time of record %s: %w", r.RecordID, err)
	}
	e.out.Reset()
	if err := e.json.Encode(e.document(&decision{Record: r, version: v, at: at, variant: v.variant(r)})); err != nil {
		return nil, err
	}
	return e.out.Bytes(), nil
}

// version is a notice version, worked out once.
type version struct {
	*site.Version
	variants *site.Variants
}

// variant is by which rules a visitor was asked: the record says it. One of before records did
// tells the country only, and where the subdivision matters the strictest counts.
func (v *version) variant(r *receipt.Record) *site.Variant {
	regime, _ := strings.CutSuffix(r.Regime, receipt.ByPage)
	for i := range v.variants.List {
		if v.variants.List[i].String() == regime {
			return &v.variants.List[i]
		}
	}
	if found := v.variants.Named(v.variants.For(r.Country, "")); found != nil {
		return found
	}
	return &v.variants.List[0]
}

// decision is a record beside what it was an answer to.
type decision struct {
	*receipt.Record
	version *version
	variant *site.Variant
	at      time.Time
}

func (d *decision) notice() *site.Notice { return d.version.Notice }

// until is when the choice is no longer relied on.
func (d *decision) until() time.Time { return d.at.AddDate(0, 0, d.variant.ChoiceDays) }

// purpose is what was asked in one go: a service, or a category of the notice without
// services.
type purpose struct {
	category string
	service  *site.Service // nil for a category
	granted  bool
}

// purposes are all that the visitor decided on, in the order of the notice. What the
// record has no answer for was not asked.
func (d *decision) purposes() []purpose {
	var list []purpose
	n := d.notice()
	for _, c := range n.Categories {
		if c.Key == "necessary" {
			continue
		}
		found := false
		for i := range n.Services {
			if s := &n.Services[i]; s.Category == c.Key {
				found = true
				if granted, asked := d.Services[s.Key]; asked {
					list = append(list, purpose{c.Key, s, granted})
				}
			}
		}
		if granted, asked := d.Categories[c.Key]; asked && !found {
			list = append(list, purpose{category: c.Key, granted: granted})
		}
	}
	return list
}

// name is what the purpose was called.
func (d *decision) name(p *purpose) string {
	if p.service != nil {
		return p.service.Name
	}
	name, _ := d.categoryName(p.category)
	return name
}

// text is what the visitor was told about the purpose, and in which language.
func (d *decision) text(p *purpose) (text, language string) {
	if p.service == nil {
		return d.said(func(t *site.Texts) string { return t.CategoryDescription[p.category] })
	}
	for _, language := range d.languages() {
		if text := p.service.Purpose[language]; text != "" {
			return text, language
		}
	}
	return d.categoryName(p.category)
}

func (d *decision) categoryName(key string) (text, language string) {
	if text, language = d.said(func(t *site.Texts) string { return t.CategoryName[key] }); text == "" {
		return key, ""
	}
	return text, language
}

// transfer is what the visitor was told about where a service's data goes.
func (d *decision) transfer(s *site.Service) (text, language string) {
	for _, language := range d.languages() {
		if text := s.Transfer[language]; text != "" {
			return text, language
		}
	}
	return "", ""
}

func (d *decision) said(of func(*site.Texts) string) (text, language string) {
	for _, language := range d.languages() {
		if t, ok := d.notice().Texts[language]; ok && of(&t) != "" {
			return of(&t), language
		}
	}
	return "", ""
}

// languages are the one that was shown and the notice's first, which stands in for it.
func (d *decision) languages() []string {
	if list := d.notice().Languages; len(list) > 0 && list[0] != d.Language {
		return []string{d.Language, list[0]}
	}
	return []string{d.Language}
}

// expressed tells whether the consent to what was granted is an act of its own. Under
// an opt-out everything is switched on beforehand: to save that accepts it, but is no
// affirmative act (GDPR article 4(11)).
func (d *decision) expressed() bool {
	return d.variant.Regime == packs.OptIn || d.Action == "accept_all"
}

// recipient is who else receives data: "" where a service sends none, or only to the
// controller.
func (d *decision) recipient(s *site.Service) string {
	if !transmits(s) {
		return ""
	}
	who := strings.TrimSpace(s.Provider)
	if who == "" {
		who = s.Name
	}
	if who == d.notice().Controller.Name {
		return ""
	}
	return who
}

// transmits tells whether a service, or none, has the browser send something.
func transmits(s *site.Service) bool {
	return s != nil && (len(s.Hosts) > 0 || slices.ContainsFunc(s.Trackers, func(t site.Tracker) bool {
		return t.Kind == "request" || t.Kind == "third_party_cookie"
	}))
}

// method says how the visitor decided.
func (d *decision) method() string {
	where := map[string]string{
		"banner": "consent banner on a web page", "preferences": "privacy preferences on a web page",
		"signal": "signal of the browser", "api": "form of the site itself",
	}[d.Source]
	if where == "" {
		where = "web page"
	}
	what := map[string]string{
		"accept_all": "accepted everything", "accept_necessary": "refused everything optional", "save": "saved single choices",
		"withdraw": "withdrew everything", "signal": "refused everything optional by the signal",
	}[d.Action]
	if what == "" {
		what = d.Action
	}
	if d.GPC {
		what += "; Global Privacy Control was sent"
	}
	return where + ": " + what
}
