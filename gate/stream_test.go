package gate

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assent/internal/choice"

	"github.com/andybalholm/brotli"
)

// coders are the codings that a handler may use unasked.
var coders = map[string]func(io.Writer) interface {
	io.WriteCloser
	Flush() error
}{
	"gzip": func(w io.Writer) interface {
		io.WriteCloser
		Flush() error
	} {
		return gzip.NewWriter(w)
	},
	"br": func(w io.Writer) interface {
		io.WriteCloser
		Flush() error
	} {
		return brotli.NewWriter(w)
	},
	"deflate": func(w io.Writer) interface {
		io.WriteCloser
		Flush() error
	} {
		return zlib.NewWriter(w)
	},
	"bare deflate": func(w io.Writer) interface {
		io.WriteCloser
		Flush() error
	} {
		f, err := flate.NewWriter(w, 6)
		if err != nil {
			panic(err)
		}
		return f
	},
}

// A handler flushes half a page and waits: the half arrives, with the boot.
func TestHalfAPageArrives(t *testing.T) {
	for _, coding := range []string{"", "gzip", "br", "deflate", "bare deflate"} {
		t.Run("coding "+coding, func(t *testing.T) {
			on := make(chan bool)
			s := newStand(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				var out io.Writer = w
				flush := func() {}
				if coder := coders[coding]; coder != nil {
					w.Header().Set("Content-Encoding", strings.TrimPrefix(coding, "bare "))
					c := coder(w)
					defer c.Close()
					out, flush = c, func() { c.Flush() }
				}
				io.WriteString(out, "<!doctype html><html><head><title>half")
				flush()
				http.NewResponseController(w).Flush()
				<-on
				io.WriteString(out, "</title>whole")
			})
			defer close(on)
			res, err := client.Do(s.request("GET", "/", append(asPage, "Accept-Encoding", "gzip")))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var body io.Reader = res.Body
			if want := map[bool]string{true: "gzip"}[coding != ""]; res.Header.Get("Content-Encoding") != want {
				t.Fatalf("Content-Encoding %q, want %q", res.Header.Get("Content-Encoding"), want)
			} else if want != "" {
				if body, err = gzip.NewReader(body); err != nil {
					t.Fatal(err)
				}
			}
			want := withBoot("<!doctype html><html><head><title>half", "")
			half := make([]byte, len(want))
			if _, err := io.ReadFull(body, half); err != nil || string(half) != want {
				t.Fatalf("%q, %v", half, err)
			}
			on <- true
			rest, err := io.ReadAll(body)
			if err != nil || string(rest) != "</title>whole" {
				t.Fatalf("then %q, %v", rest, err)
			}
		})
	}
}

func TestCodings(t *testing.T) {
	var asked string
	long := simple + strings.Repeat("<p>some text of a page, again and again</p>", 5000)
	s := newStand(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Type", "text/html")
		coding := r.URL.Query().Get("coding")
		if coder := coders[coding]; coder != nil {
			w.Header().Set("Content-Encoding", strings.TrimPrefix(coding, "bare "))
			c := coder(w)
			io.WriteString(c, long)
			c.Close()
			return
		}
		if coding != "" {
			w.Header().Set("Content-Encoding", coding)
		}
		io.WriteString(w, long)
	})
	for _, coding := range []string{"gzip", "br", "deflate", "bare+deflate"} {
		a := s.do("GET", "/?coding="+coding, append(asPage, "Accept-Encoding", "br, gzip;q=0"))
		if a.body != withBoot(long, "") || a.header.Get("Content-Encoding") != "" || asked != "identity" {
			t.Errorf("%s: %d bytes as %q, asked for %q", coding, len(a.body), a.header.Get("Content-Encoding"), asked)
		}
		a = s.do("GET", "/?coding="+coding, append(asPage, "Accept-Encoding", "zstd, br, gzip"))
		zipped, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil {
			t.Fatal(coding, err)
		}
		body, err := io.ReadAll(zipped)
		if err != nil || string(body) != withBoot(long, "") || asked != "gzip" || !strings.Contains(strings.Join(a.header["Vary"], ","), "Accept-Encoding") {
			t.Errorf("%s: %d bytes, %v, asked for %q, vary %q", coding, len(body), err, asked, a.header["Vary"])
		}
	}
	// What nobody can read is left alone, under the policy.
	for _, coding := range []string{"zstd", "gzip,+br", "dcb"} {
		a := s.do("GET", "/?coding="+coding, asPage)
		if a.body != long || a.policy() == "" {
			t.Errorf("%s: %d bytes, policy %q", coding, len(a.body), a.policy())
		}
	}
	s.do("GET", "/", as{"Sec-Fetch-Dest", "script", "Accept-Encoding", "zstd"})
	if asked != "zstd" {
		t.Errorf("a script was asked for with %q", asked)
	}
	if a := s.do("HEAD", "/?coding=gzip", append(asPage, "Accept-Encoding", "gzip")); a.body != "" || a.policy() == "" || a.header.Get("Content-Length") != "" {
		t.Errorf("HEAD: %v", a.header)
	}
}

// A page that breaks off, breaks off: nobody takes the half for the whole.
func TestABrokenPageIsBroken(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"aborted": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, simple)
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"cut gzip": func(w http.ResponseWriter, _ *http.Request) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			io.WriteString(z, simple)
			z.Close()
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(b.Bytes()[:b.Len()-9])
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, strings.Repeat("garbage", 1000))
		},
	} {
		s := newStand(t, h)
		res, err := client.Do(s.request("GET", "/", asPage))
		if err == nil {
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the answer seems to be whole", name)
		}
	}
}

func TestFilesAndRanges(t *testing.T) {
	dir := t.TempDir()
	page := simple + strings.Repeat(".", 100_000)
	for name, body := range map[string]string{"page.html": page, "movie.mp4": strings.Repeat("m", 300_000), "empty.html": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newStand(t, http.FileServer(http.Dir(dir)).ServeHTTP)
	if a := s.do("GET", "/page.html", asPage); a.body != withBoot(page, "") || a.header.Get("Accept-Ranges") != "" {
		t.Errorf("%d bytes, %v", len(a.body), a.header)
	}
	a := s.do("GET", "/page.html", append(asPage, "Range", "bytes=20-29"))
	if a.status != http.StatusPartialContent || a.body != page[20:30] || a.header.Get("Content-Range") == "" || a.policy() == "" {
		t.Errorf("a range: %d %q %v", a.status, a.body, a.header)
	}
	a = s.do("GET", "/movie.mp4", as{"Sec-Fetch-Dest", "video", "Range", "bytes=0-9"})
	if a.status != http.StatusPartialContent || a.body != "mmmmmmmmmm" || a.policy() != "" || a.header.Get("Last-Modified") == "" {
		t.Errorf("a film: %d %q %v", a.status, a.body, a.header)
	}
	if a := s.do("GET", "/movie.mp4", as{"Sec-Fetch-Dest", "video"}); len(a.body) != 300_000 || a.header.Get("Content-Length") != "300000" {
		t.Errorf("a whole film: %d bytes, %v", len(a.body), a.header)
	}
	if a := s.do("GET", "/empty.html", asPage); a.status != 200 || a.body != "" {
		t.Errorf("an empty page: %d %q", a.status, a.body)
	}
	if a := s.do("HEAD", "/page.html", asPage); a.status != 200 || a.header.Get("Content-Length") != "" || a.policy() == "" {
		t.Errorf("HEAD: %d %v", a.status, a.header)
	}
}

func TestStatusesAndTrailers(t *testing.T) {
	s := newStand(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscan(r.URL.Query().Get("status"), &status)
		h := w.Header()
		h.Set("Content-Type", "text/html")
		h.Set("Trailer", "X-Sum")
		if status == 302 {
			h.Set("Location", "/elsewhere")
		}
		if r.URL.Query().Has("file") {
			h.Set("Content-Disposition", "Attachment; filename=x.html")
		}
		w.WriteHeader(status)
		if status != 204 {
			io.WriteString(w, simple)
		}
		h.Set("X-Sum", "7")
	})
	for status, want := range map[int]string{200: withBoot(simple, ""), 204: "", 302: simple, 404: withBoot(simple, ""), 500: withBoot(simple, "")} {
		res, err := client.Do(s.request("GET", fmt.Sprintf("/?status=%d", status), asPage))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(body) != want || res.StatusCode != status || res.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%d: %q, %v, %v", status, body, err, res.Header)
		}
		if status == 200 && res.Trailer.Get("X-Sum") != "7" {
			t.Errorf("trailer %v", res.Trailer)
		}
	}
	if a := s.do("GET", "/?status=200&file", asPage); a.body != simple {
		t.Errorf("a file to keep: %q", a.body)
	}
	if a := s.do("POST", "/?status=200", asPage); a.body != withBoot(simple, "") {
		t.Errorf("a form's answer: %q", a.body)
	}
}

func TestHintsAndLinks(t *testing.T) {
	const links = `</own.css>; rel=preload; as=style, <https://cdn.foreign.example/a.css>; rel=preload; as=style, <https://x.count.example/t.js>; rel="modulepreload"`
	s := newStand(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Add("Link", links)
		h.Add("Link", `<https://foreign.example>; rel=preconnect`)
		w.WriteHeader(http.StatusEarlyHints)
		h.Set("Content-Type", "text/html")
		h.Set("Reporting-Endpoints", `a="https://foreign.example/r"`)
		h.Set("NEL", `{"report_to":"a"}`)
		h.Set("Content-Security-Policy", "script-src 'self'; report-uri https://foreign.example/r")
		io.WriteString(w, simple)
	})
	for _, c := range []struct {
		cookie string
		want   []string
	}{
		{"", []string{`</own.css>; rel=preload; as=style`}},
		{choose(false, true, yesterday), []string{`</own.css>; rel=preload; as=style, <https://x.count.example/t.js>; rel="modulepreload"`}},
		{choose(true, true, yesterday), []string{links, `<https://foreign.example>; rel=preconnect`}},
	} {
		var early []string
		r := s.request("GET", "/", append(asPage, "Cookie", "assent_shop="+c.cookie))
		r = r.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			early = h["Link"]
			return nil
		}}))
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if fmt.Sprint(early) != fmt.Sprint(c.want) || fmt.Sprint(res.Header["Link"]) != fmt.Sprint(c.want) {
			t.Errorf("hints %q, links %q, want %q", early, res.Header["Link"], c.want)
		}
		if !strings.Contains(string(body), boot) {
			t.Errorf("%q", body)
		}
		all := c.cookie == choose(true, true, yesterday)
		if reports := res.Header.Get("Reporting-Endpoints") != "" && res.Header.Get("NEL") != "" &&
			strings.Contains(res.Header["Content-Security-Policy"][0], "report-uri"); reports != all {
			t.Errorf("%q: reports %v", c.cookie, res.Header)
		}
	}
}

func TestEventsArePassedOn(t *testing.T) {
	on := make(chan bool)
	s := newStand(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: <html><head>\n\n")
		w.(http.Flusher).Flush()
		<-on
	})
	defer close(on)
	res, err := client.Do(s.request("GET", "/", as{"Accept", "text/event-stream"}))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	if err != nil || line != "data: <html><head>\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// A protocol that takes the connection over, as websockets do (RFC 6455).
func TestUpgrades(t *testing.T) {
	s := newStand(t, upgrades(t))
	_, in := s.dial("GET /ws HTTP/1.1\r\nHost: www.shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-Fetch-Dest: websocket\r\n\r\n<head>\n")
	answer, err := io.ReadAll(in)
	if err != nil || !strings.Contains(string(answer), "101 Switching") || !strings.HasSuffix(string(answer), "echo <head>\n") || strings.Contains(string(answer), "Content-Security") {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestTheControllerReachesTheServer(t *testing.T) {
	s := newStand(t, func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusOK) // without a type: the first bytes tell it
		io.WriteString(w, simple)
	})
	if a := s.page(); a.body != withBoot(simple, "") {
		t.Errorf("%q", a.body)
	}
}

// However a big page is written, memory stays small and every byte arrives.
func TestABigPageIsNotKept(t *testing.T) {
	const chunks, size = 200, 64 << 10
	chunk := bytes.Repeat([]byte("<p>0123456789"), size/13)
	wanted := sha256.New()
	io.WriteString(wanted, withBoot("<!doctype html><html><head>", ""))
	for range chunks {
		wanted.Write(chunk)
	}
	w := &counting{ResponseRecorder: httptest.NewRecorder(), hash: sha256.New()}
	s := newStand(t, sends("text/html", ""), func(c *Config, _ *choice.Manifest) { c.Poll = time.Hour })
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			w.hash.Reset()
			clear(w.Header())
			s.gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, "<!doctype html><html><head>")
				for range chunks {
					w.Write(chunk)
				}
			})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		}
	}).AllocedBytesPerOp()
	if got, want := fmt.Sprintf("%x", w.hash.Sum(nil)), fmt.Sprintf("%x", wanted.Sum(nil)); got != want {
		t.Error("another page came out")
	}
	if allocated > size {
		t.Errorf("%d bytes were allocated for a page of %d", allocated, chunks*len(chunk))
	}
}

// counting is a client that keeps a hash of the body only.
type counting struct {
	*httptest.ResponseRecorder
	hash interface {
		io.Writer
		Sum([]byte) []byte
		Reset()
	}
}

func (c *counting) Write(p []byte) (int, error) { return c.hash.Write(p) }
func (c *counting) WriteHeader(int)             {}

// BenchmarkPage is a page of 50 KB, without and with the gate, and compressed.
func BenchmarkPage(b *testing.B) {
	page := []byte(simple + strings.Repeat("<p>some text of a page, again and again</p>", 1200))
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(page)
	z.Close()
	m := manifest()
	g := &Gate{config: Config{Now: func() time.Time { return clock }}, cookie: choice.CookieName("shop"), news: &news{}}
	g.news.current.Store(&m)
	for _, c := range []struct {
		name, coding string
		gated        bool
	}{{"bare", "", false}, {"gate", "", true}, {"gate, gzip", "gzip", true}} {
		b.Run(c.name, func(b *testing.B) {
			var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				body := page
				if c.coding != "" {
					w.Header().Set("Content-Encoding", c.coding)
					body = zipped.Bytes()
				}
				w.Write(body)
			})
			if c.gated {
				h = g.Wrap(h)
			}
			r := httptest.NewRequest("GET", "http://www.shop.example/", nil)
			r.Header.Set("Accept-Encoding", "gzip")
			r.Header.Set("Sec-Fetch-Dest", "document")
			r.Header.Set("Cookie", "assent_shop="+choose(false, true, yesterday))
			w := &counting{ResponseRecorder: httptest.NewRecorder(), hash: nothing{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.Header())
				h.ServeHTTP(w, r)
			}
		})
	}
}

// nothing is a client that keeps nothing.
type nothing struct{}

func (nothing) Write(p []byte) (int, error) { return len(p), nil }
func (nothing) Sum([]byte) []byte           { return nil }
func (nothing) Reset()                      {}
