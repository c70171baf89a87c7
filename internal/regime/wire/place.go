// Package wire tells from an HTTP request where its visitor is: for the server that
// chooses a script, and for the gate that chooses a policy.
package wire

import (
	"net/http"
	"net/netip"
	"strings"

	"assent/internal/fault"
	"assent/internal/regime"
	"assent/internal/web"
)

// Finder is safe for concurrent use.
type Finder struct {
	Countries *regime.Countries // nil: no address tells anything
	// TrustProxies are the networks whose X-Forwarded-For, and whose Header, is believed.
	TrustProxies []netip.Prefix
	// Header is a header in which those proxies say the visitor's country, canonical, or "".
	Header string
}

// Place is where the visitor is: what the CDN's header says, where the operator names one and
// the connection is one of the CDN's, else what the masked network tells. What is unknown, or
// said twice, is no place, for which the strictest rules hold.
func (f *Finder) Place(r *http.Request) regime.Place {
	if f.BehindCDN(r) {
		values := r.Header[f.Header]
		if len(values) != 1 {
			return regime.Place{}
		}
		return regime.PlaceOf(values[0])
	}
	if f.Countries == nil {
		return regime.Place{}
	}
	// The tables know blocks alone, and look for the one that an address is in.
	addr := web.ClientAddr(r, f.TrustProxies).WithZone("")
	return f.Countries.Place(netip.PrefixFrom(addr, addr.BitLen()))
}

// BehindCDN tells whether the request comes from a proxy whose country header counts.
func (f *Finder) BehindCDN(r *http.Request) bool {
	return f.Header != "" && web.Trusted(r, f.TrustProxies)
}

// HeaderName checks what --country-header names, and returns it as net/http spells it; ""
// for none. Errors are faults of kind Invalid.
func HeaderName(name string, trust []netip.Prefix) (string, error) {
	switch {
	case name == "":
		return "", nil
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "":
		return "", fault.New(fault.Invalid, "--country-header %q is no name of a header. Write it like CF-IPCountry.", name)
	case len(trust) == 0:
		return "", fault.New(fault.Invalid, "--country-header is believed from --trust-proxy networks only. Name the networks of your CDN with --trust-proxy.")
	}
	return http.CanonicalHeaderKey(name), nil
}
