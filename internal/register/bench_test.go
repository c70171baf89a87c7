package register

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/receipt"

	"github.com/google/uuid"
)

var (
	prefill  = flag.Int("prefill", 200_000, "records in the grown register of BenchmarkGrown and BenchmarkFsck")
	keepDir  = flag.String("dir", "", "keep the grown SQLite database here between runs")
	services = flag.Int("services", 2, "services in each record that the load sends; 30 make 1.3 KB")
	sites    = flag.Int("sites", 1, "sites that the load of BenchmarkAppend is spread over")
	version  = flag.Int("ids", 7, "UUID version of the record IDs that the load sends")
)

func engines(b *testing.B, fn func(b *testing.B, o db.Options)) {
	b.Run("sqlite", func(b *testing.B) { fn(b, db.Options{Dir: b.TempDir()}) })
	b.Run("postgres", func(b *testing.B) { fn(b, db.Options{URL: dbtest.DurablePostgresURL(b)}) })
}

// callers is how many wait for an answer at the same time in a benchmark.
const callers = 64

// BenchmarkAppend: 64 callers, each waiting for its answer, on a database that
// syncs at every commit.
func BenchmarkAppend(b *testing.B) {
	engines(b, func(b *testing.B, o db.Options) {
		d := dbtest.Open(b, o)
		r := open(b, d)
		for site := range *sites {
			addSite(b, d, r, int64(site)+1)
		}
		before, bytes := cpu(), written()
		b.ResetTimer()
		load(b, r, b.N, callers)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
		b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/append")
		b.ReportMetric(float64(written()-bytes)/float64(b.N), "written-B/append")
	})
}

// BenchmarkGrown takes turns between an empty register and one with -prefill
// records, so that whatever else the machine does disturbs both alike.
//
//	go test -run '^$' -bench Grown ./internal/register -prefill 2000000 -timeout 20m
func BenchmarkGrown(b *testing.B) {
	engines(b, func(b *testing.B, o db.Options) {
		grown := o
		if o.URL != "" {
			grown.URL = dbtest.DurablePostgresURL(b)
		} else if grown.Dir = *keepDir; grown.Dir == "" {
			grown.Dir = b.TempDir()
		}
		registers := []*Register{open(b, dbtest.Open(b, o)), open(b, dbtest.Open(b, grown))}
		addSite(b, registers[0].db, registers[0], 1)
		grow(b, registers[1], *prefill)
		const turn = 2000
		var spent, used [2]time.Duration
		b.ResetTimer()
		for range max(1, b.N/turn) {
			for i, r := range registers {
				start, before := time.Now(), cpu()
				load(b, r, turn, callers)
				spent[i] += time.Since(start)
				used[i] += cpu() - before
			}
		}
		n := float64(max(1, b.N/turn) * turn)
		b.ReportMetric(n/spent[0].Seconds(), "empty/s")
		b.ReportMetric(n/spent[1].Seconds(), "grown/s")
		b.ReportMetric(100*float64(spent[0])/float64(spent[1]), "%")
		b.ReportMetric(float64(used[0].Microseconds())/n, "cpu-µs/empty")
		b.ReportMetric(float64(used[1].Microseconds())/n, "cpu-µs/grown")
	})
}

// BenchmarkFsck checks a register of -prefill records once for each round.
func BenchmarkFsck(b *testing.B) {
	engines(b, func(b *testing.B, o db.Options) {
		if o.Dir != "" && *keepDir != "" {
			o.Dir = *keepDir
		}
		r := open(b, dbtest.Open(b, o))
		grow(b, r, *prefill)
		var records int64
		before := cpu()
		b.ResetTimer()
		for range b.N {
			report, err := r.Fsck(b.Context(), FsckOptions{})
			if err != nil || !report.OK() {
				b.Fatal(report, err)
			}
			records += report.Records
		}
		b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
		b.ReportMetric(float64((cpu()-before).Nanoseconds())/1e3/float64(records), "cpu-µs/record")
	})
}

// grow fills a register up to n records.
func grow(t testing.TB, r *Register, n int) {
	t.Helper()
	if _, err := r.State(t.Context(), 1); err != nil {
		addSite(t, r.db, r, 1)
	}
	state, err := r.State(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if missing := n - int(state.Size); missing > 0 {
		load(t, r, missing, 2000)
		t.Logf("filled %d records in %s", missing, time.Since(start).Round(time.Second))
	}
}

// load appends n records from a number of callers that wait for their answers.
func load(t testing.TB, r *Register, n, callers int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range n/callers + min(1, max(0, n%callers-i)) {
				if _, _, err := r.Append(context.Background(), benchEntry()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func benchEntry() Entry {
	return entry(rand.Int64N(int64(*sites))+1, func(r *receipt.Record) {
		for i := range *services {
			r.Services[fmt.Sprintf("a-service-of-a-vendor-%d", i)] = i%2 == 0
		}
		if *version == 4 {
			r.RecordID = uuid.NewString()
		}
	})
}

// cpu is the time that this process has computed.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// written counts the bytes that this process has written to files and sockets.
func written() int64 {
	text, _ := os.ReadFile("/proc/self/io")
	var read, wrote int64
	fmt.Sscanf(string(text), "rchar: %d\nwchar: %d", &read, &wrote)
	return wrote
}

// BenchmarkErase erases whole acts, one record each iteration.
func BenchmarkErase(b *testing.B) {
	engines(b, func(b *testing.B, o db.Options) {
		r := open(b, dbtest.Open(b, o))
		grow(b, r, b.N+1)
		b.ResetTimer()
		for from := 0; from < b.N; from += eraseChunk {
			indexes := make([]int64, min(eraseChunk, b.N-from))
			for i := range indexes {
				indexes[i] = int64(from + i)
			}
			if _, err := r.act(b.Context(), &act{ctx: b.Context(), siteID: 1, reason: Test, indexes: indexes, answer: make(chan acted, 1)}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
}

// BenchmarkTurns: nodes grow one log by turns, batch by batch, 20 decisions each.
// What a batch costs is in the figures of CPU time.
func BenchmarkTurns(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			url := dbtest.DurablePostgresURL(b)
			var list []*Register
			for range nodes {
				list = append(list, open(b, dbtest.Open(b, db.Options{URL: url})))
			}
			addSite(b, list[0].db, list[0], 1)
			for i := range 40 * nodes {
				load(b, list[i%nodes], 20, 20)
			}
			own, database := cpu(), dbtest.PostgresCPU()
			b.ResetTimer()
			for i := range b.N {
				load(b, list[i%nodes], 20, 20)
			}
			b.ReportMetric(float64((cpu()-own).Microseconds())/float64(b.N), "cpu-µs/batch")
			b.ReportMetric(float64((dbtest.PostgresCPU()-database).Microseconds())/float64(b.N), "database-cpu-µs/batch")
		})
	}
}
