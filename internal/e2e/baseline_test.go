package e2e

import (
	"net/http"
	"strings"
	"testing"

	"assent/internal/browsertest"
)

// templates are whole pages that npm ships, with their own foreign references.
var templates = []string{"startbootstrap-agency/dist", "startbootstrap-creative/dist"}

// page is a template with every library installed in it.
type page struct {
	url   string // http://localhost:port, without a slash at the end
	first string // stands first in the head; set it before opening the page
	b     *foreign
}

func newPage(t *testing.T, template string) *page {
	t.Helper()
	handlers := map[string]http.Handler{}
	for _, l := range libraries {
		mux := http.NewServeMux()
		l.serve(t, mux)
		handlers[l.host] = mux
	}
	p := &page{b: serveForeign(t, handlers)}
	var head, body strings.Builder
	for _, l := range libraries {
		head.WriteString("\n" + l.head(t, p.b.base(l.host), l.host+":"+p.b.port))
		body.WriteString("\n" + l.body(t, p.b.base(l.host), l.host+":"+p.b.port))
	}
	h, e := head.String(), body.String()
	p.url = serveTemplate(t, template, &p.first, &h, &e)
	return p
}

// everyLibraryWorks waits until each one runs and its endpoint was told of it.
func (p *page) everyLibraryWorks(t *testing.T, v *visitor, mark int) {
	t.Helper()
	for _, l := range libraries {
		browsertest.Wait(t, v.ctx, l.runs)
		browsertest.Until(t, "an event at "+l.host, func() bool { return count(p.b.since(mark), l.host, l.event) > 0 })
	}
}

func count(hits []hit, host string, of func(hit) bool) int {
	n := 0
	for _, h := range hits {
		if h.host == host && of(h) {
			n++
		}
	}
	return n
}

// Without a tag every library works on every template: what the other tests
// find to be quiet is quiet because of the tag and not because it is broken.
func TestLibrariesWorkWithoutATag(t *testing.T) {
	for _, template := range templates {
		t.Run(template, func(t *testing.T) {
			p := newPage(t, template)
			v := newVisitor(t)
			browsertest.Open(t, v.ctx, p.url+"/")
			p.everyLibraryWorks(t, v, 0)
			left := v.holds(t)
			for _, kind := range []string{"cookie mp_", "cookie amp_", "cookie ph_", "local_storage __mpq_", "local_storage e2e/cly_", "session_storage ph_", "foreign_cookie viewer"} {
				if !containsPrefix(left, kind) {
					t.Errorf("nothing of %s…: it holds %s", kind, strings.Join(left, ", "))
				}
			}
			t.Logf("scripts run: %d; it holds: %s", len(v.foreignScripts()), strings.Join(left, ", "))
		})
	}
}

func containsPrefix(list []string, prefix string) bool {
	for _, s := range list {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}
