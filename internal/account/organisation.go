package account

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"assent/internal/db"
	"assent/internal/fault"
)

// Organisation is a customer: it owns sites, and its members work on them.
type Organisation struct {
	ID        string // 12 letters and digits; db.FirstOrganisation for the first
	Name      string
	CreatedAt time.Time
}

// Access is what a person is in an organisation at this moment.
type Access struct {
	Organisation Organisation
	Role         Role
	ExpiresAt    time.Time // zero: without end
	Reason       string    // of Support
	Erased       time.Time // when the organisation is erased for good; zero: nobody asked
}

// Can tells whether the access has a capability; nil has none.
func (a *Access) Can(c Capability) bool { return a != nil && a.Role.Can(c) }

// Membership is a member of an organisation, seen from the organisation.
type Membership struct {
	Member    Member
	Role      Role
	CreatedAt time.Time
	ExpiresAt time.Time // zero: without end
	Reason    string    // of Support
}

// Over tells whether the membership has ended.
func (m *Membership) Over(now time.Time) bool {
	return !m.ExpiresAt.IsZero() && !now.Before(m.ExpiresAt)
}

// ErrNoOrganisation is what a person is told of an organisation that they do
// not belong to, whether there is one or not.
var ErrNoOrganisation = fault.New(fault.NotFound, "There is no such organisation among yours. Choose one from the list.")

// Access tells what a member is in an organisation. Errors: ErrNoOrganisation
// when they do not belong to it, or not any more.
func (s *Store) Access(ctx context.Context, memberID, organisation string) (*Access, error) {
	list, err := selectAccesses(ctx, s.db.Read(), memberID, organisation, s.now())
	if err != nil {
		return nil, s.db.Explain(err)
	}
	if len(list) == 0 {
		return nil, ErrNoOrganisation
	}
	return &list[0], nil
}

// Accesses lists the organisations of a member, by name.
func (s *Store) Accesses(ctx context.Context, memberID string) ([]Access, error) {
	list, err := selectAccesses(ctx, s.db.Read(), memberID, "", s.now())
	return list, s.db.Explain(err)
}

// Memberships lists who belongs to an organisation, oldest first, those whose
// time is over too.
func (s *Store) Memberships(ctx context.Context, organisation string) ([]Membership, error) {
	list, err := selectMemberships(ctx, s.db.Read(), organisation)
	return list, s.db.Explain(err)
}

// Organisations lists all of the installation, oldest first.
func (s *Store) Organisations(ctx context.Context) ([]Organisation, error) {
	list, err := selectOrganisations(ctx, s.db.Read(), "")
	return list, s.db.Explain(err)
}

// Organisation finds one. Errors: fault.NotFound.
func (s *Store) Organisation(ctx context.Context, id string) (*Organisation, error) {
	list, err := selectOrganisations(ctx, s.db.Read(), id)
	if err != nil {
		return nil, s.db.Explain(err)
	}
	if len(list) == 0 || id == "" {
		return nil, fault.New(fault.NotFound, "There is no organisation %q. assent org list shows them.", id)
	}
	return &list[0], nil
}

// OnlyOrganisation is the one that is meant where none is named. Errors:
// fault.Invalid when there are several.
func (s *Store) OnlyOrganisation(ctx context.Context) (*Organisation, error) {
	list, err := s.Organisations(ctx)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fault.New(fault.Invalid, "There is no organisation. Make one: assent org add --name N")
	}
	if len(list) != 1 {
		return nil, fault.New(fault.Invalid, "There are %d organisations. Say which one you mean: --org ID; assent org list shows them.", len(list))
	}
	return &list[0], nil
}

// maxOrganisation is how long an organisation's name may be, in characters.
const maxOrganisation = 200

func checkOrganisation(name string) (string, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > maxOrganisation || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return "", &FieldError{Field: "name", Err: fault.New(fault.Unprocessed, "Give the organisation a name of 1 to %d characters, in one line.", maxOrganisation)}
	}
	return name, nil
}

// AddOrganisation makes an organisation without members. by is the acting
// member's ID, "" for the command line. Errors: a FieldError for "name".
func (s *Store) AddOrganisation(ctx context.Context, name, by string) (*Organisation, error) {
	name, err := checkOrganisation(name)
	if err != nil {
		return nil, err
	}
	o := &Organisation{ID: strings.ToLower(rand.Text()[:12]), Name: name, CreatedAt: s.now().UTC().Truncate(time.Millisecond)}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := insertOrganisation(ctx, tx, o); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: by, Action: OrganisationAdded, Organisation: o.ID, Fields: db.Fields(nil, map[string]string{"name": name})})
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

// RenameOrganisation gives it another name. Errors: a FieldError for "name",
// fault.NotFound.
func (s *Store) RenameOrganisation(ctx context.Context, id, name, by string) error {
	name, err := checkOrganisation(name)
	if err != nil {
		return err
	}
	before, err := s.Organisation(ctx, id)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := updateOrganisation(ctx, tx, id, name); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: by, Action: OrganisationRenamed, Organisation: id, Fields: db.Fields(map[string]string{"name": before.Name}, map[string]string{"name": name})})
	})
}

// Joining is a person who is to belong to an organisation.
type Joining struct {
	Email, Name  string // the name counts only for a new account
	Organisation string
	Role         Role
	Until        time.Time // zero: without end; an auditor has one
	By           string    // the acting member's ID, "" for the command line
	Language     string    // of an invitation's letter, BCP 47
}

// AuditFor is how long an auditor may look when nobody says otherwise.
const AuditFor = 30 * 24 * time.Hour

// auditAtMost is the longest that an auditor can be given.
const auditAtMost = 366 * 24 * time.Hour

// check fills in what was left out.
func (j *Joining) check(now time.Time) error {
	if !slices.Contains(Roles, j.Role) {
		var words []string
		for _, r := range Roles {
			words = append(words, string(r))
		}
		return &FieldError{Field: "role", Err: fault.New(fault.Unprocessed, "There is no role %q. Choose one of %s.", string(j.Role), strings.Join(words, ", "))}
	}
	if j.Role != Auditor {
		if !j.Until.IsZero() {
			return &FieldError{Field: "until", Err: fault.New(fault.Unprocessed, "Only an auditor's access has an end. Leave the day empty, or choose the role auditor.")}
		}
		return nil
	}
	if j.Until.IsZero() {
		j.Until = now.Add(AuditFor)
	}
	if !j.Until.After(now) || j.Until.After(now.Add(auditAtMost)) {
		return &FieldError{Field: "until", Err: fault.New(fault.Unprocessed, "An auditor's access ends between now and a year from now. Choose another day.")}
	}
	return nil
}

// Join makes a person a member of an organisation, and gives them an account
// when they have none; PasswordLink then lets them choose a password. Errors:
// a FieldError (fault.Conflict for one who belongs to it already),
// fault.NotFound for the organisation.
func (s *Store) Join(ctx context.Context, j Joining) (*Member, error) {
	email, err := foldEmail(j.Email)
	if err != nil {
		return nil, err
	}
	if err := checkName(j.Name); err != nil {
		return nil, err
	}
	if err := j.check(s.now()); err != nil {
		return nil, err
	}
	if _, err := s.Organisation(ctx, j.Organisation); err != nil {
		return nil, err
	}
	var m *Member
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		m, _, err = selectMember(ctx, tx, "email", email)
		if errors.Is(err, sql.ErrNoRows) {
			m = s.newMember(email, j.Name)
			err = insertMember(ctx, tx, m, "")
		}
		if err != nil {
			return err
		}
		return s.join(ctx, tx, m, j)
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (s *Store) join(ctx context.Context, tx *sql.Tx, m *Member, j Joining) error {
	if err := deleteEndedMembership(ctx, tx, j.Organisation, m.ID, s.now()); err != nil {
		return err
	}
	added, err := insertMembership(ctx, tx, j.Organisation, Membership{Member: *m, Role: j.Role, CreatedAt: s.now(), ExpiresAt: j.Until})
	if err != nil {
		return err
	}
	if !added {
		return &FieldError{Field: "email", Err: fault.New(fault.Conflict, "That person belongs to the organisation already. Change the role instead.")}
	}
	return s.log(ctx, tx, Activity{MemberID: j.By, Action: MemberAdded, Organisation: j.Organisation, Target: m.ID, Fields: db.Fields(nil, roleFields(j.Role, j.Until))})
}

// roleFields are a membership as the audit log has it.
func roleFields(role Role, until time.Time) map[string]string {
	fields := map[string]string{"role": string(role)}
	if !until.IsZero() {
		fields["until"] = until.UTC().Format(time.RFC3339)
	}
	return fields
}
