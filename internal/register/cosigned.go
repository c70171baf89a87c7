package register

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"assent/receipt"

	"golang.org/x/mod/sumdb/tlog"
)

// Cosigned is the newest checkpoint of a log that witnesses cosigned.
type Cosigned struct {
	Size         int64
	Checkpoint   []byte   // signed note: the log's signature, then those of the witnesses
	Witnesses    []string // verifier keys, in the order of the cosignatures
	Cosignatures []receipt.Cosignature
	At           time.Time // when it was stored
}

// Cosigned returns the newest cosigned checkpoint of a site's log; found is false
// while there is none. One that does not hold counts as none, and is logged.
func (r *Register) Cosigned(ctx context.Context, siteID int64) (c Cosigned, found bool, err error) {
	var origin, checkpoint, witnesses string
	var at int64
	err = r.db.Read().QueryRowContext(ctx, `select l.origin, c.size, c.checkpoint, c.witnesses, c.at
		from cosigned c join log l on l.site_id = c.site_id where c.site_id = $1`, siteID).Scan(&origin, &c.Size, &checkpoint, &witnesses, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Cosigned{}, false, nil
	}
	if err != nil {
		return Cosigned{}, false, r.db.Explain(err)
	}
	return r.cosigned(c, origin, checkpoint, witnesses, at)
}

// stateCosigned is State and Cosigned, read at once.
func (r *Register) stateCosigned(ctx context.Context, siteID int64) (s LogState, c Cosigned, found bool, err error) {
	var size, at sql.NullInt64
	var checkpoint, witnesses sql.NullString
	err = r.db.Read().QueryRowContext(ctx, `select l.origin, l.size, l.checkpoint, c.size, c.checkpoint, c.witnesses, c.at
		from log l left join cosigned c on c.site_id = l.site_id where l.site_id = $1`, siteID).
		Scan(&s.Origin, &s.Size, &s.Checkpoint, &size, &checkpoint, &witnesses, &at)
	if s, err = r.opened(ctx, s, err); err != nil || !size.Valid {
		return s, c, false, err
	}
	c.Size = size.Int64
	c, found, err = r.cosigned(c, s.Origin, checkpoint.String, witnesses.String, at.Int64)
	return s, c, found, err
}

// cosigned checks the checkpoint that was read.
func (r *Register) cosigned(c Cosigned, origin, checkpoint, witnesses string, at int64) (_ Cosigned, found bool, err error) {
	vkey, err := r.vkey(origin)
	if err != nil {
		return Cosigned{}, false, err
	}
	c.Checkpoint, c.Witnesses, c.At = []byte(checkpoint), strings.Split(witnesses, "\n"), time.UnixMilli(at).UTC()
	head, list, err := receipt.OpenCosigned(c.Checkpoint, vkey, c.Witnesses)
	if err != nil || head.Size != c.Size {
		slog.Error("register: the cosigned checkpoint of a log does not hold; assent fsck says more", "log", origin, "error", err)
		return Cosigned{}, false, nil
	}
	c.Cosignatures = list
	return c, true, nil
}

// PutCosigned stores a cosigned checkpoint of a site's log, unless a larger one is
// there. Every signature is checked.
func (r *Register) PutCosigned(ctx context.Context, siteID int64, checkpoint []byte, witnesses []string, now time.Time) error {
	state, err := r.State(ctx, siteID)
	if err != nil {
		return err
	}
	c, _, err := receipt.OpenCosigned(checkpoint, state.Key, witnesses)
	if err != nil || len(witnesses) == 0 || c.Size > state.Size {
		return fmt.Errorf("register: not a cosigned checkpoint of the log %s: %w", state.Origin, err)
	}
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `insert into cosigned (site_id, size, checkpoint, witnesses, at) values ($1, $2, $3, $4, $5)
			on conflict (site_id) do update set size = excluded.size, checkpoint = excluded.checkpoint, witnesses = excluded.witnesses, at = excluded.at
			where cosigned.size <= excluded.size`, siteID, c.Size, string(checkpoint), strings.Join(witnesses, "\n"), now.UnixMilli())
		return err
	})
}

// Consistency proves that a site's log of the size to continues that of the
// size from (RFC 6962, section 2.1.2). Both are at least 1.
func (r *Register) Consistency(ctx context.Context, siteID, from, to int64) (tlog.TreeProof, error) {
	tiles := r.tiles(ctx, siteID, to)
	proof, err := tlog.ProveTree(to, from, &tiles)
	return proof, r.db.Explain(err)
}

// Unwitnessed lists the sites whose log has grown since its newest checkpoint
// was cosigned, or whose newest one has fewer cosignatures than want.
func (r *Register) Unwitnessed(ctx context.Context, want int) (sites []int64, err error) {
	rows, err := r.db.Read().QueryContext(ctx, `select l.site_id, l.size, coalesce(c.size, 0), coalesce(c.witnesses, '')
		from log l left join cosigned c on c.site_id = l.site_id where l.size > 0 order by l.site_id`)
	if err != nil {
		return nil, r.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, size, cosigned int64
		var witnesses string
		if err := rows.Scan(&id, &size, &cosigned, &witnesses); err != nil {
			return nil, r.db.Explain(err)
		}
		if size > cosigned || strings.Count(witnesses, "\n")+1 < want {
			sites = append(sites, id)
		}
	}
	return sites, r.db.Explain(rows.Err())
}
