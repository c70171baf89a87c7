// Package gate stands in front of a website, as middleware around its handler
// or in the reverse proxy `assent gate`, and sends every page with the
// Content-Security-Policy that the visitor's choice asks for. The header is there
// before the page is, so that not even a preload scanner asks a third party
// before a choice. It also puts the site's current boot into the page and keeps
// the consent cookie alive.
package gate

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"assent/internal/choice"
	"assent/internal/fault"
	"assent/internal/regime"
	"assent/internal/regime/wire"
	"assent/internal/web"
)

// Config is what a gate is made with.
type Config struct {
	// Server is where the gate reaches the Assent server: scheme and host, for
	// example https://consent.example. Visitors may know it by another address; the
	// server says which.
	Server string
	Site   string // site key
	// CacheFile keeps the last good copy of what the server said, so that a gate
	// that starts while the server is away still knows the site. "" for none.
	CacheFile string
	// TrustProxies are the networks whose X-Forwarded-Proto is believed (https
	// there makes the consent cookie Secure), and whose X-Forwarded-For and CountryHeader are.
	TrustProxies []netip.Prefix
	// CountryHeader is a header in which those proxies say the visitor's country, for
	// example CF-IPCountry. "" for none: then the visitor's address tells.
	CountryHeader string
	// GeoIP is an MMDB file that tells countries; "" for the built-in table. It is opened
	// by New, and read only for a site with several regimes.
	GeoIP string

	Client *http.Client     // nil: one with a time-out of 10 seconds
	Log    *slog.Logger     // nil: slog.Default
	Now    func() time.Time // nil: the system's clock
	Poll   time.Duration    // how often the server is asked for news; 0: 5 seconds
}

// Gate is safe for concurrent use. Close ends its polling.
type Gate struct {
	config Config
	origin string // of Server, for pages while nothing is known
	cookie string // its name
	finder wire.Finder
	news   *news
}

// New makes a gate and begins to ask the server about the site. It does not wait
// for the answer: until there is one, pages wait a moment, then get the strictest
// policy. Errors are faults of kind Invalid about the configuration.
func New(c Config) (*Gate, error) {
	origin, ok := choice.CleanOrigin(c.Server)
	if !ok {
		return nil, fault.New(fault.Invalid, "The server %q is not usable. Write scheme and host only, like https://consent.example.", c.Server)
	}
	if c.Site == "" || strings.ContainsAny(c.Site, "/?#% ") {
		return nil, fault.New(fault.Invalid, "The site key %q is not usable. The console shows it in the tag.", c.Site)
	}
	header, err := wire.HeaderName(c.CountryHeader, c.TrustProxies)
	if err != nil {
		return nil, err
	}
	countries := &regime.Countries{} // the built-in table is unpacked when it is asked first
	if c.GeoIP != "" {
		if countries, err = regime.OpenCountries(c.GeoIP); err != nil {
			return nil, err
		}
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Poll <= 0 {
		c.Poll = 5 * time.Second
	}
	return &Gate{config: c, origin: origin, cookie: choice.CookieName(c.Site),
		finder: wire.Finder{Countries: countries, TrustProxies: c.TrustProxies, Header: header}, news: follow(c, origin)}, nil
}

// Unknown is closed when the server answers that it has no such site and nothing
// else is known of it: the key is wrong, and asking again will not help. Pages go on
// getting the strictest policy.
func (g *Gate) Unknown() <-chan struct{} { return g.news.unknown }

// Close ends the polling. Pages are still served, by what is known.
func (g *Gate) Close() { g.news.close() }

// Wrap returns next behind the gate. Everything that reads or writes through it
// sees an ordinary http.ResponseWriter with Unwrap, Flush and Hijack.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visit := g.visit(r)
		out := &writer{ResponseWriter: w, gate: g, visit: visit}
		whole := false
		defer func() {
			if !whole { // a panic goes on; http.ErrAbortHandler among them
				out.abandon()
			}
		}()
		next.ServeHTTP(out, visit.rewritten(r))
		out.finish()
		whole = true
	})
}

// visit is one request and what holds for it.
type visit struct {
	manifest *choice.Manifest // as it is for the visitor's place; nil: nothing is known
	regime   string           // name of the variant that governs there, "" for the strictest
	placed   bool             // the site has several, and the boot is told which
	verdict  choice.Verdict
	stored   *choice.Cookie // the newest choice, in force or not
	policy   string         // "" where nothing is limited
	sources  []string       // what the policy names; nil where nothing is limited
	own      string         // host with port of the page
	element  string         // what is injected, without a nonce; "" for nothing
	suffix   string         // what our ETags end with
	once     bool           // shows a refused service, for this one view

	method  string
	dest    string // Sec-Fetch-Dest, lower case
	page    bool   // the browser shows the answer as a page
	inject  bool   // the answer may be one
	gzip    bool   // the client takes it
	request *http.Request
}

func (g *Gate) visit(r *http.Request) *visit {
	v := &visit{
		manifest: g.news.manifest(r.Context()), request: r, method: r.Method, own: choice.PageHost(r.Host),
		dest: strings.ToLower(r.Header.Get("Sec-Fetch-Dest")), gzip: acceptsGzip(r.Header["Accept-Encoding"]),
	}
	v.kind()
	if v.manifest == nil {
		unknown := &choice.Manifest{Origin: g.origin}
		v.policy, v.sources = unknown.Policy(nil, v.own), unknown.Sources(nil, v.own)
		v.suffix = etagSuffix(v.policy)
		return v
	}
	g.place(v)
	m := v.manifest
	for _, c := range r.CookiesNamed(g.cookie) {
		if read, ok := choice.ReadCookie(c.Value); ok && (v.stored == nil || read.Time.After(v.stored.Time)) {
			v.stored = read
		}
	}
	verdict, selection := m.InForce(v.stored, g.config.Now(), choice.Signals{GPC: r.Header.Get("Sec-GPC") == "1", DNT: r.Header.Get("DNT") == "1"})
	v.verdict = verdict
	of := m
	if shown := g.shownOnce(v); shown != nil {
		of, v.once = shown, true
	}
	v.policy, v.sources = of.Policy(&selection, v.own), of.Sources(&selection, v.own)
	v.element = v.elementWith("")
	v.suffix = etagSuffix(v.element + v.policy)
	return v
}

// place finds the variant that governs where the visitor is. Without a boot the script is
// chosen by the server, which may know another place: the strictest, then. A site without a
// policy has the same page for everybody, and its boot is told nothing.
func (g *Gate) place(v *visit) {
	m := v.manifest
	if len(m.Variants) == 0 {
		return
	}
	v.placed = m.Enforce
	if m.Boot == "" {
		return
	}
	at := g.finder.Place(v.request)
	v.manifest, v.regime = m.In(at.Country, at.Subdivision)
}

// kind tells from the request what the answer is for. Browsers say so since 2019
// to 2023 (Fetch Metadata), on trustworthy addresses; without it Accept has to do.
func (v *visit) kind() {
	h := v.request.Header
	byScript := h.Get("HX-Request") != "" || h.Get("X-Requested-With") != ""
	switch v.dest {
	case "document", "iframe", "frame", "object", "embed", "fencedframe":
		v.page = true
	case "empty":
		// What is prefetched is shown later.
		v.page = strings.Contains(h.Get("Sec-Purpose")+h.Get("Purpose"), "prefetch")
	case "":
		v.page = !byScript && strings.Contains(h.Get("Accept"), "text/html")
	}
	v.inject = v.page || v.dest == "" && !byScript
}

// mark tells the boot which choice the policy in the header was made for, so that
// a page out of some cache with the policy of another one is noticed: the end of
// the record's ID, "signal", or "" for the regime's default.
func (v *visit) mark() string {
	switch {
	case v.verdict == choice.Stored:
		id := hex.EncodeToString(v.stored.RecordID[:])
		return id[len(id)-8:] // the random part, too little of it to look a receipt up
	case v.verdict == choice.Signal:
		return string(v.verdict)
	}
	return ""
}

// elementWith is element for this visit, with a nonce where the page's policy has one. The boot
// is told that the gate can be asked to show a service once; and where it does,
// that the policy is not the choice's, so that the boot's own decides what is shown.
func (v *visit) elementWith(nonce string) string {
	mark := v.mark()
	if v.once {
		mark += onceMark
	}
	whole := element(v.manifest, mark, nonce)
	if v.placed {
		whole = withRegime(whole, v.regime)
	}
	if !v.manifest.Enforce || !slices.ContainsFunc(v.manifest.Services, func(s choice.Service) bool { return s.Embed }) {
		return whole
	}
	return strings.Replace(whole, " data-assent-gate=", " data-assent-once data-assent-gate=", 1)
}

// withRegime tells the boot under which regime's rules the policy was made, so that it begins
// with the same.
func withRegime(element, name string) string {
	return strings.Replace(element, " data-assent-gate=", ` data-assent-regime="`+name+`" data-assent-gate=`, 1)
}

// element is what is injected: the inline boot, or the blocking form of the tag
// as long as the server has no boot. The attribute tells the boot that the policy
// comes by header.
func element(m *choice.Manifest, mark, nonce string) string {
	attributes := ""
	if m.Enforce {
		attributes = ` data-assent-gate="` + mark + `"`
	}
	if nonce != "" {
		attributes += ` nonce="` + nonce + `"`
	}
	if m.Boot == "" {
		return `<script src="` + m.Origin + `/b/` + m.Site + `.js"` + attributes + `></script>`
	}
	return "<script" + attributes + ">" + m.Boot + "</script>"
}

// permission is what a page's own policy has to allow for the element.
func (v *visit) permission(origin string) permission {
	p := permission{origin: origin, allows: v.allows}
	if v.manifest == nil {
		return p
	}
	p.origin = v.manifest.Origin
	if v.manifest.Boot != "" {
		sum := sha256.Sum256([]byte(v.manifest.Boot))
		p.hash = "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return p
}

// allows tells whether the choice lets the page reach an address.
func (v *visit) allows(address string) bool {
	return v.sources == nil || allows(v.sources, v.own, address)
}

func etagSuffix(of string) string {
	sum := sha256.Sum256([]byte(of))
	return "~" + hex.EncodeToString(sum[:4])
}

// secure tells whether the visitor's browser uses https.
func (g *Gate) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	return strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") && web.Trusted(r, g.config.TrustProxies)
}
