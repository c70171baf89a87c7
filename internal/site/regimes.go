package site

import (
	"cmp"
	"slices"
	"strings"

	"assent/internal/regime/packs"
)

// Variant is how a notice behaves for the visitors of some places.
type Variant struct {
	// Name is "" for the strictest, which holds wherever nothing else is certain;
	// else the key of the first pack that asks for it, or the key with a place.
	Name       string
	Regime     string // opt-in, opt-out or notice-only
	ChoiceDays int
	HonourGPC  bool
	Confirm    bool     // a visitor whose signal was obeyed is told so
	Link       string   // wording that the way to the choice must have, or ""
	Exempt     []string // categories that may be used until refused although visitors are asked
	Packs      []string // keys of the packs that have it, "" for the notice's own regime
	several    bool
}

// Suffix is what stands behind a BundleID for the variant's scripts: a boot that begins with
// another variant gets the whole script of this one, which takes its place.
func (v *Variant) Suffix() string {
	if v.Name == "" {
		return ""
	}
	return "~" + v.Name
}

// Several tells whether the notice has other variants besides.
func (v *Variant) Several() bool { return v != nil && v.several }

// String names the variant in a consent record: the model, and behind a slash its name, which the
// strictest does not have.
func (v *Variant) String() string {
	if v.Name == "" {
		return v.Regime
	}
	return v.Regime + "/" + v.Name
}

// Variants are the different ways in which a notice behaves.
type Variants struct {
	List   []Variant      // the strictest first
	Places *packs.ByPlace // nil where there is one
}

// For is the name of the variant for a place: a country (ISO 3166-1) and a
// subdivision (ISO 3166-2), "" where they are not known.
func (v *Variants) For(country, subdivision string) string {
	if v == nil {
		return ""
	}
	return v.Places.For(country, subdivision)
}

// Named is the variant with a name, nil when there is none.
func (v *Variants) Named(name string) *Variant {
	for i := range v.List {
		if v.List[i].Name == name {
			return &v.List[i]
		}
	}
	return nil
}

// Variants works out what the notice's packs amount to.
func (n *Notice) Variants() *Variants {
	if len(n.Regimes) == 0 {
		own := Variant{Regime: n.Regime, ChoiceDays: n.ChoiceDays, HonourGPC: n.HonourGPC, Confirm: n.HonourGPC && n.Regime == packs.OptOut, Packs: []string{""}}
		return &Variants{List: []Variant{own}}
	}
	strictest := n.strictest()
	vs := &Variants{List: []Variant{strictest}, Places: &packs.ByPlace{Names: map[string]string{}}}
	for _, key := range n.Regimes {
		p := packs.Get(key)
		if p == nil { // of another release; see under
			continue
		}
		for _, j := range p.Jurisdictions {
			country, _, below := strings.Cut(j, "-")
			if below {
				vs.add(j, n.at(country, j))
				vs.add(country+"-*", n.at(country, country+"-*"))
			}
			vs.add(country, n.at(country, ""))
		}
	}
	vs.Places.Rest = vs.name(n.rest(), "rest")
	for i := range vs.List {
		vs.List[i].several = len(vs.List) > 1
	}
	return vs
}

func (vs *Variants) add(place string, v Variant) {
	if _, known := vs.Places.Names[place]; !known {
		vs.Places.Names[place] = vs.name(v, place)
	}
}

// name finds the variant that is like v, or adds it.
func (vs *Variants) name(v Variant, place string) string {
	key, taken := v.Packs[0], false
	for i := range vs.List {
		if old := &vs.List[i]; old.like(&v) {
			for _, p := range v.Packs {
				if !slices.Contains(old.Packs, p) {
					old.Packs = append(old.Packs, p)
				}
			}
			return old.Name
		}
		taken = taken || vs.List[i].Name == key
	}
	if v.Name = key; taken {
		v.Name += "-" + strings.ToLower(strings.TrimSuffix(place, "-*"))
	}
	vs.List = append(vs.List, v)
	return v.Name
}

// like tells whether two variants behave alike.
func (v *Variant) like(other *Variant) bool {
	return v.Regime == other.Regime && v.ChoiceDays == other.ChoiceDays && v.HonourGPC == other.HonourGPC &&
		v.Confirm == other.Confirm && v.Link == other.Link && slices.Equal(v.Exempt, other.Exempt)
}

// at is what holds in a place.
func (n *Notice) at(country, subdivision string) Variant {
	var v Variant
	for _, key := range packs.In(n.Regimes, country, subdivision) {
		next := n.rest()
		if key != "" {
			next = n.under(packs.Get(key), country, subdivision)
		}
		v = stricter(v, next)
	}
	return v
}

// StrictestRegime is the strictest model among the notice's packs, or its own regime
// where it names none.
func (n *Notice) StrictestRegime() string {
	if len(n.Regimes) == 0 {
		return n.Regime
	}
	return n.strictest().Regime
}

// strictest is what holds where nobody knows where a visitor is. Exemptions
// belong to places, so it has none.
func (n *Notice) strictest() Variant {
	var v Variant
	for _, key := range n.Regimes {
		v = stricter(v, n.under(packs.Get(key), "", ""))
	}
	if p := packs.Get(n.RestOfWorld); p != nil {
		v = stricter(v, n.under(p, "", ""))
	}
	v.Exempt = nil
	return v
}

// rest is what holds where no pack of the notice does.
func (n *Notice) rest() Variant {
	if p := packs.Get(n.RestOfWorld); p != nil {
		return n.under(p, "", "")
	}
	return n.strictest()
}

// under is what the notice does under one pack: its own settings, as far as the
// pack lets it.
func (n *Notice) under(p *packs.Pack, country, subdivision string) Variant {
	if p == nil {
		// A version that another release published: what this one does not know is as strict as can be.
		return Variant{Regime: packs.OptIn, ChoiceDays: n.ChoiceDays, HonourGPC: true, Packs: []string{""}}
	}
	v := Variant{Regime: p.Model, ChoiceDays: max(n.ChoiceDays, p.AskAgain.NotBefore), Link: p.Link, Packs: []string{p.Key}}
	if p.AskAgain.Latest > 0 {
		v.ChoiceDays = min(v.ChoiceDays, p.AskAgain.Latest)
	}
	v.HonourGPC = p.Model != packs.NoticeOnly && (n.HonourGPC || p.GPC.Duty == packs.Mandatory)
	v.Confirm = v.HonourGPC && (p.ConfirmSignal != "" || p.Model == packs.OptOut)
	if country != "" {
		for _, category := range p.Exempts(country, subdivision) {
			if slices.Contains(n.Exempt, category) && n.category(category) != nil {
				v.Exempt = append(v.Exempt, category)
			}
		}
		slices.Sort(v.Exempt)
	}
	return v
}

// stricter is what satisfies both; the zero Variant asks for nothing.
func stricter(a, b Variant) Variant {
	if a.Regime == "" {
		return b
	}
	v := a
	if packs.Rank(b.Regime) < packs.Rank(a.Regime) {
		v.Regime = b.Regime
	}
	v.ChoiceDays = max(a.ChoiceDays, b.ChoiceDays)
	v.HonourGPC = a.HonourGPC || b.HonourGPC
	v.Confirm = a.Confirm || b.Confirm
	if v.Link = cmp.Or(a.Link, b.Link); v.Regime == packs.OptIn {
		v.Link = "" // who is asked first needs no way to opt out beside it
	}
	v.Exempt = slices.DeleteFunc(slices.Clone(a.Exempt), func(c string) bool { return !slices.Contains(b.Exempt, c) })
	v.Packs = append(slices.Clone(a.Packs), b.Packs...)
	return v
}

// As is the notice as a variant has it: what is compiled for its visitors.
func (n *Notice) As(v *Variant) *Notice {
	c := *n
	c.Regime, c.ChoiceDays, c.HonourGPC, c.Variant = v.Regime, v.ChoiceDays, v.HonourGPC, v
	return &c
}

func (n *Notice) checkRegimes() error {
	if !oneOf(n.DNT, "", "ignore", "refuse") {
		return wrong("Do Not Track is either ignored (ignore) or taken as a refusal (refuse), not %q.", n.DNT)
	}
	if len(n.Regimes) == 0 {
		if n.RestOfWorld != "" || len(n.Exempt) > 0 {
			return wrong("The rest of the world and exemptions have a meaning beside regimes. Name the regimes, or leave them out.")
		}
		return nil
	}
	seen := map[string]bool{}
	for _, key := range n.Regimes {
		p := packs.Get(key)
		switch {
		case p == nil || p.World():
			return wrong("There is no regime pack %q for a jurisdiction. Use %s.", key, packKeys(false))
		case seen[key]:
			return wrong("The regime %s is there twice.", key)
		}
		seen[key] = true
	}
	if p := packs.Get(n.RestOfWorld); p == nil && !oneOf(n.RestOfWorld, "", packs.Strictest) {
		return wrong("For the rest of the world there is no regime pack %q. Use %s, or %s.", n.RestOfWorld, packs.Strictest, packKeys(true))
	}
	seen = map[string]bool{}
	for _, category := range n.Exempt {
		if category == "necessary" || n.category(category) == nil || seen[category] {
			return wrong("The category %q cannot be exempt: name optional categories of this notice, each once.", category)
		}
		seen[category] = true
	}
	// Whatever reads the notice's own regime, and not its packs, is then on the safe side.
	if model := n.strictest().Regime; n.Regime != model {
		return wrong("With these regimes the kind of consent is that of the strictest, %s, not %s.", model, n.Regime)
	}
	return nil
}

func packKeys(world bool) string {
	var keys []string
	for _, p := range packs.All() {
		if p.World() == world {
			keys = append(keys, p.Key)
		}
	}
	return strings.Join(keys, ", ")
}
