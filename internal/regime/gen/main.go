// Command gen compiles the country tables that the binary carries from the two
// files of Debian's package tor-geoipdb (IPFire location data). Run it with
// make geoip, or go run ./internal/regime/gen.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/andybalholm/brotli"
)

func main() {
	log.SetFlags(0)
	v4 := flag.String("v4", "/usr/share/tor/geoip", "IPv4 table of tor-geoipdb")
	v6 := flag.String("v6", "/usr/share/tor/geoip6", "IPv6 table of tor-geoipdb")
	out := flag.String("out", "internal/regime", "folder to write to")
	flag.Parse()
	date4, err := compile(*v4, filepath.Join(*out, "countries.v4.bin.br"), family4)
	if err != nil {
		log.Fatal(err)
	}
	date6, err := compile(*v6, filepath.Join(*out, "countries.v6.bin.br"), family6)
	if err != nil {
		log.Fatal(err)
	}
	if date4 != date6 {
		log.Fatalf("the two tables are of different days: %s and %s", date4, date6)
	}
	text := strings.ReplaceAll(attribution, "DATE", date4)
	if err := os.WriteFile(filepath.Join(*out, "ATTRIBUTION.md"), []byte(text), 0o644); err != nil {
		log.Fatal(err)
	}
}

// family says how a table's lines are read.
type family struct {
	magic string
	width int // bytes of a block number: 3 for a /24, 6 for a /48
	block func(text string) (uint64, error)
}

var family4 = family{"ASSENT4\n", 3, func(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return n >> 8, err
}}

var family6 = family{"ASSENT6\n", 6, func(text string) (uint64, error) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is6() {
		return 0, fmt.Errorf("%q is no IPv6 address", text)
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]) >> 16, nil
}}

func compile(from, to string, f family) (date string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", fmt.Errorf("%w; install Debian's package tor-geoipdb", err)
	}
	defer in.Close()
	table, date, err := build(in, f)
	if err != nil {
		return "", fmt.Errorf("%s: %w", from, err)
	}
	var packed bytes.Buffer
	w := brotli.NewWriterLevel(&packed, brotli.BestCompression)
	if _, err := w.Write(table); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return date, os.WriteFile(to, packed.Bytes(), 0o644)
}

// run is where a country begins; it lasts until the next run.
type run struct {
	block   uint64
	country string
}

// build reads lines "first,last,CC" and writes the table: magic, date (10
// bytes), number of countries (1 byte), their codes (2 bytes each), number of runs
// (uvarint); then for each run how many blocks after the one before it begins
// (uvarint); then for each run the country's place in the list, from 1, or 0 for
// unknown. In two columns, and as steps, it packs to half of what rows take.
func build(in io.Reader, f family) (table []byte, date string, err error) {
	runs, date, err := parse(in, f)
	if err != nil {
		return nil, "", err
	}
	place := map[string]byte{"": 0}
	var codes []string
	for _, r := range runs {
		if _, known := place[r.country]; !known {
			place[r.country] = 1
			codes = append(codes, r.country)
		}
	}
	sort.Strings(codes)
	if len(codes) > 255 {
		return nil, "", fmt.Errorf("%d countries do not fit in one byte", len(codes))
	}
	var b bytes.Buffer
	b.WriteString(f.magic + date)
	b.WriteByte(byte(len(codes)))
	for i, c := range codes {
		place[c] = byte(i + 1)
		b.WriteString(c)
	}
	table = binary.AppendUvarint(b.Bytes(), uint64(len(runs)))
	before := uint64(0)
	for _, r := range runs {
		table = binary.AppendUvarint(table, r.block-before)
		before = r.block
	}
	for _, r := range runs {
		table = append(table, place[r.country])
	}
	return table, date, nil
}

func parse(in io.Reader, f family) ([]run, string, error) {
	// The ranges of the source do not overlap, so only the first and last block
	// of a range can be shared with another country.
	edges := map[uint64]map[string]bool{}
	var spans []span // between the edges, whole
	date := ""
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			if _, when, ok := strings.Cut(line, "Generated: "); ok {
				at, err := time.Parse(time.RFC1123, when)
				if err != nil {
					return nil, "", err
				}
				date = at.Format(time.DateOnly)
			}
			continue
		}
		parts := strings.Split(line, ",")
		if len(parts) != 3 {
			return nil, "", fmt.Errorf("line %q is not first,last,country", line)
		}
		first, err := f.block(parts[0])
		if err != nil {
			return nil, "", err
		}
		last, err := f.block(parts[1])
		if err != nil || last < first {
			return nil, "", fmt.Errorf("line %q: %v", line, err)
		}
		country := iso(parts[2])
		if country == "" {
			continue
		}
		for _, edge := range []uint64{first, last} {
			if edges[edge] == nil {
				edges[edge] = map[string]bool{}
			}
			edges[edge][country] = true
		}
		if last-first > 1 {
			spans = append(spans, span{first + 1, last - 1, country})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, "", err
	}
	if date == "" {
		return nil, "", fmt.Errorf("the header has no line Generated")
	}
	for block, countries := range edges {
		country := ""
		if len(countries) == 1 { // several contradict each other: unknown
			for c := range countries {
				country = c
			}
		}
		spans = append(spans, span{block, block, country})
	}
	runs, err := join(spans, f)
	return runs, date, err
}

// span is a row of blocks of one country, both ends included.
type span struct {
	first, last uint64
	country     string
}

// join sorts the spans and turns them into runs without gaps; what no span
// covers is unknown.
func join(spans []span, f family) ([]run, error) {
	sort.Slice(spans, func(i, j int) bool { return spans[i].first < spans[j].first })
	runs := []run{{0, ""}}
	add := func(r run) {
		switch last := &runs[len(runs)-1]; {
		case last.country == r.country:
		case last.block == r.block:
			last.country = r.country
		default:
			runs = append(runs, r)
		}
	}
	next := uint64(0)
	for _, s := range spans {
		if s.first < next {
			return nil, fmt.Errorf("ranges overlap at block %x", s.first)
		}
		if s.first > next {
			add(run{next, ""})
		}
		add(run{s.first, s.country})
		next = s.last + 1
	}
	if next < 1<<(8*f.width) {
		add(run{next, ""})
	}
	return runs, nil
}

// iso keeps what ISO 3166-1 assigns today. Regions (EU, AP), codes that were
// withdrawn (AN, CS) and placeholders are no country that a rule could name.
func iso(code string) string {
	switch code {
	case "??", "ZZ", "EU", "AP", "AN", "CS", "XX", "A1", "A2", "A3", "T1":
		return ""
	case "UK":
		return "GB"
	}
	if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' {
		return ""
	}
	return code
}

const attribution = `# Country tables: source and licence

` + "`countries.v4.bin.br` and `countries.v6.bin.br`" + ` are compiled from the IPFire Location
database (https://location.ipfire.org/), as Debian's package tor-geoipdb ships it
for the Tor project.

- Source: IPFire Project, https://location.ipfire.org/, database of DATE
- Licence: Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0),
  https://creativecommons.org/licenses/by-sa/4.0/
- Changes: ranges are reduced to blocks of /24 (IPv4) and /48 (IPv6), the only
  resolution at which Assent looks a visitor up; a block that holds several
  countries is marked unknown; codes that name no country are dropped.

The two tables are under the licence above; it does not extend to the rest of
Assent, which only reads them.

Rebuild them with ` + "`make geoip`" + ` (needs Debian's package tor-geoipdb), which runs
` + "`go run ./internal/regime/gen`" + `. A table of your own in MaxMind's MMDB format can be
used instead: ` + "`assent serve --geoip FILE`" + `.
`
