package public_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"assent/internal/db/dbtest"

	"github.com/google/uuid"
)

// sink is the least that a ResponseWriter can be.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(n int)   { s.status = n }
func (s *sink) Write(b []byte) (int, error) {
	s.bytes += len(b)
	return len(b), nil
}

// bare reads the same JSON and answers as much, and does nothing else.
func bare(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Site       string          `json:"site"`
		RecordID   string          `json:"record_id"`
		ConsentID  string          `json:"consent_id"`
		Version    string          `json:"version"`
		Action     string          `json:"action"`
		Categories map[string]bool `json:"categories"`
		Language   string          `json:"language"`
		Source     string          `json:"source"`
		Page       string          `json:"page"`
	}
	text, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(201)
	io.WriteString(w, `{"record_id":"`+body.RecordID+`"}`)
}

// BenchmarkPost compares a recorded decision (SQLite, on disk) with a handler
// that only reads the JSON, both without a network.
func BenchmarkPost(b *testing.B) {
	f := newFixture(b, dbtest.SQLite(b))
	for _, c := range []struct {
		name    string
		handler http.Handler
		callers int
		refuse  string // makes the decision fail just before the register
	}{
		{"bare", http.HandlerFunc(bare), 32, ""},
		{"recorded", f.handler, 32, ""},
		{"up-to-the-register", f.handler, 32, `"analytics":false,"no-such":true`},
	} {
		b.Run(c.name, func(b *testing.B) {
			template := f.decision("record_id", recordID, "categories", `{"functional":true,"analytics":false}`)
			if c.refuse != "" {
				template = strings.Replace(template, `"analytics":false`, c.refuse, 1)
			}
			head, tail, _ := strings.Cut(template, recordID)
			b.SetParallelism(c.callers)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				address := &url.URL{Path: "/v1/consents"}
				for pb.Next() {
					w := &sink{header: http.Header{}}
					r := &http.Request{Method: "POST", URL: address, Host: "x", RemoteAddr: "129.187.5.77:1234", ContentLength: int64(len(template)),
						Header: http.Header{"Content-Type": {"text/plain;charset=UTF-8"}, "Origin": {shop},
							"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"}},
						Body: io.NopCloser(strings.NewReader(head + uuid.Must(uuid.NewV7()).String() + tail))}
					c.handler.ServeHTTP(w, r)
					if want := 201; w.status != want && !(c.refuse != "" && w.status == 422) {
						b.Errorf("status %d", w.status)
						return
					}
				}
			})
		})
	}
}

// BenchmarkScript compares GET /b/{site}.js with writing the same bytes.
func BenchmarkScript(b *testing.B) {
	f := newFixture(b, dbtest.SQLite(b))
	body := f.cache.Site(f.site.Key).Bundle.Brotli
	for name, h := range map[string]http.Handler{
		"bare": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			w.Write(body)
		}),
		"script": f.handler,
	} {
		b.Run(name, func(b *testing.B) {
			r := &http.Request{Method: "GET", URL: &url.URL{Path: "/b/" + f.site.Key + ".js"}, Host: "x", Header: http.Header{"Accept-Encoding": {"gzip, br"}}}
			w := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}
