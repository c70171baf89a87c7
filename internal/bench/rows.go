package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"assent/internal/db"
	"assent/receipt"

	"github.com/google/uuid"
)

// rows are what --only names; rows of one line are measured together, in turn.
var rows = []struct {
	names   []string
	measure func(b *bench, ctx context.Context) error
}{
	{[]string{"binary"}, (*bench).measureBinary},
	{[]string{"post-sqlite", "full-sqlite"}, func(b *bench, ctx context.Context) error {
		return b.measurePosts(ctx, db.SQLite, "post-sqlite", "full-sqlite", 0.50, 470)
	}},
	{[]string{"post-postgres", "full-postgres"}, func(b *bench, ctx context.Context) error {
		return b.measurePosts(ctx, db.Postgres, "post-postgres", "full-postgres", 0.35, 328)
	}},
	{[]string{"nodes"}, (*bench).measureNodes},
	{[]string{"script"}, (*bench).measureScript},
	{[]string{"memory"}, (*bench).measureMemory},
	{[]string{"verify"}, (*bench).measureVerify},
	{[]string{"fsck"}, (*bench).measureFsck},
	{[]string{"register"}, (*bench).measureRegister},
	{[]string{"console"}, (*bench).measureConsole},
	{[]string{"evidence"}, (*bench).measureEvidence},
	{[]string{"receipts"}, (*bench).measureProved},
	{[]string{"fairness"}, (*bench).measureFairness},
	{[]string{"soak"}, (*bench).measureSoak},
	{[]string{"erasure"}, (*bench).measureErasure},
	{[]string{"start"}, (*bench).measureStart},
	{[]string{"banner"}, (*bench).measureBanner},
	{[]string{"events"}, (*bench).measureEvents},
	{[]string{"statistics"}, (*bench).measureStatistics},
}

func rowNames() (names []string) {
	for _, r := range rows {
		names = append(names, r.names...)
	}
	return names
}

// Limits of issue and design, in the units of the rows.
const (
	limitP99     = 30 * time.Millisecond
	limitTimes   = 20 // as many as c15t
	limitFull    = 0.85
	limitScript  = 0.85
	limitMemory  = 120e6
	limitVerify  = time.Millisecond
	limitFsck    = 250_000
	limitBytes   = 600
	limitLookup  = time.Millisecond
	limitErased  = 2000
	limitBeside  = 0.70 // of the write load, while records are erased
	limitStart   = 150 * time.Millisecond
	limitBinary  = 30e6
	peerMeasured = "measured here, same run"
	peerConstant = "published figure of a machine like this one: 2 cores, same load"
)

//go:embed c15t.mjs
var c15tScript string

func (b *bench) measurePosts(ctx context.Context, e db.Engine, post, full string, ofBare, peer float64) error {
	wantPost, wantFull := b.wants(post), b.wants(full)
	empty := b.emptyAssent(e)
	subjects := []*subject{empty}
	bare, filled, c15t := b.barePost(e), b.fullAssent(e), b.c15tOn(e)
	usual, usualBare := b.emptyAssent(e), b.barePost(e)
	for _, s := range []*subject{usual, usualBare} {
		s.name += ", http.Client"
		s.load.Ordinary = true
	}
	if wantPost {
		subjects = append(subjects, bare, usual, usualBare)
		if b.c15t != "" {
			subjects = append(subjects, c15t)
		}
	}
	if wantFull {
		subjects = append(subjects, filled)
	}
	if err := b.alternate(ctx, subjects...); err != nil {
		return err
	}
	b.report.keep(subjects...)
	what := "`POST /v1/consents`, " + engineName(e)
	rate := empty.median(perSecond)
	if wantPost {
		ratio := ratioOf(empty, bare)
		b.report.add(line{what: what + ", beside bare net/http", figure: per(rate), beside: per(bare.median(perSecond)) + " bare",
			ratio: percent(ratio), limit: "≥ " + percent(ofBare), ok: ratio >= ofBare})
		ratio = ratioOf(usual, usualBare)
		b.report.add(line{what: what + ", the same with Go's http.Client as load generator", figure: per(usual.median(perSecond)), beside: per(usualBare.median(perSecond)) + " bare",
			ratio: percent(ratio), limit: "≥ " + percent(ofBare), ok: ratio >= ofBare})
		p99 := empty.medianTime(func(r round) time.Duration { return r.P99 })
		l := line{what: what + ", p99 latency", figure: ms(p99), beside: ms(bare.medianTime(func(r round) time.Duration { return r.P99 })) + " bare",
			ratio: times(float64(p99) / float64(max(bare.medianTime(func(r round) time.Duration { return r.P99 }), 1)))}
		if e == db.SQLite {
			l.limit, l.ok = "< "+ms(limitP99), p99 < limitP99
		}
		b.report.add(l)
		source := peerConstant
		if b.c15t != "" {
			peer, source = c15t.median(perSecond), peerMeasured
		}
		b.report.add(line{what: what + ", beside c15t 2.2.1", figure: per(rate), beside: per(peer) + " c15t, " + source,
			ratio: times(rate / peer), limit: fmt.Sprintf("≥ %d times", limitTimes), ok: rate >= limitTimes*peer})
	}
	if wantFull {
		ratio := ratioOf(filled, empty)
		b.report.add(line{what: fmt.Sprintf("%s, %s records in the register", what, thousands(float64(b.records))), figure: per(filled.median(perSecond)),
			beside: per(rate) + " empty", ratio: percent(ratio), limit: "≥ " + percent(limitFull), ok: ratio >= limitFull})
	}
	return nil
}

func (b *bench) measureScript(ctx context.Context) error {
	path := ""
	request := func(s *subject, st *store) {
		path = "/b/" + st.Site + ".js"
		s.load.Requests = []requestSpec{{Method: "GET", Path: path, Headers: [][2]string{
			{"Accept", "*/*"}, {"Accept-Encoding", "gzip, deflate, br, zstd"}, {"Referer", "https://" + domain + "/"},
			{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
		}}}
	}
	var answer bareSpec
	assent := b.assentOn("Assent, script", func(ctx context.Context) (*store, error) { return b.stores.empty(ctx, db.SQLite) }, b.stores.remove)
	open := assent.begin
	assent.size = nil
	assent.load = loadSpec{Code: 200, Check: checkBytes}
	assent.begin = func(ctx context.Context) (*process, error) {
		p, err := open(ctx)
		if err != nil {
			return nil, err
		}
		st, err := b.stores.sqliteTemplate(ctx)
		if err != nil {
			return nil, err
		}
		request(assent, st)
		if _, err := p.await(ctx, path); err != nil {
			return nil, errors.Join(err, p.stop())
		}
		if answer, err = fetchScript(ctx, p.addr, path); err != nil {
			return nil, errors.Join(err, p.stop())
		}
		assent.load.Bytes = answer.Bytes
		return p, nil
	}
	bare := &subject{name: "bare net/http, the same bytes", path: "/healthz"}
	bare.begin = func(context.Context) (*process, error) {
		bare.load = assent.load
		return startBare(answer)
	}
	if err := b.alternate(ctx, assent, bare); err != nil {
		return err
	}
	b.report.keep(assent, bare)
	ratio := ratioOf(assent, bare)
	b.report.add(line{what: fmt.Sprintf("`GET /b/{site}.js`, %s bytes with %s", thousands(float64(len(answer.Bytes))), answer.Headers["Content-Encoding"]),
		figure: per(assent.median(perSecond)), beside: per(bare.median(perSecond)) + " bare", ratio: percent(ratio),
		limit: "≥ " + percent(limitScript), ok: ratio >= limitScript})
	return nil
}

// fetchScript takes the answer over whole, so that the bare server can give the
// same. The transport leaves the body compressed, because br was asked for here.
func fetchScript(ctx context.Context, addr, path string) (s bareSpec, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr+path, nil)
	if err != nil {
		return s, err
	}
	req.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	answer, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	if s.Bytes, err = io.ReadAll(answer.Body); err != nil {
		return s, err
	}
	s.Headers = map[string]string{"Content-Length": strconv.Itoa(len(s.Bytes))}
	for name := range answer.Header {
		if name != "Date" {
			s.Headers[name] = answer.Header.Get(name)
		}
	}
	if coding := s.Headers["Content-Encoding"]; answer.StatusCode != http.StatusOK || coding != "br" {
		return s, fmt.Errorf("GET %s answered %d with Content-Encoding %q although br was offered", path, answer.StatusCode, coding)
	}
	return s, nil
}

func (b *bench) measureMemory(ctx context.Context) error {
	s := b.emptyAssent(db.SQLite)
	s.name = "Assent on SQLite, for memory"
	s.load.Measure = b.minute
	r, err := b.round(ctx, s)
	if err != nil {
		return err
	}
	s.rounds = []round{r}
	b.report.keep(s)
	b.report.add(line{what: fmt.Sprintf("resident memory after %s of POST load, %s records", b.minute, thousands(float64(r.Accepted))), figure: mb(r.now),
		beside: "peak " + mb(r.peak), ratio: percent(float64(r.now) / limitMemory), limit: "< " + mb(limitMemory), ok: r.now < limitMemory})
	return nil
}

func (b *bench) measureVerify(ctx context.Context) error {
	st, err := b.stores.fullOf(ctx, db.SQLite)
	if err != nil {
		return err
	}
	data, err := b.receipt(ctx, st)
	if err != nil {
		return err
	}
	file := filepath.Join(b.dir, "receipt.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	enough := time.Second
	if b.quick {
		enough = 50 * time.Millisecond
	}
	n, before := 0, ownCPU()
	for begin := time.Now(); time.Since(begin) < enough; n++ {
		if r, err := receipt.Verify(data, ""); err != nil || !r.Valid {
			return fmt.Errorf("the receipt does not verify: %v %v", err, r)
		}
	}
	each := (ownCPU() - before) / time.Duration(n)
	var cpu, wall []time.Duration
	for range b.starts {
		cmd := exec.CommandContext(ctx, b.binary, "verify", file)
		cmd.Env = environment()
		begin := time.Now()
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("assent verify: %w: %s", err, said)
		}
		wall = append(wall, time.Since(begin))
		cpu = append(cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	}
	b.report.add(line{what: "verify a receipt, CPU", figure: us(each), beside: fmt.Sprintf("whole process `assent verify`: %s CPU, %s in all", ms(middle(cpu)), ms(middle(wall))),
		ratio: percent(float64(each) / float64(limitVerify)), limit: "< " + ms(limitVerify), ok: each < limitVerify})
	return nil
}

// receipt records one decision on a running server and fetches its receipt.
func (b *bench) receipt(ctx context.Context, st *store) ([]byte, error) {
	p, err := b.running(ctx, st)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	r, err := newRequest(p.addr, consentRequests(st)[1])
	if err != nil {
		return nil, err
	}
	id := string(r.renew(newIDSource(), time.Now()))
	status, body, err := exchange(p.addr, r)
	if err != nil || status != http.StatusCreated {
		return nil, fmt.Errorf("POST /v1/consents answered %d: %s %w", status, body, err)
	}
	if _, err := uuid.Parse(id); err != nil {
		return nil, err
	}
	status, body, err = get(p.addr, "/v1/receipts/"+id)
	if err != nil || status != http.StatusOK || !json.Valid(body) {
		return nil, fmt.Errorf("GET /v1/receipts/{id} answered %d: %.300s %w", status, body, err)
	}
	return slices.Clone(body), nil
}

func (b *bench) measureFsck(ctx context.Context) error {
	for _, e := range []db.Engine{db.SQLite, db.Postgres} {
		st, err := b.stores.fullOf(ctx, e)
		if err != nil {
			return err
		}
		size, err := st.size(ctx)
		if err != nil {
			return err
		}
		var wall, cpu []time.Duration
		for range min(b.rounds, 3) {
			cmd := exec.CommandContext(ctx, b.binary, append([]string{"fsck"}, st.flags()...)...)
			cmd.Env = environment()
			begin := time.Now()
			if said, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("assent fsck on %s: %w: %.2000s", engineName(e), err, said)
			}
			wall = append(wall, time.Since(begin))
			cpu = append(cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
			b.log("fsck on %s: %s records in %s, %s CPU", engineName(e), thousands(float64(size)), wall[len(wall)-1].Round(time.Millisecond), cpu[len(cpu)-1])
		}
		rate := float64(size) / middle(wall).Seconds()
		b.report.add(line{what: "`assent fsck`, " + engineName(e), figure: per(rate),
			beside: fmt.Sprintf("%s records in %s, %s CPU", thousands(float64(size)), seconds(middle(wall)), seconds(middle(cpu))),
			ratio:  percent(rate / limitFsck), limit: "≥ " + per(limitFsck), ok: rate >= limitFsck})
	}
	return nil
}

func (b *bench) measureStart(ctx context.Context) error {
	for _, e := range []db.Engine{db.SQLite, db.Postgres} {
		for _, full := range []bool{false, true} {
			open, records := b.stores.empty, 0
			if full {
				open, records = b.stores.fullOf, b.records
			}
			st, err := open(ctx, e)
			if err != nil {
				return err
			}
			if err := b.measureStarts(ctx, st, fmt.Sprintf("start of `assent serve`, %s, %s records", engineName(e), thousands(float64(records)))); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) measureStarts(ctx context.Context, st *store, what string) error {
	var healthy, script []time.Duration
	for range b.starts {
		p, err := b.serve(st)
		if err != nil {
			return err
		}
		h, err := p.await(ctx, "/healthz")
		s := time.Duration(0)
		if err == nil {
			s, err = p.await(ctx, "/b/"+st.Site+".js")
		}
		if err := errors.Join(err, p.stop()); err != nil {
			return err
		}
		healthy, script = append(healthy, h), append(script, s)
	}
	b.log("%s: %s", what, ms(middle(script)))
	took := middle(script)
	b.report.add(line{what: what, figure: ms(took), beside: fmt.Sprintf("first `/healthz` %s; slowest of %d starts %s", ms(middle(healthy)), b.starts, ms(slices.Max(script))),
		ratio: percent(float64(took) / float64(limitStart)), limit: "< " + ms(limitStart), ok: took < limitStart})
	return nil
}
