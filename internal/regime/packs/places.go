package packs

import (
	"slices"
	"strings"
)

// countries are the codes of ISO 3166-1 that are assigned, and XK (Kosovo), which
// databases use. Others stand for no country: XX and ZZ (unknown), EU and AP
// (several), T1 and A1 (anonymous).
const countries = " AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ" +
	" CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF" +
	" GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW" +
	" KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL" +
	" NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST" +
	" SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW "

// Known tells whether a code stands for one country.
func Known(country string) bool {
	return len(country) == 2 && country[0] >= 'A' && country[0] <= 'Z' && strings.Contains(countries, " "+country+" ")
}

// Subdivision returns a code of ISO 3166-2 (US-CA) of a known country, or "".
func Subdivision(code string) string {
	country, part, _ := strings.Cut(code, "-")
	if !Known(country) || len(part) < 1 || len(part) > 3 || strings.Trim(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return ""
	}
	return code
}

// In finds the packs among keys that may govern in a place. One is certain. Several
// differ by a subdivision that is not known (""), and "" among them stands for the rest
// of the world; an unknown country is under every one of them, and the rest.
func In(keys []string, country, subdivision string) []string {
	if !Known(country) {
		return append(slices.Clone(keys), "")
	}
	rest, parts := "", []string{}
	for _, key := range keys {
		p := Get(key)
		if p == nil {
			continue
		}
		below := false
		for _, j := range p.Jurisdictions {
			switch {
			case j == subdivision:
				return []string{key}
			case j == country:
				rest = key
			case strings.HasPrefix(j, country+"-"):
				below = true
			}
		}
		if below {
			parts = append(parts, key)
		}
	}
	if subdivision != "" {
		return []string{rest}
	}
	return append(parts, rest)
}
