package api

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"assent/internal/account"
	"assent/internal/audit"
	"assent/internal/audit/audittest"
	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/register"
	"assent/internal/site"
	"assent/receipt"

	"github.com/google/uuid"
)

var update = flag.Bool("update", false, "rewrite golden files")

// world is the API with two sites, each with decisions of the same visitor.
type world struct {
	t        *testing.T
	db       *db.DB
	sites    []*site.Site
	register *register.Register
	accounts *account.Store
	audit    *audit.Store
	server   *httptest.Server
	visitor  uuid.UUID
	records  [][]uuid.UUID // by site
	mu       sync.Mutex
	now      time.Time
}

const recordsEach = 7

func plainCompile(_ *site.Notice, version string) (*site.Bundle, error) {
	return &site.Bundle{Build: "1", Script: site.Script{ETag: version, Plain: []byte("//"), Brotli: []byte("b"), Gzip: []byte("g")}}, nil
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{t: t, db: d, visitor: uuid.New(), now: time.Now().UTC()}
	reg, err := register.Open(t.Context(), register.Config{DB: d, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close(context.Background()) })
	w.register = reg
	clock := func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
	w.accounts = account.NewStore(d, clock)
	w.audit = audittest.New(t, d, clock)
	sites := site.NewStore(d, plainCompile, func(ctx context.Context, tx *sql.Tx, id int64, key string) error {
		return reg.CreateLog(ctx, tx, id, "consent.example/log/"+key)
	})
	for _, domain := range []string{"shop.example", "blog.example"} {
		s, err := sites.Add(t.Context(), []string{domain}, "", "test")
		if err != nil {
			t.Fatal(err)
		}
		w.sites = append(w.sites, s)
		var ids []uuid.UUID
		for range recordsEach {
			ids = append(ids, w.decide(s))
		}
		w.records = append(w.records, ids)
	}
	w.server = httptest.NewServer(New(Deps{Sites: sites, Register: reg, Accounts: w.accounts, PublicURL: func() string { return "https://consent.example" }, Now: clock}))
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) decide(s *site.Site) uuid.UUID {
	w.t.Helper()
	id := uuid.Must(uuid.NewV7())
	record := receipt.Record{Action: "accept_all", ConsentID: w.visitor.String(), RecordID: id.String(), Site: s.Key, Status: "accepted_all",
		Categories: map[string]bool{}, Services: map[string]bool{}, Time: w.now.Format(receipt.TimeLayout), Type: receipt.RecordType, Version: s.Version}
	_, _, err := w.register.Append(w.t.Context(), register.Entry{SiteID: s.ID, RecordID: id, ConsentID: w.visitor, Time: w.now, Payload: record.Canonical()})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) pass(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

// token makes a token for the site with a number, -1 for every site.
func (w *world) token(at int, scopes ...string) string {
	w.t.Helper()
	key := ""
	if at >= 0 {
		key = w.sites[at].Key
	}
	secret, _, err := w.accounts.AddToken(w.t.Context(), account.NewToken{Name: "test", Site: key, Scopes: scopes, Days: 30})
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

type answer struct {
	status int
	header http.Header
	text   string
	data   map[string]any
}

// ask makes a request. A body is sent as JSON, with an Idempotency-Key.
func (w *world) ask(token, method, path, body, key string) answer {
	w.t.Helper()
	r, err := http.NewRequest(method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{res.StatusCode, res.Header, string(text), map[string]any{}}
	if method != http.MethodHead {
		if err := json.Unmarshal(text, &a.data); err != nil {
			w.t.Errorf("%s %s: %v\n%s", method, path, err, text)
		}
	}
	if res.Header.Get("Cache-Control") != "no-store" || (res.StatusCode >= 400) != (res.Header.Get("Content-Type") == "application/problem+json") {
		w.t.Errorf("%s %s: headers %v", method, path, res.Header)
	}
	return a
}

// path fills the path of a route for the site with a number.
func (w *world) path(rt route, at int) string {
	return prefix + strings.NewReplacer("{site}", w.sites[at].Key, "{version}", w.sites[at].Version, "{record}", w.records[at][0].String()).Replace(rt.path)
}

// Every route, with a token of each scope, with one of another site, with one that
// is out of date or revoked, and with none: what is not allowed is 401, 403 or 404,
// and shows nothing.
func TestEveryRouteAsksForItsScope(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		everything := w.token(0, account.Scopes...)
		foreign := w.token(1, account.Scopes...)
		// Of the same site, but made for another organisation, as after the site was moved.
		moved, _, err := w.accounts.AddToken(t.Context(), account.NewToken{Name: "moved", Organisation: "another", Site: w.sites[0].Key, Scopes: account.Scopes, Days: 30})
		if err != nil {
			t.Fatal(err)
		}
		revoked, gone, err := w.accounts.AddToken(t.Context(), account.NewToken{Name: "gone", Scopes: account.Scopes, Days: 30})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.accounts.RevokeToken(t.Context(), gone.ID, ""); err != nil {
			t.Fatal(err)
		}
		secrets := []string{w.visitor.String(), w.sites[0].Version, "shop.example", w.records[0][1].String()}
		silent := func(a answer, what string, status ...int) {
			t.Helper()
			if !slices.Contains(status, a.status) {
				t.Errorf("%s is %d, want %v\n%s", what, a.status, status, a.text)
			}
			for _, s := range secrets {
				if strings.Contains(a.text, s) {
					t.Errorf("%s shows %s", what, s)
				}
			}
		}
		walked := 0
		for _, rt := range new(api).routes() {
			walked++
			name, path, body, key := rt.method+" "+rt.path, w.path(rt, 0), "", ""
			if rt.body != nil {
				body, key = fmt.Sprintf(`{"record_id":"%s","reason":"request"}`, w.records[0][0]), uuid.NewString()
			}
			for _, bad := range []string{"", "AAAA", account.TokenPrefix + strings.Repeat("A", 43), revoked, everything + "x"} {
				a := w.ask(bad, rt.method, path, body, key)
				silent(a, name+" without a valid token", 401)
				if a.header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s: 401 without WWW-Authenticate", name)
				}
			}
			for _, scope := range account.Scopes {
				if scope != rt.scope {
					silent(w.ask(w.token(0, scope), rt.method, path, body, key), name+" with "+scope, 403)
				}
			}
			if strings.Contains(rt.path, "{site}") {
				silent(w.ask(foreign, rt.method, path, body, key), name+" with another site's token", 404)
				silent(w.ask(moved, rt.method, path, body, key), name+" with another organisation's token", 404)
				mixed := strings.Replace(path, w.sites[0].Key, w.sites[1].Key, 1) // their site, our record
				if rt.body != nil || strings.ContainsAny(strings.TrimPrefix(rt.path, "/sites/{site}"), "{") {
					silent(w.ask(foreign, rt.method, mixed, body, key), name+" of another site under their own", 404)
				}
			} else {
				silent(w.ask(foreign, rt.method, path, body, key), name+" with another site's token", 200)
				silent(w.ask(moved, rt.method, path, body, key), name+" with another organisation's token", 200)
			}
			if a := w.ask(w.token(-1, rt.scope), rt.method, path, body, key); a.status != rt.status {
				t.Errorf("%s with its scope is %d\n%s", name, a.status, a.text)
			}
			if a := w.ask(everything, http.MethodDelete, path, "", ""); a.status != 405 || a.header.Get("Allow") == "" {
				t.Errorf("DELETE %s is %d", rt.path, a.status)
			}
		}
		if walked < 8 {
			t.Errorf("only %d routes were walked", walked)
		}
		w.pass(31 * 24 * time.Hour)
		silent(w.ask(everything, "GET", prefix+"/sites", "", ""), "a token that is out of date", 401)
	})
}

func TestListsComeInPages(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		token := w.token(-1, account.Scopes...)
		base := prefix + "/sites/" + w.sites[0].Key
		for _, c := range []struct {
			path   string
			member string
			want   int
		}{
			{prefix + "/sites", "site", 2},
			{base + "/versions", "version", 1},
			{base + "/records", "index", recordsEach},
			{base + "/records?consent_id=" + w.visitor.String(), "index", recordsEach},
			{base + "/records?consent_id=" + uuid.NewString(), "index", 0},
			{base + "/records?to=" + w.now.Add(-time.Hour).Format(time.RFC3339), "index", 0},
		} {
			for _, limit := range []int{1, 3, 7, 100} {
				seen, cursor := map[string]bool{}, ""
				for pages := 0; ; pages++ {
					mark := "?"
					if strings.Contains(c.path, "?") {
						mark = "&"
					}
					a := w.ask(token, "GET", fmt.Sprintf("%s%slimit=%d%s", c.path, mark, limit, cursor), "", "")
					if a.status != 200 || pages > 20 {
						t.Fatalf("%s: %d after %d pages\n%s", c.path, a.status, pages, a.text)
					}
					items := a.data["items"].([]any)
					if len(items) > limit {
						t.Errorf("%s: %d items in a page of %d", c.path, len(items), limit)
					}
					for _, item := range items {
						id := fmt.Sprint(item.(map[string]any)[c.member])
						if seen[id] {
							t.Errorf("%s: %s is listed twice", c.path, id)
						}
						seen[id] = true
					}
					next, more := a.data["next"].(string)
					if !more {
						break
					}
					cursor = "&cursor=" + next
				}
				if len(seen) != c.want {
					t.Errorf("%s in pages of %d: %d items, want %d", c.path, limit, len(seen), c.want)
				}
			}
		}
		sites := w.ask(token, "GET", prefix+"/sites?limit=1", "", "").data["next"].(string)
		for _, bad := range []string{"limit=0", "limit=501", "limit=x", "cursor=x", "cursor=" + sites, "consent=" + w.visitor.String(), "from=yesterday", "consent_id=1", "limit=1&limit=2"} {
			if a := w.ask(token, "GET", base+"/records?"+bad, "", ""); a.status != 400 {
				t.Errorf("%s is %d\n%s", bad, a.status, a.text)
			}
		}
	})
}

func TestReceiptsVerify(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	token := w.token(0, account.ScopeRecordsRead)
	path := prefix + "/sites/" + w.sites[0].Key + "/records/" + w.records[0][3].String()
	result, err := receipt.Verify([]byte(w.ask(token, "GET", path+"/receipt", "", "").text), "")
	if err != nil || !result.Valid {
		t.Errorf("%+v, %v", result, err)
	}
	if a := w.ask(token, "GET", path, "", ""); a.data["index"] != 3.0 || a.data["record"].(map[string]any)["record_id"] != w.records[0][3].String() {
		t.Errorf("record %s", a.text)
	}
	if a := w.ask(token, "HEAD", path, "", ""); a.status != 200 {
		t.Errorf("HEAD is %d", a.status)
	}
}

func TestErasingOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		token, other := w.token(0, account.ScopeRecordsErase, account.ScopeRecordsRead), w.token(0, account.ScopeRecordsErase)
		base := prefix + "/sites/" + w.sites[0].Key
		body := fmt.Sprintf(`{"record_id":"%s","reason":"request"}`, w.records[0][0])
		key := uuid.NewString()
		// Without an entry of the audit log nothing is erased.
		w.db.OnChange(func(context.Context, *sql.Tx, []db.Change) error { return sql.ErrConnDone })
		if a := w.ask(token, "POST", base+"/erasures", body, key); a.status < 500 {
			t.Errorf("without an audit log: %d %s", a.status, a.text)
		}
		w.audit.Attach()
		first := w.ask(token, "POST", base+"/erasures", body, key)
		if first.status != 200 || first.data["records"] != 1.0 || fmt.Sprint(first.data["acts"]) != fmt.Sprintf("[%d]", recordsEach) {
			t.Fatalf("erased: %d %s", first.status, first.text)
		}
		if again := w.ask(token, "POST", base+"/erasures", body, key); again.status != 200 || again.text != first.text {
			t.Errorf("a repeat: %d %s", again.status, again.text)
		}
		if a := w.ask(token, "POST", base+"/erasures", body, uuid.NewString()); a.status != 410 {
			t.Errorf("another request for what is erased: %d %s", a.status, a.text)
		}
		if a := w.ask(other, "POST", base+"/erasures", body, key); a.status != 410 {
			t.Errorf("another token's key: %d %s", a.status, a.text)
		}
		if a := w.ask(token, "POST", base+"/erasures", strings.Replace(body, "request", "test", 1), key); a.status != 422 {
			t.Errorf("the same key for another request: %d %s", a.status, a.text)
		}
		if a := w.ask(token, "GET", base+"/records/"+w.records[0][0].String(), "", ""); a.status != 410 {
			t.Errorf("the erased record: %d %s", a.status, a.text)
		}
		visitor := fmt.Sprintf(`{"consent_id":"%s","reason":"unlawful"}`, w.visitor)
		if a := w.ask(token, "POST", base+"/erasures", visitor, uuid.NewString()); a.status != 200 || a.data["records"] != float64(recordsEach-1) {
			t.Errorf("all of a visitor: %d %s", a.status, a.text)
		}
		found, err := w.register.Search(t.Context(), register.Query{SiteID: w.sites[1].ID})
		if err != nil || len(found) != recordsEach {
			t.Errorf("another site has %d records left, %v", len(found), err)
		}
		lines, err := w.audit.Search(t.Context(), audit.Query{Organisation: w.sites[0].Organisation, Action: account.RegisterErase})
		if err != nil || len(lines) < 2 || lines[0].Actor != "token" || lines[0].ActorID == "" || lines[0].Site != w.sites[0].Key || !strings.Contains(lines[0].Detail["why"], "unlawful, API token assent_") {
			t.Errorf("activity %+v, %v", lines, err)
		}
		for _, bad := range []struct {
			body, key string
			status    int
		}{
			{body, "", 400}, {body, strings.Repeat("k", 300), 400}, {"{", "a", 400}, {`{"record_id":"x","reason":"request"}`, "b", 422},
			{`{"reason":"request"}`, "c", 422}, {strings.Replace(body, "request", "because", 1), "d", 422}, {strings.Replace(body, "record_id", "record", 1), "e", 400},
			{body + body, "f", 400}, {fmt.Sprintf(`{"record_id":"%s","consent_id":"%s","reason":"request"}`, w.records[0][0], w.visitor), "g", 422},
			{`{"x":"` + strings.Repeat("x", 5000) + `"}`, "h", 413}, {fmt.Sprintf(`{"record_id":"%s","reason":"request"}`, w.records[1][0]), "i", 404},
		} {
			if a := w.ask(token, "POST", base+"/erasures", bad.body, bad.key); a.status != bad.status {
				t.Errorf("%.80s: %d, want %d\n%s", bad.body, a.status, bad.status, a.text)
			}
		}
	})
}

func TestTokensAreKeptAsHashes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		secret := w.token(0, account.ScopeSitesRead)
		var hash, hint string
		if err := d.Read().QueryRow("select token_hash, hint from api_token").Scan(&hash, &hint); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(hash+hint, secret) || !strings.HasPrefix(secret, hint) || len(hint) > 13 {
			t.Errorf("stored %s %s of %s", hash, hint, secret)
		}
		w.ask(secret, "GET", prefix+"/sites", "", "")
		list, err := w.accounts.Tokens(t.Context())
		if err != nil || len(list) != 1 || list[0].Used.IsZero() {
			t.Errorf("tokens %+v, %v", list, err)
		}
	})
}

func TestOpenAPIDocument(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	a := w.ask("", "GET", prefix+"/openapi.json", "", "")
	var got bytes.Buffer
	if err := json.Indent(&got, []byte(a.text), "", "  "); err != nil || a.status != 200 {
		t.Fatal(a.status, err)
	}
	got.WriteByte('\n')
	const file = "testdata/openapi.json"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the document is not that of %s (go test ./internal/api -update, after reading the difference): %v", file, err)
	}
	paths := a.data["paths"].(map[string]any)
	for _, rt := range new(api).routes() {
		operation, ok := paths[rt.path].(map[string]any)[strings.ToLower(rt.method)].(map[string]any)
		if !ok || operation["operationId"] != rt.id {
			t.Errorf("%s %s is not in the document", rt.method, rt.path)
		}
	}
	// Every reference leads somewhere.
	for _, part := range strings.Split(a.text, `"$ref":"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if _, ok := a.data["components"].(map[string]any)["schemas"].(map[string]any)[name]; !ok {
			t.Errorf("there is no schema %s", name)
		}
	}
}
