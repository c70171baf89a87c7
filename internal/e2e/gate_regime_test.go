package e2e

import (
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"assent/gate"
	"assent/internal/app"
	"assent/internal/browsertest"
	"assent/internal/site"
)

// cdn passes everything on and says from which country it came. The browser's signal is
// heard where the page has one (browsertest gives it no header).
func cdn(t *testing.T, country, to *atomic.Value, signal *atomic.Bool) string {
	t.Helper()
	s := httptest.NewServer(&httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(to.Load().(*url.URL))
		p.Out.Host = p.In.Host
		p.Out.Header.Set("X-Country", country.Load().(string))
		if signal.Load() {
			p.Out.Header.Set("Sec-GPC", "1")
		}
	}})
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
}

func pointed(t *testing.T, to *atomic.Value, address string) {
	t.Helper()
	u, err := url.Parse(strings.Replace(address, "localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	to.Store(u)
}

// The gate is under the rules of the visitor's place from the first page on, its policy and the boot
// of one mind: in California everything runs until it is refused or the browser refuses, in
// France nothing leaves, and neither has what the other one's page had.
func TestTheGateKnowsWhereTheVisitorIs(t *testing.T) {
	p := newVectorPage(t)
	var country, server, website atomic.Value
	var signal atomic.Bool
	country.Store("US-CA")
	public := cdn(t, &country, &server, &signal)
	w := newWorldOf(t, app.Config{PublicURL: public, TrustProxies: []string{"127.0.0.0/8"}, CountryHeader: "X-Country"}, func(n *site.Notice) {
		n.Services = []site.Service{vectorService(p.b.port)}
		n.Regimes = []string{"eu", "us-ca"}
	})
	pointed(t, &server, "http://"+w.app.Addr)
	proxy, err := gate.Proxy(p.url, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	g, err := gate.New(gate.Config{Server: "http://" + w.app.Addr, Site: w.key, Log: slog.New(slog.DiscardHandler),
		CountryHeader: "X-Country", TrustProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	behind := httptest.NewServer(g.Wrap(proxy))
	t.Cleanup(behind.Close)
	pointed(t, &website, behind.URL)
	p.url = cdn(t, &country, &website, &signal)

	american := newVisitor(t)
	first := p.view(t, american, "/")
	everyVectorWorked(t, first)
	browsertest.Wait(t, american.ctx, layer(".banner .close")+" && !"+layer(acceptAll)+" && !document.querySelector('meta[http-equiv]')")
	if got := browsertest.Eval[string](t, american.ctx, "performance.getEntriesByType('resource').map(r => r.name).filter(n => n.startsWith('"+public+"/b/')).join()"); strings.Contains(got, ",") || !strings.HasSuffix(got, "~us-ca") {
		t.Errorf("the first page asks for %q, want one script of its own regime", got)
	}
	// The same visitor in France.
	country.Store("FR")
	silent := func(o outcome, when string) {
		t.Helper()
		if len(o.ran) != 0 || total(o.sent) != 0 {
			t.Errorf("%s: %d foreign requests, %d foreign scripts ran: %v", when, total(o.sent), len(o.ran), o.sent)
		}
	}
	silent(p.view(t, american, "/next"), "on the first page in France")
	browsertest.Wait(t, american.ctx, layer(acceptAll))
	// Back, with a browser that refuses.
	country.Store("US-CA")
	signal.Store(true)
	browsertest.Emulate(t, american.ctx, browsertest.Options{Width: 1280, Height: 800, GPC: true})
	silent(p.view(t, american, "/"), "with the browser's signal")
	browsertest.Wait(t, american.ctx, "assent.get().action == 'signal' && "+layer(".banner .close"))
}
