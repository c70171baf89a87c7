package site

import (
	"context"
	"database/sql"
)

// StopAll takes the sites of an organisation that is about to be erased out of
// service, in the caller's transaction: their scripts and everything that visitors'
// browsers send are answered as for a site that there is not.
func (s *Store) StopAll(ctx context.Context, tx *sql.Tx, organisation string) error {
	if _, err := tx.ExecContext(ctx, "update site set version = null where organisation_id = $1", organisation); err != nil {
		return err
	}
	return bumpRevision(ctx, tx)
}

// Changed has every process read the sites again, once the caller's transaction is
// committed.
func (s *Store) Changed(ctx context.Context, tx *sql.Tx) error { return bumpRevision(ctx, tx) }
