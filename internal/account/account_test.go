package account_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"assent/internal/account"
	"assent/internal/audit"
	"assent/internal/audit/audittest"
	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

const (
	ann      = "ann@shop.example"
	goodWord = "plum kettle orbit"
)

// clock is a time that tests move by hand.
type clock struct {
	mu sync.Mutex
	at time.Time

	audit *audit.Store // of the store that the clock is for
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// each runs fn with a fresh store on both engines.
func each(t *testing.T, fn func(t *testing.T, s *account.Store, c *clock)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := newClock()
		c.audit = audittest.New(t, d, c.now)
		fn(t, account.NewStore(d, c.now), c)
	})
}

// entries are those of an organisation's audit log, newest first.
func (c *clock) entries(t *testing.T, organisation string) []audit.Entry {
	t.Helper()
	return must[[]audit.Entry](t)(c.audit.Search(context.Background(), audit.Query{Organisation: organisation, Limit: 100}))
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Fatalf("error = %v (kind %d), want kind %d", err, fault.KindOf(err), kind)
	}
}

func setUp(t *testing.T, s *account.Store) *account.Member {
	t.Helper()
	token := must[string](t)(s.SetupLink(context.Background()))
	return must[*account.Member](t)(s.Setup(context.Background(), token, account.NewMember{Email: ann, Name: "Ann", Password: goodWord}))
}

func TestSetupLinkWorksOnce(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		replaced := must[string](t)(s.SetupLink(ctx))
		token := must[string](t)(s.SetupLink(ctx))
		_, err := s.Setup(ctx, replaced, account.NewMember{Email: ann, Password: goodWord})
		wantKind(t, err, fault.NotFound)

		m := must[*account.Member](t)(s.Setup(ctx, token, account.NewMember{Email: " Ann@Shop.example ", Name: "Ann", Password: goodWord}))
		if m.Email != ann || m.Name != "Ann" || !m.Ready {
			t.Fatalf("member = %+v", m)
		}
		_, err = s.Setup(ctx, token, account.NewMember{Email: "eve@shop.example", Password: goodWord})
		wantKind(t, err, fault.NotFound)
		if again := must[string](t)(s.SetupLink(ctx)); again != "" {
			t.Fatal("a set-up link was made although there is a member")
		}
		if list := must[[]account.Member](t)(s.Members(ctx)); len(list) != 1 || list[0].ID != m.ID {
			t.Fatalf("members = %+v", list)
		}
	})
}

func TestSetupLinkExpires(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		token := must[string](t)(s.SetupLink(ctx))
		c.pass(account.LinkLifetime - time.Second)
		if _, err := s.Link(ctx, token); err != nil {
			t.Fatalf("one second before the end: %v", err)
		}
		c.pass(time.Second)
		_, err := s.Link(ctx, token)
		wantKind(t, err, fault.NotFound)
		_, err = s.Setup(ctx, token, account.NewMember{Email: ann, Password: goodWord})
		wantKind(t, err, fault.NotFound)
	})
}

func TestSetupLinkIsUselessOnceThereIsAMember(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		token := must[string](t)(s.SetupLink(ctx))
		must[*account.Member](t)(s.AddMember(ctx, ann, "Ann", ""))
		_, err := s.Setup(ctx, token, account.NewMember{Email: "eve@shop.example", Password: goodWord})
		wantKind(t, err, fault.NotFound)
	})
}

func TestOnlyOneOfManyUsesTheLink(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		token := must[string](t)(s.SetupLink(ctx))
		var wg sync.WaitGroup
		results := make([]error, 6)
		for i := range results {
			wg.Go(func() {
				_, results[i] = s.Setup(ctx, token, account.NewMember{Email: string(rune('a'+i)) + "@shop.example", Password: goodWord})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			}
		}
		if list := must[[]account.Member](t)(s.Members(ctx)); won != 1 || len(list) != 1 {
			t.Fatalf("%d set-ups succeeded, %d members; want one", won, len(list))
		}
	})
}

func TestSignIn(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		setUp(t, s)
		must[*account.Member](t)(s.AddMember(ctx, "new@shop.example", "", ""))
		for name, try := range map[string][2]string{
			"a wrong password":                 {ann, "plum kettle orbix"},
			"an unknown address":               {"eve@shop.example", goodWord},
			"no address at all":                {"", goodWord},
			"a member without a password":      {"new@shop.example", ""},
			"a password of a megabyte":         {ann, strings.Repeat("x", 1<<20)},
			"the right one and something more": {ann, goodWord + " "},
		} {
			_, _, err := s.SignIn(ctx, try[0], try[1])
			wantKind(t, err, fault.Unauthorized)
			if !strings.Contains(err.Error(), "The e-mail address or the password is not right") {
				t.Errorf("%s: %v; the sentence must not differ", name, err)
			}
		}
		token, m, err := s.SignIn(ctx, "ANN@shop.example", goodWord)
		if err != nil || m.Email != ann {
			t.Fatal(m, err)
		}
		session := must[*account.Session](t)(s.Session(ctx, token))
		if session.Member.Email != ann {
			t.Fatalf("session = %+v", session)
		}
		if err := s.SignOut(ctx, token); err != nil {
			t.Fatal(err)
		}
		_, err = s.Session(ctx, token)
		wantKind(t, err, fault.Unauthorized)
		_, err = s.Session(ctx, "")
		wantKind(t, err, fault.Unauthorized)
	})
}

func TestSessionEnds(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		setUp(t, s)
		open := func() string {
			token, _, err := s.SignIn(ctx, ann, goodWord)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		idle := open()
		c.pass(account.SessionIdle)
		_, err := s.Session(ctx, idle)
		wantKind(t, err, fault.Unauthorized)

		busy := open()
		const step = 6 * time.Hour // far from idle: only the age ends this one
		for used := time.Duration(0); used < account.SessionMax; used += step {
			if _, err := s.Session(ctx, busy); err != nil {
				t.Fatalf("in use, after %v: %v", used, err)
			}
			c.pass(step)
		}
		_, err = s.Session(ctx, busy)
		wantKind(t, err, fault.Unauthorized)
	})
}

func TestChangePasswordEndsOtherSessions(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		setUp(t, s)
		here, _, _ := s.SignIn(ctx, ann, goodWord)
		there, _, _ := s.SignIn(ctx, ann, goodWord)
		const next = "violet anchor sunday"

		err := s.ChangePassword(ctx, here, "not the present one", next)
		wantField(t, err, "current")
		err = s.ChangePassword(ctx, here, goodWord, "short")
		wantField(t, err, "password")
		if err := s.ChangePassword(ctx, here, goodWord, next); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Session(ctx, here); err != nil {
			t.Fatalf("the session that changed it: %v", err)
		}
		_, err = s.Session(ctx, there)
		wantKind(t, err, fault.Unauthorized)
		_, _, err = s.SignIn(ctx, ann, goodWord)
		wantKind(t, err, fault.Unauthorized)
		if _, _, err := s.SignIn(ctx, ann, next); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPasswordLink(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		setUp(t, s)
		session, _, _ := s.SignIn(ctx, ann, goodWord)
		_, err := s.PasswordLink(ctx, "eve@shop.example", "")
		wantKind(t, err, fault.NotFound)
		token := must[string](t)(s.PasswordLink(ctx, "Ann@shop.example", ""))
		if m := must[*account.Member](t)(s.Link(ctx, token)); m.Email != ann {
			t.Fatalf("link is for %+v", m)
		}
		m := must[*account.Member](t)(s.Setup(ctx, token, account.NewMember{Email: "eve@shop.example", Password: "violet anchor sunday"}))
		if m.Email != ann {
			t.Fatalf("a link of %s set up %s", ann, m.Email)
		}
		_, err = s.Session(ctx, session)
		wantKind(t, err, fault.Unauthorized)
		_, err = s.Link(ctx, token)
		wantKind(t, err, fault.NotFound)
	})
}

func TestAddMember(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		setUp(t, s)
		_, err := s.AddMember(ctx, "ANN@SHOP.EXAMPLE", "Another Ann", "")
		wantKind(t, err, fault.Conflict)
		for _, bad := range []string{"", "ann", "Ann <ann2@shop.example>", "a@b, c@d", strings.Repeat("a", 250) + "@shop.example"} {
			_, err := s.AddMember(ctx, bad, "", "")
			wantField(t, err, "email")
		}
	})
}

// An entry names the member by ID, tells what was changed, and holds no secret.
func TestChangesAreWrittenDown(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		m := setUp(t, s)
		eve := must[*account.Member](t)(s.Join(ctx, account.Joining{Email: "eve@shop.example", Organisation: db.FirstOrganisation, Role: account.Analyst, By: m.ID}))
		if err := s.ChangeRole(ctx, eve.ID, account.Joining{Organisation: db.FirstOrganisation, Role: account.Developer, By: m.ID}); err != nil {
			t.Fatal(err)
		}
		secret, token, err := s.AddToken(ctx, account.NewToken{Name: "Shop system", Organisation: db.FirstOrganisation, Scopes: account.Scopes[:1], Days: 30, By: m.ID})
		if err != nil {
			t.Fatal(err)
		}
		list := c.entries(t, db.FirstOrganisation)
		role := list[1]
		if role.Action != account.RoleChanged || role.Actor != "person" || role.ActorID != m.ID || role.Target != eve.ID || len(role.Changes) != 1 || role.Changes[0].Before != "analyst" || role.Changes[0].After != "developer" {
			t.Errorf("the entry of another role is %+v", role)
		}
		if list[0].Target != token.ID || list[3].Action != account.MemberSetUp {
			t.Errorf("the entries are %+v", list)
		}
		for _, e := range list {
			text := string(e.Canonical())
			for _, secret := range []string{secret, goodWord, ann, "eve@"} {
				if strings.Contains(text, secret) {
					t.Errorf("an entry holds %q: %s", secret, text)
				}
			}
		}
	})
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	wantKind(t, err, fault.Unprocessed)
	if f, ok := errors.AsType[*account.FieldError](err); !ok || f.Field != field {
		t.Fatalf("error = %v, want it to be about the field %s", err, field)
	}
}

func TestCheckPassword(t *testing.T) {
	for _, row := range []struct {
		name, password string
		ok             bool
	}{
		{"three words are fine", goodWord, true},
		{"twelve characters of another script are fine", "пароль-слово", true},
		{"no capital, digit or sign is asked for", "onlysmallletters", true},
		{"eleven characters are too few", "elevenchars", false},
		{"twelve bytes are not twelve characters", "пароль", false},
		{"the address is too easy", "ann@shop.example", false},
		{"the address in capitals is too easy", "ANN@SHOP.EXAMPLE", false},
		{"the site's name with a year is too easy", "Corner Shop 2026!", false},
		{"the product's name repeated is too easy", "assentassent", false},
		{"one character repeated is too easy", "aaaaaaaaaaaaaa", false},
		{"bytes that are no text are refused", "plum kettle \xff orbit", false},
		{"more than the maximum is refused", strings.Repeat("plum ", 60), false},
	} {
		if err := account.CheckPassword(row.password, ann, "Corner Shop"); (err == nil) != row.ok {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestLimiter(t *testing.T) {
	const home, cafe = "192.0.2.0/24", "198.51.100.0/24"
	tries := func(l *account.Limiter, email, network string, most int) int {
		for i := range most {
			if l.Take(email, network) != nil {
				return i
			}
		}
		return most
	}
	t.Run("somebody who mistypes waits, then goes on", func(t *testing.T) {
		c := newClock()
		l := account.NewLimiter(c.now)
		if n := tries(l, ann, home, 100); n != 6 {
			t.Fatalf("%d tries before the pause, want 6", n)
		}
		wantKind(t, l.Take("ANN@shop.example", home), fault.TooMany)
		c.pass(time.Minute)
		if n := tries(l, ann, home, 100); n != 2 {
			t.Fatalf("%d tries a minute later, want 2", n)
		}
	})
	t.Run("one network that tries many addresses is stopped", func(t *testing.T) {
		l := account.NewLimiter(newClock().now)
		allowed := 0
		for i := range 1000 {
			if l.Take(string(rune('a'+i))+"@shop.example", cafe) == nil {
				allowed++
			}
		}
		if allowed != 30 {
			t.Fatalf("%d tries, want 30", allowed)
		}
		if err := l.Take(ann, home); err != nil {
			t.Fatalf("another network must not notice: %v", err)
		}
	})
	t.Run("many networks that try one address do not lock the member out at home", func(t *testing.T) {
		l := account.NewLimiter(newClock().now)
		if err := l.Take(ann, home); err != nil {
			t.Fatal(err)
		}
		l.Succeeded(ann, home)
		allowed := 0
		for i := range 1000 {
			if l.Take(ann, string(rune(i))) == nil {
				allowed++
			}
		}
		if allowed != 60 {
			t.Fatalf("%d tries from everywhere, want 60", allowed)
		}
		if err := l.Take(ann, home); err != nil {
			t.Fatalf("the member at home: %v", err)
		}
	})
}

// A flood must neither run without bound nor queue without bound.
func TestHashingIsBounded(t *testing.T) {
	d := dbtest.SQLite(t)
	s := account.NewStore(d, newClock().now)
	var wg sync.WaitGroup
	var mu sync.Mutex
	kinds := map[fault.Kind]int{}
	for range 120 {
		wg.Go(func() {
			_, _, err := s.SignIn(context.Background(), ann, goodWord)
			mu.Lock()
			kinds[fault.KindOf(err)]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if kinds[fault.Unavailable] == 0 || kinds[fault.Unauthorized] == 0 || kinds[fault.Unavailable]+kinds[fault.Unauthorized] != 120 {
		t.Fatalf("answers by kind = %v, want some refused as too busy and the rest unauthorised", kinds)
	}
}
