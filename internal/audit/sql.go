package audit

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"assent/internal/tilelog"
)

// reader is a transaction or the pool for reading.
type reader interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// tailOf are the commitments that no full bundle holds.
func tailOf(ctx context.Context, q reader, organisation string, size int64) (tail []byte, err error) {
	rows, err := q.QueryContext(ctx, "select commitment from audit_entry where organisation_id = $1 and idx >= $2 and idx < $3 order by idx",
		organisation, size>>tilelog.Height<<tilelog.Height, size)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		if tail, err = hex.AppendDecode(tail, []byte(text)); err != nil {
			return nil, fmt.Errorf("%w: a commitment is not hexadecimal", tilelog.ErrDamaged)
		}
	}
	return tail, rows.Err()
}

func readTile(ctx context.Context, q reader, organisation string, level, n int64) ([]byte, error) {
	var text string
	err := q.QueryRowContext(ctx, "select data from audit_tile where organisation_id = $1 and level = $2 and n = $3", organisation, level, n).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: tile %d of level %d is missing", tilelog.ErrDamaged, n, level)
	}
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: tile %d of level %d is not base64", tilelog.ErrDamaged, n, level)
	}
	return data, nil
}

func writeTiles(ctx context.Context, tx *sql.Tx, organisation string, tiles []tilelog.Tile) error {
	for _, t := range tiles {
		if _, err := tx.ExecContext(ctx, `insert into audit_tile (organisation_id, level, n, data) values ($1, $2, $3, $4)
			on conflict (organisation_id, level, n) do update set data = excluded.data`, organisation, t.Level, t.N, base64.StdEncoding.EncodeToString(t.Data)); err != nil {
			return err
		}
	}
	return nil
}

// anyTile is a tile that is stored, or what the tail says of one that is not full.
func anyTile(ctx context.Context, q reader, organisation string, size, level, n int64) ([]byte, error) {
	if level <= 0 && n == size>>tilelog.Height {
		tail, err := tailOf(ctx, q, organisation, size)
		if err != nil || level == tilelog.BundleLevel {
			return tilelog.BundleOf(tail), err
		}
		return tilelog.HashesOf(tail), nil
	}
	return readTile(ctx, q, organisation, level, n)
}
