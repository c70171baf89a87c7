package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"assent/internal/db"
)

// erasureRecords are in the register before; the load adds to them.
const erasureRecords = 100_000

// measureErasure loads a server with decisions, first alone and then while
// `assent erase` removes the site's records in a process of its own.
func (b *bench) measureErasure(ctx context.Context) error {
	for _, e := range []db.Engine{db.SQLite, db.Postgres} {
		var erased, ratios []float64
		var alone, beside float64
		for i := range min(b.rounds, 3) {
			r, err := b.erasureRound(ctx, e)
			if err != nil {
				return fmt.Errorf("erasure on %s: %w", engineName(e), err)
			}
			b.log("round %d, erasure on %s: %.0f erased/s, decisions %.0f/s alone and %.0f/s beside it", i+1, engineName(e), r.erased, r.alone, r.beside)
			erased, ratios = append(erased, r.erased), append(ratios, r.beside/r.alone)
			alone, beside = r.alone, r.beside
		}
		slices.Sort(erased)
		slices.Sort(ratios)
		rate, ratio := erased[len(erased)/2], ratios[len(ratios)/2]
		b.report.add(line{what: "`assent erase --site` under full load, " + engineName(e), figure: per(rate), beside: "records erased",
			ratio: percent(rate / limitErased), limit: "≥ " + per(limitErased), ok: rate >= limitErased})
		b.report.add(line{what: "`POST /v1/consents` meanwhile, " + engineName(e), figure: per(beside), beside: per(alone) + " alone, last round",
			ratio: percent(ratio), limit: "≥ " + percent(limitBeside), ok: ratio >= limitBeside})
	}
	return nil
}

type erasureRound struct{ erased, alone, beside float64 } // a second

func (b *bench) erasureRound(ctx context.Context, e db.Engine) (r erasureRound, err error) {
	st, err := b.stores.empty(ctx, e)
	if err != nil {
		return r, err
	}
	defer b.stores.remove(ctx, st)
	records := erasureRecords
	if b.quick {
		records = 3000
	}
	if err := b.stores.fill(ctx, st, e, records); err != nil {
		return r, err
	}
	p, err := b.running(ctx, st)
	if err != nil {
		return r, err
	}
	defer p.stop()
	spec := loadSpec{Addr: p.addr, Code: 201, Check: checkConsent, Requests: consentRequests(st), Connections: connections, Warm: b.warm, Measure: b.measure}
	before, err := load(ctx, spec)
	if err != nil {
		return r, err
	}
	r.alone = before.PerSecond
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, b.binary, append([]string{"erase", "--site", st.Site, "--reason", "test", "--json"}, st.flags()...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(), &out, &said
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return r, err
	}
	ended := make(chan time.Duration, 1)
	go func() {
		cmd.Wait() // interrupted, it exits with 2
		ended <- time.Since(begin)
	}()
	during, err := load(ctx, spec)
	cmd.Process.Signal(os.Interrupt)
	took := <-ended
	if err != nil {
		return r, err
	}
	var answer struct{ Erased int64 }
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil || answer.Erased == 0 {
		return r, fmt.Errorf("assent erase: %v: %s", err, said.String())
	}
	r.erased, r.beside = float64(answer.Erased)/took.Seconds(), during.PerSecond
	return r, nil
}
