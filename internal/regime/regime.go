package regime

import (
	"net/netip"

	"assent/internal/regime/packs"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Place is where a visitor is, as far as it is known: which packs govern there
// is said by packs.In.
type Place struct {
	Country     string // ISO 3166-1 alpha-2; "" when unknown or contradictory
	Subdivision string // ISO 3166-2, such as US-CA; "" when unknown
}

// Place finds the place of a masked network, as Lookup finds its country. Only
// an MMDB whose entries hold subdivisions[0].iso_code tells subdivisions apart.
func (c *Countries) Place(p netip.Prefix) Place {
	p, ok := block(p)
	switch {
	case !ok:
		return Place{}
	case c.custom != nil:
		return lookupCustom(c.custom, p)
	}
	if code := c.find(p); packs.Known(code) {
		return Place{Country: code}
	}
	return Place{}
}

// PlaceOf reads the value of a CDN's country header: DE, or US-CA where the
// operator has it say the subdivision, too. Anything else, also the codes that
// CDNs have for "unknown" and for Tor, is no place.
func PlaceOf(header string) Place {
	if packs.Known(header) {
		return Place{Country: header}
	}
	if code := packs.Subdivision(header); code != "" && len(code) > 3 {
		return Place{code[:2], code}
	}
	return Place{}
}

// lookupCustom asks an MMDB for every entry inside the block: more than one
// country is a contradiction, and so is more than one subdivision.
func lookupCustom(r *maxminddb.Reader, p netip.Prefix) Place {
	var found Place
	for result := range r.NetworksWithin(p) {
		var country, part string
		if result.DecodePath(&country, "country", "iso_code") != nil {
			return Place{}
		}
		if !packs.Known(country) || found.Country != "" && found.Country != country {
			return Place{}
		}
		if result.DecodePath(&part, "subdivisions", 0, "iso_code") != nil {
			part = ""
		}
		here := Place{country, packs.Subdivision(country + "-" + part)}
		if found.Country != "" && found != here {
			here.Subdivision = ""
		}
		found = here
	}
	return found
}
