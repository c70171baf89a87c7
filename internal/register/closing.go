package register

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/receipt"
)

// Retired is a register all of whose records are erased.
type Retired struct {
	Site  receipt.ClosedSite
	Files [][]byte // deletion certificates, in the order of Site.Files
}

// Retire erases every record of a site that is to be forgotten, and makes the
// deletion certificates over all of its log: they show that each leaf is a record
// that was erased, or the statement of an erasing. It may be called again. Nothing
// should be writing to the log any more; what came in between is erased too.
func (r *Register) Retire(ctx context.Context, siteID int64) (*Retired, error) {
	for {
		for {
			done, err := r.EraseSite(ctx, siteID, Closed)
			if err != nil {
				return nil, err
			}
			if done.Records == 0 {
				break
			}
		}
		out, err := r.retired(ctx, siteID)
		if err == nil || !errors.Is(err, errStillWritten) {
			return out, err
		}
	}
}

// errStillWritten: a decision came in after the last act of erasing. It is no sign of
// damage; another node may not have heard yet that the site is closed.
var errStillWritten = errors.New("register: still written to")

// retired makes what Retire returns, if everything is erased.
func (r *Register) retired(ctx context.Context, siteID int64) (*Retired, error) {
	state, err := r.State(ctx, siteID)
	if err != nil {
		return nil, err
	}
	key := state.Origin[strings.LastIndex(state.Origin, "/")+1:]
	out := &Retired{Site: receipt.ClosedSite{Origin: state.Origin, Site: key, Size: state.Size, Root: base64.StdEncoding.EncodeToString(state.Root[:])}}
	var acts []int64
	for after := int64(-1); ; {
		list, err := r.Erasures(ctx, siteID, after, 1000)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			acts, after = append(acts, e.Index), e.Index
			out.Site.Records += e.Count
		}
		if len(list) < 1000 {
			break
		}
	}
	if out.Site.Records+int64(len(acts)) != state.Size {
		if now, err := r.State(ctx, siteID); err != nil || now.Size != state.Size {
			return nil, cmp.Or(err, errStillWritten)
		}
		first, last := allOf(siteID)
		var left int64
		err := r.db.Read().QueryRowContext(ctx, "select count(*) from record where place >= $1 and place <= $2", first, last).Scan(&left)
		if err != nil || left > 0 {
			return nil, cmp.Or(r.db.Explain(err), errStillWritten)
		}
		return nil, fault.New(fault.Unavailable, "The register of the site %s has %d entries, but %d records were erased in %d acts: something was taken out of it. Run assent fsck.", key, state.Size, out.Site.Records, len(acts))
	}
	if len(acts) == 0 {
		return out, nil
	}
	if out.Files, err = r.Certificates(ctx, siteID, acts); err != nil {
		return nil, err
	}
	for i, data := range out.Files {
		sum := sha256.Sum256(data)
		out.Site.Files = append(out.Site.Files, receipt.ClosedFile{Name: fmt.Sprintf("deletion-%s-%d.json", key, i+1), SHA256: hex.EncodeToString(sum[:])})
	}
	return out, nil
}

// DropLog removes the row of a log in the caller's transaction, after which nothing
// can be appended to it; false when it is not as it was retired. Who writes to it has
// to change that row too, so either they were before us, and the size differs, or
// they find no log.
func (r *Register) DropLog(ctx context.Context, tx *sql.Tx, siteID, size int64) (bool, error) {
	query := "select size from log where site_id = $1"
	if r.db.Engine == db.Postgres {
		query += " for update"
	}
	var now, records int64
	err := tx.QueryRowContext(ctx, query, siteID).Scan(&now)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	first, last := allOf(siteID)
	if err := tx.QueryRowContext(ctx, "select count(*) from record where place >= $1 and place <= $2", first, last).Scan(&records); err != nil {
		return false, err
	}
	if now != size || records > 0 {
		return false, nil
	}
	_, err = tx.ExecContext(ctx, "delete from log where site_id = $1", siteID)
	return err == nil, err
}

// SignClosing signs a closing with the installation's key, under its host's name.
func (r *Register) SignClosing(host string, c *receipt.Closing) ([]byte, error) {
	key := r.writer.keys.get()
	if key == nil {
		return nil, errReadOnly
	}
	return c.Certificate(host, key)
}

// NewestErasures lists a site's acts of erasing for a reason, the newest first.
func (r *Register) NewestErasures(ctx context.Context, siteID int64, reason Reason, limit int) (list []Erasure, err error) {
	rows, err := r.db.Read().QueryContext(ctx, `select idx, time, count, statement from erasure
		where site_id = $1 and reason = $2 order by idx desc limit $3`, siteID, reason, limit)
	if err != nil {
		return nil, r.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		e := Erasure{SiteID: siteID, Reason: reason}
		var millis int64
		if err := rows.Scan(&e.Index, &millis, &e.Count, &e.Statement); err != nil {
			return nil, r.db.Explain(err)
		}
		e.Time = time.UnixMilli(millis).UTC()
		list = append(list, e)
	}
	return list, r.db.Explain(rows.Err())
}
