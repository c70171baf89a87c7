package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assent/gate"
	"assent/internal/browsertest"
	"assent/internal/choice"

	"github.com/google/uuid"
)

// The promise of the gate: no foreign request leaves before a choice, none after
// a refusal, and everything works after an acceptance. The page's own tags are as
// they are without Assent.
func TestNothingLeavesThroughTheGate(t *testing.T) {
	p := newVectorPage(t)
	w := newWorld(t, vectorService(p.b.port))
	p.url = behindGate(t, w, p.url)
	nothingLeaves(t, w, p)
}

func TestNothingLeavesThroughNginx(t *testing.T) {
	binary := program(t, "nginx")
	p := newVectorPage(t)
	w := newWorld(t, vectorService(p.b.port))
	p.url = behindFront(t, w, "nginx", binary, p.url)
	nothingLeaves(t, w, p)
}

func TestNothingLeavesThroughCaddy(t *testing.T) {
	binary := program(t, "caddy")
	p := newVectorPage(t)
	w := newWorld(t, vectorService(p.b.port))
	p.first = w.tag() // Caddy injects nothing
	p.url = behindFront(t, w, "caddy", binary, p.url)
	nothingLeaves(t, w, p)
}

func nothingLeaves(t *testing.T, w *world, p *vectorPage) {
	t.Helper()
	silent := func(o outcome, when string) {
		t.Helper()
		if len(o.ran) != 0 || total(o.sent) != 0 {
			t.Errorf("%s: %d foreign requests, %d foreign scripts ran: %v", when, total(o.sent), len(o.ran), o.sent)
		}
	}
	refusing := newVisitor(t)
	before := p.view(t, refusing, "/")
	silent(before, "before a choice")
	before.isQuiet(t, "before a choice")
	silent(p.view(t, refusing, "/workers"), "own workers before a choice")
	browsertest.Open(t, refusing.ctx, p.url+"/")
	w.press(t, refusing, refuseAll, "accepted_necessary")
	silent(p.view(t, refusing, "/next"), "after refusing")
	silent(p.view(t, refusing, "/workers"), "own workers after refusing")
	w.receipts(t, refusing, "accept_necessary accepted_necessary")

	accepting := newVisitor(t)
	browsertest.Open(t, accepting.ctx, p.url+"/")
	browsertest.Wait(t, accepting.ctx, layer(acceptAll))
	quiet(t, p.b)
	mark := p.b.mark()
	w.pressForReload(t, accepting, acceptAll, "accepted_all")
	after := p.look(t, accepting, mark)
	everyVectorWorked(t, after)
	workers := p.view(t, accepting, "/workers").sent
	for _, name := range ownWorkers {
		if workers[name] == 0 {
			t.Errorf("after accepting, %s imports nothing", name)
		}
	}
	browsertest.Open(t, accepting.ctx, p.url+"/")
	browsertest.Eval[bool](t, accepting.ctx, `(assent.open(), true)`)
	w.pressForReload(t, accepting, withdraw, "accepted_necessary")
	silent(p.view(t, accepting, "/next"), "after withdrawing")
	w.receipts(t, accepting, "accept_all accepted_all", "withdraw accepted_necessary")
	t.Logf("%d vectors: %d foreign requests before a choice, %d after accepting; own workers: %v", len(vectors), total(before.sent), total(after.sent), workers)
}

// Under the strictest policies of a website's own, the boot runs, asks, and sends.
func TestTheBootRunsUnderTheWebsitesPolicy(t *testing.T) {
	w := newWorld(t, vectorService("80"))
	policies := []string{
		"script-src 'nonce-abc' 'strict-dynamic' 'unsafe-inline' https:; object-src 'none'; base-uri 'none'",
		"script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'strict-dynamic'",
		"default-src 'self'; require-trusted-types-for 'script'; trusted-types dompurify",
		"script-src 'self'; script-src-elem 'none'",
		"default-src 'none'; style-src 'none'",
	}
	website := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var i int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &i); err != nil {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Security-Policy", policies[i])
		text("text/html; charset=utf-8", "<!doctype html><html lang=en><head><title>Page</title></head><body><h1>Page</h1></body></html>")(rw, r)
	}))
	t.Cleanup(website.Close)
	url := behindGate(t, w, website.URL)
	v := newVisitor(t)
	for i, policy := range policies {
		browsertest.Open(t, v.ctx, fmt.Sprint(url, "/", i))
		t.Log(policy)
		browsertest.Wait(t, v.ctx, layer(refuseAll))
	}
	w.press(t, v, refuseAll, "accepted_necessary")
	w.receipts(t, v, "accept_necessary accepted_necessary")
}

// A cache hands out a page that the gate made for somebody who accepted: no
// policy comes with it, and the boot notices.
func TestAPageForAnotherChoice(t *testing.T) {
	p := newVectorPage(t)
	w := newWorld(t, vectorService(p.b.port))
	website := p.url
	var manifest choice.Manifest
	if err := json.Unmarshal(w.download(t, "/b/"+w.key+"/gate.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	all := manifest.Uniform(true)
	cookie := choice.Cookie{ConsentID: uuid.New(), RecordID: uuid.New(), Scope: manifest.Scope, Time: time.Now(), Action: "accept_all", Categories: all.Categories}
	r, err := http.NewRequest("GET", behindGate(t, w, website)+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", "assent_"+w.key+"="+cookie.String())
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil || res.Header.Get("Content-Security-Policy") != "" || !strings.Contains(string(page), "data-assent-gate=") {
		t.Fatalf("%v, %v", err, res.Header)
	}
	cache := httptest.NewServer(text("text/html; charset=utf-8", string(page)))
	t.Cleanup(cache.Close)
	p.url = strings.Replace(cache.URL, "127.0.0.1", "localhost", 1)
	o := p.view(t, newVisitor(t), "/")
	if len(o.ran) != 0 {
		t.Errorf("foreign code ran: %v", o.ran)
	}
	for name := range o.sent {
		if !mayScan(name) {
			t.Errorf("%s sent a request", name)
		}
	}
}

func behindGate(t *testing.T, w *world, website string) string {
	t.Helper()
	proxy, err := gate.Proxy(website, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	g, err := gate.New(gate.Config{Server: w.app.PublicURL(), Site: w.key, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	s := httptest.NewServer(g.Wrap(proxy))
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
}

// behindFront runs a web server with the configuration that `assent gate config`
// prints.
func behindFront(t *testing.T, w *world, name, binary, website string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	listen := map[string]string{"nginx": address, "caddy": ":" + port}[name]
	text, err := gate.Front{Program: name, Upstream: strings.Replace(website, "localhost", "127.0.0.1", 1), Listen: listen}.
		Config(context.Background(), gate.Config{Server: w.app.PublicURL(), Site: w.key})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "main.conf")
	cmd := exec.Command(binary, "-p", dir, "-e", "stderr", "-c", file)
	if name == "nginx" {
		text = fmt.Sprintf("daemon off; master_process off; pid %[1]s/pid; error_log stderr;\nevents {}\nhttp {\naccess_log off; client_body_temp_path %[1]s/b; "+
			"proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\n%[2]s}\n", dir, text)
	} else {
		text = "{\n\tadmin off\n\tauto_https off\n}\n" + text
		cmd = exec.Command(binary, "run", "--config", file, "--adapter", "caddyfile")
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
	})
	browsertest.Until(t, name+" answers", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", name, said.String())
		default:
		}
		res, err := http.Get("http://" + address + "/missing")
		if err == nil {
			res.Body.Close()
		}
		return err == nil
	})
	return "http://localhost:" + port
}

// program finds a web server of Debian; the test is skipped without it, or fails
// when CI=true.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, at := range []string{name, "/usr/sbin/" + name, "/usr/bin/" + name} {
		if path, err := exec.LookPath(at); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed; run: make deps", name)
	}
	t.Skipf("%s is not installed; run: make deps", name)
	return ""
}
