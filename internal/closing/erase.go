package closing

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"assent/internal/db"
	"assent/internal/register"
)

// What belongs to a site, an organisation or a member is found by the names of
// columns, as backups do it, so that a table that comes later is not forgotten:
// site_id and place (site << 40 | index) of a site, site for its key,
// organisation_id, member_id. The test of this package fills every table.

// own are the tables of this package: they outlive what they speak of.
var own = []string{"closing", "forgotten", "forgotten_file"}

// chunk is how many rows are deleted in one transaction: visitors' decisions do not
// wait longer for it.
const chunk = 2000

func (s *Store) tables(ctx context.Context) ([]db.Table, error) {
	tx, err := s.DB.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	list, err := s.DB.Tables(ctx, tx)
	list = slices.DeleteFunc(list, func(t db.Table) bool { return slices.Contains(own, t.Name) })
	slices.Reverse(list) // those that refer to others first
	return list, err
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// inChunks deletes the rows of a table in transactions of their own.
func (s *Store) inChunks(ctx context.Context, t *db.Table, where string, args ...any) error {
	var key []string
	for _, name := range t.Key {
		key = append(key, quote(name))
	}
	if len(key) == 0 {
		return fmt.Errorf("closing: the table %s has no primary key", t.Name)
	}
	columns := strings.Join(key, ", ")
	query := fmt.Sprintf("delete from %s where (%s) in (select %s from %s where %s limit %d)", quote(t.Name), columns, columns, quote(t.Name), where, chunk)
	for {
		var n int64
		err := s.DB.WriteBetween(ctx, func(tx *sql.Tx) error {
			done, err := tx.ExecContext(ctx, query, args...)
			if err != nil {
				return err
			}
			n, err = done.RowsAffected()
			return err
		})
		if err != nil || n < chunk {
			return err
		}
	}
}

// belongs is the condition for the rows of a site by its number; "" where a table
// has none.
func belongs(t *db.Table, number int64) (where string, args []any) {
	switch {
	case t.Has("site_id"):
		return "site_id = $1", []any{number}
	case t.Has("place"):
		return "place >= $1 and place < $2", []any{number << register.PlaceShift, (number + 1) << register.PlaceShift}
	}
	return "", nil
}

// registers are the tables whose rows a register needs as long as its log is there.
var registers = []string{"log", "record", "tile", "tail", "erasure", "erased", "predecessor", "consent_place", "span", "cosigned"}

// leftovers deletes what is a site's; before its register is gone, all but that.
func (s *Store) leftovers(ctx context.Context, tables []db.Table, number int64, registerToo bool) error {
	for i := range tables {
		t := &tables[i]
		where, args := belongs(t, number)
		// The rest of a site goes with its row.
		if where == "" || t.Name == "site" || !registerToo && (slices.Contains(registers, t.Name) || t.Name == "site_domain" || t.Name == "notice_version") {
			continue
		}
		if err := s.inChunks(ctx, t, where, args...); err != nil {
			return err
		}
	}
	return nil
}

// dropJobs deletes the messages that wait for an organisation's webhooks, and then
// these: nobody is told any more.
func dropJobs(ctx context.Context, tx *sql.Tx, organisation string) error {
	const theirs = "(select w.id from webhook w join site s on s.id = w.site_id where s.organisation_id = $1)"
	for _, query := range []string{
		"delete from job where lane in " + theirs,
		"delete from webhook where id in " + theirs,
		"delete from api_token where organisation_id = $1 or site in (select site from site where organisation_id = $1)",
	} {
		if _, err := tx.ExecContext(ctx, query, organisation); err != nil {
			return err
		}
	}
	return nil
}

// eraseRows deletes what is an organisation's, besides its sites.
func eraseRows(ctx context.Context, tx *sql.Tx, tables []db.Table, organisation string) error {
	for i := range tables {
		t := &tables[i]
		column := "organisation_id"
		if t.Name == "organisation" {
			column = "id"
		} else if !t.Has(column) {
			continue
		}
		if _, err := tx.ExecContext(ctx, "delete from "+quote(t.Name)+" where "+column+" = $1", organisation); err != nil {
			return err
		}
	}
	return nil
}

// erasePerson deletes an account and what is about it. Organisations to which the
// person belonged keep the lines of what was done in them, under an ID that leads
// to nobody any more.
func (s *Store) erasePerson(ctx context.Context, tx *sql.Tx, tables []db.Table, id, email string) error {
	for _, query := range []string{
		"update notice_version set published_by = '' where published_by = $2 and $1 <> ''",
		"update invitation set invited_by = '' where invited_by = $1 and $2 <> ''",
		// Nobody: a token does not outlive who made it, and '' is the command line.
		"update api_token set created_by = 'nobody' where created_by = $1 and $2 <> ''",
		"delete from invitation where email = $2 and $1 <> ''",
		"delete from closing where subject = $1 and begun_at = 0 and $2 <> ''",
	} {
		if _, err := tx.ExecContext(ctx, query, id, email); err != nil {
			return err
		}
	}
	for i := range tables {
		t := &tables[i]
		where := "member_id = $1"
		switch {
		case t.Name == "member":
			where = "id = $1"
		case !t.Has("member_id"):
			continue
		case t.Has("organisation_id") && t.Name != "membership":
			where += " and organisation_id = ''"
		}
		if _, err := tx.ExecContext(ctx, "delete from "+quote(t.Name)+" where "+where, id); err != nil {
			return err
		}
	}
	return s.Mail.Forget(ctx, tx, email)
}
