package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"assent": main})
}

// TestScripts runs the text scenarios in testdata against the real command.
// Besides testscript's own verbs they have:
//
//	port NAME              put a free port into the variable NAME
//	await URL [TEXT]       wait until URL answers 200, with TEXT in the body
//	lines FILE VAR         put the first line of FILE into a variable
//	policy FILE VKEY NEED KEYFILE…   write a policy for a log and witnesses w0, w1, …
//	waitfor TEXT COMMAND…  run a command until its output has TEXT
//	get URL FILE           save what URL answers, whatever its status
//	consent URL SITE.json NAME [action]   post a decision; $NAME is its record ID
//	flip FILE OFFSET       change one byte of FILE; a negative offset counts from the end
//	rezip FILE NAME TEXT   give one file of a ZIP archive another text
//	field FILE NAME VAR    put a member of a JSON object into a variable
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"port": scriptPort, "await": scriptAwait, "waitfor": scriptWaitFor, "get": scriptGet, "consent": scriptConsent, "flip": scriptFlip, "field": scriptField, "lines": scriptLines, "policy": scriptPolicy, "rezip": scriptRezip,
		},
	})
}

func scriptPort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
		ts.Check(err)
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			said := err == nil && (len(args) < 2 || bytes.Contains(body, []byte(args[1])))
			if (res.StatusCode == http.StatusOK && said) != neg {
				return
			}
		}
		if ctx.Err() != nil {
			ts.Fatalf("%s: not the awaited answer within 30 seconds (%v)", args[0], err)
		}
		time.Sleep(20 * time.Millisecond) // polls a condition
	}
}

func scriptWaitFor(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(60 * time.Second); ; {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%q is not said within a minute (%v): %s", args[0], err, ts.ReadFile("stdout"))
		}
		time.Sleep(50 * time.Millisecond) // polls a condition
	}
}

func scriptGet(ts *testscript.TestScript, neg bool, args []string) {
	res, err := http.Get(args[0])
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	if (res.StatusCode != http.StatusOK) != neg {
		ts.Fatalf("%s: %s\n%s", args[0], res.Status, body)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), body, 0o600))
}

func scriptConsent(ts *testscript.TestScript, _ bool, args []string) {
	var site struct{ Site, Version string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &site))
	action := "accept_all"
	if len(args) > 3 {
		action = args[3]
	}
	id := uuid.Must(uuid.NewV7()).String()
	body, err := json.Marshal(map[string]any{
		"site": site.Site, "record_id": id, "consent_id": uuid.NewString(), "version": site.Version, "action": action,
		"language": "en", "source": "banner", "page": "https://shop.example/cart?secret=1",
	})
	ts.Check(err)
	req, err := http.NewRequest(http.MethodPost, args[0]+"/v1/consents", bytes.NewReader(body))
	ts.Check(err)
	req.Header.Set("Origin", "https://shop.example")
	req.Header.Set("Content-Type", "text/plain")
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	ts.Check(err)
	if res.StatusCode != http.StatusCreated {
		ts.Fatalf("%s\n%s", res.Status, answer)
	}
	ts.Setenv(args[2], id)
}

func scriptFlip(ts *testscript.TestScript, _ bool, args []string) {
	data := []byte(ts.ReadFile(args[0]))
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

func scriptRezip(ts *testscript.TestScript, _ bool, args []string) {
	data := ts.ReadFile(args[0])
	from, err := zip.NewReader(strings.NewReader(data), int64(len(data)))
	ts.Check(err)
	var out bytes.Buffer
	to := zip.NewWriter(&out)
	for _, f := range from.File {
		if f.Name != args[1] {
			ts.Check(to.Copy(f))
			continue
		}
		w, err := to.Create(f.Name)
		ts.Check(err)
		_, err = io.WriteString(w, args[2])
		ts.Check(err)
	}
	ts.Check(to.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o600))
}

func scriptField(ts *testscript.TestScript, _ bool, args []string) {
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &object))
	v, ok := object[args[1]]
	if !ok {
		ts.Fatalf("%s has no member %s", args[0], args[1])
	}
	ts.Setenv(args[2], strings.TrimSpace(fmt.Sprint(v)))
}

func scriptLines(ts *testscript.TestScript, _ bool, args []string) {
	first, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	ts.Setenv(args[1], first)
}

func scriptPolicy(ts *testscript.TestScript, _ bool, args []string) {
	text, group := "log "+args[1]+"\n", ""
	for i, file := range args[3:] {
		key, _, _ := strings.Cut(ts.ReadFile(file), "\n")
		text += fmt.Sprintf("witness w%d %s\n", i, key)
		group += fmt.Sprintf(" w%d", i)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text+"group all-of-them "+args[2]+group+"\nquorum all-of-them\n"), 0o600))
}
