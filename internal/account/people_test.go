package account_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"assent/internal/account"
	"assent/internal/audit"
	"assent/internal/db"
	"assent/internal/fault"
)

func TestInvitation(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		first := setUp(t, s)
		eve := account.Joining{Email: "Eve@shop.example", Organisation: db.FirstOrganisation, Role: account.Analyst, By: first.ID}
		replaced := must[string](t)(s.Invite(ctx, eve))
		token := must[string](t)(s.Invite(ctx, eve))
		_, _, err := s.Invitation(ctx, replaced)
		wantKind(t, err, fault.NotFound)
		i, m, err := s.Invitation(ctx, token)
		if err != nil || m != nil || i.Email != "eve@shop.example" || i.Role != account.Analyst {
			t.Fatalf("invitation = %+v, %+v, %v", i, m, err)
		}
		// It is hers: nobody who is signed in as another takes it.
		_, err = s.Accept(ctx, token, first, account.NewMember{})
		wantKind(t, err, fault.Forbidden)
		_, err = s.Accept(ctx, token, nil, account.NewMember{Password: "short"})
		wantField(t, err, "password")
		m = must[*account.Member](t)(s.Accept(ctx, token, nil, account.NewMember{Name: "Eve", Password: goodWord}))
		if a := must[*account.Access](t)(s.Access(ctx, m.ID, db.FirstOrganisation)); a.Role != account.Analyst {
			t.Errorf("access = %+v", a)
		}
		_, err = s.Accept(ctx, token, nil, account.NewMember{Password: goodWord})
		wantKind(t, err, fault.NotFound)
		_, err = s.Invite(ctx, eve)
		wantKind(t, err, fault.Conflict)

		// Somebody with an account joins a second organisation as themselves only.
		other := must[*account.Organisation](t)(s.AddOrganisation(ctx, "Other", ""))
		token = must[string](t)(s.Invite(ctx, account.Joining{Email: ann, Organisation: other.ID, Role: account.Owner}))
		_, err = s.Accept(ctx, token, nil, account.NewMember{Password: "violet anchor sunday"})
		wantKind(t, err, fault.Forbidden)
		_, err = s.Accept(ctx, token, m, account.NewMember{})
		wantKind(t, err, fault.Forbidden)
		must[*account.Member](t)(s.Accept(ctx, token, first, account.NewMember{}))

		// An account that others made and that has no password yet is not opened by it.
		must[*account.Member](t)(s.AddMember(ctx, "new@shop.example", "", ""))
		token = must[string](t)(s.Invite(ctx, account.Joining{Email: "new@shop.example", Organisation: other.ID, Role: account.Owner}))
		_, err = s.Accept(ctx, token, nil, account.NewMember{Password: goodWord})
		wantKind(t, err, fault.Conflict)

		token = must[string](t)(s.Invite(ctx, account.Joining{Email: "late@shop.example", Organisation: other.ID, Role: account.Owner}))
		if list := must[[]account.Invitation](t)(s.Invitations(ctx, other.ID)); len(list) != 2 {
			t.Errorf("invitations = %+v", list)
		} else if err := s.Withdraw(ctx, db.FirstOrganisation, list[1].ID, ""); err != nil { // not theirs
			t.Fatal(err)
		}
		if _, _, err := s.Invitation(ctx, token); err != nil {
			t.Errorf("another organisation withdrew it: %v", err)
		}
		c.pass(account.InvitationLifetime)
		_, _, err = s.Invitation(ctx, token)
		wantKind(t, err, fault.NotFound)
	})
}

func TestTheLastOwnerStays(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		first := setUp(t, s)
		demote := account.Joining{Organisation: db.FirstOrganisation, Role: account.Analyst}
		wantKind(t, s.RemoveMember(ctx, db.FirstOrganisation, first.ID, ""), fault.Conflict)
		wantKind(t, s.ChangeRole(ctx, first.ID, demote), fault.Conflict)
		// One who cannot sign in yet is not enough.
		waits := must[*account.Member](t)(s.AddMember(ctx, "new@shop.example", "", ""))
		wantKind(t, s.RemoveMember(ctx, db.FirstOrganisation, first.ID, ""), fault.Conflict)
		link := must[string](t)(s.PasswordLink(ctx, "new@shop.example", ""))
		must[*account.Member](t)(s.Setup(ctx, link, account.NewMember{Password: goodWord}))
		if err := s.ChangeRole(ctx, first.ID, demote); err != nil {
			t.Fatal(err)
		}
		if a := must[*account.Access](t)(s.Access(ctx, first.ID, db.FirstOrganisation)); a.Role != account.Analyst {
			t.Errorf("access = %+v", a)
		}
		wantKind(t, s.RemoveMember(ctx, db.FirstOrganisation, waits.ID, ""), fault.Conflict)
		if err := s.RemoveMember(ctx, db.FirstOrganisation, first.ID, waits.ID); err != nil {
			t.Fatal(err)
		}
		_, err := s.Access(ctx, first.ID, db.FirstOrganisation)
		wantKind(t, err, fault.NotFound)
		wantKind(t, s.RemoveMember(ctx, db.FirstOrganisation, first.ID, waits.ID), fault.NotFound)
		wantKind(t, s.RemoveMember(ctx, "nowhere", waits.ID, first.ID), fault.NotFound)
	})
}

func TestOperatorLooksInWithAReason(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		operator := setUp(t, s)
		other := must[*account.Organisation](t)(s.AddOrganisation(ctx, "Customer", ""))
		_, err := s.Access(ctx, operator.ID, other.ID)
		wantKind(t, err, fault.NotFound)
		wantField(t, s.Enter(ctx, operator, other.ID, "support"), "reason")
		eve := must[*account.Member](t)(s.AddMember(ctx, "eve@shop.example", "", ""))
		wantKind(t, s.Enter(ctx, eve, other.ID, "I would like to look around"), fault.Forbidden)
		const reason = "Ticket 4711: the banner does not appear"
		if err := s.Enter(ctx, operator, other.ID, reason); err != nil {
			t.Fatal(err)
		}
		a := must[*account.Access](t)(s.Access(ctx, operator.ID, other.ID))
		if a.Role != account.Support || a.Reason != reason || a.Can(account.EraseRecords) || a.Can(account.ExportRegister) || !a.Can(account.ViewSites) {
			t.Errorf("access = %+v", a)
		}
		wantKind(t, s.Enter(ctx, operator, other.ID, reason), fault.Conflict)
		wantKind(t, s.ChangeRole(ctx, operator.ID, account.Joining{Organisation: other.ID, Role: account.Owner}), fault.NotFound)
		if e := c.entries(t, other.ID)[0]; e.Action != account.OperatorEntered || e.Detail["reason"] != reason || e.ActorID != operator.ID {
			t.Errorf("the look in is entered as %+v", e)
		}
		c.pass(account.SupportFor)
		_, err = s.Access(ctx, operator.ID, other.ID)
		wantKind(t, err, fault.NotFound)
		if err := s.Enter(ctx, operator, other.ID, reason); err != nil {
			t.Fatal(err)
		}
		if err := s.SetOperator(ctx, ann, false); err != nil {
			t.Fatal(err)
		}
		_, err = s.Access(ctx, operator.ID, other.ID)
		wantKind(t, err, fault.NotFound)
	})
}

// Failed sign-ins are noted, and guessing does not fill the log.
func TestFailedSignInsAreNoted(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		m := setUp(t, s)
		fail := func(email string) {
			_, _, err := s.SignIn(ctx, email, "not the password")
			wantKind(t, err, fault.Unauthorized)
		}
		for range 3 {
			fail(ann)
			fail("eve@shop.example")
		}
		lines := func() (list []audit.Entry) { // of accounts unknown, then of those of the organisation
			for _, organisation := range []string{"", db.FirstOrganisation} {
				for _, e := range c.entries(t, organisation) {
					if e.Action == account.SignInFailed {
						list = append(list, e)
					}
				}
			}
			return list
		}
		if got := lines(); len(got) != 2 || got[0].Target != "" || got[1].Target != m.ID || got[1].Actor != "nobody" {
			t.Fatalf("failed sign-ins = %+v", got)
		}
		c.pass(11 * time.Minute)
		fail(ann)
		if got := lines(); len(got) != 3 || got[1].Detail["times"] != "3" {
			t.Fatalf("failed sign-ins = %+v", got)
		}
		for _, a := range lines() {
			for _, value := range a.Detail {
				if strings.Contains(value, "eve@") || strings.Contains(value, "password") {
					t.Errorf("the line says %q", value)
				}
			}
		}
	})
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		first := setUp(t, s)
		here, there := must[string](t)(s.Open(ctx, first)), must[string](t)(s.Open(ctx, first))
		eve := must[*account.Member](t)(s.AddMember(ctx, "eve@shop.example", "", ""))
		foreign := must[string](t)(s.Open(ctx, eve))
		list := must[[]account.OpenSession](t)(s.Sessions(ctx, here))
		if len(list) != 2 || list[0].Here == list[1].Here {
			t.Fatalf("sessions = %+v", list)
		}
		theirs := must[[]account.OpenSession](t)(s.Sessions(ctx, foreign))
		for _, id := range []string{theirs[0].ID, "nowhere"} { // somebody else's stays
			if err := s.EndSession(ctx, here, id); err != nil {
				t.Fatal(err)
			}
		}
		must[*account.Session](t)(s.Session(ctx, foreign))
		for _, o := range list {
			if err := s.EndSession(ctx, here, o.ID); err != nil {
				t.Fatal(err)
			}
		}
		must[*account.Session](t)(s.Session(ctx, here))
		_, err := s.Session(ctx, there)
		wantKind(t, err, fault.Unauthorized)
	})
}

func TestProofGrowsOld(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		first := setUp(t, s)
		token := must[string](t)(s.Open(ctx, first))
		proved := func() bool { return s.Proved(must[*account.Session](t)(s.Session(ctx, token))) }
		if !proved() {
			t.Error("signing in is no proof")
		}
		c.pass(account.ProofLifetime)
		if proved() {
			t.Error("the proof holds for ever")
		}
		wantField(t, s.Prove(ctx, token, "not the password"), "proof")
		wantField(t, s.Prove(ctx, token, ""), "proof")
		if err := s.Prove(ctx, token, goodWord); err != nil || !proved() {
			t.Errorf("after the password: %v", err)
		}
	})
}
