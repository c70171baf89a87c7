package account

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"assent/internal/db"
	"assent/internal/fault"
)

// InvitationLifetime is how long the link of an invitation can be used.
const InvitationLifetime = 7 * 24 * time.Hour

// Invitation asks a person into an organisation. Only who has its link, and the
// account with its address, can take it.
type Invitation struct {
	ID                   string
	Organisation         Organisation
	Email, Name          string
	Role                 Role
	Until                time.Time // of the membership; zero: without end
	CreatedAt, ExpiresAt time.Time
	by                   string
}

var (
	errInvitation = fault.New(fault.NotFound, "This invitation has been used, withdrawn or replaced, or has expired. Ask an owner of the organisation for a new one.")
	errLastOwner  = fault.New(fault.Conflict, "An organisation has to have an owner who can sign in. Make somebody else an owner first.")
	errNoMember   = fault.New(fault.NotFound, "That person does not belong to the organisation any more. Reload the page.")
)

// Invite makes the one-time secret with which a person joins, and replaces an
// earlier one for the same address. Errors: as Join's.
func (s *Store) Invite(ctx context.Context, j Joining) (token string, err error) {
	email, err := foldEmail(j.Email)
	if err != nil {
		return "", err
	}
	if err := checkName(j.Name); err != nil {
		return "", err
	}
	if err := j.check(s.now()); err != nil {
		return "", err
	}
	if _, err := s.Organisation(ctx, j.Organisation); err != nil {
		return "", err
	}
	token = newToken()
	now := s.now()
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := s.mayInvite(ctx, tx, j.By); err != nil {
			return err
		}
		belongs, err := belongsByEmail(ctx, tx, j.Organisation, email, now)
		if err != nil {
			return err
		}
		if belongs {
			return &FieldError{Field: "email", Err: fault.New(fault.Conflict, "That person belongs to the organisation already. Change the role instead.")}
		}
		i := Invitation{ID: uuid.Must(uuid.NewV7()).String(), Organisation: Organisation{ID: j.Organisation}, Email: email, Name: strings.TrimSpace(j.Name),
			Role: j.Role, Until: j.Until, CreatedAt: now, ExpiresAt: now.Add(InvitationLifetime), by: j.By}
		if err := replaceInvitation(ctx, tx, i, hexHash(token)); err != nil {
			return err
		}
		if err := s.mailInvitation(ctx, tx, i, j.Language, token); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: j.By, Action: MemberInvited, Organisation: j.Organisation, Target: i.ID, Detail: map[string]string{"role": string(j.Role)}})
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

func hexHash(token string) string { return hex.EncodeToString(hashToken(token)) }

// Invitations lists those of an organisation that can still be taken.
func (s *Store) Invitations(ctx context.Context, organisation string) ([]Invitation, error) {
	list, err := selectInvitations(ctx, s.db.Read(), "i.organisation_id", organisation, s.now())
	return list, s.db.Explain(err)
}

// Withdraw takes an invitation back; one that is gone is no error.
func (s *Store) Withdraw(ctx context.Context, organisation, id, by string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if gone, err := deleteInvitation(ctx, tx, organisation, id); err != nil || !gone {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: by, Action: InvitationWithdrawn, Organisation: organisation, Target: id})
	})
}

// Invitation finds the one of a secret, and the account that its address has:
// nil when there is none yet. Errors: fault.NotFound when it cannot be used,
// fault.Conflict while an account waits for its own link.
func (s *Store) Invitation(ctx context.Context, token string) (*Invitation, *Member, error) {
	return s.invitation(ctx, s.db.Read(), token)
}

func (s *Store) invitation(ctx context.Context, q reader, token string) (*Invitation, *Member, error) {
	list, err := selectInvitations(ctx, q, "i.token_hash", hexHash(token), s.now())
	if err != nil {
		return nil, nil, s.db.Explain(err)
	}
	if len(list) == 0 {
		return nil, nil, errInvitation
	}
	i := &list[0]
	m, _, err := selectMember(ctx, q, "email", i.Email)
	if errors.Is(err, sql.ErrNoRows) {
		return i, nil, nil
	}
	if err != nil {
		return nil, nil, s.db.Explain(err)
	}
	if !m.Ready {
		// Whoever invites holds the link: it must not open an account that others made.
		return nil, nil, fault.New(fault.Conflict, "Your account waits for its password. Use the link that you were given for that first, then this one.")
	}
	return i, m, nil
}

// Accept makes a person a member by an invitation. signedIn is the member whose
// session it is, nil when an account is to be made: then n is what was entered.
// Errors: fault.NotFound, fault.Forbidden when it is somebody else's, FieldErrors.
func (s *Store) Accept(ctx context.Context, token string, signedIn *Member, n NewMember) (*Member, error) {
	i, m, err := s.Invitation(ctx, token)
	if err != nil {
		return nil, err
	}
	if m != nil && (signedIn == nil || signedIn.ID != m.ID) || m == nil && signedIn != nil {
		return nil, fault.New(fault.Forbidden, "This invitation is for %s. Sign in with that account, then open the link again.", i.Email)
	}
	hash := ""
	if m == nil {
		if err := checkName(n.Name); err != nil {
			return nil, err
		}
		if err := s.CheckPassword(n.Password, i.Email, n.Names...); err != nil {
			return nil, err
		}
		if hash, err = s.hasher.hash(ctx, n.Password); err != nil {
			return nil, err
		}
	}
	isNew := m == nil
	if isNew {
		m = s.newMember(i.Email, n.Name)
		m.Ready = true
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		var mailed bool
		if err := tx.QueryRowContext(ctx, "select mailed from invitation where id = $1", i.ID).Scan(&mailed); err != nil {
			return orElse(noRows(err), errInvitation)
		}
		// Two may hold the link: only one of them deletes its row.
		if used, err := deleteInvitation(ctx, tx, i.Organisation.ID, i.ID); err != nil || !used {
			return orElse(err, errInvitation)
		}
		if isNew {
			if err := insertMember(ctx, tx, m, hash); err != nil {
				return err
			}
		}
		if mailed {
			if err := s.verify(ctx, tx, m.ID); err != nil {
				return err
			}
		}
		return s.join(ctx, tx, m, Joining{Organisation: i.Organisation.ID, Role: i.Role, Until: i.Until, By: m.ID})
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// ChangeRole gives a member another role in an organisation. Errors:
// fault.NotFound, fault.Conflict for the last owner, FieldErrors.
func (s *Store) ChangeRole(ctx context.Context, memberID string, j Joining) error {
	if err := j.check(s.now()); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := s.keepOwner(ctx, tx, j.Organisation, memberID, j.Role == Owner); err != nil {
			return err
		}
		before, until, err := selectRole(ctx, tx, j.Organisation, memberID)
		if err != nil {
			return orElse(noRows(err), errNoMember)
		}
		changed, err := updateMembership(ctx, tx, j.Organisation, memberID, j.Role, j.Until)
		if err != nil || !changed {
			return orElse(err, errNoMember)
		}
		return s.log(ctx, tx, Activity{MemberID: j.By, Action: RoleChanged, Organisation: j.Organisation, Target: memberID,
			Fields: db.Fields(roleFields(before, until), roleFields(j.Role, j.Until))})
	})
}

// RemoveMember takes a member out of an organisation, at once. The account stays.
// Errors: fault.NotFound, fault.Conflict for the last owner.
func (s *Store) RemoveMember(ctx context.Context, organisation, memberID, by string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := s.keepOwner(ctx, tx, organisation, memberID, false); err != nil {
			return err
		}
		role, until, err := selectRole(ctx, tx, organisation, memberID)
		if err != nil {
			return orElse(noRows(err), errNoMember)
		}
		removed, err := deleteMembership(ctx, tx, organisation, memberID)
		if err != nil || !removed {
			return orElse(err, errNoMember)
		}
		return s.log(ctx, tx, Activity{MemberID: by, Action: MemberRemoved, Organisation: organisation, Target: memberID, Fields: db.Fields(roleFields(role, until), nil)})
	})
}

// keepOwner refuses to take the last owner away. It locks the organisation, so
// that two owners cannot remove each other at once.
func (s *Store) keepOwner(ctx context.Context, tx *sql.Tx, organisation, memberID string, stays bool) error {
	if err := lockOrganisation(ctx, tx, organisation); err != nil || stays {
		return err
	}
	is, others, err := countOwners(ctx, tx, organisation, memberID)
	if err == nil && is && others == 0 {
		err = errLastOwner
	}
	return err
}

// SupportFor is how long an operator may look into an organisation for one reason.
const SupportFor = 4 * time.Hour

// Enter lets an operator into an organisation for SupportFor; its members see the
// reason and every page that is opened. Errors: a FieldError for "reason",
// fault.Forbidden for who is no operator, fault.Conflict for a member.
func (s *Store) Enter(ctx context.Context, operator *Member, organisation, reason string) error {
	reason = strings.TrimSpace(reason)
	if n := utf8.RuneCountInString(reason); n < 10 || n > 300 || !utf8.ValidString(reason) || strings.ContainsFunc(reason, func(r rune) bool { return r < ' ' }) {
		return &FieldError{Field: "reason", Err: fault.New(fault.Unprocessed, "Say in 10 to 300 characters why, in one line. The organisation's members read it.")}
	}
	if _, err := s.Organisation(ctx, organisation); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		m, _, err := selectMember(ctx, tx, "id", operator.ID)
		if err != nil {
			return err
		}
		if !m.Operator {
			return fault.New(fault.Forbidden, "Only an operator of this installation can do this.")
		}
		if err := deleteEndedMembership(ctx, tx, organisation, m.ID, s.now()); err != nil {
			return err
		}
		added, err := insertMembership(ctx, tx, organisation, Membership{Member: *m, Role: Support, CreatedAt: s.now(), ExpiresAt: s.now().Add(SupportFor), Reason: reason})
		if err != nil || !added {
			return orElse(err, fault.New(fault.Conflict, "You are in that organisation already. Open it from the list of sites."))
		}
		return s.log(ctx, tx, Activity{MemberID: m.ID, Action: OperatorEntered, Organisation: organisation, Detail: map[string]string{"reason": reason}})
	})
}

// Leave ends an operator's look into an organisation.
func (s *Store) Leave(ctx context.Context, operator *Member, organisation string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		left, err := deleteSupport(ctx, tx, organisation, operator.ID)
		if err != nil || !left {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: operator.ID, Action: OperatorLeft, Organisation: organisation})
	})
}

// Emails maps members' IDs to their addresses, as far as they are known.
func (s *Store) Emails(ctx context.Context, ids []string) (map[string]string, error) {
	found, err := selectEmails(ctx, s.db.Read(), ids)
	return found, s.db.Explain(err)
}

// SetOperator makes a member an operator of the installation, or no longer. Errors:
// fault.NotFound.
func (s *Store) SetOperator(ctx context.Context, email string, operator bool) error {
	m, err := s.MemberByEmail(ctx, email)
	if err != nil {
		return err
	}
	action := OperatorMade
	if !operator {
		action = OperatorUnmade
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := setOperator(ctx, tx, m.ID, operator); err != nil {
			return err
		}
		if !operator { // what they may look into at this moment ends too
			if err := deleteSupports(ctx, tx, m.ID); err != nil {
				return err
			}
		}
		return s.log(ctx, tx, Activity{Action: action, Target: m.ID, Fields: db.Fields(map[string]string{"operator": strconv.FormatBool(m.Operator)}, map[string]string{"operator": strconv.FormatBool(operator)})})
	})
}

// CheckEmail tells whether an address can be one. Errors: a FieldError for "email".
func CheckEmail(email string) error {
	_, err := foldEmail(email)
	return err
}
