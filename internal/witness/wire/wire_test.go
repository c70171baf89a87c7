package wire

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/witness"
	"assent/receipt"

	"golang.org/x/mod/sumdb/tlog"
)

const origin = "consent.shop.example/log/k7m2p9"

func seeded(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(seed), ed25519.SeedSize)))
}

// growing is a log in memory.
type growing struct {
	t      testing.TB
	key    ed25519.PrivateKey
	stored []tlog.Hash
	size   int64
	salt   byte // tells the entries of one history from those of another
}

func (g *growing) ReadHashes(at []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(at))
	for i, n := range at {
		list[i] = g.stored[n]
	}
	return list, nil
}

func (g *growing) grow(to int64, salt byte) {
	g.salt = salt
	for ; g.size < to; g.size++ {
		hashes, err := tlog.StoredHashes(g.size, []byte{salt, byte(g.size)}, g)
		if err != nil {
			g.t.Fatal(err)
		}
		g.stored = append(g.stored, hashes...)
	}
}

func (g *growing) checkpoint(size int64) []byte {
	root, err := tlog.TreeHash(size, g)
	if err != nil {
		g.t.Fatal(err)
	}
	return g.sign(receipt.Checkpoint{Origin: origin, Size: size, Root: root})
}

func (g *growing) sign(c receipt.Checkpoint) []byte {
	signed, err := c.Sign(g.key)
	if err != nil {
		g.t.Fatal(err)
	}
	return signed
}

func (g *growing) request(from, to int64) witness.Request {
	r := witness.Request{Old: from, Checkpoint: g.checkpoint(to)}
	if from > 0 && from < to {
		proof, err := tlog.ProveTree(to, from, g)
		if err != nil {
			g.t.Fatal(err)
		}
		r.Proof = proof
	}
	return r
}

// newWitness starts a witness that follows the log.
func newWitness(t *testing.T, d *db.DB, log *growing) (url, vkey string) {
	t.Helper()
	w := &witness.Witness{Store: witness.NewStore(d, func() time.Time { return time.Unix(1774958400, 0) }), Name: "witness.example/w1", Key: seeded('w')}
	key, err := receipt.VerifierKey(origin, log.key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddLog(context.Background(), key); err != nil {
		t.Fatal(err)
	}
	if vkey, err = w.VerifierKey(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(NewServer(w))
	t.Cleanup(server.Close)
	return server.URL, vkey
}

func post(t *testing.T, url string, body []byte) (status int, header http.Header, answer string) {
	t.Helper()
	res, err := http.Post(url+"/add-checkpoint", "text/plain", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

// The statuses are those of C2SP tlog-witness, step by step.
func TestAddCheckpoint(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		log := &growing{t: t, key: seeded('l')}
		log.grow(20, 1)
		url, vkey := newWitness(t, d, log)
		fork := &growing{t: t, key: log.key}
		fork.grow(20, 2)
		stranger := &growing{t: t, key: seeded('s')}
		stranger.grow(20, 1)

		good := log.request(0, 7).Marshal()
		for _, step := range []struct {
			what   string
			body   []byte
			status int
		}{
			{"nonsense", []byte("hello"), 400},
			{"a size with a leading zero", []byte("old 07\n\n" + string(log.checkpoint(7))), 400},
			{"a checkpoint that is none", []byte("old 0\n\n" + origin + "\n7\n\n"), 400},
			{"an old size beyond the new one", log.with(9, 7), 400},
			{"another log", []byte("old 0\n\nother.example/log/x" + strings.TrimPrefix(string(log.checkpoint(7)), origin)), 404},
			{"a stranger's signature", stranger.request(0, 7).Marshal(), 403},
			{"a spoilt signature", spoil(good), 403},
			{"a proof where none may be", witness.Request{Proof: tlog.TreeProof{{1}}, Checkpoint: log.checkpoint(7)}.Marshal(), 422},
			{"an empty tree with a root", witness.Request{Checkpoint: log.sign(receipt.Checkpoint{Origin: origin, Root: tlog.Hash{1}})}.Marshal(), 422},
			{"an unknown old size", log.request(3, 7).Marshal(), 409},
			{"the first", good, 200},
			{"the first again, as new", good, 409},
			{"the same size", log.request(7, 7).Marshal(), 200},
			{"another root for that size", fork.request(7, 7).Marshal(), 422},
			{"another history", fork.request(7, 12).Marshal(), 422},
			{"no proof", witness.Request{Old: 7, Checkpoint: log.checkpoint(12)}.Marshal(), 422},
			{"the next", log.request(7, 12).Marshal(), 200},
			{"back", log.request(7, 9).Marshal(), 409},
		} {
			status, header, answer := post(t, url, step.body)
			if status != step.status {
				t.Errorf("%s: status %d, want %d\n%s", step.what, status, step.status, answer)
			}
			if status == 409 && (header.Get("Content-Type") != "text/x.tlog.size" || answer != "0\n" && answer != "7\n" && answer != "12\n") {
				t.Errorf("%s: 409 with %q, %q", step.what, header, answer)
			}
			if status == 200 && !strings.HasPrefix(answer, "— witness.example/w1 ") {
				t.Errorf("%s: %q", step.what, answer)
			}
		}
		if status, _, _ := post(t, url, make([]byte, witness.MaxRequest+1)); status != 413 {
			t.Errorf("a huge request: %d", status)
		}

		sum := sha256.Sum256([]byte(origin))
		res, err := http.Get(url + "/" + hex.EncodeToString(sum[:]) + "/checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		seen, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		key, err := receipt.VerifierKey(origin, log.key.Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		if c, list, err := receipt.OpenCosigned(seen, key, []string{vkey}); err != nil || c.Size != 12 || len(list) != 1 {
			t.Errorf("the witness shows %+v, %v\n%s", c, err, seen)
		}
	})
}

func (g *growing) with(old, size int64) []byte {
	return witness.Request{Old: old, Checkpoint: g.checkpoint(size)}.Marshal()
}

func spoil(body []byte) []byte {
	bad := []byte(string(body))
	if bad[len(bad)-10] ^= 1; bad[len(bad)-10] == '\n' {
		bad[len(bad)-10] = 'A'
	}
	return bad
}

// Of many who extend one size at once, to different sizes and histories, all that
// are cosigned lie on one line.
func TestOneHistoryAtATime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		log, fork := &growing{t: t, key: seeded('l')}, &growing{t: t, key: seeded('l')}
		log.grow(8, 1)
		fork.grow(8, 2)
		url, vkey := newWitness(t, d, log)
		client := NewClient(time.Minute)
		cosigned := make([]bool, 16)
		var all sync.WaitGroup
		for i := range cosigned {
			of := []*growing{log, fork}[i%2]
			request := of.request(0, 1+int64(i)/2)
			all.Go(func() {
				_, err := client.AddCheckpoint(t.Context(), witness.Asked{Key: vkey, URL: url}, request)
				if _, conflict := errors.AsType[*witness.ConflictError](err); err != nil && !conflict {
					t.Error(err)
				}
				cosigned[i] = err == nil
			})
		}
		all.Wait()
		n := 0
		for _, yes := range cosigned {
			if yes {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d of the requests from one size were cosigned, want 1", n)
		}
	})
}

// A witness that answers with what it should not is not believed, and not followed.
func TestClientBelievesSignaturesOnly(t *testing.T) {
	log := &growing{t: t, key: seeded('l')}
	log.grow(5, 1)
	_, vkey := newWitness(t, dbtest.SQLite(t), log)
	text, _, _ := strings.Cut(string(log.checkpoint(5)), "\n\n")
	other, err := receipt.Cosign(text+"\n", "witness.example/w1", seeded('x'), time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	reached := false
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer inner.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"another's cosignature":   func(w http.ResponseWriter, _ *http.Request) { w.Write(other) },
		"nothing":                 func(http.ResponseWriter, *http.Request) {},
		"a conflict without size": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(409) },
		"a redirection": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inner.URL, http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			defer server.Close()
			if line, err := NewClient(time.Minute).AddCheckpoint(t.Context(), witness.Asked{Key: vkey, URL: server.URL}, log.request(0, 5)); err == nil {
				t.Errorf("believed: %s", line)
			}
		})
	}
	if reached {
		t.Error("a redirection was followed")
	}
}

func FuzzParseRequest(f *testing.F) {
	log := &growing{t: f, key: seeded('l')}
	log.grow(9, 1)
	f.Add(log.request(0, 5).Marshal())
	f.Add(log.request(5, 9).Marshal())
	f.Add([]byte("old 1\n\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := witness.ParseRequest(body)
		if err == nil && string(r.Marshal()) != string(body) {
			t.Errorf("%q is read as %q", body, r.Marshal())
		}
	})
}
