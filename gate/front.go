package gate

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"assent/internal/choice"
	"assent/internal/fault"
	"assent/internal/regime/packs"
	"assent/internal/regime/wire"
)

// Front is a web server that does the gate's work by itself, with a header map.
type Front struct {
	Program  string // nginx or caddy
	Upstream string // the website behind it
	Listen   string // address and port
}

// Config asks the Assent server about the site and returns the configuration for
// the front. On a site with several regimes a country header of c tells which governs; without
// one it is the strictest for everybody. It has the policies of the combinations of categories; every choice
// that is not one of these gets the policy of a refusal.
func (f Front) Config(ctx context.Context, c Config) (string, error) {
	u, err := url.Parse(f.Upstream)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || strings.ContainsAny(f.Upstream+f.Listen, " \t\r\n;{}\"'`\\$") {
		return "", fault.New(fault.Invalid, "The upstream %q or the address %q is not usable. Write --upstream http://127.0.0.1:3000 and --listen :8081.", f.Upstream, f.Listen)
	}
	if f.Program != "nginx" && f.Program != "caddy" {
		return "", fault.New(fault.Invalid, "Say which configuration is wanted: --for nginx or --for caddy.")
	}
	header, err := wire.HeaderName(c.CountryHeader, c.TrustProxies)
	if err != nil {
		return "", err
	}
	m, err := ask(ctx, c)
	if err != nil {
		return "", err
	}
	f.Upstream = u.Scheme + "://" + u.Host
	if f.Program == "nginx" {
		return f.nginx(m, rulesOf(m, header, c.TrustProxies)), nil
	}
	return f.caddy(m, rulesOf(m, header, c.TrustProxies)), nil
}

// ask gets the manifest once.
func ask(ctx context.Context, c Config) (*choice.Manifest, error) {
	origin, ok := choice.CleanOrigin(c.Server)
	if !ok || c.Site == "" {
		return nil, fault.New(fault.Invalid, "Give --site KEY and --server with scheme and host only, like https://consent.example.")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/b/"+url.PathEscape(c.Site)+"/gate.json", nil)
	if err != nil {
		return nil, err
	}
	client := c.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The Assent server at %s does not answer. Start it, or give its address with --server.", origin)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, choice.MaxManifest+1))
	if err != nil || res.StatusCode != http.StatusOK {
		return nil, fault.New(fault.NotFound, "The Assent server at %s knows no published site %q (%s).", origin, c.Site, res.Status)
	}
	return choice.ReadManifest(data)
}

// maxCombined is up to how many categories every combination gets a policy of its
// own; beyond it, only all of them together do.
const maxCombined = 4

// combination is what a stored choice may say that a front has a policy for.
type combination struct {
	name   string // of the state in the configuration: c and a digit for each category
	list   string // the categories as the cookie has them
	policy string
}

// combinations are every choice by categories alone.
func combinations(m *choice.Manifest) []combination {
	keys := slices.DeleteFunc(slices.Clone(m.Categories), func(k string) bool { return k == "necessary" })
	slices.Sort(keys)
	var all []combination
	for bits := range 1 << len(keys) {
		if len(keys) > maxCombined && bits != 0 && bits != 1<<len(keys)-1 {
			continue
		}
		s := choice.Selection{Categories: map[string]bool{}}
		c := combination{name: "c"}
		for i, key := range keys {
			granted := bits&(1<<i) != 0
			s.Categories[key] = granted
			if i > 0 {
				c.list += "~"
			}
			if !granted {
				c.list += "!"
			}
			c.list += key
			c.name += map[bool]string{false: "0", true: "1"}[granted]
		}
		c.policy = m.Policy(&s, "")
		all = append(all, c)
	}
	return all
}

// patternOf is the regular expression for scope, ":" and a Cookie header with this choice about
// that scope, and with group around the end of its record's ID.
func (c combination) patternOf(site, scope, group string) string {
	return `^` + scope + `:(?:.*;\s*)?assent_` + site + `=1\.[0-9a-f]{32}\.[0-9a-f]{24}` + group + `[0-9a-f]{8})\.` + scope +
		`\.[1-9a-z][0-9a-z]{0,9}\.(?:accept_all|accept_necessary|save|withdraw|signal)\.` + c.list + `\.(?:;|$)`
}

// frontState is what a front has a policy for.
type frontState struct{ name, policy string }

// rules are what a site's answers go by, as both programs write them down.
type rules struct {
	site     string
	header   string         // that says the visitor's country, "" for none
	trust    []netip.Prefix // from where it is believed
	regimes  []governed
	places   [][2]string // regular expression for what the header says, and the variant's name
	scopes   []string    // what choices are about
	choices  []combination
	states   []frontState
	several  bool   // the boot has to be told which regime the policy is for
	vary     string // what an answer depends on
	unplaced bool   // there are several regimes, and nobody says where the visitor is
}

// governed is a variant of the site: by which scope its choices go, what a visitor without
// one is under, and by which signals that is a refusal.
type governed struct {
	name, scope, none string
	gpc, dnt          bool
}

func rulesOf(m *choice.Manifest, header string, trust []netip.Prefix) *rules {
	r := &rules{site: m.Site, header: header, trust: trust, choices: combinations(m), several: len(m.Variants) > 0 && m.Enforce, vary: "Cookie, Sec-GPC, Sec-Fetch-Dest"}
	list := []choice.Variant{{Scope: m.Scope}}
	// Without a boot the server chooses the script, and may know another place.
	if header != "" && m.Boot != "" && len(m.Variants) > 0 {
		list = append(list, m.Variants...)
		r.places = places(m.Places)
		r.vary += ", " + header
	}
	r.unplaced = len(m.Variants) >= len(list)
	if m.HonourDNT {
		r.vary += ", DNT"
	}
	for i, v := range list {
		of := m
		if i > 0 {
			of = m.As(v)
		}
		preset, asks := of.Preset(), of.Regime != packs.NoticeOnly
		none := frontState{"none" + map[bool]string{true: "-" + v.Name}[i > 0], of.Policy(&preset, "")}
		r.regimes = append(r.regimes, governed{v.Name, of.Scope, none.name, of.HonourGPC && asks, of.HonourDNT && asks})
		r.states = append(r.states, none)
		if !slices.Contains(r.scopes, of.Scope) {
			r.scopes = append(r.scopes, of.Scope)
		}
	}
	no := m.Uniform(false)
	r.states = append(r.states, frontState{"refused", m.Policy(&no, "")})
	for _, c := range r.choices {
		r.states = append(r.states, frontState{c.name, c.policy})
	}
	return r
}

// signals are regular expressions for "regime:choice:Sec-GPC:DNT" of visitors who have not
// chosen and whose browser refuses for them.
func (r *rules) signals() []string {
	var list []string
	for _, g := range r.regimes {
		if g.gpc {
			list = append(list, "^"+g.name+":none:1:")
		}
		if g.dnt {
			list = append(list, "^"+g.name+":none:[^:]*:1$")
		}
	}
	return list
}

// places are regular expressions for the value of a country header, in the order in which they
// are tried: DE, or US-CA where the header says the subdivision, too (regime.PlaceOf).
func places(by *packs.ByPlace) [][2]string {
	const part = "-[0-9A-Z]{1,3}"
	var exact, below [][2]string
	countries := map[string][]string{}
	rest := packs.Countries()
	for _, place := range slices.Sorted(maps.Keys(by.Names)) {
		name := by.Names[place]
		switch country, sub, found := strings.Cut(place, "-"); {
		case sub == "*":
			below = append(below, [2]string{"^" + country + part + "$", name})
		case found:
			exact = append(exact, [2]string{"^" + place + "$", name})
		default:
			countries[name] = append(countries[name], country)
			rest = slices.DeleteFunc(rest, func(c string) bool { return c == country })
		}
	}
	list := slices.Concat(exact, below)
	for _, name := range slices.Sorted(maps.Keys(countries)) {
		list = append(list, [2]string{"^(" + strings.Join(countries[name], "|") + ")(" + part + ")?$", name})
	}
	return append(list, [2]string{"^(" + strings.Join(rest, "|") + ")(" + part + ")?$", by.Rest})
}

// preface is what stands above either configuration.
func (f Front) preface(m *choice.Manifest, r *rules) string {
	text := fmt.Sprintf(`# Made for site %s, notice version %.12s, by: assent gate config --for %s
# Make it anew and reload %[3]s after each published version: by a choice of another
# scope than %[4]s, a visitor counts as one who has not chosen.
# A choice by categories has its policy here. One that differs for a single service,
# and one that cannot be read, has that of a refusal: assent gate knows these, too.
`, m.Site, m.Version, f.Program, m.Scope)
	switch {
	case r.unplaced:
		text += "# Nobody says where a visitor is: on this site with several regimes everybody gets the\n" +
			"# policy of the strictest. With --country-header and --trust-proxy a CDN's header tells.\n"
	case len(r.places) > 0:
		text += "# Where a visitor is says the header " + r.header + " of the CDN, believed from its networks alone.\n" +
			"# Make sure that the CDN sets it, and give the Assent server the same --country-header.\n"
	}
	return text
}
