package web

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"assent/internal/fault"
)

func TestClientAddr(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		name, remote string
		forwarded    []string
		trusted      []netip.Prefix
		want         string
	}{
		{"a direct connection", "203.0.113.7:1234", nil, nil, "203.0.113.7"},
		{"a header from a stranger is not believed", "203.0.113.7:1234", []string{"198.51.100.1"}, proxies, "203.0.113.7"},
		{"a header through a trusted proxy", "10.0.0.1:1234", []string{"198.51.100.1"}, proxies, "198.51.100.1"},
		{"what the client wrote itself stands left", "10.0.0.1:1234", []string{"1.2.3.4, 198.51.100.1"}, proxies, "198.51.100.1"},
		{"two trusted proxies", "10.0.0.1:1234", []string{"1.2.3.4, 198.51.100.1, 10.9.9.9"}, proxies, "198.51.100.1"},
		{"two header lines", "10.0.0.1:1234", []string{"198.51.100.1", "10.9.9.9"}, proxies, "198.51.100.1"},
		{"with a port", "10.0.0.1:1234", []string{"198.51.100.1:5555"}, proxies, "198.51.100.1"},
		{"IPv6 in brackets with a port", "[fd00::1]:1234", []string{"[2001:db8::1]:5555"}, proxies, "2001:db8::1"},
		{"IPv6 bare", "[fd00::1]:1234", []string{"2001:db8::1"}, proxies, "2001:db8::1"},
		{"a mapped proxy", "[::ffff:10.0.0.1]:1234", []string{"198.51.100.1"}, proxies, "198.51.100.1"},
		{"only proxies", "10.0.0.1:1234", []string{"10.0.0.2"}, proxies, "10.0.0.2"},
		{"no header from a proxy", "10.0.0.1:1234", nil, proxies, "10.0.0.1"},
		{"an unreadable hop is an unknown client", "10.0.0.1:1234", []string{"1.2.3.4, unknown"}, proxies, "invalid IP"},
		{"an unreadable connection", "@", nil, proxies, "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.forwarded
		if got := ClientAddr(r, c.trusted).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestReadBody(t *testing.T) {
	for _, c := range []struct {
		name string
		body io.Reader
		size int64
		kind fault.Kind
		want int
	}{
		{"a body of the limit", strings.NewReader(strings.Repeat("a", 1024)), 1024, -1, 1024},
		{"a chunked body of the limit", strings.NewReader(strings.Repeat("a", 1024)), -1, -1, 1024},
		{"an empty body", strings.NewReader(""), 0, -1, 0},
		{"one byte more", strings.NewReader(strings.Repeat("a", 1025)), 1025, fault.TooLarge, 0},
		{"one byte more, chunked", strings.NewReader(strings.Repeat("a", 1025)), -1, fault.TooLarge, 0},
		{"endless", endless{}, -1, fault.TooLarge, 0},
		{"cut off", io.MultiReader(strings.NewReader("a"), failing{io.ErrUnexpectedEOF}), 10, fault.Invalid, 0},
	} {
		r := httptest.NewRequest("POST", "/", c.body)
		r.ContentLength = c.size
		body, err := ReadBody(r, make([]byte, 0, 64), 1024)
		if err == nil && (c.kind != -1 || len(body) != c.want) || err != nil && fault.KindOf(err) != c.kind {
			t.Errorf("%s: %d bytes, %v", c.name, len(body), err)
		}
		if cap(body) > 4096 {
			t.Errorf("%s: %d bytes held", c.name, cap(body))
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestLimiter(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := NewLimiter[string](3, 100, func() time.Time { return now })
	take := func(key string, want ...bool) {
		t.Helper()
		for i, w := range want {
			if got := l.Allow(key); got != w {
				t.Fatalf("event %d of %s: allowed = %v", i+1, key, got)
			}
		}
	}
	take("a", true, true, true, false, false)
	take("b", true)
	now = now.Add(20 * time.Second)
	take("a", true, false)
	now = now.Add(time.Hour)
	take("a", true, true, true, false)
	l.Reset("a")
	take("a", true, true, true, false)
	now = now.Add(-time.Hour) // a clock that is set back neither locks out nor lets in
	take("a", false)
	for i := range 10_000 {
		l.Allow(fmt.Sprint(i))
		if n := len(l.recent) + len(l.past); n > 100 {
			t.Fatalf("%d keys held, want at most 100", n)
		}
	}
	off := NewLimiter[string](0, 1, nil)
	for range 1000 {
		if !off.Allow("a") {
			t.Fatal("a limiter that is off refused")
		}
	}
}

func TestServerLogsNoAddress(t *testing.T) {
	var b bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&b, nil)))
	defer slog.SetDefault(old)
	l := log.New(quietLog{}, "", 0)
	l.Printf("http: panic serving 203.0.113.7:51234: boom\ngoroutine 1 at 203.0.113.9")
	l.Printf("http: TLS handshake error from [2001:db8::1]:443: EOF")
	l.Printf("http: read tcp 2001:db8::7: reset")
	if s := b.String(); strings.Contains(s, "203.0") || strings.Contains(s, "2001:db8") || !strings.Contains(s, "panic serving") || !strings.Contains(s, "boom") {
		t.Errorf("log: %s", s)
	}
}

// start serves "hello" over a listener that is limited to n connections.
func start(t *testing.T, n int, change ...func(*http.Server)) (addr string, l *limitedListener) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = limitTo(inner, n, 10*time.Millisecond)
	s := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" { // more than the system's buffers hold
			part := make([]byte, 64<<10)
			for range 4096 {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
			return
		}
		if _, err := ReadBody(r, nil, 1000); err == nil {
			io.WriteString(w, "hello")
		}
	}))
	for _, c := range change {
		c(s)
	}
	var done sync.WaitGroup
	done.Go(func() { s.Serve(l) })
	t.Cleanup(func() {
		if err := Shutdown(s, time.Second); err != nil {
			t.Error(err)
		}
		done.Wait()
		if len(l.places) != 0 {
			t.Errorf("%d places are still taken after the shutdown", len(l.places))
		}
	})
	return inner.Addr().String(), l
}

func TestSlowClientsDoNotLockOutAQuickOne(t *testing.T) {
	for name, begin := range map[string]string{
		"nothing":        "",
		"half a header":  "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"half a body":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nabc",
		"a long answer":  "GET /long HTTP/1.1\r\nHost: x\r\n\r\n", // and never reads it
		"a whole answer": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",     // and then nothing: kept alive
	} {
		t.Run(name, func(t *testing.T) { slowClients(t, begin) })
	}
}

func slowClients(t *testing.T, begin string) {
	addr, l := start(t, 50)
	var slow []net.Conn
	for i := range 400 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.(*net.TCPConn).SetReadBuffer(4 << 10)
		if _, err := io.WriteString(c, begin); err != nil && i < 50 {
			t.Fatal(err)
		}
		slow = append(slow, c)
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 20 {
		answer, err := client.Post("http://"+addr, "text/plain", strings.NewReader("quick"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || string(body) != "hello" {
			t.Fatalf("%q, %v", body, err)
		}
	}
	if n := len(l.places); n > 50 {
		t.Errorf("%d connections are open, want at most 50", n)
	}
	slow[0].SetReadDeadline(time.Now().Add(4 * time.Second))
	_, err := io.Copy(io.Discard, slow[0])
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Error("the oldest slow client still holds its connection")
	}
}

// A client that takes longer than it may is cut off, although nobody else wants
// its place and it never lets go itself.
func TestSlowClientsAreCutOff(t *testing.T) {
	for name, begin := range map[string]string{
		"nothing":        "",
		"half a header":  "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"half a body":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nabc",
		"a long answer":  "GET /long HTTP/1.1\r\nHost: x\r\n\r\n",
		"a whole answer": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"drop by drop":   "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const clients = 10
			var closed atomic.Int64
			addr, l := start(t, 50, func(s *http.Server) {
				s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = 200*time.Millisecond, 400*time.Millisecond, 600*time.Millisecond, 300*time.Millisecond
				follow := s.ConnState
				s.ConnState = func(c net.Conn, state http.ConnState) {
					if follow(c, state); state == http.StateClosed {
						closed.Add(1)
					}
				}
			})
			for range clients {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				c.(*net.TCPConn).SetReadBuffer(4 << 10)
				if _, err := io.WriteString(c, begin); err != nil {
					t.Fatal(err)
				}
				if name == "drop by drop" {
					go func() { // a byte whenever it can be sent, until it cannot
						for _, b := range []byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + strings.Repeat("a", 1<<20)) {
							if _, err := c.Write([]byte{b}); err != nil {
								return
							}
							time.Sleep(5 * time.Millisecond) // is slow
						}
					}()
				}
			}
			for end := time.Now().Add(30 * time.Second); closed.Load() < clients || len(l.places) > 0; time.Sleep(5 * time.Millisecond) { // polls a condition
				if time.Now().After(end) {
					t.Fatalf("%d of %d connections are still open", len(l.places), clients)
				}
			}
		})
	}
}

func TestKeepAliveSurvivesBelowTheLimit(t *testing.T) {
	addr, _ := start(t, 4)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Timeout: 5 * time.Second, Transport: transport}
	for range 50 {
		answer, err := client.Get("http://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
}

// FuzzClientAddr: whatever a header says, the answer is an address that stands
// in it or that of the connection, or none.
func FuzzClientAddr(f *testing.F) {
	for _, s := range []string{"198.51.100.1", "1.2.3.4, 10.0.0.1", "[2001:db8::1]:80", "fe80::1%eth0", ",,", "unknown"} {
		f.Add(s)
	}
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, forwarded string) {
		r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {forwarded}}}
		got := ClientAddr(r, proxies)
		if got.Is4In6() {
			t.Fatalf("%q gives the mapped %v", forwarded, got)
		}
		// A stranger before the connection changes nothing of what it says.
		r.RemoteAddr = "203.0.113.7:1"
		if direct := ClientAddr(r, proxies).String(); direct != "203.0.113.7" {
			t.Fatalf("%q through no proxy gives %s", forwarded, direct)
		}
	})
}
