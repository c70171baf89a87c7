package gate

import (
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/choice"
)

// rewritten is the request as the handler gets it: with a coding that can be read
// again, and with conditions about its own representations.
func (v *visit) rewritten(r *http.Request) *http.Request {
	if !v.inject {
		return r
	}
	again := *r
	again.Header = r.Header.Clone()
	h := again.Header
	h.Set("Accept-Encoding", "identity")
	if v.gzip {
		h.Set("Accept-Encoding", "gzip")
	}
	if match, ok := h["If-None-Match"]; ok {
		if match = v.mapBack(match); len(match) == 0 {
			h.Del("If-None-Match")
		} else {
			h["If-None-Match"] = match
		}
	}
	if v.page {
		// A date does not say which boot or policy the copy has.
		h.Del("If-Modified-Since")
	}
	return &again
}

// mapBack turns our ETags into those of the handler; about others it knows
// nothing, so a page that was stored without the gate is sent whole.
func (v *visit) mapBack(headers []string) []string {
	var list []string
	for item := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		item = strings.TrimSpace(item)
		tag, ours := strings.CutSuffix(strings.TrimPrefix(item, "W/"), v.suffix+`"`)
		switch {
		case ours:
			list = append(list, tag+`"`, "W/"+tag+`"`)
		case !v.page && !strings.Contains(item, "~"):
			list = append(list, item)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return []string{strings.Join(list, ", ")}
}

// kind of content, as far as a policy matters to it.
type kind uint8

const (
	other    kind = iota
	document      // gets policy and boot
	active        // gets the policy: it can run scripts when it is shown
	code          // gets the policy when it may become a worker
)

// kindOf reads a Content-Type. What has none is taken for what a browser may
// find in it.
func kindOf(contentType string) (k kind, charset string) {
	name, params, err := mime.ParseMediaType(contentType)
	if name == "" {
		name, _, _ = strings.Cut(contentType, ";")
		name = strings.ToLower(strings.TrimSpace(name))
	}
	if err == nil {
		charset = strings.ToLower(params["charset"])
	}
	switch {
	case name == "text/html":
		return document, charset
	case name == "text/xml", name == "application/xml", strings.HasSuffix(name, "+xml"),
		name == "", name == "*/*", name == "unknown/unknown", name == "application/unknown":
		return active, charset
	case strings.HasSuffix(name, "javascript"), strings.HasSuffix(name, "ecmascript"):
		return code, charset
	}
	return other, charset
}

// head makes the header of an answer fit the choice. It tells whether the body is
// a page that the element belongs in.
func (g *Gate) head(h http.Header, v *visit, status int) bool {
	k, charset := kindOf(h.Get("Content-Type"))
	if status == http.StatusNotModified && h.Get("Content-Type") == "" && v.page {
		k = document // it has no type, and what the browser holds is a page
	}
	g.filter(h, v)
	if k == other {
		return false
	}
	if !v.shows(k) {
		vary(h, "Sec-Fetch-Dest") // no copy without a policy is taken for a page or a worker
		return false
	}
	inject := k == document && v.element != "" && v.inject && g.injects(h, status, charset)
	if inject {
		v.element = v.elementWith(nonceOf(slices.Concat(h["Content-Security-Policy"], h["Content-Security-Policy-Report-Only"])))
	}
	if k == document {
		p := v.permission(g.origin)
		for _, name := range []string{"Content-Security-Policy", "Content-Security-Policy-Report-Only"} {
			for i, value := range h[name] {
				h[name][i] = p.permit(value)
			}
		}
	}
	if v.policy != "" {
		h.Add("Content-Security-Policy", v.policy)
		// Names that a page mentions are not looked up ahead of a click.
		h.Set("X-DNS-Prefetch-Control", "off")
	}
	if v.manifest == nil || v.manifest.Enforce {
		g.private(h, v)
	}
	if k == document {
		g.keepCookie(h, v, status)
		g.forgetOnce(h, v)
	}
	if inject || status == http.StatusNotModified {
		changed(h, v.suffix)
	}
	return inject
}

// shows tells whether a policy matters to an answer of this kind: where it stands
// by itself in a browser, and not as an image, a style, or a part of a page.
func (v *visit) shows(k kind) bool {
	switch v.dest {
	case "":
		return true // unknown
	case "worker", "sharedworker", "serviceworker":
		return k == code
	case "empty":
		return v.page || k == document // may be kept and shown by a service worker
	}
	return v.page
}

// injects tells whether the body of an HTML answer can have the element.
func (g *Gate) injects(h http.Header, status int, charset string) bool {
	switch {
	case status == http.StatusPartialContent, status == http.StatusNoContent, status == http.StatusNotModified, status >= 300 && status < 400:
		return false
	case strings.HasPrefix(charset, "utf-16"), strings.HasPrefix(charset, "utf-32"):
		return false
	case strings.HasPrefix(strings.ToLower(strings.TrimSpace(h.Get("Content-Disposition"))), "attachment"):
		return false // a file to keep
	}
	coding := coding(h)
	if coding != "" && !decodes(coding) {
		g.config.Log.Warn("a page in a coding that the gate cannot read has the policy, but no banner", "coding", coding)
		return false
	}
	return true
}

// coding is the one Content-Encoding, lower case, "" for none; several are named
// together and are none that can be read.
func coding(h http.Header) string {
	c := strings.ToLower(strings.TrimSpace(strings.Join(h["Content-Encoding"], ",")))
	if c == "identity" {
		return ""
	}
	return c
}

// filter takes out what makes browsers reach other hosts past any policy.
func (g *Gate) filter(h http.Header, v *visit) {
	if v.sources == nil {
		return
	}
	if links, ok := h["Link"]; ok {
		if kept := filterLinks(links, v.allows); len(kept) > 0 {
			h["Link"] = kept
		} else {
			h.Del("Link")
		}
	}
	for _, name := range reporting {
		if slices.ContainsFunc(h[http.CanonicalHeaderKey(name)], func(value string) bool { return !mayReport(value, v.allows) }) {
			h.Del(name)
			h.Del("NEL")
		}
	}
}

// private keeps an answer that depends on the choice, and on where the visitor is, out of
// shared caches, and one for another choice out of the browser's. An address can stand in no Vary:
// what keeps one country's page from another is that nothing shared may keep it at all.
func (g *Gate) private(h http.Header, v *visit) {
	for _, name := range []string{"Cookie", "Sec-GPC", "Sec-Fetch-Dest", "HX-Request"} {
		vary(h, name)
	}
	if v.manifest != nil && v.manifest.HonourDNT {
		vary(h, "DNT")
	}
	if v.placed && g.finder.Header != "" {
		vary(h, g.finder.Header)
	}
	// These outrank Cache-Control in content delivery networks and in nginx.
	for name := range h {
		if strings.HasSuffix(name, "Cdn-Cache-Control") || name == "Surrogate-Control" || name == "Edge-Control" || name == "X-Accel-Expires" {
			h.Del(name)
		}
	}
	var kept []string
	forbidden := false
	for item := range strings.SplitSeq(strings.Join(h["Cache-Control"], ","), ",") {
		item = strings.TrimSpace(item)
		name, _, _ := strings.Cut(strings.ToLower(item), "=")
		switch strings.TrimSpace(name) {
		case "", "public", "s-maxage", "proxy-revalidate":
			continue
		case "private":
			if strings.Contains(item, "=") { // of some fields only
				continue
			}
			forbidden = true
		case "no-store":
			forbidden = true
		}
		kept = append(kept, item)
	}
	if !forbidden {
		kept = append([]string{"private"}, kept...)
	}
	h.Set("Cache-Control", strings.Join(kept, ", "))
}

func vary(h http.Header, name string) {
	for _, line := range h["Vary"] {
		for item := range strings.SplitSeq(line, ",") {
			if item = strings.TrimSpace(item); item == "*" || strings.EqualFold(item, name) {
				return
			}
		}
	}
	h.Add("Vary", name)
}

// changed makes a header fit a body that is not the handler's: no length, no
// digest, no ranges, and an ETag of its own that says "semantically the same".
func changed(h http.Header, suffix string) {
	for _, name := range []string{"Content-Length", "Last-Modified", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"} {
		h.Del(name)
	}
	tag := strings.TrimPrefix(h.Get("ETag"), "W/")
	if len(tag) >= 2 && strings.HasSuffix(tag, `"`) {
		h.Set("ETag", "W/"+strings.TrimSuffix(tag, `"`)+suffix+`"`)
	} else {
		h.Del("ETag")
	}
}

// keptFor is how long a browser is not sent its choice again.
const keptFor = 24 * time.Hour

// keepCookie sends the visitor's choice back as it came, with the time that it
// has left: browsers keep a server's cookie that long, while Safari forgets a
// script's after seven days. A second cookie, which scripts do not see, says that
// it was done: once a day, and at once for another choice. That seldom, because
// an answer that is under way while the visitor decides anew in another tab would
// bring the former choice back.
func (g *Gate) keepCookie(h http.Header, v *visit, status int) {
	if v.verdict != choice.Stored || !v.page || v.dest != "document" && v.dest != "" || status >= 300 || v.method != http.MethodGet {
		return
	}
	done := v.mark()
	if c, err := v.request.Cookie(g.cookie + keptMark); err == nil && c.Value == done {
		return
	}
	m := v.manifest
	whole := time.Duration(m.ChoiceDays) * 24 * time.Hour
	left := min(whole, whole-g.config.Now().Sub(v.stored.Time)).Truncate(time.Second)
	if left <= 0 {
		return
	}
	host := v.own
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	rest := "; SameSite=Lax"
	if domain := choice.CookieDomain(m.Domains, host); domain != "" {
		rest += "; Domain=" + domain
	}
	if g.secure(v.request) {
		rest += "; Secure"
	}
	g.private(h, v)
	h.Add("Set-Cookie", g.cookie+"="+v.stored.String()+"; Path=/; Max-Age="+strconv.Itoa(int(left/time.Second))+rest)
	h.Add("Set-Cookie", g.cookie+keptMark+"="+done+"; Path=/; Max-Age="+strconv.Itoa(int(keptFor/time.Second))+"; HttpOnly"+rest)
}

// keptMark is the end of the second cookie's name. Site keys have no "_".
const keptMark = "_kept"
