package web

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
)

// SecureHeaders sets what every page of ours carries: the given
// Content-Security-Policy, no framing, no type sniffing, no address of ours
// told to others.
func SecureHeaders(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}

// InlineHash is the source expression that lets a policy pass exactly one
// inline style or script (CSP level 3, section 2.3.1).
func InlineHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// ClientAddr is the address that a request comes from: the connection's, or,
// where that is a trusted proxy, the right-most address in X-Forwarded-For that
// is not one itself (what stands further left was written by the client). The
// zero Addr when it cannot be told. It is never to be logged or stored whole.
func ClientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap()
	if len(trusted) == 0 || !within(addr, trusted) {
		return addr
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := lines[i]; rest != ""; {
			hop := rest
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, hop = rest[:comma], rest[comma+1:]
			} else {
				rest = ""
			}
			addr = parseHop(strings.TrimSpace(hop))
			if !addr.IsValid() || !within(addr, trusted) {
				return addr // an unreadable hop is an unknown client
			}
		}
	}
	return addr
}

// Trusted tells whether the connection comes from a trusted proxy, whose headers
// about the client are believed.
func Trusted(r *http.Request, trusted []netip.Prefix) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && within(at.Addr().Unmap(), trusted)
}

// parseHop reads an address with or without port, IPv6 with or without brackets.
func parseHop(hop string) netip.Addr {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]")); err == nil {
		return a.Unmap()
	}
	if a, err := netip.ParseAddrPort(hop); err == nil {
		return a.Addr().Unmap()
	}
	return netip.Addr{}
}

func within(a netip.Addr, list []netip.Prefix) bool {
	a = a.WithZone("")
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
