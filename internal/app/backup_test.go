package app_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"assent/internal/app"
	"assent/internal/backup"
	"assent/internal/db/dbtest"
	"assent/internal/register"
	"assent/receipt"

	"github.com/google/uuid"
)

// where is an installation: the flags that name it.
type where []string

// installation makes an installation with one site, on an engine.
func installation(t *testing.T, engine string) where {
	t.Helper()
	at := emptyPlace(t, engine)
	if out, code := assent(t, append([]string{"site", "add", "--domain", "shop.example"}, at...)...); code != 0 {
		t.Fatalf("site add: exit %d\n%s", code, out)
	}
	return at
}

func emptyPlace(t *testing.T, engine string) where {
	t.Helper()
	if engine == "postgres" {
		return where{"--database", dbtest.PostgresURL(t)}
	}
	return where{"--data", filepath.Join(t.TempDir(), "data")}
}

// start runs a server on an installation with one site.
func (at where) start(t *testing.T) *process {
	t.Helper()
	port := freePort(t)
	p := launch(t, port, binary(t), append([]string{"serve", "--listen", "127.0.0.1:" + strconv.Itoa(port)}, at...)...)
	out, code := assent(t, append([]string{"site", "list", "--json"}, at...)...)
	var sites []struct{ Site, Version string }
	if err := json.Unmarshal([]byte(out), &sites); err != nil || code != 0 || len(sites) != 1 {
		t.Fatalf("site list: %v, exit %d\n%s", err, code, out)
	}
	p.site, p.version = sites[0].Site, sites[0].Version
	return p
}

// stop ends a server as an operator does.
func (p *process) stop() {
	p.cmd.Process.Signal(os.Interrupt)
	p.cmd.Wait()
}

// run is a command about an installation that has to succeed.
func (at where) run(t *testing.T, args ...string) string {
	t.Helper()
	out, code := assent(t, append(args, at...)...)
	if code != 0 {
		t.Fatalf("%s: exit %d\n%s", args, code, out)
	}
	return out
}

// refused is a command that has to fail with exit 2 and a sentence.
func (at where) refused(t *testing.T, sentence string, args ...string) {
	t.Helper()
	out, code := assent(t, append(args, at...)...)
	if code != 2 || !strings.Contains(out, sentence) || strings.Contains(out, "AGE-SECRET") {
		t.Errorf("%s: exit %d, want 2 and %q\n%s", args, code, sentence, out)
	}
}

// records are the IDs that an installation's register holds.
func (at where) records(t *testing.T, site string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for line := range strings.Lines(at.run(t, "export", "--site", site)) {
		var l struct {
			Record struct {
				ID string `json:"record_id"`
			} `json:"record"`
		}
		if json.Unmarshal([]byte(line), &l) == nil && l.Record.ID != "" {
			ids[l.Record.ID] = true
		}
	}
	return ids
}

// identity makes an age identity and returns its file and recipient.
func identity(t *testing.T) (file, recipient string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "identity")
	var said bytes.Buffer
	cmd := exec.Command(binary(t), "backup", "--new-identity", file)
	cmd.Stdout = &said
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return file, strings.TrimSpace(said.String())
}

func (p *process) fetchReceipt(record string) []byte {
	res, err := p.client.Get(p.url + "/v1/receipts/" + record)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("receipt %s: %s, %v", record, res.Status, err)
	}
	return body.Bytes()
}

// load keeps a server busy until stop is called, which returns what it
// acknowledged.
func (p *process) load(clients int) (acknowledged func() []string, stop func() []string) {
	var mu sync.Mutex
	var ids []string
	var ending atomic.Bool
	var work sync.WaitGroup
	for range clients {
		work.Go(func() {
			for !ending.Load() {
				record, body := p.body()
				if status, _, text := p.post(body); status != http.StatusCreated {
					p.t.Errorf("while the backup ran: %d %s", status, text)
					return
				}
				mu.Lock()
				ids = append(ids, record)
				mu.Unlock()
			}
		})
	}
	acknowledged = func() []string { mu.Lock(); defer mu.Unlock(); return append([]string(nil), ids...) }
	return acknowledged, func() []string { ending.Store(true); work.Wait(); return ids }
}

// atLeast waits until a list is so long.
func atLeast(t *testing.T, n int, list func() []string) []string {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		if have := list(); len(have) >= n {
			return have
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d of %d after a minute", len(list()), n)
		}
		time.Sleep(5 * time.Millisecond) // polls a condition
	}
}

// A backup that is taken beside a server under load can be restored into either
// engine: fsck finds nothing, all that was acknowledged before it began is there,
// and receipts hold: the old ones as they are, and new ones under the new name.
func TestBackupBesideALoadedServer(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			at := installation(t, engine)
			p := at.start(t)
			key, recipient := identity(t)
			acknowledged, stop := p.load(8)
			before := atLeast(t, 400, acknowledged)
			file := filepath.Join(t.TempDir(), "b.age")
			at.run(t, "backup", file, "--recipient", recipient, "--expires", "90d")
			atLeast(t, len(before)+200, acknowledged) // the server goes on
			all := stop()
			if engine == "sqlite" {
				at.refused(t, "already works on", "restore", file, "--identity", key, "--replace", "--accept-loss")
			}
			kept := p.fetchReceipt(before[0])
			if out, code := assent(t, "backup", "--check", file, "--identity", key); code != 0 {
				t.Fatalf("check: exit %d\n%s", code, out)
			}
			raw, err := os.ReadFile(file)
			if err != nil || bytes.Contains(raw, []byte("shop.example")) || bytes.Contains(raw, []byte("PRIVATE KEY")) {
				t.Errorf("the backup can be read without a key (%v)", err)
			}
			for _, target := range []string{"sqlite", "postgres"} {
				t.Run(target, func(t *testing.T) {
					to := emptyPlace(t, target)
					to.run(t, "restore", file, "--identity", key, "--no-ledger")
					to.run(t, "fsck")
					there := to.records(t, p.site)
					for _, id := range before {
						if !there[id] {
							t.Errorf("record %s was acknowledged before the backup and is not in it", id)
						}
					}
					if len(there) > len(all) {
						t.Errorf("%d records, only %d were made", len(there), len(all))
					}
					again := to.start(t)
					defer again.stop()
					status, _, text := again.post(second(again.body()))
					if status != http.StatusCreated {
						t.Fatalf("the restored server: %d %s", status, text)
					}
					fresh, err := receipt.Verify(again.fetchReceipt(before[0]), "")
					if err != nil || !fresh.Valid || fresh.Record.RecordID != before[0] {
						t.Errorf("a receipt of the restored server: %+v, %v", fresh, err)
					}
					old, err := receipt.Verify(kept, "")
					if err != nil || !old.Valid || old.Origin == fresh.Origin {
						t.Errorf("the receipt from before: %+v, %v; the logs' names: %s, %s", old, err, old.Origin, fresh.Origin)
					}
					to.run(t, "fsck")
				})
			}
		})
	}
}

// second is the body of a decision whose ID does not matter.
func second(_ string, body []byte) []byte { return body }

// What was erased after a backup stays erased when it is restored, and what is
// known to be lost is lost only on purpose, under another name.
func TestRestoreOverANewerLog(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			at := installation(t, engine)
			p := at.start(t)
			key, recipient := identity(t)
			var ids []string
			post := func(n int) {
				t.Helper()
				for range n {
					id, body := p.body()
					if status, _, text := p.post(body); status != http.StatusCreated {
						t.Fatalf("%d %s", status, text)
					}
					ids = append(ids, id)
				}
			}
			post(12)
			dir := t.TempDir()
			old, ledger := filepath.Join(dir, "old.age"), filepath.Join(dir, "ledger.age")
			at.run(t, "backup", old, "--recipient", recipient)
			post(3)
			p.stop()
			at.erase(t, ids[4])
			at.run(t, "backup", ledger, "--only-ledger", "--recipient", recipient)
			newer := filepath.Join(dir, "new.age")
			at.run(t, "backup", newer, "--recipient", recipient)

			restore := []string{"restore", old, "--identity", key}
			at.refused(t, "There is a database already", restore...)
			at.refused(t, "had 16", slices.Concat(restore, []string{"--replace"})...)
			at.refused(t, "nothing was recorded or erased after this backup, but", slices.Concat(restore, []string{"--replace", "--moved"})...)
			if n := len(at.records(t, p.site)); n != 14 {
				t.Fatalf("a refusal left %d records, want 14", n)
			}

			// A backup of now over what is there: the same log goes on under its name.
			out := at.run(t, "restore", newer, "--identity", key, "--replace")
			if !strings.Contains(out, " goes on, 16 entries") {
				t.Errorf("the same log:\n%s", out)
			}

			// The old one over the newer log.
			out = at.run(t, slices.Concat(restore, []string{"--replace", "--accept-loss"})...)
			if !strings.Contains(out, "goes on from") || !strings.Contains(out, "Erased again: 1") || !strings.Contains(out, "recorded later and missing: 3 decisions") {
				t.Errorf("the old log:\n%s", out)
			}
			at.run(t, "fsck")
			if there := at.records(t, p.site); len(there) != 11 || there[ids[4]] || !there[ids[3]] {
				t.Errorf("%d records; the erased one is there: %v", len(there), there[ids[4]])
			}

			// In another place, with the ledger that was kept apart, or a newer backup.
			with := []string{"--ledger", map[string]string{"sqlite": newer, "postgres": ledger}[engine]}
			apart := emptyPlace(t, engine)
			apart.refused(t, "would come back with it", restore...)
			apart.refused(t, "had 16", slices.Concat(restore, with)...)
			apart.run(t, slices.Concat(restore, with, []string{"--accept-loss"})...)
			if there := apart.records(t, p.site); len(there) != 11 || there[ids[4]] {
				t.Errorf("%d records; the erased one is there: %v", len(there), there[ids[4]])
			}
			q := apart.start(t)
			if status, _, text := q.post(second(q.body())); status != http.StatusCreated {
				t.Errorf("the restored server: %d %s", status, text)
			}
			q.stop()
			apart.run(t, "fsck")

			at.elsewhere(t, engine, key, old, newer, ledger)
		})
	}
}

// elsewhere restores backups of an installation in other places and ways.
func (at where) elsewhere(t *testing.T, engine, key, old, newer, ledger string) {
	t.Helper()
	// Moved: the name stays.
	to := emptyPlace(t, engine)
	if out := to.run(t, "restore", newer, "--identity", key, "--moved"); !strings.Contains(out, " goes on, 16 entries") {
		t.Errorf("moved:\n%s", out)
	}
	// Put back by other means.
	if out := to.run(t, "restore", "--recovered", "--identity", key, "--ledger", ledger); !strings.Contains(out, "goes on from") {
		t.Errorf("recovered:\n%s", out)
	}
	to.run(t, "fsck")

	// The database is gone, and what is beside it remembers how far it signed.
	if engine == "sqlite" {
		if err := os.Remove(filepath.Join(at[1], "assent.db")); err != nil {
			t.Fatal(err)
		}
		at.refused(t, "an older copy took its place", "restore", old, "--identity", key, "--moved")
		at.run(t, "restore", old, "--identity", key, "--ledger", ledger, "--accept-loss")
	}

	// Another installation's.
	other := installation(t, engine)
	other.refused(t, "of another installation", "restore", newer, "--identity", key, "--replace", "--accept-loss")
	other.run(t, "fsck")
}

// A backup that is killed in the middle leaves no file.
func TestKilledBackupLeavesNoFile(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	at := installation(t, "postgres")
	await, release := lockTable(t, at[1], "tile")
	dir := t.TempDir()
	_, recipient := identity(t)
	cmd := exec.Command(binary(t), "backup", filepath.Join(dir, "b.age"), "--recipient", recipient, "--database", at[1])
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await() // the backup waits for the table, in the middle of its file
	cmd.Process.Kill()
	cmd.Wait()
	release()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	at.run(t, "backup", filepath.Join(dir, "b.age"), "--recipient", recipient)
}

// erase erases a record while no server runs.
func (at where) erase(t *testing.T, record string) {
	t.Helper()
	c := app.Config{Existing: true}
	if c.URL = at[1]; at[0] == "--data" {
		c.Dir, c.URL = at[1], ""
	}
	parts, err := app.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer parts.Close()
	if _, err := parts.Register.EraseRecord(t.Context(), uuid.MustParse(record), register.OnRequest); err != nil {
		t.Fatal(err)
	}
}

// lockTable keeps everybody out of a table.
func lockTable(t *testing.T, url, table string) (await, release func()) {
	t.Helper()
	pool, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	tx, err := pool.Begin()
	if err == nil {
		_, err = tx.Exec("lock table " + table + " in access exclusive mode")
	}
	if err != nil {
		t.Fatal(err)
	}
	await = func() {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for {
			var waiting int
			err := pool.QueryRow("select count(*) from pg_locks where not granted and relation = $1::regclass", table).Scan(&waiting)
			if err != nil {
				t.Fatal(err)
			}
			if waiting > 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("nobody waits for " + table)
			}
			time.Sleep(5 * time.Millisecond) // polls a condition
		}
	}
	return await, func() { tx.Rollback() }
}

// What may not be restored is refused with a sentence, and nothing is touched.
func TestRefusedBackups(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	at := installation(t, "sqlite")
	dir := t.TempDir()
	c := app.Config{Dir: at[1]}
	expired := filepath.Join(dir, "expired")
	var whole bytes.Buffer
	header, _, err := app.BackUp(t.Context(), c, &whole, backup.Whole, time.Now().Add(-time.Hour))
	if err == nil {
		err = os.WriteFile(expired, whole.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	to := emptyPlace(t, "sqlite")
	to.refused(t, "This backup expired on", "restore", expired, "--no-ledger")
	if _, err := os.Stat(to[1]); !os.IsNotExist(err) {
		t.Errorf("a refusal left %s (%v)", to[1], err)
	}
	key, err := os.ReadFile(filepath.Join(at[1], register.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(h *backup.Header){
		"newer Assent":       func(h *backup.Header) { h.Schema = 9999 },
		"contradicts itself": func(h *backup.Header) { h.Installation = "another" },
		"damaged":            func(h *backup.Header) { h.Schema = 0 },
	} {
		h := header
		h.Expires = time.Time{}
		change(&h)
		var out bytes.Buffer
		a, err := backup.NewWriter(&out, h)
		if err == nil {
			err = a.Key(key)
		}
		if err == nil {
			_, err = a.Close()
		}
		file := filepath.Join(dir, "changed")
		if err == nil {
			err = os.WriteFile(file, out.Bytes(), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		to.refused(t, name, "restore", file, "--no-ledger")
	}
	if _, err := os.Stat(to[1]); !os.IsNotExist(err) {
		t.Errorf("a refusal left %s (%v)", to[1], err)
	}
	to.run(t, "restore", expired, "--no-ledger", "--expired")
	to.run(t, "fsck")
	refusedDamage(t, at, expired)
}

// refusedDamage restores what was changed in a database, and over one that cannot
// be read.
func refusedDamage(t *testing.T, at where, expired string) {
	t.Helper()
	// What was changed in the database is changed in its backup.
	parts, err := app.Open(t.Context(), app.Config{Dir: at[1]})
	if err != nil {
		t.Fatal(err)
	}
	_, err = parts.DB.Writer().Exec("update notice_version set content = '{}'")
	parts.Close()
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged")
	at.run(t, "backup", damaged, "--unencrypted")
	another := emptyPlace(t, "sqlite")
	another.refused(t, "is not as it was signed", "restore", damaged, "--no-ledger")
	another.run(t, "restore", damaged, "--no-ledger", "--damaged")

	// A database that cannot be read any more goes aside, and nothing of its
	// write-ahead log stays beside the new one.
	for _, name := range []string{"assent.db", "assent.db-wal"} {
		if err := os.WriteFile(filepath.Join(another[1], name), bytes.Repeat([]byte("rubbish "), 2000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	another.refused(t, "cannot be read", "restore", expired, "--expired", "--replace")
	another.run(t, "restore", expired, "--expired", "--replace", "--no-ledger")
	another.run(t, "fsck")
	if aside, err := filepath.Glob(filepath.Join(another[1], "replaced-*", "assent.db*")); err != nil || len(aside) < 1 {
		t.Errorf("aside: %v, %v", aside, err)
	}
	if left, err := filepath.Glob(filepath.Join(another[1], ".restoring-*")); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
