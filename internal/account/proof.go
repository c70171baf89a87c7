package account

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"sync"
	"time"

	"assent/internal/fault"
)

// ProofLifetime is how long signing in, a password or a code counts as the proof
// that the member is there, for what cannot be undone.
const ProofLifetime = 10 * time.Minute

// NeedsProof tells whether a capability lets somebody do what cannot be undone,
// or give others access: a session that was left open is not enough for it.
func (c Capability) NeedsProof() bool {
	return c == EraseRecords || c == ManageMembers || c == ManageOrganisation
}

// Proved tells whether the member of a session has proved to be there lately.
func (s *Store) Proved(session *Session) bool {
	return s.now().Before(session.ProvedAt.Add(ProofLifetime))
}

// Prove checks the password, or a code of the second factor, of the member whose
// session token is, and remembers it. Errors: a FieldError for "proof".
func (s *Store) Prove(ctx context.Context, token, proof string) error {
	session, err := s.Session(ctx, token)
	if err != nil {
		return err
	}
	ok, err := s.usesCode(ctx, session.Member.ID, proof)
	if err != nil {
		return err
	}
	if !ok {
		if len(proof) > 4*MaxPassword {
			proof = proof[:4*MaxPassword]
		}
		_, stored, err := selectMember(ctx, s.db.Read(), "id", session.Member.ID)
		if err != nil {
			return s.db.Explain(err)
		}
		if ok, err = s.hasher.matches(ctx, stored, proof); err != nil {
			return err
		}
	}
	if !ok {
		return &FieldError{Field: "proof", Err: fault.New(fault.Unprocessed, "That is not right. Type your password, or a code of your second factor, again.")}
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error { return updateProved(ctx, tx, hashToken(token), s.now()) })
}

// OpenSession is a session as its member sees it.
type OpenSession struct {
	ID                    string // names it, and opens nothing
	CreatedAt, LastSeenAt time.Time
	Here                  bool // the one that asks
	hash                  []byte
}

// Sessions lists the open sessions of the member whose session token is, the
// last used first.
func (s *Store) Sessions(ctx context.Context, token string) ([]OpenSession, error) {
	session, err := s.Session(ctx, token)
	if err != nil {
		return nil, err
	}
	list, err := selectSessions(ctx, s.db.Read(), session.Member.ID, s.now().Add(-SessionIdle), s.now())
	for i := range list {
		list[i].ID = hex.EncodeToString(list[i].hash[:8])
		list[i].Here = bytes.Equal(list[i].hash, hashToken(token))
	}
	return list, s.db.Explain(err)
}

// EndSession ends another session of the same member; one that has ended is no
// error.
func (s *Store) EndSession(ctx context.Context, token, id string) error {
	list, err := s.Sessions(ctx, token)
	if err != nil {
		return err
	}
	session, err := s.Session(ctx, token)
	if err != nil {
		return err
	}
	for _, o := range list {
		if o.ID != id || o.Here {
			continue
		}
		return s.db.Write(ctx, func(tx *sql.Tx) error {
			if err := deleteSession(ctx, tx, o.hash); err != nil {
				return err
			}
			return s.log(ctx, tx, Activity{MemberID: session.Member.ID, Action: SessionEnded})
		})
	}
	return nil
}

// failEvery is how often failed sign-ins of one account, and all of unknown
// accounts together, make a line of the activity; those between are counted.
const failEvery = 10 * time.Minute

// failures bounds what guessing passwords writes. Its keys are IDs of members, so
// it cannot grow beyond them.
type failures struct {
	mu   sync.Mutex
	last map[string]failed
}

type failed struct {
	at time.Time
	n  int // since at, not written yet
}

// count tells how many to write down now; 0: not yet.
func (f *failures) count(memberID string, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == nil {
		f.last = map[string]failed{}
	}
	was, known := f.last[memberID]
	if known && now.Before(was.at.Add(failEvery)) {
		was.n++
		f.last[memberID] = was
		return 0
	}
	f.last[memberID] = failed{at: now}
	return was.n + 1
}
