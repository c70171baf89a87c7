package gate

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"assent/internal/choice"

	"github.com/google/uuid"
)

var clock = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const boot = "window.booted=1"

// manifest is what the consent server of these tests says.
func manifest() choice.Manifest {
	return choice.Manifest{Schema: 1, Site: "shop", Version: strings.Repeat("0", 64), Scope: "5f2c1d7e9a0b4c3d", ChoiceDays: 180, Regime: "opt-in",
		HonourGPC: true, Enforce: true, Undeclared: "with_all", Origin: "https://consent.example", Domains: []string{"shop.example"},
		Categories: []string{"necessary", "advertising", "analytics"}, Services: []choice.Service{
			{Key: "pay", Category: "necessary", Hosts: []string{"pay.example"}},
			{Key: "count", Category: "analytics", Hosts: []string{"*.count.example"}},
		}, Boot: boot}
}

// choose is a cookie value: a decision of yesterday.
func choose(advertising, analytics bool, age time.Duration) string {
	c := choice.Cookie{ConsentID: uuid.MustParse("0b2f4c6d-8e1a-4b3c-9d5e-7f9081a2b3c4"), RecordID: uuid.MustParse("019a4f2e-7c3a-7d1e-8b5c-6d7e8f901234"),
		Scope: "5f2c1d7e9a0b4c3d", Time: clock.Add(-age), Action: "save",
		Categories: map[string]bool{"advertising": advertising, "analytics": analytics}}
	return c.String()
}

const yesterday = 24 * time.Hour

// stand is a gate before a handler, over real connections.
type stand struct {
	t      *testing.T
	said   atomic.Pointer[choice.Manifest] // nil: the consent server fails
	gate   *Gate
	server *httptest.Server
}

func newStand(t *testing.T, h http.HandlerFunc, change ...func(*Config, *choice.Manifest)) *stand {
	t.Helper()
	s := &stand{t: t}
	m := manifest()
	c := Config{Site: "shop", Now: func() time.Time { return clock }, Log: slog.New(slog.DiscardHandler), Poll: 10 * time.Millisecond,
		TrustProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, f := range change {
		f(&c, &m)
	}
	s.said.Store(&m)
	consent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := s.said.Load()
		if m == nil || r.URL.Path != "/b/shop/gate.json" {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		data, err := json.Marshal(m)
		if err != nil {
			panic(err)
		}
		w.Header().Set("ETag", `"`+m.Version+`"`)
		if r.Header.Get("If-None-Match") == `"`+m.Version+`"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Write(data)
	}))
	t.Cleanup(consent.Close)
	c.Server = consent.URL
	var err error
	if s.gate, err = New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.gate.Close)
	s.server = httptest.NewServer(s.gate.Wrap(h))
	t.Cleanup(s.server.Close)
	return s
}

// answer is a response that was read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// policy is the last Content-Security-Policy, which is the gate's.
func (a answer) policy() string {
	list := a.header["Content-Security-Policy"]
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

// as are headers of a request: pairs of name and value.
type as []string

var asPage = as{"Sec-Fetch-Dest", "document", "Host", "www.shop.example"}

func (s *stand) request(method, path string, headers as) *http.Request {
	s.t.Helper()
	r, err := http.NewRequest(method, s.server.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	return r
}

var client = &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (s *stand) do(method, path string, headers as) answer {
	s.t.Helper()
	res, err := client.Do(s.request(method, path, headers))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(body)}
}

func (s *stand) page(headers ...string) answer {
	s.t.Helper()
	return s.do("GET", "/", append(append(as{}, asPage...), headers...))
}

// dial opens a bare connection, to see what comes when.
func (s *stand) dial(request string) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		s.t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

const simple = "<!doctype html><html><head><title>x</title></head><body>x</body></html>"

func withBoot(page, mark string) string {
	return strings.Replace(page, "<head>", `<head><script data-assent-gate="`+mark+`">`+boot+`</script>`, 1)
}

func sends(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		io.WriteString(w, body)
	}
}

// upgrades takes the connection over, as for a websocket, and says one line back.
func upgrades(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		io.WriteString(c, "echo "+line)
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("never became true: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}
