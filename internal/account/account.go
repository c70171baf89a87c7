// Package account keeps the members of an installation: who may enter the
// console, how they prove it, and what they did there.
package account

import (
	"context"
	"database/sql"
	"errors"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"assent/internal/db"
	"assent/internal/fault"
)

// Member is a person who may enter the console.
type Member struct {
	ID, Email, Name string
	CreatedAt       time.Time
	// Ready is false until the member has chosen a password.
	Ready bool
	// Operator runs the installation: makes organisations, and looks into one
	// only with a reason that its members see.
	Operator bool
	// Language is what the member chose for the console and for letters (BCP 47), "" for
	// what the browser asks for. Only Session sets it.
	Language string
}

// Store keeps members, sessions, one-time links and the activity log. It is
// safe for concurrent use.
type Store struct {
	db       *db.DB
	now      func() time.Time
	hasher   *hasher
	failed   failures
	breached *Breached                                             // nil: no list of the operator
	promise  func(ctx context.Context, tx *sql.Tx, l Letter) error // nil: nobody gets letters
}

// NewStore returns a store on d. A nil now is the system's clock.
func NewStore(d *db.DB, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{db: d, now: now, hasher: newHasher()}
}

// AddMember adds a further owner of the first organisation, who has no password
// yet; PasswordLink lets them choose one. by is the acting member's ID, "" for
// the command line. Errors: as Join's.
func (s *Store) AddMember(ctx context.Context, email, name, by string) (*Member, error) {
	return s.Join(ctx, Joining{Email: email, Name: name, Organisation: db.FirstOrganisation, Role: Owner, By: by})
}

// Members lists everybody who may sign in, oldest first.
func (s *Store) Members(ctx context.Context) ([]Member, error) {
	list, err := selectMembers(ctx, s.db.Read())
	return list, s.db.Explain(err)
}

// MemberByEmail finds a member by address, in any case of letters.
func (s *Store) MemberByEmail(ctx context.Context, email string) (*Member, error) {
	folded, err := foldEmail(email)
	if err != nil {
		return nil, err
	}
	m, _, err := selectMember(ctx, s.db.Read(), "email", folded)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "No member has that e-mail address. List the members with: assent user list")
	}
	return m, s.db.Explain(err)
}

func (s *Store) newMember(email, name string) *Member {
	return &Member{ID: uuid.Must(uuid.NewV7()).String(), Email: email, Name: strings.TrimSpace(name), CreatedAt: s.now().UTC().Truncate(time.Millisecond)}
}

// maxEmail is the longest address that SMTP can carry (RFC 5321, 4.5.3.1.3),
// in octets.
const maxEmail = 254

// maxName is how long a member's name may be, in characters.
const maxName = 200

// foldEmail checks an address and folds it to lower case, so that one person
// cannot have two accounts by the case of a letter.
func foldEmail(email string) (string, error) {
	email = strings.TrimSpace(email)
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > maxEmail {
		return "", &FieldError{Field: "email", Err: fault.New(fault.Unprocessed, "That is not an e-mail address. Write it like name@example.com.")}
	}
	return strings.ToLower(email), nil
}

func checkName(name string) error {
	if utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return &FieldError{Field: "name", Err: fault.New(fault.Unprocessed, "The name is longer than %d characters. Shorten it.", maxName)}
	}
	return nil
}

// FieldError says which input a fault is about: email, name, role, until,
// reason, code, proof, password or current (the present password).
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Err.Error() }

func (e *FieldError) Unwrap() error { return e.Err }
