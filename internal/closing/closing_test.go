package closing_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"assent/internal/account"
	"assent/internal/audit/audittest"
	"assent/internal/banner"
	"assent/internal/closing"
	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/internal/jobs"
	"assent/internal/mail"
	"assent/internal/register"
	"assent/internal/site"
	"assent/receipt"
)

// house is an installation with a clock that tests move.
type house struct {
	t        *testing.T
	db       *db.DB
	now      time.Time
	register *register.Register
	sites    *site.Store
	accounts *account.Store
	queue    *jobs.Queue
	mail     *mail.Desk
	closing  *closing.Store
}

func newHouse(t *testing.T, d *db.DB) *house {
	t.Helper()
	h := &house{t: t, db: d, now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return h.now }
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	var err error
	if h.register, err = register.Open(t.Context(), register.Config{DB: d, Key: key}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.register.Close(context.Background()) })
	h.sites = site.NewStore(d, banner.Compile, func(ctx context.Context, tx *sql.Tx, id int64, key string) error {
		return h.register.CreateLog(ctx, tx, id, "consent.example/log/"+key)
	})
	h.accounts = account.NewStore(d, clock)
	audittest.New(t, d, clock)
	h.queue = jobs.New(d, clock)
	server, err := mail.ParseServer("smtp://127.0.0.1:1", "Assent <assent@consent.example>")
	if err != nil {
		t.Fatal(err)
	}
	h.mail = mail.NewDesk(d, h.queue, func() ([]byte, error) { return key.Seed(), nil }, server, clock)
	h.closing = closing.NewStore(closing.Config{DB: d, Queue: h.queue, Register: h.register, Sites: h.sites, Accounts: h.accounts, Mail: h.mail,
		PublicURL: func() string { return "https://consent.example" }, Now: clock})
	return h
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (h *house) exec(query string, args ...any) {
	h.t.Helper()
	err := h.db.Write(h.t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(query, args...); return err })
	if err != nil {
		h.t.Fatal(query, err)
	}
}

func (h *house) count(query string, args ...any) (n int) {
	h.t.Helper()
	if err := h.db.Read().QueryRow(query, args...).Scan(&n); err != nil {
		h.t.Fatal(query, err)
	}
	return n
}

// owner makes a person an owner who can sign in.
func (h *house) owner(email, organisation string) *account.Member {
	h.t.Helper()
	m := must(h.accounts.Join(h.t.Context(), account.Joining{Email: email, Name: "Name of " + email, Organisation: organisation, Role: account.Owner}))
	h.exec("update member set password = 'x' where id = $1", m.ID)
	return m
}

func (h *house) decide(s *site.Site, n int, marker string) {
	h.t.Helper()
	var wait sync.WaitGroup
	work := make(chan int)
	for range 32 {
		wait.Go(func() {
			for i := range work {
				r := receipt.Record{Action: "accept_all", ConsentID: uuid.NewString(), RecordID: uuid.NewString(), Page: marker + ".example/", Site: s.Key,
					Status: "accepted_all", Time: h.now.Add(time.Duration(i) * time.Second).Format(receipt.TimeLayout), Type: receipt.RecordType, Version: s.Version}
				at, _ := time.Parse(receipt.TimeLayout, r.Time)
				if _, _, err := h.register.Append(context.Background(), register.Entry{SiteID: s.ID, RecordID: uuid.MustParse(r.RecordID), ConsentID: uuid.MustParse(r.ConsentID), Time: at, Payload: r.Canonical()}); err != nil {
					h.t.Error(err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wait.Wait()
}

// customer is an organisation with a row in every table.
type customer struct {
	organisation, marker string
	site                 *site.Site
	owner                *account.Member
	number               int64 // in columns that have to differ
	values               map[string]string
}

// installation are the tables that are no customer's, each with the reason.
var installation = map[string]string{
	"schema_migration": "of the installation", "setting": "of the installation", "witness": "whom the operator asks", "witnessed": "logs of others",
	"handover_used": "random tokens", "visitor_salt": "of a day, for all", "visitor_seen": "hashes with a salt of the day",
	"closing": "random IDs", "forgotten": "what is left: random IDs", "forgotten_file": "what is left: certificates",
}

// filled makes a customer and fills what has no row of theirs yet, whatever the table.
func (h *house) filled(letter string, number int64) *customer {
	h.t.Helper()
	ctx := h.t.Context()
	c := &customer{marker: "zmark" + letter, number: number}
	c.organisation = must(h.accounts.AddOrganisation(ctx, c.marker+" Ltd", "")).ID
	c.owner = h.owner(c.marker+"@customer.example", c.organisation)
	c.site = must(h.sites.AddTo(ctx, c.organisation, []string{c.marker + ".example"}, c.marker+" shop", c.owner.Email))
	h.decide(c.site, 40, c.marker)
	if removed := must(h.register.EraseSite(ctx, c.site.ID, register.Test)); removed.Records != 40 {
		h.t.Fatalf("%d records", removed.Records)
	}
	h.decide(c.site, 40, c.marker)
	if err := h.mail.Send(ctx, mail.Invitation, c.marker+"-new@customer.example", "", mail.Data{Name: "N", Place: c.marker, Link: "https://consent.example/x"}); err != nil {
		h.t.Fatal(err)
	}
	c.values = map[string]string{"organisation_id": c.organisation, "member_id": c.owner.ID, "site": c.site.Key, "version": c.site.Version,
		"webhook_id": "webhook-" + letter, "token_id": "token-" + letter, "email": c.marker + "-new@customer.example", "role": "auditor", "detail": "{}"}
	tx := must(h.db.Snapshot(ctx))
	tables := must(h.db.Tables(ctx, tx))
	tx.Rollback()
	for i := range tables {
		t := &tables[i]
		if installation[t.Name] == "" && len(h.rows(c, t)) == 0 {
			h.fill(c, t)
		}
		if installation[t.Name] == "" && len(h.rows(c, t)) == 0 {
			h.t.Errorf("the table %s has no row of %s: say in this test whose its rows are", t.Name, c.marker)
		}
	}
	return c
}

// fill inserts a row that is the customer's, with the marker wherever text can stand.
func (h *house) fill(c *customer, t *db.Table) {
	h.t.Helper()
	var names, marks []string
	var args []any
	for i, col := range t.Columns {
		var v any
		switch own := c.values[col.Name]; {
		case t.Name == "webhook" && col.Name == "id":
			v = c.values["webhook_id"]
		case t.Name == "api_token" && col.Name == "id":
			v = c.values["token_id"]
		case t.Name == "job" && col.Name == "lane":
			v = c.values["webhook_id"]
		case own != "":
			v = own
		case col.Name == "site_id":
			v = c.site.ID
		case col.Name == "place":
			v = c.site.ID<<register.PlaceShift | 7
		case col.Kind == db.Int:
			v = c.number
		case col.Kind == db.Bool:
			v = false
		case col.Kind == db.Bytes:
			v = []byte(c.marker + t.Name + col.Name)
		default:
			v = c.marker + t.Name + col.Name
		}
		names, marks, args = append(names, `"`+col.Name+`"`), append(marks, fmt.Sprintf("$%d", i+1)), append(args, v)
	}
	err := h.db.Write(h.t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("insert into "+t.Name+" ("+strings.Join(names, ", ")+") values ("+strings.Join(marks, ", ")+")", args...)
		return err
	})
	if err != nil {
		h.t.Errorf("%s: %v", t.Name, err)
	}
}

// rows are a customer's rows of a table, as text, sorted.
func (h *house) rows(c *customer, t *db.Table) (list []string) {
	h.t.Helper()
	where, arg := "", any(nil)
	for _, by := range []struct {
		column string
		value  any
	}{{"organisation_id", c.organisation}, {"site_id", c.site.ID}, {"place", c.site.ID}, {"member_id", c.owner.ID}, {"webhook_id", c.values["webhook_id"]}, {"token_id", c.values["token_id"]}, {"version", c.site.Version}} {
		if where == "" && t.Has(by.column) {
			where, arg = by.column+" = $1", by.value
			if by.column == "place" {
				where = "place >> 40 = $1"
			}
		}
	}
	switch t.Name {
	case "organisation":
		where, arg = "id = $1", c.organisation
	case "member":
		where, arg = "id = $1", c.owner.ID
	case "job":
		where, arg = "lane = $1", c.values["webhook_id"]
	}
	if where == "" {
		return nil
	}
	names := make([]string, len(t.Columns))
	for i, col := range t.Columns {
		names[i] = `"` + col.Name + `"`
	}
	rows, err := h.db.Read().Query("select "+strings.Join(names, ", ")+" from "+t.Name+" where "+where, arg)
	if err != nil {
		h.t.Fatal(t.Name, err)
	}
	defer rows.Close()
	values, targets := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			h.t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%v", values))
	}
	if err := rows.Err(); err != nil {
		h.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// all is everything of a customer.
func (h *house) all(c *customer) map[string][]string {
	tx := must(h.db.Snapshot(h.t.Context()))
	tables := must(h.db.Tables(h.t.Context(), tx))
	tx.Rollback()
	found := map[string][]string{}
	for i := range tables {
		if rows := h.rows(c, &tables[i]); len(rows) > 0 && installation[tables[i].Name] == "" {
			found[tables[i].Name] = rows
		}
	}
	return found
}

// anywhere are the tables with a row in which a text stands.
func (h *house) anywhere(text string) (list []string) {
	tx := must(h.db.Snapshot(h.t.Context()))
	tables := must(h.db.Tables(h.t.Context(), tx))
	tx.Rollback()
	for _, t := range tables {
		for _, col := range t.Columns {
			if col.Kind != db.Text {
				continue
			}
			if h.count(`select count(*) from "`+t.Name+`" where "`+col.Name+`" like $1`, "%"+text+"%") > 0 {
				list = append(list, t.Name+"."+col.Name)
			}
		}
	}
	return list
}

// inFiles are the files below a directory in which a text stands.
func inFiles(t *testing.T, dir, text string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte(text)) {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Two customers with a row in every table; one is erased. Of that one no row is left
// and no byte of its marker in any file; the other is as it was.
func TestOrganisationIsErasedWhole(t *testing.T) {
	dir := t.TempDir()
	each := func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		ctx := t.Context()
		first, other := h.filled("aa", 1), h.filled("bb", 2)
		both := h.owner("both@people.example", first.organisation)
		must(h.accounts.Join(ctx, account.Joining{Email: both.Email, Organisation: other.organisation, Role: account.Analyst}))
		before := h.all(other)
		if len(before) < 25 || len(h.all(first)) != len(before) {
			t.Fatalf("%d and %d tables are filled", len(h.all(first)), len(before))
		}
		c := must(h.closing.Ask(ctx, closing.Asking{Kind: closing.Organisation, Subject: first.organisation, Days: 30, By: first.owner.ID}))
		if err := h.closing.Carry(ctx, first.organisation); err != nil || len(h.all(first)) != len(before) {
			t.Fatalf("within the grace period: %v", err)
		}
		h.now = c.Due
		for range 2 { // a repeat does no harm
			if err := h.closing.Carry(ctx, first.organisation); err != nil {
				t.Fatal(err)
			}
		}
		for table, rows := range h.all(first) {
			t.Errorf("%s still has %d rows: %.200s", table, len(rows), rows[0])
		}
		after := h.all(other)
		for table := range before {
			if !slices.Equal(before[table], after[table]) {
				t.Errorf("%s of the other customer has changed:\n%.300s\n%.300s", table, before[table], after[table])
			}
		}
		if left := h.anywhere(first.marker); len(left) > 0 {
			t.Errorf("the marker stands in %v", left)
		}
		if d.Engine == db.SQLite {
			if left := inFiles(t, dir, first.marker); len(left) > 0 {
				t.Errorf("the marker's bytes are in %v", left)
			}
			if len(inFiles(t, dir, other.marker)) == 0 {
				t.Error("the search finds nothing, not even what is there")
			}
		}
		if h.count("select count(*) from member where id = $1", both.ID) != 1 || h.count("select count(*) from member where id = $1", first.owner.ID) != 0 {
			t.Error("who belongs to another organisation stays, who belongs to none goes")
		}
		if letters := h.count("select count(*) from job where kind = 'mail'"); letters != 1+2+1 { // the other's invitation; the asking to the one who stays; the certificate to both owners
			t.Errorf("%d letters wait", letters)
		}
		for _, made := range []string{"predecessor", "cosigned", "span", "tile", "consent_place"} { // what this test made up
			h.exec("delete from " + made)
		}
		if report, err := h.register.Fsck(ctx, register.FsckOptions{}); err != nil || !report.OK() {
			t.Errorf("fsck: %+v, %v", report, err)
		}
		h.certified(first)
		if s := must(h.sites.AddTo(ctx, other.organisation, []string{"later.example"}, "Later", "")); s.ID <= other.site.ID || s.ID == first.site.ID {
			t.Errorf("a new site has the number %d again", s.ID)
		}
	}
	t.Run("sqlite", func(t *testing.T) { each(t, dbtest.Open(t, db.Options{Dir: dir})) })
	t.Run("postgres", func(t *testing.T) { each(t, dbtest.Open(t, db.Options{URL: dbtest.PostgresURL(t)})) })
}

// certified checks the certificate of a closing, and those that it names.
func (h *house) certified(c *customer) {
	h.t.Helper()
	ctx := h.t.Context()
	done := must(h.closing.Forgotten(ctx, 10))
	if len(done) != 1 || done[0].ID != c.organisation || len(done[0].Files) != 2 {
		h.t.Fatalf("%+v", done)
	}
	r, err := receipt.VerifyClosing(must(h.closing.File(ctx, c.organisation, "closing-"+c.organisation+".json")), receipt.Trust{})
	if err != nil || !r.Valid || r.Closing.ID != c.organisation || r.Closing.Accounts != 1 || len(r.Closing.Sites) != 1 {
		h.t.Fatalf("%+v, %v", r, err)
	}
	s := r.Closing.Sites[0]
	if s.Site != c.site.Key || s.Records != 80 || s.Size != 82 || len(s.Files) != 1 {
		h.t.Errorf("%+v", s)
	}
	file := must(h.closing.File(ctx, c.organisation, s.Files[0].Name))
	if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) != s.Files[0].SHA256 {
		h.t.Error("the deletion certificate is another than the closing names")
	}
	if deleted, err := receipt.VerifyCertificate(file, r.Key); err != nil || !deleted.Valid || deleted.Erased != s.Records || deleted.Size != s.Size {
		h.t.Errorf("%+v, %v", deleted, err)
	}
}

func TestClosingIsTakenBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		ctx := t.Context()
		o := must(h.accounts.AddOrganisation(ctx, "Customer", ""))
		m := h.owner("owner@customer.example", o.ID)
		ask := closing.Asking{Kind: closing.Organisation, Subject: o.ID, Days: 30, By: m.ID}
		c := must(h.closing.Ask(ctx, ask))
		if _, err := h.closing.Ask(ctx, ask); fault.KindOf(err) != fault.Conflict {
			t.Errorf("asked twice: %v", err)
		}
		if err := h.closing.Keep(ctx, o.ID, m.ID); err != nil {
			t.Fatal(err)
		}
		if err := h.closing.Keep(ctx, o.ID, m.ID); fault.KindOf(err) != fault.NotFound {
			t.Errorf("kept twice: %v", err)
		}
		h.now = h.now.AddDate(0, 0, 10)
		must(h.closing.Ask(ctx, ask))
		h.now = c.Due // the first job comes, the second asking has its own
		if err := h.closing.Carry(ctx, o.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := h.accounts.Organisation(ctx, o.ID); err != nil {
			t.Errorf("it was erased by the job of an asking that was taken back: %v", err)
		}
		for _, bad := range []closing.Asking{{Kind: closing.Organisation, Subject: "nowhere", Days: 30}, {Kind: closing.Account, Subject: "nobody", Days: 30}, {Kind: closing.Organisation, Subject: o.ID, Days: 91}, {Kind: "site", Subject: o.ID}} {
			if _, err := h.closing.Ask(ctx, bad); err == nil {
				t.Errorf("%+v was taken", bad)
			}
		}
	})
}

func TestAccountIsClosed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		ctx := t.Context()
		c := h.filled("aa", 1)
		person := h.owner("zperson@people.example", c.organisation)
		h.exec("update notice_version set published_by = $1", person.Email)
		h.exec("insert into totp (member_id, secret, confirmed_at, last_step) values ($1, 'zsecret', 1, 1)", person.ID)
		must(h.accounts.Open(ctx, person))

		var out bytes.Buffer
		if err := h.closing.WriteAccount(ctx, &out, person.ID); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{closing.ExportType, `"membership"`, `"session"`, `"totp"`, `"audit_entry"`, `"notice_version"`, person.Email, "Name of zperson", "(kept, not told)"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the export has no %s", want)
			}
		}
		for _, secret := range []string{"zsecret", c.marker + "@"} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("the export tells %s", secret)
			}
		}
		ask := func(m *account.Member) error {
			_, err := h.closing.Ask(ctx, closing.Asking{Kind: closing.Account, Subject: m.ID, Days: 7, By: m.ID})
			return err
		}
		if err := ask(person); err != nil {
			t.Fatal(err)
		}
		if err := ask(c.owner); err != nil { // both ask: whose turn is last finds that it is the only owner
			t.Fatal(err)
		}
		h.now = h.now.AddDate(0, 0, 7)
		for _, m := range []*account.Member{person, c.owner} {
			if err := h.closing.Carry(ctx, m.ID); err != nil {
				t.Fatal(err)
			}
		}
		if left := h.anywhere("zperson"); len(left) > 0 {
			t.Errorf("%s is still in %v", person.Email, left)
		}
		if h.count("select count(*) from member where id = $1", c.owner.ID) != 1 || must(h.closing.Of(ctx, c.owner.ID)) != nil {
			t.Error("the last owner was closed")
		}
		if err := ask(c.owner); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Message(err), c.marker+" Ltd") {
			t.Errorf("the only owner asks: %v", err)
		}
		r, err := receipt.VerifyClosing(must(h.closing.File(ctx, person.ID, "closing-"+person.ID+".json")), receipt.Trust{})
		if err != nil || !r.Valid || r.Closing.Kind != closing.Account {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestInactiveAccounts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		ctx := t.Context()
		o := must(h.accounts.AddOrganisation(ctx, "Customer", ""))
		h.owner("sole@customer.example", o.ID)
		join := func(email string) *account.Member {
			return must(h.accounts.Join(ctx, account.Joining{Email: email, Organisation: o.ID, Role: account.Analyst}))
		}
		idle, back, busy := join("idle@customer.example"), join("back@customer.example"), join("busy@customer.example")
		sweep := func(want int) {
			t.Helper()
			if n, err := h.closing.Sweep(ctx); err != nil || n != want {
				t.Fatalf("%s: %d were warned, want %d; %v", h.now.Format(time.DateOnly), n, want, err)
			}
		}
		sweep(0)
		end := h.now.AddDate(0, closing.InactiveMonths, 0)
		h.now = end.AddDate(0, 0, -31)
		must(h.accounts.Open(ctx, busy))
		sweep(0)
		h.now = end.AddDate(0, 0, -30)
		sweep(2)
		sweep(0)
		h.now = end.AddDate(0, 0, -8)
		must(h.accounts.Open(ctx, back)) // signing in takes it back
		sweep(0)
		h.now = end.AddDate(0, 0, -7)
		sweep(1)
		sweep(0)
		h.now = end.Add(-time.Second)
		if err := h.closing.Carry(ctx, idle.ID); err != nil || h.count("select count(*) from member") != 4 {
			t.Fatalf("before the day: %v", err)
		}
		h.now = end
		if err := h.closing.Carry(ctx, idle.ID); err != nil || h.count("select count(*) from member") != 3 {
			t.Fatalf("on the day: %v, %d members", err, h.count("select count(*) from member"))
		}
		// A server that was off on the day of the second warning warns then, and waits again.
		h.now = h.now.AddDate(0, 23, 0)
		sweep(2)
		h.now = h.now.AddDate(0, 6, 0)
		if err := h.closing.Carry(ctx, back.ID); err != nil || h.count("select count(*) from member") != 3 {
			t.Fatalf("without the second warning: %v", err)
		}
		sweep(2)
		if err := h.closing.Carry(ctx, back.ID); err != nil || h.count("select count(*) from member") != 3 {
			t.Fatalf("at once after it: %v", err)
		}
		h.now = h.now.AddDate(0, 0, closing.LastWarnDays)
		if err := h.closing.Carry(ctx, back.ID); err != nil || h.count("select count(*) from member") != 2 {
			t.Fatalf("7 days after it: %v", err)
		}
	})
}

// Whatever step an erasing is interrupted at, the next attempt finds its way.
func TestInterruptedErasingGoesOn(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := newHouse(t, d)
		c := h.filled("aa", 1)
		must(h.closing.Ask(t.Context(), closing.Asking{Kind: closing.Organisation, Subject: c.organisation}))
		failed := 0
		for n := 1; ; n += 2 + n/2 { // ends after n looks at the context, which each query has
			inner, cancel := context.WithCancel(t.Context())
			err := h.closing.Carry(&ending{Context: inner, cancel: cancel, left: n}, c.organisation)
			cancel()
			if err == nil {
				break
			}
			if failed++; !errors.Is(err, context.Canceled) && fault.KindOf(err) == fault.Internal {
				t.Fatalf("after %d: %v", n, err)
			}
		}
		if failed < 5 || len(h.all(c)) > 0 || len(h.anywhere(c.marker)) > 0 {
			t.Errorf("interrupted %d times; left is %v", failed, h.anywhere(c.marker))
		}
		h.certified(c)
	})
}

// ending is a context that is cancelled when it was looked at so many times.
type ending struct {
	context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	left   int
}

func (e *ending) Done() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left--; e.left < 0 {
		e.cancel()
	}
	return e.Context.Done()
}
