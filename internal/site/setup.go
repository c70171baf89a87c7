package site

import (
	"context"
	"database/sql"
	"errors"
)

// SetupStep is the next of the five steps of setting a site up, 2 to 5; 0 when
// nobody is in the middle of it.
func (s *Store) SetupStep(ctx context.Context, siteID int64) (step int, err error) {
	err = s.db.Read().QueryRowContext(ctx, "select step from site_setup where site_id = $1", siteID).Scan(&step)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return step, s.db.Explain(err)
}

// SetSetupStep remembers how far somebody came; 0 ends it.
func (s *Store) SetSetupStep(ctx context.Context, siteID int64, step int) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if step == 0 {
			_, err := tx.ExecContext(ctx, "delete from site_setup where site_id = $1", siteID)
			return err
		}
		_, err := tx.ExecContext(ctx, `insert into site_setup (site_id, step) values ($1, $2)
			on conflict (site_id) do update set step = excluded.step`, siteID, step)
		return err
	})
}
