package receipt

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

func keyOf(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func vkeyOf(t testing.TB, origin string, n byte) string {
	t.Helper()
	vkey, err := VerifierKey(origin, keyOf(n).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return vkey
}

// rotations are a planned one from key 1 to 2, and one from 2 to 3 after a theft.
func rotations(t testing.TB) (notes []string, keys [4]string) {
	t.Helper()
	for n, origin := range map[byte]string{1: "a.example/log/shop", 2: "a.example/e2/log/shop", 3: "a.example/e3/log/shop"} {
		keys[n] = vkeyOf(t, origin, n)
	}
	for i, r := range []Rotation{
		{Old: keys[1], New: keys[2], Size: 10, Root: tlog.Hash{1}, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		{Old: keys[2], New: keys[3], Size: 20, Root: tlog.Hash{2}, Time: time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC), Compromised: true},
	} {
		note, err := r.Sign(keyOf(byte(i+1)), keyOf(byte(i+2)))
		if err != nil {
			t.Fatal(err)
		}
		notes = append(notes, string(note))
	}
	return notes, keys
}

func TestRotationIsACheckpointOfBothKeys(t *testing.T) {
	notes, keys := rotations(t)
	r, err := OpenRotation([]byte(notes[0]))
	if err != nil {
		t.Fatal(err)
	}
	if r.Old != keys[1] || r.New != keys[2] || r.Size != 10 || r.Root != (tlog.Hash{1}) || r.Compromised || !r.Time.Equal(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", r)
	}
	if !strings.HasPrefix(notes[0], "a.example/e2/log/shop\n10\n") || strings.Count(notes[0], "\n— ") != 2 {
		t.Errorf("not a checkpoint with two signatures:\n%s", notes[0])
	}
	for i := range notes[0] { // no byte may change unnoticed
		changed := []byte(notes[0])
		changed[i] ^= 1
		if _, err := OpenRotation(changed); err == nil {
			t.Fatalf("byte %d can be changed: %q", i, changed)
		}
	}
	for name, note := range map[string]string{
		"one signature":        notes[0][:strings.LastIndex(notes[0], "— ")],
		"more after it":        notes[0] + "\n",
		"signed twice":         notes[0] + notes[0][strings.LastIndex(notes[0], "— "):],
		"the other way around": strings.Replace(strings.Replace(strings.Replace(notes[0], keys[1], "x", 1), keys[2], keys[1], 1), "\nx\n", "\n"+keys[2]+"\n", 1),
		"a plain checkpoint":   "a.example/log/shop\n10\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— a b\n",
		"nothing":              "",
	} {
		if _, err := OpenRotation([]byte(note)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	other := Rotation{Old: vkeyOf(t, "a.example/log/other", 1), New: keys[2], Size: 10, Time: r.Time}
	if note, err := other.Sign(keyOf(1), keyOf(2)); err == nil {
		if _, err := OpenRotation(note); err == nil {
			t.Error("a rotation from one site's log to another's is taken")
		}
	}
	if _, err := r.Sign(keyOf(3), keyOf(2)); err == nil {
		t.Error("a key that is not the old one signs")
	}
}

func TestHistory(t *testing.T) {
	notes, _ := rotations(t)
	whole := MarshalHistory(notes)
	if h, err := ParseHistory(whole); err != nil || len(h.Rotations) != 2 {
		t.Fatal(err)
	}
	for i := range whole {
		changed := bytes.Clone(whole)
		changed[i] ^= 1
		if _, err := ParseHistory(changed); err == nil {
			t.Fatalf("byte %d can be changed", i)
		}
	}
	for name, list := range map[string][]string{"gap": {notes[1], notes[0]}, "twice": {notes[0], notes[0]}} {
		if _, err := ParseHistory(MarshalHistory(list)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Whoever trusts one key can go on from it, or back, as far as nobody else could
// have written the way.
func TestJudgeByHistory(t *testing.T) {
	notes, keys := rotations(t)
	h, err := ParseHistory(MarshalHistory(notes))
	if err != nil {
		t.Fatal(err)
	}
	stranger := vkeyOf(t, "a.example/log/shop", 9)
	for _, c := range []struct {
		what          string
		history       *History
		trusted, key  string
		size          int64
		policyMet, ok bool
	}{
		{"the key itself", nil, keys[1], keys[1], 5, false, true},
		{"another key", nil, keys[1], keys[2], 12, false, false},
		{"the successor", h, keys[1], keys[2], 12, false, false}, // it was stolen later
		{"the successor, with witnesses", h, keys[1], keys[2], 12, true, true},
		{"after the successor was replaced", h, keys[1], keys[2], 21, true, false},
		{"beyond a theft", h, keys[1], keys[3], 22, true, false},
		{"the predecessor", h, keys[2], keys[1], 10, false, true},
		{"the predecessor, larger than it ever was", h, keys[2], keys[1], 11, false, false},
		{"the trusted key, larger than it ever was", h, keys[1], keys[1], 11, true, false},
		{"the trusted key", h, keys[1], keys[1], 10, false, true},
		{"the stolen key's, without witnesses", h, keys[3], keys[2], 15, false, false},
		{"the stolen key's, with witnesses", h, keys[3], keys[2], 15, true, true},
		{"the stolen key, trusted all the same", h, keys[2], keys[2], 15, false, false},
		{"two back", h, keys[3], keys[1], 10, false, true},
		{"a stranger's", h, keys[1], stranger, 5, false, false},
		{"a stranger trusts a stranger", h, stranger, stranger, 5, false, true},
		{"the newest", h, keys[3], keys[3], 1000, false, true},
	} {
		origin, _, _ := strings.Cut(c.key, "+")
		if ok, said := c.history.judge("receipt", c.trusted, c.key, Checkpoint{Origin: origin, Size: c.size}, c.policyMet); ok != c.ok || said == "" {
			t.Errorf("%s: %v, %s", c.what, ok, said)
		}
	}
	if ok, _ := h.judge("receipt", keys[1], keys[1], Checkpoint{Origin: "a.example/log/other", Size: 1}, false); ok {
		t.Error("the history of one register says something about another")
	}
	if way, newest := h.Way(keys[1]); len(way) != 2 || newest != keys[3] {
		t.Errorf("%d rotations to %s", len(way), newest)
	}
	if way, newest := h.Way(keys[3]); len(way) != 0 || newest != keys[3] {
		t.Errorf("%d rotations to %s", len(way), newest)
	}
}

// FuzzHistory: what is taken is written again byte for byte.
func FuzzHistory(f *testing.F) {
	notes, _ := rotations(f)
	f.Add(MarshalHistory(notes))
	f.Add(MarshalHistory(notes[:1]))
	f.Add([]byte(notes[0]))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := OpenRotation(data); err == nil && !bytes.HasPrefix(data, []byte(r.text())) {
			t.Fatalf("%q is read as %+v", data, r)
		}
		h, err := ParseHistory(data)
		if err != nil {
			return
		}
		for _, r := range h.Rotations {
			if r.site() == "" || !strings.Contains(string(data), r.New) {
				t.Fatalf("%q is read as %+v", data, r)
			}
		}
	})
}
