package choice

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"assent/internal/fault"
	"assent/internal/regime/packs"
)

// Manifest is what a gate has to know of a site's published notice; the consent
// server answers with it at /b/{site}/gate.json.
type Manifest struct {
	Schema     int    `json:"schema"` // 1
	Site       string `json:"site"`
	Version    string `json:"version"`              // SHA-256 of the notice version, hex
	Scope      string `json:"scope"`                // what a choice is about, 16 hex digits
	ChoiceDays int    `json:"choice_days"`          // how long a choice holds
	Regime     string `json:"regime"`               // opt-in, opt-out or notice-only
	HonourGPC  bool   `json:"honour_gpc"`           // Sec-GPC: 1 counts as a refusal
	HonourDNT  bool   `json:"honour_dnt,omitempty"` // so does DNT: 1
	// Exempt are the categories that may be used until refused although visitors are asked.
	Exempt []string `json:"exempt,omitempty"`
	// Variants are the other ways in which the notice behaves, each in some places. What
	// stands beside them is the strictest, which holds where a visitor's place is not known.
	Variants []Variant      `json:"variants,omitempty"`
	Places   *packs.ByPlace `json:"places,omitempty"` // which variant where
	// Enforce is false where the site does without a policy: then the boot is
	// injected and no header is sent.
	Enforce    bool      `json:"enforce"`
	Undeclared string    `json:"undeclared"` // block, with_all or report
	Origin     string    `json:"origin"`     // where visitors reach the consent server: scheme and host
	Domains    []string  `json:"domains"`
	Categories []string  `json:"categories"` // necessary first
	Services   []Service `json:"services"`
	// Boot is JavaScript to stand inline in the page, or "" while Tag's script does
	// its work.
	Boot string `json:"boot"`
	Tag  string `json:"tag"` // the element to paste by hand
}

// Variant is what a notice does differently in some places; the members are those of
// Manifest.
type Variant struct {
	Name       string   `json:"name"` // as the scripts have it; the strictest has none
	Scope      string   `json:"scope"`
	ChoiceDays int      `json:"choice_days"`
	Regime     string   `json:"regime"`
	HonourGPC  bool     `json:"honour_gpc"`
	Exempt     []string `json:"exempt,omitempty"`
}

// In is the manifest as it is for visitors of a place: a country (ISO 3166-1) and a
// subdivision (ISO 3166-2), "" where they are not known. The name is the variant's, "" for
// the strictest, which is the manifest itself.
func (m *Manifest) In(country, subdivision string) (of *Manifest, name string) {
	name = m.Places.For(country, subdivision)
	i := slices.IndexFunc(m.Variants, func(v Variant) bool { return v.Name == name })
	if i < 0 {
		return m, ""
	}
	return m.As(m.Variants[i]), name
}

// As is the manifest as a variant has it.
func (m *Manifest) As(v Variant) *Manifest {
	c := *m
	c.Scope, c.ChoiceDays, c.Regime, c.HonourGPC, c.Exempt = v.Scope, v.ChoiceDays, v.Regime, v.HonourGPC, v.Exempt
	return &c
}

// Service is a service as far as a policy needs it.
type Service struct {
	Key      string   `json:"key"`
	Category string   `json:"category"`
	Hosts    []string `json:"hosts"`
	// Open lets its hosts be reached before a choice and after a refusal: Google's in
	// the advanced form of Consent Mode.
	Open bool `json:"open,omitempty"`
	// Embed lets a visitor show its content once, without a consent: see Once.
	Embed bool `json:"embed,omitempty"`
}

// MaxManifest is the size of a manifest in bytes that is still read.
const MaxManifest = 2 << 20

// maxBoot bounds what every page carries, in bytes.
const maxBoot = 64 << 10

// What stands in a header or in mark-up must not have a meaning of its own there.
var (
	hostForm  = regexp.MustCompile(`^(\*\.)?[a-z0-9_.-]+(:([0-9]{1,5}|\*))?$|^\[[0-9a-f:.]+\](:[0-9]{1,5})?$`)
	keyForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	hashForm  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	scopeForm = regexp.MustCompile(`^[0-9a-f]{16}$`)
	bootTrap  = regexp.MustCompile(`(?i)</script|<script|<!--`)
)

// PageHost returns a Host header as a policy may have it, lower case, or "" when
// it is none.
func PageHost(header string) string {
	host := strings.ToLower(header)
	if len(host) > 260 || host == "" || host[0] == '*' || !hostForm.MatchString(host) {
		return ""
	}
	return host
}

// ReadManifest reads and checks what a consent server answered.
func ReadManifest(data []byte) (*Manifest, error) {
	if len(data) > MaxManifest {
		return nil, fault.New(fault.Invalid, "The gate's manifest is longer than %d bytes.", MaxManifest)
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The gate's manifest is no JSON of the expected form. Is --server the address of an Assent server?")
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Manifest) check() error {
	switch {
	case m.Schema != 1:
		return fault.New(fault.Invalid, "The gate's manifest has schema %d and this gate reads 1. Use the same release for server and gate.", m.Schema)
	case !keyForm.MatchString(m.Site):
		return fault.New(fault.Invalid, "The gate's manifest names the site %q, which is no site key.", m.Site)
	case !hashForm.MatchString(m.Version):
		return fault.New(fault.Invalid, "The gate's manifest names the notice version %q, which is no SHA-256.", m.Version)
	case len(m.Boot) > maxBoot || bootTrap.MatchString(m.Boot):
		return fault.New(fault.Invalid, "The boot in the gate's manifest cannot stand in a page.")
	}
	if origin, ok := CleanOrigin(m.Origin); !ok || origin != m.Origin {
		return fault.New(fault.Invalid, "The gate's manifest has the origin %q; scheme and host are wanted.", m.Origin)
	}
	if err := m.checkVariants(); err != nil {
		return err
	}
	hosts := m.Domains
	for _, s := range m.Services {
		if !keyForm.MatchString(s.Key) {
			return fault.New(fault.Invalid, "The gate's manifest has the unusable service key %q.", s.Key)
		}
		hosts = append(hosts[:len(hosts):len(hosts)], s.Hosts...)
	}
	for _, h := range hosts {
		if len(h) > 260 || !hostForm.MatchString(h) {
			return fault.New(fault.Invalid, "The gate's manifest has the unusable host %q.", h)
		}
	}
	for _, c := range m.Categories {
		if !keyForm.MatchString(c) {
			return fault.New(fault.Invalid, "The gate's manifest has the unusable category %q.", c)
		}
	}
	return nil
}

// maxVariants bounds how many ways a notice may behave in.
const maxVariants = 100

func (m *Manifest) checkVariants() error {
	if len(m.Variants) > maxVariants {
		return fault.New(fault.Invalid, "The gate's manifest has %d variants. Use the same release for server and gate.", len(m.Variants))
	}
	names := map[string]bool{"": true}
	for _, v := range append([]Variant{{"", m.Scope, m.ChoiceDays, m.Regime, m.HonourGPC, m.Exempt}}, m.Variants...) {
		if !scopeForm.MatchString(v.Scope) || v.ChoiceDays < 1 || v.ChoiceDays > 3650 {
			return fault.New(fault.Invalid, "The gate's manifest has the scope %q and %d days.", v.Scope, v.ChoiceDays)
		}
		if packs.Rank(v.Regime) == 0 && v.Regime != packs.OptIn {
			return fault.New(fault.Invalid, "The gate's manifest has the unknown regime %q. Use the same release for server and gate.", v.Regime)
		}
		if v.Name != "" && (!keyForm.MatchString(v.Name) || names[v.Name]) {
			return fault.New(fault.Invalid, "The gate's manifest has the unusable variant %q.", v.Name)
		}
		names[v.Name] = true
	}
	if m.Places == nil {
		return nil
	}
	if err := m.Places.Check(func(name string) bool { return names[name] }); err != nil {
		return fault.Wrap(fault.Invalid, err, "The gate's manifest has unusable places. Use the same release for server and gate.")
	}
	return nil
}

// CleanOrigin returns scheme and host of an address that has nothing else.
func CleanOrigin(address string) (string, bool) {
	u, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return "", false
	}
	host := strings.ToLower(u.Host)
	if host == "" || host[0] == '*' || strings.HasSuffix(host, ":*") || !hostForm.MatchString(host) {
		return "", false
	}
	return u.Scheme + "://" + host, true
}
