package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/db"
)

// Limits of the soak: what the last quarter may have beyond the first.
const (
	soakSamples = 40
	soakMemory  = 1.20
	soakLatency = 1.50
	soakMore    = 10 // goroutines, files
)

// sample is a look at a server under load.
type sample struct {
	memory            int64
	goroutines, files int
	p99               time.Duration
}

// measureSoak keeps a server at half of full load for as long as --soak says, and
// compares the last quarter of the time with the second: the first warms up.
func (b *bench) measureSoak(ctx context.Context) error {
	if b.soak == 0 {
		b.log("no soak: say how long with --soak MINUTES")
		return nil
	}
	for _, e := range []db.Engine{db.SQLite, db.Postgres} {
		if err := b.soakOn(ctx, e); err != nil {
			return fmt.Errorf("soak on %s: %w", engineName(e), err)
		}
	}
	return nil
}

func (b *bench) soakOn(ctx context.Context, e db.Engine) error {
	st, err := b.stores.empty(ctx, e)
	if err != nil {
		return err
	}
	defer b.stores.remove(ctx, st)
	p, err := b.running(ctx, st)
	if err != nil {
		return err
	}
	defer p.stop()
	spec := loadSpec{Addr: p.addr, Code: 201, Check: checkConsent, Requests: consentRequests(st), Connections: connections, Warm: b.warm, Measure: b.measure}
	full, err := load(ctx, spec)
	if err != nil {
		return err
	}
	samples := soakSamples
	if b.quick {
		samples = 4
	}
	spec.Rate, spec.Warm, spec.Measure = full.PerSecond/2, 0, b.soak/time.Duration(samples)
	var list []sample
	sent := 0
	for i := range samples {
		r, err := load(ctx, spec)
		if err != nil {
			return fmt.Errorf("%w; the server said: %.2000s", err, p.lastWords())
		}
		s, err := p.look()
		if err != nil {
			return err
		}
		s.p99 = r.P99
		sent += r.Accepted
		list = append(list, s)
		b.log("soak on %s, %d of %d: %.0f/s, p99 %s, %s resident, %d goroutines, %d files", engineName(e), i+1, samples, r.PerSecond, ms(r.P99), mb(s.memory), s.goroutines, s.files)
	}
	b.judgeSoak(e, list, sent)
	return nil
}

func (b *bench) judgeSoak(e db.Engine, list []sample, sent int) {
	quarter := len(list) / 4
	early, late := list[quarter:2*quarter], list[len(list)-quarter:]
	of := func(list []sample, value func(sample) float64) float64 {
		var all []float64
		for _, s := range list {
			all = append(all, value(s))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	begin := fmt.Sprintf("%s at half load, %s, ", b.soak, engineName(e))
	for _, row := range []struct {
		what  string
		value func(sample) float64
		show  func(float64) string
		most  func(early float64) float64
		limit string
	}{
		{"memory", func(s sample) float64 { return float64(s.memory) }, func(v float64) string { return mb(int64(v)) }, func(v float64) float64 { return v * soakMemory }, "≤ " + percent(soakMemory)},
		{"goroutines", func(s sample) float64 { return float64(s.goroutines) }, thousands, func(v float64) float64 { return v + soakMore }, fmt.Sprintf("≤ %d more", soakMore)},
		{"files", func(s sample) float64 { return float64(s.files) }, thousands, func(v float64) float64 { return v + soakMore }, fmt.Sprintf("≤ %d more", soakMore)},
		{"p99", func(s sample) float64 { return float64(s.p99) }, func(v float64) string { return ms(time.Duration(v)) }, func(v float64) float64 { return v * soakLatency }, "≤ " + percent(soakLatency)},
	} {
		was, is := of(early, row.value), of(late, row.value)
		b.report.add(line{what: begin + row.what, figure: row.show(is), beside: fmt.Sprintf("%s earlier; %s records in all", row.show(was), thousands(float64(sent))),
			ratio: percent(is / max(was, 1)), limit: row.limit, ok: is <= row.most(was)})
	}
}

// look reads what a server uses now.
func (p *process) look() (s sample, err error) {
	if s.memory, _, err = p.memory(); err != nil {
		return s, err
	}
	if s.files, err = p.files(); err != nil {
		return s, err
	}
	answer, err := http.Get("http://" + p.addr + "/metrics")
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return s, fmt.Errorf("GET /metrics answered %s: %w", answer.Status, err)
	}
	for line := range strings.Lines(string(body)) {
		if text, found := strings.CutPrefix(line, "go_goroutines "); found {
			s.goroutines, err = strconv.Atoi(strings.TrimSpace(text))
			return s, err
		}
	}
	return s, errors.New("/metrics does not say how many goroutines there are")
}
