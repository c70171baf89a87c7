package public

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"assent/internal/regime"
	"assent/internal/site"
	"assent/internal/web"
)

// script is a site's compiled script with its header values made ready.
type script struct {
	source *site.Script
	forms  [3]form // brotli, gzip, plain: the order of preference
}

type form struct {
	body           []byte
	coding         []string // Content-Encoding, nil for plain
	length, etag   []string
	acceptedAs     string
	alwaysAccepted bool
}

func newScript(b *site.Script) *script {
	s := &script{source: b}
	// Each coding is a representation of its own and needs an ETag of its own
	// (RFC 9110 section 8.8.3.3).
	tag := strings.TrimSuffix(b.ETag, `"`)
	for i, f := range []struct {
		name, suffix string
		body         []byte
	}{{"br", `-br"`, b.Brotli}, {"gzip", `-gz"`, b.Gzip}, {"", `"`, b.Plain}} {
		s.forms[i] = form{body: f.body, length: []string{strconv.Itoa(len(f.body))}, etag: []string{tag + f.suffix},
			acceptedAs: f.name, alwaysAccepted: f.name == ""}
		if f.name != "" {
			s.forms[i].coding = []string{f.name}
		}
	}
	return s
}

// scriptOf finds the prepared form of a script and makes it anew when another
// version is in force. name is the site key, with the part's name behind a slash.
func (p *public) scriptOf(name string, source *site.Script) *script {
	p.mu.RLock()
	s := p.scripts[name]
	p.mu.RUnlock()
	if s == nil || s.source != source {
		s = newScript(source)
		p.mu.Lock()
		p.scripts[name] = s
		p.mu.Unlock()
	}
	return s
}

// script serves GET /b/{site}.js from memory.
func (p *public) script(w http.ResponseWriter, r *http.Request) (int, error) {
	key, isScript := strings.CutSuffix(r.PathValue("file"), ".js")
	if !isScript {
		return 0, errUnknownSite
	}
	live := p.Cache.Site(key)
	if live == nil || live.Bundle == nil {
		return 0, errUnknownSite
	}
	p.asked(r, live, "tag", "")
	variant := p.variant(r, live)
	return p.serveScript(w, r, p.scriptOf(key+"/"+variant.Name, live.Script(variant.Name, "")), p.caching(r, live))
}

// variant is what governs at the caller's place.
func (p *public) variant(r *http.Request, live *site.Live) site.Variant {
	if live.Variants == nil {
		return site.Variant{}
	}
	at := p.place(r)
	return site.Variant{Name: live.Variants.For(at.Country, at.Subdivision)}
}

// place is where the caller is; see wire.Finder.
func (p *public) place(r *http.Request) regime.Place { return p.finder.Place(r) }

// caching says who may keep the script. Alike for everybody: any cache. Chosen by
// the caller's place: the caller's own, for as long as one stays in a place; a CDN that names
// the country keeps one for each.
func (p *public) caching(r *http.Request, live *site.Live) caching {
	switch {
	case live.Variants == nil:
		return caching{control: scriptCache, vary: varyCoding}
	case p.finder.BehindCDN(r):
		return caching{control: scriptCache, vary: p.varyCountry, cloudflare: noStore}
	}
	return caching{control: scriptPrivate, vary: varyCoding}
}

// caching are header values, as the map of headers holds them.
type caching struct {
	control, vary []string
	// Cloudflare keeps scripts, and does not look at Vary: without a cache key of the
	// operator's it would hand one country's script to every other.
	cloudflare []string
}

// part serves GET /b/{site}/{part}.js, what the boot in a page asks for. The query
// names the scripts that the boot fits to; with another name the whole script is
// the answer, which takes the boot's place. GET /b/{site}/boot.js is the boot itself,
// for those who build pages.
func (p *public) part(w http.ResponseWriter, r *http.Request) (int, error) {
	if r.PathValue("file") == gateFile {
		return p.gate(w, r)
	}
	if r.PathValue("file") == "gpc.json" { // the mux would not know which path is the narrower one
		return p.gpc(w, r)
	}
	key := r.PathValue("site")
	name, isScript := strings.CutSuffix(r.PathValue("file"), ".js")
	live := p.Cache.Site(key)
	if live == nil || live.Bundle == nil || !isScript || strings.Contains(name, "~") {
		return 0, errUnknownSite
	}
	if name == "boot" && live.Bundle.Parts["boot"] != nil {
		return p.serveScript(w, r, p.bootOf(key, live.Bundle), caching{control: scriptCache, vary: varyCoding})
	}
	variant := p.variant(r, live)
	part, where := live.Script(variant.Name, name), key+"/"+variant.Name+"~"+name
	p.asked(r, live, "boot", r.URL.RawQuery)
	if part == nil || r.URL.RawQuery != site.BundleID(live.Version, live.Bundle.Build)+variant.Suffix() {
		part, where = live.Script(variant.Name, ""), key+"/"+variant.Name
	}
	return p.serveScript(w, r, p.scriptOf(where, part), p.caching(r, live))
}

// bootOf is the boot with this server's address in it. It is sent as it is: those
// who ask for it put it into pages, which are compressed as a whole.
func (p *public) bootOf(key string, bundle *site.Bundle) *script {
	boot := bundle.Boot(p.PublicURL())
	sum := sha256.Sum256(boot)
	return newScript(&site.Script{ETag: `"` + hex.EncodeToString(sum[:16]) + `"`, Plain: boot})
}

func (p *public) serveScript(w http.ResponseWriter, r *http.Request, s *script, c caching) (int, error) {
	f := s.pick(r.Header["Accept-Encoding"])
	h := w.Header()
	h["Cache-Control"] = c.control
	h["Etag"] = f.etag
	h["Vary"] = c.vary
	if c.cloudflare != nil {
		h["Cloudflare-Cdn-Cache-Control"] = c.cloudflare
	}
	h["Cross-Origin-Resource-Policy"] = crossOrigin
	h["Access-Control-Allow-Origin"] = anyOrigin // for integrity checks and readable errors
	h["X-Content-Type-Options"] = noSniff
	if matches(r.Header["If-None-Match"], f.etag[0]) {
		w.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified, nil
	}
	h["Content-Type"] = typeScript
	h["Content-Length"] = f.length
	if f.coding != nil {
		h["Content-Encoding"] = f.coding
	}
	if r.Method != http.MethodHead {
		w.Write(f.body)
	}
	return http.StatusOK, nil
}

// pick chooses the smallest form that the client takes.
func (s *script) pick(accept []string) *form {
	for i := range s.forms {
		f := &s.forms[i]
		if f.alwaysAccepted || len(f.body) > 0 && web.Accepts(accept, f.acceptedAs) {
			return f
		}
	}
	return &s.forms[len(s.forms)-1]
}

// matches compares an If-None-Match header weakly (RFC 9110 section 13.1.2).
// ETags are quoted, so one cannot be a part of another.
func matches(header []string, etag string) bool {
	for _, line := range header {
		if strings.Contains(line, etag) || strings.TrimSpace(line) == "*" {
			return true
		}
	}
	return false
}

// gpc serves GET /b/{site}/gpc.json: what a site offers at /.well-known/gpc.json (W3C
// Global Privacy Control, section 4). lastUpdate is the day of the version in force.
func (p *public) gpc(w http.ResponseWriter, r *http.Request) (int, error) {
	live := p.Cache.Site(r.PathValue("site"))
	if live == nil {
		return 0, errUnknownSite
	}
	h := w.Header()
	h["Cache-Control"] = gpcCache
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["X-Content-Type-Options"] = noSniff
	h["Content-Type"] = typeJSON
	return send(w, r, fmt.Appendf(nil, `{"gpc":%t,"lastUpdate":%q}`, live.GPC, live.Since.UTC().Format(time.DateOnly)))
}
