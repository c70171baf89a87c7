package receipt

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gowebpki/jcs"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

var cosignedAt = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

func witnessKey(t testing.TB, name string, seed byte) string {
	t.Helper()
	key, err := WitnessKey(name, testKey(seed).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// cosign adds the cosignature of a witness to a receipt.
func cosign(t testing.TB, r *Receipt, name string, seed byte) {
	t.Helper()
	text, _, _ := strings.Cut(string(r.Checkpoint), "\n\n")
	line, err := Cosign(text+"\n", name, testKey(seed), cosignedAt)
	if err != nil {
		t.Fatal(err)
	}
	r.Checkpoint = append(r.Checkpoint, line...)
	r.Witnesses = append(r.Witnesses, witnessKey(t, name, seed))
}

func sampleCosigned(t testing.TB) *Receipt {
	t.Helper()
	r := sample(t, 5, 11)
	cosign(t, r, "witness.example/w1", 11)
	cosign(t, r, "witness.example/w2", 12)
	return r
}

func TestCosignedReceipt(t *testing.T) {
	s := sampleCosigned(t)
	got := s.Marshal()
	file := filepath.Join("testdata", "cosigned.json")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the receipt differs from %s (%v):\n%s", file, err, got)
	}
	if canonical, err := jcs.Transform(got); err != nil || !bytes.Equal(canonical, got) {
		t.Errorf("the receipt is not RFC 8785: %v\n%s", err, canonical)
	}
	r, err := Verify(got, "")
	if err != nil || !r.Valid {
		t.Fatalf("Verify = %+v, %v", r, err)
	}
	if len(r.Cosignatures) != 2 || r.Cosignatures[1] != (Cosignature{s.Witnesses[1], "witness.example/w2", cosignedAt}) {
		t.Errorf("cosignatures %+v", r.Cosignatures)
	}
}

func TestNoByteOfACosignedReceiptCanChange(t *testing.T) {
	good := sampleCosigned(t).Marshal()
	for at := range good {
		for _, b := range []byte{0, '\n', '"', '0', 'A', '+', '=', good[at] ^ 1, good[at] ^ 0x20, good[at] ^ 0x80} {
			bad := bytes.Clone(good)
			bad[at] = b
			if r, err := Verify(bad, ""); !bytes.Equal(bad, good) && err == nil && r.Valid {
				t.Errorf("byte %d (%q) as %q: still valid", at, good[at], b)
			}
		}
		if r, err := Verify(append(bytes.Clone(good[:at]), good[at+1:]...), ""); err == nil && r.Valid {
			t.Errorf("byte %d (%q) removed: still valid", at, good[at])
		}
	}
}

func TestCosignedReceiptRefuses(t *testing.T) {
	for name, change := range map[string]func(*Receipt){
		"a witness that did not cosign":  func(r *Receipt) { r.Witnesses[1] = witnessKey(t, "witness.example/w2", 13) },
		"a cosignature without its key":  func(r *Receipt) { r.Witnesses = r.Witnesses[:1] },
		"a key without its cosignature":  func(r *Receipt) { r.Witnesses = append(r.Witnesses, witnessKey(t, "w3", 13)) },
		"witnesses in another order":     func(r *Receipt) { r.Witnesses[0], r.Witnesses[1] = r.Witnesses[1], r.Witnesses[0] },
		"the same witness twice":         func(r *Receipt) { cosign(t, r, "witness.example/w1", 11) },
		"a log's key as that of witness": func(r *Receipt) { r.Witnesses[0] = r.Key },
		"no witness at all":              func(r *Receipt) { r.Witnesses = nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := sampleCosigned(t)
			change(s)
			if r, err := Verify(s.Marshal(), ""); err != nil || r.Valid {
				t.Errorf("Verify = %+v, %v; want not valid", r, err)
			}
		})
	}
}

// What we cosign, an independent implementation of tlog-cosignature verifies,
// and the other way round.
func TestCosignaturesOfOthers(t *testing.T) {
	s := sampleCosigned(t)
	vkey := witnessKey(t, "witness.example/w1", 11)
	theirs, err := fnote.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(s.Checkpoint, note.VerifierList(theirs))
	if err != nil || len(n.Sigs) != 1 {
		t.Fatalf("transparency-dev/formats does not verify our cosignature: %v", err)
	}
	if at, err := fnote.CoSigV1Timestamp(n.Sigs[0]); err != nil || !at.Equal(cosignedAt) {
		t.Errorf("they read the time %v, %v", at, err)
	}
	ours, err := NewWitnessVerifier(vkey)
	if err != nil || ours.KeyHash() != theirs.KeyHash() || ours.Name() != theirs.Name() {
		t.Fatalf("the keys differ: %v", err)
	}
	private, _, err := note.GenerateKey(nil, "witness.example/theirs")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := fnote.NewSignerForCosignatureV1(private)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: n.Text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(signer.Verifier())); err != nil {
		t.Fatal(err)
	}
}

func TestPolicy(t *testing.T) {
	s := sampleCosigned(t)
	log := "log " + s.Key + "\n"
	w := func(n int) string {
		return fmt.Sprintf("witness w%d %s https://w%d.example\n", n, witnessKey(t, fmt.Sprintf("witness.example/w%d", n), byte(10+n)), n)
	}
	all := w(1) + w(2) + w(3)
	for name, c := range map[string]struct {
		policy  string
		met     bool
		trusted bool
	}{
		"no witness":                   {log + "quorum none\n", true, true},
		"no log either":                {"quorum none", true, false},
		"one witness":                  {log + all + "quorum w2\n", true, true},
		"one that was silent":          {log + all + "quorum w3\n", false, false},
		"2 of 3":                       {log + all + "group g 2 w1 w2 w3\nquorum g\n", true, true},
		"any":                          {log + all + "group g any w3 w1\nquorum g\n", true, true},
		"all":                          {log + all + "group g all w1 w2 w3\nquorum g\n", false, false},
		"groups of groups":             {"# ours\n\n \tlog\t" + s.Key + "\n" + all + "group a all w1 w2\ngroup b any w3\ngroup g 1 a b\nquorum g", true, true},
		"another log":                  {"log " + logKey(t, "other.example/log/k7m2p9", 3) + "\nquorum none\n", false, false},
		"a witness of another kind":    {log + w(1) + "witness pq pq.example+12345678+BgAA\nquorum w1\n", true, true},
		"a quorum of a kind not known": {log + "witness pq pq.example+12345678+BgAA\nquorum pq\n", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ParsePolicy([]byte(c.policy))
			if err != nil {
				t.Fatal(err)
			}
			r, err := VerifyPolicy(s.Marshal(), "", p)
			if err != nil || r.Valid != c.met || r.PolicyMet != c.met || r.KeyTrusted != c.trusted {
				t.Errorf("VerifyPolicy = %+v, %v; want met %v, trusted %v", r, err, c.met, c.trusted)
			}
		})
	}
	p, err := ParsePolicy([]byte(log + all + "quorum w1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := VerifyPolicy(sample(t, 5, 11).Marshal(), "", p); err != nil || r.Valid || !strings.Contains(r.Failure(), "nobody") {
		t.Errorf("a receipt from before the witnesses meets their policy: %+v, %v", r, err)
	}
}

func logKey(t testing.TB, name string, seed byte) string {
	t.Helper()
	key, err := VerifierKey(name, testKey(seed).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestPolicyRefuses(t *testing.T) {
	w1, w2 := "witness a "+witnessKey(t, "a.example", 11)+"\n", "witness b "+witnessKey(t, "b.example", 12)+"\n"
	for name, text := range map[string]string{
		"nothing":               "",
		"no quorum":             w1,
		"two quorums":           w1 + "quorum a\nquorum a\n",
		"an unknown quorum":     "quorum a\n" + w1,
		"an unknown member":     w1 + "group g any a b\nquorum g\n",
		"a member twice":        w1 + "group g 2 a a\nquorum g\n",
		"a member of two":       w1 + w2 + "group g any a\ngroup h any a b\nquorum h\n",
		"none as a name":        "witness none " + witnessKey(t, "a.example", 11) + "\nquorum none\n",
		"none as a member":      w1 + "group g any none\nquorum g\n",
		"too many":              w1 + w2 + "group g 3 a b\nquorum g\n",
		"zero":                  w1 + w2 + "group g 0 a b\nquorum g\n",
		"a number with a plus":  w1 + w2 + "group g +1 a b\nquorum g\n",
		"an empty group":        w1 + "group g any\nquorum g\n",
		"a name twice":          w1 + "witness a " + witnessKey(t, "b.example", 12) + "\nquorum a\n",
		"a key twice":           w1 + "witness b " + witnessKey(t, "b.example", 11) + "\nquorum a\n",
		"a log's key":           "witness a " + logKey(t, "a.example", 11) + "\nquorum a\n",
		"a witness's key":       "log " + witnessKey(t, "a.example", 11) + "\nquorum none\n",
		"a log twice":           "log " + logKey(t, "a", 1) + "\nlog " + logKey(t, "b", 1) + "\nquorum none\n",
		"a control character":   "quorum none\r\n",
		"another word":          "quorum none\nlogs x\n",
		"a key without a value": "witness a b\nquorum a\n",
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := ParsePolicy([]byte(text)); !errors.Is(err, ErrPolicy) {
				t.Errorf("ParsePolicy = %+v, %v; want ErrPolicy", p, err)
			}
		})
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte("log " + logKey(f, "a.example/log/x", 1) + "\nwitness a " + witnessKey(f, "a", 2) + "\ngroup g all a\nquorum g\n"))
	f.Add([]byte("# nothing\nquorum none"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePolicy(data)
		if err != nil {
			if !errors.Is(err, ErrPolicy) {
				t.Error(err)
			}
			return
		}
		if _, met, sentence := p.judge("nobody", nil); sentence == "" || met && (len(p.logs) > 0 || p.quorum != nil) {
			t.Errorf("met %v: %q", met, sentence)
		}
	})
}

func FuzzOpenCosigned(f *testing.F) {
	s := sampleCosigned(f)
	f.Add(s.Checkpoint)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := OpenCosigned(data, s.Key, s.Witnesses); err == nil && !bytes.Equal(data, s.Checkpoint) {
			t.Errorf("another form of the same checkpoint: %q", data)
		}
	})
}
