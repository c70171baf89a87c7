package account_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"assent/internal/account"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

func TestCommonPasswordsAreRefused(t *testing.T) {
	for _, bad := range []string{"password1234", "Password 2024!", "qwertyuiop12", "123456789012", "abcdefghijkl", "iloveyou2026!!", "dragondragon", "111-monkey-111", "123456123456", "Liverpool-1892"} {
		if err := account.CheckPassword(bad, "ann@shop.example"); fault.KindOf(err) != fault.Unprocessed {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{"plum kettle orbit", "violet anchor sunday", "Zq7#vLm2!pXe", "correct pony batteries tack", "kohv ja lumi 1937"} {
		if err := account.CheckPassword(good, "ann@shop.example"); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	wrong := 0
	for i := range 20_000 {
		sum := sha1.Sum([]byte(fmt.Sprint("seed", i)))
		if account.CheckPassword("x "+hex.EncodeToString(sum[:8]), "ann@shop.example") != nil {
			wrong++
		}
	}
	if wrong > 40 {
		t.Errorf("%d of 20,000 passwords that nobody uses are refused", wrong)
	}
}

func TestOwnListOfBreachedPasswords(t *testing.T) {
	var lines, words []string
	for i := range 500 {
		word := fmt.Sprint("a leaked sentence ", i)
		words = append(words, word)
		sum := sha1.Sum([]byte(word))
		lines = append(lines, strings.ToUpper(hex.EncodeToString(sum[:]))+fmt.Sprint(":", i*i))
	}
	slices.Sort(lines)
	dir := t.TempDir()
	for name, text := range map[string]string{"windows": strings.Join(lines, "\r\n") + "\r\n", "unix": strings.Join(lines, "\n"), "one": lines[0] + "\n"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := account.OpenBreached(path)
		if err != nil {
			t.Fatal(name, err)
		}
		found := 0
		for _, word := range words {
			has, err := b.Has(word)
			if err != nil {
				t.Fatal(err)
			}
			if has {
				found++
			}
			if has, err := b.Has(word + "!"); err != nil || has {
				t.Errorf("%s: %q is found, %v", name, word+"!", err)
			}
		}
		if found != map[string]int{"windows": 500, "unix": 500, "one": 1}[name] {
			t.Errorf("%s: %d found", name, found)
		}
	}
	for name, text := range map[string]string{"words": "password\n123456\n", "long": strings.Repeat("x", 5000)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := account.OpenBreached(path); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s is taken: %v", name, err)
		}
	}
	if _, err := account.OpenBreached(filepath.Join(dir, "nothing")); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a file that is not there: %v", err)
	}
	b, err := account.OpenBreached(filepath.Join(dir, "unix"))
	if err != nil {
		t.Fatal(err)
	}
	s := account.NewStore(dbtest.SQLite(t), nil)
	s.UseBreached(b)
	token := must[string](t)(s.SetupLink(context.Background()))
	_, err = s.Setup(context.Background(), token, account.NewMember{Email: ann, Password: words[7]})
	wantField(t, err, "password")
}

func FuzzBreachedList(f *testing.F) {
	f.Add([]byte("0000000000000000000000000000000000000000:1\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		account.OpenBreached(path) // ends, and does not panic
	})
}
