package choice

import (
	"slices"
	"time"

	"assent/internal/regime/packs"
)

// Selection is what was granted, without the when and the who.
type Selection struct {
	Categories map[string]bool // every category but necessary
	Services   map[string]bool // only those that differ from their category
}

// necessary is the category that nobody decides on.
const necessary = "necessary"

// Verdict says what decides about a page.
type Verdict string

// Verdicts, as client/testdata/force.json names them.
const (
	Stored Verdict = "stored" // a choice that is in force
	Signal Verdict = "signal" // the browser's Global Privacy Control refuses
	Ask    Verdict = "ask"    // nothing: the regime's default holds
	Idle   Verdict = "idle"   // the notice has nothing to decide
)

const day = 24 * time.Hour

// Signals are what a browser says for its visitor: Global Privacy Control (Sec-GPC: 1),
// and Do Not Track (DNT: 1).
type Signals struct{ GPC, DNT bool }

// Judge tells what is in force: the stored choice when it is about this notice's
// scope and neither outdated nor from the future by more than a day, else a signal
// where the notice honours it. Twin of judge in client/src/decision.ts.
func (m *Manifest) Judge(stored *Cookie, now time.Time, said Signals) Verdict {
	if len(m.optional()) == 0 {
		return Idle
	}
	// Who opted out stays out, of what is new as well (California Civil Code 1798.135(c)(4)).
	if stored != nil && m.Regime != packs.OptIn && stored.Action != acceptAll {
		return Stored
	}
	if stored != nil && stored.Scope == m.Scope {
		if age := now.Sub(stored.Time); age >= -day && age <= time.Duration(m.ChoiceDays)*day {
			return Stored
		}
	}
	if (said.GPC && m.HonourGPC || said.DNT && m.HonourDNT) && m.Regime != packs.NoticeOnly {
		return Signal
	}
	return Ask
}

// InForce is what holds for a page: by the choice, the signal, or the regime.
func (m *Manifest) InForce(stored *Cookie, now time.Time, said Signals) (Verdict, Selection) {
	switch v := m.Judge(stored, now, said); v {
	case Stored:
		return v, Selection{stored.Categories, stored.Services}
	case Signal:
		return v, m.Uniform(false)
	default:
		return v, m.Preset()
	}
}

// Preset is what holds before a visitor has decided.
func (m *Manifest) Preset() Selection {
	s := m.Uniform(m.Regime == packs.OptOut || m.Regime == packs.NoticeOnly)
	for key := range s.Categories {
		if len(m.Exempt) > 0 {
			s.Categories[key] = slices.Contains(m.Exempt, key)
		}
	}
	return s
}

// Uniform is everything granted, or everything refused.
func (m *Manifest) Uniform(value bool) Selection {
	s := Selection{Categories: map[string]bool{}}
	for _, key := range m.optional() {
		s.Categories[key] = value
	}
	return s
}

// optional are the categories that a visitor decides on.
func (m *Manifest) optional() []string {
	return slices.DeleteFunc(slices.Clone(m.Categories), func(key string) bool { return key == necessary })
}

// granted tells whether a service is.
func (m *Manifest) granted(s Selection, service Service) bool {
	switch {
	case !slices.Contains(m.Categories, service.Category):
		return false
	case service.Category == necessary:
		return true
	}
	if value, named := s.Services[service.Key]; named {
		return value
	}
	return s.Categories[service.Category]
}

// everything tells whether every category and service is granted, and there is
// one to grant: the status accepted_all.
func (m *Manifest) everything(s Selection) bool {
	optional := m.optional()
	for _, key := range optional {
		if !s.Categories[key] {
			return false
		}
	}
	for _, service := range m.Services {
		if !m.granted(s, service) {
			return false
		}
	}
	return len(optional) > 0
}
