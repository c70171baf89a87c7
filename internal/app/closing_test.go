//go:build linux

package app_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"assent/internal/app"
	"assent/receipt"
)

// The command that erases an organisation is killed in the middle; the server beside
// it brings it to its end, and starts again afterwards.
func TestKilledErasingIsFinishedByTheServer(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	dir := newSite(t)
	p := serve(t, dir)
	for range 40 {
		_, body := p.body()
		if status, _, answer := p.post(body); status != http.StatusCreated {
			t.Fatal(status, answer)
		}
	}
	ctx := context.Background()
	parts, err := app.Open(ctx, app.Config{Dir: dir, Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	defer parts.Close()
	command := exec.Command(binary(t), "org", "delete", "first", "--days", "0", "--data", dir)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	until := func(what string, so func() bool) {
		t.Helper()
		for deadline := time.Now().Add(90 * time.Second); !so(); {
			if time.Now().After(deadline) {
				t.Fatalf("not within 90 seconds: %s\n%s", what, p.said)
			}
			time.Sleep(time.Millisecond) // polls a condition
		}
	}
	until("the erasing begins", func() bool {
		done, err := parts.Closing.Forgotten(ctx, 10)
		c, err2 := parts.Closing.Of(ctx, "first")
		return err == nil && err2 == nil && (c != nil && !c.Begun.IsZero() || len(done) > 0)
	})
	command.Process.Kill()
	command.Wait()
	until("the server ends it", func() bool {
		done, err := parts.Closing.Forgotten(ctx, 10)
		c, err2 := parts.Closing.Of(ctx, "first")
		return err == nil && err2 == nil && c == nil && len(done) == 1
	})
	certificate, err := parts.Closing.File(ctx, "first", "closing-first.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := receipt.VerifyClosing(certificate, receipt.Trust{})
	if err != nil || !r.Valid || len(r.Closing.Sites) != 1 || r.Closing.Sites[0].Records != 40 {
		t.Errorf("%+v, %v", r, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, name := range files {
		if data, err := os.ReadFile(name); err != nil || bytes.Contains(data, []byte("shop.example")) {
			t.Errorf("%s holds the domain of the site still (%v)", name, err)
		}
	}
	if out, code := assent(t, "fsck", "--data", dir); code != 0 {
		t.Errorf("fsck: %d\n%s", code, out)
	}
	p.cmd.Process.Signal(os.Interrupt)
	p.cmd.Wait()
	port := freePort(t)
	launch(t, port, binary(t), "serve", "--data", dir, "--listen", "127.0.0.1:"+strconv.Itoa(port))
}
