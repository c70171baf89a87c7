package register

import (
	"context"
	"database/sql"
	"fmt"

	"assent/internal/db"
)

// orphans finds what no log speaks for: a log whose row was removed leaves
// records and tiles behind, and a site without its register.
func (r *Register) orphans(ctx context.Context, c *check) error {
	for _, q := range []struct {
		shift          int // of the site's number in the column
		query, message string
	}{
		{indexBits, "select min(place) from record where place >= $1", "Records of the site with the number %d are there, but its log is gone."},
		{0, "select min(site_id) from tile where site_id >= $1", "Tiles of the site with the number %d are there, but its log is gone."},
		{0, "select min(site_id) from tail where site_id >= $1", "Entries of the site with the number %d are there, but its log is gone."},
		{indexBits, "select min(place) from erased where place >= $1", "Erased records of the site with the number %d are listed, but its log is gone."},
		{0, "select min(site_id) from erasure where site_id >= $1", "Erasures of the site with the number %d are listed, but its log is gone."},
	} {
		for at := int64(-1 << 22); ; {
			// One step in the index for each site, however many rows it has.
			var next sql.NullInt64
			if err := r.db.Read().QueryRowContext(ctx, q.query, (at+1)<<q.shift).Scan(&next); err != nil {
				return err
			}
			if !next.Valid {
				break
			}
			at = next.Int64 >> q.shift
			var logs int
			if err := r.db.Read().QueryRowContext(ctx, "select count(*) from log where site_id = $1", at).Scan(&logs); err != nil {
				return err
			}
			var forgotten int // a site that is just being removed (internal/closing)
			if err := r.db.Read().QueryRowContext(ctx, "select count(*) from forgotten where kind = 'site' and number = $1", at).Scan(&forgotten); err != nil {
				return err
			}
			if logs+forgotten == 0 {
				c.found(Finding{Index: -1, Level: -1, Tile: -1, Message: fmt.Sprintf(q.message, at)})
			}
		}
	}
	for _, q := range []struct{ query, message string }{
		{"select site from site where id not in (select site_id from log) order by id", "The site %s has no log: its register is gone."},
		{"select origin from log where site_id not in (select id from site) order by site_id", "The log %s belongs to no site: the site is gone."},
	} {
		names, err := r.names(ctx, q.query)
		if err != nil {
			return err
		}
		for _, name := range names {
			c.found(Finding{Index: -1, Level: -1, Tile: -1, Message: fmt.Sprintf(q.message, name)})
		}
	}
	return nil
}

func (r *Register) names(ctx context.Context, query string) ([]string, error) {
	return db.Strings(r.db.Read().QueryContext(ctx, query))
}
