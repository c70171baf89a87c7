package account

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
)

// The letters that members get, named as internal/mail names them.
const (
	LetterJoin     = "join"     // an invitation, which works as long as InvitationLifetime says
	LetterForgot   = "forgot"   // a link for a new password
	LetterConfirm  = "confirm"  // whether the address is theirs
	LetterDevice   = "device"   // a sign-in from a browser that was not known
	LetterPassword = "password" // the password was changed
	LetterFactor   = "factor"   // the second factor was switched on or off
)

// Letter is what somebody is to be told by mail.
type Letter struct {
	Kind, To, Language string
	Name, By, Place    string
	Token              string // of the link; "" for a letter without one
}

// ForgotLifetime is how long the link of a forgotten password can be used, and
// forgotEvery how often one is made for the same account.
const (
	ForgotLifetime = time.Hour
	forgotEvery    = 5 * time.Minute
)

// OnLetter sets who promises letters, in the transaction of what they are about. Without
// it nobody gets any, and links are handed over. It is called once, before the store is
// used.
func (s *Store) OnLetter(promise func(ctx context.Context, tx *sql.Tx, l Letter) error) {
	s.promise = promise
}

// Writes tells whether letters are sent.
func (s *Store) Writes() bool { return s.promise != nil }

// tell promises a member a letter, if their address is confirmed.
func (s *Store) tell(ctx context.Context, tx *sql.Tx, memberID, kind, token string) error {
	if s.promise == nil {
		return nil
	}
	m, _, err := selectMember(ctx, tx, "id", memberID)
	if err != nil {
		return err
	}
	verified, language, err := selectReach(ctx, tx, memberID)
	if err != nil || !verified && kind != LetterConfirm {
		return err
	}
	return s.promise(ctx, tx, Letter{Kind: kind, To: m.Email, Language: language, Name: m.Name, Token: token})
}

// selectReach tells whether a member's address is confirmed, and in which language to write.
func selectReach(ctx context.Context, q reader, memberID string) (verified bool, language string, err error) {
	var at int64
	err = q.QueryRowContext(ctx, "select verified_at, case when chosen_language <> '' then chosen_language else language end from member where id = $1", memberID).Scan(&at, &language)
	return at > 0, language, err
}

// Verified tells whether a member's address is confirmed.
func (s *Store) Verified(ctx context.Context, memberID string) (bool, error) {
	verified, _, err := selectReach(ctx, s.db.Read(), memberID)
	return verified, s.db.Explain(err)
}

// mayInvite refuses who could have signed up with an address of somebody else.
func (s *Store) mayInvite(ctx context.Context, tx *sql.Tx, by string) error {
	if s.promise == nil || by == "" {
		return nil
	}
	verified, _, err := selectReach(ctx, tx, by)
	if err == nil && !verified {
		err = fault.New(fault.Forbidden, "Confirm your own e-mail address first, under Your account. Then invite others.")
	}
	return err
}

// mailInvitation sends an invitation, where letters are sent. Who takes it can read the
// mail of its address.
func (s *Store) mailInvitation(ctx context.Context, tx *sql.Tx, i Invitation, language, token string) error {
	if s.promise == nil {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "update invitation set mailed = true where id = $1", i.ID); err != nil {
		return err
	}
	l := Letter{Kind: LetterJoin, To: i.Email, Language: language, Name: i.Name, Token: token}
	if i.by != "" {
		m, _, err := selectMember(ctx, tx, "id", i.by)
		if err != nil {
			return err
		}
		l.By = cmp.Or(m.Name, m.Email)
	}
	if err := tx.QueryRowContext(ctx, "select name from organisation where id = $1", i.Organisation.ID).Scan(&l.Place); err != nil {
		return err
	}
	return s.promise(ctx, tx, l)
}

// AskConfirmation sends a member the link with which they confirm their address. One
// that is confirmed is no error. Errors: fault.TooMany within five minutes,
// fault.Unavailable without a mail server.
func (s *Store) AskConfirmation(ctx context.Context, memberID string) error {
	if s.promise == nil {
		return fault.New(fault.Unavailable, "This server sends no mail, so there is nothing to confirm.")
	}
	now, token := s.now(), newToken()
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if verified, _, err := selectReach(ctx, tx, memberID); err != nil || verified {
			return err
		}
		var fresh int
		if err := tx.QueryRowContext(ctx, "select count(*) from confirm_link where member_id = $1 and expires_at > $2", memberID, now.Add(LinkLifetime-forgotEvery).UnixMilli()).Scan(&fresh); err != nil {
			return err
		}
		if fresh > 0 {
			return fault.New(fault.TooMany, "The letter was sent a moment ago. Look among the junk, or try again in five minutes.")
		}
		if _, err := tx.ExecContext(ctx, "delete from confirm_link where member_id = $1 or expires_at <= $2", memberID, now.UnixMilli()); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "insert into confirm_link (token_hash, member_id, expires_at) values ($1, $2, $3)", hexHash(token), memberID, now.Add(LinkLifetime).UnixMilli()); err != nil {
			return err
		}
		if err := s.tell(ctx, tx, memberID, LetterConfirm, token); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: memberID, Action: ConfirmAsked})
	})
}

var errConfirm = fault.New(fault.NotFound, "This link has been used, has expired or was replaced. Ask for a new one under Your account.")

// Confirmable tells whether a confirmation's secret can be used. Errors: fault.NotFound.
func (s *Store) Confirmable(ctx context.Context, token string) error {
	var memberID string
	err := s.db.Read().QueryRowContext(ctx, "select member_id from confirm_link where token_hash = $1 and expires_at > $2", hexHash(token), s.now().UnixMilli()).Scan(&memberID)
	if errors.Is(err, sql.ErrNoRows) {
		return errConfirm
	}
	return s.db.Explain(err)
}

// Confirm uses a confirmation's secret up. Errors: fault.NotFound.
func (s *Store) Confirm(ctx context.Context, token string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var memberID string
		err := tx.QueryRowContext(ctx, "delete from confirm_link where token_hash = $1 and expires_at > $2 returning member_id", hexHash(token), s.now().UnixMilli()).Scan(&memberID)
		if errors.Is(err, sql.ErrNoRows) {
			return errConfirm
		}
		if err != nil {
			return err
		}
		return s.verify(ctx, tx, memberID)
	})
}

// verify notes that a member can read the mail of their address.
func (s *Store) verify(ctx context.Context, tx *sql.Tx, memberID string) error {
	done, err := tx.ExecContext(ctx, "update member set verified_at = $1 where id = $2 and verified_at = 0", s.now().UnixMilli(), memberID)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return s.log(ctx, tx, Activity{MemberID: memberID, Action: Confirmed, Fields: []db.Field{{Name: "address", Before: "not confirmed", After: "confirmed"}}})
}

// Forgot sends the member of an address a link for a new password: it works once, and
// for an hour. Whether there is such a member, and whether a letter is sent, the caller
// does not learn. The link changes nothing before it is used.
func (s *Store) Forgot(ctx context.Context, email string) error {
	folded, err := foldEmail(email)
	if err != nil {
		return nil
	}
	now, token := s.now(), newToken()
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		m, _, err := selectMember(ctx, tx, "email", folded)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		verified, _, err := selectReach(ctx, tx, m.ID)
		if err != nil || !verified || s.promise == nil {
			return err
		}
		var fresh int
		if err := tx.QueryRowContext(ctx, "select count(*) from setup_link where member_id = $1 and created_at > $2", m.ID, now.Add(-forgotEvery).UnixMilli()).Scan(&fresh); err != nil || fresh > 0 {
			return err
		}
		if err := replaceLink(ctx, tx, hashToken(token), m.ID, now, now.Add(ForgotLifetime)); err != nil {
			return err
		}
		if err := s.tell(ctx, tx, m.ID, LetterForgot, token); err != nil {
			return err
		}
		return s.log(db.As(ctx, db.Actor{Kind: db.Nobody}), tx, Activity{About: m.ID, Action: PasswordAsked})
	})
}

const (
	devicesKept  = 20                   // of a member
	deviceForget = 400 * 24 * time.Hour // after which one is not known any more; the longest that browsers keep a cookie
)

// Recognise tells a member by mail when they signed in from a browser that was not known;
// the first one is not news. device is the cookie's value, "" for none; the one that is
// returned is to be kept by the browser. language is that of the browser.
func (s *Store) Recognise(ctx context.Context, m *Member, device, language string) (string, error) {
	now := s.now()
	fresh := device == "" || len(device) > 100
	if fresh {
		device = newToken()
	}
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "update member set language = $1 where id = $2 and language <> $1", language, m.ID); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "delete from device where member_id = $1 and seen_at < $2", m.ID, now.Add(-deviceForget).UnixMilli()); err != nil {
			return err
		}
		var known, others int
		if err := tx.QueryRowContext(ctx, "select coalesce(sum(case when hash = $1 then 1 else 0 end), 0), count(*) from device where member_id = $2", hexHash(device), m.ID).Scan(&known, &others); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `insert into device (member_id, hash, seen_at) values ($1, $2, $3)
			on conflict (member_id, hash) do update set seen_at = excluded.seen_at`, m.ID, hexHash(device), now.UnixMilli()); err != nil {
			return err
		}
		if known > 0 || others == 0 {
			return nil
		}
		if _, err := tx.ExecContext(ctx, "delete from device where member_id = $1 and hash not in (select hash from device where member_id = $1 order by seen_at desc, hash limit $2)", m.ID, devicesKept); err != nil {
			return err
		}
		if err := s.tell(ctx, tx, m.ID, LetterDevice, ""); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: m.ID, Action: NewDevice})
	})
	return device, err
}
