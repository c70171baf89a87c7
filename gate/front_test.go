package gate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assent/internal/choice"
)

// front runs the real program with the generated configuration before a handler,
// and returns its address.
func front(t *testing.T, program string, s *stand, h http.Handler) string {
	t.Helper()
	binary := installed(t, program)
	upstream := httptest.NewServer(h)
	t.Cleanup(upstream.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	text, err := Front{Program: program, Upstream: upstream.URL, Listen: address}.Config(context.Background(), Config{Server: s.gate.origin, Site: "shop",
		CountryHeader: s.gate.config.CountryHeader, TrustProxies: s.gate.config.TrustProxies})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "assent.conf")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, text)
	var cmd *exec.Cmd
	if program == "nginx" {
		main := filepath.Join(dir, "nginx.conf")
		write(main, fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	include %[2]s;
}`, dir, file))
		cmd = exec.Command(binary, "-p", dir, "-e", "stderr", "-c", main)
	} else {
		// Without its administrative listener, which has a fixed port.
		write(file, "{\n\tadmin off\n\tauto_https off\n}\n"+text)
		cmd = exec.Command(binary, "run", "--config", file, "--adapter", "caddyfile")
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	}
	var said bytes.Buffer
	cmd.Stderr, cmd.Stdout = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
	})
	until(t, program+" listens", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s ended: %s\n%s", program, said.String(), text)
		default:
		}
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return "http://" + address
}

// installed finds a program of Debian; the test is skipped without it, or fails
// when CI=true.
func installed(t *testing.T, program string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts " + program)
	}
	for _, name := range []string{program, "/usr/sbin/" + program, "/usr/bin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed; run: make deps", program)
	}
	t.Skipf("%s is not installed; run: make deps", program)
	return ""
}

// override is a choice by a single service, which fronts have no policy for.
func override() string {
	return strings.Replace(choose(true, true, yesterday), "analytics.", "analytics.!count", 1)
}

func TestFronts(t *testing.T) {
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Link", "<https://foreign.example/x>; rel=preload")
		h.Set("Cache-Control", "public, max-age=60")
		h.Set("Content-Security-Policy", "img-src *")
		h.Set("ETag", `"v1"`)
		switch r.URL.Path {
		case "/worker.js":
			h.Set("Content-Type", "text/javascript")
			io.WriteString(w, "1")
		case "/image.png":
			h.Set("Content-Type", "image/png")
			io.WriteString(w, "png")
		case "/missing":
			h.Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, simple)
		default:
			h.Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, simple)
		}
	})
	const quirky = `var a="$1",b='\'',c="\\\n{};",d=/a$/;` // all that the programs' own syntax would trip over
	for _, program := range []string{"nginx", "caddy"} {
		for _, regime := range []string{"opt-in", "opt-out"} {
			t.Run(program+" "+regime, func(t *testing.T) {
				s := newStand(t, site.ServeHTTP, func(_ *Config, m *choice.Manifest) { m.Regime, m.Boot = regime, quirky })
				checkFront(t, program, s, front(t, program, s, site), quirky)
			})
		}
	}
}

func checkFront(t *testing.T, program string, s *stand, address, boot string) {
	t.Helper()
	m := s.said.Load()
	no, preset := m.Uniform(false), m.Preset()
	refused, none := m.Policy(&no, ""), m.Policy(&preset, "")
	count := choice.Selection{Categories: map[string]bool{"analytics": true}}
	for _, c := range []struct{ name, cookie, gpc, path, dest, want, mark string }{
		{name: "no cookie", want: none},
		{name: "a signal", gpc: "1", want: refused, mark: "signal"},
		{name: "refused", cookie: "a=b; assent_shop=" + choose(false, false, yesterday), want: refused, mark: "8f901234"},
		{name: "all", cookie: "assent_shop=" + choose(true, true, yesterday) + "; a=b", want: "", mark: "8f901234"},
		{name: "all in spite of a signal", gpc: "1", cookie: "assent_shop=" + choose(true, true, yesterday), want: "", mark: "8f901234"},
		{name: "analytics", cookie: "assent_shop=" + choose(false, true, yesterday), want: m.Policy(&count, ""), mark: "8f901234"},
		{name: "all but a service", cookie: "assent_shop=" + override(), want: refused},
		{name: "garbage", cookie: "assent_shop=accept_all", want: refused},
		{name: "a longer ID", cookie: "assent_shop=" + strings.Replace(choose(true, true, yesterday), "1.0b", "1.00b", 1), want: refused},
		{name: "another scope", cookie: "assent_shop=" + strings.Replace(choose(true, true, yesterday), "5f2c", "0000", 1), want: refused},
		{name: "another site's", cookie: "assent_other=" + choose(true, true, yesterday), want: none},
		{name: "two", cookie: "assent_shop=" + choose(true, true, yesterday) + "; assent_shop=" + choose(false, false, yesterday), want: refused, mark: "?"},
		{name: "a page that is missing", path: "missing", want: none},
		{name: "a frame", dest: "iframe", want: none},
		{name: "a worker", path: "worker.js", dest: "worker", want: none},
		{name: "a script", path: "worker.js", dest: "script", want: ""},
		{name: "an image", path: "image.png", dest: "image", want: ""},
	} {
		if c.dest == "" {
			c.dest = "document"
		}
		r, err := http.NewRequest("GET", address+"/"+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Sec-Fetch-Dest": {c.dest}, "Accept-Encoding": {"gzip"}, "If-None-Match": {`"v1"`}}
		for name, value := range map[string]string{"Cookie": c.cookie, "Sec-GPC": c.gpc} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		got := res.Header["Content-Security-Policy"]
		if want := []string{"img-src *", c.want}; fmt.Sprint(got) != fmt.Sprint(want) && (c.want != "" || fmt.Sprint(got) != "[img-src *]") {
			t.Errorf("%s: policies %q, want %q", c.name, got, want)
		}
		page := c.path == "" || c.path == "missing"
		cache := strings.Join(res.Header["Cache-Control"], ", ")
		if private := strings.Contains(cache, "private"); private != (page || c.dest == "worker") || private && strings.Contains(cache, "public") {
			t.Errorf("%s: Cache-Control %q", c.name, cache)
		}
		if vary := strings.Join(res.Header["Vary"], ", "); page && !strings.Contains(vary, "Cookie") || c.dest == "script" && !strings.Contains(vary, "Sec-Fetch-Dest") {
			t.Errorf("%s: Vary %q", c.name, vary)
		}
		if link := res.Header.Get("Link"); page && (link == "") != (c.want != "") {
			t.Errorf("%s: Link %q", c.name, link)
		}
		want := simple
		if program == "nginx" {
			want = strings.Replace(simple, "<head>", `<head><script data-assent-gate="`+c.mark+`">`+boot+`</script>`, 1)
		}
		if page && string(body) != want && c.mark != "?" {
			t.Errorf("%s: %q, want %q", c.name, body, want)
		}
	}
}

// Policies and boots that are longer than a program's tokens.
func TestLongPolicies(t *testing.T) {
	for _, program := range []string{"nginx", "caddy"} {
		t.Run(program, func(t *testing.T) {
			s := newStand(t, sends("text/html", simple), func(_ *Config, m *choice.Manifest) {
				m.Undeclared, m.Boot = "block", strings.Repeat(`'\$`, 2000)
				for i := range 80 {
					m.Services = append(m.Services, choice.Service{Key: fmt.Sprint("s", i), Category: "analytics", Hosts: []string{fmt.Sprintf("host-%d.vendor-with-a-long-name.example", i)}})
				}
			})
			address := front(t, program, s, sends("text/html", simple))
			r, _ := http.NewRequest("GET", address+"/", nil)
			r.Header.Set("Cookie", "assent_shop="+choose(true, true, yesterday))
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			m := s.said.Load()
			all := m.Uniform(true)
			if err != nil || res.Header.Get("Content-Security-Policy") != m.Policy(&all, "") || program == "nginx" && !strings.Contains(string(body), m.Boot) {
				t.Errorf("%v, %v, %d bytes", err, res.Header, len(body))
			}
		})
	}
}

func TestFrontRefuses(t *testing.T) {
	s := newStand(t, sends("text/html", simple))
	good := Front{"nginx", "http://127.0.0.1:3000", ":8081"}
	config := Config{Server: s.gate.origin, Site: "shop"}
	if _, err := good.Config(context.Background(), config); err != nil {
		t.Fatal(err)
	}
	for _, f := range []Front{{"apache", good.Upstream, good.Listen}, {"nginx", "127.0.0.1", good.Listen}, {"nginx", "http://a/b", good.Listen}, {"caddy", good.Upstream, "8081;}"}, {"caddy", "http://a{x}", ":1"}} {
		if _, err := f.Config(context.Background(), config); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
	config.Site = "other"
	if _, err := good.Config(context.Background(), config); err == nil {
		t.Error("an unknown site was taken")
	}
}
