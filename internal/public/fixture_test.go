package public_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"assent/internal/banner"
	"assent/internal/consent"
	"assent/internal/db"
	"assent/internal/public"
	"assent/internal/regime"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/web"

	"github.com/google/uuid"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // failures are asked for here
	os.Exit(m.Run())
}

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// clock is the server's time in tests.
var clock = time.Date(2026, 3, 1, 12, 0, 0, 5_999_999, time.UTC)

// fixture is a site with one service, served by the real handler over a real
// listener with the real limits.
type fixture struct {
	t       testing.TB
	db      *db.DB
	sites   *site.Store
	cache   *site.Cache
	reg     *register.Register
	site    *site.Site
	older   string // the site's first notice version; site.Version is its second
	handler http.Handler
	addr    string
	client  *http.Client
}

func newFixture(t testing.TB, d *db.DB, change ...func(*public.Deps, *register.Config)) *fixture {
	t.Helper()
	ctx := context.Background()
	f := &fixture{t: t, db: d}
	config := register.Config{DB: d, Key: testKey, Same: consent.Same}
	countries, err := regime.OpenCountries("")
	f.must(err)
	deps := public.Deps{Countries: countries, Ready: d.Ping, Now: func() time.Time { return clock },
		PublicURL: func() string { return "https://consent.example" }}
	for _, c := range change {
		c(&deps, &config)
	}
	f.reg, err = register.Open(ctx, config)
	f.must(err)
	t.Cleanup(func() { f.reg.Close(context.Background()) })
	f.sites = site.NewStore(d, banner.Compile, func(ctx context.Context, tx *sql.Tx, id int64, key string) error {
		return f.reg.CreateLog(ctx, tx, id, "consent.example/log/"+key)
	})
	added, err := f.sites.Add(ctx, []string{"shop.example", "localhost"}, "Shop <& Söhne>", "test")
	f.must(err)
	f.older = added.Version
	n, err := f.sites.Draft(ctx, added.Key)
	f.must(err)
	n.Services = []site.Service{{Key: "example-analytics", Name: "Example <Analytics>", Category: "analytics", Purpose: map[string]string{"en": "Counts visits."}}}
	f.must(f.sites.SaveDraft(ctx, added.Key, n))
	_, err = f.sites.Publish(ctx, added.Key, "test")
	f.must(err)
	f.site, err = f.sites.Get(ctx, added.Key)
	f.must(err)
	f.cache, err = site.NewCache(ctx, d)
	f.must(err)
	deps.Cache, deps.Register = f.cache, f.reg
	f.handler = public.New(deps)
	f.listen()
	return f
}

func (f *fixture) listen() {
	f.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	f.must(err)
	f.addr = l.Addr().String()
	server := web.NewServer(f.handler)
	var done sync.WaitGroup
	done.Go(func() { server.Serve(web.Limit(l)) })
	transport := &http.Transport{DisableCompression: true}
	f.client = &http.Client{Transport: transport, Timeout: 60 * time.Second}
	f.t.Cleanup(func() {
		transport.CloseIdleConnections()
		web.Shutdown(server, time.Second)
		done.Wait()
	})
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// records counts the rows of the register, past every layer of ours.
func (f *fixture) records() (n int) {
	f.t.Helper()
	f.must(f.db.Read().QueryRow("select count(*) from record").Scan(&n))
	return n
}

// wholeLog fails unless log, tiles and records agree: nothing is half-written.
func (f *fixture) wholeLog() {
	f.t.Helper()
	state, err := f.reg.State(context.Background(), f.site.ID)
	f.must(err)
	if n := f.records(); int64(n) != state.Size {
		f.t.Errorf("%d records and a log of size %d", n, state.Size)
	}
}

const recordID = "0190f5fe-7c00-7a00-8000-0123456789ab"

// decision is a good body with members replaced; "" leaves one out.
func (f *fixture) decision(pairs ...string) string {
	members := map[string]string{
		"site": f.site.Key, "record_id": uuid.Must(uuid.NewV7()).String(), "consent_id": "7d444840-9dc0-41d2-a72e-0f6e4f5f0d11",
		"version": f.site.Version, "action": "save", "categories": `{"functional":true}`, "language": "en",
		"source": "banner", "page": "https://shop.example/path?q=1",
	}
	for i := 0; i < len(pairs); i += 2 {
		members[pairs[i]] = pairs[i+1]
	}
	var parts []string
	for key, value := range members {
		if value == "" {
			continue
		}
		if !strings.HasPrefix(value, "{") && value != "true" {
			value = fmt.Sprintf("%q", value)
		}
		parts = append(parts, fmt.Sprintf("%q:%s", key, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// answer is a response that was read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem is the body of an error.
type problem struct {
	Type, Title, Detail string
	Status              int
}

func (f *fixture) do(method, path string, header http.Header, body io.Reader) answer {
	f.t.Helper()
	r, err := http.NewRequest(method, "http://"+f.addr+path, body)
	f.must(err)
	for key, values := range header {
		r.Header[key] = values
	}
	got, err := f.client.Do(r)
	f.must(err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	f.must(err)
	return answer{got.StatusCode, got.Header, text}
}

func (f *fixture) get(path string) answer { return f.do("GET", path, nil, nil) }

// post sends a decision as a page of the site does.
func (f *fixture) post(body string) answer {
	return f.do("POST", "/v1/consents", http.Header{"Content-Type": {"text/plain"}, "Origin": {"https://shop.example"}}, strings.NewReader(body))
}

// wantProblem checks an error's form and that its sentence says something.
func (a answer) wantProblem(t testing.TB, status int, says string) {
	t.Helper()
	var p problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("status %d, body %q: %v", a.status, a.body, err)
	}
	if a.status != status || p.Status != status || p.Title != http.StatusText(status) || p.Type != "about:blank" || !strings.Contains(p.Detail, says) {
		t.Errorf("status %d, problem %+v; want %d with %q", a.status, p, status, says)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type = %q", got)
	}
	if retry := a.header.Get("Retry-After"); (retry != "") != (status == 503 || status == 429) {
		t.Errorf("status %d with Retry-After %q", status, retry)
	}
}
