package gate

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// fetching are the relations for which a browser asks or connects by itself when
// a Link header (RFC 8288) has them, before or beside any policy.
var fetching = []string{"preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch", "prerender", "stylesheet"}

// filterLinks drops the entries of Link headers that would make a browser reach
// a host that is not allowed; what cannot be read is dropped as well.
func filterLinks(headers []string, allows func(address string) bool) []string {
	var kept []string
	for _, header := range headers {
		entries, ok := splitOutside(header, ',')
		if !ok {
			continue
		}
		var list []string
		for _, e := range entries {
			if e = strings.TrimSpace(e); e != "" && mayLink(e, allows) {
				list = append(list, e)
			}
		}
		if len(list) > 0 {
			kept = append(kept, strings.Join(list, ", "))
		}
	}
	return kept
}

func mayLink(entry string, allows func(string) bool) bool {
	address, params, ok := strings.Cut(entry, ">")
	if !ok || !strings.HasPrefix(address, "<") {
		return false
	}
	fields, ok := splitOutside(params, ';')
	if !ok {
		return false
	}
	fetches, sets := false, []string(nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "rel", "rev":
			for _, rel := range strings.Fields(strings.ToLower(value)) {
				fetches = fetches || slices.Contains(fetching, rel)
			}
		case "imagesrcset":
			sets = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		}
	}
	return !fetches || allows(address[1:]) && !slices.ContainsFunc(sets, func(s string) bool { return !allows(s) })
}

// splitOutside splits at a separator that stands in neither <…> nor "…".
func splitOutside(s string, separator byte) (parts []string, ok bool) {
	start, inside := 0, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case inside == '"' && c == '\\':
			i++
		case inside != 0 && c == inside:
			inside = 0
		case inside != 0:
		case c == '"':
			inside = '"'
		case c == '<':
			inside = '>'
		case c == separator:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:]), inside == 0
}

// reporting are headers by which browsers send reports, of their own accord, to
// addresses that they name (Reporting API, Network Error Logging).
var reporting = []string{"Report-To", "Reporting-Endpoints", "Speculation-Rules"}

var quotedAddress = regexp.MustCompile(`"((?:[a-zA-Z][a-zA-Z0-9+.-]*:)?\\?/\\?/[^"]*)"`)

// mayReport tells whether every address in such a header is allowed.
func mayReport(header string, allows func(address string) bool) bool {
	for _, found := range quotedAddress.FindAllStringSubmatch(header, -1) {
		if !allows(strings.ReplaceAll(found[1], `\/`, "/")) {
			return false
		}
	}
	return true
}

// allows tells whether sources let a page on own (host with port) reach an
// address, as the browser would match it. An address without a host is the
// page's own.
func allows(sources []string, own, address string) bool {
	// Browsers take "\" for "/" and drop tabs and line breaks.
	address = strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "").Replace(strings.TrimSpace(address))
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme == "data" || scheme == "blob" || scheme == "" && u.Host == "" {
		return true
	}
	if u.Host == "" || scheme != "" && scheme != "https" && scheme != "http" && scheme != "ws" && scheme != "wss" {
		return false
	}
	host := strings.ToLower(u.Host)
	return host == own || slices.ContainsFunc(sources, func(s string) bool {
		_, pattern, _ := strings.Cut(s, "://")
		return matchesHost(pattern, host)
	})
}

// matchesHost matches host with port, or without, against a host source.
func matchesHost(pattern, host string) bool {
	wanted, wantedPort := splitPort(pattern)
	name, port := splitPort(host)
	if wantedPort == "80" || wantedPort == "443" {
		wantedPort = ""
	}
	if port == "80" || port == "443" {
		port = ""
	}
	if wantedPort != "*" && wantedPort != port {
		return false
	}
	if suffix, wild := strings.CutPrefix(wanted, "*"); wild {
		return strings.HasSuffix(name, suffix) && len(name) > len(suffix)
	}
	return name == wanted
}

func splitPort(host string) (name, port string) {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return host[:i], host[i+1:]
	}
	return host, ""
}
