package packs

import (
	"fmt"
	"strings"
)

// ByPlace says under which name a notice behaves in which place: what a server and a
// gate have to agree about. "" is the name of the strictest.
type ByPlace struct {
	// Names are by country (ISO 3166-1), by subdivision (ISO 3166-2), and by country with
	// "-*" for its other subdivisions.
	Names map[string]string `json:"names"`
	Rest  string            `json:"rest"` // where nothing is listed
}

// For is the name for a place: a country and a subdivision, "" where they are not
// known. Without a known country it is "", the strictest.
func (b *ByPlace) For(country, subdivision string) string {
	if b == nil || !Known(country) {
		return ""
	}
	keys := []string{country}
	if subdivision != "" {
		keys = []string{subdivision, country + "-*", country}
	}
	for _, key := range keys {
		if name, ok := b.Names[key]; ok {
			return name
		}
	}
	return b.Rest
}

// Check refuses what names no place, or a name that known does not take.
func (b *ByPlace) Check(known func(name string) bool) error {
	for place, name := range b.Names {
		country, part, below := strings.Cut(place, "-")
		if !Known(country) || below && part != "*" && Subdivision(place) == "" {
			return fmt.Errorf("%q is no place", place)
		}
		if !known(name) {
			return fmt.Errorf("the name %q is not known", name)
		}
	}
	if !known(b.Rest) {
		return fmt.Errorf("the name %q is not known", b.Rest)
	}
	return nil
}

// Countries are the codes that stand for a country, sorted.
func Countries() []string { return strings.Fields(countries) }
