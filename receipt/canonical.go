package receipt

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// TimeLayout is how Record.Time is written: RFC 3339 in UTC with milliseconds,
// for time.Time.UTC().Format.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// Canonical returns the record as canonical JSON (RFC 8785): the bytes that the
// register commits to. A byte that is no UTF-8 becomes U+FFFD; should two map
// keys become equal by that, a denial wins. Nil maps are written as {}.
func (r *Record) Canonical() []byte {
	return r.AppendCanonical(make([]byte, 0, 768))
}

// AppendCanonical appends the record's canonical JSON to dst.
func (r *Record) AppendCanonical(dst []byte) []byte {
	dst = appendMember(dst, `{"action":`, r.Action)
	dst = appendMember(dst, `,"browser":`, r.Browser)
	dst = appendChoices(append(dst, `,"categories":`...), r.Categories)
	dst = appendMember(dst, `,"consent_id":`, r.ConsentID)
	dst = appendMember(dst, `,"country":`, r.Country)
	dst = appendMember(dst, `,"device":`, r.Device)
	dst = appendBool(append(dst, `,"gpc":`...), r.GPC)
	dst = appendMember(dst, `,"gpp":`, r.GPP)
	dst = appendMember(dst, `,"language":`, r.Language)
	dst = appendMember(dst, `,"network":`, r.Network)
	dst = appendMember(dst, `,"page":`, r.Page)
	dst = appendMember(dst, `,"record_id":`, r.RecordID)
	if r.Type != RecordTypeV1 {
		dst = appendMember(dst, `,"regime":`, r.Regime)
	}
	dst = appendChoices(append(dst, `,"services":`...), r.Services)
	dst = appendMember(dst, `,"site":`, r.Site)
	dst = appendMember(dst, `,"source":`, r.Source)
	dst = appendMember(dst, `,"status":`, r.Status)
	dst = appendMember(dst, `,"tc":`, r.TC)
	dst = appendMember(dst, `,"time":`, r.Time)
	dst = appendMember(dst, `,"type":`, r.Type)
	dst = appendMember(dst, `,"version":`, r.Version)
	return append(dst, '}')
}

func appendMember(dst []byte, name, value string) []byte {
	return appendString(append(dst, name...), value)
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}

func appendChoices(dst []byte, choices map[string]bool) []byte {
	var room [24]string // enough for nearly every notice, and on the stack
	keys := room[:0]
	for k := range choices {
		if !utf8.ValidString(k) {
			return appendChoices(dst, validKeys(choices))
		}
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareUTF16)
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendBool(append(appendString(dst, k), ':'), choices[k])
	}
	return append(dst, '}')
}

func validKeys(choices map[string]bool) map[string]bool {
	valid := make(map[string]bool, len(choices))
	for k, v := range choices {
		k = string([]rune(k)) // one U+FFFD for every byte that is no UTF-8
		if before, taken := valid[k]; taken {
			v = v && before
		}
		valid[k] = v
	}
	return valid
}

// compareUTF16 orders valid UTF-8 strings by their UTF-16 code units (RFC 8785,
// 3.2.3). That is byte order, but for one case: characters above U+FFFF are
// written with surrogates, which sort before U+E000 to U+FFFF.
func compareUTF16(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x >= 0xee && y >= 0xee && (x >= 0xf0) != (y >= 0xf0) {
			return int(y) - int(x)
		}
		return int(x) - int(y)
	}
	return len(a) - len(b)
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string as RFC 8785, 3.2.2.2 wants it.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += n
			continue
		}
		dst = append(append(dst, s[start:i]...), '\\')
		if at := strings.IndexByte(shortEscaped, c); at >= 0 {
			dst = append(dst, shortEscapes[at])
		} else {
			dst = append(dst, 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// Characters that have an escape of two characters, and its second one.
const (
	shortEscaped = "\"\\\b\t\n\f\r"
	shortEscapes = `"\btnfr`
)
