package admin

import (
	"slices"
	"strconv"
	"strings"

	"assent/internal/regime/packs"
	"assent/internal/site"
)

// What the editor's template asks of the page.

// Placements are the choices of where the banner stands.
func (p bannerPage) Placements() []option {
	return chosen(p.Notice.Layout.Placement, "box", "In a corner", "bar", "Across the bottom", "centre", "In the middle")
}

// Regimes are the choices of the kind of consent.
func (p bannerPage) Regimes() []option {
	return chosen(p.Notice.Regime, "opt-in", "Ask first (opt-in)", "opt-out", "Allow until refused (opt-out)", "notice-only", "Only inform")
}

// RegimeWords is the chosen kind of consent.
func (p bannerPage) RegimeWords() string {
	if n := len(p.Notice.Regimes); n > 0 {
		return strconv.Itoa(n) + " regimes by country"
	}
	return label(p.Regimes())
}

// packView is a regime pack as the editor shows it.
type packView struct {
	*packs.Pack
	Chosen bool
}

// Packs are the jurisdictions that a site may choose.
func (p bannerPage) Packs() []packView {
	var list []packView
	for _, pack := range packs.All() {
		if !pack.World() {
			list = append(list, packView{pack, slices.Contains(p.Notice.Regimes, pack.Key)})
		}
	}
	return list
}

// RestOfWorld are the choices for every other place.
func (p bannerPage) RestOfWorld() []option {
	pairs := []string{"", "The strictest of the rules above"}
	for _, pack := range packs.All() {
		if pack.World() {
			_, words, _ := strings.Cut(pack.Name, ": ")
			pairs = append(pairs, pack.Key, capital(words))
		}
	}
	rest := p.Notice.RestOfWorld
	if rest == packs.Strictest {
		rest = ""
	}
	return chosen(rest, pairs...)
}

// exemptView is a category that some law lets run before a choice.
type exemptView struct {
	Key, Name string
	Chosen    bool
	Laws      []exemptLaw
}

// exemptLaw is what one pack asks for it.
type exemptLaw struct {
	Pack, Purpose string
	Conditions    []string
}

// Exempts are the categories that packs exempt under conditions.
func (p bannerPage) Exempts() []exemptView {
	var list []exemptView
	for _, c := range p.Notice.Categories {
		view := exemptView{Key: c.Key, Name: p.CategoryWords(c.Key), Chosen: slices.Contains(p.Notice.Exempt, c.Key)}
		for _, pack := range packs.All() {
			for _, e := range pack.Exempt {
				if e.Category == c.Key {
					name := pack.Name
					if len(e.Jurisdictions) > 0 {
						name = strings.Join(e.Jurisdictions, ", ")
					}
					view.Laws = append(view.Laws, exemptLaw{name, e.Purpose, e.Conditions})
				}
			}
		}
		if len(view.Laws) > 0 {
			list = append(list, view)
		}
	}
	return list
}

// PlacementWords is where the banner stands.
func (p bannerPage) PlacementWords() string { return label(p.Placements()) }

// CategoryWords is a category's name in the notice's first language.
func (p bannerPage) CategoryWords(key string) string { return label(p.CategoriesFor(key)) }

// label is the chosen option's.
func label(options []option) string {
	for _, o := range options {
		if o.Chosen {
			return o.Label
		}
	}
	return ""
}

// CategoriesFor are the choices of a service's category.
func (p bannerPage) CategoriesFor(key string) []option {
	var pairs []string
	for _, c := range p.Notice.Categories {
		name := c.Key
		if len(p.Notice.Languages) > 0 {
			if n := p.Notice.Texts[p.Notice.Languages[0]].CategoryName[c.Key]; n != "" {
				name = n
			}
		}
		pairs = append(pairs, c.Key, name)
	}
	return chosen(key, pairs...)
}

// Kinds are the choices of a tracker's kind.
func (p bannerPage) Kinds(kind string) []option {
	return chosen(kind, "cookie", "Cookie", "local_storage", "Local storage", "session_storage", "Session storage", "indexed_db", "IndexedDB",
		"cache", "Cache", "service_worker", "Service worker", "request", "Request", "third_party_cookie", "Cookie on its own site")
}

// Unfinished tells whether the service needs attention and is shown unfolded.
func (p bannerPage) Unfinished(i int) bool {
	if p.Notice.Services[i].Name == "" || i == p.Touched {
		return true
	}
	return p.hasErrorBelow("service." + strconv.Itoa(i) + ".")
}

// InLanguage tells whether a text of the language needs attention.
func (p bannerPage) InLanguage(code string) bool {
	return p.hasErrorBelow("texts."+code+".") || p.New == code
}

// InCategories tells whether a category's words in the language need attention.
func (p bannerPage) InCategories(code string) bool {
	return p.hasErrorBelow("texts."+code+".name.") || p.hasErrorBelow("texts."+code+".description.")
}

func (p bannerPage) hasErrorBelow(prefix string) bool {
	for name := range p.Errors {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// chosen makes options of value and label in turn.
func chosen(value string, pairs ...string) []option {
	var list []option
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, option{pairs[i], pairs[i+1], pairs[i] == value})
	}
	return list
}

// paletteView is one mode's colours with what is wrong with them.
type paletteView struct {
	Mode, Title string
	Colours     site.Colours
	Errors      problems
}

// contrastView is a pair of colours and how readable they are together.
type contrastView struct {
	Names string // of the two inputs, for the script
	Ratio float64
	Least float64 // minContrast, or site.ButtonContrast where a button is one of them
}

// Enough tells whether the pair is readable.
func (c contrastView) Enough() bool { return c.Ratio >= c.Least }

func newContrast(mode, a, b, colourA, colourB string) contrastView {
	least := minContrast
	if a == "button" || b == "button" {
		least = site.ButtonContrast
	}
	return contrastView{mode + "." + a + " " + mode + "." + b, site.Contrast(colourA, colourB), least}
}
