package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
)

// connections is how many callers the load has, as issue and peers' figures do.
const connections = 64

// bench is one run.
type bench struct {
	*options
	dir    string
	binary string // as it is released
	stores *stores
	report *report
	logTo  io.Writer
	began  time.Time
}

func newBench(o *options, dir string, args []string, log io.Writer) *bench {
	b := &bench{options: o, dir: dir, logTo: log, began: time.Now()}
	b.stores = &stores{dir: dir, records: o.records, log: b.log}
	b.report = &report{command: "go run ./internal/bench " + strings.ReplaceAll(strings.Join(args, " "), cmp.Or(o.c15t, "\x00"), "FOLDER"), date: time.Now().UTC(), quick: o.quick, rounds: o.rounds, measure: o.measure, warm: o.warm}
	return b
}

func (b *bench) log(format string, args ...any) {
	fmt.Fprintf(b.logTo, "%6.1fs  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

func (b *bench) wants(names ...string) bool {
	return len(b.only) == 0 || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(b.only, n) })
}

// build makes the binary exactly as `make build` does.
func (b *bench) build(ctx context.Context) error {
	b.binary = filepath.Join(b.dir, "assent")
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output() // also from a folder below it
	if err != nil {
		return fmt.Errorf("where the module is: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(strings.TrimSpace(string(module))), "scripts", "build.sh"), b.binary)
	cmd.Env = environment()
	b.log("building the release binary")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the binary does not build: %w\n%s", err, said)
	}
	return nil
}

// serve starts the released binary on a store, or this program with a profiler
// around the same server.
func (b *bench) serve(s *store) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	var p *process
	if b.profile != "" {
		cmd, err := role("profiled")
		if err != nil {
			return nil, err
		}
		file, err := filepath.Abs(b.profile)
		if err != nil {
			return nil, err
		}
		p, err = begin(cmd, profiledSpec{Store: *s, Addr: addr, File: file})
		if err != nil {
			return nil, err
		}
	} else {
		cmd := exec.Command(b.binary, append([]string{"serve", "--listen", addr, "--rate", "0"}, s.flags()...)...)
		cmd.Env, cmd.Dir = environment(), b.dir
		if p, err = begin(cmd, nil); err != nil {
			return nil, err
		}
	}
	p.addr = addr
	return p, nil
}

// running is serve, waited for until it answers.
func (b *bench) running(ctx context.Context, s *store) (*process, error) {
	p, err := b.serve(s)
	if err != nil {
		return nil, err
	}
	if _, err := p.await(ctx, "/healthz"); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func startBare(s bareSpec) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s.Addr = addr
	cmd, err := role("bare")
	if err != nil {
		return nil, err
	}
	p, err := begin(cmd, s)
	if err != nil {
		return nil, err
	}
	p.addr = addr
	return p, nil
}

// subject is a server that is measured, started anew for every round.
type subject struct {
	name  string
	begin func(ctx context.Context) (*process, error)
	load  loadSpec // without the address
	path  string   // answers 200 when it is ready
	// size asks a running server how many records it has acknowledged; nil where
	// there is none.
	size func(p *process) (int64, error)
	end  func(ctx context.Context) error // after the server has ended; may be nil

	rounds []round
}

// round is one load of one subject.
type round struct {
	loadResult
	cpu       time.Duration // of the server for each request
	generator time.Duration // of the load generator for each request
	database  time.Duration // of PostgreSQL for each request
	busy      float64       // share of the machine's cores in use
	now, peak int64         // memory of the server at the end, bytes
}

// alternate loads the subjects in turn, A B C A B C …, so that what else happens on
// the machine meets them alike.
func (b *bench) alternate(ctx context.Context, subjects ...*subject) error {
	for i := range b.rounds {
		for _, s := range subjects {
			r, err := b.round(ctx, s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			b.log("round %d, %s: %.0f/s, p50 %s, p99 %s, CPU a request: server %s, database %s, load %s; cores %.0f %% busy",
				i+1, s.name, r.PerSecond, ms(r.P50), ms(r.P99), us(r.cpu), us(r.database), us(r.generator), 100*r.busy)
			s.rounds = append(s.rounds, r)
		}
	}
	return nil
}

func (b *bench) round(ctx context.Context, s *subject) (r round, err error) {
	p, err := s.begin(ctx)
	if err != nil {
		return r, err
	}
	defer func() {
		err = errors.Join(err, p.stop())
		if s.end != nil {
			err = errors.Join(err, s.end(ctx))
		}
	}()
	if _, err := p.await(ctx, s.path); err != nil {
		return r, err
	}
	var had int64
	if s.size != nil {
		if had, err = s.size(p); err != nil {
			return r, err
		}
	}
	spec := s.load
	spec.Addr, spec.Connections, spec.Warm, spec.Measure = p.addr, connections, max(b.warm, spec.Warm), max(b.measure, spec.Measure)
	cpu0, err := p.cpuOfAll()
	if err != nil {
		return r, err
	}
	busy0, all0, err := machineCPU()
	if err != nil {
		return r, err
	}
	database0 := dbtest.PostgresCPU()
	result, err := load(ctx, spec)
	if err != nil {
		return r, fmt.Errorf("%w; the server said: %.2000s", err, p.lastWords())
	}
	busy1, all1, _ := machineCPU()
	cpu1, err := p.cpuOfAll()
	if err != nil {
		return r, err
	}
	r.loadResult = *result
	n := time.Duration(max(result.Accepted, 1))
	r.cpu, r.generator, r.database = (cpu1-cpu0)/n, result.CPU/n, (dbtest.PostgresCPU()-database0)/n
	r.busy = float64(busy1-busy0) / float64(max(all1-all0, 1))
	if r.now, r.peak, err = p.memoryOfAll(); err != nil {
		return r, err
	}
	if s.size == nil {
		return r, nil
	}
	has, err := s.size(p)
	if err == nil && has-had != int64(result.Accepted) {
		err = fmt.Errorf("%d decisions were acknowledged, the register grew by %d", result.Accepted, has-had)
	}
	return r, err
}

// assentOn measures Assent on a store that the function gives; drop removes it.
func (b *bench) assentOn(name string, open func(context.Context) (*store, error), drop func(context.Context, *store) error) *subject {
	var st *store
	s := &subject{name: name, path: "/healthz"}
	s.load = loadSpec{Code: 201, Check: checkConsent}
	s.begin = func(ctx context.Context) (*process, error) {
		var err error
		if st, err = open(ctx); err != nil {
			return nil, err
		}
		s.load.Requests = consentRequests(st)
		return b.serve(st)
	}
	s.size = func(p *process) (int64, error) { return checkpointSize(p.addr, st.Site) }
	s.end = func(ctx context.Context) error {
		if drop == nil {
			return nil
		}
		return drop(ctx, st)
	}
	return s
}

// emptyAssent starts every round on a fresh, empty register.
func (b *bench) emptyAssent(e db.Engine) *subject {
	return b.assentOn("Assent on "+engineName(e),
		func(ctx context.Context) (*store, error) { return b.stores.empty(ctx, e) }, b.stores.remove)
}

// fullAssent goes on with one register that was filled once.
func (b *bench) fullAssent(e db.Engine) *subject {
	return b.assentOn(fmt.Sprintf("Assent on %s with %s records", engineName(e), thousands(float64(b.records))),
		func(ctx context.Context) (*store, error) { return b.stores.fullOf(ctx, e) }, nil)
}

// barePost is the bare server under the very same requests.
func (b *bench) barePost(e db.Engine) *subject {
	s := &subject{name: "bare net/http", path: "/healthz"}
	s.load = loadSpec{Code: 201, Check: checkBytes, Bytes: []byte(bareAnswer)}
	s.begin = func(ctx context.Context) (*process, error) {
		template := b.stores.sqliteTemplate
		if e == db.Postgres {
			template = b.stores.postgresTemplate
		}
		st, err := template(ctx)
		if err != nil {
			return nil, err
		}
		s.load.Requests = consentRequests(st)
		return startBare(bareSpec{})
	}
	return s
}

// consentRequests are two decisions as a browser sends them: half accept
// everything, half choose.
func consentRequests(st *store) []requestSpec {
	body := func(action, rest string) string {
		return `{"site":"` + st.Site + `","record_id":"` + recordSlot + `","consent_id":"` + consentSlot + `","version":"` + st.Version +
			`","action":"` + action + `",` + rest + `,"language":"en","source":"banner","page":"https://` + domain + `/products/blue-kettle","gpc":false,"tc":"","gpp":""}`
	}
	headers := [][2]string{
		{"Origin", "https://" + domain}, {"Referer", "https://" + domain + "/"}, {"Content-Type", "text/plain;charset=UTF-8"},
		{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
		{"Accept", "*/*"}, {"Accept-Language", "en-GB,en;q=0.9"}, {"Accept-Encoding", "gzip, deflate, br, zstd"},
	}
	return []requestSpec{
		{"POST", "/v1/consents", headers, body("accept_all",
			`"categories":{"functional":true,"analytics":true,"advertising":true},"services":{"example-functional":true,"example-analytics":true,"example-advertising":true}`), "accepted_all"},
		{"POST", "/v1/consents", headers, body("save",
			`"categories":{"functional":true,"analytics":false,"advertising":false},"services":{"example-functional":true,"example-analytics":false,"example-advertising":false}`), "accepted_partially"},
	}
}

// checkpointSize asks the log itself how many leaves it has (C2SP
// tlog-checkpoint: the second line).
func checkpointSize(addr, site string) (int64, error) {
	status, body, err := get(addr, "/log/"+site+"/checkpoint")
	if err != nil {
		return 0, err
	}
	lines := strings.SplitN(string(body), "\n", 3)
	if status != 200 || len(lines) < 3 {
		return 0, fmt.Errorf("GET /log/%s/checkpoint answered %d: %.200s", site, status, body)
	}
	return strconv.ParseInt(lines[1], 10, 64)
}

// c15t measures the peer by its own recipe, with the durability of Assent.
func (b *bench) c15tOn(e db.Engine) *subject {
	s := &subject{name: "c15t 2.2.1 on " + engineName(e), path: "/status"}
	s.load = loadSpec{Code: 200, Check: checkJSON, Requests: c15tRequests(), Measure: 3 * time.Second} // its answers take longer
	var st *store
	s.begin = func(ctx context.Context) (_ *process, err error) {
		if st, err = b.stores.empty(ctx, e); err != nil {
			return nil, err
		}
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		where := filepath.Join(st.Dir, "c15t.db")
		if e == db.Postgres {
			// A schema of its own: the database has Assent's tables in the public one.
			if err := execute(ctx, st.URL, "drop schema public cascade", "create schema public"); err != nil {
				return nil, err
			}
			where = st.URL
		}
		cmd := exec.Command("node", "--input-type=module", "--eval", c15tScript, "--", addr[strings.LastIndex(addr, ":")+1:], where)
		cmd.Dir, cmd.Env = b.c15t, append(environment(), "NODE_ENV=production")
		p, err := begin(cmd, nil)
		if err == nil {
			p.addr = addr
		}
		return p, err
	}
	s.end = func(ctx context.Context) error { return b.stores.remove(ctx, st) }
	return s
}

func c15tRequests() []requestSpec {
	body := func(action, preferences string) string {
		return `{"type":"cookie_banner","subjectId":"sub_` + base58Slot + `","domain":"` + domain + `","givenAt":` + strconv.FormatInt(time.Now().UnixMilli(), 10) +
			`,"preferences":{"necessary":true,` + preferences + `},"jurisdiction":"GDPR","jurisdictionModel":"opt-in","uiSource":"banner","consentAction":"` + action + `"}`
	}
	headers := [][2]string{{"Origin", "https://" + domain}, {"Content-Type", "application/json"}, {"Accept", "*/*"}}
	return []requestSpec{
		{"POST", "/subjects", headers, body("all", `"functionality":true,"measurement":true,"marketing":true`), ""},
		{"POST", "/subjects", headers, body("custom", `"functionality":true,"measurement":false,"marketing":false`), ""},
	}
}

func engineName(e db.Engine) string {
	if e == db.Postgres {
		return "PostgreSQL"
	}
	return "SQLite"
}

// lastWords ends a server that failed and returns what it wrote.
func (p *process) lastWords() string {
	if err := p.stop(); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(p.said.String())
}
