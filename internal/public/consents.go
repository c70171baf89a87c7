package public

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"assent/internal/consent"
	"assent/internal/fault"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/web"
	"assent/receipt"
)

// consent serves POST /v1/consents. The order of the checks is the order of
// what they cost; nothing is written before all of them have passed, and then
// in one transaction.
func (p *public) consent(w http.ResponseWriter, r *http.Request) (int, error) {
	allowOrigin(w, r)
	network, err := p.admit(r, p.byNetwork)
	if err != nil {
		return 0, err
	}
	buffer := p.buffers.Get().(*[]byte)
	defer p.buffers.Put(buffer)
	body, err := web.ReadBody(r, (*buffer)[:0], consent.MaxBody)
	*buffer = body[:0]
	if err != nil {
		return 0, err
	}
	d, err := consent.Decode(body)
	if err != nil {
		return 0, err
	}
	live, err := p.owner(w, r, d.Site)
	if err != nil {
		return 0, err
	}
	if !p.bySite.Allow(live.ID) {
		return 0, fault.New(fault.TooMany, "Too many decisions came for this site within a minute. Nothing was recorded; send it again later.")
	}
	if d.Host != "" && !live.Owns(d.Host) {
		forbidOrigin(w)
		return 0, fault.New(fault.Forbidden, "The page is not on one of the site's domains. Add its domain to the site in the console.")
	}
	version, err := p.Cache.Version(r.Context(), d.Site, d.Version)
	if err != nil {
		return 0, err
	}
	now := p.Now().UTC().Truncate(time.Millisecond)
	record, err := d.Record(version, p.circumstances(r, network, now))
	if err != nil {
		return 0, err
	}
	p.waiting.Add(1)
	stored, repeated, err := p.Register.Append(r.Context(), register.Entry{
		SiteID: live.ID, RecordID: d.RecordID, ConsentID: d.ConsentID, Time: now, Payload: record.Canonical(),
	})
	p.waiting.Add(-1)
	if err != nil {
		return 0, err
	}
	status := http.StatusCreated
	if repeated { // the first answer holds
		if record, err = receipt.ParseRecord(stored.Payload); err != nil {
			return 0, err
		}
		status = http.StatusOK
	}
	p.meters.decision(record.Status, repeated)
	*buffer = p.answer(w, status, (*buffer)[:0], record)
	return status, nil
}

// answer writes the contract's JSON. Every value is plain ASCII without quotes.
func (p *public) answer(w http.ResponseWriter, status int, b []byte, record *receipt.Record) []byte {
	h := w.Header()
	where := p.PublicURL() + "/r/" + record.RecordID
	b = append(append(b, `{"record_id":"`...), record.RecordID...)
	b = append(append(b, `","consent_id":"`...), record.ConsentID...)
	b = append(append(b, `","time":"`...), record.Time...)
	b = append(append(b, `","status":"`...), record.Status...)
	b = append(append(b, `","receipt":"`...), where...)
	b = append(b, `"}`...)
	h["Location"] = []string{where}
	h["Content-Type"] = typeJSON
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	w.WriteHeader(status)
	w.Write(b)
	return b[:0]
}

// admit refuses what need not be read: a media type that is not JSON's, and a
// network that sends too much. It returns the client's masked network.
func (p *public) admit(r *http.Request, limiter *web.Limiter[netip.Prefix]) (netip.Prefix, error) {
	network, err := p.spare(r, limiter)
	if err != nil {
		return network, err
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return network, fault.New(fault.Unsupported, "The body is compressed. Send it as it is; it is small.")
	}
	if !jsonType(r.Header.Get("Content-Type")) {
		return network, fault.New(fault.Unsupported, "Send JSON with the Content-Type text/plain or application/json, in UTF-8.")
	}
	return network, nil
}

// spare refuses a network that sends too much, and returns the client's masked one.
func (p *public) spare(r *http.Request, limiter *web.Limiter[netip.Prefix]) (netip.Prefix, error) {
	network, _ := consent.MaskAddr(web.ClientAddr(r, p.TrustProxies))
	if network.IsValid() && !network.Addr().IsLoopback() && !network.Addr().IsPrivate() && !limiter.Allow(network) {
		return network, fault.New(fault.TooMany, "Too many requests came from this network within a minute. Nothing was recorded; send it again later.")
	}
	return network, nil
}

// jsonType tells whether a Content-Type is one of the two that are read, in UTF-8.
func jsonType(header string) bool {
	media, parameters, _ := strings.Cut(header, ";")
	media = strings.TrimSpace(media)
	if !strings.EqualFold(media, "text/plain") && !strings.EqualFold(media, "application/json") {
		return false
	}
	for parameters != "" {
		var one string
		one, parameters, _ = strings.Cut(parameters, ";")
		name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
		if strings.EqualFold(name, "charset") && !strings.EqualFold(strings.Trim(value, `"`), "utf-8") {
			return false
		}
	}
	return true
}

// owner finds the site and makes sure that the request comes from one of its
// pages. Apps and servers send no Origin and are let through.
func (p *public) owner(w http.ResponseWriter, r *http.Request, key string) (*site.Live, error) {
	live := p.Cache.Site(key)
	if live == nil {
		return nil, errUnknownSite
	}
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return live, nil
	}
	if host := consent.HostOf(origins[0]); len(origins) > 1 || host == "" || !live.Owns(host) {
		forbidOrigin(w)
		return nil, fault.New(fault.Forbidden, "This page's origin is not one of the site's domains. Add its domain to the site in the console, or use the tag of the site that it belongs to.")
	}
	return live, nil
}

// allowOrigin lets the page that asks read the answer. Which site it asks for
// stands in the body, so an error before that is readable too; it says nothing
// that is not public, and no cookies are involved.
func allowOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Vary"] = varyOrigin
	if origins := r.Header["Origin"]; len(origins) == 1 && consent.HostOf(origins[0]) != "" {
		h["Access-Control-Allow-Origin"] = origins
	}
}

func forbidOrigin(w http.ResponseWriter) { w.Header().Del("Access-Control-Allow-Origin") }

// preflight answers OPTIONS for clients that send application/json from pages.
func preflight(w http.ResponseWriter, r *http.Request) (int, error) {
	allowOrigin(w, r)
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "POST")
	h.Set("Access-Control-Allow-Headers", "Content-Type")
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Allow", "OPTIONS, POST")
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent, nil
}

// circumstances keeps what may be kept of a request.
func (p *public) circumstances(r *http.Request, network netip.Prefix, now time.Time) consent.Circumstances {
	c := consent.Circumstances{Time: now}
	if network.IsValid() {
		at := p.place(r)
		c.Network, c.Country, c.Part = network.String(), at.Country, at.Subdivision
	}
	c.Device, c.Browser = consent.ParseAgent(r.UserAgent())
	return c
}
