package wire

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/internal/witness"
	"assent/receipt"

	"golang.org/x/mod/sumdb/tlog"
)

const laterOrigin = "consent.shop.example/2026-03-31-abcdef/log/k7m2p9"

func logKey(t *testing.T, name string, key ed25519.PrivateKey) string {
	t.Helper()
	vkey, err := receipt.VerifierKey(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return vkey
}

// historyAt is the key history of a log that went on from key l to key m at a size.
func historyAt(t *testing.T, log *growing, size int64, stolen bool) []byte {
	t.Helper()
	root, err := tlog.TreeHash(size, log)
	if err != nil {
		t.Fatal(err)
	}
	r := receipt.Rotation{Old: logKey(t, origin, seeded('l')), New: logKey(t, laterOrigin, seeded('m')), Size: size, Root: root, Time: time.Unix(1774958400, 0), Compromised: stolen}
	note, err := r.Sign(seeded('l'), seeded('m'))
	if err != nil {
		t.Fatal(err)
	}
	return receipt.MarshalHistory([]string{string(note)})
}

func (g *growing) later(size int64) []byte {
	root, err := tlog.TreeHash(size, g)
	if err != nil {
		g.t.Fatal(err)
	}
	signed, err := receipt.Checkpoint{Origin: laterOrigin, Size: size, Root: root}.Sign(seeded('m'))
	if err != nil {
		g.t.Fatal(err)
	}
	return signed
}

// A monitor goes on with a log whose key was replaced only where the key that it
// knows says so, of the very tree that it saw.
func TestMonitorFollowsARotation(t *testing.T) {
	log, fork := &growing{t: t, key: seeded('l')}, &growing{t: t, key: seeded('l')}
	log.grow(400, 1)
	fork.grow(400, 2)
	old := logKey(t, origin, seeded('l'))
	for _, c := range []struct {
		what    string
		tree    *growing // that is served afterwards
		history []byte   // nil: none is served
		named   bool     // the new key was given by who runs the monitor
		kinds   string
	}{
		{"planned", log, historyAt(t, log, 300, false), false, ""},
		{"planned, the key named", log, historyAt(t, log, 300, false), true, ""},
		{"no history", log, nil, false, Signature},
		{"the key named, no history", log, nil, true, Signature},
		{"stolen", log, historyAt(t, log, 300, true), false, Signature},
		{"stolen, the key named", log, historyAt(t, log, 300, true), true, ""},
		{"another past", fork, historyAt(t, fork, 300, false), false, Inconsistent},
		{"another tree at the rotation", log, historyAt(t, fork, 300, false), false, Inconsistent},
		{"replaced before what the old key signed", log, historyAt(t, log, 200, false), false, Inconsistent},
		{"no history at all", log, []byte("{}"), false, Signature},
	} {
		t.Run(c.what, func(t *testing.T) {
			tree, rotated := log, false
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inner := new(served)
				inner.log.Store(tree)
				inner.size.Store(250)
				switch path := strings.TrimPrefix(r.URL.Path, "/log/"); {
				case path == "checkpoint" && rotated:
					w.Write(tree.later(350))
				case path == "keys" && rotated && c.history != nil:
					w.Write(c.history)
				default:
					inner.ServeHTTP(w, r)
				}
			}))
			defer server.Close()
			m := &Monitor{URL: server.URL + "/log", Key: old, Dir: t.TempDir(), Now: time.Now, Client: NewMonitorClient()}
			if r, err := m.Check(context.Background()); err != nil || len(r.Findings) > 0 {
				t.Fatal(r, err)
			}
			tree, rotated = c.tree, true
			m.Key = ""
			if c.named {
				m.Key = logKey(t, laterOrigin, seeded('m'))
			}
			r, err := m.Check(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, f := range r.Findings {
				kinds = append(kinds, f.Kind)
			}
			if got := strings.Join(kinds, " "); got != c.kinds {
				t.Fatalf("%+v, want %q", r.Findings, c.kinds)
			}
			if c.kinds != "" {
				return
			}
			if len(r.Rotations) != 1 || r.Before != 250 || r.Size != 350 || !strings.HasPrefix(r.Key, laterOrigin) {
				t.Errorf("%+v", r)
			}
			m.Key = old // as whoever runs it goes on giving it
			if r, err := m.Check(context.Background()); err != nil || len(r.Findings) > 0 || len(r.Rotations) > 0 || r.Before != 350 {
				t.Errorf("the next look: %+v, %v", r, err)
			}
		})
	}
}

// A witness goes on from what it saw: under the new name it cosigns only what
// continues it, and nothing more under the old one.
func TestWitnessFollowsARotation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		log, fork := &growing{t: t, key: seeded('l')}, &growing{t: t, key: seeded('l')}
		log.grow(400, 1)
		fork.grow(400, 2)
		old, next := logKey(t, origin, seeded('l')), logKey(t, laterOrigin, seeded('m'))
		w := &witness.Witness{Store: witness.NewStore(d, time.Now), Name: "witness.example/w1", Key: seeded('w')}
		if _, err := w.AddLog(ctx, old); err != nil {
			t.Fatal(err)
		}
		if _, err := w.AddCheckpoint(ctx, log.request(0, 250)); err != nil {
			t.Fatal(err)
		}
		follow := func(data []byte, key string) error {
			history, err := receipt.ParseHistory(data)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Follow(ctx, key, history)
			return err
		}
		if err := follow(historyAt(t, log, 200, false), next); fault.KindOf(err) != fault.Conflict {
			t.Errorf("the old key signed more than it took over: %v", err)
		}
		if err := follow(historyAt(t, fork, 250, false), next); fault.KindOf(err) != fault.Conflict {
			t.Errorf("another tree was taken over: %v", err)
		}
		if err := follow(historyAt(t, log, 300, true), next); err != nil {
			t.Fatal(err)
		}
		if err := follow(historyAt(t, log, 300, false), logKey(t, laterOrigin, seeded('x'))); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a key of which the history does not tell: %v", err)
		}
		request := func(tree *growing, from, to int64) witness.Request {
			r := tree.request(from, to)
			r.Checkpoint = tree.later(to)
			return r
		}
		for what, r := range map[string]witness.Request{"the old name": log.request(250, 300), "from nothing": request(log, 0, 350), "another history": request(fork, 250, 350)} {
			if _, err := w.AddCheckpoint(ctx, r); err == nil {
				t.Errorf("%s is cosigned", what)
			}
		}
		if _, err := w.AddCheckpoint(ctx, request(log, 250, 350)); err != nil {
			t.Errorf("what continues it: %v", err)
		}
	})
}
