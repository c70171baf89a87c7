package stats

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// The classes keep what helps to find a request or a name in a site's code, and
// drop what could be about a visitor. Pages and names have a twin in
// client/src/report.ts, so that the browser sends nothing else; both are applied
// again here, because anybody may send a batch: the class of a class is itself.

// Bounds of what is kept, in bytes.
const (
	maxSegments = 4
	maxName     = 80
	maxHost     = 253 // RFC 1035, section 2.3.4
)

var (
	plainSegment = regexp.MustCompile(`^[A-Za-z._~-]{1,24}$`)
	// A word in capitals within a word happens once (SiteAssets); more of them,
	// or letters that are all hex digits, are somebody's ID.
	idSegment = regexp.MustCompile(`[a-f]{8}|[a-z][A-Z].*[a-z][A-Z]`)
	// What follows these is somebody's name, or the key to something of theirs.
	beforeName = regexp.MustCompile(`^(?i:u|user|users|profile|profiles|member|members|people|person|author|authors|customer|customers|account|accounts|` +
		`invite|invites|token|reset|verify|confirm|unsubscribe|s|share)$`)
)

// PageClass is what is kept of a page's path: at most 4 segments, of which those
// with digits or other than ASCII letters and ._~-, longer than 24 characters, or
// that look like an ID become *. Whatever follows ? or # is dropped.
func PageClass(path string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	var class strings.Builder
	kept := 0
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" {
			continue
		}
		if kept++; kept > maxSegments {
			break
		}
		if !plainSegment.MatchString(segment) || idSegment.MatchString(segment) {
			segment = "*"
		}
		class.WriteString("/" + segment)
	}
	if kept == 0 {
		return "/"
	}
	return class.String()
}

// PrivatePage is PageClass without the names of people: they look like any
// other word, but stand behind a word that tells. The browser does not bother.
func PrivatePage(path string) string {
	segments := strings.Split(PageClass(path), "/")
	for i := len(segments) - 1; i > 1; i-- {
		if beforeName.MatchString(segments[i-1]) {
			segments[i] = "*"
		}
	}
	return strings.Join(segments, "/")
}

// nameID is what stands for *: all of a name with an e-mail address, characters
// outside ASCII, hashes and UUIDs, long words, and a word from its first digit on.
var nameID = regexp.MustCompile(`((?s:.*(@|%40).*)|[^ -~]+|[0-9A-Fa-f-]{8,}|[A-Za-z]{25,}|[0-9][A-Za-z0-9]*|\*)+`)

// NameClass is what is kept of the name of a cookie, an item or a database: its
// words, without what looks like an ID; at most 80 bytes. It can be declared as it
// is, because * stands for any characters there. "" for no name.
func NameClass(name string) string {
	name = nameID.ReplaceAllString(strings.ToValidUTF8(name, "\uFFFD"), "*")
	if len(name) > maxName {
		name = strings.TrimRight(name[:maxName-1], "*") + "*"
	}
	return name
}

var hostLabel = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// HostClass is what is kept of a host, with its port where it is not the
// scheme's own: lower case, international names in their ASCII form, as browsers
// have them. A subdomain with more than 4 digits or 24 characters in a label may be
// one visitor's: everything below the registrable domain becomes *, which a
// service can declare. Addresses are kept in loopback and private networks; any
// other one is *. False for what is no host.
func HostClass(host string) (string, bool) {
	host = strings.ToLower(host)
	if at, err := netip.ParseAddrPort(host); err == nil {
		return addressClass(at.Addr(), host)
	}
	if at, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return addressClass(at, host)
	}
	name, port, found := strings.Cut(host, ":")
	if n, err := strconv.Atoi(port); found && (err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port) {
		return "", false
	}
	if found {
		port = ":" + port
	}
	if len(name) > maxHost {
		return "", false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !hostLabel.MatchString(label) {
			return "", false
		}
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", false // an address in a form that browsers do not use
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil || domain == name {
		return name + port, true
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."+domain), ".") {
		if len(label) > 24 || countDigits(label) > 4 {
			return "*." + domain + port, true
		}
	}
	return name + port, true
}

func countDigits(s string) (n int) {
	for _, c := range s {
		if '0' <= c && c <= '9' {
			n++
		}
	}
	return n
}

func addressClass(a netip.Addr, host string) (string, bool) {
	if a.Zone() != "" {
		return "", false
	}
	if a.IsLoopback() || a.IsPrivate() {
		return host, true
	}
	return "*", true
}
