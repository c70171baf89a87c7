package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"assent/internal/audit"
	"assent/internal/audit/audittest"
	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/receipt"
)

var (
	ctx   = context.Background()
	begin = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
)

// desk is an audit log on a clock that tests move.
type desk struct {
	t   *testing.T
	db  *db.DB
	log *audit.Store
	now time.Time
}

func each(t *testing.T, fn func(k *desk)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := &desk{t: t, db: d, now: begin}
		k.log = audittest.New(t, d, func() time.Time { return k.now })
		fn(k)
	})
}

func (k *desk) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *desk) record(list ...db.Change) {
	k.t.Helper()
	k.must(k.db.Write(ctx, func(tx *sql.Tx) error { return k.db.Record(ctx, tx, list...) }))
}

func (k *desk) exec(query string, args ...any) {
	k.t.Helper()
	k.must(k.db.Write(ctx, func(tx *sql.Tx) error { _, err := tx.ExecContext(ctx, query, args...); return err }))
}

func (k *desk) search(q audit.Query) []audit.Entry {
	k.t.Helper()
	list, err := k.log.Search(ctx, q)
	k.must(err)
	return list
}

func (k *desk) sound() {
	k.t.Helper()
	r, err := k.log.Fsck(ctx)
	k.must(err)
	if r.Problems != 0 {
		k.t.Fatalf("fsck found %q", r.Findings)
	}
}

func (k *desk) found(what string) {
	k.t.Helper()
	r, err := k.log.Fsck(ctx)
	k.must(err)
	if r.Problems == 0 || !strings.Contains(strings.Join(r.Findings, "\n"), what) {
		k.t.Errorf("fsck found %q, want %q among it", r.Findings, what)
	}
}

func (k *desk) file(q audit.Query) []byte {
	k.t.Helper()
	var out bytes.Buffer
	_, err := k.log.Export(ctx, &out, q, audit.NDJSON, nil)
	k.must(err)
	return out.Bytes()
}

// fill makes more entries than a tile holds, of two actors and two actions.
func (k *desk) fill(n int) {
	k.t.Helper()
	var list []db.Change
	for i := range n {
		c := db.Change{Action: "site.draft", Organisation: "first", Member: "0190b8a2-0000-7000-8000-00000000000" + fmt.Sprint(i%2), Target: fmt.Sprint(i), Fields: []db.Field{{Name: "title", Before: "a", After: "b"}}}
		if i%3 == 0 {
			c.Action = "site_x.odd"
		}
		list = append(list, c)
	}
	k.record(list...)
}

// A change without its entry, or an entry without its change, is not possible.
func TestEntryAndChangeAreOne(t *testing.T) {
	each(t, func(k *desk) {
		failed := errors.New("no")
		err := k.db.Write(ctx, func(tx *sql.Tx) error {
			if err := k.db.Record(ctx, tx, db.Change{Action: "site.add", Organisation: "first"}); err != nil {
				return err
			}
			return failed
		})
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
		if list := k.search(audit.Query{Organisation: "first"}); len(list) != 0 {
			t.Errorf("an entry without a change: %+v", list)
		}
		k.exec("update audit_log set size = size") // none yet: no row
		k.record(db.Change{Action: "site.add", Organisation: "first"}, db.Change{Action: "site.add", Organisation: "second"}, db.Change{Action: "site.draft", Organisation: "first"})
		if list := k.search(audit.Query{Organisation: "first"}); len(list) != 2 || list[0].Action != "site.draft" || list[0].Actor != "command line" {
			t.Errorf("entries = %+v", list)
		}
		k.sound()
	})
}

func TestSearch(t *testing.T) {
	each(t, func(k *desk) {
		k.fill(20)
		k.now = begin.Add(48 * time.Hour)
		k.must(k.db.Write(db.As(ctx, db.Actor{Kind: db.Token, ID: "0190b8a2-0000-7000-8000-0000000000aa"}), func(tx *sql.Tx) error {
			return k.db.Record(db.As(ctx, db.Actor{Kind: db.Token, ID: "0190b8a2-0000-7000-8000-0000000000aa"}), tx, db.Change{Action: "site.publish", Organisation: "first"})
		}))
		for _, c := range []struct {
			name string
			q    audit.Query
			want int
		}{
			{"all", audit.Query{}, 21}, {"a person", audit.Query{Actor: "0190b8a2-0000-7000-8000-000000000001"}, 10}, {"every person", audit.Query{Actor: "person"}, 20},
			{"tokens", audit.Query{Actor: "token"}, 1}, {"an action", audit.Query{Action: "site.publish"}, 1}, {"a group, and no other that begins alike", audit.Query{Action: "site."}, 14},
			{"a day", audit.Query{From: begin.Add(24 * time.Hour)}, 1}, {"before a day", audit.Query{To: begin.Add(24 * time.Hour)}, 20}, {"a page", audit.Query{Before: 5}, 5}, {"a site", audit.Query{Site: "none"}, 0},
			{"both", audit.Query{Actor: "person", Action: "site.publish"}, 0},
		} {
			c.q.Organisation, c.q.Limit = "first", 100
			if got := len(k.search(c.q)); got != c.want {
				t.Errorf("%s: %d entries, want %d", c.name, got, c.want)
			}
		}
	})
}

// The export is checked without the database; a part of it too, and no byte of it can
// be changed.
func TestExportIsVerified(t *testing.T) {
	each(t, func(k *desk) {
		k.fill(300)
		st, err := k.log.State(ctx, "first")
		k.must(err)
		whole := k.file(audit.Query{Organisation: "first"})
		part := k.file(audit.Query{Organisation: "first", Action: "site.", Before: 290})
		for name, file := range map[string][]byte{"whole": whole, "part": part} {
			r, err := receipt.VerifyAudit(bytes.NewReader(file), receipt.Trust{Key: st.Key})
			k.must(err)
			if !r.Valid || !r.KeyTrusted || r.Size != 300 || name == "whole" && r.Entries != 300 || name == "part" && (r.Entries != 193 || r.First != 1 || r.Leaves != 289) {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if bytes.Contains(part, []byte("site_x.odd")) {
			t.Error("a part of the log tells of the rest")
		}
		for at := 0; at < len(part); at += 1999 {
			changed := bytes.Clone(part)
			changed[at] ^= 1
			if r, err := receipt.VerifyAudit(bytes.NewReader(changed), receipt.Trust{}); err == nil && r.Valid && !onlyCreated(part, at) {
				t.Errorf("byte %d was changed, and the file is valid: %s", at, part[max(0, at-20):at+20])
			}
		}
		lines := bytes.SplitAfter(whole, []byte("\n"))
		for name, file := range map[string][]byte{"a line less": bytes.Join(append(append([][]byte{}, lines[:10]...), lines[11:]...), nil), "cut": whole[:len(whole)/2], "a line more": append(bytes.Clone(whole), lines[3]...)} {
			if r, err := receipt.VerifyAudit(bytes.NewReader(file), receipt.Trust{}); err != nil || r.Valid {
				t.Errorf("%s: valid, or %v", name, err)
			}
		}
		if _, err := receipt.VerifyAudit(strings.NewReader("{}\n"), receipt.Trust{}); !errors.Is(err, receipt.ErrUnreadable) {
			t.Errorf("no such file: %v", err)
		}
		if _, err := k.log.Export(ctx, new(bytes.Buffer), audit.Query{Organisation: "first", Site: "none"}, audit.NDJSON, nil); fault.KindOf(err) != fault.NotFound {
			t.Errorf("nothing to export: %v", err)
		}
		var out bytes.Buffer
		k.record(db.Change{Action: "site.domains", Organisation: "first", Fields: []db.Field{{Name: "name", After: "=1+1"}}})
		_, err = k.log.Export(ctx, &out, audit.Query{Organisation: "first", Action: "site.domains"}, audit.CSV, func(audit.Entry) string { return "ann" })
		k.must(err)
		if !strings.Contains(out.String(), ",ann,site.domains,,,,name,,'=1+1\n") {
			t.Errorf("CSV = %s", out.String())
		}
	})
}

// onlyCreated tells whether a byte belongs to the one value that nothing covers.
func onlyCreated(file []byte, at int) bool {
	from := bytes.Index(file, []byte(`"created":"`))
	return at >= from+len(`"created":"`) && at < from+len(`"created":"2026-03-02T12:00:00Z`)
}

func TestFsckFindsWhatWasChanged(t *testing.T) {
	each(t, func(k *desk) {
		k.fill(300)
		k.sound()
		for _, c := range []struct{ name, do, undo, found string }{
			{"an entry", "update audit_entry set entry = replace(entry, '\"b\"', '\"c\"') where idx = 7", "update audit_entry set entry = replace(entry, '\"c\"', '\"b\"') where idx = 7", "entry 7 was changed"},
			{"who", "update audit_entry set actor = 'job' where idx = 9", "update audit_entry set actor = 'person 0190b8a2-0000-7000-8000-000000000001' where idx = 9", "entry 9 is filed"},
			{"a time", "update audit_entry set time = time + 1 where idx = 9", "update audit_entry set time = time - 1 where idx = 9", "entry 9 is filed"},
			{"a commitment", "update audit_entry set commitment = '00' || substr(commitment, 3) where idx = 280", "", "not those that were signed"},
		} {
			k.exec(c.do)
			k.found(c.found)
			if c.undo != "" {
				k.exec(c.undo)
				k.sound()
			}
		}
	})
	each(t, func(k *desk) {
		k.fill(300)
		k.exec("update audit_tile set data = 'AAAA' where level = 0")
		k.found("tile 0 of level 0")
	})
	each(t, func(k *desk) {
		k.fill(10)
		k.exec("update audit_entry set entry = '', salt = '', actor = '', action = '', erased_by = 9 where idx = 3")
		k.found("no entry says so")
		k.exec("delete from audit_entry where idx = 9")
		k.found("says that it has 10")
		err := k.db.Write(ctx, func(tx *sql.Tx) error {
			return k.db.Record(ctx, tx, db.Change{Action: "site.add", Organisation: "first"})
		})
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("a damaged log goes on: %v", err)
		}
	})
}

// What is over is removed; the tree stays, and says how much it was.
func TestExpireAndErase(t *testing.T) {
	each(t, func(k *desk) {
		k.fill(300)
		before := k.file(audit.Query{Organisation: "first"})
		k.must(k.log.EraseEntry(ctx, "first", 4, "asked for"))
		if err := k.log.EraseEntry(ctx, "first", 4, "asked for"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("erased twice: %v", err)
		}
		k.sound()
		k.now = begin.AddDate(0, 0, 100)
		k.fill(3)
		if n, err := k.log.Expire(ctx); err != nil || n != 0 {
			t.Errorf("%d expired, %v", n, err)
		}
		if err := k.log.Keep(ctx, "first", 3); fault.KindOf(err) != fault.Unprocessed {
			t.Errorf("kept for three days: %v", err)
		}
		k.must(k.log.Keep(ctx, "first", 60))
		if n, err := k.log.Expire(ctx); err != nil || n != 300 {
			t.Errorf("%d expired, %v; want 299 and the one that said what was erased", n, err)
		}
		if n, err := k.log.Expire(ctx); err != nil || n != 0 {
			t.Errorf("once more: %d expired, %v", n, err)
		}
		list := k.search(audit.Query{Organisation: "first"})
		if len(list) != 5 || list[0].Action != audit.Expired || list[0].Actor != "job" || list[1].Action != audit.Keeping || list[1].Changes[0].After != "60" {
			t.Errorf("left: %+v", list)
		}
		k.sound()
		var left int
		k.must(k.db.Read().QueryRow("select count(*) from audit_entry where idx < 301 and (salt <> '' or entry <> '' or actor <> '')").Scan(&left))
		if left != 0 {
			t.Errorf("%d entries are half there", left)
		}
		// What somebody kept from before still verifies.
		if r, err := receipt.VerifyAudit(bytes.NewReader(before), receipt.Trust{}); err != nil || !r.Valid {
			t.Errorf("an export of before: %+v, %v", r, err)
		}
		if r, err := receipt.VerifyAudit(bytes.NewReader(k.file(audit.Query{Organisation: "first"})), receipt.Trust{}); err != nil || !r.Valid || r.Entries != 5 || r.First != 301 {
			t.Errorf("an export of after: %+v, %v", r, err)
		}
	})
}

// Under another key the log goes on, and says so itself.
func TestResign(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		_, old, _ := ed25519.GenerateKey(nil)
		_, next, _ := ed25519.GenerateKey(nil)
		key := old
		s := audit.NewStore(audit.Config{DB: d, Now: time.Now, Host: func() string { return "consent.test" },
			Signer: func(context.Context, *sql.Tx) (ed25519.PrivateKey, error) { return key, nil },
			OpenHead: func(_ context.Context, origin string, checkpoint []byte) (receipt.Checkpoint, string, error) {
				vkey, err := receipt.VerifierKey(origin, key.Public().(ed25519.PublicKey))
				if err != nil {
					return receipt.Checkpoint{}, "", err
				}
				c, err := receipt.OpenCheckpoint(checkpoint, vkey)
				return c, vkey, err
			}})
		k := &desk{t: t, db: d, log: s}
		k.record(db.Change{Action: "site.add", Organisation: "first"}, db.Change{Action: "site.add", Organisation: "second"})
		k.must(d.Write(ctx, func(tx *sql.Tx) error {
			return s.Resign(ctx, tx, old.Public().(ed25519.PublicKey), next, "consent.test/2026-03-02-abc", map[string]string{"why": "key replaced"})
		}))
		key = next
		k.record(db.Change{Action: "site.draft", Organisation: "first"})
		k.sound()
		list := k.search(audit.Query{Organisation: "first"})
		st, err := s.State(ctx, "first")
		k.must(err)
		if len(list) != 3 || list[1].Action != audit.Signed || len(list[1].Changes) != 2 || st.Origin != "consent.test/2026-03-02-abc/audit/first" {
			t.Errorf("entries %+v, state %+v", list, st)
		}
	})
}
