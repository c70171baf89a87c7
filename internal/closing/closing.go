// Package closing erases organisations and accounts for good: asked for, taken back
// within a grace period, and then carried out by a job that may be interrupted
// anywhere. What is left is a certificate that verifies offline, and a random ID by
// which restoring an older backup forgets again.
package closing

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/jobs"
	"assent/internal/mail"
	"assent/internal/register"
	"assent/internal/site"
	"assent/receipt"
)

// The kinds of a closing: what is erased.
const (
	Organisation = receipt.ClosedOrganisation
	Account      = receipt.ClosedAccount
)

// Why something is erased.
const (
	Asked    = "asked"    // by an owner, by the person, or on the command line
	Inactive = "inactive" // nobody signed in for InactiveMonths
)

// Grace bounds for how many days a closing can be taken back. The command line may
// give less than LeastDays, down to none.
const (
	UsualDays = 30
	LeastDays = 7
	MostDays  = 90
)

// JobKind is the kind of the jobs that carry closings out.
const JobKind = "closing"

// Closing is an organisation or an account that is to be erased.
type Closing struct {
	Subject  string // ID of the organisation or the member
	Kind     string
	Why      string
	Asked    time.Time
	By       string    // member ID; "": command line, or the daily check
	Due      time.Time // until then it can be taken back
	Reminded time.Time // of an inactive account; zero: not yet
	Begun    time.Time // zero: it can be taken back
}

// Config says what a Store works with.
type Config struct {
	DB        *db.DB
	Queue     *jobs.Queue
	Register  *register.Register
	Sites     *site.Store
	Accounts  *account.Store
	Mail      *mail.Desk
	PublicURL func() string
	Now       func() time.Time
}

// Store keeps closings and carries them out.
type Store struct{ Config }

// NewStore returns the store and registers its jobs with the queue.
func NewStore(c Config) *Store {
	s := &Store{c}
	c.Queue.Handle(JobKind, jobs.Handler{Do: s.do, Tries: 1 << 30, Within: time.Hour, Wait: func(attempt int) time.Duration {
		return min(time.Duration(attempt)*5*time.Second, 5*time.Minute)
	}})
	return s
}

// host is the name of this installation.
func (s *Store) host() string {
	if u, err := url.Parse(s.PublicURL()); err == nil && u.Host != "" {
		return u.Host
	}
	return "localhost"
}

// Asking says what is to be erased.
type Asking struct {
	Kind, Subject string
	Days          int    // of grace, 0 to MostDays
	By            string // member ID; "" for the command line
}

// Ask begins the grace period, tells those concerned by mail, and promises the job.
// Errors: fault.NotFound; fault.Conflict when it was asked for already, or when
// organisations would be left without an owner; fault.Unprocessed for the days.
func (s *Store) Ask(ctx context.Context, a Asking) (*Closing, error) {
	if a.Days < 0 || a.Days > MostDays {
		return nil, fault.New(fault.Unprocessed, "Between asking and erasing there are 0 to %d days, not %d.", MostDays, a.Days)
	}
	now := s.Now().UTC().Truncate(time.Millisecond)
	c := &Closing{Subject: a.Subject, Kind: a.Kind, Why: Asked, Asked: now, By: a.By, Due: now.AddDate(0, 0, a.Days)}
	err := s.DB.Write(ctx, func(tx *sql.Tx) error {
		if a.Kind == Account {
			if _, err := tx.ExecContext(ctx, "delete from closing where subject = $1 and why = $2 and begun_at = 0", a.Subject, Inactive); err != nil {
				return err // it goes sooner now
			}
		}
		return s.ask(ctx, tx, c, mail.Closing)
	})
	if err != nil {
		return nil, err
	}
	s.Queue.Wake()
	return c, nil
}

func (s *Store) ask(ctx context.Context, tx *sql.Tx, c *Closing, letter mail.Kind) error {
	about, err := s.about(ctx, tx, c)
	if err != nil {
		return err
	}
	if c.Kind == Account {
		if err := s.owned(ctx, tx, c.Subject); err != nil {
			return err
		}
	}
	done, err := tx.ExecContext(ctx, `insert into closing (subject, kind, why, asked_at, asked_by, due_at, reminded_at, begun_at)
		values ($1, $2, $3, $4, $5, $6, 0, 0) on conflict (subject) do nothing`, c.Subject, c.Kind, c.Why, c.Asked.UnixMilli(), c.By, c.Due.UnixMilli())
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fault.New(fault.Conflict, "That was asked for already. The date is shown on its page, and by assent org show."))
	}
	if _, err := s.Queue.Add(ctx, tx, jobs.Job{Kind: JobKind, Lane: JobKind, Payload: c.Subject, Due: c.Due}); err != nil {
		return err
	}
	if err := s.tell(ctx, tx, letter, about, c.Due, nil); err != nil {
		return err
	}
	return s.log(ctx, tx, c, account.ClosingAsked, account.AccountClosing, c.By)
}

// concerned is whom letters about a closing go to, and what they call it.
type concerned struct {
	people []account.Member
	name   string // of the organisation; of an account the installation's host
}

func (s *Store) about(ctx context.Context, tx *sql.Tx, c *Closing) (a concerned, err error) {
	switch c.Kind {
	case Organisation:
		err = tx.QueryRowContext(ctx, "select name from organisation where id = $1", c.Subject).Scan(&a.name)
		if errors.Is(err, sql.ErrNoRows) {
			return a, fault.New(fault.NotFound, "There is no organisation %q. assent org list shows them.", c.Subject)
		}
		if err == nil {
			a.people, err = s.Accounts.Owners(ctx, tx, c.Subject)
		}
	case Account:
		var m *account.Member
		if m, err = s.Accounts.MemberByID(ctx, tx, c.Subject); errors.Is(err, sql.ErrNoRows) {
			return a, fault.New(fault.NotFound, "There is no such account. assent user list shows them.")
		}
		if err == nil {
			a.people, a.name = append(a.people, *m), s.host()
		}
	default:
		err = fault.New(fault.Invalid, "There is no closing of the kind %q.", c.Kind)
	}
	return a, err
}

// owned refuses to close the account of who is an organisation's only owner.
func (s *Store) owned(ctx context.Context, tx *sql.Tx, memberID string) error {
	list, err := s.Accounts.SoleOwnerOf(ctx, tx, memberID)
	if err != nil || len(list) == 0 {
		return err
	}
	var names []string
	for _, o := range list {
		names = append(names, o.Name)
	}
	return fault.New(fault.Conflict, "This account is the only owner of %s. Make somebody else an owner, or delete the organisation, first.", strings.Join(names, ", "))
}

// tell writes letters, where there is a mail server. Who asked sees the date on the
// page in any case.
func (s *Store) tell(ctx context.Context, tx *sql.Tx, kind mail.Kind, about concerned, due time.Time, files []mail.File) error {
	if !s.Mail.Configured() {
		return nil
	}
	for _, m := range about.people {
		err := s.Mail.Add(ctx, tx, kind, m.Email, "", mail.Data{Name: m.Name, Place: about.name, Date: due.UTC().Format("2 January 2006"), Files: files})
		if err != nil && fault.KindOf(err) != fault.Unprocessed { // an address that no letter can go to
			return err
		}
	}
	return nil
}

func (s *Store) log(ctx context.Context, tx *sql.Tx, c *Closing, organisation, person, by string) error {
	line := account.Activity{MemberID: by, Action: organisation, Organisation: c.Subject}
	if c.Kind == Account {
		line = account.Activity{MemberID: c.Subject, Action: person}
	}
	line.Detail = map[string]string{"until": c.Due.UTC().Format(time.DateOnly)}
	return s.Accounts.LogIn(ctx, tx, line)
}

// Keep takes a closing back. Errors: fault.NotFound when there is none, or when the
// erasing has begun.
func (s *Store) Keep(ctx context.Context, subject, by string) error {
	return s.DB.Write(ctx, func(tx *sql.Tx) error {
		c, err := get(ctx, tx, subject)
		if err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, "delete from closing where subject = $1 and begun_at = 0", subject)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fault.New(fault.NotFound, "The erasing has begun. It cannot be taken back."))
		}
		return s.log(ctx, tx, c, account.ClosingKept, account.AccountKept, by)
	})
}

var errNone = fault.New(fault.NotFound, "Nothing is to be erased there.")

const columns = "select subject, kind, why, asked_at, asked_by, due_at, reminded_at, begun_at from closing "

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func get(ctx context.Context, q queryer, subject string) (*Closing, error) {
	list, err := scan(q.QueryContext(ctx, columns+"where subject = $1", subject))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errNone
	}
	return &list[0], nil
}

func scan(rows *sql.Rows, err error) (list []Closing, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c Closing
		var asked, due, reminded, begun int64
		if err := rows.Scan(&c.Subject, &c.Kind, &c.Why, &asked, &c.By, &due, &reminded, &begun); err != nil {
			return nil, err
		}
		c.Asked, c.Due, c.Reminded, c.Begun = at(asked), at(due), at(reminded), at(begun)
		list = append(list, c)
	}
	return list, rows.Err()
}

// at reads a time that may be none.
func at(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

// Of is the closing of an organisation or a member; nil when there is none.
func (s *Store) Of(ctx context.Context, subject string) (*Closing, error) {
	c, err := get(ctx, s.DB.Read(), subject)
	if errors.Is(err, errNone) {
		return nil, nil
	}
	return c, s.DB.Explain(err)
}

// List is every closing, the soonest first.
func (s *Store) List(ctx context.Context) ([]Closing, error) {
	list, err := scan(s.DB.Read().QueryContext(ctx, columns+"order by due_at, subject"))
	return list, s.DB.Explain(err)
}

// Done is what was erased for good.
type Done struct {
	ID    string    `json:"id"`
	Kind  string    `json:"kind"`
	At    time.Time `json:"at"`
	Files []string  `json:"files"` // names of its certificates
}

// Forgotten lists what was erased for good and has certificates, the newest first.
func (s *Store) Forgotten(ctx context.Context, limit int) (list []Done, err error) {
	rows, err := s.DB.Read().QueryContext(ctx, `select f.id, f.kind, f.at, c.name from forgotten f join forgotten_file c on c.id = f.id
		order by f.at desc, f.id, c.name limit $1`, limit)
	if err != nil {
		return nil, s.DB.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var d Done
		var millis int64
		var name string
		if err := rows.Scan(&d.ID, &d.Kind, &millis, &name); err != nil {
			return nil, s.DB.Explain(err)
		}
		if n := len(list); n == 0 || list[n-1].ID != d.ID {
			d.At = at(millis)
			list = append(list, d)
		}
		last := &list[len(list)-1]
		last.Files = append(last.Files, name)
	}
	return list, s.DB.Explain(rows.Err())
}

// File is a certificate of what was erased. Errors: fault.NotFound.
func (s *Store) File(ctx context.Context, id, name string) ([]byte, error) {
	var content string
	err := s.DB.Read().QueryRowContext(ctx, "select content from forgotten_file where id = $1 and name = $2", id, name).Scan(&content)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "There is no such certificate. assent org certificates lists them.")
	}
	return []byte(content), s.DB.Explain(err)
}
