package webhook_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/internal/jobs"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/webhook"
	"assent/internal/webhook/wire"
	"assent/receipt"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// installation has two sites and what tells others of them.
type installation struct {
	t        *testing.T
	db       *db.DB
	register *register.Register
	queue    *jobs.Queue
	store    *webhook.Store
	later    atomic.Int64 // how far the clock was moved, nanoseconds
}

func (in *installation) now() time.Time { return time.Now().Add(time.Duration(in.later.Load())) }

func open(t *testing.T, d *db.DB) *installation {
	t.Helper()
	in := &installation{t: t, db: d}
	seed := bytes.Repeat([]byte{1}, 32)
	var err error
	if in.register, err = register.Open(t.Context(), register.Config{DB: d, Key: ed25519.NewKeyFromSeed(seed)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.register.Close(context.Background()) })
	for id := range int64(2) {
		err := d.Write(t.Context(), func(tx *sql.Tx) error {
			key := fmt.Sprint("site", id+1)
			if _, err := tx.Exec("insert into site (id, site, name, draft, created_at, changed_at) values ($1, $2, '', '', 0, 0)", id+1, key); err != nil {
				return err
			}
			return in.register.CreateLog(t.Context(), tx, id+1, "consent.shop.example/log/"+key)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	in.queue = jobs.New(d, in.now)
	sender := wire.NewSender("test", true, nil)
	in.store, err = webhook.NewStore(webhook.Config{DB: d, Queue: in.queue, Secret: seed, Register: in.register, Now: in.now,
		SiteKey: func(_ context.Context, id int64) (string, error) { return fmt.Sprint("site", id), nil },
		Receipt: func(record string) string { return "https://consent.example/r/" + record },
		Send:    sender.Send, CheckURL: sender.CheckURL})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// run does jobs until the test ends.
func (in *installation) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { in.queue.Run(ctx); close(ended) }()
	in.t.Cleanup(func() { cancel(); <-ended })
	in.queue.Wake()
}

func (in *installation) pump() {
	in.t.Helper()
	if _, err := in.store.Pump(context.Background()); err != nil {
		in.t.Fatal(err)
	}
}

func (in *installation) decide(site int64, visitor uuid.UUID, action string) uuid.UUID {
	in.t.Helper()
	id, at := uuid.Must(uuid.NewV7()), time.Now()
	record := receipt.Record{Action: action, ConsentID: visitor.String(), RecordID: id.String(), Country: "DE", Network: "203.0.113.0/24", Page: "shop.example/secret-page",
		Site: fmt.Sprint("site", site), Categories: map[string]bool{"analytics": action == "accept_all"}, Services: map[string]bool{},
		Status: "accepted_all", Time: at.UTC().Format(receipt.TimeLayout), Type: receipt.RecordType, Version: strings.Repeat("ab", 32)}
	_, _, err := in.register.Append(context.Background(), register.Entry{SiteID: site, RecordID: id, ConsentID: visitor, Time: at, Payload: record.Canonical()})
	if err != nil {
		in.t.Fatal(err)
	}
	return id
}

func (in *installation) add(url string, events ...string) (id, secret string) {
	in.t.Helper()
	e, secret, err := in.store.Add(context.Background(), 1, url, events)
	if err != nil {
		in.t.Fatal(err)
	}
	return e.ID, secret
}

func (in *installation) deliveries(endpoint string) []webhook.Delivery {
	in.t.Helper()
	list, err := in.store.Deliveries(context.Background(), webhook.Query{Endpoint: endpoint, Limit: 1000})
	if err != nil {
		in.t.Fatal(err)
	}
	slices.Reverse(list)
	return list
}

func (in *installation) until(what string, so func() bool) {
	in.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !so(); {
		if time.Now().After(deadline) {
			in.t.Fatal("not within a minute: " + what)
		}
		time.Sleep(5 * time.Millisecond) // polls a condition
	}
}

// got is a message that a receiver took.
type got struct {
	ID   string
	Type string
	Data map[string]any
	text string
}

// receiver is a system of the operator's that checks signatures with the library of
// Standard Webhooks.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	taken  []got
	forged int
	status int // 0: 204
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	hook, e := standardwebhooks.NewWebhook(r.secret)
	if err != nil || e != nil || hook.VerifyIgnoringTimestamp(body, q.Header) != nil {
		r.forged++
		http.Error(w, "forged", http.StatusUnauthorized)
		return
	}
	m := got{ID: q.Header.Get("webhook-id"), text: string(body)}
	if json.Unmarshal(body, &m) != nil || q.Header.Get("Content-Type") != "application/json" {
		r.forged++
	}
	r.taken = append(r.taken, m)
	if r.status != 0 {
		w.WriteHeader(r.status)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) set(secret string, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret, r.status = secret, status
}

func (r *receiver) list() []got { r.mu.Lock(); defer r.mu.Unlock(); return slices.Clone(r.taken) }

func TestReceiversAreToldAndCanCheckIt(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		in, r := open(t, d), newReceiver(t)
		in.decide(1, uuid.New(), "accept_all") // before there was a webhook
		id, secret := in.add(r.URL)
		r.set(secret, 0)
		ann := uuid.New()
		first := in.decide(1, ann, "accept_all")
		in.decide(1, ann, "save")
		in.decide(1, ann, "withdraw")
		in.decide(2, ann, "accept_all") // another site
		in.pump()
		if _, err := in.register.EraseRecord(context.Background(), first, register.OnRequest); err != nil { // told after
			t.Fatal(err)
		}
		err := d.Write(context.Background(), func(tx *sql.Tx) error {
			return in.store.TellPublished(context.Background(), tx, &site.Version{SiteID: 1, Version: "v2"})
		})
		if err != nil {
			t.Fatal(err)
		}
		in.pump()
		in.pump() // there is nothing more
		in.run()
		in.until("everything is told", func() bool {
			return !slices.ContainsFunc(in.deliveries(id), func(d webhook.Delivery) bool { return d.State == webhook.Waiting })
		})
		byType := map[string]got{}
		for _, m := range r.list() {
			byType[m.Type] = m
		}
		if len(r.list()) != 4 || r.forged != 0 || len(byType) != 4 {
			t.Fatalf("taken %+v, %d forged", r.list(), r.forged)
		}
		for _, d := range in.deliveries(id) {
			want := webhook.Delivered
			if d.Event == webhook.Given {
				want = webhook.Dropped // erased meanwhile: nothing of it leaves
			}
			if d.State != want || d.State == webhook.Delivered && (d.Status != 204 || d.Attempts != 1 || byType[d.Event].ID != d.ID) {
				t.Errorf("delivery %+v, want it %s", d, want)
			}
		}
		changed := byType[webhook.Changed]
		if changed.Data["consent_id"] != ann.String() || changed.Data["index"] != 2.0 || changed.Data["site"] != "site1" || !strings.HasPrefix(changed.Data["receipt"].(string), "https://consent.example/r/") {
			t.Errorf("consent.changed says %+v", changed.Data)
		}
		for _, m := range r.list() {
			for _, private := range []string{"203.0.113", "secret-page", first.String()} {
				if strings.Contains(m.text, private) {
					t.Errorf("%s says %s", m.Type, private)
				}
			}
		}
		if e := byType[webhook.Erased].Data; fmt.Sprint(e["erased"]) != "[[1 1]]" || e["reason"] != "request" || e["index"] != 4.0 {
			t.Errorf("record.erased says %+v", e)
		}
		if v := byType[webhook.Published].Data; v["version"] != "v2" {
			t.Errorf("version.published says %+v", v)
		}
		// Nothing of a record is kept in the tables of webhooks and jobs.
		for _, query := range []string{"select count(*) from job", "select count(*) from webhook_delivery where event || version || problem like '%" + ann.String() + "%'"} {
			var n int
			if err := d.Read().QueryRow(query).Scan(&n); err != nil || n != 0 {
				t.Errorf("%s: %d, %v", query, n, err)
			}
		}
	})
}

// The hot path: recording a decision writes nothing for webhooks, whether a site has
// them or not. What is to be told is read from the log afterwards, and the register's
// rooms know of no webhook (internal/app/arch_test.go).
func TestRecordingWritesNothingForWebhooks(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		in := open(t, d)
		id, _ := in.add("http://127.0.0.1:9/")
		rows := func() (n int) {
			err := d.Read().QueryRow("select (select count(*) from job) + (select count(*) from webhook_delivery) + (select max(next) from webhook)").Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for range 5 {
			in.decide(1, uuid.New(), "accept_all")
			in.decide(2, uuid.New(), "accept_all")
		}
		if n := rows(); n != 0 {
			t.Errorf("recording wrote %d rows", n)
		}
		in.pump()
		if n := len(in.deliveries(id)); n != 5 || rows() != 15 {
			t.Errorf("%d deliveries, %d rows", n, rows())
		}
	})
}

func TestSeveralNodesPromiseOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		in := open(t, d)
		id, _ := in.add("http://127.0.0.1:9/")
		for range 150 { // more than a chunk
			in.decide(1, uuid.New(), "accept_all")
		}
		var work sync.WaitGroup
		for range 3 {
			work.Go(func() {
				if found, err := in.store.Pump(context.Background()); err != nil || !found {
					t.Error(found, err)
				}
			})
		}
		work.Wait()
		in.pump()
		seen := map[int64]int{}
		for _, d := range in.deliveries(id) {
			seen[d.Index]++
		}
		for i := range int64(150) {
			if seen[i] != 1 {
				t.Errorf("index %d is told %d times", i, seen[i])
			}
		}
	})
}

func TestOnlyWhatWasAskedForIsTold(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		in := open(t, d)
		id, _ := in.add("http://127.0.0.1:9/", webhook.Withdrawn)
		ann := uuid.New()
		in.decide(1, ann, "accept_all")
		in.decide(1, ann, "withdraw")
		in.pump()
		if list := in.deliveries(id); len(list) != 1 || list[0].Event != webhook.Withdrawn {
			t.Errorf("told %+v", list)
		}
		if _, _, err := in.store.Add(context.Background(), 1, "http://127.0.0.1:9/", []string{"consent.lost"}); fault.KindOf(err) != fault.Unprocessed {
			t.Errorf("an unknown event: %v", err)
		}
	})
}

// A receiver that fails is told again, with the same webhook-id, and can be replayed.
func TestFailingReceiversAreToldAgain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		in, r := open(t, d), newReceiver(t)
		id, secret := in.add(r.URL, webhook.Given)
		r.set(secret, http.StatusInternalServerError)
		in.decide(1, uuid.New(), "accept_all")
		in.pump()
		in.run()
		in.until("it failed once", func() bool { return in.deliveries(id)[0].Attempts == 1 })
		failed := in.deliveries(id)[0]
		if failed.State != webhook.Waiting || failed.Status != 500 || failed.Problem != "The receiver answered 500." {
			t.Errorf("after a failure: %+v", failed)
		}
		if err := in.store.Replay(context.Background(), 1, failed.ID); fault.KindOf(err) != fault.Conflict {
			t.Errorf("one that waits was replayed: %v", err)
		}
		for n := 2; n <= 12; n++ { // until it is given up
			in.later.Add(int64(12 * time.Hour))
			in.queue.Wake()
			in.until("the next attempt", func() bool { return in.deliveries(id)[0].Attempts == n })
		}
		in.until("it is given up", func() bool { return in.deliveries(id)[0].State == webhook.Failed })
		r.set(secret, 0)
		if err := in.store.Replay(context.Background(), 2, failed.ID); fault.KindOf(err) != fault.NotFound {
			t.Errorf("another site's delivery was replayed: %v", err)
		}
		if err := in.store.Replay(context.Background(), 1, failed.ID); err != nil {
			t.Fatal(err)
		}
		in.until("it is delivered", func() bool { return in.deliveries(id)[0].State == webhook.Delivered })
		if n, err := in.store.ReplaySpan(context.Background(), 1, id, "", time.Time{}, time.Time{}); n != 1 || err != nil {
			t.Errorf("replayed %d, %v", n, err)
		}
		in.until("it is delivered again", func() bool { return in.deliveries(id)[0].Attempts == 14 })
		for _, m := range r.list() {
			if m.ID != failed.ID {
				t.Errorf("a repeat has the webhook-id %s, want %s", m.ID, failed.ID)
			}
		}
		if n, err := in.queue.List(context.Background(), false, 10); err != nil || len(n) != 0 {
			t.Errorf("left in the queue: %+v, %v", n, err)
		}
	})
}

func TestSecretsCanBeChangedWithoutAGap(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		in, r := open(t, d), newReceiver(t)
		id, before := in.add(r.URL)
		after, err := in.store.Rotate(context.Background(), 1, id)
		if err != nil || after == before {
			t.Fatal(after, err)
		}
		in.run()
		try := func(secret string, want string) {
			t.Helper()
			r.set(secret, 0)
			delivery, err := in.store.Test(context.Background(), 1, id)
			if err != nil {
				t.Fatal(err)
			}
			in.until("it was tried", func() bool {
				d, err := in.store.Delivery(context.Background(), delivery)
				return err == nil && d.Attempts == 1
			})
			if d, err := in.store.Delivery(context.Background(), delivery); err != nil || (d.State == webhook.Delivered) != (want == webhook.Delivered) {
				t.Errorf("%+v, %v, want %s", d, err, want)
			}
		}
		try(before, webhook.Delivered)
		try(after, webhook.Delivered)
		in.later.Add(int64(25 * time.Hour))
		try(after, webhook.Delivered)
		try(before, webhook.Failed)
		if _, err := in.store.Rotate(context.Background(), 2, id); fault.KindOf(err) != fault.NotFound {
			t.Errorf("another site's secret was changed: %v", err)
		}
		var sealed string
		if err := d.Read().QueryRow("select secrets from webhook").Scan(&sealed); err != nil || strings.Contains(sealed, strings.TrimPrefix(after, "whsec_")) {
			t.Errorf("the secret can be read in the database: %v", err)
		}
	})
}

func TestReceiverThatIsGoneIsDisabled(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		in, r := open(t, d), newReceiver(t)
		id, secret := in.add(r.URL)
		r.set(secret, http.StatusGone)
		in.run()
		if _, err := in.store.Test(context.Background(), 1, id); err != nil {
			t.Fatal(err)
		}
		in.until("it is disabled", func() bool {
			e, err := in.store.Get(context.Background(), 1, id)
			return err == nil && !e.Disabled.IsZero() && strings.Contains(e.Problem, "410")
		})
		in.decide(1, uuid.New(), "accept_all")
		in.pump()
		if n := len(in.deliveries(id)); n != 1 {
			t.Errorf("%d deliveries, want that of the test", n)
		}
		r.set(secret, 0)
		if err := in.store.Enable(context.Background(), 1, id); err != nil {
			t.Fatal(err)
		}
		in.pump()
		in.until("what happened meanwhile is told", func() bool { return len(r.list()) == 2 })
		if err := in.store.Remove(context.Background(), 2, id); fault.KindOf(err) != fault.NotFound {
			t.Errorf("another site's webhook was removed: %v", err)
		}
		if err := in.store.Remove(context.Background(), 1, id); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOldDeliveriesGo(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		in, r := open(t, d), newReceiver(t)
		id, secret := in.add(r.URL)
		r.set(secret, 0)
		in.run()
		if _, err := in.store.Test(context.Background(), 1, id); err != nil {
			t.Fatal(err)
		}
		in.until("it is over", func() bool { return in.deliveries(id)[0].State == webhook.Delivered })
		in.store.Sweep(context.Background())
		if n := len(in.deliveries(id)); n != 1 {
			t.Errorf("%d deliveries after a sweep of today's", n)
		}
		in.later.Add(int64(webhook.DefaultKeep + time.Hour))
		if err := in.store.Sweep(context.Background()); err != nil || len(in.deliveries(id)) != 0 {
			t.Errorf("%d deliveries are left, %v", len(in.deliveries(id)), err)
		}
	})
}
