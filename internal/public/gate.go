package public

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"assent/internal/choice"
	"assent/internal/site"
)

// manifest is what a gate asks for, made ready for one published version.
type manifest struct {
	live      *site.Live
	publicURL string
	body      []byte
	etag      []string
}

// gateFile stands among the parts of a site's script.
const gateFile = "gate.json"

// gate serves GET /b/{site}/gate.json, which gates ask for every few seconds.
func (p *public) gate(w http.ResponseWriter, r *http.Request) (int, error) {
	live := p.Cache.Site(r.PathValue("site"))
	if live == nil || live.Bundle == nil {
		return 0, errUnknownSite
	}
	m, err := p.manifestOf(r.Context(), live)
	if err != nil {
		return 0, err
	}
	h := w.Header()
	h["Cache-Control"] = []string{"no-cache"}
	h["Etag"] = m.etag
	h["X-Content-Type-Options"] = noSniff
	if matches(r.Header["If-None-Match"], m.etag[0]) {
		w.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified, nil
	}
	h["Content-Type"] = typeJSON
	return send(w, r, m.body)
}

// manifestOf finds the prepared manifest of a site and makes it anew when
// anything about the site has changed.
func (p *public) manifestOf(ctx context.Context, live *site.Live) (*manifest, error) {
	address := p.PublicURL()
	p.mu.RLock()
	m := p.manifests[live.Key]
	p.mu.RUnlock()
	if m != nil && m.live == live && m.publicURL == address {
		return m, nil
	}
	v, err := p.Cache.Version(ctx, live.Key, live.Version)
	if err != nil {
		return nil, err
	}
	n := *v.Notice
	n.Domains = live.Domains
	boot := strings.TrimSpace(string(live.Bundle.Boot(address)))
	body, err := json.Marshal(manifestFor(&n, live.Version, address, boot))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	m = &manifest{live, address, body, []string{`"` + hex.EncodeToString(sum[:16]) + `"`}}
	p.mu.Lock()
	p.manifests[live.Key] = m
	p.mu.Unlock()
	return m, nil
}

// manifestFor is the strictest variant, as in the boot, with the others beside it.
func manifestFor(n *site.Notice, version, publicURL, boot string) *choice.Manifest {
	variants := n.Variants()
	n = n.As(&variants.List[0])
	m := &choice.Manifest{
		Schema: 1, Site: n.Site, Version: version, Scope: n.Scope(), ChoiceDays: n.ChoiceDays, Regime: n.Regime,
		HonourGPC: n.HonourGPC, HonourDNT: n.DNT == "refuse", Enforce: n.Enforcement.Policy, Undeclared: n.Enforcement.Undeclared, Origin: publicURL,
		Domains: n.Domains, Categories: []string{}, Services: []choice.Service{}, Boot: boot,
		Tag: `<script src="` + publicURL + `/b/` + n.Site + `.js"></script>`,
	}
	for i := range variants.List[1:] {
		v := &variants.List[1+i]
		m.Places = variants.Places
		m.Variants = append(m.Variants, choice.Variant{Name: v.Name, Scope: n.As(v).Scope(), ChoiceDays: v.ChoiceDays, Regime: v.Regime, HonourGPC: v.HonourGPC, Exempt: v.Exempt})
	}
	for _, c := range n.Categories {
		m.Categories = append(m.Categories, c.Key)
	}
	for _, s := range n.Services {
		m.Services = append(m.Services, choice.Service{Key: s.Key, Category: s.Category, Hosts: append([]string{}, s.Hosts...),
			Open: n.Advanced() && s.Signal == "google", Embed: s.Embed})
	}
	return m
}
