package gate

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"assent/internal/choice"
	"assent/internal/fault"
)

// Front is a web server that does the gate's work by itself, with a header map.
type Front struct {
	Program  string // nginx or caddy
	Upstream string // the website behind it
	Listen   string // address and port
}

// Config asks the Assent server about the site and returns the configuration for
// the front. It has the policies of the combinations of categories; every choice
// that is not one of these gets the policy of a refusal.
func (f Front) Config(ctx context.Context, c Config) (string, error) {
	u, err := url.Parse(f.Upstream)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || strings.ContainsAny(f.Upstream+f.Listen, " \t\r\n;{}\"'`\\$") {
		return "", fault.New(fault.Invalid, "The upstream %q or the address %q is not usable. Write --upstream http://127.0.0.1:3000 and --listen :8081.", f.Upstream, f.Listen)
	}
	if f.Program != "nginx" && f.Program != "caddy" {
		return "", fault.New(fault.Invalid, "Say which configuration is wanted: --for nginx or --for caddy.")
	}
	m, err := ask(ctx, c)
	if err != nil {
		return "", err
	}
	f.Upstream = u.Scheme + "://" + u.Host
	if f.Program == "nginx" {
		return f.nginx(m), nil
	}
	return f.caddy(m), nil
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

// answer is what a stored choice may say that a front has a policy for.
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

// patternOf is the regular expression for a Cookie header with this choice, and
// with group around the end of its record's ID.
func (c combination) patternOf(m *choice.Manifest, group string) string {
	return `(?:^|;\s*)assent_` + m.Site + `=1\.[0-9a-f]{32}\.[0-9a-f]{24}` + group + `[0-9a-f]{8})\.` + m.Scope +
		`\.[1-9a-z][0-9a-z]{0,9}\.(?:accept_all|accept_necessary|save|withdraw|signal)\.` + c.list + `\.(?:;|$)`
}

// defaults are the policies without a choice and of a refusal, and whether a
// signal is one.
func defaults(m *choice.Manifest) (none, refused string, signal bool) {
	preset, no := m.Preset(), m.Uniform(false)
	return m.Policy(&preset, ""), m.Policy(&no, ""), m.HonourGPC && m.Regime != "notice-only"
}

// preface is what stands above either configuration.
func (f Front) preface(m *choice.Manifest) string {
	return fmt.Sprintf(`# Made for site %s, notice version %.12s, by: assent gate config --for %s
# Make it anew and reload %[3]s after each published version: by a choice of another
# scope than %[4]s, a visitor counts as one who has not chosen.
# A choice by categories has its policy here. One that differs for a single service,
# and one that cannot be read, has that of a refusal: assent gate knows these, too.
`, m.Site, m.Version, f.Program, m.Scope)
}
