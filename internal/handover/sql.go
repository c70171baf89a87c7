package handover

import (
	"context"
	"database/sql"
	"time"
)

// kept is how long the ID of a used token stays: far longer than it could be redeemed
// by any node's clock.
const kept = time.Hour

// Redeem takes a token back and returns the choice. site, at and v tell where the
// visitor has arrived, from which page came them there. What was not
// issued, or is for another site, domain, page or visitor, is a fault of kind Forbidden and is
// not used up; what is out of date or was used before is one of kind Conflict. The use is
// on disk before the choice is returned.
func (d *Desk) Redeem(ctx context.Context, token, site, from, at string, v Visitor) (choice string, err error) {
	id, s, err := d.open(token)
	if err != nil {
		return "", err
	}
	if err := d.check(s, site, from, at, v); err != nil {
		return "", err
	}
	first := false
	err = d.db.Write(ctx, func(tx *sql.Tx) error {
		if err := d.sweep(ctx, tx); err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, "insert into handover_used (id, until) values ($1, $2) on conflict (id) do nothing",
			id, d.now().Add(kept).UnixMilli())
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		first = n == 1
		return err
	})
	if err != nil {
		return "", d.db.Explain(err)
	}
	if !first {
		return "", errUsed
	}
	return s.Choice, nil
}

// sweep deletes what nobody needs any more, once a minute.
func (d *Desk) sweep(ctx context.Context, tx *sql.Tx) error {
	now, last := d.now().UnixMilli(), d.swept.Load()
	if now-last < time.Minute.Milliseconds() || !d.swept.CompareAndSwap(last, now) {
		return nil
	}
	_, err := tx.ExecContext(ctx, "delete from handover_used where until < $1", now)
	return err
}
