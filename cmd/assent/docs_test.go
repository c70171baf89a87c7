package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"assent/internal/app"

	"github.com/google/uuid"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")

// TestCommandsInDocs runs every line of every ```sh block, document by document,
// in a folder that holds what the text assumes: a register with ten records in
// ./assent-data, its site key in $SITE, and receipt.json. A line that starts a
// server or a gate runs in the background until the document ends; their ports,
// 8080 and 8081, are replaced.
func TestCommandsInDocs(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, file := range append(documents, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks := shellBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			dir, env := readersFolder(t)
			port, gate := unusedPort(t), unusedPort(t)
			for _, block := range blocks {
				for line := range strings.Lines(block[1]) {
					line = strings.NewReplacer(":8080", ":"+port, ":8081", ":"+gate).Replace(strings.TrimSpace(line))
					at := port
					if strings.HasPrefix(line, "assent gate") {
						at = gate
					}
					runLine(t, dir, env, line, at)
					ran++
				}
			}
		})
	}
	if ran < 5 {
		t.Errorf("only %d commands found in the documents", ran)
	}
}

func readersFolder(t *testing.T) (dir string, env []string) {
	t.Helper()
	dir = t.TempDir()
	data := filepath.Join(dir, app.DefaultDir)
	id := fillRegister(t, data)
	parts, err := app.Open(context.Background(), app.Config{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	defer parts.Close()
	file, err := parts.Register.Receipt(context.Background(), uuid.MustParse(id))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "receipt.json"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	sites, err := parts.Sites.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return dir, append(os.Environ(), "SITE="+sites[0].Key, "RECORD="+id)
}

func runLine(t *testing.T, dir string, env []string, line, port string) {
	t.Helper()
	gate := strings.HasPrefix(line, "assent gate") && strings.HasSuffix(line, " &")
	server := gate || strings.HasPrefix(line, "assent serve")
	if server {
		line = "exec " + strings.TrimSuffix(line, " &")
	}
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Env = dir, env
	if !server {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		return
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() })
	deadline := time.Now().Add(30 * time.Second)
	for {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%s/readyz", port))
		if err == nil {
			res.Body.Close()
			if gate || res.StatusCode == http.StatusOK { // the gate's website is not there
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: no answer within 30 seconds", line)
		}
		time.Sleep(20 * time.Millisecond) // polls a condition
	}
}

func unusedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
