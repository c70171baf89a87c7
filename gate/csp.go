package gate

import (
	"regexp"
	"slices"
	"strings"
)

// permission is what a page's own Content-Security-Policy must allow for the
// element that is injected and the script that it loads.
type permission struct {
	hash   string // 'sha256-…' of the inline boot, or "" when there is none
	origin string // of the consent server
	allows func(address string) bool
}

// permit adds to one header value, which may hold several policies, what is
// missing, and nothing that would take something away: a hash where inline code
// is allowed anyway would switch 'unsafe-inline' off (CSP Level 3, "does a source
// list allow all inline behavior").
func (g permission) permit(header string) string {
	policies := strings.Split(header, ",")
	for i, text := range policies {
		policies[i] = g.permitPolicy(text)
	}
	return strings.Join(policies, ",")
}

func (g permission) permitPolicy(text string) string {
	p := parsePolicy(text)
	if len(p) == 0 { // nothing, or white space that is none of a header's
		return ""
	}
	if elem := p.find("script-src-elem"); elem >= 0 {
		p[elem].sources = g.script(p[elem].sources)
	} else if p.governs("script-src") {
		at := p.own("script-src", &p)
		p[at].sources = g.script(p[at].sources)
	}
	if p.governs("connect-src") {
		at := p.own("connect-src", &p)
		p[at].sources = added(p[at].sources, g.origin)
	}
	// The boot's policy for Trusted Types, with which it gives its script an address.
	if at := p.find("trusted-types"); at >= 0 && !slices.Contains(p[at].sources, "*") {
		p[at].sources = added(p[at].sources, trustedTypes)
	}
	return p.without(g.allows).String()
}

// trustedTypes is the name of the boot's policy (Trusted Types, createPolicy).
const trustedTypes = "assent"

// script is a list of script sources with the boot and the consent server in it.
func (g permission) script(sources []string) []string {
	if g.hash != "" && !allowsInline(sources) {
		sources = added(sources, g.hash)
	}
	return added(sources, g.origin)
}

// allowsInline tells whether every inline script may run.
func allowsInline(sources []string) bool {
	inline := false
	for _, s := range sources {
		s = strings.ToLower(s)
		switch {
		case s == "'strict-dynamic'" || strings.HasPrefix(s, "'nonce-") || strings.HasPrefix(s, "'sha256-") ||
			strings.HasPrefix(s, "'sha384-") || strings.HasPrefix(s, "'sha512-"):
			return false
		case s == "'unsafe-inline'":
			inline = true
		}
	}
	return inline
}

// added is the list with one source more; 'none' means something only alone.
func added(sources []string, source string) []string {
	if slices.Contains(sources, source) {
		return sources
	}
	list := slices.DeleteFunc(slices.Clone(sources), func(s string) bool { return strings.EqualFold(s, "'none'") })
	return append(list, source)
}

var nonceForm = regexp.MustCompile(`^'[nN][oO][nN][cC][eE]-([A-Za-z0-9+/_-]+={0,2})'$`)

// nonceOf finds the nonce by which the page's own policies let scripts in, or "".
func nonceOf(headers []string) string {
	for _, header := range headers {
		for text := range strings.SplitSeq(header, ",") {
			p := parsePolicy(text)
			for _, name := range []string{"script-src-elem", "script-src", "default-src"} {
				at := p.find(name)
				if at < 0 {
					continue
				}
				for _, s := range p[at].sources {
					if found := nonceForm.FindStringSubmatch(s); found != nil {
						return found[1]
					}
				}
				break
			}
		}
	}
	return ""
}

// directive of a policy, for example script-src and its sources.
type directive struct {
	name    string
	sources []string
}

type policy []directive

func parsePolicy(text string) policy {
	var p policy
	for part := range strings.SplitSeq(text, ";") {
		if fields := strings.Fields(part); len(fields) > 0 {
			p = append(p, directive{fields[0], fields[1:]})
		}
	}
	return p
}

// find returns the place of a directive, or -1; of several the first counts.
func (p policy) find(name string) int {
	return slices.IndexFunc(p, func(d directive) bool { return strings.EqualFold(d.name, name) })
}

// governs tells whether name or the default in its place limits anything.
func (p policy) governs(name string) bool { return p.find(name) >= 0 || p.find("default-src") >= 0 }

// own returns the place of a directive and makes it from default-src where it is
// missing, so that what is added counts for nothing else.
func (p policy) own(name string, to *policy) int {
	if at := p.find(name); at >= 0 {
		return at
	}
	*to = append(p, directive{name, slices.Clone(p[p.find("default-src")].sources)})
	return len(*to) - 1
}

// without takes out where browsers would report to before that is allowed.
func (p policy) without(allows func(string) bool) policy {
	at := p.find("report-uri")
	if at < 0 {
		return p
	}
	p[at].sources = slices.DeleteFunc(p[at].sources, func(s string) bool { return !allows(s) })
	if len(p[at].sources) == 0 {
		return slices.Delete(p, at, at+1)
	}
	return p
}

func (p policy) String() string {
	var b strings.Builder
	for i, d := range p {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(d.name)
		for _, s := range d.sources {
			b.WriteString(" " + s)
		}
	}
	return b.String()
}
