package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/uuid"
)

// The bench starts itself for its parts, and in a test that is the test binary.
func TestMain(m *testing.M) {
	if err, ok := playRole(os.Stdin, os.Stdout); ok {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// The smallest rows run for real, with every process and check that the long run
// has, so that the bench cannot rot.
func TestQuickRunMeasuresForReal(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the release binary")
	}
	report := filepath.Join(t.TempDir(), "benchmarks.md")
	var out, log bytes.Buffer
	code := run(t.Context(), []string{"--quick", "--records", "300", "--only", "binary,post-sqlite,verify", "--dir", t.TempDir(), "--write", report}, &out, &log)
	if code != 0 {
		t.Fatalf("exit status %d\n%s\n%s", code, &out, &log)
	}
	written, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| binary, ", "SQLite, beside bare net/http |", "SQLite, p99 latency |", "SQLite, beside c15t 2.2.1 |", "| verify a receipt, CPU |", "| Assent on SQLite |", "| bare net/http |"} {
		if !strings.Contains(string(written), want) {
			t.Errorf("the report has no %q:\n%s", want, written)
		}
	}
	if strings.Contains(string(written), "| 0/s |") {
		t.Errorf("a figure is 0:\n%s", written)
	}
}

// The rows that need a filled register, several sites or time, small.
func TestQuickRunOfTheRegister(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the release binary")
	}
	report := filepath.Join(t.TempDir(), "benchmarks.md")
	var out, log bytes.Buffer
	code := run(t.Context(), []string{"--quick", "--records", "1500", "--only", "fsck,register,evidence,receipts,fairness,soak", "--soak", "0.1", "--dir", t.TempDir(), "--write", report}, &out, &log)
	if code != 0 {
		t.Fatalf("exit status %d\n%s\n%s", code, &out, &log)
	}
	written, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"`assent fsck`", "bytes on disk per record", "look-up by record ID", "look-up by consent ID", "evidence pack of a million records", "memory of packing", "to a valid receipt", "other sites while one is flooded", "at half load"} {
		for _, engine := range []string{"SQLite", "PostgreSQL"} {
			found := false
			for line := range strings.Lines(string(written)) {
				found = found || strings.Contains(line, what) && strings.Contains(line, engine)
			}
			if !found {
				t.Errorf("the report has no row %q for %s:\n%s", what, engine, written)
			}
		}
	}
}

func TestFlagsThatCannotBeUsed(t *testing.T) {
	for _, args := range [][]string{{"--only", "nothing"}, {"--rounds", "0"}, {"--seconds", "3600"}, {"--soak", "-1"}, {"--soak", "100000"}, {"more"}, {"--unknown"}} {
		var log bytes.Buffer
		if code := run(t.Context(), args, io.Discard, &log); code != 2 || log.Len() == 0 {
			t.Errorf("%v: exit status %d, said %q; want 2 and a sentence", args, code, &log)
		}
	}
}

func TestEveryRequestHasFreshIDs(t *testing.T) {
	r, err := newRequest("127.0.0.1:1", requestSpec{Method: "POST", Path: "/x", Headers: [][2]string{{"Accept", "*/*"}},
		Body: `{"record_id":"{{record_id}}","consent_id":"{{consent_id}}","other":"sub_{{base58}}"}`})
	if err != nil {
		t.Fatal(err)
	}
	now := time.UnixMilli(1_800_000_000_123)
	ids, seen := newIDSource(), map[string]bool{}
	for range 1000 {
		record := string(r.renew(ids, now))
		req, err := http.ReadRequest(newBuffered(r.bytes))
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Record  string `json:"record_id"`
			Consent string `json:"consent_id"`
			Other   string `json:"other"`
		}
		if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
			t.Fatalf("%v: %s", err, r.bytes)
		}
		id, err := uuid.Parse(body.Record)
		if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 || body.Record != record {
			t.Fatalf("record ID %q (%v), renew said %q", body.Record, err, record)
		}
		if sec, nsec := id.Time().UnixTime(); time.Unix(sec, nsec).UnixMilli() != now.UnixMilli() {
			t.Fatalf("record ID %s carries the time %d.%09d", id, sec, nsec)
		}
		visitor, err := uuid.Parse(body.Consent)
		if err != nil || visitor.Version() != 4 || visitor.Variant() != uuid.RFC4122 {
			t.Fatalf("consent ID %q (%v)", body.Consent, err)
		}
		if len(body.Other) != 4+base58Length || strings.ContainsAny(body.Other[4:], "0OIl") {
			t.Fatalf("base58 %q", body.Other)
		}
		for _, id := range []string{body.Record, body.Consent, body.Other} {
			if seen[id] {
				t.Fatalf("%s came twice", id)
			}
			seen[id] = true
		}
	}
}

func TestAnswersAreReadHoweverTheyArrive(t *testing.T) {
	two := "HTTP/1.1 201 Created\r\nX: y\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length:  0\r\n\r\n"
	for name, from := range map[string]io.Reader{
		"at once": strings.NewReader(two), "byte by byte": iotest.OneByteReader(strings.NewReader(two)), "with the end": iotest.DataErrReader(strings.NewReader(two)),
	} {
		r := answerReader{from: from, buf: make([]byte, 8)}
		for _, want := range []struct {
			status int
			body   string
		}{{201, "hello"}, {204, ""}, {200, ""}} {
			status, body, err := r.next()
			if err != nil || status != want.status || string(body) != want.body {
				t.Errorf("%s: %d %q %v, want %d %q", name, status, body, err, want.status, want.body)
			}
		}
		if _, _, err := r.next(); err != io.EOF {
			t.Errorf("%s: after the last answer: %v", name, err)
		}
	}
	for _, bad := range []string{"HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"} {
		r := answerReader{from: strings.NewReader(bad)}
		if status, body, err := r.next(); err == nil {
			t.Errorf("%q was read as %d %q", bad, status, body)
		}
	}
}

func TestMembersAreFound(t *testing.T) {
	for _, row := range []struct{ object, want string }{
		{`{"status":"accepted_all"}`, "accepted_all"},
		{`{ "a" : "b" , "status" : "s" }` + "\n", "s"},
		{`{"a\"":"\u00fc","status":"x\n"}`, "x\n"},
		{`{"status":"x"`, ""}, {`{"status":5}`, ""}, {`{"status":"x",}`, ""}, {`{"status":"x" "b":"c"}`, ""}, {`{}`, ""}, {`[]`, ""}, {``, ""},
	} {
		if row.want != "" && !json.Valid([]byte(row.object)) {
			t.Errorf("%s is a wrong row", row.object)
		}
		if got := member([]byte(row.object), "status"); string(got) != row.want {
			t.Errorf("%s: status %q, want %q", row.object, got, row.want)
		}
	}
}

// Whatever member finds, encoding/json finds too.
func FuzzMember(f *testing.F) {
	for _, s := range []string{`{"status":"accepted_all"}`, `{"a":"b","status":"\u0041"}`, `{"status":"x",}`, `{"status":"a","status":"b"}`, `{"status":""}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		got := member(object, "status")
		if got == nil {
			return
		}
		var want map[string]string
		if err := json.Unmarshal(object, &want); err != nil {
			t.Fatalf("found %q in %q, which is no flat object: %v", got, object, err)
		}
		if w := want["status"]; w != strings.ToValidUTF8(string(got), "\ufffd") && !strings.Contains(w, "\ufffd") {
			t.Fatalf("found %q in %q instead of %q", got, object, w)
		}
	})
}

func TestAWrongAnswerEndsTheLoad(t *testing.T) {
	for _, row := range []struct {
		name, answer, complaint string
		code                    int
	}{
		{"another status code", `{"record_id":"ID","status":"accepted_all"}`, "answered 200 instead of 201", 200},
		{"another record", `{"record_id":"00000000-0000-7000-8000-000000000000","status":"accepted_all"}`, "names the record", 201},
		{"another consent status", `{"record_id":"ID","status":"accepted_partially"}`, "has the status", 201},
		{"no JSON", `accepted ID`, "names the record", 201},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var body struct {
				ID string `json:"record_id"`
			}
			json.NewDecoder(r.Body).Decode(&body)
			w.WriteHeader(row.code)
			io.WriteString(w, strings.ReplaceAll(row.answer, "ID", body.ID))
		}))
		_, err := runLoad(t.Context(), loadSpec{Addr: s.Listener.Addr().String(), Connections: 2, Measure: 10 * time.Second, Code: 201, Check: checkConsent,
			Requests: []requestSpec{{Method: "POST", Path: "/", Body: `{"record_id":"{{record_id}}"}`, Status: "accepted_all"}}})
		if err == nil || !strings.Contains(err.Error(), row.complaint) {
			t.Errorf("%s: the load ended with %v, want %q", row.name, err, row.complaint)
		}
		s.Close()
	}
}

func TestLoadCountsWhatWasAnswered(t *testing.T) {
	p, err := startBare(bareSpec{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	if _, err := p.await(t.Context(), "/healthz"); err != nil {
		t.Fatal(err)
	}
	st := &store{Site: "s", Version: "v"}
	r, err := load(t.Context(), loadSpec{Addr: p.addr, Requests: consentRequests(st), Connections: 4, Warm: 20 * time.Millisecond, Measure: 100 * time.Millisecond,
		Code: 201, Check: checkBytes, Bytes: []byte(bareAnswer)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Measured == 0 || r.Accepted < r.Measured || r.P50 <= 0 || r.P99 < r.P50 || r.Max < r.P99 || r.PerSecond != float64(r.Measured)/0.1 {
		t.Errorf("%+v", r)
	}
}

func TestOnlyThisMachineIsLoaded(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:80", "shop.example:80", "[2001:db8::1]:80", "localhost", ":80"} {
		if _, err := runLoad(context.Background(), loadSpec{Addr: addr, Connections: 1, Measure: time.Millisecond}); err == nil {
			t.Errorf("%s was loaded", addr)
		}
	}
	for _, addr := range []string{"127.0.0.1:80", "127.9.9.9:80", "[::1]:80"} {
		if err := onLoopback(addr); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestLimitsDecideTheExitStatus(t *testing.T) {
	met, missed, free := line{limit: "< 1", ok: true}, line{limit: "< 1"}, line{}
	for _, row := range []struct {
		name string
		r    report
		want int
	}{
		{"every limit is met", report{lines: []line{met, free}}, 0},
		{"one is missed", report{lines: []line{met, missed}}, 1},
		{"one is missed in a quick run", report{lines: []line{missed}, quick: true}, 0},
		{"a row failed", report{lines: []line{met}, failures: []string{"x"}, quick: true}, 2},
	} {
		if got := row.r.exitCode(); got != row.want {
			t.Errorf("%s: exit status %d, want %d", row.name, got, row.want)
		}
	}
}

func TestRatiosAreOfTheRounds(t *testing.T) {
	rates := func(list ...float64) *subject {
		s := new(subject)
		for _, v := range list {
			s.rounds = append(s.rounds, round{loadResult: loadResult{PerSecond: v}})
		}
		return s
	}
	if got := ratioOf(rates(50, 10, 40), rates(100, 10, 50)); got != 0.8 {
		t.Errorf("median of 0.5, 1 and 0.8 is %v", got)
	}
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.6: "1,234,568"} {
		if got := thousands(v); got != want {
			t.Errorf("%v is written %s", v, got)
		}
	}
}

func newBuffered(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }
