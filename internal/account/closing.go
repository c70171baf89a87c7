package account

import (
	"context"
	"database/sql"
	"time"

	"assent/internal/db"
)

// What the activity says of closings.
const (
	ClosingAsked   = "organisation.closing"
	ClosingKept    = "organisation.kept"
	AccountClosing = "member.closing"
	AccountKept    = "member.kept"
	AccountTaken   = "member.export" // somebody took all that is stored about them
)

// LogIn is Log in the caller's transaction.
func (s *Store) LogIn(ctx context.Context, tx *sql.Tx, a Activity) error { return s.log(ctx, tx, a) }

// noteSeen remembers that a member signed in, and takes back what the daily check of
// inactive accounts had begun.
func noteSeen(ctx context.Context, tx *sql.Tx, memberID string, now time.Time) error {
	if _, err := tx.ExecContext(ctx, "update member set seen_at = $1 where id = $2", now.UnixMilli(), memberID); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "delete from closing where subject = $1 and why = 'inactive' and begun_at = 0", memberID)
	return err
}

// MemberByID finds a member. Errors: sql.ErrNoRows.
func (s *Store) MemberByID(ctx context.Context, tx *sql.Tx, id string) (*Member, error) {
	m, _, err := selectMember(ctx, tx, "id", id)
	return m, err
}

// Owners lists those of an organisation who can sign in.
func (s *Store) Owners(ctx context.Context, tx *sql.Tx, organisation string) (list []Member, err error) {
	all, err := selectMemberships(ctx, tx, organisation)
	for _, m := range all {
		if m.Role == Owner && m.Member.Ready {
			list = append(list, m.Member)
		}
	}
	return list, err
}

// SoleOwnerOf lists the organisations that would have no owner who can sign in
// without this member.
func (s *Store) SoleOwnerOf(ctx context.Context, tx *sql.Tx, memberID string) (list []Organisation, err error) {
	accesses, err := selectAccesses(ctx, tx, memberID, "", s.now())
	if err != nil {
		return nil, err
	}
	for _, a := range accesses {
		if a.Role != Owner {
			continue
		}
		if _, others, err := countOwners(ctx, tx, a.Organisation.ID, memberID); err != nil {
			return nil, err
		} else if others == 0 {
			list = append(list, a.Organisation)
		}
	}
	return list, nil
}

// ensureFirst makes the first organisation anew, where it was erased for good.
func (s *Store) ensureFirst(ctx context.Context, tx *sql.Tx) error {
	list, err := selectOrganisations(ctx, tx, db.FirstOrganisation)
	if err != nil || len(list) > 0 {
		return err
	}
	return insertOrganisation(ctx, tx, &Organisation{ID: db.FirstOrganisation, Name: "My organisation", CreatedAt: s.now()})
}
