package gate

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"assent/internal/choice"
)

func TestPolicyFollowsTheChoice(t *testing.T) {
	s := newStand(t, sends("text/html; charset=utf-8", simple))
	m := manifest()
	refused := m.Uniform(false)
	counted := choice.Selection{Categories: map[string]bool{"analytics": true}}
	strict := m.Policy(&refused, "www.shop.example")
	const mark = "8f901234"
	later := strings.Replace(choose(true, true, yesterday), "6d7e8f901234", "000000000001", 1)
	for _, c := range []struct {
		name, cookie, gpc, policy, mark string
	}{
		{name: "no cookie", policy: strict},
		{name: "a signal", gpc: "1", policy: strict, mark: "signal"},
		{name: "refused", cookie: "assent_shop=" + choose(false, false, yesterday), policy: strict, mark: mark},
		{name: "analytics", cookie: "assent_shop=" + choose(false, true, yesterday), policy: m.Policy(&counted, "www.shop.example"), mark: mark},
		{name: "all", cookie: "a=b; assent_shop=" + choose(true, true, yesterday), policy: "", mark: mark},
		{name: "all in spite of a signal", gpc: "1", cookie: "assent_shop=" + choose(true, true, yesterday), policy: "", mark: mark},
		{name: "all, but too long ago", cookie: "assent_shop=" + choose(true, true, 181*yesterday), policy: strict},
		{name: "all, of next year", cookie: "assent_shop=" + choose(true, true, -300*yesterday), policy: strict},
		{name: "all, of another scope", cookie: "assent_shop=" + strings.Replace(choose(true, true, yesterday), "5f2c", "0000", 1), policy: strict},
		{name: "all, of another site", cookie: "assent_other=" + choose(true, true, yesterday), policy: strict},
		{name: "garbage", cookie: "assent_shop=accept_all", policy: strict},
		{name: "garbage and all", cookie: "assent_shop=1.2.3; assent_shop=" + choose(true, true, yesterday), policy: "", mark: mark},
		{name: "two cookies, the newer one first", cookie: "assent_shop=" + choose(false, false, yesterday) + "; assent_shop=" + choose(true, true, 2*yesterday), policy: strict, mark: mark},
		{name: "two cookies, the newer one last", cookie: "assent_shop=" + choose(true, true, 2*yesterday) + "; assent_shop=" + choose(false, false, yesterday), policy: strict, mark: mark},
		{name: "another record", cookie: "assent_shop=" + later, policy: "", mark: "00000001"},
	} {
		headers := []string{"Cookie", c.cookie, "Sec-GPC", c.gpc}
		a := s.page(headers...)
		if a.policy() != c.policy {
			t.Errorf("%s: policy %q, want %q", c.name, a.policy(), c.policy)
		}
		if want := withBoot(simple, c.mark); a.body != want {
			t.Errorf("%s: %q, want %q", c.name, a.body, want)
		}
		if a.header.Get("Cache-Control") != "private" || !slices.Contains(a.header["Vary"], "Cookie") {
			t.Errorf("%s: headers %v", c.name, a.header)
		}
	}
}

func TestRegimesAndSites(t *testing.T) {
	m := manifest()
	for _, c := range []struct {
		name   string
		change func(*choice.Manifest)
		gpc    string
		empty  bool
		body   string
	}{
		{name: "opt-out", change: func(m *choice.Manifest) { m.Regime = "opt-out" }, empty: true, body: withBoot(simple, "")},
		{name: "opt-out and a signal", change: func(m *choice.Manifest) { m.Regime = "opt-out" }, gpc: "1", body: withBoot(simple, "signal")},
		{name: "a signal that is not honoured", change: func(m *choice.Manifest) { m.HonourGPC = false }, gpc: "1", body: withBoot(simple, "")},
		{name: "no policy wanted", change: func(m *choice.Manifest) { m.Enforce = false }, empty: true,
			body: strings.Replace(simple, "<head>", "<head><script>"+boot+"</script>", 1)},
		{name: "no boot yet", change: func(m *choice.Manifest) { m.Boot = "" },
			body: strings.Replace(simple, "<head>", `<head><script src="https://consent.example/b/shop.js" data-assent-gate=""></script>`, 1)},
	} {
		s := newStand(t, sends("text/html", simple), func(_ *Config, m *choice.Manifest) { c.change(m) })
		a := s.page("Sec-GPC", c.gpc)
		if (a.policy() == "") != c.empty || a.body != c.body {
			t.Errorf("%s: policy %q and %q", c.name, a.policy(), a.body)
		}
	}
	if s := newStand(t, sends("text/html", simple)); s.do("GET", "/", as{"Sec-Fetch-Dest", "document", "Host", "a;script-src *"}).policy() != "" {
		refused := m.Uniform(false)
		if got := s.do("GET", "/", as{"Sec-Fetch-Dest", "document", "Host", "a;x"}).policy(); got != m.Policy(&refused, "") {
			t.Errorf("a Host header of a stranger stands in the policy: %q", got)
		}
	}
}

// What has the policy and what has the boot, by what was asked for and answered.
func TestWhatIsTouched(t *testing.T) {
	fragment := "<tr><td>x</td></tr>"
	for _, c := range []struct {
		name, kind, body string
		headers          as
		policy, boot     bool
	}{
		{"a page", "text/html", simple, asPage, true, true},
		{"a page in a frame", "text/html", simple, as{"Sec-Fetch-Dest", "iframe"}, true, true},
		{"a page without a type", "", simple, asPage, true, true},
		{"a page for an old browser", "text/html", simple, as{"Accept", "text/html,*/*;q=0.8"}, true, true},
		{"a page without a doctype", "text/html", "<p>x", asPage, true, true},
		{"a page that is prefetched", "text/html", simple, as{"Sec-Fetch-Dest", "empty", "Sec-Purpose", "prefetch"}, true, true},
		{"a page for a program", "text/html", simple, as{}, true, true},
		{"a fragment for a program", "text/html", fragment, as{}, true, false},
		{"a page for a script", "text/html", simple, as{"Sec-Fetch-Dest", "empty"}, true, false},
		{"a page for htmx", "text/html", simple, as{"HX-Request", "true"}, true, false},
		{"a page for an old library", "text/html", simple, as{"X-Requested-With", "XMLHttpRequest", "Accept", "text/html"}, true, false},
		{"XHTML", "application/xhtml+xml", simple, asPage, true, false},
		{"a picture with scripts as a page", "image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>", asPage, true, false},
		{"the same as a picture", "image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>", as{"Sec-Fetch-Dest", "image"}, false, false},
		{"UTF-16", "text/html; charset=UTF-16LE", "<\x00h\x00", asPage, true, false},
		{"a worker", "text/javascript", "1", as{"Sec-Fetch-Dest", "worker"}, true, false},
		{"a service worker", "application/javascript; charset=utf-8", "1", as{"Sec-Fetch-Dest", "serviceworker"}, true, false},
		{"a script", "text/javascript", "1", as{"Sec-Fetch-Dest", "script"}, false, false},
		{"a script for an old browser", "text/javascript", "1", as{}, true, false},
		{"a style", "text/css", "a{}", as{"Sec-Fetch-Dest", "style"}, false, false},
		{"data", "application/json", "{}", as{"Sec-Fetch-Dest", "empty"}, false, false},
		{"data as a page", "application/json", "{}", asPage, false, false},
		{"events", "text/event-stream", "data: <html><head>\n\n", as{"Sec-Fetch-Dest", "empty"}, false, false},
		{"text", "text/plain", simple, asPage, false, false},
	} {
		s := newStand(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			if c.kind != "" {
				w.Header().Set("Content-Type", c.kind)
			}
			io.WriteString(w, c.body)
		})
		a := s.do("GET", "/", c.headers)
		if (a.policy() != "") != c.policy {
			t.Errorf("%s: policy %q", c.name, a.policy())
		}
		if boots := strings.Contains(a.body, boot); boots != c.boot || !boots && a.body != c.body {
			t.Errorf("%s: %q", c.name, a.body)
		}
		want := "public, max-age=60"
		if c.policy {
			want = "private, max-age=60"
		}
		if got := a.header.Get("Cache-Control"); got != want {
			t.Errorf("%s: Cache-Control %q, want %q", c.name, got, want)
		}
		if code := strings.Contains(c.kind, "script") || strings.Contains(c.kind, "svg"); code && !slices.Contains(a.header["Vary"], "Sec-Fetch-Dest") {
			t.Errorf("%s: Vary %q", c.name, a.header["Vary"])
		}
	}
}

func TestNothingIsKnown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gate.json")
	withFile := func(c *Config, _ *choice.Manifest) { c.CacheFile = file }
	away := func(c *Config, m *choice.Manifest) { withFile(c, m); m.Schema = 2 } // an answer that cannot be used
	s := newStand(t, sends("text/html", simple), away)
	a := s.page("Cookie", "assent_shop="+choose(true, true, yesterday))
	want := "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: " + s.gate.origin + " http://www.shop.example ws://www.shop.example"
	if a.policy() != want || a.body != simple || a.header.Get("Cache-Control") != "private" {
		t.Errorf("policy %q, body %q, %v", a.policy(), a.body, a.header)
	}
	// News arrives, stays when the server goes, and is there for the next gate.
	m := manifest()
	s.said.Store(&m)
	until(t, "the gate hears of the site", func() bool { return s.page().body == withBoot(simple, "") })
	until(t, "the copy is kept", func() bool { _, err := os.Stat(file); return err == nil })
	newer := m
	newer.Boot, newer.Version = "2", strings.Repeat("1", 64)
	s.said.Store(&newer)
	until(t, "the gate hears of the new version", func() bool { return strings.Contains(s.page().body, ">2</script>") })
	s.said.Store(nil)
	if a := s.page(); !strings.Contains(a.body, ">2</script>") {
		t.Errorf("without the server: %q", a.body)
	}
	s.gate.Close()
	next := newStand(t, sends("text/html", simple), withFile, func(c *Config, m *choice.Manifest) { m.Schema = 2 })
	if a := next.page(); !strings.Contains(a.body, ">2</script>") {
		t.Errorf("from the copy: %q", a.body)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := newStand(t, sends("text/html", simple), away).page(); a.body != simple || a.policy() == "" {
		t.Errorf("with a broken copy: %q, policy %q", a.body, a.policy())
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{{Server: "", Site: "shop"}, {Server: "consent.example", Site: "shop"}, {Server: "https://x/y", Site: "shop"}, {Server: "https://x", Site: ""}, {Server: "https://x", Site: "../x"}} {
		if g, err := New(c); err == nil {
			g.Close()
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestTheCookieIsKeptAlive(t *testing.T) {
	s := newStand(t, sends("text/html", simple))
	value := choose(true, false, 10*yesterday)
	mine := "assent_shop=" + value + "; Path=/; Max-Age=14688000; SameSite=Lax; Domain=shop.example"
	kept := "assent_shop_kept=8f901234; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Domain=shop.example"
	for _, c := range []struct {
		name    string
		headers as
		want    []string
	}{
		{"a page", as{"Cookie", "assent_shop=" + value}, []string{mine, kept}},
		{"over https", as{"Cookie", "assent_shop=" + value, "X-Forwarded-Proto", "https"}, []string{mine + "; Secure", kept + "; Secure"}},
		{"again on the same day", as{"Cookie", "assent_shop=" + value + "; assent_shop_kept=8f901234"}, nil},
		{"after another decision", as{"Cookie", "assent_shop=" + value + "; assent_shop_kept=00000000"}, []string{mine, kept}},
		{"no choice", nil, nil},
		{"an outdated one", as{"Cookie", "assent_shop=" + choose(true, true, 180*yesterday+time.Second)}, nil},
		{"one that is not ours", as{"Cookie", "assent_shop=x"}, nil},
		{"a signal", as{"Sec-GPC", "1"}, nil},
	} {
		if got := s.page(c.headers...).header["Set-Cookie"]; !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for name, headers := range map[string]as{
		"a frame": {"Sec-Fetch-Dest", "iframe"}, "a script": {"Sec-Fetch-Dest", "empty"}, "a prefetch": {"Sec-Fetch-Dest", "empty", "Sec-Purpose", "prefetch"},
	} {
		if got := s.do("GET", "/", append(headers, "Cookie", "assent_shop="+value)).header["Set-Cookie"]; got != nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := s.do("GET", "/", as{"Sec-Fetch-Dest", "document", "Host", "127.0.0.1:8080", "Cookie", "assent_shop=" + value}).header["Set-Cookie"]; len(got) != 2 || strings.Contains(got[0], "Domain") {
		t.Errorf("on a host of its own: %q", got)
	}
	far := newStand(t, sends("text/html", simple), func(c *Config, _ *choice.Manifest) { c.TrustProxies = nil })
	if got := far.page("Cookie", "assent_shop="+value, "X-Forwarded-Proto", "https").header["Set-Cookie"]; len(got) != 2 || strings.Contains(got[0], "Secure") {
		t.Errorf("a stranger's X-Forwarded-Proto was believed: %q", got)
	}
}

func TestSharedCaches(t *testing.T) {
	for given, want := range map[string]string{
		"":                                      "private",
		"public, max-age=300, s-maxage=600":     "private, max-age=300",
		"no-store":                              "no-store",
		"no-cache":                              "private, no-cache",
		"private, max-age=1":                    "private, max-age=1",
		`private="set-cookie", max-age=5`:       "private, max-age=5",
		"Public , MAX-AGE=3, must-revalidate, ": "private, MAX-AGE=3, must-revalidate",
	} {
		s := newStand(t, func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "text/html")
			h.Set("CDN-Cache-Control", "max-age=60")
			h.Set("Cloudflare-CDN-Cache-Control", "max-age=60")
			h.Set("Surrogate-Control", "max-age=60")
			h.Set("X-Accel-Expires", "60")
			h.Set("Vary", "accept-language, COOKIE")
			if given != "" {
				h.Set("Cache-Control", given)
			}
			io.WriteString(w, simple)
		})
		h := s.page().header
		if got := h.Get("Cache-Control"); got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
		for _, name := range []string{"CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control", "X-Accel-Expires"} {
			if h.Get(name) != "" {
				t.Errorf("%s is still there", name)
			}
		}
		if got := strings.Count(strings.ToLower(strings.Join(h["Vary"], ",")), "cookie"); got != 1 {
			t.Errorf("Vary %q", h["Vary"])
		}
	}
}

func TestConditionalRequests(t *testing.T) {
	var asked http.Header
	s := newStand(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header
		h := w.Header()
		h.Set("ETag", `"v1"`)
		h.Set("Last-Modified", "Sun, 01 Mar 2026 12:00:00 GMT")
		if strings.Contains(r.Header.Get("If-None-Match"), `"v1"`) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", "text/html")
		h.Set("Content-Digest", "sha-256=:x:")
		io.WriteString(w, simple)
	})
	first := s.page()
	tag := first.header.Get("ETag")
	if !strings.HasPrefix(tag, `W/"v1~`) || first.header.Get("Last-Modified") != "" || first.header.Get("Content-Digest") != "" {
		t.Fatalf("headers %v", first.header)
	}
	again := s.page("If-None-Match", tag)
	if again.status != http.StatusNotModified || again.header.Get("ETag") != tag || again.policy() != first.policy() || again.header.Get("Cache-Control") != "private" {
		t.Errorf("again: %d %v", again.status, again.header)
	}
	if got := asked.Get("If-None-Match"); got != `"v1", W/"v1"` {
		t.Errorf("the handler was asked for %q", got)
	}
	// A copy for another choice, and one from before the gate, are sent anew.
	for name, headers := range map[string][]string{
		"another choice":  {"If-None-Match", tag, "Cookie", "assent_shop=" + choose(true, true, yesterday)},
		"from before":     {"If-None-Match", `"v1"`},
		"by date":         {"If-Modified-Since", "Sun, 01 Mar 2026 12:00:00 GMT"},
		"several, a mess": {"If-None-Match", `W/"v0", "v1", x, *, "`},
	} {
		if a := s.page(headers...); a.status != http.StatusOK || !strings.Contains(a.body, boot) {
			t.Errorf("%s: %d %q", name, a.status, a.body)
		}
	}
	// Everything else has the handler's own.
	if a := s.do("GET", "/", as{"Sec-Fetch-Dest", "image", "If-None-Match", `"v1"`}); a.status != http.StatusNotModified || a.header.Get("ETag") != `"v1"` {
		t.Errorf("an image: %d %v", a.status, a.header)
	}
}
