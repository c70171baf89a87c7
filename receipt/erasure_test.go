package receipt

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/gowebpki/jcs"
	"golang.org/x/mod/sumdb/tlog"
)

func sampleStatement(erased ...[2]int64) *Statement {
	s := &Statement{Erased: erased, Kind: StatementKind, Reason: "retention", Rule: "eu: 24 months", Site: "k7m2p9", Time: "2026-11-30T14:30:00.042Z"}
	for _, r := range erased {
		s.Count += r[1] - r[0] + 1
	}
	return s
}

// sampleCertificate is that of two acts, at 5 and 9, in a log of eleven leaves.
func sampleCertificate(t testing.TB) *Certificate {
	t.Helper()
	c := new(Certificate)
	const origin = "consent.shop.example/log/k7m2p9"
	acts := map[int64]*Statement{5: sampleStatement([2]int64{0, 2}, [2]int64{4, 4}), 9: sampleStatement([2]int64{7, 8})}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(at))
		for i, n := range at {
			list[i] = stored[n]
		}
		return list, nil
	})
	for i := range int64(11) {
		leaf := Commit([]byte{byte(i)}, []byte("a record"))
		if s := acts[i]; s != nil {
			a := Act{Index: i, Salt: bytes.Repeat([]byte{byte(i)}, SaltSize), Statement: s.Canonical()}
			leaf = Commit(a.Salt, a.Statement)
			c.Acts = append(c.Acts, a)
		}
		hashes, err := tlog.StoredHashes(i, leaf[:], reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(11, reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Acts {
		if c.Acts[i].Proof, err = tlog.ProveRecord(11, c.Acts[i].Index, reader); err != nil {
			t.Fatal(err)
		}
	}
	if c.Checkpoint, err = (Checkpoint{origin, 11, root}).Sign(testKey(1)); err != nil {
		t.Fatal(err)
	}
	if c.Key, err = VerifierKey(origin, testKey(1).Public().(ed25519.PublicKey)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificateGolden(t *testing.T) {
	want := golden(t, "certificate.json", sampleCertificate(t).Marshal())
	r, err := VerifyCertificate(want, sampleCertificate(t).Key)
	if err != nil || !r.Valid || !r.KeyTrusted || r.Erased != 6 || len(r.Statements) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Every byte of a certificate is authenticated.
func TestNoByteOfACertificateCanChange(t *testing.T) {
	good := sampleCertificate(t).Marshal()
	for i := range good {
		for _, bit := range []byte{1, 32} {
			bad := bytes.Clone(good)
			bad[i] ^= bit
			if r, err := VerifyCertificate(bad, ""); err == nil && r.Valid {
				t.Fatalf("valid with byte %d changed: %s", i, bad)
			}
		}
	}
}

func TestCertificatesThatAreNotValid(t *testing.T) {
	for name, c := range map[string]struct {
		change func(c *Certificate)
		want   string // step
	}{
		"no act":                  {func(c *Certificate) { c.Acts = nil }, "form"},
		"acts in another order":   {func(c *Certificate) { c.Acts[0], c.Acts[1] = c.Acts[1], c.Acts[0] }, "form"},
		"an act twice":            {func(c *Certificate) { c.Acts[1] = c.Acts[0] }, "form"},
		"another salt":            {func(c *Certificate) { c.Acts[0].Salt = bytes.Repeat([]byte{1}, SaltSize) }, "inclusion"},
		"a short salt":            {func(c *Certificate) { c.Acts[0].Salt = []byte{1} }, "form"},
		"another statement":       {func(c *Certificate) { c.Acts[0].Statement = sampleStatement([2]int64{0, 3}).Canonical() }, "inclusion"},
		"records of the future":   {func(c *Certificate) { c.Acts[0].Statement = sampleStatement([2]int64{5, 6}).Canonical() }, "inclusion"},
		"another index":           {func(c *Certificate) { c.Acts[1].Index = 10 }, "inclusion"},
		"an index beyond the log": {func(c *Certificate) { c.Acts[1].Index = 11 }, "inclusion"},
		"a statement of nothing":  {func(c *Certificate) { c.Acts[0].Statement = sampleStatement().Canonical() }, "form"},
		"ranges that touch": {func(c *Certificate) {
			c.Acts[0].Statement = sampleStatement([2]int64{0, 1}, [2]int64{2, 2}).Canonical()
		}, "form"},
		"another site": {func(c *Certificate) {
			s := sampleStatement([2]int64{0, 0})
			s.Site = "other"
			c.Acts[0].Statement = s.Canonical()
		}, "site"},
		"a wrong count": {func(c *Certificate) {
			s := sampleStatement([2]int64{0, 0})
			s.Count = 7
			c.Acts[0].Statement = s.Canonical()
		}, "form"},
		"another key": {func(c *Certificate) {
			c.Key, _ = VerifierKey("consent.shop.example/log/k7m2p9", testKey(2).Public().(ed25519.PublicKey))
		}, "checkpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := sampleCertificate(t)
			c.change(bad)
			r, err := VerifyCertificate(bad.Marshal(), "")
			if err != nil || r.Valid || r.Steps[len(r.Steps)-1].Name != c.want {
				t.Errorf("%+v, %v; want the step %s to fail", r, err, c.want)
			}
		})
	}
	other, _ := VerifierKey("x", testKey(2).Public().(ed25519.PublicKey))
	if r, err := VerifyCertificate(sampleCertificate(t).Marshal(), other); err != nil || r.Valid || r.Steps[len(r.Steps)-1].Name != "trust" {
		t.Errorf("a key that is not trusted: %+v, %v", r, err)
	}
	if _, err := VerifyCertificate(sample(t, 5, 11).Marshal(), ""); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a receipt: %v", err)
	}
	for _, text := range []string{`{}`, `{"kind":"erasure"}`, strings.Replace(string(sampleStatement([2]int64{1, 2}).Canonical()), `"count":2`, `"count":2,"count":2`, 1)} {
		if s, err := ParseStatement([]byte(text)); err == nil {
			t.Errorf("%s was read as %+v", text, s)
		}
	}
}

func FuzzVerifyCertificate(f *testing.F) {
	good := sampleCertificate(f)
	f.Add(good.Marshal())
	f.Add([]byte(`{"acts":[],"checkpoint":"","key":"a+b+c","type":"assent/deletion-certificate/v1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := VerifyCertificate(data, good.Key)
		if err == nil && r.Valid && !bytes.Equal(data, good.Marshal()) && r.Erased != 4 && r.Erased != 2 { // a part of the acts is a certificate too
			t.Fatalf("a certificate that nobody signed is valid: %s", data)
		}
	})
}

func FuzzParseStatement(f *testing.F) {
	f.Add(sampleStatement([2]int64{0, 2}, [2]int64{4, 4}).Canonical())
	f.Add([]byte(`{"count":1,"erased":[[-1,9007199254740993]],"kind":"erasure"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseStatement(data)
		if err != nil {
			return
		}
		if canonical, err := jcs.Transform(data); err != nil || !bytes.Equal(canonical, data) {
			t.Fatalf("not canonical: %s", data)
		}
		if s.Count <= 0 || len(s.Erased) == 0 {
			t.Fatalf("%+v", s)
		}
	})
}
