package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

// A visitor who has refused shows one film behind the gate, once: the header of that one
// load lets it through, and no record says more than the refusal.
func TestAFilmIsShownOnceBehindTheGate(t *testing.T) {
	var shown atomic.Int32
	var port string
	website := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "film.test") {
			shown.Add(1)
			text("text/html; charset=utf-8", "<!doctype html><title>Film</title><p>film")(rw, r)
			return
		}
		text("text/html; charset=utf-8", `<!doctype html><html lang="en"><head><title>Shop</title></head><body><h1>Shop</h1>
			<iframe id="film" title="Film" width="400" height="300" src="http://film.test:`+port+`/film"></iframe>
			<iframe id="post" title="Post" width="400" height="300" src="http://post.test:`+port+`/post"></iframe></body></html>`)(rw, r)
	}))
	t.Cleanup(website.Close)
	port = website.URL[strings.LastIndex(website.URL, ":")+1:]
	w := newWorldWith(t, func(n *site.Notice) {
		for _, key := range []string{"film", "post"} {
			n.Services = append(n.Services, site.Service{Key: key, Name: key, Category: "functional", Provider: key + " Ltd", Purpose: map[string]string{"en": "Shows it."},
				Hosts: []string{key + ".test:" + port}, Trackers: []site.Tracker{}, Embed: true})
		}
	})
	url := behindGate(t, w, website.URL)
	v := newVisitor(t)
	const covered = "[...document.querySelectorAll('assent-embed')].filter((e) => (e.previousSibling?.id ?? e.nextSibling?.id) == 'film' || e.nextSibling?.id == 'film')"
	browsertest.Open(t, v.ctx, url+"/a%20page?of=%C3%A4")
	w.press(t, v, refuseAll, "accepted_necessary")
	browsertest.Wait(t, v.ctx, covered+".length == 1 && document.querySelectorAll('assent-embed').length == 2")
	if n := shown.Load(); n != 0 {
		t.Errorf("the film was asked for %d times before", n)
	}
	browsertest.Eval[bool](t, v.ctx, "window.formerPage = true")
	browsertest.Click(t, v.ctx, covered+"[0].shadowRoot.querySelector('.once')")
	browsertest.Wait(t, v.ctx, "!window.formerPage && document.readyState == 'complete' && window.assent && document.querySelectorAll('assent-embed').length == 1 && "+covered+".length == 0")
	browsertest.Until(t, "the film is shown", func() bool { return shown.Load() == 1 })
	if kept := browsertest.Eval[string](t, v.ctx, "document.cookie.replace(/assent_"+w.key+"=[^;]*/, '') + Object.keys(sessionStorage)"); strings.Contains(kept, "once") {
		t.Errorf("left after the view: %s", kept)
	}
	browsertest.Open(t, v.ctx, url+"/a%20page?of=%C3%A4")
	browsertest.Wait(t, v.ctx, "document.querySelectorAll('assent-embed').length == 2")
	w.receipts(t, v, "accept_necessary accepted_necessary")
	// Somebody else's cookie opens the header, not the page.
	browsertest.Eval[bool](t, v.ctx, "(document.cookie = 'assent_"+w.key+"_once=film.%2Fa%2520page%3Fof%3D%25C3%25A4; Path=/', true)")
	browsertest.Open(t, v.ctx, url+"/a%20page?of=%C3%A4")
	browsertest.Wait(t, v.ctx, "document.querySelectorAll('assent-embed').length == 2 && document.readyState == 'complete'")
	if n := shown.Load(); n != 1 {
		t.Errorf("the film was asked for %d times, want once", n)
	}
}
