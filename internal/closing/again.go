package closing

import (
	"context"
	"database/sql"
	"errors"

	"assent/internal/db"
)

// Past is a row of what was erased for good, as a ledger has it.
type Past struct {
	ID, Kind, PartOf string
	Number           int64
	Summary          string
	At               int64 // Unix milliseconds
}

func insertForgotten(ctx context.Context, tx *sql.Tx, p Past) error {
	_, err := tx.ExecContext(ctx, `insert into forgotten (id, kind, part_of, number, summary, at) values ($1, $2, $3, $4, $5, $6)
		on conflict (id) do update set at = excluded.at`, p.ID, p.Kind, p.PartOf, p.Number, p.Summary, p.At)
	return err
}

// Again erases what a ledger says was erased for good and a backup brought back. The
// sites themselves are removed by who restores, with their logs. It returns how many
// organisations and accounts there were.
func (s *Store) Again(ctx context.Context, past []Past, files []PastFile) (n int64, err error) {
	tables, err := s.tables(ctx)
	if err != nil {
		return 0, err
	}
	for _, p := range past {
		err := s.DB.Write(ctx, func(tx *sql.Tx) error {
			back, err := s.again(ctx, tx, tables, p)
			if err != nil {
				return err
			}
			if back {
				n++
			}
			if _, err := tx.ExecContext(ctx, "delete from closing where subject = $1", p.ID); err != nil {
				return err
			}
			return insertForgotten(ctx, tx, p)
		})
		if err != nil {
			return n, err
		}
	}
	for _, f := range files {
		err := s.DB.Write(ctx, func(tx *sql.Tx) error { return insertFile(ctx, tx, f.ID, f.Name, []byte(f.Content)) })
		if err != nil {
			return n, err
		}
	}
	if n > 0 {
		err = s.purge(ctx, tables)
	}
	return n, err
}

// PastFile is a certificate, as a ledger has it.
type PastFile struct{ ID, Name, Content string }

func (s *Store) again(ctx context.Context, tx *sql.Tx, tables []db.Table, p Past) (back bool, err error) {
	switch p.Kind {
	case Account:
		var email string
		err = tx.QueryRowContext(ctx, "select email from member where id = $1", p.ID).Scan(&email)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		if err == nil {
			err = s.erasePerson(ctx, tx, tables, p.ID, email)
		}
		return true, err
	case Organisation:
		var there int
		// One that was made later may have the ID of the first one of all.
		if err := tx.QueryRowContext(ctx, "select count(*) from organisation where id = $1 and created_at <= $2", p.ID, p.At).Scan(&there); err != nil || there == 0 {
			return false, err
		}
		if err := s.forgetInvited(ctx, tx, p.ID); err != nil {
			return false, err
		}
		if err := dropJobs(ctx, tx, p.ID); err != nil {
			return false, err
		}
		return true, eraseRows(ctx, tx, tables, p.ID)
	}
	return false, nil
}
