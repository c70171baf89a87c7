package web

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"assent/internal/fault"
)

// ReadBody appends a request's body to buf, at most limit bytes of it. A larger
// one is fault.TooLarge, said by Content-Length or found while reading; one
// that ends before its Content-Length, or does not come in time, is
// fault.Invalid.
func ReadBody(r *http.Request, buf []byte, limit int) ([]byte, error) {
	if r.ContentLength > int64(limit) {
		return buf, tooLarge(limit)
	}
	start := len(buf)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		room := buf[len(buf):min(cap(buf), start+limit+1)]
		n, err := r.Body.Read(room)
		buf = buf[:len(buf)+n]
		switch {
		case len(buf)-start > limit:
			return buf, tooLarge(limit)
		case err == io.EOF:
			return buf, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return buf, fault.Wrap(fault.Invalid, err, "The body did not arrive in time. Send it again.")
		case err != nil:
			return buf, fault.Wrap(fault.Invalid, err, "The body ended before it was whole. Send it again.")
		}
	}
}

func tooLarge(limit int) error {
	return fault.New(fault.TooLarge, "The body is larger than %d KB, which is the most that is read here.", limit>>10)
}

// Limiter allows each key a number of events a minute, with bursts of as many
// (a token bucket). Its memory is bounded: of more than maxKeys keys the ones
// not seen for longest are forgotten, and start with a full bucket when they
// come again. It is safe for concurrent use.
type Limiter[K comparable] struct {
	perMinute float64
	half      int
	now       func() time.Time

	mu           sync.Mutex
	recent, past map[K]bucket // past holds keys that recent has not met yet
}

type bucket struct {
	tokens float64
	at     time.Time
}

// NewLimiter makes a limiter; now is nil for the system's clock. With perMinute
// 0 or below everything is allowed.
func NewLimiter[K comparable](perMinute, maxKeys int, now func() time.Time) *Limiter[K] {
	if now == nil {
		now = time.Now
	}
	return &Limiter[K]{perMinute: float64(perMinute), half: max(1, maxKeys/2), now: now, recent: map[K]bucket{}}
}

// Allow takes one event from key's bucket and tells whether there was one.
func (l *Limiter[K]) Allow(key K) bool {
	if l.perMinute <= 0 {
		return true
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.recent[key]
	if !known {
		if len(l.recent) >= l.half {
			l.recent, l.past = make(map[K]bucket, l.half/4), l.recent
		}
		if b, known = l.past[key]; !known {
			b = bucket{l.perMinute, now}
		}
	}
	if passed := now.Sub(b.at).Minutes(); passed > 0 {
		b.tokens, b.at = min(l.perMinute, b.tokens+passed*l.perMinute), now
	}
	allowed := b.tokens >= 1
	if allowed {
		b.tokens--
	}
	l.recent[key] = b
	return allowed
}

// Reset forgets a key, for example after a sign-in that succeeded.
func (l *Limiter[K]) Reset(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.recent, key)
	delete(l.past, key)
}
