package account

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// end reads a time that may be none.
func end(t int64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return millis(t)
}

// endMillis is end's twin.
func endMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// selectAccesses lists what holds now; organisation "" is all of them.
func selectAccesses(ctx context.Context, q reader, memberID, organisation string, now time.Time) ([]Access, error) {
	rows, err := q.QueryContext(ctx, `select o.id, o.name, o.created_at, m.role, m.expires_at, m.reason, coalesce(c.due_at, 0)
		from membership m join organisation o on o.id = m.organisation_id left join closing c on c.subject = o.id
		where m.member_id = $1 and (o.id = $2 or $2 = '') and (m.expires_at = 0 or m.expires_at > $3)
			and coalesce(c.begun_at, 0) = 0 -- else it is just being erased
		order by o.name, o.id`, memberID, organisation, now.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Access
	for rows.Next() {
		var a Access
		var created, expires, erased int64
		if err := rows.Scan(&a.Organisation.ID, &a.Organisation.Name, &created, &a.Role, &expires, &a.Reason, &erased); err != nil {
			return nil, err
		}
		a.Organisation.CreatedAt, a.ExpiresAt, a.Erased = millis(created), end(expires), end(erased)
		list = append(list, a)
	}
	return list, rows.Err()
}

func selectMemberships(ctx context.Context, q reader, organisation string) ([]Membership, error) {
	rows, err := q.QueryContext(ctx, `select m.id, m.email, m.name, m.created_at, m.password <> '', m.operator, s.role, s.created_at, s.expires_at, s.reason
		from membership s join member m on m.id = s.member_id where s.organisation_id = $1 order by s.created_at, m.id`, organisation)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Membership
	for rows.Next() {
		var m Membership
		var since, created, expires int64
		if err := rows.Scan(&m.Member.ID, &m.Member.Email, &m.Member.Name, &since, &m.Member.Ready, &m.Member.Operator, &m.Role, &created, &expires, &m.Reason); err != nil {
			return nil, err
		}
		m.Member.CreatedAt, m.CreatedAt, m.ExpiresAt = millis(since), millis(created), end(expires)
		list = append(list, m)
	}
	return list, rows.Err()
}

// selectOrganisations finds one by its ID, or all for "".
func selectOrganisations(ctx context.Context, q reader, id string) ([]Organisation, error) {
	rows, err := q.QueryContext(ctx, "select id, name, created_at from organisation where id = $1 or $1 = '' order by created_at, id", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Organisation
	for rows.Next() {
		var o Organisation
		var created int64
		if err := rows.Scan(&o.ID, &o.Name, &created); err != nil {
			return nil, err
		}
		o.CreatedAt = millis(created)
		list = append(list, o)
	}
	return list, rows.Err()
}

func insertOrganisation(ctx context.Context, tx *sql.Tx, o *Organisation) error {
	_, err := tx.ExecContext(ctx, "insert into organisation (id, name, created_at) values ($1, $2, $3)", o.ID, o.Name, o.CreatedAt.UnixMilli())
	return err
}

func updateOrganisation(ctx context.Context, tx *sql.Tx, id, name string) error {
	_, err := tx.ExecContext(ctx, "update organisation set name = $1 where id = $2", name, id)
	return err
}

// insertMembership tells whether the person did not belong to it before.
func insertMembership(ctx context.Context, tx *sql.Tx, organisation string, m Membership) (added bool, err error) {
	result, err := tx.ExecContext(ctx, `insert into membership (organisation_id, member_id, role, created_at, expires_at, reason)
		values ($1, $2, $3, $4, $5, $6) on conflict (organisation_id, member_id) do nothing`,
		organisation, m.Member.ID, m.Role, m.CreatedAt.UnixMilli(), endMillis(m.ExpiresAt), m.Reason)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

func deleteEndedMembership(ctx context.Context, tx *sql.Tx, organisation, memberID string, now time.Time) error {
	_, err := tx.ExecContext(ctx, "delete from membership where organisation_id = $1 and member_id = $2 and expires_at > 0 and expires_at <= $3",
		organisation, memberID, now.UnixMilli())
	return err
}

func setOperator(ctx context.Context, tx *sql.Tx, memberID string, operator bool) error {
	_, err := tx.ExecContext(ctx, "update member set operator = $1 where id = $2", operator, memberID)
	return err
}

// selectRole is what a member is in an organisation, over or not.
func selectRole(ctx context.Context, q reader, organisation, memberID string) (role Role, until time.Time, err error) {
	var expires int64
	err = q.QueryRowContext(ctx, "select role, expires_at from membership where organisation_id = $1 and member_id = $2", organisation, memberID).Scan(&role, &expires)
	return role, end(expires), err
}

// noRows is nil for an error that says only that there is no such row.
func noRows(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}
