package account

import (
	"context"
	"database/sql"
	"time"
)

func selectTOTP(ctx context.Context, q reader, memberID string) (secret string, confirmed bool, lastStep int64, err error) {
	var at int64
	err = q.QueryRowContext(ctx, "select secret, confirmed_at, last_step from totp where member_id = $1", memberID).Scan(&secret, &at, &lastStep)
	return secret, at > 0, lastStep, err
}

func replaceTOTP(ctx context.Context, tx *sql.Tx, memberID, secret string) error {
	_, err := tx.ExecContext(ctx, `insert into totp (member_id, secret, confirmed_at, last_step) values ($1, $2, 0, 0)
		on conflict (member_id) do update set secret = excluded.secret, confirmed_at = 0, last_step = 0`, memberID, secret)
	return err
}

func confirmTOTP(ctx context.Context, tx *sql.Tx, memberID string, now time.Time, step int64) error {
	_, err := tx.ExecContext(ctx, "update totp set confirmed_at = $1, last_step = $2 where member_id = $3", now.UnixMilli(), step, memberID)
	return err
}

// useTOTPStep tells whether this is the first use: of two at once one is.
func useTOTPStep(ctx context.Context, tx *sql.Tx, memberID string, step int64) (bool, error) {
	return done(tx.ExecContext(ctx, "update totp set last_step = $1 where member_id = $2 and last_step < $1", step, memberID))
}

func deleteTOTP(ctx context.Context, tx *sql.Tx, memberID string) (bool, error) {
	if _, err := tx.ExecContext(ctx, "delete from recovery_code where member_id = $1", memberID); err != nil {
		return false, err
	}
	return done(tx.ExecContext(ctx, "delete from totp where member_id = $1", memberID))
}

func countRecovery(ctx context.Context, q reader, memberID string) (n int, err error) {
	err = q.QueryRowContext(ctx, "select count(*) from recovery_code where member_id = $1", memberID).Scan(&n)
	return n, err
}

func replaceRecovery(ctx context.Context, tx *sql.Tx, memberID string, hashes []string) error {
	if _, err := tx.ExecContext(ctx, "delete from recovery_code where member_id = $1", memberID); err != nil {
		return err
	}
	for _, hash := range hashes {
		if _, err := tx.ExecContext(ctx, "insert into recovery_code (member_id, hash) values ($1, $2)", memberID, hash); err != nil {
			return err
		}
	}
	return nil
}

func deleteRecovery(ctx context.Context, tx *sql.Tx, memberID, hash string) (bool, error) {
	return done(tx.ExecContext(ctx, "delete from recovery_code where member_id = $1 and hash = $2", memberID, hash))
}

func insertStep(ctx context.Context, tx *sql.Tx, hash, memberID string, now, expires time.Time) error {
	if _, err := tx.ExecContext(ctx, "delete from sign_in_step where expires_at <= $1", now.UnixMilli()); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "insert into sign_in_step (token_hash, member_id, expires_at) values ($1, $2, $3)", hash, memberID, expires.UnixMilli())
	return err
}

func selectStep(ctx context.Context, q reader, hash string, now time.Time) (memberID string, err error) {
	err = q.QueryRowContext(ctx, "select member_id from sign_in_step where token_hash = $1 and expires_at > $2", hash, now.UnixMilli()).Scan(&memberID)
	return memberID, err
}

func deleteStep(ctx context.Context, tx *sql.Tx, hash string) (bool, error) {
	return done(tx.ExecContext(ctx, "delete from sign_in_step where token_hash = $1", hash))
}
