package closing

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/jobs"
	"assent/internal/mail"
	"assent/receipt"
)

// do is the job. Each of its steps can be done again: what is done already is found
// to be so.
func (s *Store) do(ctx context.Context, j jobs.Job) jobs.Outcome {
	return jobs.Outcome{Err: s.Carry(ctx, j.Payload)}
}

// Carry erases what is due, to the end. There being nothing to do is no error: it was
// taken back, or asked for anew with a later date, which has a job of its own.
func (s *Store) Carry(ctx context.Context, subject string) error {
	c, err := s.Of(ctx, subject)
	if err != nil || c == nil || c.Due.After(s.Now()) {
		return err
	}
	if c.Why == Inactive && c.Reminded.IsZero() { // the second warning promises another job
		return nil
	}
	if c.Begun.IsZero() {
		if err := s.begin(ctx, c); err != nil || c.Begun.IsZero() {
			return err
		}
	}
	tables, err := s.tables(ctx)
	if err != nil {
		return err
	}
	if c.Kind == Organisation {
		err = s.organisation(ctx, c, tables)
	} else {
		err = s.account(ctx, c, tables)
	}
	if err != nil {
		return err
	}
	if err := s.purge(ctx, tables); err != nil {
		return err
	}
	return s.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "delete from closing where subject = $1", c.Subject)
		return err
	})
}

// purge makes sure that the bytes are in no file of the database any more.
func (s *Store) purge(ctx context.Context, tables []db.Table) error {
	names := append([]string{}, own...)
	for _, t := range tables {
		names = append(names, quote(t.Name))
	}
	if err := s.DB.Purge(ctx, names...); err != nil {
		return err
	}
	return s.Register.Seal(ctx)
}

// begin is the end of the grace period. Sites are out of service from then on, and
// nobody enters the organisation.
func (s *Store) begin(ctx context.Context, c *Closing) error {
	var begun time.Time
	err := s.DB.Write(ctx, func(tx *sql.Tx) error {
		begun = s.Now().UTC()
		done, err := tx.ExecContext(ctx, "update closing set begun_at = $1 where subject = $2 and begun_at = 0 and due_at = $3", begun.UnixMilli(), c.Subject, c.Due.UnixMilli())
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			begun = time.Time{} // taken back at the last moment, or begun by another node
			return err
		}
		if c.Kind == Organisation {
			if err := dropJobs(ctx, tx, c.Subject); err != nil {
				return err
			}
			return s.Sites.StopAll(ctx, tx, c.Subject)
		}
		err = s.owned(ctx, tx, c.Subject)
		if fault.KindOf(err) == fault.Conflict { // became the only owner meanwhile
			begun = time.Time{}
			if _, err := tx.ExecContext(ctx, "delete from closing where subject = $1", c.Subject); err != nil {
				return err
			}
			return s.log(ctx, tx, c, account.ClosingKept, account.AccountKept, "")
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, "delete from session where member_id = $1", c.Subject)
		}
		return err
	})
	c.Begun = begun
	return err
}

// gone tells whether an organisation or account was erased already: its row goes in the
// transaction that makes the certificate.
func (s *Store) gone(ctx context.Context, c *Closing) (bool, error) {
	table := "member"
	if c.Kind == Organisation {
		table = "organisation"
	}
	var n int
	err := s.DB.Read().QueryRowContext(ctx, "select count(*) from "+table+" where id = $1", c.Subject).Scan(&n)
	return n == 0, s.DB.Explain(err)
}

// numbered is a site to be erased.
type numbered struct {
	id  int64
	key string
}

func (s *Store) numbered(ctx context.Context, query, organisation string) (list []numbered, err error) {
	rows, err := s.DB.Read().QueryContext(ctx, query, organisation)
	if err != nil {
		return nil, s.DB.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n numbered
		if err := rows.Scan(&n.id, &n.key); err != nil {
			return nil, s.DB.Explain(err)
		}
		list = append(list, n)
	}
	return list, s.DB.Explain(rows.Err())
}

func (s *Store) organisation(ctx context.Context, c *Closing, tables []db.Table) error {
	if gone, err := s.gone(ctx, c); err != nil || gone {
		return err
	}
	sites, err := s.numbered(ctx, "select id, site from site where organisation_id = $1 order by id", c.Subject)
	if err != nil {
		return err
	}
	for _, n := range sites {
		if err := s.site(ctx, c.Subject, tables, n); err != nil {
			return err
		}
	}
	// Also of sites whose row went before an interruption.
	sites, err = s.numbered(ctx, "select number, id from forgotten where part_of = $1 and kind = 'site'", c.Subject)
	if err != nil {
		return err
	}
	for _, n := range sites {
		if err := s.leftovers(ctx, tables, n.id, true); err != nil {
			return err
		}
	}
	for i := range tables {
		if t := &tables[i]; t.Name == "activity" {
			if err := s.inChunks(ctx, t, "organisation_id = $1", c.Subject); err != nil {
				return err
			}
		}
	}
	return s.DB.Write(ctx, func(tx *sql.Tx) error { return s.finish(ctx, tx, c, tables) })
}

// site erases the register of a site, keeps the certificates, and removes the site.
func (s *Store) site(ctx context.Context, organisation string, tables []db.Table, n numbered) error {
	for {
		retired, err := s.Register.Retire(ctx, n.id)
		if err != nil {
			return err
		}
		if err := s.leftovers(ctx, tables, n.id, false); err != nil {
			return err
		}
		summary, err := json.Marshal(retired.Site)
		if err != nil {
			return err
		}
		var dropped bool
		err = s.DB.Write(ctx, func(tx *sql.Tx) error {
			if dropped, err = s.Register.DropLog(ctx, tx, n.id, retired.Site.Size); err != nil || !dropped {
				return err
			}
			if err := insertForgotten(ctx, tx, Past{ID: n.key, Kind: "site", PartOf: organisation, Number: n.id, Summary: string(summary), At: s.Now().UnixMilli()}); err != nil {
				return err
			}
			for i, f := range retired.Site.Files {
				if err := insertFile(ctx, tx, organisation, f.Name, retired.Files[i]); err != nil {
					return err
				}
			}
			if _, err := tx.ExecContext(ctx, "delete from site where id = $1", n.id); err != nil {
				return err
			}
			return s.Sites.Changed(ctx, tx)
		})
		if err != nil || dropped {
			return err
		}
		// A decision came in between: it is erased too.
	}
}

func insertFile(ctx context.Context, tx *sql.Tx, id, name string, content []byte) error {
	_, err := tx.ExecContext(ctx, `insert into forgotten_file (id, name, content) values ($1, $2, $3)
		on conflict (id, name) do update set content = excluded.content`, id, name, string(content))
	return err
}

// finish erases the organisation itself and its people, and makes the certificate, in
// one transaction.
func (s *Store) finish(ctx context.Context, tx *sql.Tx, c *Closing, tables []db.Table) error {
	about, err := s.about(ctx, tx, c)
	if err != nil {
		return err
	}
	statement := &receipt.Closing{Kind: c.Kind, ID: c.Subject, Asked: c.Asked.Format(receipt.TimeLayout), Closed: s.Now().UTC().Format(receipt.TimeLayout)}
	if statement.Sites, err = closedSites(ctx, tx, c.Subject); err != nil {
		return err
	}
	if statement.Accounts, err = s.erasePeople(ctx, tx, tables, c.Subject); err != nil {
		return err
	}
	if err := s.forgetInvited(ctx, tx, c.Subject); err != nil {
		return err
	}
	if err := eraseRows(ctx, tx, tables, c.Subject); err != nil {
		return err
	}
	return s.certify(ctx, tx, statement, about)
}

// certify keeps the certificate and the ID, and writes the last letter.
func (s *Store) certify(ctx context.Context, tx *sql.Tx, statement *receipt.Closing, about concerned) error {
	certificate, err := s.Register.SignClosing(s.host(), statement)
	if err != nil {
		return err
	}
	name := "closing-" + statement.ID + ".json"
	if err := insertFile(ctx, tx, statement.ID, name, certificate); err != nil {
		return err
	}
	if err := insertForgotten(ctx, tx, Past{ID: statement.ID, Kind: statement.Kind, At: s.Now().UnixMilli()}); err != nil {
		return err
	}
	return s.tell(ctx, tx, mail.Closed, about, s.Now(), []mail.File{{Name: name, Content: certificate}})
}

// erasePeople closes the accounts of those who belong to nothing else. Operators stay.
func (s *Store) erasePeople(ctx context.Context, tx *sql.Tx, tables []db.Table, organisation string) (n int64, err error) {
	rows, err := tx.QueryContext(ctx, `select m.id, m.email from membership s join member m on m.id = s.member_id
		where s.organisation_id = $1 and m.operator = $3 and not exists (select 1 from membership o
			where o.member_id = m.id and o.organisation_id <> $1 and (o.expires_at = 0 or o.expires_at > $2)) order by m.id`, organisation, s.Now().UnixMilli(), false)
	if err != nil {
		return 0, err
	}
	var people [][2]string
	for rows.Next() {
		var p [2]string
		if err := rows.Scan(&p[0], &p[1]); err != nil {
			return 0, errors.Join(err, rows.Close())
		}
		people = append(people, p)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	for _, p := range people {
		if err := s.erasePerson(ctx, tx, tables, p[0], p[1]); err != nil {
			return 0, err
		}
		if err := insertForgotten(ctx, tx, Past{ID: p[0], Kind: Account, PartOf: organisation, At: s.Now().UnixMilli()}); err != nil {
			return 0, err
		}
	}
	return int64(len(people)), nil
}

// forgetInvited drops the letters that wait for those who were asked in.
func (s *Store) forgetInvited(ctx context.Context, tx *sql.Tx, organisation string) error {
	emails, err := db.Strings(tx.QueryContext(ctx, "select email from invitation where organisation_id = $1", organisation))
	if err != nil {
		return err
	}
	return s.Mail.Forget(ctx, tx, emails...)
}

// closedSites are those that were erased with an organisation, by key.
func closedSites(ctx context.Context, tx *sql.Tx, organisation string) (list []receipt.ClosedSite, err error) {
	texts, err := db.Strings(tx.QueryContext(ctx, "select summary from forgotten where part_of = $1 and kind = 'site'", organisation))
	for _, text := range texts {
		var site receipt.ClosedSite
		if err := json.Unmarshal([]byte(text), &site); err != nil {
			return nil, err
		}
		list = append(list, site)
	}
	slices.SortFunc(list, func(a, b receipt.ClosedSite) int { return strings.Compare(a.Site, b.Site) })
	return list, err
}

// account erases one person's account.
func (s *Store) account(ctx context.Context, c *Closing, tables []db.Table) error {
	if gone, err := s.gone(ctx, c); err != nil || gone {
		return err
	}
	return s.DB.Write(ctx, func(tx *sql.Tx) error {
		about, err := s.about(ctx, tx, c)
		if err != nil {
			return err
		}
		if err := s.erasePerson(ctx, tx, tables, c.Subject, about.people[0].Email); err != nil {
			return err
		}
		return s.certify(ctx, tx, &receipt.Closing{Kind: c.Kind, ID: c.Subject, Accounts: 1, Asked: c.Asked.Format(receipt.TimeLayout), Closed: s.Now().UTC().Format(receipt.TimeLayout)}, about)
	})
}
