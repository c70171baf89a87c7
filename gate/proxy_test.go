package gate

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// proxied is a gate before a proxy before a website.
func proxied(t *testing.T, h http.HandlerFunc, trust ...netip.Prefix) *stand {
	t.Helper()
	website := httptest.NewServer(h)
	t.Cleanup(website.Close)
	proxy, err := Proxy(website.URL+"/base", trust, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return newStand(t, proxy.ServeHTTP)
}

func TestProxyTellsWhoAsks(t *testing.T) {
	saw := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, r.Host, r.URL, " for ", r.Header["X-Forwarded-For"], " by ", r.Header["X-Forwarded-Proto"], " at ", r.Header["X-Forwarded-Host"])
	}
	forged := as{"Host", "www.shop.example", "X-Forwarded-For", "192.0.2.7", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "foreign.example"}
	if got, want := proxied(t, saw).do("GET", "/a?b=c", forged).body, "www.shop.example/base/a?b=c for [127.0.0.1] by [http] at [www.shop.example]"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	trusting := proxied(t, saw, netip.MustParsePrefix("127.0.0.0/8"))
	if got, want := trusting.do("GET", "/a", forged).body, "www.shop.example/base/a for [192.0.2.7, 127.0.0.1] by [https] at [www.shop.example]"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestProxyStreams(t *testing.T) {
	on := make(chan bool)
	s := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><html><head>")
		w.(http.Flusher).Flush()
		<-on
		io.WriteString(w, "<title>x")
	})
	defer close(on)
	res, err := client.Do(s.request("GET", "/", asPage))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	want := withBoot("<!doctype html><html><head>", "")
	half := make([]byte, len(want))
	if _, err := io.ReadFull(res.Body, half); err != nil || string(half) != want {
		t.Fatalf("%q, %v", half, err)
	}
	on <- true
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "<title>x" {
		t.Errorf("%q, %v", rest, err)
	}
}

// A website that would answer in zstd, which the gate cannot read, is not asked for it.
func TestTheWebsiteIsAskedForWhatCanBeRead(t *testing.T) {
	s := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Vary", "Accept-Encoding")
		accept := r.Header.Get("Accept-Encoding")
		switch {
		case strings.Contains(accept, "zstd"):
			w.Header().Set("Content-Encoding", "zstd")
			io.WriteString(w, "\x28\xb5\x2f\xfd")
		case strings.Contains(accept, "gzip"):
			w.Header().Set("Content-Encoding", "gzip")
			c := gzip.NewWriter(w)
			io.WriteString(c, simple)
			c.Close()
		default:
			io.WriteString(w, simple)
		}
	})
	for accept, want := range map[string]string{"gzip, deflate, br, zstd": "gzip", "br, zstd": "", "zstd": "", "*": "gzip"} {
		a := s.page("Accept-Encoding", accept)
		body := a.body
		if want == "gzip" {
			r, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatalf("%s: %v", accept, err)
			}
			raw, err := io.ReadAll(r)
			if err != nil {
				t.Fatalf("%s: %v", accept, err)
			}
			body = string(raw)
		}
		if body != withBoot(simple, "") || a.header.Get("Content-Encoding") != want || a.policy() == "" {
			t.Errorf("%s: %q as %q", accept, body, a.header.Get("Content-Encoding"))
		}
	}
	// What is no page is the browser's own affair.
	if a := s.do("GET", "/", as{"Sec-Fetch-Dest", "script", "Accept-Encoding", "zstd"}); a.header.Get("Content-Encoding") != "zstd" {
		t.Errorf("a script comes as %q", a.header.Get("Content-Encoding"))
	}
}

func TestProxyPassesUpgradesOn(t *testing.T) {
	s := proxied(t, upgrades(t))
	c, in := s.dial("GET /ws HTTP/1.1\r\nHost: www.shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Upgrade") != "websocket" {
		t.Fatalf("%v, %v", res, err)
	}
	io.WriteString(c, "<head>\n")
	if line, err := bufio.NewReader(in).ReadString('\n'); line != "echo <head>\n" {
		t.Errorf("%q, %v", line, err)
	}
}

func TestAWebsiteThatIsAway(t *testing.T) {
	proxy, err := Proxy("http://127.0.0.1:1", nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a := newStand(t, proxy.ServeHTTP).page()
	if a.status != http.StatusBadGateway || !strings.Contains(a.body, "Try again") || strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("%d %q", a.status, a.body)
	}
	for _, upstream := range []string{"", "127.0.0.1:3000", "ftp://x", "http://u:p@x", "http://x?y"} {
		if _, err := Proxy(upstream, nil, nil); err == nil {
			t.Errorf("%q was taken", upstream)
		}
	}
}

// Half a page, then silence: the visitor sees that it is not whole.
func TestAWebsiteThatBreaksOff(t *testing.T) {
	s := proxied(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, simple)
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	res, err := client.Do(s.request("GET", "/", asPage))
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("the answer seems to be whole")
	}
}
