package register

import (
	"context"
	"flag"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/receipt"

	"github.com/google/uuid"
)

var (
	prefill = flag.Int("prefill", 0, "records that are in the register before BenchmarkAppend starts")
	ids     = flag.String("ids", "v7", "record IDs of BenchmarkAppend: v7 or v4")
	profile = flag.Bool("rss", false, "print the resident set after BenchmarkAppend")
)

// BenchmarkAppend is 64 callers, each waiting for its answer, on a database
// that syncs at every commit.
//
//	go test -run xxx -bench Append ./internal/register -prefill 2000000
func BenchmarkAppend(b *testing.B) {
	for engine, o := range map[string]func(b *testing.B) db.Options{
		"sqlite":   func(b *testing.B) db.Options { return db.Options{Dir: b.TempDir()} },
		"postgres": func(b *testing.B) db.Options { return db.Options{URL: dbtest.DurablePostgresURL(b)} },
	} {
		b.Run(engine, func(b *testing.B) {
			d := dbtest.Open(b, o(b))
			r := open(b, d)
			addSite(b, d, r, 1)
			if *prefill > 0 {
				start := time.Now()
				fill(b, r, 1, *prefill)
				b.Logf("filled %d records in %s", *prefill, time.Since(start).Round(time.Second))
			}
			parallel := 64 / runtime.GOMAXPROCS(0)
			b.SetParallelism(parallel)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, _, err := r.Append(context.Background(), benchEntry()); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
			if *profile {
				status, _ := os.ReadFile("/proc/self/status")
				b.Logf("%s", status)
			}
		})
	}
}

func benchEntry() Entry {
	return entry(1, func(r *receipt.Record) {
		if *ids == "v4" {
			r.RecordID = uuid.NewString()
		}
	})
}

// fill appends n records through the same writer, in large batches.
func fill(t testing.TB, r *Register, siteID int64, n int) {
	t.Helper()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2000)
	for range n {
		slots <- struct{}{}
		wg.Go(func() {
			if _, _, err := r.Append(context.Background(), entry(siteID)); err != nil {
				t.Error(err)
			}
			<-slots
		})
	}
	wg.Wait()
}
