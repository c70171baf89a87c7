package site

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"assent/internal/fault"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// NormaliseDomain turns what people type (a domain, an address with scheme or
// path, capitals, an international name) into the host that browsers send: lower
// case, ASCII, no port. A domain covers its subdomains.
func NormaliseDomain(typed string) (string, error) {
	host := strings.TrimSpace(typed)
	if strings.Contains(host, "://") {
		u, err := url.Parse(host)
		if err != nil || u.Host == "" {
			return "", fault.New(fault.Unprocessed, "%q is not a domain. Write it like shop.example.", typed)
		}
		host = u.Host
	}
	host, _, _ = strings.Cut(host, "/")
	host = strings.TrimPrefix(host, "*.") // subdomains are covered anyway
	if bare, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return hostOfAddr(bare), nil
	}
	if at, err := netip.ParseAddrPort(host); err == nil {
		return hostOfAddr(at.Addr()), nil
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Trim(host[i+1:], "0123456789") == "" {
		host = host[:i]
	}
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(host, "."))
	if err != nil || ascii == "" || len(ascii) > 253 || strings.ContainsAny(ascii, " _:@?#%") || strings.Contains(ascii, "..") || ascii[0] == '.' {
		return "", fault.New(fault.Unprocessed, "%q is not a domain. Write it like shop.example.", typed)
	}
	ascii = strings.ToLower(ascii)
	if suffix, icann := publicsuffix.PublicSuffix(ascii); icann && suffix == ascii {
		return "", fault.New(fault.Unprocessed, "%q is a public suffix that belongs to nobody alone. Write the site's own domain, like shop.%s.", typed, ascii)
	}
	return ascii, nil
}

func hostOfAddr(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		return "[" + a.WithZone("").String() + "]"
	}
	return a.Unmap().String()
}

func normaliseDomains(typed []string) ([]string, error) {
	var domains []string
	seen := map[string]bool{}
	for _, t := range typed {
		if strings.TrimSpace(t) == "" {
			continue
		}
		d, err := NormaliseDomain(t)
		if err != nil {
			return nil, err
		}
		if !seen[d] {
			seen[d] = true
			domains = append(domains, d)
		}
	}
	if len(domains) == 0 {
		return nil, fault.New(fault.Unprocessed, "A site needs at least one domain, for example shop.example.")
	}
	if len(domains) > 200 {
		return nil, fault.New(fault.Unprocessed, "A site has at most 200 domains. Subdomains need no entry of their own.")
	}
	return domains, nil
}

// ownsHost tells whether host is one of domains or a subdomain of one. Both are
// lower case; host carries no port.
func ownsHost(domains []string, host string) bool {
	for _, d := range domains {
		if host == d {
			return true
		}
		if n := len(host) - len(d); n > 1 && host[n-1] == '.' && host[n:] == d && !isAddr(d) {
			return true
		}
	}
	return false
}

// HandsOver tells whether a visitor's choice goes along from one of the site's domains
// to another: unless the notice keeps them apart, where they are under different
// registrable domains (Public Suffix List), and so can share no cookie.
func (n *Notice) HandsOver() bool {
	if n.Apart || len(n.Domains) < 2 {
		return false
	}
	first := registrable(n.Domains[0])
	return slices.ContainsFunc(n.Domains, func(d string) bool { return registrable(d) != first })
}

// registrable is the domain that somebody has registered, or what has none: an
// address or a single name.
func registrable(domain string) string {
	if isAddr(domain) {
		return domain
	}
	if own, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return own
	}
	return domain
}

func isAddr(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}
