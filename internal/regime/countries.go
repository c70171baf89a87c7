// Package regime finds where a visitor is: the place that a
// masked network belongs to. Which rules hold there is said by packs.
package regime

import (
	_ "embed"
	"encoding/binary"
	"io"
	"net/netip"
	"strings"
	"sync"

	"assent/internal/fault"

	"github.com/andybalholm/brotli"
	"github.com/oschwald/maxminddb-golang/v2"
)

// The tables are compiled by gen from IPFire location data (CC BY-SA 4.0, see
// ATTRIBUTION.md) and compressed with brotli, which makes the binary 1.8 MB
// smaller. They are unpacked once, beside the start of the server.
//
//go:embed countries.v4.bin.br
var builtIn4 string

//go:embed countries.v6.bin.br
var builtIn6 string

var builtIns = sync.OnceValue(func() [2]table {
	return [2]table{openTable(builtIn4, "ASSENT4\n", 3), openTable(builtIn6, "ASSENT6\n", 6)}
})

// Prefix lengths at which addresses are masked and looked up.
const (
	bits4 = 24
	bits6 = 48
)

// Countries finds the country of a masked network. It is safe for concurrent use.
type Countries struct {
	custom *maxminddb.Reader // nil: the built-in tables
}

// OpenCountries opens the tables that the binary carries or, with a path, a
// file in MaxMind's MMDB format whose entries hold country.iso_code. A file that
// cannot be read is a fault of kind Invalid.
func OpenCountries(mmdbPath string) (*Countries, error) {
	if mmdbPath == "" {
		go builtIns() // the first visitor does not wait, or not long
		return &Countries{}, nil
	}
	r, err := maxminddb.Open(mmdbPath)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The file given with --geoip cannot be read. Give a country database in MMDB format, or leave --geoip out to use the built-in table.")
	}
	return &Countries{custom: r}, nil
}

// Close lets go of an MMDB file.
func (c *Countries) Close() error {
	if c.custom == nil {
		return nil
	}
	return c.custom.Close()
}

// Source says where the answers come from: "IPFire, 2026-06-25" or the MMDB
// file's own type and date.
func (c *Countries) Source() string {
	if c.custom == nil {
		return "IPFire, " + builtIns()[0].date
	}
	return c.custom.Metadata.DatabaseType + ", " + c.custom.Metadata.BuildTime().UTC().Format("2006-01-02")
}

// Lookup returns the ISO 3166-1 alpha-2 code of a masked network, /24 or /48.
// It is "" where the country is unknown, where the block holds several
// countries, and for a network that is wider than the tables tell apart.
func (c *Countries) Lookup(p netip.Prefix) string { return c.Place(p).Country }

// block is the block of a network that the tables tell apart.
func block(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() {
		return p, false
	}
	addr, bits := p.Addr(), p.Bits()
	if addr.Is4In6() {
		addr, bits = addr.Unmap(), bits-96
	}
	narrowest := bits6
	if addr.Is4() {
		narrowest = bits4
	}
	if bits < narrowest {
		return p, false
	}
	// A narrower network is looked up as the block that would have been kept.
	p, err := addr.WithZone("").Prefix(narrowest)
	return p, err == nil
}

func (c *Countries) find(p netip.Prefix) string {
	if p.Addr().Is4() {
		b := p.Addr().As4()
		return builtIns()[0].find(uint64(binary.BigEndian.Uint32(b[:]) >> 8))
	}
	b := p.Addr().As16()
	return builtIns()[1].find(binary.BigEndian.Uint64(b[:8]) >> 16)
}

// table is one compiled file, opened: country codes, and entries of a block number
// (big endian, width bytes) and one byte that names the country.
type table struct {
	date    string
	codes   string // two letters each
	entries []byte
	width   int
	count   int
}

// openTable opens what gen's build wrote; width is 3 for a /24 and 6 for a /48.
func openTable(packed, magic string, width int) table {
	const damaged = "regime: the embedded country table is damaged; run make geoip"
	file, err := io.ReadAll(brotli.NewReader(strings.NewReader(packed)))
	if err != nil || len(file) < len(magic)+11 || string(file[:len(magic)]) != magic {
		panic(damaged)
	}
	rest := file[len(magic):]
	t := table{date: string(rest[:10]), width: width}
	n := 2 * int(rest[10])
	t.codes, rest = string(rest[11:11+n]), rest[11+n:]
	next := func() uint64 {
		v, size := binary.Uvarint(rest)
		if size <= 0 {
			panic(damaged)
		}
		rest = rest[size:]
		return v
	}
	t.count = int(next())
	t.entries = make([]byte, t.count*(width+1))
	var wide [8]byte
	for i, block := 0, uint64(0); i < t.count; i++ {
		block += next()
		binary.BigEndian.PutUint64(wide[:], block)
		copy(t.entries[i*(width+1):], wide[8-width:])
	}
	if len(rest) != t.count {
		panic(damaged)
	}
	for i, place := range rest {
		t.entries[(i+1)*(width+1)-1] = place
	}
	return t
}

func (t table) block(i int) (n uint64) {
	at := i * (t.width + 1)
	for _, c := range t.entries[at : at+t.width] {
		n = n<<8 | uint64(c)
	}
	return n
}

// find returns the country of the last entry at or before block.
func (t table) find(block uint64) string {
	low, high := 0, t.count // the entry sought is in [low-1, high)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if t.block(middle) <= block {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return ""
	}
	place := int(t.entries[low*(t.width+1)-1])
	if place == 0 {
		return ""
	}
	return t.codes[2*place-2 : 2*place]
}
