package account

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"
)

func belongsByEmail(ctx context.Context, q reader, organisation, email string, now time.Time) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, `select count(*) from membership s join member m on m.id = s.member_id
		where s.organisation_id = $1 and m.email = $2 and (s.expires_at = 0 or s.expires_at > $3)`, organisation, email, now.UnixMilli()).Scan(&n)
	return n > 0, err
}

func replaceInvitation(ctx context.Context, tx *sql.Tx, i Invitation, hash string) error {
	_, err := tx.ExecContext(ctx, "delete from invitation where organisation_id = $1 and (email = $2 or expires_at <= $3)", i.Organisation.ID, i.Email, i.CreatedAt.UnixMilli())
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `insert into invitation (id, token_hash, organisation_id, email, name, role, until, invited_by, created_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		i.ID, hash, i.Organisation.ID, i.Email, i.Name, i.Role, endMillis(i.Until), i.by, i.CreatedAt.UnixMilli(), i.ExpiresAt.UnixMilli())
	return err
}

// selectInvitations finds by i.organisation_id or i.token_hash.
func selectInvitations(ctx context.Context, q reader, column, value string, now time.Time) ([]Invitation, error) {
	rows, err := q.QueryContext(ctx, `select i.id, o.id, o.name, i.email, i.name, i.role, i.until, i.created_at, i.expires_at
		from invitation i join organisation o on o.id = i.organisation_id where `+column+` = $1 and i.expires_at > $2 order by i.id`, value, now.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Invitation
	for rows.Next() {
		var i Invitation
		var until, created, expires int64
		if err := rows.Scan(&i.ID, &i.Organisation.ID, &i.Organisation.Name, &i.Email, &i.Name, &i.Role, &until, &created, &expires); err != nil {
			return nil, err
		}
		i.Until, i.CreatedAt, i.ExpiresAt = end(until), millis(created), millis(expires)
		list = append(list, i)
	}
	return list, rows.Err()
}

// done tells whether a statement changed a row.
func done(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

func deleteInvitation(ctx context.Context, tx *sql.Tx, organisation, id string) (bool, error) {
	return done(tx.ExecContext(ctx, "delete from invitation where organisation_id = $1 and id = $2", organisation, id))
}

// updateMembership leaves an operator's look alone: it is no role to change.
func updateMembership(ctx context.Context, tx *sql.Tx, organisation, memberID string, role Role, until time.Time) (bool, error) {
	return done(tx.ExecContext(ctx, "update membership set role = $1, expires_at = $2 where organisation_id = $3 and member_id = $4 and role <> $5",
		role, endMillis(until), organisation, memberID, Support))
}

func deleteMembership(ctx context.Context, tx *sql.Tx, organisation, memberID string) (bool, error) {
	return done(tx.ExecContext(ctx, "delete from membership where organisation_id = $1 and member_id = $2", organisation, memberID))
}

func deleteSupport(ctx context.Context, tx *sql.Tx, organisation, memberID string) (bool, error) {
	return done(tx.ExecContext(ctx, "delete from membership where organisation_id = $1 and member_id = $2 and role = $3", organisation, memberID, Support))
}

// lockOrganisation makes other changes of its members wait for this one.
func lockOrganisation(ctx context.Context, tx *sql.Tx, organisation string) error {
	_, err := tx.ExecContext(ctx, "update organisation set name = name where id = $1", organisation)
	return err
}

// countOwners tells whether a member is an owner, and how many others there are
// who can sign in.
func countOwners(ctx context.Context, q reader, organisation, memberID string) (is bool, others int, err error) {
	rows, err := q.QueryContext(ctx, `select m.id from membership s join member m on m.id = s.member_id
		where s.organisation_id = $1 and s.role = $2 and (m.password <> '' or m.id = $3)`, organisation, Owner, memberID)
	if err != nil {
		return false, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return false, 0, err
		}
		if id == memberID {
			is = true
		} else {
			others++
		}
	}
	return is, others, rows.Err()
}

func selectSessions(ctx context.Context, q reader, memberID string, idleSince, now time.Time) ([]OpenSession, error) {
	rows, err := q.QueryContext(ctx, `select token_hash, created_at, last_seen_at from session
		where member_id = $1 and expires_at > $2 and last_seen_at > $3 order by last_seen_at desc, created_at desc`, memberID, now.UnixMilli(), idleSince.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []OpenSession
	for rows.Next() {
		var o OpenSession
		var created, seen int64
		if err := rows.Scan(&o.hash, &created, &seen); err != nil {
			return nil, err
		}
		o.CreatedAt, o.LastSeenAt = millis(created), millis(seen)
		list = append(list, o)
	}
	return list, rows.Err()
}

func updateProved(ctx context.Context, tx *sql.Tx, hash []byte, now time.Time) error {
	_, err := tx.ExecContext(ctx, "update session set proved_at = $1 where token_hash = $2", now.UnixMilli(), hash)
	return err
}

func selectEmails(ctx context.Context, q reader, ids []string) (map[string]string, error) {
	found := map[string]string{}
	if len(ids) == 0 {
		return found, nil
	}
	var marks []string
	var args []any
	for i, id := range ids {
		marks, args = append(marks, "$"+strconv.Itoa(i+1)), append(args, id)
	}
	rows, err := q.QueryContext(ctx, "select id, email from member where id in ("+strings.Join(marks, ", ")+")", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, email string
		if err := rows.Scan(&id, &email); err != nil {
			return nil, err
		}
		found[id] = email
	}
	return found, rows.Err()
}

func deleteSupports(ctx context.Context, tx *sql.Tx, memberID string) error {
	_, err := tx.ExecContext(ctx, "delete from membership where member_id = $1 and role = $2", memberID, Support)
	return err
}
