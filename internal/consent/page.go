package consent

import (
	"strings"
	"unicode/utf8"

	"assent/internal/fault"
)

// pageLimit is how many bytes of host and path are kept.
const pageLimit = 1024

// splitPage takes an http or https address apart: the host in lower case
// without port (IPv6 in brackets), and what a record keeps of it, host and
// path. Query, fragment, user name and password are dropped: they are where
// addresses carry personal data. "" is allowed: apps have no page.
func splitPage(address string) (host, page string, err error) {
	if address == "" {
		return "", "", nil
	}
	rest, ok := cutScheme(address)
	if !ok {
		return "", "", fault.New(fault.Invalid, "The member \"page\" must be an http or https address, or empty.")
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	authority, path := rest, "/"
	// A backslash ends the host for browsers (WHATWG URL), so it must here too.
	if i := strings.IndexAny(rest, "/\\"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	host = hostOf(authority)
	if host == "" {
		return "", "", fault.New(fault.Invalid, "The member \"page\" has no valid host. Send the address of the page as the browser shows it.")
	}
	page = host + path
	if len(rest) == len(page) && strings.HasSuffix(rest, page) {
		page = rest // no copy for the usual address
	}
	if len(page) > pageLimit {
		end := pageLimit
		for end > 0 && !utf8.RuneStart(page[end]) {
			end--
		}
		page = page[:end]
	}
	return host, page, nil
}

func cutScheme(address string) (string, bool) {
	for _, scheme := range [...]string{"https://", "http://"} {
		if len(address) >= len(scheme) && strings.EqualFold(address[:len(scheme)], scheme) {
			return address[len(scheme):], true
		}
	}
	return "", false
}

// HostOf returns the lower-case host of an origin such as
// https://shop.example:8443, without port, IPv6 in brackets; "" when it is no http
// or https origin (the opaque origin "null" among them).
func HostOf(origin string) string {
	rest, ok := cutScheme(origin)
	if !ok {
		return ""
	}
	return hostOf(rest)
}

// hostOf reads host or host:port; "" when it is neither.
func hostOf(authority string) string {
	host, port := authority, ""
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 2 {
			return ""
		}
		host, port = authority[:end+1], authority[end+1:]
		for i := 1; i < end; i++ {
			if c := host[i] | 0x20; !isHex(c) && host[i] != ':' && host[i] != '.' {
				return ""
			}
		}
		host = strings.ToLower(host)
	} else {
		if i := strings.IndexByte(authority, ':'); i >= 0 {
			host, port = authority[:i], authority[i:]
		}
		// One closing dot is the same host in absolute form (RFC 1034 section 3.1).
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		if len(host) > 253 {
			return ""
		}
		for i := range len(host) {
			if c := host[i]; !isKey(c) && c != '.' {
				return ""
			}
		}
	}
	if port != "" && port[0] != ':' {
		return ""
	}
	for i := 1; i < len(port); i++ {
		if port[i] < '0' || port[i] > '9' {
			return ""
		}
	}
	return host
}
