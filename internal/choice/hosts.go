package choice

import (
	"net/netip"
	"strings"
)

// CookieDomain is the Domain attribute of the choice's cookie on a page of host
// (lower case, no port), or "" for a cookie of that host alone: the longest of
// the site's domains that covers it. Twin of client/src/hosts.ts.
func CookieDomain(domains []string, host string) string {
	if best := Covering(domains, host); !isBare(best) {
		return best
	}
	return ""
}

// Covering is the longest of the site's domains that covers host (lower case, no
// port), or "": hosts under the same one share their cookie.
func Covering(domains []string, host string) string {
	best := ""
	for _, d := range domains {
		if len(d) > len(best) && Within(host, d) {
			best = d
		}
	}
	return best
}

// Within tells whether host (without port) is domain or lies under it.
func Within(host, domain string) bool {
	return host == domain || !isAddress(domain) && strings.HasSuffix(host, "."+domain)
}

// isBare tells an IP address or a single name: cookies cannot be scoped to it,
// and it has no subdomains.
func isBare(host string) bool { return isAddress(host) || !strings.Contains(host, ".") }

func isAddress(host string) bool {
	if strings.HasPrefix(host, "[") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Is4()
}
