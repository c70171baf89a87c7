package app

import (
	"context"

	"assent/internal/backup"
	"assent/internal/fault"
)

// eraseAgain erases what a source's ledger says was erased and the backup brought
// back, and returns how many records that were.
func (s *settling) eraseAgain(ctx context.Context, from source) (n int64, err error) {
	err = s.read(ctx, from, map[string]func(backup.Header, backup.Row) error{
		"erased": func(_ backup.Header, row backup.Row) error {
			return fault.New(fault.Unavailable, "not yet")
		},
	})
	return n, err
}
