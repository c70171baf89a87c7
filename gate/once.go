package gate

import (
	"net/http"
	"net/url"
	"strings"

	"assent/internal/choice"
)

// onceMark is the end of the name of the cookie by which a page asks for a refused
// service to be shown at the next load of its address, and nowhere else: the
// service's key, a dot, and path and query as encodeURIComponent has them
// (client/src/gate/once.ts). It is no consent, and nothing is recorded.
const onceMark = "_once"

// shownOnce is the manifest for a view that shows a refused service, or nil.
func (g *Gate) shownOnce(v *visit) *choice.Manifest {
	if !v.shownAlone() {
		return nil
	}
	c, err := v.request.Cookie(g.cookie + onceMark)
	if err != nil {
		return nil
	}
	key, address, _ := strings.Cut(c.Value, ".")
	if address, err = url.PathUnescape(address); err != nil || address != v.request.URL.RequestURI() {
		return nil
	}
	return v.manifest.Once(key)
}

// shownAlone tells whether the answer is a page that the browser shows by itself.
func (v *visit) shownAlone() bool {
	return v.page && (v.dest == "document" || v.dest == "") && v.method == http.MethodGet
}

// forgetOnce takes the cookie away with the page that it came for, or with any other.
func (g *Gate) forgetOnce(h http.Header, v *visit) {
	if _, err := v.request.Cookie(g.cookie + onceMark); err == nil && v.shownAlone() && v.manifest != nil {
		g.private(h, v)
		h.Add("Set-Cookie", g.cookie+onceMark+"=; Path=/; Max-Age=0; SameSite=Lax")
	}
}
