package admin

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"assent/internal/web"

	"github.com/andybalholm/brotli"
)

// Pages leave compressed: a desk on a slow line should not wait for markup that
// repeats itself. Only answers to the console's own pages and to addresses that
// the reader typed do (Sec-Fetch-Site, Fetch Metadata): a page elsewhere that
// makes a reader's browser ask for pages with a guess in the address learns
// nothing from their compressed size (the attack called BREACH).

const (
	packedFrom    = 1024 // bytes; less is not worth it
	packedQuality = 5    // brotli's 0 to 11: a page of 100 KB takes about 2 ms
	packedWindow  = 18   // 256 KB, more than any page
)

var packers = sync.Pool{New: func() any {
	return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: packedQuality, LGWin: packedWindow})
}}

// packing compresses the pages of a handler.
func packing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		from := r.Header.Get("Sec-Fetch-Site")
		if (from != "same-origin" && from != "none") || r.Method == http.MethodHead || !web.Accepts(r.Header["Accept-Encoding"], "br") {
			next.ServeHTTP(w, r)
			return
		}
		p := &packed{ResponseWriter: w}
		defer p.close()
		next.ServeHTTP(p, r)
	})
}

// packed is an answer that is compressed if it is a page.
type packed struct {
	http.ResponseWriter
	begun  bool
	packer *brotli.Writer // nil: the answer is sent as it is
}

func (p *packed) WriteHeader(status int) {
	if !p.begun {
		p.begun = true
		h := p.Header()
		size, err := strconv.Atoi(h.Get("Content-Length"))
		if err == nil && size >= packedFrom && strings.HasPrefix(h.Get("Content-Type"), "text/html") && h.Get("Content-Encoding") == "" {
			h.Del("Content-Length")
			h.Set("Content-Encoding", "br")
			p.packer = packers.Get().(*brotli.Writer)
			p.packer.Reset(p.ResponseWriter)
		}
	}
	p.ResponseWriter.WriteHeader(status)
}

func (p *packed) Write(data []byte) (int, error) {
	if !p.begun {
		p.WriteHeader(http.StatusOK)
	}
	if p.packer != nil {
		return p.packer.Write(data)
	}
	return p.ResponseWriter.Write(data)
}

// Unwrap leads http.ResponseController to the connection.
func (p *packed) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *packed) close() {
	if p.packer == nil {
		return
	}
	ignoreDisconnect(p.packer.Close())
	p.packer.Reset(io.Discard)
	packers.Put(p.packer)
}
