package account

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"assent/internal/fault"
)

// reader is a transaction or the pool for reading.
type reader interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func millis(t int64) time.Time { return time.UnixMilli(t).UTC() }

func countMembers(ctx context.Context, q reader) (n int, err error) {
	err = q.QueryRowContext(ctx, "select count(*) from member").Scan(&n)
	return n, err
}

// insertMember answers fault.Conflict when the address is taken.
func insertMember(ctx context.Context, tx *sql.Tx, m *Member, hash string) error {
	at := m.CreatedAt.UnixMilli()
	result, err := tx.ExecContext(ctx, `insert into member (id, email, name, password, created_at, changed_at)
		values ($1, $2, $3, $4, $5, $5) on conflict (email) do nothing`, m.ID, m.Email, m.Name, hash, at)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return orElse(err, &FieldError{Field: "email", Err: fault.New(fault.Conflict, "That e-mail address has an account already.")})
	}
	return nil
}

func selectMembers(ctx context.Context, q reader) ([]Member, error) {
	rows, err := q.QueryContext(ctx, "select id, email, name, created_at, password <> '', operator from member order by created_at, id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Member
	for rows.Next() {
		var m Member
		var created int64
		if err := rows.Scan(&m.ID, &m.Email, &m.Name, &created, &m.Ready, &m.Operator); err != nil {
			return nil, err
		}
		m.CreatedAt = millis(created)
		list = append(list, m)
	}
	return list, rows.Err()
}

// selectMember finds a member by column id or email.
func selectMember(ctx context.Context, q reader, column, value string) (*Member, string, error) {
	var m Member
	var created int64
	var hash string
	err := q.QueryRowContext(ctx, "select id, email, name, password, created_at, operator from member where "+column+" = $1", value).
		Scan(&m.ID, &m.Email, &m.Name, &hash, &created, &m.Operator)
	if err != nil {
		return nil, "", err
	}
	m.CreatedAt, m.Ready = millis(created), hash != ""
	return &m, hash, nil
}

func updatePassword(ctx context.Context, tx *sql.Tx, id, hash string, now time.Time) error {
	result, err := tx.ExecContext(ctx, "update member set password = $1, changed_at = $2 where id = $3", hash, now.UnixMilli(), id)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return orElse(err, errors.New("account: the member was removed meanwhile"))
	}
	return nil
}

// replaceLink stores a link and removes the earlier ones for the same person;
// memberID "" is the first member's set-up.
func replaceLink(ctx context.Context, tx *sql.Tx, hash []byte, memberID string, now, expires time.Time) error {
	if _, err := tx.ExecContext(ctx, "delete from setup_link where coalesce(member_id, '') = $1 or expires_at <= $2", memberID, now.UnixMilli()); err != nil {
		return err
	}
	member := sql.NullString{String: memberID, Valid: memberID != ""}
	_, err := tx.ExecContext(ctx, "insert into setup_link (token_hash, member_id, created_at, expires_at) values ($1, $2, $3, $4)",
		hash, member, now.UnixMilli(), expires.UnixMilli())
	return err
}

func selectLink(ctx context.Context, q reader, hash []byte, now time.Time) (memberID string, err error) {
	err = q.QueryRowContext(ctx, "select coalesce(member_id, '') from setup_link where token_hash = $1 and expires_at > $2", hash, now.UnixMilli()).Scan(&memberID)
	return memberID, err
}

func deleteLink(ctx context.Context, tx *sql.Tx, hash []byte, now time.Time) (used bool, err error) {
	result, err := tx.ExecContext(ctx, "delete from setup_link where token_hash = $1 and expires_at > $2", hash, now.UnixMilli())
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

func insertSession(ctx context.Context, tx *sql.Tx, hash []byte, memberID string, now, expires time.Time) error {
	_, err := tx.ExecContext(ctx, "insert into session (token_hash, member_id, created_at, last_seen_at, expires_at, proved_at) values ($1, $2, $3, $3, $4, $3)",
		hash, memberID, now.UnixMilli(), expires.UnixMilli())
	if err != nil {
		return err
	}
	return noteSeen(ctx, tx, memberID, now)
}

func selectSession(ctx context.Context, q reader, hash []byte) (*Session, error) {
	var m Member
	var memberCreated, created, seen, expires, proved int64
	err := q.QueryRowContext(ctx, `select m.id, m.email, m.name, m.operator, m.created_at, m.chosen_language, s.created_at, s.last_seen_at, s.expires_at, s.proved_at
		from session s join member m on m.id = s.member_id where s.token_hash = $1`, hash).
		Scan(&m.ID, &m.Email, &m.Name, &m.Operator, &memberCreated, &m.Language, &created, &seen, &expires, &proved)
	if err != nil {
		return nil, err
	}
	m.CreatedAt, m.Ready = millis(memberCreated), true
	return &Session{Member: &m, CreatedAt: millis(created), LastSeenAt: millis(seen), ExpiresAt: millis(expires), ProvedAt: end(proved)}, nil
}

func touchSession(ctx context.Context, tx *sql.Tx, hash []byte, now time.Time) error {
	_, err := tx.ExecContext(ctx, "update session set last_seen_at = $1 where token_hash = $2", now.UnixMilli(), hash)
	return err
}

func deleteSession(ctx context.Context, tx *sql.Tx, hash []byte) error {
	_, err := tx.ExecContext(ctx, "delete from session where token_hash = $1", hash)
	return err
}

// deleteSessionsOf ends a member's sessions but the one of keep (nil: all).
func deleteSessionsOf(ctx context.Context, tx *sql.Tx, memberID string, keep []byte) error {
	if keep == nil {
		keep = []byte{}
	}
	_, err := tx.ExecContext(ctx, "delete from session where member_id = $1 and token_hash <> $2", memberID, keep)
	return err
}

func deleteEndedSessions(ctx context.Context, tx *sql.Tx, idleSince, now time.Time) error {
	_, err := tx.ExecContext(ctx, "delete from session where expires_at <= $1 or last_seen_at <= $2", now.UnixMilli(), idleSince.UnixMilli())
	return err
}
