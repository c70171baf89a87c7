package account

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"assent/internal/fault"
)

// Limiter slows down whoever guesses passwords, and nobody else. Three counts
// are kept: by address and network together (a person who mistypes), by network
// (one machine that tries many addresses) and by address (many machines that
// try one). The last does not apply to a network from which that member has
// signed in before, so a stranger cannot lock a member out. Memory is bounded:
// the least recently used counts are forgotten first.
type Limiter struct {
	now  func() time.Time
	salt [16]byte // keys are salted hashes: no address stays in memory

	mu      sync.Mutex
	buckets map[limitKey]*list.Element // of *bucket
	recent  *list.List                 // front: most recently used
}

type limitKey [sha256.Size]byte

type bucket struct {
	key  limitKey
	left float64 // tries left
	at   time.Time
}

// rule is how many tries are free and how long one takes to come back.
type rule struct {
	free  float64
	every time.Duration
}

var (
	pairRule    = rule{6, 30 * time.Second}
	networkRule = rule{30, 10 * time.Second}
	emailRule   = rule{60, 30 * time.Second}
)

// maxBuckets bounds the limiter's memory, to about 4 MB.
const maxBuckets = 20_000

// NewLimiter makes a limiter. A nil now is the system's clock.
func NewLimiter(now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	l := &Limiter{now: now, buckets: map[limitKey]*list.Element{}, recent: list.New()}
	rand.Read(l.salt[:])
	return l
}

// Take counts a try before the password is checked. Errors: fault.TooMany.
// network is masked (/24 or /48), "" when unknown.
func (l *Limiter) Take(email, network string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	email = strings.ToLower(strings.TrimSpace(email))
	taken := []*bucket{l.bucket("pair", email+"\x00"+network, pairRule), l.bucket("network", network, networkRule)}
	if _, known := l.buckets[l.key("known", email+"\x00"+network)]; !known {
		taken = append(taken, l.bucket("email", email, emailRule))
	}
	for _, b := range taken {
		if b.left < 1 {
			return fault.New(fault.TooMany, "That was tried too often. Wait a minute, then try again.")
		}
	}
	for _, b := range taken {
		b.left--
	}
	return nil
}

// Succeeded gives the try back and remembers the network as the member's.
func (l *Limiter) Succeeded(email, network string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	email = strings.ToLower(strings.TrimSpace(email))
	l.bucket("pair", email+"\x00"+network, pairRule).left = pairRule.free
	for _, given := range []struct {
		b *bucket
		r rule
	}{{l.bucket("network", network, networkRule), networkRule}, {l.bucket("email", email, emailRule), emailRule}} {
		given.b.left = min(given.b.left+1, given.r.free)
	}
	l.bucket("known", email+"\x00"+network, rule{})
}

// bucket returns a bucket, refilled to this moment, as the most recent one.
func (l *Limiter) bucket(kind, key string, r rule) *bucket {
	k, now := l.key(kind, key), l.now()
	if e, ok := l.buckets[k]; ok {
		l.recent.MoveToFront(e)
		b := e.Value.(*bucket)
		if r.every > 0 {
			b.left = min(b.left+now.Sub(b.at).Seconds()/r.every.Seconds(), r.free)
		}
		b.at = now
		return b
	}
	for l.recent.Len() >= maxBuckets {
		oldest := l.recent.Back()
		delete(l.buckets, oldest.Value.(*bucket).key)
		l.recent.Remove(oldest)
	}
	b := &bucket{key: k, left: r.free, at: now}
	l.buckets[k] = l.recent.PushFront(b)
	return b
}

func (l *Limiter) key(kind, key string) limitKey {
	return sha256.Sum256([]byte(string(l.salt[:]) + kind + "\x00" + key))
}
