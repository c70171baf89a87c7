package account_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"assent/internal/account"
	"assent/internal/audit"
	"assent/internal/audit/audittest"
	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

func TestJoinAndAccess(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		first := setUp(t, s)
		if !first.Operator {
			t.Error("whoever set the installation up is no operator of it")
		}
		if a := must[*account.Access](t)(s.Access(ctx, first.ID, db.FirstOrganisation)); a.Role != account.Owner || !a.Can(account.ManageMembers) {
			t.Errorf("access = %+v", a)
		}
		other := must[*account.Organisation](t)(s.AddOrganisation(ctx, " Second customer ", ""))
		if other.Name != "Second customer" {
			t.Errorf("name = %q", other.Name)
		}
		_, err := s.Access(ctx, first.ID, other.ID)
		wantKind(t, err, fault.NotFound)
		_, err = s.Access(ctx, first.ID, "nowhere")
		wantKind(t, err, fault.NotFound)

		for name, j := range map[string]account.Joining{
			"role":  {Email: "a@b.example", Organisation: other.ID, Role: "king"},
			"until": {Email: "a@b.example", Organisation: other.ID, Role: account.Analyst, Until: c.now().Add(time.Hour)},
			"email": {Email: "a", Organisation: other.ID, Role: account.Analyst},
		} {
			_, err := s.Join(ctx, j)
			wantField(t, err, name)
		}
		_, err = s.Join(ctx, account.Joining{Email: "a@b.example", Organisation: other.ID, Role: account.Support})
		wantField(t, err, "role")
		_, err = s.Join(ctx, account.Joining{Email: "a@b.example", Organisation: "nowhere", Role: account.Owner})
		wantKind(t, err, fault.NotFound)

		// One person, two organisations.
		same := must[*account.Member](t)(s.Join(ctx, account.Joining{Email: "ANN@shop.example", Organisation: other.ID, Role: account.Analyst}))
		if same.ID != first.ID || !same.Ready {
			t.Errorf("joined as %+v", same)
		}
		_, err = s.Join(ctx, account.Joining{Email: ann, Organisation: other.ID, Role: account.Owner})
		wantKind(t, err, fault.Conflict)
		if list := must[[]account.Access](t)(s.Accesses(ctx, first.ID)); len(list) != 2 || list[1].Organisation.ID != other.ID || list[1].Can(account.ViewRegister) {
			t.Errorf("accesses = %+v", list)
		}
	})
}

func TestAuditorsTimeEnds(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		setUp(t, s)
		m := must[*account.Member](t)(s.Join(ctx, account.Joining{Email: "audit@law.example", Organisation: db.FirstOrganisation, Role: account.Auditor}))
		c.pass(account.AuditFor - time.Second)
		must[*account.Access](t)(s.Access(ctx, m.ID, db.FirstOrganisation))
		c.pass(time.Second)
		_, err := s.Access(ctx, m.ID, db.FirstOrganisation)
		wantKind(t, err, fault.NotFound)
		if list := must[[]account.Membership](t)(s.Memberships(ctx, db.FirstOrganisation)); len(list) != 2 || !list[1].Over(c.now()) {
			t.Errorf("memberships = %+v", list)
		}
		// Asked again, they may come back.
		must[*account.Member](t)(s.Join(ctx, account.Joining{Email: "audit@law.example", Organisation: db.FirstOrganisation, Role: account.Auditor, Until: c.now().Add(time.Hour)}))
		must[*account.Access](t)(s.Access(ctx, m.ID, db.FirstOrganisation))
	})
}

func TestActivityIsAnOrganisationsOwn(t *testing.T) {
	ctx := context.Background()
	each(t, func(t *testing.T, s *account.Store, c *clock) {
		first := setUp(t, s)
		other := must[*account.Organisation](t)(s.AddOrganisation(ctx, "Second", ""))
		eve := must[*account.Member](t)(s.Join(ctx, account.Joining{Email: "eve@two.example", Organisation: other.ID, Role: account.Owner}))
		must[string](t)(s.Open(ctx, eve))
		must[string](t)(s.Open(ctx, first))
		if err := s.Log(ctx, account.Activity{Action: account.Restored}); err != nil {
			t.Fatal(err)
		}
		actions := func(organisation string) (list []string) {
			names := map[string]string{first.ID: ann, eve.ID: "eve@two.example"}
			for _, e := range c.entries(t, organisation) {
				list = append(list, e.Action+" "+names[e.ActorID])
			}
			return list
		}
		want := func(got []string, lines ...string) {
			t.Helper()
			if len(got) != len(lines) {
				t.Fatalf("activity = %q, want %q", got, lines)
			}
			for i := range lines {
				if got[i] != lines[i] {
					t.Errorf("line %d = %q, want %q", i, got[i], lines[i])
				}
			}
		}
		want(actions(db.FirstOrganisation), "backup.restore ", "member.sign_in ann@shop.example", "member.set_up ann@shop.example")
		want(actions(other.ID), "backup.restore ", "member.sign_in eve@two.example", "member.add ", "organisation.add ")
	})
}

// What an installation has before it knows organisations belongs to one, in
// which everybody may what they could before.
func TestExistingInstallationGetsAnOrganisation(t *testing.T) {
	ctx := context.Background()
	for name, options := range map[string]func(*testing.T) db.Options{
		"sqlite":   func(t *testing.T) db.Options { return db.Options{Dir: t.TempDir()} },
		"postgres": func(t *testing.T) db.Options { return db.Options{URL: dbtest.PostgresURL(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			o.Schema = 12
			old, err := db.Open(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			err = old.Write(ctx, func(tx *sql.Tx) error {
				for _, query := range []string{
					"insert into member (id, email, name, password, created_at, changed_at) values ('b', 'b@shop.example', '', 'x', 2000, 2000), ('a', 'a@shop.example', '', 'x', 1000, 1000)",
					"insert into site (id, site, name, draft, created_at, changed_at) values (1, 'key', 'Shop', '{}', 3000, 3000)",
					"insert into activity (id, time, member_id, action, site, detail) values ('0190', 3000, 'a', 'member.sign_in', '', '{}')",
				} {
					if _, err := tx.ExecContext(ctx, query); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			o.Schema = 0
			d := dbtest.Open(t, o)
			s := account.NewStore(d, nil)
			log := audittest.New(t, d, time.Now)
			if err := log.Adopt(ctx); err != nil {
				t.Fatal(err)
			}
			list := must[[]account.Membership](t)(s.Memberships(ctx, db.FirstOrganisation))
			if len(list) != 2 || list[0].Role != account.Owner || list[1].Role != account.Owner || !list[0].Member.Operator || list[1].Member.Operator {
				t.Errorf("memberships = %+v", list)
			}
			var organisation string
			if err := d.Read().QueryRow("select organisation_id from site where site = 'key'").Scan(&organisation); err != nil || organisation != db.FirstOrganisation {
				t.Errorf("the site belongs to %q, %v", organisation, err)
			}
			if a := must[[]audit.Entry](t)(log.Search(ctx, audit.Query{Organisation: db.FirstOrganisation})); len(a) != 1 || a[0].Detail["entered"] == "" {
				t.Errorf("the former activity became %+v", a)
			}
			if o := must[*account.Organisation](t)(s.OnlyOrganisation(ctx)); o.CreatedAt.UnixMilli() != 1000 {
				t.Errorf("organisation = %+v", o)
			}
		})
	}
}
