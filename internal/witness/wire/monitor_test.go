package wire

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"assent/receipt"

	"golang.org/x/mod/sumdb/tlog"
)

// served is a log at an address, as it stands now.
type served struct {
	log     atomic.Pointer[growing]
	size    atomic.Int64
	missing atomic.Pointer[string]
	down    atomic.Bool
}

func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	log, size := s.log.Load(), s.size.Load()
	missing := s.missing.Load()
	path := strings.TrimPrefix(r.URL.Path, "/log/")
	var level string
	var n, width int64
	switch {
	case s.down.Load():
		w.WriteHeader(503)
	case missing != nil && strings.HasPrefix(path, *missing), path == "cosigned":
		w.WriteHeader(404)
	case path == "checkpoint":
		w.Write(log.checkpoint(size))
	case path == "key":
		key, err := receipt.VerifierKey(origin, log.key.Public().(ed25519.PublicKey))
		if err != nil {
			log.t.Error(err)
		}
		fmt.Fprintln(w, key)
	default:
		if k, _ := fmt.Sscanf(strings.Replace(path, "/", " ", 2), "tile %s %d.p/%d", &level, &n, &width); k < 2 {
			w.WriteHeader(404)
			return
		}
		if width == 0 {
			width = 256
		}
		w.Write(log.tile(level, n, width))
	}
}

func (g *growing) tile(level string, n, width int64) (data []byte) {
	for i := n << 8; i < n<<8+width; i++ {
		if level == "entries" {
			entry := []byte{g.salt, byte(i)}
			data = append(binary.BigEndian.AppendUint16(data, uint16(len(entry))), entry...)
			continue
		}
		var l int
		fmt.Sscan(level, &l)
		h := g.stored[tlog.StoredHashIndex(l*8, i)]
		data = append(data, h[:]...)
	}
	return data
}

func TestMonitor(t *testing.T) {
	log, fork := &growing{t: t, key: seeded('l')}, &growing{t: t, key: seeded('l')}
	log.grow(700, 1)
	fork.grow(700, 2)
	s := new(served)
	s.log.Store(log)
	server := httptest.NewServer(s)
	defer server.Close()
	now := time.Unix(1774958400, 0)
	m := &Monitor{URL: server.URL + "/log", Dir: t.TempDir(), MaxAge: time.Hour, Now: func() time.Time { return now }, Client: NewMonitorClient()}
	look := func(what string, kinds ...string) *Report {
		t.Helper()
		r, err := m.Check(context.Background())
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var got []string
		for _, f := range r.Findings {
			got = append(got, f.Kind)
		}
		if strings.Join(got, " ") != strings.Join(kinds, " ") {
			t.Fatalf("%s: %+v, want %v", what, r.Findings, kinds)
		}
		return r
	}
	if r := look("an empty log"); !r.FirstUse || r.Size != 0 {
		t.Errorf("%+v", r)
	}
	for _, size := range []int64{1, 5, 256, 257, 600} {
		s.size.Store(size)
		if r := look(fmt.Sprint(size)); r.Size != size || r.FirstUse {
			t.Errorf("%+v", r)
		}
	}
	now = now.Add(2 * time.Hour)
	look("two hours without news", Stale)

	s.size.Store(650)
	gone := "tile/entries/002"
	s.missing.Store(&gone)
	look("a bundle that is gone", Gap)
	gone = "tile/0/002"
	s.missing.Store(&gone)
	look("a tile that is gone", Gap)
	s.missing.Store(nil)

	s.log.Store(fork)
	s.size.Store(600)
	r := look("another root", Inconsistent)
	if len(r.Findings[0].Evidence) != 2 || !r.Grave() {
		t.Fatalf("evidence %+v", r.Findings[0])
	}
	for i, file := range r.Findings[0].Evidence {
		want := [][]byte{log.checkpoint(600), fork.checkpoint(600)}[i]
		if got, err := os.ReadFile(file); err != nil || string(got) != string(want) {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
	s.size.Store(650)
	look("another history", Inconsistent)
	s.log.Store(log)
	s.size.Store(599)
	look("a shorter log", Rollback)
	s.size.Store(650)
	look("the log as it was")

	s.down.Store(true)
	if r, err := m.Check(context.Background()); err == nil {
		t.Errorf("a server that is down: %+v", r)
	}
	s.down.Store(false)
	s.log.Store(&growing{t: t, key: seeded('x'), stored: log.stored, size: log.size, salt: 1})
	look("another key", Signature)

	gone = "cosigned"
	s.log.Store(log)
	policy, err := receipt.ParsePolicy([]byte("witness w " + mustWitnessKey(t) + "\nquorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	m.Policy = policy
	look("no witness", Policy)
}

func mustWitnessKey(t *testing.T) string {
	key, err := receipt.WitnessKey("w.example", seeded('w').Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTilePath(t *testing.T) {
	for want, tile := range map[string]tlog.Tile{
		"tile/0/000.p/1":            {H: 8, W: 1},
		"tile/1/x001/x234/067":      {H: 8, L: 1, N: 1234067, W: 256},
		"tile/entries/x001/000.p/9": {H: 8, L: -1, N: 1000, W: 9},
	} {
		if got := tilePath(tile); got != want {
			t.Errorf("%+v is at %s, want %s", tile, got, want)
		}
	}
}

func FuzzOpenLoose(f *testing.F) {
	log := &growing{t: f, key: seeded('l')}
	log.grow(3, 1)
	key, err := receipt.VerifierKey(origin, log.key.Public().(ed25519.PublicKey))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(log.checkpoint(3))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := openLoose(data, key); err == nil && (c.Size < 0 || c.Origin != origin) {
			t.Errorf("%+v", c)
		}
	})
}
