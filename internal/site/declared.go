package site

import "strings"

// MatchName tells whether name fits a tracker's pattern, in which * stands for
// any run of characters. client/src/trackers.ts is its twin (testdata/trackers.json).
func MatchName(pattern, name string) bool {
	head, rest, found := strings.Cut(pattern, "*")
	if !found {
		return name == pattern
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	parts := strings.Split(rest, "*")
	for _, part := range parts[:len(parts)-1] {
		// The first fit of each part is as good as any other.
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}

// MatchHost tells whether a host with its port fits a service's host as a
// Content-Security-Policy reads it: *.host stands for everything below it, and a
// port must be the same.
func MatchHost(pattern, host string) bool {
	if below, found := strings.CutPrefix(pattern, "*"); found {
		return host == pattern || strings.HasSuffix(host, below) && len(host) > len(below)
	}
	return host == pattern
}

// Declares finds the service that declares a host (kind request) or the name of
// a tracker of the kind; nil when none does.
func (n *Notice) Declares(kind, name string) *Service {
	for i := range n.Services {
		s := &n.Services[i]
		if kind == "request" {
			for _, h := range s.Hosts {
				if MatchHost(h, name) {
					return s
				}
			}
		}
		for _, t := range s.Trackers {
			if t.Kind == kind && MatchName(t.Name, name) {
				return s
			}
		}
	}
	return nil
}
