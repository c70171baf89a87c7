package receipt

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

// FuzzCommit: a commitment is HMAC-SHA256 (RFC 2104), whatever the salt and the record.
func FuzzCommit(f *testing.F) {
	f.Add([]byte("salt"), []byte("record"))
	f.Add(bytes.Repeat([]byte{1}, SaltSize), bytes.Repeat([]byte{2}, 600))
	f.Add(bytes.Repeat([]byte{1}, 64), []byte{})
	f.Add(bytes.Repeat([]byte{1}, 65), []byte{3})
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, salt, record []byte) {
		mac := hmac.New(sha256.New, salt)
		mac.Write(record)
		if got := Commit(salt, record); !bytes.Equal(got[:], mac.Sum(nil)) {
			t.Fatalf("salt %x, record %x: %x", salt, record, got)
		}
	})
}

func BenchmarkCommit(b *testing.B) {
	salt, record := bytes.Repeat([]byte{1}, SaltSize), bytes.Repeat([]byte{2}, 600)
	b.ReportAllocs()
	for b.Loop() {
		Commit(salt, record)
	}
}

func BenchmarkParse(b *testing.B) {
	r := Record{Type: RecordType, Categories: map[string]bool{"functional": true, "analytics": true, "advertising": false},
		Services: map[string]bool{"example-functional": true, "example-analytics": true, "example-advertising": false},
		Page:     "shop.example/products/blue-kettle", Network: "198.51.100.0/24", RecordID: "0190f5fe-7c00-7a00-8000-0123456789ab", ConsentID: "7d444840-9dc0-41d2-a72e-0f6e4f5f0d11",
		Version: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Time: "2026-03-01T12:00:00.005Z", Action: "accept_all", Status: "accepted_all"}
	data := r.Canonical()
	var into Record
	b.ReportAllocs()
	for b.Loop() {
		if err := into.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
