package app

import (
	"context"

	"assent/internal/backup"
	"assent/internal/register"
)

// eraseAgain erases what a source's ledger says was erased and the backup brought
// back, and returns how many records that were.
func (s *settling) eraseAgain(ctx context.Context, from *source) (n int64, err error) {
	const most = 1000
	var list []register.ErasedAt
	flush := func() error {
		k, err := s.Register.EraseAgain(ctx, from.marking, list)
		n, list = n+k, list[:0]
		return err
	}
	err = s.read(ctx, from, map[string]func(backup.Header, backup.Row) error{
		"erased": func(_ backup.Header, row backup.Row) error {
			e := register.ErasedAt{Place: row.Int("place"), Mark: row.Bytes("mark")}
			if len(list) > 0 && (len(list) == most || list[0].Place>>register.PlaceShift != e.Place>>register.PlaceShift) {
				if err := flush(); err != nil {
					return err
				}
			}
			list = append(list, e)
			return nil
		},
	})
	if err == nil && len(list) > 0 {
		err = flush()
	}
	return n, err
}
