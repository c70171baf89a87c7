package account

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
)

// A session ends after SessionIdle without a request, and after SessionMax
// whatever happens.
const (
	SessionIdle = 12 * time.Hour
	SessionMax  = 7 * 24 * time.Hour
)

// seenEvery is how exactly a session's last request is kept; a write for every
// page view would make readers into writers.
const seenEvery = time.Minute

// Session is one signed-in browser.
type Session struct {
	Member                *Member
	CreatedAt, LastSeenAt time.Time
	ExpiresAt, ProvedAt   time.Time
}

// One answer for an unknown address and for a wrong password, so that nobody
// learns who has an account.
var errSignIn = fault.New(fault.Unauthorized, "The e-mail address or the password is not right. Check both, or ask whoever runs this server for a new link.")

// ErrSignedOut is the fault.Unauthorized that Session returns.
var ErrSignedOut = fault.New(fault.Unauthorized, "You are signed out. Sign in to go on.")

// SignIn checks a password and opens a session. The token goes into the cookie;
// only its hash is stored. Errors: fault.Unauthorized, always the same and
// always after the same work; ErrCodeWanted where the member has a second factor.
func (s *Store) SignIn(ctx context.Context, email, password string) (token string, m *Member, err error) {
	if len(password) > 4*MaxPassword {
		password = password[:4*MaxPassword] // cannot be right, and must not cost more
	}
	var stored string
	if folded, err := foldEmail(email); err == nil {
		m, stored, err = selectMember(ctx, s.db.Read(), "email", folded)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return "", nil, s.db.Explain(err)
		}
	}
	ok, err := s.hasher.matches(ctx, stored, password)
	if err != nil {
		return "", nil, err
	}
	if !ok || m == nil {
		id := ""
		if m != nil {
			id = m.ID
		}
		s.noteFailure(ctx, id)
		return "", nil, errSignIn
	}
	if f, err := s.SecondFactor(ctx, m.ID); err != nil {
		return "", nil, err
	} else if f.On {
		token, err = s.step(ctx, m)
		return token, m, err
	}
	token, err = s.open(ctx, m, SignedIn)
	return token, m, err
}

// noteFailure writes down that somebody failed to sign in; memberID is "" where
// there is no such account. A database that cannot be written to changes nothing
// of the answer.
func (s *Store) noteFailure(ctx context.Context, memberID string) {
	n := s.failed.count(memberID, s.now())
	if n == 0 {
		return
	}
	_ = s.Log(db.As(ctx, db.Actor{Kind: db.Nobody}), Activity{About: memberID, Action: SignInFailed, Detail: map[string]string{"times": strconv.Itoa(n)}})
}

// Open starts a session for a member who has just proved who they are by other
// means, a one-time link.
func (s *Store) Open(ctx context.Context, m *Member) (token string, err error) {
	return s.open(ctx, m, SignedIn)
}

func (s *Store) open(ctx context.Context, m *Member, action string) (token string, err error) {
	token = newToken()
	now := s.now()
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := deleteEndedSessions(ctx, tx, now.Add(-SessionIdle), now); err != nil {
			return err
		}
		if err := insertSession(ctx, tx, hashToken(token), m.ID, now, now.Add(SessionMax)); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: m.ID, Action: action})
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// Session finds the session of a cookie and keeps it alive. Errors:
// ErrSignedOut when there is none or it has ended.
func (s *Store) Session(ctx context.Context, token string) (*Session, error) {
	if token == "" {
		return nil, ErrSignedOut
	}
	hash, now := hashToken(token), s.now()
	session, err := selectSession(ctx, s.db.Read(), hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrSignedOut
	}
	if err != nil {
		return nil, s.db.Explain(err)
	}
	if !now.Before(session.ExpiresAt) || !now.Before(session.LastSeenAt.Add(SessionIdle)) {
		return nil, ErrSignedOut
	}
	if now.Sub(session.LastSeenAt) >= seenEvery {
		err := s.db.Write(ctx, func(tx *sql.Tx) error { return touchSession(ctx, tx, hash, now) })
		switch fault.KindOf(err) {
		case fault.Unavailable: // a full disk must not shut out whoever wants to see why
		default:
			if err != nil {
				return nil, err
			}
			session.LastSeenAt = now
		}
	}
	return session, nil
}

// SignOut ends the session of a cookie; an unknown one is no error.
func (s *Store) SignOut(ctx context.Context, token string) error {
	session, err := s.Session(ctx, token)
	if errors.Is(err, ErrSignedOut) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := deleteSession(ctx, tx, hashToken(token)); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: session.Member.ID, Action: SignedOut})
	})
}

// ChangePassword replaces the password of the member whose session token is
// and ends the member's other sessions. Errors: a FieldError for "current" or
// "password".
func (s *Store) ChangePassword(ctx context.Context, token, current, next string, names ...string) error {
	session, err := s.Session(ctx, token)
	if err != nil {
		return err
	}
	m, stored, err := selectMember(ctx, s.db.Read(), "id", session.Member.ID)
	if err != nil {
		return s.db.Explain(err)
	}
	if err := s.CheckPassword(next, m.Email, names...); err != nil {
		return err
	}
	ok, err := s.hasher.matches(ctx, stored, current)
	if err != nil {
		return err
	}
	if !ok {
		return &FieldError{Field: "current", Err: fault.New(fault.Unprocessed, "That is not your present password. Type it again.")}
	}
	hash, err := s.hasher.hash(ctx, next)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := updatePassword(ctx, tx, m.ID, hash, s.now()); err != nil {
			return err
		}
		if err := deleteSessionsOf(ctx, tx, m.ID, hashToken(token)); err != nil {
			return err
		}
		if err := s.tell(ctx, tx, m.ID, LetterPassword, ""); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: m.ID, Action: PasswordChanged})
	})
}
