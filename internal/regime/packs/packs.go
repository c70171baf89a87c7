// Package packs holds the rules of jurisdictions as data: one JSON file a pack,
// with the articles that it follows and since when they are in force. A changed law
// is a changed file; the code knows models and signals, and no country.
package packs

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Models, from the strictest to the mildest.
const (
	OptIn      = "opt-in"      // nothing optional before consent
	OptOut     = "opt-out"     // optional until refused
	NoticeOnly = "notice-only" // the visitor is told
)

// Duties: what a jurisdiction says about a signal of the browser.
const (
	Mandatory   = "mandatory"   // it must be obeyed
	Recommended = "recommended" // the site's own setting decides
	No          = "no"          // the law does not speak of it; the site's own setting decides
)

// Strictest stands for the strictest of a site's packs, where a place is to be named.
const Strictest = "strictest"

// Pack is the rules of one jurisdiction, or of several that share them.
type Pack struct {
	Key  string `json:"key"` // lower-case letters, digits, hyphens; the file's name
	Name string `json:"name"`
	// ValidFrom is the day, YYYY-MM-DD, since which all of it holds.
	ValidFrom string `json:"valid_from"`
	// Jurisdictions are countries (ISO 3166-1 alpha-2) and subdivisions (ISO 3166-2,
	// such as US-CA), of which the narrower wins. A pack without any is a site's choice
	// for the rest of the world.
	Jurisdictions []string `json:"jurisdictions"`
	Model         string   `json:"model"` // opt-in, opt-out or notice-only
	// Means says in a sentence what a site's visitors get.
	Means string `json:"means"`
	GPC   Signal `json:"gpc"`
	// ConfirmSignal is the day since which a visitor whose signal was obeyed must be
	// shown so, or "".
	ConfirmSignal string `json:"confirm_signal"`
	AskAgain      Again  `json:"ask_again"`
	// RefuseFirst: the first layer must offer the refusal beside the acceptance.
	RefuseFirst bool `json:"refuse_on_first_layer"`
	// Link is the wording that the way to the choice must have, or "".
	Link     string    `json:"link"`
	Exempt   []Exempt  `json:"exempt"`
	Articles []Article `json:"articles"`
}

// Signal is what holds for a signal of the browser.
type Signal struct {
	Duty  string `json:"duty"`
	Since string `json:"since"` // YYYY-MM-DD where the duty is mandatory, else ""
}

// Again is how soon, and how late, a visitor is asked another time, in days.
type Again struct {
	NotBefore int `json:"not_before_days"` // after a refusal; 0: the law sets none
	Latest    int `json:"latest_days"`     // a choice is not relied on for longer; 0: the law sets none
}

// Exempt is what may run before a choice although the model is opt-in, when the
// site meets the conditions and says so (Notice.Exempt).
type Exempt struct {
	Purpose       string   `json:"purpose"`
	Category      string   `json:"category"`      // the notice's category that it concerns
	Jurisdictions []string `json:"jurisdictions"` // those of the pack's that have it; empty: all
	Conditions    []string `json:"conditions"`
}

// Article is a source.
type Article struct {
	Citation string `json:"citation"`
	InForce  string `json:"in_force"` // YYYY-MM-DD: in force, applied or adopted since
	Says     string `json:"says"`
}

// World tells whether the pack is for no place of its own.
func (p *Pack) World() bool { return len(p.Jurisdictions) == 0 }

// Exempts are the categories that the pack exempts in a place, of which the
// subdivision may be unknown ("").
func (p *Pack) Exempts(country, subdivision string) []string {
	var list []string
	for _, e := range p.Exempt {
		if len(e.Jurisdictions) == 0 || slices.Contains(e.Jurisdictions, country) || slices.Contains(e.Jurisdictions, subdivision) {
			list = append(list, e.Category)
		}
	}
	return list
}

// Compare orders packs from the strictest to the mildest: by model, by fewer
// exemptions, by the duty to obey signals, by the time between two questions,
// and by key, so that no two are equal.
func Compare(a, b *Pack) int {
	return cmp.Or(
		cmp.Compare(Rank(a.Model), Rank(b.Model)),
		cmp.Compare(len(a.Exempt), len(b.Exempt)),
		cmp.Compare(slices.Index(duties, a.GPC.Duty), slices.Index(duties, b.GPC.Duty)),
		-cmp.Compare(a.ConfirmSignal, b.ConfirmSignal),
		-cmp.Compare(a.AskAgain.NotBefore, b.AskAgain.NotBefore),
		strings.Compare(a.Key, b.Key),
	)
}

var (
	models = []string{OptIn, OptOut, NoticeOnly}
	duties = []string{Mandatory, Recommended, No}
)

// Rank is 0 for the strictest model; a model that is not known is as strict.
func Rank(model string) int { return max(0, slices.Index(models, model)) }

//go:embed *.json
var files embed.FS

var all = sync.OnceValue(func() []*Pack {
	list, err := loadFiles()
	if err != nil {
		panic("packs: " + err.Error()) // the files are in the binary, and tested
	}
	return list
})

// All are the packs, the strictest first. They are not to be changed.
func All() []*Pack { return all() }

// Get is the pack with a key, or nil.
func Get(key string) *Pack {
	for _, p := range All() {
		if p.Key == key {
			return p
		}
	}
	return nil
}

func loadFiles() ([]*Pack, error) {
	names, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var list []*Pack
	for _, f := range names {
		raw, err := files.ReadFile(f.Name())
		if err != nil {
			return nil, err
		}
		p, err := Read(raw)
		if err == nil && p.Key+".json" != path.Base(f.Name()) {
			err = fmt.Errorf("the key is %q", p.Key)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		list = append(list, p)
	}
	slices.SortFunc(list, Compare)
	return list, checkTogether(list)
}

// Read reads one pack: every member known, and all of it sound.
func Read(raw []byte) (*Pack, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	p := new(Pack)
	if err := dec.Decode(p); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, fmt.Errorf("there is more than one value")
	}
	return p, p.check()
}

func (p *Pack) check() error {
	switch {
	case p.Key == "" || p.Key == Strictest || strings.Trim(p.Key, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return fmt.Errorf("the key %q is not usable", p.Key)
	case p.Name == "" || p.Means == "":
		return fmt.Errorf("name and means are needed")
	case !slices.Contains(models, p.Model):
		return fmt.Errorf("the model %q is unknown", p.Model)
	case !slices.Contains(duties, p.GPC.Duty):
		return fmt.Errorf("the duty %q is unknown", p.GPC.Duty)
	case (p.GPC.Duty == Mandatory) != (p.GPC.Since != ""):
		return fmt.Errorf("since when the signal counts is said where it is mandatory, and only there")
	case p.GPC.Duty == Mandatory && p.Model == NoticeOnly:
		return fmt.Errorf("where visitors are only informed no signal can be mandatory")
	case p.ConfirmSignal != "" && p.GPC.Duty != Mandatory:
		return fmt.Errorf("a signal that need not be obeyed need not be confirmed")
	case p.AskAgain.NotBefore < 0 || p.AskAgain.NotBefore > 390 || p.AskAgain.Latest < 0:
		return fmt.Errorf("the days between two questions are 0 to 390")
	case p.AskAgain.Latest != 0 && p.AskAgain.Latest < p.AskAgain.NotBefore:
		return fmt.Errorf("a visitor has to be asked again before it is allowed")
	case p.Model != OptIn && len(p.Exempt) > 0:
		return fmt.Errorf("an exemption has a meaning where visitors are asked first")
	case !p.World() && len(p.Articles) == 0:
		return fmt.Errorf("a jurisdiction needs its articles")
	}
	for _, day := range []string{p.ValidFrom, p.GPC.Since, p.ConfirmSignal} {
		if err := checkDay(day, day != p.ValidFrom); err != nil {
			return err
		}
	}
	return cmp.Or(p.checkPlaces(), p.checkExempt(), p.checkArticles())
}

func (p *Pack) checkPlaces() error {
	seen := map[string]bool{}
	for _, j := range p.Jurisdictions {
		if country, _, _ := strings.Cut(j, "-"); !Known(country) || len(j) != 2 && Subdivision(j) != j {
			return fmt.Errorf("the jurisdiction %q is no code of ISO 3166", j)
		}
		if seen[j] {
			return fmt.Errorf("the jurisdiction %s is there twice", j)
		}
		seen[j] = true
	}
	return nil
}

func (p *Pack) checkExempt() error {
	seen := map[string]bool{}
	for _, e := range p.Exempt {
		if !slices.Contains([]string{"functional", "analytics", "advertising"}, e.Category) || e.Purpose == "" || len(e.Conditions) == 0 {
			return fmt.Errorf("an exemption needs a purpose, an optional category and its conditions")
		}
		if seen[e.Category] {
			return fmt.Errorf("the category %s is exempt twice", e.Category)
		}
		seen[e.Category] = true
		for _, j := range e.Jurisdictions {
			if !slices.Contains(p.Jurisdictions, j) {
				return fmt.Errorf("the exemption for %s names %s, which is not the pack's", e.Purpose, j)
			}
		}
	}
	return nil
}

func (p *Pack) checkArticles() error {
	for _, a := range p.Articles {
		if a.Citation == "" || a.Says == "" {
			return fmt.Errorf("an article needs its citation and what it says")
		}
		if err := checkDay(a.InForce, false); err != nil {
			return err
		}
		if a.InForce > p.ValidFrom {
			return fmt.Errorf("%s is in force since %s, and all of the pack since %s", a.Citation, a.InForce, p.ValidFrom)
		}
	}
	return nil
}

func checkDay(day string, optional bool) error {
	if day == "" && optional {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return fmt.Errorf("%q is no day", day)
	}
	return nil
}

// checkTogether refuses two packs for one place.
func checkTogether(list []*Pack) error {
	owner := map[string]string{}
	for _, p := range list {
		if owner["key "+p.Key] != "" {
			return fmt.Errorf("two packs have the key %s", p.Key)
		}
		owner["key "+p.Key] = p.Key
		for _, j := range p.Jurisdictions {
			if owner[j] != "" {
				return fmt.Errorf("%s is in the packs %s and %s", j, owner[j], p.Key)
			}
			owner[j] = p.Key
		}
	}
	return nil
}
