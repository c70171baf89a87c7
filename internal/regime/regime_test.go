package regime

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"assent/internal/fault"
	"assent/internal/regime/packs"

	"github.com/andybalholm/brotli"
)

func builtIn(t testing.TB) *Countries {
	t.Helper()
	c, err := OpenCountries("")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKnownNetworks(t *testing.T) {
	c := builtIn(t)
	for _, row := range []struct{ name, prefix, want string }{
		{"a German university", "129.187.0.0/24", "DE"},
		{"a French provider", "212.27.48.0/24", "FR"},
		{"a Swiss university", "129.132.19.0/24", "CH"},
		{"a Japanese network", "202.232.2.0/24", "JP"},
		{"a Brazilian network", "200.160.2.0/24", "BR"},
		{"a German network, IPv6", "2001:4ca0::/48", "DE"},
		{"a Japanese network, IPv6", "2001:200:1::/48", "JP"},
		{"a network that is reserved for documentation", "192.0.2.0/24", ""},
		{"the same in IPv6", "2001:db8::/48", ""},
		{"loopback", "127.0.0.0/24", ""},
		{"a private network", "192.168.1.0/24", ""},
		{"link-local", "fe80::/48", ""},
		{"the first block", "0.0.0.0/24", ""},
		{"the last block", "255.255.255.0/24", ""},
		{"the last block of IPv6", "ffff:ffff:ffff::/48", ""},
		{"an address is looked up as its block", "129.187.0.77/32", "DE"},
		{"a mapped address is IPv4", "::ffff:129.187.0.77/128", "DE"},
		{"a network that is too wide", "129.187.0.0/16", ""},
		{"an IPv6 network that is too wide", "2001:4ca0::/32", ""},
	} {
		if got := c.Lookup(netip.MustParsePrefix(row.prefix)); got != row.want {
			t.Errorf("%s: %s is %q, want %q", row.name, row.prefix, got, row.want)
		}
	}
	if got := c.Lookup(netip.Prefix{}); got != "" {
		t.Errorf("no network: %q", got)
	}
	if !regexp.MustCompile(`^IPFire, 20\d\d-\d\d-\d\d$`).MatchString(c.Source()) {
		t.Errorf("source = %q", c.Source())
	}
}

func TestTablesAreSortedAndSmall(t *testing.T) {
	if n := len(builtIn4) + len(builtIn6); n > 1<<20 {
		t.Errorf("the tables have %d bytes, more than 1 MB", n)
	}
	for name, table := range map[string]table{"v4": builtIns()[0], "v6": builtIns()[1]} {
		if table.count < 100_000 || len(table.entries)%(table.width+1) != 0 || table.block(0) != 0 {
			t.Errorf("%s: %d entries in %d bytes, the first at %d", name, table.count, len(table.entries), table.block(0))
		}
		for i := 1; i < table.count; i++ {
			if table.block(i) <= table.block(i-1) {
				t.Fatalf("%s: entry %d is not behind the one before", name, i)
			}
			if place := int(table.entries[(i+1)*(table.width+1)-1]); 2*place > len(table.codes) {
				t.Fatalf("%s: entry %d names country %d of %d", name, i, place, len(table.codes)/2)
			}
		}
	}
}

// Every entry of the tables leads to a country that packs may name, or to none:
// registries have written codes that are no country's (AB, OS, SU).
func TestEveryCountryOfTheTablesResolves(t *testing.T) {
	c := builtIn(t)
	seen := map[string]bool{}
	for _, table := range builtIns() {
		for i := range table.count {
			n := table.block(i)
			if table.width == 6 && n>>32 == 0 {
				continue // mapped and reserved
			}
			var p netip.Prefix
			if table.width == 3 {
				p = netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 16), byte(n >> 8), byte(n)}), bits4)
			} else {
				var b [16]byte
				binary.BigEndian.PutUint64(b[:], n<<16)
				p = netip.PrefixFrom(netip.AddrFrom16(b), bits6)
			}
			got := c.Place(p)
			if got.Country != "" && !packs.Known(got.Country) || got.Subdivision != "" {
				t.Fatalf("%v is in %v", p, got)
			}
			seen[got.Country] = true
		}
	}
	if len(seen) < 230 {
		t.Errorf("the tables know %d countries", len(seen))
	}
}

func TestPlaceOfAHeader(t *testing.T) {
	for header, want := range map[string]Place{
		"DE": {"DE", ""}, "US-CA": {"US", "US-CA"}, "XK": {"XK", ""},
		"": {}, "de": {}, "XX": {}, "T1": {}, "EU": {}, "US-": {}, "US-ca": {}, "US-CALI": {}, "DE, US": {}, " DE": {}, "D\x00": {},
	} {
		if got := PlaceOf(header); got != want {
			t.Errorf("%q is %v, want %v", header, got, want)
		}
	}
}

func FuzzPlaceOf(f *testing.F) {
	f.Add("US-CA")
	f.Add("T1")
	f.Fuzz(func(t *testing.T, header string) {
		p := PlaceOf(header)
		if p != (Place{}) && (p.Country != header[:2] || p.Subdivision != "" && p.Subdivision != header) {
			t.Fatalf("%q is %v", header, p)
		}
	})
}

// TestOwnDatabase reads a small MMDB made here, from the format's specification:
// 203.0.113.0/24 is DE, 198.51.100.0/25 FR and the other half BE,
// 192.0.2.0/24 has no country, 2001:db8:1::/48 is JP, 100.64.0.0/24 is California,
// 100.64.1.0/24 half California and half Texas.
func TestOwnDatabase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.mmdb")
	w := &mmdb{nodes: [][2]int{{-1, -1}}}
	for prefix, code := range map[string]string{
		"203.0.113.0/24": "DE", "198.51.100.0/25": "FR", "198.51.100.128/25": "BE",
		"192.0.2.0/24": "", "2001:db8:1::/48": "JP", "100.64.0.0/24": "US-CA", "100.64.1.0/25": "US-CA", "100.64.1.128/25": "US-TX",
	} {
		w.insert(netip.MustParsePrefix(prefix), code)
	}
	if err := os.WriteFile(file, w.bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := OpenCountries(file)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, row := range []struct{ name, prefix, want string }{
		{"a whole block", "203.0.113.0/24", "DE"},
		{"an IPv6 block", "2001:db8:1::/48", "JP"},
		{"two countries in a block", "198.51.100.0/24", ""},
		{"an entry without a country", "192.0.2.0/24", ""},
		{"a block that is not listed", "192.0.3.0/24", ""},
	} {
		if got := c.Lookup(netip.MustParsePrefix(row.prefix)); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	for prefix, want := range map[string]Place{
		"100.64.0.0/24": {"US", "US-CA"}, "100.64.1.0/24": {"US", ""}, "203.0.113.0/24": {"DE", ""}, "198.51.100.0/24": {},
	} {
		if got := c.Place(netip.MustParsePrefix(prefix)); got != want {
			t.Errorf("%s is %v, want %v", prefix, got, want)
		}
	}
	if c.Source() != "test-country, 2026-01-01" {
		t.Errorf("source = %q", c.Source())
	}
}

func TestOwnDatabaseThatCannotBeRead(t *testing.T) {
	damaged := filepath.Join(t.TempDir(), "x.mmdb")
	if err := os.WriteFile(damaged, bytes.Repeat([]byte("x"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{damaged, filepath.Join(t.TempDir(), "missing")} {
		if _, err := OpenCountries(path); fault.KindOf(err) != fault.Invalid {
			t.Errorf("error = %v", err)
		}
	}
}

func FuzzLookup(f *testing.F) {
	f.Add([]byte{129, 187, 0, 1}, 24)
	f.Add(netip.MustParseAddr("2001:4ca0::1").AsSlice(), 48)
	f.Add(netip.MustParseAddr("::ffff:1.2.3.4").AsSlice(), 128)
	c, err := OpenCountries("")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte, bits int) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		p := netip.PrefixFrom(addr, bits)
		if got := c.Lookup(p); got != "" && !packs.Known(got) {
			t.Fatalf("Lookup(%v) = %q", p, got)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	c := builtIn(b)
	for name, p := range map[string]netip.Prefix{"v4": netip.MustParsePrefix("129.187.0.0/24"), "v6": netip.MustParsePrefix("2001:4ca0::/48")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c.Lookup(p) != "DE" {
					b.Fatal("not found")
				}
			}
		})
	}
}

// mmdb writes the smallest MMDB (format 2.0) that a country table can be:
// records of 24 bits, IPv4 below ::/96.
type mmdb struct {
	nodes [][2]int // >= 0: node; -1: nothing; <= -2: data entry -2-n
	data  bytes.Buffer
	at    []int // offset of each data entry
}

func (w *mmdb) insert(p netip.Prefix, code string) {
	var bits [16]byte
	length := p.Bits()
	if p.Addr().Is4() {
		a := p.Addr().As4()
		copy(bits[12:], a[:])
		length += 96
	} else {
		bits = p.Addr().As16()
	}
	w.at = append(w.at, w.data.Len())
	if code == "" {
		w.data.WriteByte(7 << 5) // an empty map
	} else {
		country, part, has := strings.Cut(code, "-")
		entries := byte(1)
		if has {
			entries = 2
		}
		w.data.WriteByte(7<<5 | entries)
		w.text("country")
		w.data.WriteByte(7<<5 | 1)
		w.text("iso_code")
		w.text(country)
		if has {
			w.text("subdivisions")
			w.data.Write([]byte{1, 11 - 7}) // a list of one
			w.data.WriteByte(7<<5 | 1)
			w.text("iso_code")
			w.text(part)
		}
	}
	node := 0
	for i := range length {
		side := int(bits[i/8] >> (7 - i%8) & 1)
		if i == length-1 {
			w.nodes[node][side] = -1 - len(w.at)
			return
		}
		if w.nodes[node][side] < 0 {
			w.nodes = append(w.nodes, [2]int{-1, -1})
			w.nodes[node][side] = len(w.nodes) - 1
		}
		node = w.nodes[node][side]
	}
}

func (w *mmdb) text(s string) {
	w.data.WriteByte(2<<5 | byte(len(s)))
	w.data.WriteString(s)
}

func (w *mmdb) bytes() []byte {
	var out bytes.Buffer
	for _, n := range w.nodes {
		for _, record := range n {
			value := record
			switch {
			case record == -1:
				value = len(w.nodes)
			case record < -1:
				value = len(w.nodes) + 16 + w.at[-2-record]
			}
			out.Write([]byte{byte(value >> 16), byte(value >> 8), byte(value)})
		}
	}
	out.Write(make([]byte, 16))
	out.Write(w.data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	number := func(kind byte, size int, value uint64) []byte {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], value)
		head := []byte{kind<<5 | byte(size)}
		if kind > 7 {
			head = []byte{byte(size), kind - 7}
		}
		return append(head, b[8-size:]...)
	}
	w.data.Reset()
	w.data.WriteByte(7<<5 | 9)
	for _, m := range []struct {
		key   string
		value []byte
	}{
		{"binary_format_major_version", number(5, 2, 2)},
		{"binary_format_minor_version", number(5, 2, 0)},
		{"build_epoch", number(9, 8, 1767225600)}, // 2026-01-01
		{"ip_version", number(5, 2, 6)},
		{"node_count", number(6, 4, uint64(len(w.nodes)))},
		{"record_size", number(5, 2, 24)},
		{"description", []byte{7 << 5}},
		{"languages", []byte{0, 11 - 7}},
	} {
		w.text(m.key)
		w.data.Write(m.value)
	}
	w.text("database_type")
	w.text("test-country")
	out.Write(w.data.Bytes())
	return out.Bytes()
}

// The tables are held in memory as rows that are searched; the file has columns of
// steps. Opening has to give back what was written.
func TestOpenTable(t *testing.T) {
	var packed bytes.Buffer
	w := brotli.NewWriter(&packed)
	w.Write([]byte("ASSENT4\n2026-06-25\x02AUCN\x04\x00\x01\x80\x02\x03\x00\x01\x02\x00"))
	w.Close()
	table := openTable(packed.String(), "ASSENT4\n", 3)
	for block, want := range map[uint64]string{0: "", 1: "AU", 256: "AU", 257: "CN", 259: "CN", 260: "", 1<<24 - 1: ""} {
		if got := table.find(block); got != want {
			t.Errorf("block %d is of %q, want %q", block, got, want)
		}
	}
}
