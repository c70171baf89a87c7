package admin_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"assent/internal/account"
	"assent/internal/admin"
	"assent/internal/db"
)

// change is a form that changes something, or hands something out. path fills the
// placeholders that town does not know.
type change struct {
	form   func(w *town) url.Values
	nobody bool // sent by a browser that is signed out
	only   bool // nothing but the entry is written
}

func fixed(pairs ...string) func(*town) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return func(*town) url.Values { return v }
}

// changes are forms for each address, in the order in which they can be sent. An
// address that is not here is tried with a form that says little: if it changes
// anything, it has to leave an entry all the same.
var changes = map[string][]change{
	"POST /console/setup": {{nobody: true, form: func(w *town) url.Values {
		return url.Values{"token": {must(w.accounts.PasswordLink(context.Background(), "analyst@agency.example", ""))}, "password": {"violet anchor sunday"}, "again": {"violet anchor sunday"}}
	}}},
	"POST /console/sign-in": {{nobody: true, form: fixed("email", officer, "password", password)}},
	"POST /console/join": {{nobody: true, form: func(w *town) url.Values {
		return url.Values{"token": {must(w.accounts.Invite(context.Background(), account.Joining{Email: "new@shop.example", Organisation: w.site.Organisation, Role: account.Analyst}))}, "name": {"New"}, "password": {"violet anchor sunday"}, "again": {"violet anchor sunday"}}
	}}},
	"POST /console/account/sessions": {{form: func(w *town) url.Values {
		list := must(w.accounts.Sessions(context.Background(), must(w.accounts.Open(context.Background(), must(w.accounts.MemberByEmail(context.Background(), officer))))))
		for _, s := range list {
			if s.Here {
				return url.Values{"session": {s.ID}}
			}
		}
		return nil
	}}},
	"POST /console/account/second-factor": {{form: fixed("do", "start")}},
	"POST /console/account":               {{form: fixed("current", password, "password", "violet anchor sunday", "again", "violet anchor sunday")}},
	"POST /console/operator":              {{form: fixed("do", "add", "name", "Third customer", "email", "third@customer.example")}},
	"POST /console/organisation":          {{form: fixed("name", "Renamed")}},
	"POST /console/members": {
		{form: fixed("do", "invite", "email", "guest@shop.example", "role", "analyst")},
		{form: func(w *town) url.Values {
			return url.Values{"do": {"role"}, "member": {w.persons[2].member.ID}, "role": {"analyst"}}
		}},
		{form: func(w *town) url.Values { return url.Values{"do": {"remove"}, "member": {w.persons[2].member.ID}} }},
	},
	"POST /console/activity/export":         {{only: true, form: fixed("format", "csv")}, {only: true, form: fixed("format", "ndjson")}},
	"POST /console/activity/keep":           {{only: true, form: fixed("days", "400")}},
	"POST /console/sites/new":               {{form: fixed("domains", "fresh.example")}},
	"POST /console/sites/{site}":            {{form: fixed("domains", "shop.example more.example", "name", "Corner")}},
	"POST /console/sites/{site}/statistics": {{form: fixed("threshold", "7", "days", "100", "zone", "Europe/Berlin")}},
	"POST /console/sites/{site}/seen":       {{form: fixed("do", "ignore", "kind", "local_storage", "name", "recently-viewed")}, {form: fixed("do", "clear")}},
	"POST /console/sites/{site}/catalogue":  {{form: fixed("service", "matomo")}},
	"POST /console/sites/{site}/export":     {{only: true, form: fixed("format", "csv")}},
	"POST /console/sites/{site}/webhooks":   {{form: fixed("url", "https://shop.example/other", "event", "consent.given")}},
	"POST /console/sites/{site}/banner": {{form: func(w *town) url.Values {
		v := w.get("/console/sites/" + w.site.Key + "/banner").form("main form")
		v.Set("texts.en.title", "Another title")
		v.Set("do", "save")
		return v
	}}},
	"POST /console/sites/{site}/publish":                {{form: func(w *town) url.Values { return w.get("/console/sites/" + w.site.Key + "/publish").form("main form") }}},
	"POST /console/sites/{site}/preview":                {},
	"POST /console/sites/{site}/webhooks/{webhook}":     {{form: fixed("do", "test")}, {form: fixed("do", "rotate")}, {form: fixed("do", "remove")}},
	"POST /console/sites/{site}/records/{record}/erase": {{form: fixed("reason", "request", "what", "record")}},
}

// last are addresses after which others could not be tried.
var last = []string{"POST /console/sites/{site}/webhooks/{webhook}", "POST /console/sites/{site}/records/{record}/erase", "POST /console/account", "POST /console/sign-out"}

// rows is a digest of everything that is kept, without the audit log, and how many
// entries that has.
func (w *town) rows() (digest string, entries int) {
	w.t.Helper()
	ctx := context.Background()
	tx := must(w.db.Snapshot(ctx))
	defer tx.Rollback()
	sum := sha256.New()
	for _, table := range must(w.db.Tables(ctx, tx)) {
		if strings.HasPrefix(table.Name, "audit_") {
			continue
		}
		var columns []string
		for _, c := range table.Columns {
			how := "quote"
			if c.Kind == db.Bytes {
				how = "length"
			}
			columns = append(columns, how+"("+c.Name+")")
		}
		lines := must(db.Strings(tx.QueryContext(ctx, "select "+strings.Join(columns, "||','||")+" from "+table.Name)))
		slices.Sort(lines)
		fmt.Fprintln(sum, table.Name, strings.Join(lines, "\n"))
	}
	if err := tx.QueryRowContext(ctx, "select count(*) from audit_entry").Scan(&entries); err != nil {
		w.t.Fatal(err)
	}
	return string(sum.Sum(nil)), entries
}

// Every address that changes something leaves an entry in the audit log, in the same
// transaction: where the entry cannot be written, nothing is changed.
func TestEveryChangeIsWrittenDown(t *testing.T) {
	w := newTown(t)
	routes := slices.DeleteFunc(slices.Sorted(maps.Keys(admin.Routes())), func(pattern string) bool {
		return strings.HasPrefix(pattern, "GET ") || strings.HasPrefix(pattern, "/")
	})
	for pattern := range changes {
		if !slices.Contains(routes, pattern) {
			t.Errorf("%s is no address any more", pattern)
		}
	}
	slices.SortStableFunc(routes, func(a, b string) int { return slices.Index(last, a) - slices.Index(last, b) })
	signedIn := w.client
	for _, pattern := range routes {
		_, path := w.address(t, pattern)
		known, listed := changes[pattern]
		if !listed {
			known = []change{{form: fixed("do", "save", "org", w.site.Organisation)}}
		}
		for i, c := range known {
			name := fmt.Sprintf("%s, form %d", pattern, i+1)
			send := func() *answer {
				form := c.form(w)
				if w.client = signedIn; c.nobody {
					w.client = w.stranger()
				}
				defer func() { w.client = signedIn }()
				return w.post(path, form)
			}
			form := c.form(w) // some make what they use up
			c.form = func(*town) url.Values { return form }
			if listed {
				before, _ := w.rows()
				w.db.OnChange(func(context.Context, *sql.Tx, []db.Change) error { return errors.New("the log cannot be written") })
				refused := send()
				w.audit.Attach()
				if after, _ := w.rows(); after != before {
					t.Errorf("%s changes something although no entry can be written", name)
				}
				if !c.nobody && refused.status < 500 {
					t.Errorf("%s = %d although no entry can be written", name, refused.status)
				}
			}
			before, entries := w.rows()
			a := send()
			after, now := w.rows()
			switch {
			case before != after && now == entries:
				t.Errorf("%s changes something and leaves no entry", name)
			case listed && now == entries:
				t.Errorf("%s leaves no entry: %d, %s", name, a.status, excerpt(a.root))
			case listed && !c.only && before == after:
				t.Errorf("%s changes nothing: %d, %s", name, a.status, excerpt(a.root))
			}
		}
	}
	if r := must(w.audit.Fsck(context.Background())); r.Problems > 0 {
		t.Errorf("fsck: %q", r.Findings)
	}
}
