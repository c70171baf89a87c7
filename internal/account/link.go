package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
)

// LinkLifetime is how long a one-time link can be used.
const LinkLifetime = 24 * time.Hour

// Which sentence helps depends on whether anybody can sign in already.
var (
	errSetupLink = fault.New(fault.NotFound, "This link has expired or was replaced. Start the server again: it prints a new one.")
	errLink      = fault.New(fault.NotFound, "This link has been used, has expired or was replaced. Ask for a new one: on the server, run assent user reset with the e-mail address.")
)

// SetupLink makes the one-time secret with which the first member is created,
// replacing an earlier one. Only its hash is stored. It returns "" when there
// is a member already: then nobody needs it.
func (s *Store) SetupLink(ctx context.Context) (token string, err error) {
	token = newToken()
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		n, err := countMembers(ctx, tx)
		if err != nil {
			return err
		}
		if n > 0 {
			token = ""
			return nil
		}
		return replaceLink(ctx, tx, hashToken(token), "", s.now(), s.now().Add(LinkLifetime))
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// PasswordLink makes a one-time secret with which the member chooses a
// password, replacing earlier ones of that member. by is the acting member's
// ID, "" for the command line. Errors: fault.NotFound for an unknown address.
func (s *Store) PasswordLink(ctx context.Context, email, by string) (token string, err error) {
	m, err := s.MemberByEmail(ctx, email)
	if err != nil {
		return "", err
	}
	token = newToken()
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := replaceLink(ctx, tx, hashToken(token), m.ID, s.now(), s.now().Add(LinkLifetime)); err != nil {
			return err
		}
		// Whoever has the link can act for the member: all of the member's organisations see that it was made.
		list, err := selectAccesses(ctx, tx, m.ID, "", s.now())
		if err != nil {
			return err
		}
		var told []Activity
		for _, a := range list {
			told = append(told, Activity{MemberID: by, Action: MemberLink, Organisation: a.Organisation.ID, Target: m.ID})
		}
		if told == nil {
			told = []Activity{{MemberID: by, About: m.ID, Action: MemberLink}}
		}
		return s.log(ctx, tx, told...)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// Link tells whom a one-time secret is for: nil for the first member's set-up.
// Errors: fault.NotFound when it cannot be used.
func (s *Store) Link(ctx context.Context, token string) (*Member, error) {
	memberID, err := selectLink(ctx, s.db.Read(), hashToken(token), s.now())
	unknown := errors.Is(err, sql.ErrNoRows)
	if err != nil && !unknown {
		return nil, s.db.Explain(err)
	}
	if memberID == "" { // unknown, or the first member's
		n, err := countMembers(ctx, s.db.Read())
		switch {
		case err != nil:
			return nil, s.db.Explain(err)
		case n > 0:
			return nil, errLink
		case unknown:
			return nil, errSetupLink
		}
		return nil, nil
	}
	m, _, err := selectMember(ctx, s.db.Read(), "id", memberID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errLink
	}
	return m, s.db.Explain(err)
}

// NewMember is what a person enters behind a one-time link.
type NewMember struct {
	Email, Name string   // ignored behind a password link: the member has them
	Password    string   //
	Names       []string // further words that the password may not be (site names)
}

// Setup uses a one-time secret up: it creates the first member, or gives an
// existing one a new password and ends their sessions. Errors: fault.NotFound
// when the secret cannot be used, a FieldError for what was entered.
func (s *Store) Setup(ctx context.Context, token string, n NewMember) (*Member, error) {
	m, err := s.Link(ctx, token)
	if err != nil {
		return nil, err
	}
	first := m == nil
	if first {
		email, err := foldEmail(n.Email)
		if err != nil {
			return nil, err
		}
		if err := checkName(n.Name); err != nil {
			return nil, err
		}
		m = s.newMember(email, n.Name)
	}
	if err := s.CheckPassword(n.Password, m.Email, n.Names...); err != nil {
		return nil, err
	}
	hash, err := s.hasher.hash(ctx, n.Password)
	if err != nil {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		// Two may hold the link: only one of them deletes its row.
		if used, err := deleteLink(ctx, tx, hashToken(token), s.now()); err != nil || !used {
			return orElse(err, errLink)
		}
		if first {
			if n, err := countMembers(ctx, tx); err != nil || n > 0 {
				return orElse(err, errLink)
			}
			if err := insertMember(ctx, tx, m, hash); err != nil {
				return err
			}
			return s.found(ctx, tx, m)
		}
		if err := updatePassword(ctx, tx, m.ID, hash, s.now()); err != nil {
			return err
		}
		if err := deleteSessionsOf(ctx, tx, m.ID, nil); err != nil {
			return err
		}
		if err := s.tell(ctx, tx, m.ID, LetterPassword, ""); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: m.ID, Action: PasswordSet})
	})
	if err != nil {
		return nil, err
	}
	m.Ready = true
	return m, nil
}

// found makes whoever sets the installation up its operator, and an owner of its
// first organisation.
func (s *Store) found(ctx context.Context, tx *sql.Tx, m *Member) error {
	m.Operator = true
	if err := setOperator(ctx, tx, m.ID, true); err != nil {
		return err
	}
	if err := s.ensureFirst(ctx, tx); err != nil {
		return err
	}
	if _, err := insertMembership(ctx, tx, db.FirstOrganisation, Membership{Member: *m, Role: Owner, CreatedAt: m.CreatedAt}); err != nil {
		return err
	}
	return s.log(ctx, tx, Activity{MemberID: m.ID, Action: MemberSetUp, Organisation: db.FirstOrganisation, Target: m.ID, Fields: db.Fields(nil, map[string]string{"role": string(Owner), "operator": "true"})})
}

func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// newToken is 32 random bytes in base64url: 43 characters.
func newToken() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// hashToken is what is stored of a token. A fast hash is right: the token
// itself is random, so nobody can try candidates.
func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return sum[:]
}
