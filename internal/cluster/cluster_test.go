//go:build linux

// Package cluster runs several nodes of the real binary, each in a process of its
// own, on a PostgreSQL primary with a synchronous standby, and kills what can be
// killed.
package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// build makes the binary, with more flags for the linker.
func build(t *testing.T, name, ldflags string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	out, err := exec.Command("go", "build", "-ldflags", ldflags, "-o", path, "assent/cmd/assent").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// node is one server process.
type node struct {
	binary, url, database string
	said                  *buffer
	cmd                   *exec.Cmd
}

// buffer is what a node said, which is read while it speaks.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// start runs the node and waits until it is ready.
func (n *node) start(t *testing.T, more ...string) {
	t.Helper()
	if n.url == "" {
		n.url = "http://127.0.0.1:" + freePort(t)
	}
	n.said = new(buffer)
	args := append([]string{"serve", "--database", n.database, "--listen", strings.TrimPrefix(n.url, "http://"), "--public-url", "http://consent.example"}, more...)
	n.cmd = exec.Command(n.binary, args...)
	n.cmd.Stderr = n.said
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.await(t, http.StatusOK)
}

// await waits until /readyz has a status.
func (n *node) await(t *testing.T, status int) {
	t.Helper()
	poll(t, fmt.Sprintf("/readyz of %s is %d\n%s", n.url, status, n.said), func() bool {
		res, err := client.Get(n.url + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == status
	})
}

func (n *node) kill() {
	if n.cmd != nil {
		n.cmd.Process.Kill()
		n.cmd.Wait()
	}
}

// stop ends the node as a service manager does.
func (n *node) stop(t *testing.T) {
	t.Helper()
	n.cmd.Process.Signal(syscall.SIGTERM)
	if err := n.cmd.Wait(); err != nil {
		t.Errorf("the node ended with %v\n%s", err, n.said)
	}
}

func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about: " + what)
		}
		time.Sleep(10 * time.Millisecond) // polls a condition
	}
}

var client = &http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

func run(t *testing.T, binary string, args ...string) (out string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if cmd.ProcessState.ExitCode() != 0 {
		return stdout.String() + stderr.String(), cmd.ProcessState.ExitCode()
	}
	return stdout.String(), 0
}

// site is the one that decisions are for.
type site struct{ Site, Version string }

func addSite(t *testing.T, binary, database string) (s site) {
	t.Helper()
	out, code := run(t, binary, "site", "add", "--domain", "shop.example", "--json", "--database", database)
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 {
		t.Fatalf("site add: %v, exit %d\n%s", err, code, out)
	}
	return s
}

// post sends a decision; 0 means that no whole answer came.
func (s site) post(url, record string) int {
	body, _ := json.Marshal(map[string]any{"site": s.Site, "record_id": record, "consent_id": record, "version": s.Version,
		"action": "accept_all", "language": "en", "source": "banner", "page": "https://shop.example/"})
	req, err := http.NewRequest(http.MethodPost, url+"/v1/consents", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Origin", "https://shop.example")
	req.Header.Set("Content-Type", "text/plain")
	res, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0
	}
	return res.StatusCode
}

// load sends decisions to all nodes in turn. Each is sent until it is answered
// with 201 or 200, to another node every time, as browsers do behind a balancer.
type load struct {
	t     *testing.T
	nodes []*node
	site  site
	stop  atomic.Bool
	work  sync.WaitGroup
	count atomic.Int64 // acknowledged
	last  atomic.Int64 // status of the last answer
	ready []atomic.Bool

	mu    sync.Mutex
	acked map[string]bool
}

func startLoad(t *testing.T, nodes []*node, s site, callers int) *load {
	l := &load{t: t, nodes: nodes, site: s, acked: map[string]bool{}, ready: make([]atomic.Bool, len(nodes))}
	for i := range nodes {
		l.work.Go(func() { l.probe(i) })
	}
	for i := range callers {
		l.work.Go(func() {
			for k := i; !l.stop.Load(); k++ {
				l.one(k)
			}
		})
	}
	return l
}

// probe asks a node whether it is ready, as a balancer does.
func (l *load) probe(i int) {
	prober := &http.Client{Timeout: time.Second}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !l.stop.Load() {
		res, err := prober.Get(l.nodes[i].url + "/readyz")
		if err == nil {
			res.Body.Close()
		}
		l.ready[i].Store(err == nil && res.StatusCode == http.StatusOK)
		<-tick.C
	}
}

// next is the node for a try: a ready one, where there is any.
func (l *load) next(k int) *node {
	for i := range l.nodes {
		if at := (k + i) % len(l.nodes); l.ready[at].Load() {
			return l.nodes[at]
		}
	}
	return l.nodes[k%len(l.nodes)]
}

func (l *load) one(k int) {
	record := uuid.Must(uuid.NewV7()).String()
	for deadline := time.Now().Add(time.Minute); ; k++ {
		status := l.site.post(l.next(k).url, record)
		l.last.Store(int64(status))
		switch status {
		case http.StatusOK, http.StatusCreated:
			l.mu.Lock()
			l.acked[record] = true
			l.mu.Unlock()
			l.count.Add(1)
			if k%8 == 0 { // a repeat to another node is harmless
				if again := l.site.post(l.next(k+1).url, record); again == http.StatusCreated || again == http.StatusConflict {
					l.t.Errorf("the repeat of a recorded decision is answered %d", again)
				}
			}
			return
		case 0, http.StatusServiceUnavailable:
		default:
			l.t.Errorf("a decision is answered %d", status)
			return
		}
		if time.Now().After(deadline) {
			l.t.Errorf("a decision was not taken within a minute")
			return
		}
		time.Sleep(20 * time.Millisecond) // polls a condition
	}
}

// progress waits until that many more decisions are acknowledged.
func (l *load) progress(n int64) {
	l.t.Helper()
	want := l.count.Load() + n
	for deadline := time.Now().Add(time.Minute); l.count.Load() < want; {
		if time.Now().After(deadline) {
			for i, n := range l.nodes {
				l.t.Logf("node %d said:\n%s", i, n.said)
			}
			l.t.Fatalf("%d decisions were acknowledged, %d are missing; the last answer was %d", l.count.Load(), want-l.count.Load(), l.last.Load())
		}
		time.Sleep(10 * time.Millisecond) // polls a condition
	}
}

// verify holds what was acknowledged against the register.
func (l *load) verify(binary, database string) {
	l.t.Helper()
	l.stop.Store(true)
	l.work.Wait()
	out, code := run(l.t, binary, "fsck", "--json", "--database", database)
	var report struct{ Records, Problems int }
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || report.Problems != 0 {
		l.t.Fatalf("fsck: %v, exit %d\n%s", err, code, out)
	}
	out, code = run(l.t, binary, "export", "--site", l.site.Site, "--database", database)
	if code != 0 {
		l.t.Fatalf("export: exit %d\n%s", code, out)
	}
	found := map[string]int{}
	for line := range strings.Lines(out) {
		var r struct {
			RecordID string `json:"record_id"`
			Record   struct {
				RecordID string `json:"record_id"`
			}
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			l.t.Fatal(err)
		}
		found[r.RecordID+r.Record.RecordID]++
	}
	for record := range l.acked {
		if found[record] != 1 {
			l.t.Errorf("the acknowledged record %s is there %d times", record, found[record])
		}
	}
	if report.Records != len(l.acked) || len(found) != len(l.acked) {
		l.t.Errorf("%d records in the log, %d of them different, %d acknowledged", report.Records, len(found), len(l.acked))
	}
	l.t.Logf("%d acknowledged, each there once", len(l.acked))
}

func skip(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs several servers")
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc")
	}
}
