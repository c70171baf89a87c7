package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
)

func closingKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))
}

func aClosing() *Closing {
	return &Closing{Kind: ClosedOrganisation, ID: "k3q7zxw2abcd", Asked: "2026-10-01T10:00:00.000Z", Closed: "2026-11-01T10:00:00.000Z", Accounts: 2,
		Sites: []ClosedSite{{Site: "abcdef", Origin: "consent.example/log/abcdef", Size: 5, Records: 3, Root: base64.StdEncoding.EncodeToString(make([]byte, 32)),
			Files: []ClosedFile{{"deletion-abcdef-1.json", strings.Repeat("0a", 32)}}}}}
}

func TestClosingCertificateVerifies(t *testing.T) {
	data, err := aClosing().Certificate("consent.example", closingKey(1))
	if err != nil {
		t.Fatal(err)
	}
	if !IsClosing(data) || IsCertificate(data) {
		t.Error("it is not told apart")
	}
	r, err := VerifyClosing(data, Trust{})
	if err != nil || !r.Valid || r.KeyTrusted || string(r.Closing.Canonical()) != string(aClosing().Canonical()) {
		t.Fatalf("%+v, %v", r, err)
	}
	own, _ := VerifierKey("consent.example/log/abcdef", closingKey(1).Public().(ed25519.PublicKey))
	other, _ := VerifierKey("consent.example/log/abcdef", closingKey(2).Public().(ed25519.PublicKey))
	if r, err := VerifyClosing(data, Trust{Key: own}); err != nil || !r.Valid || !r.KeyTrusted {
		t.Errorf("with the key of a log: %+v, %v", r, err)
	}
	if r, err := VerifyClosing(data, Trust{Key: other}); err != nil || r.Valid {
		t.Errorf("with another key: %+v, %v", r, err)
	}
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if r, err := VerifyClosing(changed, Trust{Key: own}); err == nil && r.Valid {
			t.Fatalf("a change of byte %d (%q) is not noticed", i, data[i])
		}
	}
	if bad := (&Closing{Kind: "site"}); bad.check() == nil {
		t.Error("a kind that there is none of is signed")
	}
}

func FuzzVerifyClosing(f *testing.F) {
	data, err := aClosing().Certificate("consent.example", closingKey(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"type":"` + ClosingType + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := VerifyClosing(data, Trust{})
		if err == nil && r.Valid && !IsClosing(data) {
			t.Error("valid, and not a closing certificate")
		}
	})
}
