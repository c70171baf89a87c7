package receipt

import (
	"errors"
	"strings"
	"unicode/utf8"
)

var errForm = errors.New("the record is not canonical JSON (RFC 8785) with exactly the members of " + RecordType)

// ParseRecord reads a record in canonical form and nothing else: exactly the
// bytes that Canonical writes. Members that are missing, unknown, repeated, in
// another order or loosely written are an error, so two different inputs never
// give the same record.
func ParseRecord(data []byte) (*Record, error) {
	r := new(Record)
	if err := r.Parse(data); err != nil {
		return nil, err
	}
	return r, nil
}

// Parse is ParseRecord into a record that is used again: its maps are emptied
// and filled. After an error the record holds nothing of use.
func (r *Record) Parse(data []byte) error { return r.ParseString(string(data)) }

// ParseString is Parse of a string, which the record's values share.
func (r *Record) ParseString(text string) error {
	s := scanner{text: text}
	s.record(r)
	if s.failed || s.at != len(s.text) || r.Type != RecordType {
		return errForm
	}
	return nil
}

// scanner reads canonical JSON whose members are known in advance. After a
// failure every further step is without effect.
type scanner struct {
	text   string
	at     int
	failed bool
}

func (s *scanner) record(r *Record) {
	r.Action = s.member(`{"action":`)
	r.Browser = s.member(`,"browser":`)
	r.Categories = s.choices(`,"categories":`, r.Categories)
	r.ConsentID = s.member(`,"consent_id":`)
	r.Country = s.member(`,"country":`)
	r.Device = s.member(`,"device":`)
	r.GPC = s.flag(`,"gpc":`)
	r.GPP = s.member(`,"gpp":`)
	r.Language = s.member(`,"language":`)
	r.Network = s.member(`,"network":`)
	r.Page = s.member(`,"page":`)
	r.RecordID = s.member(`,"record_id":`)
	r.Services = s.choices(`,"services":`, r.Services)
	r.Site = s.member(`,"site":`)
	r.Source = s.member(`,"source":`)
	r.Status = s.member(`,"status":`)
	r.TC = s.member(`,"tc":`)
	r.Time = s.member(`,"time":`)
	r.Type = s.member(`,"type":`)
	r.Version = s.member(`,"version":`)
	s.expect("}")
}

func (s *scanner) expect(literal string) {
	if s.failed = s.failed || !strings.HasPrefix(s.text[s.at:], literal); !s.failed {
		s.at += len(literal)
	}
}

func (s *scanner) accept(literal string) bool {
	if s.failed || !strings.HasPrefix(s.text[s.at:], literal) {
		return false
	}
	s.at += len(literal)
	return true
}

func (s *scanner) member(name string) string {
	s.expect(name)
	return s.string()
}

func (s *scanner) flag(name string) bool {
	s.expect(name)
	if s.accept("true") {
		return true
	}
	s.expect("false")
	return false
}

func (s *scanner) choices(name string, choices map[string]bool) map[string]bool {
	s.expect(name)
	s.expect("{")
	if clear(choices); choices == nil {
		choices = make(map[string]bool)
	}
	if s.accept("}") {
		return choices
	}
	for last := ""; !s.failed; {
		key := s.string()
		if len(choices) > 0 && compareUTF16(last, key) >= 0 {
			s.failed = true
		}
		choices[key] = s.flag(":")
		last = key
		if s.accept("}") {
			break
		}
		s.expect(",")
	}
	return choices
}

// string reads a string. Without escapes, which is nearly always, the result
// shares the scanner's text.
func (s *scanner) string() string {
	s.expect(`"`)
	if s.failed {
		return ""
	}
	rest := s.text[s.at:]
	if end := strings.IndexByte(rest, '"'); end >= 0 && ordinary(rest[:end]) {
		s.at += end + 1
		return rest[:end]
	}
	for i := range len(rest) {
		switch c := rest[i]; {
		case c == '"':
			s.at += i + 1
			s.failed = !utf8.ValidString(rest[:i])
			return rest[:i]
		case c == '\\':
			return s.escaped(i)
		case c < 0x20:
			s.failed = true
			return ""
		}
	}
	s.failed = true
	return ""
}

// ordinary tells whether a text is of printable ASCII without a backslash, as nearly
// all are.
func ordinary(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= utf8.RuneSelf || c == '\\' {
			return false
		}
	}
	return true
}

// escaped reads on in a string whose first escape is i bytes ahead.
func (s *scanner) escaped(i int) string {
	rest := s.text[s.at:]
	b := []byte(rest[:i])
	for ; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '"':
			s.at += i + 1
			s.failed = !utf8.Valid(b)
			return string(b)
		case c < 0x20:
			s.failed = true
			return ""
		case c != '\\':
			b = append(b, c)
		default:
			value, n := unescape(rest[i:])
			if n == 0 {
				s.failed = true
				return ""
			}
			b = append(b, value)
			i += n - 1
		}
	}
	s.failed = true
	return ""
}

// unescape reads one escape and its length, 0 when RFC 8785 would not write it.
func unescape(s string) (byte, int) {
	if len(s) >= 2 {
		if at := strings.IndexByte(shortEscapes, s[1]); at >= 0 {
			return shortEscaped[at], 2
		}
	}
	if len(s) < 6 || s[1:4] != "u00" || s[4] != '0' && s[4] != '1' {
		return 0, 0
	}
	low := strings.IndexByte(hexDigits, s[5])
	if low < 0 {
		return 0, 0
	}
	c := (s[4]-'0')<<4 | byte(low)
	if strings.IndexByte(shortEscaped, c) >= 0 {
		return 0, 0
	}
	return c, 6
}
