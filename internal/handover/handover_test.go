package handover

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

const refusal = "1.7d4448409dc041d2a72e0f6e4f5f0d11.0190f5fe7c007a0080000123456789ab.0123456789abcdef.m7r0kq00.accept_necessary.!analytics."

var (
	secret  = bytes.Repeat([]byte{7}, 32)
	visitor = Visitor{netip.MustParsePrefix("203.0.113.0/24"), "Mozilla/5.0 (X11; Linux x86_64) Firefox/153.0"}
	passage = Passage{Site: "k3y", From: "www.shop.example", To: "shop.de", Choice: refusal}
)

// clock is a time that a test moves.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func desk(t testing.TB, d *db.DB, secret []byte) (*Desk, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	k, err := NewDesk(d, secret, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return k, c
}

func issue(t testing.TB, k *Desk, p Passage) string {
	t.Helper()
	token, err := k.Issue(p, visitor)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAChoiceArrivesOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		here, _ := desk(t, d, secret)
		there, _ := desk(t, d, secret) // another node
		for _, at := range []string{"shop.de", "www.shop.de"} {
			token := issue(t, here, passage)
			if strings.Contains(token, "7d444840") || strings.ContainsAny(token, "+/=&#?") || len(token) > MaxToken {
				t.Errorf("the token %s tells something, or cannot stand in an address", token)
			}
			got, err := there.Redeem(ctx, token, "k3y", "www.shop.example", at, visitor)
			if err != nil || got != refusal {
				t.Fatalf("on %s: %q, %v", at, got, err)
			}
			for _, k := range []*Desk{here, there} {
				if got, err := k.Redeem(ctx, token, "k3y", "www.shop.example", at, visitor); fault.KindOf(err) != fault.Conflict || got != "" {
					t.Errorf("once more on %s: %q, %v", at, got, err)
				}
			}
		}
	})
}

// Of many that redeem one token at the same time, on two nodes, one gets the choice.
func TestOneOfManyGetsTheChoice(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		here, _ := desk(t, d, secret)
		there, _ := desk(t, d, secret)
		token := issue(t, here, passage)
		var wait sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wait.Go(func() {
				_, errs[i] = []*Desk{here, there}[i%2].Redeem(context.Background(), token, "k3y", "www.shop.example", "shop.de", visitor)
			})
		}
		wait.Wait()
		got := 0
		for _, err := range errs {
			if err == nil {
				got++
			} else if fault.KindOf(err) != fault.Conflict {
				t.Error(err)
			}
		}
		if got != 1 {
			t.Errorf("%d got the choice, want 1", got)
		}
	})
}

func TestWhatIsRefused(t *testing.T) {
	d := dbtest.SQLite(t)
	ctx := context.Background()
	k, c := desk(t, d, secret)
	foreign, _ := desk(t, d, bytes.Repeat([]byte{8}, 32))
	good := issue(t, k, passage)
	changed := []byte(good)
	changed[len(changed)/2] ^= 1
	other := visitor
	other.Network = netip.MustParsePrefix("198.51.100.0/24")
	agent := visitor
	agent.Agent += " "
	for name, row := range map[string]struct {
		token, site, from, at string
		visitor               Visitor
		later                 time.Duration
		want                  fault.Kind
	}{
		"another site":             {good, "other", "www.shop.example", "shop.de", visitor, 0, fault.Forbidden},
		"another domain":           {good, "k3y", "www.shop.example", "shop.fr", visitor, 0, fault.Forbidden},
		"the domain as an ending":  {good, "k3y", "www.shop.example", "evilshop.de", visitor, 0, fault.Forbidden},
		"the domain that was left": {good, "k3y", "www.shop.example", "www.shop.example", visitor, 0, fault.Forbidden},
		"from a page elsewhere":    {good, "k3y", "evil.example", "shop.de", visitor, 0, fault.Forbidden},
		"from nowhere":             {good, "k3y", "", "shop.de", visitor, 0, fault.Forbidden},
		"another network":          {good, "k3y", "www.shop.example", "shop.de", other, 0, fault.Forbidden},
		"another browser":          {good, "k3y", "www.shop.example", "shop.de", agent, 0, fault.Forbidden},
		"too late":                 {good, "k3y", "www.shop.example", "shop.de", visitor, Lifetime + time.Millisecond, fault.Conflict},
		"from the future":          {good, "k3y", "www.shop.example", "shop.de", visitor, -skew - time.Millisecond, fault.Conflict},
		"a changed character":      {string(changed), "k3y", "www.shop.example", "shop.de", visitor, 0, fault.Forbidden},
		"a character less":         {good[:len(good)-1], "k3y", "www.shop.example", "shop.de", visitor, 0, fault.Forbidden},
		"a character more":         {good + "A", "k3y", "www.shop.example", "shop.de", visitor, 0, fault.Forbidden},
		"a line's end":             {good + "\n", "k3y", "www.shop.example", "shop.de", visitor, 0, fault.Forbidden},
		"another installation's":   {issue(t, foreign, passage), "k3y", "www.shop.example", "shop.de", visitor, 0, fault.Forbidden},
		"nothing":                  {"", "k3y", "www.shop.example", "shop.de", visitor, 0, fault.Forbidden},
		"too much":                 {strings.Repeat("A", MaxToken+1), "k3y", "www.shop.example", "shop.de", visitor, 0, fault.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.Time
			c.Time = before.Add(row.later)
			defer func() { c.Time = before }()
			if got, err := k.Redeem(ctx, row.token, row.site, row.from, row.at, row.visitor); fault.KindOf(err) != row.want || got != "" {
				t.Errorf("%q, %v; want a fault of kind %d", got, err, row.want)
			}
		})
	}
	// None of that has used the token up.
	c.Time = c.Add(Lifetime)
	if got, err := k.Redeem(ctx, good, "k3y", "www.shop.example", "shop.de", visitor); err != nil || got != refusal {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := k.Issue(Passage{Site: "k3y", From: "shop.example", To: "shop.de", Choice: "1.accept"}, visitor); fault.KindOf(err) != fault.Unprocessed {
		t.Errorf("what is no choice: %v", err)
	}
}

func TestUsedTokensAreSwept(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k, c := desk(t, d, secret)
		rows := func() (n int) {
			t.Helper()
			if err := d.Read().QueryRow("select count(*) from handover_used").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		use := func() {
			t.Helper()
			if _, err := k.Redeem(context.Background(), issue(t, k, passage), "k3y", "www.shop.example", "shop.de", visitor); err != nil {
				t.Fatal(err)
			}
		}
		use()
		use()
		c.Time = c.Add(kept)
		use()
		if rows() != 3 {
			t.Errorf("%d rows, want all 3: those of an hour ago may just count", rows())
		}
		c.Time = c.Add(time.Minute)
		use()
		if rows() != 2 {
			t.Errorf("%d rows, want the 2 that are young", rows())
		}
	})
}

// Nothing that was not issued is opened, and what was has one spelling.
func FuzzToken(f *testing.F) {
	c := &clock{time.UnixMilli(1_700_000_000_000)}
	k, err := NewDesk(nil, secret, c.now)
	if err != nil {
		f.Fatal(err)
	}
	token := issue(f, k, passage)
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{token, token[:20], token + "=", token + "\n", "", "AAAA", base64.RawURLEncoding.EncodeToString(raw[:idLength]), base64.RawURLEncoding.EncodeToString(append(raw, 0))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, s, err := k.open(text)
		if err == nil { // fuzzing runs in several processes, each of which issues its own
			raw, _ := base64.RawURLEncoding.DecodeString(text)
			if (Passage{s.Site, s.From, s.To, s.Choice}) != passage || base64.RawURLEncoding.EncodeToString(raw) != text {
				t.Fatalf("%q is open: %+v", text, s)
			}
		}
		if err != nil && (text == token || fault.KindOf(err) != fault.Forbidden) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
