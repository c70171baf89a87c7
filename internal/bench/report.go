package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// line is one row of the report. Without a limit it is there to be read only.
type line struct {
	what, figure, beside, ratio, limit string
	ok                                 bool
}

func (l line) mark() string {
	switch {
	case l.limit == "":
		return ""
	case l.ok:
		return "✓"
	}
	return "✗"
}

// report collects lines and the rounds behind them.
type report struct {
	command string
	date    time.Time
	machine []string
	quick   bool
	rounds  int
	measure time.Duration
	warm    time.Duration

	lines    []line
	subjects []*subject
	failures []string
}

func (r *report) add(l line)            { r.lines = append(r.lines, l) }
func (r *report) keep(list ...*subject) { r.subjects = append(r.subjects, list...) }
func (r *report) fail(row string, err error) {
	r.failures = append(r.failures, fmt.Sprintf("%s could not be measured: %v", row, err))
}

// exitCode is 2 when a row could not be measured, 1 when a limit was missed.
// A quick run judges nothing.
func (r *report) exitCode() int {
	if len(r.failures) > 0 {
		return 2
	}
	missed := slices.ContainsFunc(r.lines, func(l line) bool { return l.limit != "" && !l.ok })
	if missed && !r.quick {
		return 1
	}
	return 0
}

func (r *report) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, l := range r.lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", cmp.Or(l.mark(), " "), strings.ReplaceAll(l.what, "`", ""), l.figure, l.ratio, cmp.Or(l.limit, "-"), strings.ReplaceAll(l.beside, "`", ""))
	}
	w.Flush()
	for _, f := range r.failures {
		fmt.Fprintln(out, "!  "+f)
	}
	if r.quick {
		fmt.Fprintln(out, "This was a quick run: it shows that the bench works, its figures mean nothing.")
	}
}

func (r *report) markdown() []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "# Benchmarks\n\nMeasured on %s, written by `%s` (`make bench` does the same).\nAll rows are of one run on one machine.\n\n", r.date.Format("2 January 2006, 15:04 UTC"), strings.TrimSpace(r.command))
	if r.quick {
		w.WriteString("**This was a quick run: its figures mean nothing.**\n\n")
	}
	w.WriteString("| | what | figure | beside | ratio | limit |\n|---|---|---:|---|---:|---|\n")
	for _, l := range r.lines {
		fmt.Fprintf(&w, "| %s | %s | %s | %s | %s | %s |\n", l.mark(), l.what, l.figure, l.beside, l.ratio, l.limit)
	}
	for _, f := range r.failures {
		fmt.Fprintf(&w, "\n**%s**\n", strings.ReplaceAll(f, "\n", " "))
	}
	w.WriteString("\n## The machine\n\n")
	for _, m := range r.machine {
		fmt.Fprintf(&w, "- %s\n", m)
	}
	fmt.Fprintf(&w, method, connections, r.warm.Seconds(), r.measure.Seconds(), r.rounds)
	r.writeRounds(&w)
	return w.Bytes()
}

// method is the part of the report that says how; its verbs are connections,
// seconds of warm-up, seconds of load, rounds.
const method = `
Absolute figures are those of a small, shared machine. Read the ratios: both sides of each were measured in turn, seconds apart.

## How it is measured

- **Server and load are separate processes** on the same cores and the loopback interface. Assent is the released binary
  (` + "`" + `make build` + "`" + `: static, stripped, and without inlining in what runs seldom: scripts/build.sh) started as ` + "`assent serve --rate 0`" + `: everything as delivered except the limit per
  network, which would rightly stop such a load.
- **The load generator is lean**, because what it uses the server lacks: raw HTTP/1.1 on %d kept-alive connections, one goroutine each,
  requests prepared as bytes in which only the IDs change, one write and usually one read a request. A connection sends its next request
  when the last was answered (a closed loop), so latency is what a caller sees at full load. Its own CPU time is in the table below.
- **Two load generators.** The lean one leaves the servers more than any client in use would, so it shows every microsecond of ours beside a
  server that does nothing. Go's own http.Client costs about as much as the bare server itself, as common load generators do; the bare
  figures with it are those that the limits were set beside (26,100/s). Both rows are shown beside the same limit.
- **Every answer is checked.** POST: status 201, the body is JSON, ` + "`record_id`" + ` is the one sent, ` + "`status`" + ` is right; every request has a
  fresh UUIDv7 record ID and UUIDv4 consent ID; half of them accept all, half save a choice. GET: every byte. One wrong answer ends the run.
  After each load the log's signed checkpoint has to have grown by exactly the number of acknowledged decisions.
- **bare net/http** reads the same body, decodes it with encoding/json into a struct, and answers a constant of the same length; for the script
  it sends the same bytes with the same headers. It stores, checks and signs nothing: it is what Go itself costs.
- **Rounds**: the servers take turns (A B C A B C …), each started anew; %g s of warm-up, %g s measured, %d rounds. Assent starts each round
  with an empty register, except on the full one, which was filled through the register's own ` + "`Append`" + ` and goes on growing.
  Figures are medians over the rounds; ratios are medians of the rounds' ratios.
- **Durability**: SQLite in WAL mode with synchronous=FULL; PostgreSQL with fsync and synchronous_commit on, otherwise as initdb makes it.
- **Start** is the time from starting the process to the first complete answer with status 200, asked for every half millisecond; median of the starts.
- **Evidence**: the whole full register with ` + "`assent evidence`" + `, scaled to a million records; memory is the process's peak (getrusage).
- **Receipts**: beside full load one decision after the other is recorded, and its receipt asked for from the moment of the answer until there is one
  that verifies.
- **Fairness**: nine sites get 300 decisions a second between them at an even pace, alone and then while 64 connections flood a tenth in a closed loop.
  What counts is how many of them are answered; latency counts from when a request was due.
- **Soak** (` + "`make soak-load`" + `, not part of a usual run): half of full load in 40 pieces; medians of the last quarter beside those of the second.
- **Banner**: one Chromium for all visits; each in a context of its own (no cache, no cookies, no storage), coming from another page of the shop, so that
  no start of a process and no search for fonts is measured. The forms take turns; figures are medians over three times the rounds. The line is 180 kB/s with 562 ms to the
  first byte, the CPU four times slower. Blocking is all of a task beyond 50 ms, before the first paint as well, minus that of the bare page in the same round. Accepting is from the click's
  own time to the first task that finds the banner gone and the cookie set. The debugger's own work (call stacks of requests, parsed style sheets) is off for every form.
- **c15t** 2.2.1 is the closest self-hosted peer with a consent API. With ` + "`--c15t FOLDER`" + ` (see ` + "`internal/bench/c15t.mjs`" + `) it is measured in the same run;
  otherwise its figures are constants that were measured on a machine like this one, with 2 cores and the same load.

`

func (r *report) writeRounds(w *bytes.Buffer) {
	if len(r.subjects) == 0 {
		return
	}
	w.WriteString("## The rounds\n\n| server | requests/s, each round | p50 | p99 | slowest | server CPU a request | generator CPU a request | cores busy | memory at the end |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, s := range r.subjects {
		var rates []string
		for _, round := range s.rounds {
			rates = append(rates, thousands(round.PerSecond))
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", s.name, strings.Join(rates, " · "),
			ms(s.medianTime(func(r round) time.Duration { return r.P50 })), ms(s.medianTime(func(r round) time.Duration { return r.P99 })),
			ms(slices.MaxFunc(s.rounds, func(a, b round) int { return cmp.Compare(a.Max, b.Max) }).Max),
			us(s.medianTime(func(r round) time.Duration { return r.cpu })), us(s.medianTime(func(r round) time.Duration { return r.generator })),
			percent(s.median(func(r round) float64 { return r.busy })), mb(int64(s.median(func(r round) float64 { return float64(r.now) }))))
	}
	w.WriteString("\nServer CPU is of the server's process; PostgreSQL's own processes come on top of it.\n")
}

func perSecond(r round) float64 { return r.PerSecond }

func (s *subject) median(of func(round) float64) float64 {
	var all []float64
	for _, r := range s.rounds {
		all = append(all, of(r))
	}
	return middle(all)
}

func (s *subject) medianTime(of func(round) time.Duration) time.Duration {
	return time.Duration(s.median(func(r round) float64 { return float64(of(r)) }))
}

// ratioOf is the median of the ratios of the rounds, each of which has both.
func ratioOf(a, b *subject) float64 {
	var all []float64
	for i := range min(len(a.rounds), len(b.rounds)) {
		all = append(all, a.rounds[i].PerSecond/b.rounds[i].PerSecond)
	}
	return middle(all)
}

func middle[T cmp.Ordered](list []T) (zero T) {
	if len(list) == 0 {
		return zero
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

func per(v float64) string     { return thousands(v) + "/s" }
func percent(v float64) string { return fmt.Sprintf("%.0f %%", math.Floor(100*v)) }
func times(v float64) string   { return fmt.Sprintf("%.1f times", v) }
func mb(v int64) string        { return fmt.Sprintf("%.1f MB", float64(v)/1e6) }
func ms(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
}
func us(d time.Duration) string      { return strconv.FormatInt(d.Microseconds(), 10) + " µs" }
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// thousands groups digits: 12345 is 12,345.
func thousands(v float64) string {
	s := strconv.FormatInt(int64(math.Round(v)), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
