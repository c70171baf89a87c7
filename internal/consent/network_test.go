package consent

import (
	"net/netip"
	"testing"
)

func TestMaskIP(t *testing.T) {
	for _, c := range []struct{ name, addr, want string }{
		{"an IPv4 address keeps three bytes", "203.0.113.77", "203.0.113.0/24"},
		{"an IPv6 address keeps 48 bits", "2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"},
		{"an IPv4-mapped address is IPv4", "::ffff:203.0.113.77", "203.0.113.0/24"},
		{"an IPv4-mapped address in hex is IPv4", "::ffff:cb00:714d", "203.0.113.0/24"},
		{"a zone is dropped", "fe80::1%eth0", "fe80::/48"},
		{"a mapped address with a zone", "::ffff:203.0.113.77%eth0", "203.0.113.0/24"},
		{"loopback", "127.0.0.1", "127.0.0.0/24"},
		{"nothing", "", ""},
		{"a name", "shop.example", ""},
		{"an address with a port", "203.0.113.77:443", ""},
		{"leading zeros", "203.000.113.077", ""},
		{"two addresses", "203.0.113.77, 198.51.100.1", ""},
		{"space around", " 203.0.113.77", ""},
		{"too many parts", "203.0.113.77.1", ""},
	} {
		network, prefix, ok := MaskIP(c.addr)
		if network != c.want || ok != (c.want != "") || ok && prefix.String() != c.want {
			t.Errorf("%s: MaskIP(%q) = %q, %v, %v; want %q", c.name, c.addr, network, prefix, ok, c.want)
		}
	}
}

func FuzzMaskIP(f *testing.F) {
	for _, s := range []string{"203.0.113.77", "::ffff:1.2.3.4", "fe80::1%a", "2001:db8::1", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, addr string) {
		network, prefix, ok := MaskIP(addr)
		if !ok {
			if network != "" || prefix.IsValid() {
				t.Fatalf("MaskIP(%q) kept %q, %v although it failed", addr, network, prefix)
			}
			return
		}
		want := 48
		if prefix.Addr().Is4() {
			want = 24
		}
		if prefix.Bits() != want || prefix.Masked() != prefix || prefix.Addr().Is4In6() || netip.MustParsePrefix(network) != prefix {
			t.Fatalf("MaskIP(%q) = %q, %v", addr, network, prefix)
		}
	})
}
