// Command bench measures every figure that Assent promises, beside its limit or
// its peer, in one run:
//
//	go run ./internal/bench --write docs/benchmarks.md
//
// It loads only 127.0.0.1, is bounded in time and count, and removes what it
// made. Exit status: 0 every limit is met, 1 one is missed, 2 a row failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

func main() {
	if err, ok := playRole(os.Stdin, os.Stdout); ok {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the flags.
type options struct {
	rounds  int
	measure time.Duration // of one load
	warm    time.Duration // before it, not counted
	minute  time.Duration // the load before memory is read
	records int           // in a full register
	starts  int           // starts of each kind
	quick   bool
	only    []string
	write   string // file for the report
	c15t    string // folder with c15t installed
	profile string // file for a CPU profile of the server
	soak    time.Duration
	dir     string // where the temporary folder is made
}

func parse(args []string, out io.Writer) (*options, error) {
	o := &options{warm: time.Second, minute: time.Minute}
	f := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	f.SortFlags = false
	f.SetOutput(out)
	seconds := f.Float64("seconds", 5, "length of one load in `seconds`")
	f.IntVar(&o.rounds, "rounds", 5, "rounds; figures are medians over them")
	f.IntVar(&o.records, "records", 2_000_000, "records in the full register")
	f.StringSliceVar(&o.only, "only", nil, "rows to measure: "+strings.Join(rowNames(), ", "))
	f.BoolVar(&o.quick, "quick", false, "one short round of every row, to see that the bench works; its figures say nothing and limits are not judged")
	f.StringVar(&o.write, "write", "", "write the report to this `file`, for example docs/benchmarks.md")
	f.StringVar(&o.c15t, "c15t", "", "`folder` where npm install @c15t/backend@2.2.1 kysely better-sqlite3 pg @hono/node-server was run: measures c15t too")
	f.StringVar(&o.profile, "profile", "", "write a CPU profile of the server under the POST load to this `file`, and a heap profile beside it")
	f.StringVar(&o.dir, "dir", "", "`folder` for the databases; it has to be on a real disk (default: the system's)")
	minutes := f.Float64("soak", 0, "how long the row soak keeps a server at half of full load, in `minutes`; it is left out when 0")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	o.measure = time.Duration(*seconds * float64(time.Second))
	o.starts = 9
	o.soak = time.Duration(*minutes * float64(time.Minute))
	if o.quick {
		o.rounds, o.measure, o.warm, o.minute, o.starts = 1, time.Second, 100*time.Millisecond, time.Second, 2 // a disk may stand still for a third of a second
		o.records = min(o.records, 3000)
	}
	if f.NArg() > 0 || o.rounds < 1 || o.rounds > 100 || o.measure <= 0 || o.measure > 2*time.Minute || o.records < 1 || o.soak < 0 || o.soak > 24*time.Hour {
		return nil, errors.New("give 1 to 100 rounds, up to 120 seconds, and no argument besides flags; --help shows them")
	}
	if o.profile != "" && o.write != "" {
		return nil, errors.New("a profiled server is slower: give --profile or --write, not both")
	}
	for _, name := range o.only {
		if !slices.Contains(rowNames(), name) {
			return nil, fmt.Errorf("there is no row %q; the rows are %s", name, strings.Join(rowNames(), ", "))
		}
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, log io.Writer) int {
	o, err := parse(args, log)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(log, "bench:", err)
		return 2
	}
	dir, err := os.MkdirTemp(o.dir, "assent-bench-")
	if err != nil {
		fmt.Fprintln(log, "bench:", err)
		return 2
	}
	defer os.RemoveAll(dir)
	b := newBench(o, dir, args, log)
	if err := b.build(ctx); err != nil {
		fmt.Fprintln(log, "bench:", err)
		return 2
	}
	for _, r := range rows {
		if ctx.Err() != nil {
			fmt.Fprintln(log, "bench: interrupted")
			return 2
		}
		if !b.wants(r.names...) {
			continue
		}
		b.log("measuring %s", strings.Join(r.names, ", "))
		if err := r.measure(b, ctx); err != nil {
			b.report.fail(r.names[0], err)
			b.log("%s FAILED: %v", r.names[0], err)
		}
	}
	b.report.machine = b.describe(ctx)
	b.report.print(out)
	if o.write != "" && ctx.Err() == nil {
		if err := os.WriteFile(o.write, b.report.markdown(), 0o644); err != nil {
			fmt.Fprintln(log, "bench:", err)
			return 2
		}
	}
	return b.report.exitCode()
}
