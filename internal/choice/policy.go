package choice

import (
	"slices"
	"strings"
)

// Policy is the Content-Security-Policy (Level 3) that a selection asks for, or
// "" when nothing is limited. It limits where things come from and nothing else.
// page is host with port of the page, or "". A nil selection means that nothing
// is known: the page's own host and the consent server are left. Twin of
// client/src/policy.ts, driven by client/testdata/policy.json.
func (m *Manifest) Policy(s *Selection, page string) string {
	sources := m.Sources(s, page)
	if sources == nil {
		return ""
	}
	return "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: " + strings.Join(sources, " ")
}

// OwnHosts are the sources of a policy that stand for the site's own domains: every
// port, and every subdomain where there can be some.
func OwnHosts(domains []string) []string {
	hosts := []string{}
	for _, d := range domains {
		hosts = append(hosts, d+":*")
		if !isBare(d) || d == "localhost" {
			hosts = append(hosts, "*."+d+":*")
		}
	}
	return hosts
}

// Once is the manifest for one view of a page that shows a service which was refused:
// its hosts alone are let through, as client/src/gate/once.ts does. nil where there is
// no such service that shows content and can be refused.
func (m *Manifest) Once(key string) *Manifest {
	i := slices.IndexFunc(m.Services, func(s Service) bool { return s.Key == key && s.Embed && s.Category != necessary })
	if i < 0 {
		return nil
	}
	c := *m
	c.Services = slices.Clone(m.Services)
	c.Services[i].Open = true
	return &c
}

// Sources are the host sources of Policy: nil when nothing is limited.
func (m *Manifest) Sources(s *Selection, page string) []string {
	if s != nil && (!m.Enforce || m.Undeclared == "report" || m.Undeclared == "with_all" && m.everything(*s)) {
		return nil
	}
	list := []string{m.Origin}
	add := func(host string) {
		// http: and ws: stand for https: and wss: too. Host sources know no IPv6 address.
		if host != "" && host[0] != '[' {
			list = append(list, "http://"+host, "ws://"+host)
		}
	}
	add(page)
	if s == nil {
		return list
	}
	for _, host := range OwnHosts(m.Domains) {
		add(host)
	}
	for _, service := range m.Services {
		if service.Open || m.granted(*s, service) {
			for _, host := range service.Hosts {
				add(host)
			}
		}
	}
	return list
}
