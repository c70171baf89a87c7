//go:build linux

package app_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// refuses runs a server that has to end by itself, and returns what it said.
func refuses(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	said, err := exec.CommandContext(ctx, binary(t), append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...).CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 2 {
		t.Errorf("it ended with %v, want exit 2\n%s", err, said)
	}
	return string(said)
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// A second server on a data directory, and one on an older copy, do not start and
// say why; nothing is signed.
func TestServersThatMustNotStart(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	dir, older, outside := newSite(t), t.TempDir(), filepath.Join(t.TempDir(), "marks")
	post := func(n int) {
		t.Helper()
		t.Setenv("ASSENT_HIGHWATER", outside)
		p := serve(t, dir)
		if said := refuses(t, "--data", dir); !strings.Contains(said, "Another assent serve already works on") {
			t.Errorf("a second server says %q", said)
		}
		for range n {
			if _, body := p.body(); !p.posted(body) {
				t.Fatal("not taken")
			}
		}
		p.stop()
		t.Setenv("ASSENT_HIGHWATER", "")
		p = serve(t, dir) // and the marks beside the data
		p.stop()
	}
	post(5)
	copyDir(t, dir, older)
	post(4)

	// The whole directory is an older one: only marks kept elsewhere can tell.
	whole := t.TempDir()
	copyDir(t, older, whole)
	if said := refuses(t, "--data", whole, "--highwater", outside); !strings.Contains(said, "was signed with 9 records, and this database holds 5") {
		t.Errorf("on an older directory it says %q", said)
	}
	// The database alone is an older one.
	newer, err := os.ReadFile(filepath.Join(dir, "assent.db"))
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(older, "assent.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "assent.db"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := refuses(t, "--data", dir); !strings.Contains(said, "was signed with 9 records, and this database holds 5") {
		t.Errorf("on an older database it says %q", said)
	}
	// With the newer one back it goes on.
	if err := os.WriteFile(filepath.Join(dir, "assent.db"), newer, 0o600); err != nil {
		t.Fatal(err)
	}
	post(1)
	if n := fsck(t, dir); n != 10 {
		t.Errorf("%d records, want 10", n)
	}
}

func get(t *testing.T, p *process, path string) string {
	t.Helper()
	res, err := p.client.Get(p.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Bits that turn in the database of a running server are named by its background
// check: in its log, in /metrics, and by its next process.
func TestScrubInTheServer(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	dir := newSite(t)
	p := serve(t, dir)
	record, body := p.body()
	if !p.posted(body) {
		t.Fatal("not taken")
	}
	p.stop()
	path := filepath.Join(dir, "assent.db")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(file), `"record_id":"`+record) // the page stands before it in the payload
	at = strings.LastIndex(string(file[:at]), "shop.example")
	file[at] ^= 1
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	p = serve(t, dir)
	deadline := time.Now().Add(60 * time.Second)
	for !strings.Contains(get(t, p, "/metrics"), "assent_scrub_findings 1\n") {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is found\n%s", p.said)
		}
		time.Sleep(50 * time.Millisecond) // polls a condition
	}
	p.stop()
	if said := p.said.String(); !strings.Contains(said, "record "+record+" at index 0: its payload or its salt was changed") {
		t.Errorf("the log does not name the record\n%s", said)
	}
}
