package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"assent/internal/db"
	"assent/receipt"
)

// Limits of the rows of this file.
const (
	limitPack     = 60 * time.Second // for each million of records
	limitPackRAM  = 150e6            // bytes
	limitProved   = 2 * time.Second  // p99, PostgreSQL
	limitFair     = 0.80             // of what the other sites get without a flood
	million       = 1_000_000
	fairSites     = 10
	fairRate      = 300 // decisions a second of the other sites together
	fairCallers   = 18
	proved        = 300 // records whose receipts are asked for
	receiptsTries = 5000
)

// measureEvidence packs a whole register, with nothing else running, and verifies
// the pack as its reader does.
func (b *bench) measureEvidence(ctx context.Context) error {
	for _, e := range []db.Engine{db.SQLite, db.Postgres} {
		st, err := b.stores.fullOf(ctx, e)
		if err != nil {
			return err
		}
		size, err := st.size(ctx)
		if err != nil {
			return err
		}
		file := filepath.Join(b.dir, "pack-"+string(e)+".zip")
		packed, memory, err := b.timed(ctx, append([]string{"evidence", "--site", st.Site, "-o", file}, st.flags()...)...)
		if err != nil {
			return err
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		verified, verifyMemory, err := b.timed(ctx, "verify", file)
		if err != nil {
			return err
		}
		os.Remove(file)
		each := time.Duration(float64(packed) * million / float64(size))
		b.log("evidence on %s: %s records packed in %s, verified in %s", engineName(e), thousands(float64(size)), packed.Round(time.Millisecond), verified.Round(time.Millisecond))
		b.report.add(line{what: "evidence pack of a million records, " + engineName(e), figure: seconds(each),
			beside: fmt.Sprintf("%s records in %s, %s; `assent verify` takes %s", thousands(float64(size)), seconds(packed), mb(info.Size()), seconds(verified)),
			ratio:  percent(float64(each) / float64(limitPack)), limit: "< " + seconds(limitPack), ok: each < limitPack})
		most := max(memory, verifyMemory)
		b.report.add(line{what: "memory of packing and of verifying it, " + engineName(e), figure: mb(memory), beside: mb(verifyMemory) + " to verify",
			ratio: percent(float64(most) / limitPackRAM), limit: "< " + mb(limitPackRAM), ok: most < limitPackRAM})
	}
	return nil
}

// timed runs the released binary to its end, and tells how long that took and how
// much memory it had at its peak, in bytes.
func (b *bench) timed(ctx context.Context, args ...string) (took time.Duration, memory int64, err error) {
	cmd := exec.CommandContext(ctx, b.binary, args...)
	cmd.Env = environment()
	begin := time.Now()
	said, err := cmd.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("assent %s: %w: %.2000s", args[0], err, said)
	}
	return time.Since(begin), peakOf(cmd.ProcessState), nil
}

// measureProved records decisions on a server under full load and asks for the
// receipt of each from the moment of its answer on.
func (b *bench) measureProved(ctx context.Context) error {
	for _, e := range []db.Engine{db.SQLite, db.Postgres} {
		times, first, err := b.proveOn(ctx, e)
		if err != nil {
			return fmt.Errorf("receipts on %s: %w", engineName(e), err)
		}
		slices.Sort(times)
		p99 := times[len(times)*99/100]
		b.report.add(line{what: "from the answer to a valid receipt, full load, " + engineName(e) + ", p99", figure: ms(p99),
			beside: fmt.Sprintf("%s median; %d of %d with the first request", ms(times[len(times)/2]), first, len(times)),
			ratio:  percent(float64(p99) / float64(limitProved)), limit: "≤ " + ms(limitProved), ok: p99 <= limitProved})
	}
	return nil
}

func (b *bench) proveOn(ctx context.Context, e db.Engine) (times []time.Duration, first int, err error) {
	st, err := b.stores.empty(ctx, e)
	if err != nil {
		return nil, 0, err
	}
	defer b.stores.remove(ctx, st)
	p, err := b.running(ctx, st)
	if err != nil {
		return nil, 0, err
	}
	defer p.stop()
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends when it is stopped
		_, err := load(ctx, loadSpec{Addr: p.addr, Code: 201, Check: checkConsent, Requests: consentRequests(st), Connections: connections, Warm: b.warm, Measure: time.Minute})
		ended <- err
	}()
	r, err := newRequest(p.addr, consentRequests(st)[1])
	if err != nil {
		return nil, 0, err
	}
	ids, count := newIDSource(), proved
	if b.quick {
		count = 20
	}
	for range count {
		select {
		case err := <-ended:
			return nil, 0, fmt.Errorf("the load ended: %w", err)
		default:
		}
		id := string(r.renew(ids, time.Now()))
		status, body, err := exchange(p.addr, r)
		if err != nil || status != http.StatusCreated {
			return nil, 0, fmt.Errorf("POST /v1/consents answered %d: %s %w", status, body, err)
		}
		begin := time.Now()
		for try := 0; ; try++ {
			status, body, err := get(p.addr, "/v1/receipts/"+id)
			if err != nil || try == receiptsTries {
				return nil, 0, fmt.Errorf("no receipt: status %d, %w", status, err)
			}
			if status != http.StatusOK {
				time.Sleep(time.Millisecond)
				continue
			}
			times = append(times, time.Since(begin))
			if result, err := receipt.Verify(body, ""); err != nil || !result.Valid || result.Record.RecordID != id {
				return nil, 0, fmt.Errorf("the receipt of %s does not verify: %v, %v", id, result, err)
			}
			if try == 0 {
				first++
			}
			break
		}
	}
	return times, first, nil
}

// measureFairness lets nine sites send at an even pace, alone and then while a tenth
// is flooded by as many connections as full load has.
func (b *bench) measureFairness(ctx context.Context) error {
	for _, e := range []db.Engine{db.SQLite, db.Postgres} {
		var ratios []float64
		var alone, beside, flood *loadResult
		for i := range min(b.rounds, 3) {
			var err error
			if alone, beside, flood, err = b.fairnessRound(ctx, e); err != nil {
				return fmt.Errorf("fairness on %s: %w", engineName(e), err)
			}
			b.log("round %d, fairness on %s: the others get %.0f/s alone, p99 %s, and %.0f/s beside a flood of %.0f/s, p99 %s", i+1, engineName(e), alone.PerSecond, ms(alone.P99), beside.PerSecond, flood.PerSecond, ms(beside.P99))
			ratios = append(ratios, beside.PerSecond/alone.PerSecond)
		}
		ratio := middle(ratios)
		b.report.add(line{what: fmt.Sprintf("%d other sites while one is flooded, %s", fairSites-1, engineName(e)), figure: per(beside.PerSecond),
			beside: fmt.Sprintf("%s alone; p99 %s, alone %s; the flooded one %s", per(alone.PerSecond), ms(beside.P99), ms(alone.P99), per(flood.PerSecond)),
			ratio:  percent(ratio), limit: "≥ " + percent(limitFair), ok: ratio >= limitFair})
	}
	return nil
}

func (b *bench) fairnessRound(ctx context.Context, e db.Engine) (alone, beside, flood *loadResult, err error) {
	list, err := b.stores.withSitesOn(ctx, e, fairSites)
	if err != nil {
		return nil, nil, nil, err
	}
	defer b.stores.remove(ctx, list[0])
	p, err := b.running(ctx, list[0])
	if err != nil {
		return nil, nil, nil, err
	}
	defer p.stop()
	quiet := loadSpec{Addr: p.addr, Code: 201, Check: checkConsent, Connections: fairCallers, Rate: fairRate, Warm: b.warm, Measure: max(b.measure, time.Second)}
	for i, st := range list[1:] {
		for _, r := range consentRequests(st) {
			quiet.Requests = append(quiet.Requests, forHost(r, siteDomain(i+1)))
		}
	}
	if alone, err = load(ctx, quiet); err != nil {
		return nil, nil, nil, err
	}
	flooded := make(chan error, 1)
	go func() {
		var err error
		flood, err = load(ctx, loadSpec{Addr: p.addr, Code: 201, Check: checkConsent, Connections: connections, Requests: consentRequests(list[0]), Warm: b.warm, Measure: max(b.measure, time.Second)})
		flooded <- err
	}()
	beside, err = load(ctx, quiet)
	return alone, beside, flood, errors.Join(err, <-flooded)
}
