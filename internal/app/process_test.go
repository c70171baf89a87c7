package app_test

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
	"testing"
	"time"

	"assent/receipt"

	"github.com/google/uuid"
)

// The tests of this file and of faults_test.go run the real binary in a process
// of its own, because what they do to it (kill, fill its disk, flood it) cannot
// be done to a part of the test.

var built struct {
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.path != "" {
		os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}

// binary builds the command once.
func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "assent-bin-")
		if err != nil {
			built.err = err
			return
		}
		// The folder is where servers of other users' namespaces look too.
		built.path = filepath.Join(dir, "assent")
		out, err := exec.Command("go", "build", "-o", built.path, "assent/cmd/assent").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// process is a running server with one site, shop.example.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	url     string
	site    string
	version string
	said    *bytes.Buffer
	client  *http.Client
}

// assent runs a command to its end and returns its standard output.
func assent(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return stdout.String() + stderr.String(), cmd.ProcessState.ExitCode()
}

// launch starts a command that ends in a server, and waits until it answers.
func launch(t *testing.T, port int, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), url: "http://127.0.0.1:" + strconv.Itoa(port), said: new(bytes.Buffer),
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	p.cmd.Stderr = p.said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill(); p.cmd.Wait() })
	deadline := time.Now().Add(30 * time.Second)
	for {
		res, err := p.client.Get(p.url + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p
			}
		}
		if time.Now().After(deadline) {
			p.cmd.Process.Kill()
			p.cmd.Wait()
			t.Fatalf("the server does not answer: %v\n%s", err, p.said)
		}
		time.Sleep(10 * time.Millisecond) // polls a condition
	}
}

// serve starts a server on a data directory that has a site.
func serve(t *testing.T, dir string, flags ...string) *process {
	t.Helper()
	port := freePort(t)
	p := launch(t, port, binary(t), append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:" + strconv.Itoa(port)}, flags...)...)
	out, code := assent(t, "site", "list", "--json", "--data", dir)
	var sites []struct{ Site, Version string }
	if err := json.Unmarshal([]byte(out), &sites); err != nil || code != 0 || len(sites) != 1 {
		t.Fatalf("site list: %v, exit %d\n%s", err, code, out)
	}
	p.site, p.version = sites[0].Site, sites[0].Version
	return p
}

// newSite makes a data directory with one site.
func newSite(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, code := assent(t, "site", "add", "--domain", "shop.example", "--data", dir); code != 0 {
		t.Fatalf("site add: exit %d\n%s", code, out)
	}
	return dir
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// body is a decision with fresh IDs.
func (p *process) body() (record string, body []byte) {
	record = uuid.Must(uuid.NewV7()).String()
	body, err := json.Marshal(map[string]any{
		"site": p.site, "record_id": record, "consent_id": uuid.NewString(), "version": p.version,
		"action": "accept_all", "language": "en", "source": "banner", "page": "https://shop.example/",
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return record, body
}

// post sends a decision; status 0 means that no whole answer came.
func (p *process) post(body []byte) (status int, header http.Header, answer string) {
	req, err := http.NewRequest(http.MethodPost, p.url+"/v1/consents", bytes.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return 0, nil, ""
	}
	req.Header.Set("Origin", "https://shop.example")
	req.Header.Set("Content-Type", "text/plain")
	res, err := p.client.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return res.StatusCode, res.Header, string(text)
}

// receiptOf returns the receipt of a record and whether it verifies.
func (p *process) receiptOf(record string) (status int, valid bool) {
	res, err := p.client.Get(p.url + "/v1/receipts/" + record)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		return res.StatusCode, false
	}
	result, err := receipt.Verify(data, "")
	return res.StatusCode, err == nil && result.Valid && result.Record.RecordID == record
}

// fsck checks a data directory and returns the number of records.
func fsck(t *testing.T, dir string) int {
	t.Helper()
	out, code := assent(t, "fsck", "--json", "--data", dir)
	var report struct{ Records, Problems int }
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || report.Problems != 0 {
		t.Fatalf("fsck: %v, exit %d\n%s", err, code, out)
	}
	return report.Records
}

// resident is a process's memory in bytes (VmRSS).
func (p *process) resident() int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			if err != nil {
				p.t.Fatal(err)
			}
			return n << 10
		}
	}
	p.t.Fatal("no VmRSS")
	return 0
}
