package public_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/public"
	"assent/internal/register"
)

func TestFullDisk(t *testing.T) {
	d := dbtest.SQLite(t)
	f := newFixture(t, d)
	if got := f.post(f.decision()); got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var pages int
	f.must(d.Writer().QueryRow("pragma page_count").Scan(&pages))
	_, err := d.Writer().Exec(fmt.Sprintf("pragma max_page_count = %d", pages))
	f.must(err)
	full := false
	for range 500 { // until the last page is full
		before := f.records()
		got := f.post(f.decision())
		if full = got.status != 201; full {
			got.wantProblem(t, 503, "nothing was recorded")
			if f.records() != before {
				t.Error("a decision that was refused is recorded")
			}
			break
		}
	}
	if !full {
		t.Fatal("the database never became full")
	}
	f.wholeLog()
	if got := f.get("/healthz"); got.status != 200 {
		t.Errorf("/healthz: %d", got.status)
	}
	_, err = d.Writer().Exec("pragma max_page_count = 1000000")
	f.must(err)
	if got := f.post(f.decision()); got.status != 201 {
		t.Errorf("with room again: %d %s", got.status, got.body)
	}
	f.wholeLog()
}

func TestDatabaseThatGoesAwayAndComesBack(t *testing.T) {
	address := dbtest.PostgresURL(t)
	d := dbtest.Open(t, db.Options{URL: address})
	f := newFixture(t, d)
	if got := f.post(f.decision()); got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	at, err := url.Parse(address)
	f.must(err)
	name := strings.TrimPrefix(at.Path, "/")
	at.Path = "/postgres"
	admin, err := sql.Open("pgx", at.String())
	f.must(err)
	defer admin.Close()
	_, err = admin.Exec("alter database " + name + " with allow_connections false")
	f.must(err)
	_, err = admin.Exec("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
	f.must(err)
	for range 3 {
		f.post(f.decision()).wantProblem(t, 503, "")
	}
	f.get("/readyz").wantProblem(t, 503, "database")
	if got := f.get("/healthz"); got.status != 200 {
		t.Errorf("/healthz: %d", got.status)
	}
	if got := f.get("/b/" + f.site.Key + ".js"); got.status != 200 {
		t.Errorf("the script needs the database: %d", got.status)
	}
	_, err = admin.Exec("alter database " + name + " with allow_connections true")
	f.must(err)
	if got := f.post(f.decision()); got.status != 201 {
		t.Errorf("with the database back: %d %s", got.status, got.body)
	}
	if got := f.get("/readyz"); got.status != 200 {
		t.Errorf("/readyz: %d %s", got.status, got.body)
	}
	if n := f.records(); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
	f.wholeLog()
}

// stall holds the one write connection of SQLite, so that nothing is committed
// until it is let go.
func stall(t *testing.T, d *db.DB) (release func()) {
	t.Helper()
	tx, err := d.Writer().BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	release = func() { once.Do(func() { tx.Rollback() }) }
	t.Cleanup(release)
	return release
}

// poll waits until a condition holds.
func poll(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestFullQueue(t *testing.T) {
	d := dbtest.SQLite(t)
	f := newFixture(t, d, func(_ *public.Deps, c *register.Config) { c.QueueLimit, c.BatchLimit = 2, 1 })
	release := stall(t, d)
	var answers sync.Map
	var sent sync.WaitGroup
	const clients = 12
	for i := range clients {
		body := f.decision()
		sent.Go(func() { answers.Store(i, f.post(body)) })
	}
	refused := func() (n int) {
		answers.Range(func(_, a any) bool {
			n++
			a.(answer).wantProblem(t, 503, "")
			return true
		})
		return n
	}
	// One may be with the writer and two in the queue; the rest are told at once.
	poll(t, "most clients are refused", func() bool { return refused() >= clients-4 })
	release()
	sent.Wait()
	recorded := 0
	answers.Range(func(_, a any) bool {
		if a.(answer).status == 201 {
			recorded++
		}
		return true
	})
	if n := f.records(); n != recorded || recorded == 0 {
		t.Errorf("%d records for %d answers 201", n, recorded)
	}
	f.wholeLog()
}

func TestClientThatLeavesBeforeTheAnswer(t *testing.T) {
	d := dbtest.SQLite(t)
	f := newFixture(t, d)
	release := stall(t, d)
	body := f.decision("record_id", recordID)
	c, err := net.Dial("tcp", f.addr)
	f.must(err)
	fmt.Fprintf(c, "POST /v1/consents HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	waiting := func(n string) func() bool {
		return func() bool {
			return strings.Contains(string(f.get("/metrics").body), "assent_consents_waiting "+n+"\n")
		}
	}
	poll(t, "the decision waits for the register", waiting("1"))
	c.Close()
	poll(t, "the server noticed that the client left", waiting("0"))
	release()
	again := f.post(body)
	if again.status != 200 && again.status != 201 {
		t.Errorf("sent again: %d %s", again.status, again.body)
	}
	if n := f.records(); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	f.wholeLog()
	if text := string(f.get("/metrics").body); !strings.Contains(text, `assent_requests_total{route="POST /v1/consents",status="499"} 1`) {
		t.Errorf("the client that left is not counted:\n%s", text)
	}
}

func TestBodyThatEndsEarly(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	c, err := net.Dial("tcp", f.addr)
	f.must(err)
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/consents HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 500\r\n\r\n{\"site\":")
	f.must(c.(*net.TCPConn).CloseWrite())
	got, err := http.ReadResponse(bufio.NewReader(c), nil)
	f.must(err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	f.must(err)
	answer{got.StatusCode, got.Header, text}.wantProblem(t, 400, "before it was whole")
	if n := f.records(); n != 0 {
		t.Errorf("%d records", n)
	}
}

func TestSlowBodies(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const slow = 300
	for range slow {
		c, err := net.Dial("tcp", f.addr)
		f.must(err)
		defer c.Close()
		fmt.Fprintf(c, "POST /v1/consents HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 16000\r\n\r\n{")
	}
	for range 5 {
		if got := f.post(f.decision()); got.status != 201 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&during)
	held := int64(during.HeapAlloc+during.StackInuse) - int64(before.HeapAlloc+before.StackInuse)
	if each := held / slow; each > 64<<10 {
		t.Errorf("a slow client holds %d bytes", each)
	}
	if n := f.records(); n != 5 {
		t.Errorf("%d records, want 5", n)
	}
}
