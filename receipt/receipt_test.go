package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gowebpki/jcs"
	"golang.org/x/mod/sumdb/tlog"
)

var update = flag.Bool("update", false, "rewrite golden files")

func testKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

// sample makes the receipt of record index in a log of size records.
func sample(t testing.TB, index, size int64) *Receipt {
	t.Helper()
	return sampleOf(t, sampleRecord(), "consent.shop.example/log/k7m2p9", index, size)
}

func sampleOf(t testing.TB, record *Record, origin string, index, size int64) *Receipt {
	t.Helper()
	r := &Receipt{Index: index, Record: record.Canonical(), Salt: bytes.Repeat([]byte{7}, SaltSize)}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(at))
		for i, n := range at {
			list[i] = stored[n]
		}
		return list, nil
	})
	for i := range size {
		leaf := Commit([]byte{byte(i)}, []byte("another record"))
		if i == index {
			leaf = Commit(r.Salt, r.Record)
		}
		hashes, err := tlog.StoredHashes(i, leaf[:], reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(size, reader)
	if err != nil {
		t.Fatal(err)
	}
	if r.Proof, err = tlog.ProveRecord(size, index, reader); err != nil {
		t.Fatal(err)
	}
	if r.Checkpoint, err = (Checkpoint{origin, size, root}).Sign(testKey(1)); err != nil {
		t.Fatal(err)
	}
	r.Key, err = VerifierKey(origin, testKey(1).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReceiptGolden(t *testing.T) {
	got := sample(t, 5, 11).Marshal()
	golden(t, "receipt.json", got)
}

// golden holds a document against its file in testdata, and returns that. It is
// canonical JSON (RFC 8785).
func golden(t *testing.T, name string, got []byte) (want []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the document differs from %s:\n%s", file, got)
	}
	if canonical, err := jcs.Transform(got); err != nil || !bytes.Equal(canonical, got) {
		t.Errorf("the document is not RFC 8785: %v\n%s", err, canonical)
	}
	return want
}

func TestVerifyAccepts(t *testing.T) {
	for _, c := range []struct{ index, size int64 }{{0, 1}, {0, 2}, {1, 2}, {5, 11}, {255, 256}, {256, 257}, {300, 700}} {
		t.Run(fmt.Sprintf("record %d of %d", c.index, c.size), func(t *testing.T) {
			s := sample(t, c.index, c.size)
			r, err := Verify(s.Marshal(), "")
			if err != nil || !r.Valid || r.KeyTrusted {
				t.Fatalf("Verify = %+v, %v; want valid, and no key trusted", r, err)
			}
			if r.Index != c.index || r.Size != c.size || r.Key != s.Key || r.Origin != "consent.shop.example/log/k7m2p9" ||
				r.Record.Page != "shop.example/grüße" || !bytes.Equal(r.RecordJSON, s.Record) {
				t.Errorf("Verify = %+v, which is not what the receipt says", r)
			}
		})
	}
}

func TestTrustedKey(t *testing.T) {
	s := sample(t, 5, 11)
	key := func(name string, seed byte) string {
		k, err := VerifierKey(name, testKey(seed).Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for name, c := range map[string]struct {
		key   string
		valid bool
	}{
		"the log's own key":                             {s.Key, true},
		"the installation's key, named by another site": {key("consent.shop.example/log/other", 1), true},
		"another key of the same name":                  {key("consent.shop.example/log/k7m2p9", 2), false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Verify(s.Marshal(), c.key)
			if err != nil || r.Valid != c.valid || r.KeyTrusted != c.valid {
				t.Errorf("Verify = %+v, %v; want valid %v", r, err, c.valid)
			}
		})
	}
	for name, key := range map[string]string{
		"words":                   "my key",
		"a wrong hash":            strings.Replace(s.Key, "+", "+0", 1),
		"an upper-case hash":      strings.ToUpper(s.Key),
		"a key with a newline":    s.Key + "\n",
		"a private key by chance": "PRIVATE+KEY+" + s.Key,
	} {
		t.Run("cannot be read: "+name, func(t *testing.T) {
			if r, err := Verify(s.Marshal(), key); !errors.Is(err, ErrTrustedKey) {
				t.Errorf("Verify = %+v, %v; want ErrTrustedKey", r, err)
			}
		})
	}
}

// Every byte of a receipt is authenticated: each is changed to several others,
// removed, and doubled.
func TestNoByteCanChange(t *testing.T) {
	for _, c := range []struct{ index, size int64 }{{0, 1}, {5, 11}} {
		good := sample(t, c.index, c.size).Marshal()
		try := func(what string, at int, bad []byte) {
			if bytes.Equal(bad, good) {
				return
			}
			if r, err := Verify(bad, ""); err == nil && r.Valid {
				t.Errorf("byte %d (%q) %s: still valid", at, good[at], what)
			} else if err == nil && r.Failure() == "" {
				t.Errorf("byte %d (%q) %s: nobody says why", at, good[at], what)
			}
		}
		for at := range good {
			for _, b := range []byte{0, '\n', ' ', '"', '\\', '0', 'A', 'a', '+', '/', '=', 0x7f, 0xff, good[at] ^ 1, good[at] ^ 2, good[at] ^ 0x20, good[at] ^ 0x80, good[at] + 1} {
				bad := bytes.Clone(good)
				bad[at] = b
				try(fmt.Sprintf("as %q", b), at, bad)
			}
			try("removed", at, append(bytes.Clone(good[:at]), good[at+1:]...))
			try("doubled", at, append(bytes.Clone(good[:at+1]), good[at:]...))
			try("and all after it cut", at, bytes.Clone(good[:at]))
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	cut := func(r *Receipt) { r.Proof = r.Proof[:len(r.Proof)-1] }
	resign := func(seed byte, change func(*Checkpoint)) func(*Receipt) {
		return func(r *Receipt) {
			c, err := parseCheckpoint(r.Checkpoint, 0)
			if err != nil {
				panic(err)
			}
			change(&c)
			if r.Checkpoint, err = c.Sign(testKey(seed)); err != nil {
				panic(err)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*Receipt)
		step   string
	}{
		"a proof that is too short":              {cut, "inclusion"},
		"a proof that is too long":               {func(r *Receipt) { r.Proof = append(r.Proof, tlog.Hash{}) }, "inclusion"},
		"another index":                          {func(r *Receipt) { r.Index = 4 }, "inclusion"},
		"an index beyond the tree":               {func(r *Receipt) { r.Index = 11 }, "inclusion"},
		"an index that overflows":                {func(r *Receipt) { r.Index = -1 }, "form"},
		"another salt":                           {func(r *Receipt) { r.Salt = make([]byte, SaltSize) }, "inclusion"},
		"a short salt":                           {func(r *Receipt) { r.Salt = r.Salt[:31] }, "form"},
		"a checkpoint by another key":            {resign(2, func(c *Checkpoint) {}), "checkpoint"},
		"a checkpoint of another log":            {resign(1, func(c *Checkpoint) { c.Origin = "evil.example/log/k7m2p9" }), "checkpoint"},
		"a checkpoint of another size":           {resign(1, func(c *Checkpoint) { c.Size = 17 }), "inclusion"},
		"a checkpoint of an enormous size":       {resign(1, func(c *Checkpoint) { c.Size = maxSize }), "inclusion"},
		"a checkpoint beyond every size":         {resign(1, func(c *Checkpoint) { c.Size = 1<<63 - 1 }), "checkpoint"},
		"a checkpoint of nothing":                {resign(1, func(c *Checkpoint) { c.Size = 0 }), "inclusion"},
		"a checkpoint with an extension line":    {func(r *Receipt) { r.Checkpoint = bytes.Replace(r.Checkpoint, []byte("\n\n"), []byte("\nmore\n\n"), 1) }, "checkpoint"},
		"a checkpoint that is signed twice":      {func(r *Receipt) { r.Checkpoint = twice(r.Checkpoint) }, "checkpoint"},
		"a checkpoint that is cosigned":          {func(r *Receipt) { r.Checkpoint = append(r.Checkpoint, "— w.example AAAAAAAA\n"...) }, "checkpoint"},
		"a checkpoint with a signed extension":   {signExtension, "checkpoint"},
		"no checkpoint":                          {func(r *Receipt) { r.Checkpoint = nil }, "checkpoint"},
		"the key of another name":                {func(r *Receipt) { r.Key = "x" + r.Key }, "key"},
		"a loosely written record":               {func(r *Receipt) { r.Record = bytes.Replace(r.Record, []byte(":"), []byte(": "), 1) }, "form"},
		"a record with an unknown member":        {func(r *Receipt) { r.Record = bytes.Replace(r.Record, []byte("{"), []byte(`{"a":1,`), 1) }, "form"},
		"a record whose choice was turned round": {func(r *Receipt) { r.Record = bytes.Replace(r.Record, []byte("false"), []byte("true"), 1) }, "inclusion"},
	} {
		t.Run(name, func(t *testing.T) {
			s := sample(t, 5, 11)
			c.change(s)
			r, err := Verify(s.Marshal(), "")
			if err != nil || r.Valid {
				t.Fatalf("Verify = %+v, %v; want not valid", r, err)
			}
			if last := r.Steps[len(r.Steps)-1]; last.OK || last.Name != c.step || r.Failure() != last.Detail {
				t.Errorf("the steps are %+v, want the last one to be %s, failed", r.Steps, c.step)
			}
		})
	}
}

func twice(checkpoint []byte) []byte {
	_, signature, _ := bytes.Cut(checkpoint, []byte("\n\n"))
	return append(bytes.Clone(checkpoint), signature...)
}

// signExtension gives the checkpoint an extension line under a good signature.
func signExtension(r *Receipt) {
	text, _, _ := bytes.Cut(r.Checkpoint, []byte("\n\n"))
	origin, _, _ := strings.Cut(r.Key, "+")
	signed, err := signNote(string(text)+"\nextension\n", origin, testKey(1))
	if err != nil {
		panic(err)
	}
	r.Checkpoint = signed
}

func TestRecordOfAnotherSite(t *testing.T) {
	for name, c := range map[string]struct{ site, origin string }{
		"another site":                 {"other", "consent.shop.example/log/k7m2p9"},
		"no site":                      {"", "consent.shop.example/log/"},
		"a site that spans the origin": {"log/k7m2p9", "consent.shop.example/log/log/k7m2p9"},
		"a longer site key":            {"p9", "consent.shop.example/log/k7m2p9"},
		"an origin without /log/":      {"k7m2p9", "consent.shop.example/k7m2p9"},
	} {
		t.Run(name, func(t *testing.T) {
			record := sampleRecord()
			record.Site = c.site
			r, err := Verify(sampleOf(t, record, c.origin, 5, 11).Marshal(), "")
			if err != nil || r.Valid || r.Steps[len(r.Steps)-1].Name != "site" {
				t.Errorf("Verify = %+v, %v; want not valid for the site", r, err)
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	good := string(sample(t, 5, 11).Marshal())
	for name, input := range map[string]string{
		"nothing":                "",
		"words":                  "hello",
		"an array":               "[1]",
		"JSON of another type":   `{"type":"assent/record/v1"}`,
		"JSON without a type":    `{}`,
		"a receipt that was cut": good[:len(good)-1],
		"a picture":              "\x89PNG\r\n\x1a\n",
		"a very large file":      strings.Repeat(" ", maxReceipt) + good,
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := Verify([]byte(input), ""); !errors.Is(err, ErrUnreadable) {
				t.Errorf("Verify = %+v, %v; want ErrUnreadable", r, err)
			}
		})
	}
}

func TestReformattedReceiptIsNotValid(t *testing.T) {
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, sample(t, 5, 11).Marshal(), "", "  "); err != nil {
		t.Fatal(err)
	}
	r, err := Verify(pretty.Bytes(), "")
	if err != nil || r.Valid || !strings.Contains(r.Failure(), "reformatted") {
		t.Errorf("Verify = %+v, %v; want a sentence about the form", r, err)
	}
}

func FuzzVerify(f *testing.F) {
	good := sample(f, 5, 11)
	f.Add(good.Marshal())
	f.Add(sample(f, 0, 1).Marshal())
	f.Add([]byte(`{"key":"a+b+c","proof":"c2sp.org/tlog-proof@v1\nindex 0\n\n","type":"assent/receipt/v1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Verify(data, good.Key)
		if err != nil || !r.Valid {
			return
		}
		if r.RecordJSON == nil || !bytes.Equal(r.Record.Canonical(), good.Record) {
			t.Fatalf("a receipt that nobody signed is valid: %s", data)
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	good := sample(f, 5, 11)
	f.Add(good.Checkpoint)
	f.Add(twice(good.Checkpoint))
	f.Add([]byte("a\n01\nAAAA\n\n— a AAAA\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := parseCheckpoint(data, 0); err == nil && (c.Size < 0 || c.Origin == "") {
			t.Fatalf("parsed %q as %+v", data, c)
		}
		if c, err := OpenCheckpoint(data, good.Key); err == nil && !bytes.Equal(data, good.Checkpoint) && c.Size != 1 {
			t.Fatalf("a checkpoint that nobody signed holds: %q", data)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	data := sample(b, 5, 1100).Marshal()
	b.ReportAllocs()
	for b.Loop() {
		if r, err := Verify(data, ""); err != nil || !r.Valid {
			b.Fatal(r, err)
		}
	}
}
