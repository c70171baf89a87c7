package register

import (
	"database/sql"
	"strings"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
)

// A register from before records had places goes on as it is: nothing that was
// recorded is lost or looks changed, and what was growing goes on growing.
func TestRegisterFromBeforePlaces(t *testing.T) {
	eachAddress(t, func(t *testing.T, o db.Options) {
		d := dbtest.Open(t, o)
		r := open(t, d)
		addSite(t, d, r, 1)
		addSite(t, d, r, 2)
		addSite(t, d, r, 3) // stays empty
		load(t, r, 2600, 400)
		other := mustAppend(t, r, entry(2))
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := db.Options{Schema: 4}
		if before.Dir = t.TempDir(); o.URL != "" {
			before.Dir, before.URL = "", dbtest.PostgresURL(t)
		}
		older := dbtest.Open(t, before)
		copyBefore(t, older, d)
		older.Close()

		before.Schema = 0
		d = dbtest.Open(t, before)
		r = open(t, d)
		if report := mustFsck(t, r); !report.OK() || report.Records != 2601 {
			t.Fatalf("%+v", report)
		}
		mustVerify(t, r, other)
		(&watcher{r: r, site: 1}).check(t, 2600)
		load(t, r, 600, 100)
		mustAppend(t, r, entry(2))
		mustAppend(t, r, entry(3))
		if report := mustFsck(t, r); !report.OK() || report.Records != 3203 {
			t.Errorf("%+v", report)
		}
	})
}

// copyBefore fills a database of the schema that there was before migration 5 with
// what it would have held then.
func copyBefore(t *testing.T, older, d *db.DB) {
	t.Helper()
	type key struct{ site, first int64 }
	tails := map[key][]byte{}
	copyRows(t, d, "select site_id, idx, data from tail order by site_id, idx", 3, func(v []any) {
		k := key{v[0].(int64), v[1].(int64) >> tileHeight}
		tails[k] = append(tails[k], v[2].([]byte)...)
	})
	for _, c := range []struct{ from, to string }{
		{"select id, site, name, draft, created_at, changed_at from site", "insert into site (id, site, name, draft, created_at, changed_at) values ($1, $2, $3, $4, $5, $6)"},
		{"select site_id, origin, size, checkpoint from log", "insert into log (site_id, origin, size, checkpoint) values ($1, $2, $3, $4)"},
		{"select site_id, level, n, data from tile", putTile},
		{"select site_id, stretch, prefix, idx from consent_place", "insert into consent_place (site_id, stretch, prefix, idx) values ($1, $2, $3, $4)"},
		{"select place >> 40, place & 1099511627775, time, record_id, consent_id, salt, payload from record",
			"insert into record (site_id, idx, time, record_id, consent_id, salt, payload) values ($1, $2, $3, $4, $5, $6, $7)"},
	} {
		err := older.Write(t.Context(), func(tx *sql.Tx) error {
			var err error
			copyRows(t, d, c.from, strings.Count(c.to, "$"), func(v []any) {
				if err == nil {
					_, err = tx.ExecContext(t.Context(), c.to, v...)
				}
			})
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v", c.to, err)
		}
	}
	for k, tail := range tails {
		exec(t, older, putTile, k.site, bundleLevel, k.first, bundleOf(tail))
		exec(t, older, putTile, k.site, 0, k.first, hashesOf(tail))
	}
}

// copyRows hands each row of a query to do.
func copyRows(t *testing.T, d *db.DB, query string, columns int, do func([]any)) {
	t.Helper()
	rows, err := d.Read().QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		values, into := make([]any, columns), make([]any, columns)
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		do(values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
