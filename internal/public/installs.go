package public

import (
	"net/http"
	"strings"

	"assent/internal/site"
)

// asked notes on which host a site's script was asked for: by the Referer, which for a
// script of another origin is scheme and host (Referrer Policy, strict-origin-when-cross-origin).
// id is what a boot names itself by, "" for the tag. Nothing else of the request is looked at.
func (p *public) asked(r *http.Request, live *site.Live, form, id string) {
	if p.Stats == nil || r.Method != http.MethodGet {
		return
	}
	host, old := "", ""
	if referer := r.Header["Referer"]; len(referer) == 1 {
		_, rest, found := strings.Cut(referer[0], "://")
		if host, _, _ = strings.Cut(rest, "/"); !found || host == "" {
			return
		}
	} else if dest := r.Header["Sec-Fetch-Dest"]; len(dest) != 1 || dest[0] != "script" {
		return // no page of a browser
	}
	if form == "boot" {
		if len(id) < 72 || !isHex(id[:72]) {
			return
		}
		if id[:72] != site.BundleID(live.Version, live.Bundle.Build) {
			old = id[:64]
		}
	}
	p.Stats.Install(live.ID, host, "", form, old, live.Owns)
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ran notes on which kinds of pages the script ran: those of a batch of events, on the
// host that sent it.
func (p *public) ran(r *http.Request, live *site.Live, b *batch) {
	if p.Stats == nil {
		return
	}
	_, host, found := strings.Cut(r.Header.Get("Origin"), "://")
	if !found {
		return
	}
	page := b.Page
	for i := range b.Events {
		if page == "" {
			page = b.Events[i].Page
		}
	}
	if page != "" {
		p.Stats.Install(live.ID, host, page, "", "", live.Owns)
	}
}
