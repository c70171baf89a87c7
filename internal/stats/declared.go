package stats

import "assent/internal/site"

// DeclaredBy finds the service of a notice that declares what a class stands
// for: by one of its patterns, or because a pattern of its own has this class
// (vc2_queue is counted as vc*_queue). nil when none does.
func DeclaredBy(n *site.Notice, name Name) *site.Service {
	if s := n.Declares(name.Kind, name.Name); s != nil {
		return s
	}
	for i := range n.Services {
		for _, t := range n.Services[i].Trackers {
			if t.Kind == name.Kind && NameClass(t.Name) == name.Name {
				return &n.Services[i]
			}
		}
	}
	return nil
}
