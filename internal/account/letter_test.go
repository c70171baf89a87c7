package account_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"assent/internal/account"
	"assent/internal/db"
	"assent/internal/fault"
)

// Letters go to confirmed addresses only; who has not confirmed theirs invites nobody.
func TestLetters(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		var sent []account.Letter
		s.OnLetter(func(_ context.Context, _ *sql.Tx, l account.Letter) error { sent = append(sent, l); return nil })
		last := func(kind string) account.Letter {
			t.Helper()
			if len(sent) == 0 || sent[len(sent)-1].Kind != kind {
				t.Fatalf("letters = %+v, want the last to be %s", sent, kind)
			}
			return sent[len(sent)-1]
		}
		none := func(what string) {
			t.Helper()
			if len(sent) != 0 {
				t.Fatalf("%s: %+v", what, sent)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		m := setUp(t, s)
		invite := account.Joining{Email: "eve@shop.example", Organisation: db.FirstOrganisation, Role: account.Analyst, By: m.ID, Language: "de"}
		_, err := s.Invite(ctx, invite)
		wantKind(t, err, fault.Forbidden)
		must(s.Forgot(ctx, ann))
		none("an address that is not confirmed gets a link")

		must(s.AskConfirmation(ctx, m.ID))
		confirm := last(account.LetterConfirm)
		wantKind(t, s.AskConfirmation(ctx, m.ID), fault.TooMany)
		must(s.Confirmable(ctx, confirm.Token))
		must(s.Confirm(ctx, confirm.Token))
		wantKind(t, s.Confirm(ctx, confirm.Token), fault.NotFound)
		sent = nil
		must(s.AskConfirmation(ctx, m.ID))
		none("a confirmed address is to be confirmed again")

		if _, err := s.Invite(ctx, invite); err != nil {
			t.Fatal(err)
		}
		join := last(account.LetterJoin)
		if join.To != "eve@shop.example" || join.Language != "de" || join.By == "" || join.Place != "My organisation" {
			t.Errorf("invitation = %+v", join)
		}
		eve, err := s.Accept(ctx, join.Token, nil, account.NewMember{Password: goodWord + "s"})
		must(err)
		if verified, err := s.Verified(ctx, eve.ID); err != nil || !verified {
			t.Errorf("who took a mailed invitation is not confirmed, %v", err)
		}

		sent = nil
		must(s.Forgot(ctx, "nobody@shop.example"))
		must(s.Forgot(ctx, "no address"))
		none("a letter to nobody")
		old, err := s.Open(ctx, m)
		must(err)
		must(s.Forgot(ctx, ann))
		forgot := last(account.LetterForgot)
		must(s.Forgot(ctx, ann))
		if len(sent) != 1 {
			t.Errorf("two letters within five minutes: %+v", sent)
		}
		_, err = s.Setup(ctx, forgot.Token, account.NewMember{Password: "violet anchor sunday"})
		must(err)
		last(account.LetterPassword)
		_, err = s.Session(ctx, old)
		wantKind(t, err, fault.Unauthorized)
		_, err = s.Link(ctx, forgot.Token)
		wantKind(t, err, fault.NotFound)
		c.pass(6 * time.Minute)
		must(s.Forgot(ctx, ann))
		late := last(account.LetterForgot)
		c.pass(account.ForgotLifetime)
		_, err = s.Link(ctx, late.Token)
		wantKind(t, err, fault.NotFound)

		sent = nil
		first, err := s.Recognise(ctx, m, "", "fi")
		must(err)
		again, err := s.Recognise(ctx, m, first, "fi")
		must(err)
		none("the first browser, and a known one, are news")
		if again != first {
			t.Error("a known browser gets another name")
		}
		_, err = s.Recognise(ctx, m, "", "fi")
		must(err)
		if l := last(account.LetterDevice); l.To != ann || l.Language != "fi" || l.Token != "" {
			t.Errorf("letter = %+v", l)
		}
	})
}
