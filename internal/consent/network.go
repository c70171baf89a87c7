package consent

import "net/netip"

// How much of an address is kept, in bits: enough for a country, too little
// for a person.
const (
	bits4 = 24
	bits6 = 48
)

// MaskIP masks an IP address before anything is written: to /24, or to /48 for
// IPv6. An IPv4-mapped IPv6 address is the IPv4 address; a zone is dropped. What
// cannot be parsed is dropped (ok is false), never kept raw.
func MaskIP(addr string) (network string, prefix netip.Prefix, ok bool) {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return "", netip.Prefix{}, false
	}
	prefix, ok = MaskAddr(a)
	if !ok {
		return "", netip.Prefix{}, false
	}
	return prefix.String(), prefix, true
}

// MaskAddr is MaskIP for an address that was parsed already.
func MaskAddr(a netip.Addr) (netip.Prefix, bool) {
	a = a.Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	p, err := a.Prefix(bits)
	return p, err == nil && p.IsValid()
}
