package install

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// directives are those of one Content-Security-Policy (CSP Level 3, section 2.2.1).
type directives map[string][]string

// policies reads header values, each of which may hold several policies.
func policies(values []string) (list []directives) {
	for _, value := range values {
		for text := range strings.SplitSeq(value, ",") {
			d := directives{}
			for part := range strings.SplitSeq(text, ";") {
				words := strings.Fields(part)
				if len(words) == 0 {
					continue
				}
				if name := strings.ToLower(words[0]); d[name] == nil { // the first of two holds
					d[name] = append([]string{}, words[1:]...)
				}
			}
			if len(d) > 0 {
				list = append(list, d)
			}
		}
	}
	return list
}

// governing are the sources of the first directive that is there; false when none is.
func (d directives) governing(names ...string) ([]string, bool) {
	for _, name := range names {
		if sources, there := d[name]; there {
			return sources, true
		}
	}
	return nil, false
}

// allowsScript tells whether an external script of an address may run, and a nonce
// that its element has.
func (d directives) allowsScript(address, nonce string, from *url.URL) bool {
	sources, governed := d.governing("script-src-elem", "script-src", "default-src")
	if !governed || nonce != "" && slices.Contains(sources, "'nonce-"+nonce+"'") {
		return true
	}
	// With 'strict-dynamic' hosts say nothing (CSP Level 3, section 8.2).
	return !containsFold(sources, "'strict-dynamic'") && allowsURL(sources, address, from)
}

// allowsInline tells whether an inline script may run (CSP Level 3, section 6.7.3).
func (d directives) allowsInline(code, nonce string) bool {
	sources, governed := d.governing("script-src-elem", "script-src", "default-src")
	if !governed || nonce != "" && slices.Contains(sources, "'nonce-"+nonce+"'") {
		return true
	}
	strict, unsafe := containsFold(sources, "'strict-dynamic'"), false
	hash := sha256.Sum256([]byte(code))
	want := "'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
	for _, s := range sources {
		switch low := strings.ToLower(s); {
		case s == want:
			return true
		case low == "'unsafe-inline'":
			unsafe = true
		case strings.HasPrefix(low, "'sha384-") || strings.HasPrefix(low, "'sha512-"):
			return true // not worked out here: it may be the one
		case strings.HasPrefix(low, "'nonce-") || strings.HasPrefix(low, "'sha256-"):
			strict = true // which switch 'unsafe-inline' off
		}
	}
	return unsafe && !strict
}

func (d directives) allowsConnect(address string, from *url.URL) bool {
	sources, governed := d.governing("connect-src", "default-src")
	return !governed || allowsURL(sources, address, from)
}

func containsFold(list []string, word string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, word) })
}

// allowsURL matches an address against host and scheme sources (CSP Level 3, section
// 6.7.2.8). Paths are left out: a page that names one names ours.
func allowsURL(sources []string, address string, from *url.URL) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	for _, s := range sources {
		s = strings.ToLower(s)
		switch {
		case s == "*" && (u.Scheme == "https" || u.Scheme == "http"):
			return true
		case s == "'self'" && sameHost(u, from):
			return true
		case strings.HasSuffix(s, ":") && upgrades(strings.TrimSuffix(s, ":"), u.Scheme):
			return true
		case !strings.HasPrefix(s, "'") && hostSource(s, u, from.Scheme):
			return true
		}
	}
	return false
}

// upgrades: what names http means https, too.
func upgrades(named, scheme string) bool {
	return named == scheme || named == "http" && scheme == "https"
}

func sameHost(u, from *url.URL) bool {
	return strings.EqualFold(u.Host, from.Host) && upgrades(from.Scheme, u.Scheme)
}

func hostSource(source string, u *url.URL, scheme string) bool {
	if named, rest, found := strings.Cut(source, "://"); found {
		scheme, source = named, rest
	}
	if !upgrades(scheme, u.Scheme) {
		return false
	}
	host, _, _ := strings.Cut(source, "/")
	name, port, hasPort := cutPort(host)
	if hasPort && port != "*" && port != portOf(u) || !hasPort && portOf(u) != usual(u.Scheme) {
		return false
	}
	own := strings.ToLower(u.Hostname())
	if below, wild := strings.CutPrefix(name, "*"); wild {
		return strings.HasSuffix(own, below) && len(own) > len(below)
	}
	return strings.Trim(name, "[]") == own
}

func cutPort(host string) (name, port string, found bool) {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return host[:i], host[i+1:], true
	}
	return host, "", false
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return usual(u.Scheme)
}

func usual(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}
