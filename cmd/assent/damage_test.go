package main

import (
	"bytes"
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"assent/internal/app"
	"assent/internal/db"
	"assent/internal/register"
	"assent/receipt"

	"github.com/google/uuid"
)

// One changed byte of a record, a salt, an entry or a checkpoint in the database
// is found by the command, with exit status 1 and a line that names the place.
func TestFsckNamesTheDamage(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	record := fillRegister(t, dir)
	for name, c := range map[string]struct{ damage, want string }{
		"a record":     {"update record set payload = replace(payload, '\"de\"', '\"fr\"') where place & 255 = 3", record},
		"a salt":       {"update record set salt = x'00' || substr(salt, 2) where place & 255 = 3", record},
		"an entry":     {"update tail set data = x'00' || substr(data, 2) where idx = 0", "entry 0"},
		"a notice":     {"update notice_version set content = replace(content, 'Refuse all', 'Accept it')", "was changed"},
		"no notice":    {"delete from notice_version", "is gone"},
		"no log":       {"delete from log", "its log is gone"},
		"no site":      {"delete from site", "its log is gone"},
		"cosigned":     {"insert into cosigned select site_id, size, cast(checkpoint as text), 'w.example+12345678+BAAA', 0 from log", "witnesses cosigned was changed"},
		"a checkpoint": {"update log set checkpoint = cast(replace(cast(checkpoint as text), '/log/', '/Log/') as blob)", "checkpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			undo := alter(t, dir, c.damage)
			var out, errs bytes.Buffer
			code := run(ctx, []string{"fsck", "--data", dir}, streams{strings.NewReader(""), &out, &errs})
			if code != 1 || !strings.Contains(out.String(), c.want) {
				t.Errorf("exit %d, want 1 and a line with %q\n%s%s", code, c.want, &out, &errs)
			}
			undo()
			out.Reset()
			if code := run(ctx, []string{"fsck", "--data", dir}, streams{strings.NewReader(""), &out, &errs}); code != 0 {
				t.Errorf("with the damage undone: exit %d\n%s%s", code, &out, &errs)
			}
		})
	}
}

// alter runs one statement against the database file and returns what restores
// the tables that it may have touched.
func alter(t *testing.T, dir, statement string) (undo func()) {
	t.Helper()
	d, err := db.Open(context.Background(), db.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	exec := func(d *db.DB, statements ...string) {
		t.Helper()
		err := d.Write(context.Background(), func(tx *sql.Tx) error {
			for _, s := range statements {
				if _, err := tx.Exec(s); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var save, restore []string
	for _, table := range []string{"site", "site_domain", "notice_version", "record", "tile", "tail", "log", "cosigned"} {
		save = append(save, "create table kept_"+table+" as select * from "+table)
		restore = append(restore, "delete from "+table, "insert into "+table+" select * from kept_"+table, "drop table kept_"+table)
	}
	exec(d, append(save, statement)...)
	return func() {
		d, err := db.Open(context.Background(), db.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		exec(d, restore...)
	}
}

// fillRegister makes a site with ten records and returns the ID of the fourth.
func fillRegister(t *testing.T, dir string) (id string) {
	t.Helper()
	ctx := context.Background()
	parts, err := app.Open(ctx, app.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer parts.Close()
	s, err := parts.Sites.Add(ctx, []string{"shop.example"}, "", app.CommandLine)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		now := time.Now().UTC().Truncate(time.Millisecond)
		r := &receipt.Record{
			Action: "accept_all", ConsentID: uuid.NewString(), RecordID: uuid.Must(uuid.NewV7()).String(), Language: "de", Site: s.Key,
			Status: "accepted_all", Time: now.Format(receipt.TimeLayout), Type: receipt.RecordType, Version: s.Version,
		}
		e := register.Entry{SiteID: s.ID, RecordID: uuid.MustParse(r.RecordID), ConsentID: uuid.MustParse(r.ConsentID), Time: now, Payload: r.Canonical()}
		if _, _, err := parts.Register.Append(ctx, e); err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			id = r.RecordID
		}
	}
	return id
}
