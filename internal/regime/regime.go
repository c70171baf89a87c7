package regime

// The regimes, from the strictest to the mildest.
const (
	OptIn      = "opt-in"      // nothing optional before consent
	OptOut     = "opt-out"     // optional until refused
	NoticeOnly = "notice-only" // the visitor is told
)

// RegimeFor returns the regime that a visitor from country is under on a site
// whose own regime is siteRegime. Where the country is unknown or contradictory
// ("") the strictest holds, and so it does for a regime that is not known here:
// too much asking harms nobody, too little does. Packs by jurisdiction refine
// this; until a site has them its own regime serves every known country.
func RegimeFor(country, siteRegime string) string {
	if iso(country) == "" {
		return OptIn
	}
	switch siteRegime {
	case OptOut, NoticeOnly:
		return siteRegime
	}
	return OptIn
}
