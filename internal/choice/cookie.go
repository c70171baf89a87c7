// Package choice is what a stored choice means: how it is written in the cookie,
// whether it is in force, and which Content-Security-Policy it asks for. It is the
// Go twin of the pure rules of client/src, driven by the same vectors, and imports
// nothing that a middleware in somebody else's program would not want.
package choice

import (
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Cookie is the choice that the script keeps in the visitor's browser: the twin
// of client/src/cookie.ts, driven by the same vectors (client/testdata/cookie.json).
// As text:
//
//	1.<consent ID>.<record ID>.<scope>.<time>.<action>.<categories>.<services>
//
// IDs are 32 hex digits, the time is Unix milliseconds in base 36, and a list
// holds granted keys and refused ones with a "!", sorted and joined by "~".
type Cookie struct {
	ConsentID  uuid.UUID
	RecordID   uuid.UUID
	Scope      string    // what the choice was about (site.Notice.Scope): 16 hex digits
	Time       time.Time // by the visitor's clock, to the millisecond
	Action     string
	Categories map[string]bool // every category but necessary
	Services   map[string]bool // only those that differ from their category
}

const (
	cookieFormat  = "1"
	cookieScope   = 16   // hex digits
	maxCookie     = 3800 // bytes; browsers cap a cookie at 4096
	maxCookieTime = 1e14 // Unix milliseconds; later than the year 5000
	maxCookieKey  = 63
)

// Actions by which a choice came about.
const (
	acceptAll       = "accept_all"
	acceptNecessary = "accept_necessary"
	save            = "save"
	withdraw        = "withdraw"
	signal          = "signal"
)

// CookieName is the name of a site's cookie.
func CookieName(site string) string { return "assent_" + site }

// ReadCookie reads what a stranger may have written. False: it is not exactly
// what the script writes, and counts as no choice.
func ReadCookie(text string) (*Cookie, bool) {
	if len(text) > maxCookie {
		return nil, false
	}
	parts := strings.Split(text, ".")
	if len(parts) != 8 || parts[0] != cookieFormat {
		return nil, false
	}
	c := &Cookie{Scope: parts[3], Action: parts[5]}
	var ok [5]bool
	c.ConsentID, ok[0] = bareUUID(parts[1])
	c.RecordID, ok[1] = bareUUID(parts[2])
	c.Time, ok[2] = cookieTime(parts[4])
	c.Categories, ok[3] = cookieList(parts[6])
	c.Services, ok[4] = cookieList(parts[7])
	if ok != [5]bool{true, true, true, true, true} || len(c.Scope) != cookieScope || !all(c.Scope, isHex) {
		return nil, false
	}
	switch c.Action {
	case acceptAll, acceptNecessary, save, withdraw, signal:
		return c, true
	}
	return nil, false
}

// String writes the cookie's value, as the script would.
func (c *Cookie) String() string {
	return strings.Join([]string{cookieFormat, hex.EncodeToString(c.ConsentID[:]), hex.EncodeToString(c.RecordID[:]), c.Scope,
		strconv.FormatInt(c.Time.UnixMilli(), 36), c.Action, writeList(c.Categories), writeList(c.Services)}, ".")
}

func bareUUID(s string) (id uuid.UUID, ok bool) {
	if len(s) != 32 || !all(s, isHex) {
		return uuid.Nil, false
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err == nil
}

func cookieTime(s string) (time.Time, bool) {
	if s == "" || len(s) > 10 || s[0] == '0' || !all(s, isWord) {
		return time.Time{}, false
	}
	ms, err := strconv.ParseInt(s, 36, 64)
	return time.UnixMilli(ms).UTC(), err == nil && ms <= maxCookieTime
}

// cookieList reads keys that are sorted and without repeats, so that a choice
// has one spelling.
func cookieList(s string) (map[string]bool, bool) {
	list := map[string]bool{}
	if s == "" {
		return list, true
	}
	last := ""
	for item := range strings.SplitSeq(s, "~") {
		key, refused := strings.CutPrefix(item, "!")
		if key == "" || len(key) > maxCookieKey || key[0] == '-' || key <= last {
			return nil, false
		}
		if !all(key, func(c byte) bool { return isWord(c) || c == '-' }) {
			return nil, false
		}
		list[key], last = !refused, key
	}
	return list, true
}

func writeList(list map[string]bool) string {
	var b strings.Builder
	for i, key := range slices.Sorted(maps.Keys(list)) {
		if i > 0 {
			b.WriteByte('~')
		}
		if !list[key] {
			b.WriteByte('!')
		}
		b.WriteString(key)
	}
	return b.String()
}

func all(s string, allowed func(byte) bool) bool {
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

func isWord(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' }
