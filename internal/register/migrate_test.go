package register

import (
	"os"
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
		undoPlaces(t, d)
		d.Close()

		d = dbtest.Open(t, o)
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

// undoPlaces gives a database the schema that it had before migration 5, with
// what it would have held then.
func undoPlaces(t *testing.T, d *db.DB) {
	t.Helper()
	type key struct{ site, first int64 }
	tails := map[key][]byte{}
	rows, err := d.Read().Query("select site_id, idx, data from tail order by site_id, idx")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var site, index int64
		var data []byte
		if err := rows.Scan(&site, &index, &data); err != nil {
			t.Fatal(err)
		}
		k := key{site, index >> tileHeight}
		tails[k] = append(tails[k], data...)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for k, tail := range tails {
		exec(t, d, putTile, k.site, bundleLevel, k.first, bundleOf(tail))
		exec(t, d, putTile, k.site, 0, k.first, hashesOf(tail))
	}
	script, err := os.ReadFile("../db/migrations/0001_start." + string(d.Engine) + ".sql")
	if err != nil {
		t.Fatal(err)
	}
	list := []string{"drop table counter", "drop table counting", "drop table visitor_salt", "drop table visitor_seen", "drop table seen", "drop table seen_ignored", "drop table erasure", "drop table erased", "drop table retention_rule",
		"drop table handover_used", "drop table predecessor", "drop table witnessed", "drop table witness", "drop table cosigned",
		"alter table schema_migration drop column compatible_with", "alter table record rename to placed", "drop index record_by_id"}
	if d.Engine == db.Postgres {
		list = append(list, "alter index record_pkey rename to placed_pkey")
	}
	for _, statement := range strings.Split(string(script), ";\n") {
		for _, begin := range []string{"create table record (", "create unique index record_by_id", "create index record_by_time"} {
			if at := strings.Index(statement, begin); at >= 0 {
				list = append(list, statement[at:])
			}
		}
	}
	define(t, d, append(list, `insert into record (site_id, idx, time, record_id, consent_id, salt, payload)
		select place >> 40, place & 1099511627775, time, record_id, consent_id, salt, payload from placed`,
		"drop table placed", "drop table span", "drop table tail", "delete from schema_migration where number >= 5")...)
}
