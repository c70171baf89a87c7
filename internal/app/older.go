package app

import (
	"context"
	"math"
	"slices"
	"time"

	"assent/internal/backup"
	"assent/internal/fault"
	"assent/internal/register"
)

// notOlder refuses a ledger that is older than what it is to tell of: it would
// look as if what was erased later had been taken care of.
func (s *settling) notOlder(ctx context.Context) error {
	for _, from := range s.sources {
		if from.replaced && (s.o.Ledger != nil || s.o.NoLedger || s.o.Moved) {
			continue // another source, or the operator, answers for it
		}
		if !from.replaced && !s.created.IsZero() && from.created.Before(s.created) {
			return fault.New(fault.Invalid, "The ledger was written on %s, before this backup (%s), so it cannot tell what was erased since. Give the newest ledger, or a newer backup, with --ledger FILE; or say --no-ledger if there is none, and erase again what was erased since.",
				from.created.Format(time.RFC3339), s.created.Format(time.RFC3339))
		}
		n, err := s.unlisted(ctx, from)
		if err != nil {
			return err
		}
		switch {
		case n > 0 && from.replaced:
			return fault.New(fault.Invalid, "The database that is there is older than this backup: it does not know of %s in it, so it cannot tell what was erased since. Give the newest ledger with --ledger FILE; or say --no-ledger if there is none, and erase again what was erased since.", counted(n, "erased record"))
		case n > 0:
			return fault.New(fault.Invalid, "The ledger is older than what is to be restored: it does not know of %s in it, so it cannot tell what was erased since. Give the newest ledger, or a newer backup, with --ledger FILE; or say --no-ledger if there is none, and erase again what was erased since.", counted(n, "erased record"))
		}
	}
	return nil
}

// unlisted counts the erased records that a source's ledger does not know of.
// Sites that it tells a later history of, or that are dropped, do not count.
func (s *settling) unlisted(ctx context.Context, from *source) (n int64, err error) {
	const most = 1000
	counts := map[int64]int64{}
	var part []register.ErasedAt
	after := int64(math.MinInt64)
	flush := func(last int64) error {
		err := s.Register.Unlisted(ctx, part, after, last, counts)
		part, after = part[:0], last
		return err
	}
	err = s.read(ctx, from, map[string]func(backup.Header, backup.Row) error{
		"erased": func(_ backup.Header, row backup.Row) error {
			if part = append(part, register.ErasedAt{Place: row.Int("place")}); len(part) < most {
				return nil
			}
			return flush(part[len(part)-1].Place)
		},
	})
	if err == nil {
		err = flush(math.MaxInt64)
	}
	if err != nil {
		return 0, err
	}
	for i, l := range s.logs {
		k := s.known[l.SiteID]
		if !slices.Contains(s.dropped, i) && !slices.Contains(k.former, l.Origin) {
			n += counts[l.SiteID]
		}
	}
	return n, nil
}
