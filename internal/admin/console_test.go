package admin_test

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"database/sql"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/net/html"

	"assent/internal/account"
	"assent/internal/admin"
	"assent/internal/audit"
	"assent/internal/banner"
	"assent/internal/closing"
	"assent/internal/consent"
	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/install"
	"assent/internal/install/wire"
	"assent/internal/jobs"
	"assent/internal/mail"
	"assent/internal/register"
	"assent/internal/retention"
	"assent/internal/site"
	"assent/internal/stats"
	"assent/internal/webhook"
	"assent/receipt"
)

const (
	officer  = "officer@shop.example"
	password = "plum kettle orbit"
)

// desk is a console on a temporary database with everything real behind it.
type desk struct {
	t         *testing.T
	db        *db.DB
	sites     *site.Store
	register  *register.Register
	accounts  *account.Store
	stats     *stats.Store
	counters  *stats.Counters
	webhooks  *webhook.Store
	queue     *jobs.Queue
	closing   *closing.Store
	retention *retention.Store
	server    *httptest.Server
	client    *http.Client // keeps cookies, follows no redirects
	posted    atomic.Int64 // previews that were asked for by POST
	page      string       // what is looked at where no address is given
	audit     *audit.Store
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return newDeskOn(t, dbtest.SQLite(t))
}

func newDeskOn(t *testing.T, d *db.DB) *desk {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	reg, err := register.Open(context.Background(), register.Config{DB: d, Key: key, Same: consent.Same})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close(context.Background()) })
	createLog := func(ctx context.Context, tx *sql.Tx, siteID int64, key string) error {
		return reg.CreateLog(ctx, tx, siteID, "consent.test/log/"+key)
	}
	k := &desk{t: t, db: d, register: reg, sites: site.NewStore(d, banner.Compile, createLog), accounts: account.NewStore(d, nil), stats: stats.NewStore(d, nil), counters: stats.NewCounters(d, nil, stats.Register{})}
	k.webhooks = openWebhooks(d, reg, k.sites, key.Seed())
	checker := wire.NewChecker("test", true, nil)
	check := func(ctx context.Context, key, address string, more int) ([]install.Report, error) {
		s, err := k.sites.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		return checker.Check(ctx, cmp.Or(address, k.page, "https://"+s.Domains[0]), more, install.Expect{Key: key, Origin: "https://consent.test", Owns: s.Owns})
	}
	k.queue = jobs.New(d, time.Now)
	desk := mail.NewDesk(d, k.queue, func() ([]byte, error) { return key.Seed(), nil }, mail.Server{}, time.Now)
	publicURL := func() string { return "https://consent.test" }
	k.closing = closing.NewStore(closing.Config{DB: d, Queue: k.queue, Register: reg, Sites: k.sites, Accounts: k.accounts, Mail: desk, PublicURL: publicURL, Now: time.Now})
	k.retention = retention.NewStore(d, reg, func(context.Context, string) (int, error) { return 180, nil }, time.Now)
	k.keepAudit()
	console := admin.New(admin.Deps{Audit: k.audit, Check: check, Closing: k.closing, Retention: k.retention,
		Archive: func(_ context.Context, w io.Writer, organisation string) error {
			_, err := io.WriteString(w, "archive of "+organisation)
			return err
		},
		Retain: func(ctx context.Context, siteID int64, _ string) error {
			_, err := k.retention.Run(ctx, []retention.Site{{ID: siteID, Key: "any"}})
			return err
		},
		Sites: k.sites, Register: reg, Accounts: k.accounts, Stats: k.stats, Counters: k.counters, Webhooks: k.webhooks, Preview: banner.Preview,
		PublicURL: publicURL})
	k.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		console.ServeHTTP(w, r)
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/preview") {
			k.posted.Add(1)
		}
	}))
	t.Cleanup(k.server.Close)
	k.client = k.stranger()
	return k
}

// keepAudit has changes written into the audit log.
func (k *desk) keepAudit() {
	k.audit = audit.NewStore(audit.Config{DB: k.db, Signer: k.register.Signer, OpenHead: k.register.OpenHead, Host: func() string { return "consent.test" }, Now: time.Now})
}

// stranger is another browser, signed out.
func (k *desk) stranger() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// signedIn is a desk with one member whose browser is signed in.
func signedIn(t *testing.T) *desk {
	t.Helper()
	return signedInOn(t, dbtest.SQLite(t))
}

func signedInOn(t *testing.T, d *db.DB) *desk {
	t.Helper()
	k := newDeskOn(t, d)
	ctx := context.Background()
	token, err := k.accounts.SetupLink(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.accounts.Setup(ctx, token, account.NewMember{Email: officer, Name: "Olga Officer", Password: password}); err != nil {
		t.Fatal(err)
	}
	k.post("/console/sign-in", url.Values{"email": {officer}, "password": {password}}).want(http.StatusSeeOther)
	return k
}

// answer is a response that was read, with the page that it holds.
type answer struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   string
	root   *html.Node
}

func (k *desk) do(client *http.Client, r *http.Request) *answer {
	k.t.Helper()
	response, err := client.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	root, err := html.Parse(strings.NewReader(string(body)))
	if err != nil {
		k.t.Fatal(err)
	}
	return &answer{k.t, r.Method + " " + r.URL.RequestURI(), response.StatusCode, response.Header, string(body), root}
}

func (k *desk) get(path string) *answer {
	k.t.Helper()
	r, err := http.NewRequest(http.MethodGet, k.server.URL+path, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return k.do(k.client, r)
}

func (k *desk) post(path string, form url.Values) *answer {
	k.t.Helper()
	r, err := http.NewRequest(http.MethodPost, k.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return k.do(k.client, r)
}

func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s = %d, want %d; main: %s", a.what, a.status, status, excerpt(a.root))
	}
	return a
}

// has checks that an element exists whose text holds words.
func (a *answer) has(selector, words string) *answer {
	a.t.Helper()
	found := all(a.root, selector)
	for _, n := range found {
		if strings.Contains(text(n), words) {
			return a
		}
	}
	a.t.Errorf("%s: none of the %d elements %q holds %q; main: %s", a.what, len(found), selector, words, excerpt(a.root))
	return a
}

// count checks how many elements there are.
func (a *answer) count(selector string, n int) *answer {
	a.t.Helper()
	if got := len(all(a.root, selector)); got != n {
		a.t.Errorf("%s has %d elements %q, want %d", a.what, got, selector, n)
	}
	return a
}

// value is the value of a form control.
func (a *answer) value(selector string) string {
	a.t.Helper()
	n := one(a.root, selector)
	if n == nil {
		a.t.Fatalf("%s has no %q", a.what, selector)
	}
	if n.Data == "textarea" {
		return text(n)
	}
	return attr(n, "value")
}

// form is everything that a browser would send of the form, without a button.
func (a *answer) form(selector string) url.Values {
	a.t.Helper()
	root := one(a.root, selector)
	if root == nil {
		a.t.Fatalf("%s has no form %q", a.what, selector)
	}
	v := url.Values{}
	for _, n := range all(root, "input") {
		if kind := attr(n, "type"); (kind == "checkbox" || kind == "radio") && !hasAttr(n, "checked") {
			continue
		}
		v.Add(attr(n, "name"), attr(n, "value"))
	}
	for _, n := range all(root, "textarea") {
		v.Add(attr(n, "name"), strings.TrimPrefix(text(n), "\n"))
	}
	for _, n := range all(root, "select") {
		for _, o := range all(n, "option") {
			if hasAttr(o, "selected") {
				v.Add(attr(n, "name"), attr(o, "value"))
			}
		}
	}
	v.Del("")
	return v
}

// decide appends a decision to the site's register and returns its IDs.
func (k *desk) decide(s *site.Site, consentID uuid.UUID, at time.Time, change func(*receipt.Record)) uuid.UUID {
	k.t.Helper()
	id := uuid.Must(uuid.NewV7())
	r := &receipt.Record{Action: "accept_all", Browser: "firefox", Categories: map[string]bool{"functional": true, "analytics": true, "advertising": true},
		ConsentID: consentID.String(), Country: "DE", Device: "mobile", Language: "en", Network: "192.0.2.0/24", Page: s.Domains[0] + "/",
		RecordID: id.String(), Services: map[string]bool{}, Site: s.Key, Source: "banner", Status: "accepted_all",
		Time: at.UTC().Format(receipt.TimeLayout), Type: receipt.RecordType, Version: s.Version}
	if change != nil {
		change(r)
	}
	if _, _, err := k.register.Append(context.Background(), register.Entry{SiteID: s.ID, RecordID: id, ConsentID: consentID, Time: at, Payload: r.Canonical()}); err != nil {
		k.t.Fatal(err)
	}
	return id
}

// exec changes the database where no feature would.
func (k *desk) exec(query string, args ...any) {
	k.t.Helper()
	err := k.db.Write(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(context.Background(), query, args...)
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *desk) addSite(domain, name string) *site.Site {
	k.t.Helper()
	s, err := k.sites.Add(context.Background(), []string{domain}, name, officer)
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

// excerpt is the beginning of a page's content, for failures.
func excerpt(root *html.Node) string {
	s := text(one(root, "main"))
	return s[:min(len(s), 400)]
}
