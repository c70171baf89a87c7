//go:build linux

package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A process that is killed in the middle of its work has every record that it
// acknowledged, whole.
func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	dir := newSite(t)
	acknowledged := map[string]bool{}
	for round := range 3 {
		p := serve(t, dir)
		var mu sync.Mutex
		var count atomic.Int64
		var work sync.WaitGroup
		for range 16 {
			work.Go(func() {
				for {
					record, body := p.body()
					status, _, _ := p.post(body)
					if status != http.StatusCreated {
						return // the server is gone
					}
					mu.Lock()
					acknowledged[record] = true
					mu.Unlock()
					if count.Add(1) == 300 {
						p.cmd.Process.Kill()
					}
				}
			})
		}
		work.Wait()
		p.cmd.Wait()
		if count.Load() < 300 {
			t.Fatalf("round %d: only %d acknowledged\n%s", round, count.Load(), p.said)
		}
	}
	p := serve(t, dir)
	for record := range acknowledged {
		if status, valid := p.receiptOf(record); !valid {
			t.Errorf("acknowledged record %s: receipt %d", record, status)
		}
	}
	if n := fsck(t, dir); n < len(acknowledged) {
		t.Errorf("%d records, %d were acknowledged", n, len(acknowledged))
	}
}

// On a disk that is really full, decisions are refused with 503 and nothing is
// half-written; with space again, the same server goes on.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	const space = "--mount" // a mount that nobody else sees
	unshare := []string{space}
	if os.Geteuid() != 0 {
		unshare = []string{"--map-root-user", space}
	}
	if said, err := exec.Command("unshare", append(unshare, "true")...).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a small disk cannot be mounted; run as root, or allow user namespaces: %v\n%s", err, said)
		}
		t.Skipf("a small disk cannot be mounted: %s", said)
	}
	out, disk, port := t.TempDir(), t.TempDir(), freePort(t)
	script := `set -e
mount -t tmpfs -o size=6m tmpfs "$2"
"$1" site add --domain shop.example --data "$2/d" --json > "$3/site.json"
dd if=/dev/zero of="$2/filler" bs=64k count=24 2>/dev/null
exec "$1" serve --data "$2/d" --listen 127.0.0.1:$4`
	p := launch(t, port, "unshare", append(unshare, "sh", "-c", script, "sh", binary(t), disk, out, fmt.Sprint(port))...)
	answer, err := os.ReadFile(filepath.Join(out, "site.json"))
	if err != nil {
		t.Fatal(err)
	}
	var site struct{ Site, Version string }
	if err := json.Unmarshal(answer, &site); err != nil {
		t.Fatal(err)
	}
	p.site, p.version = site.Site, site.Version
	stored := 0
	for {
		_, body := p.body()
		status, header, text := p.post(body)
		if status == http.StatusCreated {
			if stored++; stored > 20_000 {
				t.Fatal("20,000 records fit on a disk of 6 MB")
			}
			continue
		}
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(text, "nothing was recorded") {
			t.Fatalf("on a full disk: %d %s", status, text)
		}
		break
	}
	if res, err := p.client.Get(p.url + "/healthz"); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("the server is not up any more: %v", err)
	}
	inside := fmt.Sprintf("/proc/%d/root%s", p.cmd.Process.Pid, disk)
	if err := os.Remove(filepath.Join(inside, "filler")); err != nil {
		t.Fatal(err)
	}
	_, body := p.body()
	if status, _, text := p.post(body); status != http.StatusCreated {
		t.Fatalf("with space again: %d %s", status, text)
	}
	enter := []string{"-t", fmt.Sprint(p.cmd.Process.Pid), "--mount", "--root"}
	if os.Geteuid() != 0 {
		enter = append(enter, "--user", "--preserve-credentials")
	}
	report, err := exec.Command("nsenter", append(enter, binary(t), "fsck", "--json", "--data", filepath.Join(disk, "d"))...).Output()
	if err != nil || !strings.Contains(string(report), fmt.Sprintf(`"records": %d`, stored+1)) {
		t.Errorf("fsck: %v; %d were acknowledged\n%s", err, stored+1, report)
	}
}

// Ten thousand clients that send half a request cost bounded memory and do not
// keep a quick one out.
func TestTenThousandSlowClients(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	p := serve(t, newSite(t))
	for i := range 10_000 {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer c.Close()
		half := "POST /v1/consents HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 500\r\n"
		if i%2 == 0 {
			half += "\r\n{\"site\":"
		}
		if _, err := c.Write([]byte(half)); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if i%500 == 0 {
			if _, body := p.body(); !p.posted(body) {
				t.Fatalf("a quick client is kept out by %d slow ones", i)
			}
		}
	}
	if _, body := p.body(); !p.posted(body) {
		t.Error("a quick client is kept out by 10,000 slow ones")
	}
	if rss := p.resident(); rss > 200<<20 {
		t.Errorf("%d MB resident with 10,000 slow clients", rss>>20)
	}
}

func (p *process) posted(body []byte) bool {
	p.client.CloseIdleConnections()
	status, _, text := p.post(body)
	if status != http.StatusCreated {
		p.t.Logf("status %d %s", status, text)
	}
	return status == http.StatusCreated
}

// A client that leaves before the answer has its record whole, or not at all.
func TestClientsThatLeave(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	dir := newSite(t)
	p := serve(t, dir)
	var records []string
	for i := range 200 {
		record, body := p.body()
		records = append(records, record)
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		request := fmt.Sprintf("POST /v1/consents HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		w := bufio.NewWriter(c)
		w.WriteString(request[:len(request)-i%2]) // every other one is truncated
		w.Flush()
		if tcp := c.(*net.TCPConn); i%3 == 0 {
			tcp.SetLinger(0) // a reset instead of a goodbye
		}
		c.Close()
	}
	// A decision that is answered was sequenced after all that were taken before it.
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, body := p.body()
		if p.posted(body) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server does not take decisions any more")
		}
	}
	whole := 0
	for i, record := range records {
		status, valid := p.receiptOf(record)
		if status == http.StatusOK && !valid || i%2 == 1 && status != http.StatusNotFound {
			t.Errorf("record %d: receipt %d, valid %v", i, status, valid)
		}
		if valid {
			whole++
		}
	}
	if n := fsck(t, dir); n < whole {
		t.Errorf("%d records, %d have receipts", n, whole)
	}
	t.Logf("%d of 100 whole requests were recorded although nobody waited", whole)
}

// A rotation of the signing key that is killed anywhere, beside a running server,
// happened or did not: the server goes on, and so does the next one.
func TestKilledKeyRotation(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	dir := newSite(t)
	p := serve(t, dir)
	const rounds = 8
	recorded := 0
	for i := range rounds + 1 {
		if _, body := p.body(); !p.posted(body) {
			t.Fatalf("round %d: nothing is recorded\n%s", i, p.said)
		}
		recorded++
		if i == rounds {
			break
		}
		cmd := exec.Command(binary(t), "key", "rotate", "--data", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(20+15*i)*time.Millisecond, func() { cmd.Process.Kill() })
		cmd.Wait()
		kill.Stop()
	}
	p.cmd.Process.Signal(os.Interrupt)
	p.cmd.Wait()
	if n := fsck(t, dir); n != recorded {
		t.Errorf("%d records, %d were acknowledged", n, recorded)
	}
	if out, code := assent(t, "key", "rotate", "--data", dir); code != 0 {
		t.Errorf("a rotation after all that: exit %d\n%s", code, out)
	}
	again := serve(t, dir)
	if _, body := again.body(); !again.posted(body) {
		t.Errorf("nothing is recorded after the restart\n%s", again.said)
	}
	if n := fsck(t, dir); n != recorded+1 {
		t.Errorf("%d records, want %d", n, recorded+1)
	}
}
