// Package consent turns what a client says about a visitor's decision into a
// consent record: it reads the body strictly, checks it against the notice
// version that was shown, derives the status, and keeps of the visitor's
// circumstances only what may be kept (a masked network, a device class, a
// browser family).
package consent

import (
	"assent/internal/fault"

	"github.com/google/uuid"
)

// MaxBody is the size of a consent body in bytes that is still read.
const MaxBody = 16 << 10

// Limits of single values, in bytes.
const (
	maxSite     = 64
	maxKey      = 64 // of a category or service
	maxLanguage = 35 // the longest sensible BCP 47 tag (RFC 5646 section 4.4.1)
	maxSignal   = 12 << 10
	maxPage     = 8 << 10 // as sent; what is kept is shorter, see pageLimit
	maxChoices  = 512
)

// Choice is one answer: the key of a category or service, and whether it was
// granted.
type Choice struct {
	Key     string
	Granted bool
}

// Decision is the body of POST /v1/consents, well formed but not yet checked
// against a notice version.
type Decision struct {
	Site       string
	RecordID   uuid.UUID
	ConsentID  uuid.UUID
	Version    string   // SHA-256 of the notice version, 64 lower-case hex digits
	Action     string   // accept_all, accept_necessary, save, withdraw or signal
	Categories []Choice // as sent, each key once
	Services   []Choice // as sent, each key once
	Language   string   // as sent, "" when absent
	Source     string   // banner, preferences, signal or api
	Host       string   // of the page, lower case, no port; "" without a page
	Page       string   // host and path, at most 1,024 bytes; "" without a page
	GPC        bool
	TC, GPP    string
	Regime     *string // name of the notice's variant that the page says it applied, "" for the strictest; nil when absent
}

// Actions that a body may name.
const (
	AcceptAll       = "accept_all"
	AcceptNecessary = "accept_necessary"
	Save            = "save"
	Withdraw        = "withdraw"
	Signal          = "signal"
)

// Members of the body; the order gives each its bit in the set of those seen.
const (
	hasSite = 1 << iota
	hasRecordID
	hasConsentID
	hasVersion
	hasAction
	hasCategories
	hasServices
	hasLanguage
	hasSource
	hasPage
	hasGPC
	hasTC
	hasGPP
	hasRegime
)

var memberBit = map[string]int{
	"site": hasSite, "record_id": hasRecordID, "consent_id": hasConsentID, "version": hasVersion,
	"action": hasAction, "categories": hasCategories, "services": hasServices, "language": hasLanguage,
	"source": hasSource, "page": hasPage, "gpc": hasGPC, "tc": hasTC, "gpp": hasGPP, "regime": hasRegime,
}

var required = []string{"site", "record_id", "consent_id", "version", "action"}

// Decode reads the body of POST /v1/consents. It is strict (RFC 8259, and on
// top of it: one object, no unknown and no repeated member, no control
// character in a string, no lone surrogate), because a record that two readers
// understand differently proves nothing. Errors are faults of kind Invalid, or
// TooLarge above MaxBody.
func Decode(body []byte) (*Decision, error) {
	if len(body) > MaxBody {
		return nil, fault.New(fault.TooLarge, "The body is larger than 16 KB. Send one decision, as the API's documentation shows it.")
	}
	in := reader{text: string(body)}
	d := &Decision{}
	seen := 0
	err := in.object(func(key string) error {
		bit := memberBit[key]
		switch {
		case bit == 0:
			return fault.New(fault.Invalid, "The body has a member %q that is not known here. Check its spelling, or remove it.", shorten(key))
		case seen&bit != 0:
			return fault.New(fault.Invalid, "The body has the member %q twice. Send it once.", key)
		}
		seen |= bit
		return d.member(&in, bit, key)
	})
	if err != nil {
		return nil, err
	}
	if err := in.end(); err != nil {
		return nil, err
	}
	for _, key := range required {
		if seen&memberBit[key] == 0 {
			return nil, fault.New(fault.Invalid, "The body has no member %q. It needs site, record_id, consent_id, version and action.", key)
		}
	}
	if d.Source == "" { // nothing claims that a banner was shown
		d.Source = "api"
		if d.Action == Signal {
			d.Source = "signal"
		}
	}
	return d, nil
}

func (d *Decision) member(in *reader, bit int, key string) (err error) {
	switch bit {
	case hasSite:
		d.Site, err = in.token(key, maxSite, isKey)
	case hasRecordID:
		d.RecordID, err = in.uuid(key)
	case hasConsentID:
		d.ConsentID, err = in.uuid(key)
	case hasVersion:
		d.Version, err = in.token(key, 64, isHex)
		if err == nil && len(d.Version) != 64 {
			err = fault.New(fault.Invalid, "The member \"version\" must be the 64 lower-case hex digits that name a notice version.")
		}
	case hasAction:
		d.Action, err = in.oneOf(key, AcceptAll, AcceptNecessary, Save, Withdraw, Signal)
	case hasCategories:
		d.Categories, err = in.choices(key)
	case hasServices:
		d.Services, err = in.choices(key)
	case hasLanguage:
		d.Language, err = in.language(key)
	case hasSource:
		d.Source, err = in.oneOf(key, "banner", "preferences", "signal", "api")
	case hasPage:
		var address string
		if address, err = in.limited(key, maxPage); err == nil {
			d.Host, d.Page, err = splitPage(address)
		}
	case hasGPC:
		d.GPC, err = in.boolean(key)
	case hasTC:
		d.TC, err = in.signal(key)
	case hasGPP:
		d.GPP, err = in.signal(key)
	case hasRegime:
		var name string
		name, err = in.limited(key, maxKey)
		d.Regime = &name
	}
	return err
}

// limited reads a string of at most limit bytes without control characters
// (PostgreSQL's text refuses NUL, and a log or page would be confused by the rest).
func (in *reader) limited(key string, limit int) (string, error) {
	s, err := in.str(key)
	if err != nil {
		return "", err
	}
	if len(s) > limit {
		return "", fault.New(fault.Invalid, "The member %q is longer than %d bytes.", key, limit)
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return "", fault.New(fault.Invalid, "The member %q holds a control character. Remove it.", key)
		}
	}
	return s, nil
}

// token reads a string of 1 to limit bytes, all of which are allowed.
func (in *reader) token(key string, limit int, allowed func(byte) bool) (string, error) {
	s, err := in.limited(key, limit)
	if err != nil {
		return "", err
	}
	if s == "" {
		return "", fault.New(fault.Invalid, "The member %q is empty.", key)
	}
	for i := range len(s) {
		if !allowed(s[i]) {
			return "", fault.New(fault.Invalid, "The member %q holds a character that it cannot have.", key)
		}
	}
	return s, nil
}

func (in *reader) oneOf(key string, values ...string) (string, error) {
	s, err := in.limited(key, 32)
	if err != nil {
		return "", err
	}
	for _, v := range values {
		if s == v {
			return v, nil
		}
	}
	return "", fault.New(fault.Invalid, "The member %q is %q; it must be one of %s.", key, s, list(values))
}

// uuid reads a UUID of any version in the canonical form of RFC 9562 section 4,
// in lower case, so that one ID has one spelling. The nil UUID is nobody's.
func (in *reader) uuid(key string) (uuid.UUID, error) {
	s, err := in.limited(key, 64)
	if err != nil {
		return uuid.Nil, err
	}
	id, ok := parseUUID(s)
	if !ok || id == uuid.Nil {
		return uuid.Nil, fault.New(fault.Invalid, "The member %q must be a UUID in lower case, like 0190f5fe-7c00-7a00-8000-0123456789ab, and not the nil UUID.", key)
	}
	return id, nil
}

// parseUUID reads the canonical lower-case form and no other.
func parseUUID(s string) (uuid.UUID, bool) {
	if len(s) != 36 {
		return uuid.Nil, false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && !isHex(s[i]) {
			return uuid.Nil, false
		}
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}

func (in *reader) choices(key string) ([]Choice, error) {
	list := make([]Choice, 0, 4)
	var known map[string]bool // only for long lists, where comparing each with each is slow
	err := in.object(func(name string) error {
		if name == "" || len(name) > maxKey {
			return fault.New(fault.Invalid, "A name in %q is empty or longer than %d bytes.", key, maxKey)
		}
		for i := range len(name) {
			if !isKey(name[i]) {
				return fault.New(fault.Invalid, "A name in %q holds a character that it cannot have. Names are lower-case letters, digits, hyphens and underscores.", key)
			}
		}
		if repeated(list, known, name) {
			return fault.New(fault.Invalid, "The member %q names %q twice. Name it once.", key, name)
		}
		granted, err := in.boolean(key)
		if err != nil {
			return err
		}
		if list = append(list, Choice{name, granted}); len(list) > maxChoices {
			return fault.New(fault.Invalid, "The member %q names more than %d entries.", key, maxChoices)
		}
		if len(list) == 16 {
			known = make(map[string]bool, 64)
			for _, c := range list {
				known[c.Key] = true
			}
		} else if known != nil {
			known[name] = true
		}
		return nil
	})
	return list, err
}

func repeated(list []Choice, known map[string]bool, name string) bool {
	if known != nil {
		return known[name]
	}
	for _, c := range list {
		if c.Key == name {
			return true
		}
	}
	return false
}

// language reads a BCP 47 tag by its alphabet; whether the notice has it is
// another question.
func (in *reader) language(key string) (string, error) {
	s, err := in.limited(key, maxLanguage)
	if err != nil {
		return "", err
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '-' {
			return "", fault.New(fault.Invalid, "The member %q must be a language tag such as de or pt-BR.", key)
		}
	}
	return s, nil
}

// signal reads an IAB string: base64url, with the separators of TCF (.) and GPP (~).
func (in *reader) signal(key string) (string, error) {
	s, err := in.limited(key, maxSignal)
	if err != nil {
		return "", err
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '-' && c != '_' && c != '.' && c != '~' {
			return "", fault.New(fault.Invalid, "The member %q must be an IAB consent string (base64url with . or ~), or empty.", key)
		}
	}
	return s, nil
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

func isKey(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
