package account

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

// The vectors of RFC 6238, appendix B, for SHA-1.
func TestTOTPVectors(t *testing.T) {
	secret := []byte("12345678901234567890")
	for at, want := range map[int64]string{59: "94287082", 1111111109: "07081804", 1111111111: "14050471",
		1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130"} {
		if got := totp(secret, at/30, 8); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
		if got := totp(secret, at/30, totpDigits); got != want[2:] {
			t.Errorf("at %d: %s, want %s", at, got, want[2:])
		}
	}
}

func TestTOTPWindow(t *testing.T) {
	secret, at := []byte("12345678901234567890"), time.Unix(1111111111, 0)
	step := at.Unix() / 30
	for off := int64(-3); off <= 3; off++ {
		got := totpStepOf(secret, totp(secret, step+off, totpDigits), at, 0)
		if want := off >= -1 && off <= 1; (got == step+off) != want {
			t.Errorf("a code of %d steps away is taken: %v", off, !want)
		}
	}
	if totpStepOf(secret, totp(secret, step, totpDigits), at, step) != 0 {
		t.Error("a code is taken twice")
	}
	if totpStepOf(secret, "", at, 0) != 0 || totpStepOf(secret, "000000 ", at, 0) != 0 {
		t.Error("something else than a code is taken")
	}
}

func TestSecondFactor(t *testing.T) {
	const password = "plum kettle orbit"
	ctx := context.Background()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		s := NewStore(d, func() time.Time { return now })
		fatal := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		link, err := s.SetupLink(ctx)
		fatal(err)
		m, err := s.Setup(ctx, link, NewMember{Email: "ann@shop.example", Password: password})
		fatal(err)
		fatal(s.StartSecondFactor(ctx, m.ID))
		f, err := s.SecondFactor(ctx, m.ID)
		fatal(err)
		key, err := base32Plain.DecodeString(f.Secret)
		fatal(err)
		code := func() string { return totp(key, now.Unix()/30, totpDigits) }
		if f.On || !strings.Contains(f.URL("ann@shop.example"), "secret="+f.Secret) {
			t.Errorf("factor = %+v, %s", f, f.URL("ann@shop.example"))
		}
		if _, _, err := s.SignIn(ctx, "ann@shop.example", password); err != nil {
			t.Errorf("an unconfirmed factor is asked for: %v", err)
		}
		if _, err := s.ConfirmSecondFactor(ctx, m.ID, "00 00"); fault.KindOf(err) != fault.Unprocessed {
			t.Errorf("confirmed by a wrong code: %v", err)
		}
		recovery, err := s.ConfirmSecondFactor(ctx, m.ID, code()[:3]+" "+code()[3:])
		fatal(err)
		if len(recovery) != recoveryCodes {
			t.Fatalf("recovery = %q", recovery)
		}

		enter := func(code string) (session string, err error) {
			step, _, err := s.SignIn(ctx, "ann@shop.example", password)
			if !errors.Is(err, ErrCodeWanted) {
				t.Fatalf("the password alone: %v", err)
			}
			if _, err := s.Session(ctx, step); !errors.Is(err, ErrSignedOut) {
				t.Fatal("the password alone opened a session")
			}
			session, _, err = s.FinishSignIn(ctx, step, code)
			return session, err
		}
		if _, err := enter(code()); fault.KindOf(err) != fault.Unauthorized {
			t.Errorf("the code that confirmed it is taken again: %v", err)
		}
		now = now.Add(30 * time.Second)
		session, err := enter(code())
		fatal(err)
		if _, err := s.Session(ctx, session); err != nil {
			t.Error(err)
		}
		if _, err := enter(code()); fault.KindOf(err) != fault.Unauthorized {
			t.Errorf("a code is taken twice: %v", err)
		}
		if _, err := enter(strings.ToUpper(recovery[3])); err != nil {
			t.Errorf("a recovery code: %v", err)
		}
		if _, err := enter(recovery[3]); fault.KindOf(err) != fault.Unauthorized {
			t.Errorf("a recovery code is taken twice: %v", err)
		}
		if f, err = s.SecondFactor(ctx, m.ID); err != nil || !f.On || f.Codes != recoveryCodes-1 || f.Secret != "" {
			t.Errorf("factor = %+v, %v", f, err)
		}
		if fault.KindOf(s.StartSecondFactor(ctx, m.ID)) != fault.Conflict {
			t.Error("a second factor that is on is replaced")
		}

		step, _, _ := s.SignIn(ctx, "ann@shop.example", password)
		now = now.Add(stepLifetime)
		if _, _, err := s.FinishSignIn(ctx, step, code()); fault.KindOf(err) != fault.Unauthorized {
			t.Errorf("a step that is over: %v", err)
		}
		fatal(s.Prove(ctx, session, code()))
		fatal(s.DropSecondFactor(ctx, m.ID, ""))
		if _, _, err := s.SignIn(ctx, "ann@shop.example", password); err != nil {
			t.Error(err)
		}
	})
}

func FuzzPlainCode(f *testing.F) {
	f.Add("123 456")
	f.Add("abcd-EFGH-ijkl-mnop")
	f.Fuzz(func(t *testing.T, typed string) {
		if code := plainCode(typed); strings.ContainsAny(code, " -") || plainCode(code) != code {
			t.Fatalf("plainCode(%q) = %q", typed, code)
		}
	})
}
