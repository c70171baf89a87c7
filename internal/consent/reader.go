package consent

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"assent/internal/fault"
)

// reader reads the little JSON that a decision needs: objects of strings,
// booleans and objects of booleans. It is our own because encoding/json lets
// repeated members and unpaired surrogates pass, and because this is the hot
// path: a string without escapes is a part of the input, not a copy.
type reader struct {
	text string
	at   int
}

func (in *reader) space() {
	for in.at < len(in.text) {
		switch in.text[in.at] {
		case ' ', '\t', '\n', '\r':
			in.at++
		default:
			return
		}
	}
}

// next skips white space and returns the next byte without taking it, 0 at the
// end: a NUL byte is never right, so the two need no telling apart.
func (in *reader) next() byte {
	in.space()
	if in.at == len(in.text) {
		return 0
	}
	return in.text[in.at]
}

func (in *reader) fail(wanted string) error {
	if in.at >= len(in.text) {
		return fault.New(fault.Invalid, "The body ends too early: %s is missing. Send the whole JSON object.", wanted)
	}
	return fault.New(fault.Invalid, "The body cannot be read as JSON: at byte %d there should be %s.", in.at+1, wanted)
}

// object reads an object; member is called after each key and reads its value.
func (in *reader) object(member func(key string) error) error {
	if in.next() != '{' {
		return in.fail("an object, { … }")
	}
	in.at++
	if in.next() == '}' {
		in.at++
		return nil
	}
	for {
		key, err := in.quoted()
		if err != nil {
			return err
		}
		if in.next() != ':' {
			return in.fail("a colon")
		}
		in.at++
		if err := member(key); err != nil {
			return err
		}
		switch in.next() {
		case ',':
			in.at++
		case '}':
			in.at++
			return nil
		default:
			return in.fail("a comma or the end of an object")
		}
	}
}

// end makes sure that nothing but white space follows.
func (in *reader) end() error {
	if in.space(); in.at < len(in.text) {
		return in.fail("nothing more")
	}
	return nil
}

func (in *reader) boolean(key string) (bool, error) {
	in.space()
	rest := in.text[in.at:]
	switch {
	case strings.HasPrefix(rest, "true"):
		in.at += len("true")
		return true, nil
	case strings.HasPrefix(rest, "false"):
		in.at += len("false")
		return false, nil
	}
	if strings.HasPrefix("true", rest) || strings.HasPrefix("false", rest) {
		in.at = len(in.text)
		return false, in.fail("true or false")
	}
	return false, fault.New(fault.Invalid, "The member %q must hold true or false.", key)
}

func (in *reader) str(key string) (string, error) {
	if c := in.next(); c != '"' && c != 0 {
		return "", fault.New(fault.Invalid, "The member %q must be a string in double quotes.", key)
	}
	return in.quoted()
}

// quoted reads a JSON string (RFC 8259 section 7).
func (in *reader) quoted() (string, error) {
	if in.next() != '"' {
		return "", in.fail("a string in double quotes")
	}
	in.at++
	start := in.at
	for in.at < len(in.text) {
		switch c := in.text[in.at]; {
		case c == '"':
			s := in.text[start:in.at]
			if !utf8.ValidString(s) {
				return "", fault.New(fault.Invalid, "The body is not UTF-8. Send it in UTF-8.")
			}
			in.at++
			return s, nil
		case c == '\\':
			return in.escaped(start)
		case c < 0x20:
			return "", in.fail("no bare control character in a string; write it as \\u and four digits")
		default:
			in.at++
		}
	}
	return "", in.fail("the end of a string")
}

// escaped reads on at the first backslash of a string that began at start.
func (in *reader) escaped(start int) (string, error) {
	var b strings.Builder
	b.WriteString(in.text[start:in.at])
	for in.at < len(in.text) {
		switch c := in.text[in.at]; {
		case c == '"':
			if !utf8.ValidString(b.String()) {
				return "", fault.New(fault.Invalid, "The body is not UTF-8. Send it in UTF-8.")
			}
			in.at++
			return b.String(), nil
		case c < 0x20:
			return "", in.fail("no bare control character in a string; write it as \\u and four digits")
		case c != '\\':
			b.WriteByte(c)
			in.at++
		default:
			r, ok := in.escape()
			if !ok {
				return "", in.fail("an escape that JSON has, with whole surrogate pairs")
			}
			b.WriteRune(r)
		}
	}
	return "", in.fail("the end of a string")
}

// escape reads one escape; false leaves the place at the backslash.
func (in *reader) escape() (rune, bool) {
	rest := in.text[in.at:]
	if len(rest) < 2 {
		in.at = len(in.text)
		return 0, false
	}
	if rest[1] != 'u' {
		i := strings.IndexByte(`"\/bfnrt`, rest[1])
		if i < 0 {
			return 0, false
		}
		in.at += 2
		return rune("\"\\/\b\f\n\r\t"[i]), true
	}
	r, ok := unit(rest)
	if !ok {
		return 0, false
	}
	if !utf16.IsSurrogate(r) {
		in.at += 6
		return r, true
	}
	low, ok := unit(rest[6:])
	if !ok {
		return 0, false
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, false
	}
	in.at += 12
	return r, true
}

// unit reads one \uXXXX.
func unit(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for i := 2; i < 6; i++ {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// shorten keeps a stranger's word short enough to be quoted back.
func shorten(s string) string {
	const limit = 40
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// list writes values as words: "a, b or c".
func list(values []string) string {
	last := len(values) - 1
	if last < 1 {
		return strings.Join(values, "")
	}
	return strings.Join(values[:last], ", ") + " or " + values[last]
}
