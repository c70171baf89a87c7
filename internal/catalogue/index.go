package catalogue

import (
	"strings"

	"assent/internal/site"
)

// Index finds the services that a host or a name belongs to, without walking
// through the whole catalogue.
type Index struct {
	hosts    map[string][]*Entry // exact
	below    map[string][]*Entry // of "*.host", by host
	names    map[string][]*Entry // by kind and exact name, or its class
	patterns []pattern           // names with *
}

type pattern struct {
	kind, name, class string
	entry             *Entry
}

// NewIndex builds one. class makes of a name what reports of pages keep of it
// (stats.NameClass): a pattern is found by that, too. nil: names as they are.
func NewIndex(class func(string) string) *Index {
	if class == nil {
		class = func(name string) string { return name }
	}
	x := &Index{hosts: map[string][]*Entry{}, below: map[string][]*Entry{}, names: map[string][]*Entry{}}
	for _, e := range All() {
		for _, h := range e.Hosts {
			if host, wild := strings.CutPrefix(h, "*."); wild {
				x.below[host] = append(x.below[host], e)
			} else {
				x.hosts[h] = append(x.hosts[h], e)
			}
		}
		for _, t := range e.Trackers {
			if c := class(t.Name); strings.Contains(t.Name, "*") {
				x.patterns = append(x.patterns, pattern{t.Kind, t.Name, c, e})
			} else {
				x.add(t.Kind+" "+t.Name, e)
				if c != t.Name && strings.Trim(c, "*._-") != "" {
					x.add(t.Kind+" "+c, e)
				}
			}
		}
	}
	return x
}

func (x *Index) add(key string, e *Entry) { x.names[key] = append(x.names[key], e) }

// Host lists the services that a host belongs to, the most particular first: the
// host itself before what stands for everything below a domain.
func (x *Index) Host(host string) []*Entry {
	var list []*Entry
	list = join(list, x.hosts[host])
	for at := host; ; {
		_, up, more := strings.Cut(at, ".")
		if !more {
			return list
		}
		list = join(list, x.below[up])
		at = up
	}
}

// Name lists the services that a name of the kind (site.TrackerKinds) belongs to,
// exact names before patterns.
func (x *Index) Name(kind, name string) []*Entry {
	var list []*Entry
	list = join(list, x.names[kind+" "+name])
	for _, p := range x.patterns {
		if p.kind == kind && (p.class == name || site.MatchName(p.name, name)) {
			list = join(list, []*Entry{p.entry})
		}
	}
	return list
}

// join appends without repeating.
func join(list, more []*Entry) []*Entry {
next:
	for _, e := range more {
		for _, have := range list {
			if have == e {
				continue next
			}
		}
		list = append(list, e)
	}
	return list
}
