package account

import (
	"context"
	"strings"
	"testing"
)

func TestPHCRoundTrip(t *testing.T) {
	h := newHasher()
	stored, err := h.hash(context.Background(), "plum kettle orbit")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("stored = %s", stored)
	}
	for password, want := range map[string]bool{"plum kettle orbit": true, "plum kettle orbix": false, "": false} {
		if ok, err := h.matches(context.Background(), stored, password); ok != want || err != nil {
			t.Errorf("matches(%q) = %v, %v", password, ok, err)
		}
	}
	if ok, err := h.matches(context.Background(), "", "anything"); ok || err != nil {
		t.Errorf("nobody's password matched: %v, %v", ok, err)
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U")
	f.Add("$argon2id$v=19$m=4294967295,t=0,p=0$$")
	f.Add("$argon2i$v=19$m=1,t=1,p=1$AA$AA")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err == nil && (p.time < 1 || p.threads < 1 || p.memory > 1<<20 || len(p.key) < 16) {
			t.Fatalf("accepted %+v", p)
		}
	})
}
