// Package install looks at a page of a site as its server sends it and says in
// plain words whether the tag is in it, in the right place, and allowed to run. It
// knows no HTTP: wire fetches the page.
package install

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Page is an answer of the site's server.
type Page struct {
	URL  string   // where the page is in the end, after redirects
	CSP  []string // values of Content-Security-Policy
	Body string   // HTML, cut where it is longer than the checker reads
}

// Expect is what the page should have.
type Expect struct {
	Key     string // site key
	Origin  string // scheme and host of the consent server
	Current string // site.BundleID of the scripts in force
	Owns    func(host string) bool
}

// Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	Kind string `json:"kind"` // one of Kinds
	Bad  bool   `json:"bad"`  // the tag does not do its work like this
	Says string `json:"says"` // one or two sentences: what is wrong and what to do
}

// Kinds are what a page can be found to be like.
var Kinds = []string{"missing", "inert", "wrong_key", "wrong_server", "insecure", "not_first", "late", "deferred", "blocked", "connect", "old_boot", "twice"}

// Report is what was found on one page.
type Report struct {
	URL      string    `json:"url"`
	OK       bool      `json:"ok"`                // nothing bad was found
	Form     string    `json:"form"`              // tag, boot, or "" when neither is there
	Current  bool      `json:"current"`           // the page enforces by the version in force
	Findings []Finding `json:"findings"`          // the gravest first
	Hosts    []string  `json:"hosts"`             // of other companies, that the page's own HTML names
	Links    []string  `json:"links,omitempty"`   // to other pages of the site
	Problem  string    `json:"problem,omitempty"` // why the page could not be looked at, a sentence
}

func (r *Report) find(kind string, bad bool, says string) {
	if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == kind }) {
		r.Findings = append(r.Findings, Finding{kind, bad, says})
	}
}

// bootID is what a boot names its version and its compiler by (site.BundleID).
var bootID = regexp.MustCompile(`\b[0-9a-f]{72}\b`)

// Judge looks at a page.
func Judge(p Page, e Expect) Report {
	r := Report{URL: p.URL, Findings: []Finding{}, Hosts: []string{}}
	from, err := url.Parse(p.URL)
	if err != nil {
		from = &url.URL{Scheme: "https"}
	}
	list := scan(p.Body)
	r.Hosts, r.Links = others(list, from, e)
	at := r.locate(list, from, e)
	if at >= 0 {
		r.place(list, at, from, e)
		r.allowed(p, list, at, from, e)
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		switch {
		case a.Bad == b.Bad:
			return slices.Index(Kinds, a.Kind) - slices.Index(Kinds, b.Kind)
		case a.Bad:
			return -1
		}
		return 1
	})
	r.OK = !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Bad })
	return r
}

// locate finds the tag or the boot that counts and returns its place, -1 for none.
func (r *Report) locate(list []element, from *url.URL, e Expect) int {
	at := -1
	for i := range list {
		s := &list[i]
		if s.name != "script" {
			continue
		}
		form, key, origin := recognise(s, from, e)
		if form == "" {
			continue
		}
		switch {
		case s.inert:
			r.find("inert", true, "The tag stands in a <template> or a <noscript>, where browsers do not run it. Move it out, as the first element of <head>.")
		case key != e.Key:
			r.find("wrong_key", true, "The page has the tag of another site, with the key "+shown(key)+". This site's key is "+e.Key+": paste its own tag.")
		case !strings.EqualFold(origin, e.Origin):
			r.find("wrong_server", true, "The tag loads from "+shown(origin)+", and this site is served by "+e.Origin+". Paste the tag again.")
		case at >= 0:
			r.find("twice", false, "The tag is there twice. The second one does nothing; remove it.")
		default:
			at, r.Form = i, form
		}
	}
	if at < 0 && len(r.Findings) == 0 {
		says := "The tag is not in this page. Paste it as the first element of <head>, in the template that all pages share."
		if slices.ContainsFunc(list, func(s element) bool {
			return strings.Contains(s.attr("src"), "googletagmanager.com/gtm.js") || s.name == "script" && strings.Contains(s.text, "googletagmanager.com/gtm.js")
		}) {
			says = "The tag is not in this page's HTML. If a tag manager adds it, it comes after what it should hold back: paste it into the page itself, before the tag manager."
		}
		r.find("missing", true, says)
	}
	return at
}

// recognise tells whether a script is the tag or a boot, of which site, and where
// it asks.
func recognise(s *element, from *url.URL, e Expect) (form, key, origin string) {
	if src := strings.TrimSpace(s.attr("src")); src != "" {
		u, err := from.Parse(src)
		if err != nil {
			return "", "", ""
		}
		file, ours := strings.CutPrefix(u.Path, "/b/")
		key, isScript := strings.CutSuffix(file, ".js")
		origin := u.Scheme + "://" + u.Host
		// Elsewhere "/b/x.js" may be anything; our keys have 12 letters and digits.
		if !ours || !isScript || !strings.EqualFold(origin, e.Origin) && key != e.Key {
			return "", "", ""
		}
		return "tag", key, origin
	}
	if !bootID.MatchString(s.text) || !strings.Contains(s.text, "/b/") {
		return "", "", ""
	}
	key, origin = e.Key, e.Origin
	if !strings.Contains(s.text, `"`+e.Key+`"`) {
		found := siteKey.FindStringSubmatch(s.text)
		if found == nil {
			return "", "", ""
		}
		key = found[1]
	} else if !strings.Contains(s.text, `"`+e.Origin+`"`) {
		if found := consentServer.FindStringSubmatch(s.text); found != nil {
			origin = found[1]
		}
	}
	return "boot", key, origin
}

var (
	siteKey       = regexp.MustCompile(`"([a-z2-7]{12})"`)
	consentServer = regexp.MustCompile(`"(https?://[^"/]{1,260})"`)
)

// shown is a stranger's text as a sentence can hold it.
func shown(s string) string {
	r := []rune(strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, s))
	if len(r) > 80 {
		r = append(r[:80], '…')
	}
	return string(r)
}

// place says what is wrong with where the tag stands.
func (r *Report) place(list []element, at int, from *url.URL, e Expect) {
	s := &list[at]
	if s.body {
		r.find("late", true, "The tag stands in <body>. What the head loads has run by then: make it the first element of <head>.")
	}
	if r.Form == "tag" {
		if word := deferring(s); word != "" {
			r.find("deferred", true, "The tag has "+word+", so the page goes on loading and others run before it. Take the attribute away.")
		}
	}
	if r.Form == "tag" && from.Scheme == "https" && strings.HasPrefix(e.Origin, "http://") {
		r.find("insecure", true, "The page is loaded through https and the tag through http, which browsers refuse. Give the server an https address (--public-url) and paste the tag again.")
	}
	var before []string
	foreign := false
	for i := range at {
		b := &list[i]
		host, loads := requests(b, from, e)
		if b.inert || !loads {
			continue
		}
		foreign = foreign || host != ""
		what := "a script in the page"
		if host != "" {
			what = host
		} else if b.attr("src") != "" {
			what = "a script of your own"
		}
		if !slices.Contains(before, what) {
			before = append(before, what)
		}
	}
	if len(before) > 0 {
		if len(before) > 4 {
			before = append(before[:4], "others")
		}
		says := "Before the tag stands: " + shownAll(before) + ". It runs without asking. Put the tag above it."
		if !foreign {
			says = "Before the tag stands: " + shownAll(before) + ". Whatever it stores or loads is not held back. Put the tag above it, unless you know that it does neither."
		}
		r.find("not_first", foreign, says)
	}
	if r.Form == "boot" {
		r.Current = bootID.FindString(s.text) == e.Current
		if !r.Current {
			r.find("old_boot", false, "The boot in this page is of an older version. It asks and records rightly, and loads the whole script for it; after a change of the question it keeps everything closed. Paste the boot again.")
		}
		return
	}
	r.Current = true
}

func shownAll(list []string) string {
	for i, s := range list {
		list[i] = shown(s)
	}
	return strings.Join(list, ", ")
}

func deferring(s *element) string {
	switch {
	case s.has("async"):
		return "async"
	case s.has("defer"):
		return "defer"
	case strings.EqualFold(s.attr("type"), "module"):
		return `type="module"`
	}
	return ""
}

var loader = regexp.MustCompile(`//([A-Za-z0-9.-]{1,200}\.[A-Za-z]{2,20})/[^"'\s]{0,200}\.js`)

// requests tells whether an element runs code or loads from somebody else, and from
// which host; host is "" for what is the page's own.
func requests(s *element, from *url.URL, e Expect) (host string, does bool) {
	address := ""
	switch s.name {
	case "script":
		if t := strings.ToLower(strings.TrimSpace(s.attr("type"))); t != "" && t != "module" && !strings.HasSuffix(t, "/javascript") && !strings.HasSuffix(t, "/ecmascript") {
			return "", false // data, or marked up to wait
		}
		address = s.attr("src")
		if address == "" {
			// An inline script that names another's script is there to load it.
			found := loader.FindStringSubmatch(s.text)
			if found == nil {
				return "", strings.TrimSpace(s.text) != ""
			}
			address = "https://" + found[1] + "/"
		}
	case "link":
		if !slices.ContainsFunc(strings.Fields(strings.ToLower(s.attr("rel"))), func(rel string) bool {
			return slices.Contains([]string{"stylesheet", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch"}, rel)
		}) {
			return "", false
		}
		address = s.attr("href")
	case "img", "iframe", "video", "audio", "embed", "source":
		address = s.attr("src")
	default:
		return "", false
	}
	u, err := from.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", false
	}
	own := strings.EqualFold(u.Host, from.Host) || e.Owns(strings.ToLower(u.Hostname())) || strings.EqualFold(u.Scheme+"://"+u.Host, e.Origin)
	if own {
		return "", s.name == "script"
	}
	return strings.ToLower(u.Host), true
}

// allowed says whether the page's own policies let the tag run and send.
func (r *Report) allowed(p Page, list []element, at int, from *url.URL, e Expect) {
	s := &list[at]
	var metas []string
	for i := range at { // one that comes later says nothing of the tag's own run, and is the page's to know
		if m := &list[i]; m.name == "meta" && !m.body && !m.inert && strings.EqualFold(strings.TrimSpace(m.attr("http-equiv")), "content-security-policy") {
			metas = append(metas, m.attr("content"))
		}
	}
	for _, d := range append(policies(p.CSP), policies(metas)...) {
		if r.Form == "tag" && !d.allowsScript(e.Origin+"/b/"+e.Key+".js", s.attr("nonce"), from) {
			r.find("blocked", true, "The page's own Content-Security-Policy does not let the tag run. Add "+e.Origin+" to its script-src.")
		}
		if r.Form == "boot" && !d.allowsInline(s.text, s.attr("nonce")) {
			r.find("blocked", true, "The page's own Content-Security-Policy does not let the boot run. Put the page's nonce on its element, or use the tag.")
		}
		if r.Form == "boot" && !d.allowsScript(e.Origin+"/b/"+e.Key+"/ask.en.js", s.attr("nonce"), from) {
			r.find("blocked", true, "The page's own Content-Security-Policy does not let the boot load the rest. Add "+e.Origin+" to its script-src.")
		}
		if !d.allowsConnect(e.Origin+"/v1/consents", from) {
			r.find("connect", true, "The page's own Content-Security-Policy keeps decisions from being sent. Add "+e.Origin+" to its connect-src.")
		}
	}
}

// Bounds of what a report holds.
const (
	maxHosts = 60
	maxLinks = 40
)

// others are the hosts that the HTML names besides the site's own, and the links
// to other pages of the site.
func others(list []element, from *url.URL, e Expect) (hosts, links []string) {
	hosts = []string{}
	for i := range list {
		s := &list[i]
		// What is marked up to wait is a service of the site, too.
		probe := *s
		if src := s.attr("data-src"); src != "" {
			probe.attrs = map[string]string{"src": src}
		} else if s.name == "script" && s.attr("src") != "" {
			probe.attrs = map[string]string{"src": s.attr("src")}
		}
		if host, _ := requests(&probe, from, e); host != "" && !slices.Contains(hosts, host) && len(hosts) < maxHosts {
			hosts = append(hosts, host)
		}
		if s.name != "a" || len(links) >= maxLinks {
			continue
		}
		u, err := from.Parse(strings.TrimSpace(s.attr("href")))
		if err != nil || u.Scheme != from.Scheme || u.User != nil || !e.Owns(strings.ToLower(u.Hostname())) {
			continue
		}
		u.Fragment, u.RawQuery, u.RawFragment = "", "", ""
		if link := u.String(); u.Path != from.Path && u.Path != "" && !slices.Contains(links, link) {
			links = append(links, link)
		}
	}
	return hosts, links
}
