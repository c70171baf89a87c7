//go:build linux

package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"assent/internal/app"
	"assent/internal/faultfs"
	"assent/internal/register"
	"assent/receipt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// The real server writes on a disk that forgets what was not synced. The power
// is cut at moments that a seed chooses; what every acknowledged visitor was
// promised has to be there when it is back.

// witnessed is what the world outside holds: acknowledged records and
// checkpoints that somebody saw.
type witnessed struct {
	lock    sync.Mutex
	records map[string]bool
	order   []string
	seen    map[string]bool // signed checkpoints
}

func (w *witnessed) copy() *witnessed {
	w.lock.Lock()
	defer w.lock.Unlock()
	return &witnessed{records: maps.Clone(w.records), order: slices.Clone(w.order), seen: maps.Clone(w.seen)}
}

func (w *witnessed) acknowledged(record string) int {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.records[record] = true
	w.order = append(w.order, record)
	return len(w.order)
}

func (w *witnessed) saw(checkpoint string) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.seen[checkpoint] = true
}

// cut is a moment at which the power could have gone.
type cut struct {
	at    string // the operation that did not happen any more
	image *faultfs.Image
	world *witnessed
}

// lab is a disk, the servers that run on it, and who remembers.
type lab struct {
	t      *testing.T
	binary string
	mount  string
	random *rand.Rand
	world  *witnessed
	disk   *faultfs.Disk
	cuts   int
	site   struct{ Site, Version string }
}

func newLab(t *testing.T, binary string, seed uint64) *lab {
	t.Helper()
	l := &lab{t: t, binary: binary, mount: t.TempDir(), random: rand.New(rand.NewPCG(seed, 4)), disk: faultfs.NewDisk(),
		world: &witnessed{records: map[string]bool{}, seen: map[string]bool{}}}
	l.with(func() {
		out, err := exec.Command(binary, "site", "add", "--json", "--domain", "shop.example", "--data", l.data()).Output()
		if err == nil {
			err = json.Unmarshal(out, &l.site)
		}
		if err != nil {
			t.Fatalf("site add: %v\n%s", err, out)
		}
	})
	return l
}

// data is not the mounted folder itself, so that making it has to be durable too.
func (l *lab) data() string { return filepath.Join(l.mount, "d") }

// with mounts the disk, and takes it away when do returns.
func (l *lab) with(do func()) {
	l.t.Helper()
	m := mountDisk(l.t, l.disk, l.mount)
	unmount := sync.OnceValue(m.Unmount)
	defer unmount() // also when do ends the test
	do()
	if err := unmount(); err != nil {
		l.t.Fatal(err)
	}
}

func mountDisk(t *testing.T, d *faultfs.Disk, dir string) *faultfs.Mounted {
	t.Helper()
	m, err := faultfs.Mount(d, dir)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a FUSE file system cannot be mounted; it takes /dev/fuse, and root or Debian's fuse3: %v", err)
		}
		t.Skipf("a FUSE file system cannot be mounted: %v", err)
	}
	return m
}

// serve starts the server on the mounted disk.
func (l *lab) serve() *process {
	l.t.Helper()
	port := freePort(l.t)
	p := launch(l.t, port, l.binary, "serve", "--data", l.data(), "--listen", "127.0.0.1:"+strconv.Itoa(port))
	p.site, p.version = l.site.Site, l.site.Version
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// boot runs the server under load, ends the disk in the middle of it, kills the
// server and returns the moments that were looked at; the last is the end.
func (l *lab) boot(records, moments int) (cuts []cut) {
	last := 0
	random := rand.New(rand.NewPCG(l.random.Uint64(), 5))
	before := func(op faultfs.Op) faultfs.Verdict {
		ending := last > 0 && random.IntN(40) == 0
		// Writes to the write-ahead log are by far the most.
		odds := map[string]int{"assent.db-wal": 300, "assent.db": 40}[op.Name]
		if strings.HasSuffix(op.Name, "-shm") {
			return faultfs.Verdict{}
		}
		if ending || len(cuts) < moments-1 && random.IntN(max(odds, 3)) == 0 {
			cuts = append(cuts, cut{fmt.Sprintf("%s %s", op.Kind, op.Name), l.disk.Image(), l.world.copy()})
		}
		return faultfs.Verdict{Off: ending}
	}
	l.disk.Set(before, 0)
	l.with(func() {
		p := l.serve()
		var work sync.WaitGroup
		var once sync.Once
		for range 8 {
			work.Go(func() {
				for {
					record, body := p.body()
					if status, _, answer := p.post(body); status != http.StatusCreated {
						if !l.disk.Off() {
							l.t.Errorf("before the cut: %d %s", status, answer)
						}
						return
					}
					n := l.world.acknowledged(record)
					if n%8 == 0 {
						l.look(p)
					}
					if n >= records {
						once.Do(func() { l.disk.Set(func(op faultfs.Op) faultfs.Verdict { last = n; return before(op) }, 0) })
					}
				}
			})
		}
		work.Wait()
		p.kill()
	})
	return cuts
}

// look keeps the checkpoint that the server shows to the world.
func (l *lab) look(p *process) {
	res, err := p.client.Get(p.url + "/log/" + l.site.Site + "/checkpoint")
	if err != nil {
		return
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err == nil && res.StatusCode == http.StatusOK {
		l.world.saw(string(text))
	}
}

// problems looks at what a machine finds after a cut: nothing that was
// acknowledged is lost, the register is sound, and every checkpoint that was
// seen is one of its own past.
func (l *lab) problems(c cut, d *faultfs.Disk) (list []string) {
	l.cuts++
	bad := func(format string, args ...any) {
		list = append(list, fmt.Sprintf("cut %d before %s: %s", l.cuts, c.at, fmt.Sprintf(format, args...)))
	}
	dir, err := os.MkdirTemp(l.t.TempDir(), "")
	if err == nil {
		err = d.Extract(dir)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	parts, err := app.Open(ctx, app.Config{Dir: filepath.Join(dir, "d"), Existing: true})
	if err != nil {
		bad("does not open: %v", err)
		return list
	}
	defer parts.Close()
	report, err := parts.Register.Fsck(ctx, register.FsckOptions{})
	if err != nil || !report.OK() || report.Logs != 1 {
		bad("fsck: %v %+v", err, report)
		return list
	}
	stored, roots, err := history(ctx, parts)
	if err != nil {
		bad("%v", err)
	}
	lost := 0
	for record := range c.world.records {
		if !stored[record] {
			lost++
		}
	}
	if lost > 0 {
		bad("%d of %d acknowledged records are lost", lost, len(c.world.records))
	}
	for text := range c.world.seen {
		if doubt := roots.doubt(text); doubt != "" {
			bad("%s", doubt)
		}
	}
	for _, record := range c.world.order[max(0, len(c.world.order)-8):] {
		data, err := parts.Register.Receipt(ctx, uuid.MustParse(record))
		if err != nil {
			continue // counted as lost
		}
		if r, err := receipt.Verify(data, ""); err != nil || !r.Valid {
			bad("the receipt of %s: %v %+v", record, err, r)
		}
	}
	return list
}

// pasts are the hashes of a log, as tlog stores them.
type pasts []tlog.Hash

func (p pasts) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		list[i] = p[index]
	}
	return list, nil
}

// doubt says why a checkpoint is not of this log's past, "" when it is.
func (p pasts) doubt(checkpoint string) string {
	lines := strings.SplitN(checkpoint, "\n", 4)
	if len(lines) < 4 {
		return "a checkpoint of " + strconv.Itoa(len(lines)) + " lines was seen"
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || tlog.StoredHashCount(size) > int64(len(p)) {
		return fmt.Sprintf("a checkpoint of %s records was seen, which the log does not have any more", lines[1])
	}
	root, err := tlog.TreeHash(size, p)
	if err != nil || root.String() != lines[2] {
		return fmt.Sprintf("two checkpoints of %d records: root %s was seen, and now it is %s (%v)", size, lines[2], root, err)
	}
	return ""
}

// history reads the records' IDs and hashes the log from its leaves, with none
// of the register's own code.
func history(ctx context.Context, parts *app.Parts) (stored map[string]bool, hashes pasts, err error) {
	rows, err := parts.DB.Read().QueryContext(ctx, "select record_id, salt, payload from record order by place")
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	stored = map[string]bool{}
	for n := int64(0); rows.Next(); n++ {
		var id, salt, payload []byte
		if err := rows.Scan(&id, &salt, &payload); err != nil {
			return nil, nil, err
		}
		stored[uuid.UUID(id).String()] = true
		commitment := receipt.Commit(salt, payload)
		more, err := tlog.StoredHashes(n, commitment[:], hashes)
		if err != nil {
			return nil, nil, err
		}
		hashes = append(hashes, more...)
	}
	return stored, hashes, rows.Err()
}

// keeps are the parts of what was not synced that a cut may leave.
var keeps = []float64{0, 0.5, 1, 0.1, 0.9, 0}

func (l *lab) keep() float64 { return keeps[l.random.IntN(len(keeps))] }

// run cuts the power at least so many times. It returns what was wrong, after
// the first boot in which anything was.
func (l *lab) run(cuts, perBoot int) []string {
	if list := l.problems(cut{"after site add", l.disk.Now(), l.world.copy()}, l.disk.Now().Cut(l.random, 0)); len(list) > 0 {
		return list
	}
	l.disk = l.disk.Now().Cut(l.random, l.keep())
	for boot := 1; l.cuts < cuts; boot++ {
		moments := l.boot(boot*80, perBoot)
		if l.t.Failed() {
			return nil
		}
		var list []string
		for i, c := range moments {
			after := c.image.Cut(l.random, l.keep())
			list = append(list, l.problems(c, after)...)
			if i == len(moments)-1 {
				l.disk = c.image.Cut(l.random, l.keep())
			}
		}
		if len(list) > 0 {
			return list
		}
	}
	return nil
}

// Power cuts lose nothing that was acknowledged, and damage nothing.
func TestPowerCuts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	cuts, seed := setting(t, "ASSENT_SOAK_CUTS", 50), setting(t, "ASSENT_SOAK_SEED", 1)
	start := time.Now()
	l := newLab(t, binary(t), uint64(seed))
	for _, problem := range l.run(cuts, 6) {
		t.Error(problem)
	}
	if t.Failed() {
		t.Fatalf("ASSENT_SOAK_SEED=%d", seed)
	}
	// The last cut is survived by the real server, too.
	l.disk.Set(nil, 0)
	l.with(func() {
		p := l.serve()
		for _, record := range l.world.order[max(0, len(l.world.order)-100):] {
			if status, valid := p.receiptOf(record); !valid {
				t.Errorf("acknowledged record %s: receipt %d", record, status)
			}
		}
		if _, body := p.body(); !p.posted(body) {
			t.Error("the server takes no decision after the last cut")
		}
		p.cmd.Process.Signal(syscall.SIGTERM)
		p.cmd.Wait()
		out, err := exec.Command(l.binary, "fsck", "--data", l.data()).CombinedOutput()
		if err != nil {
			t.Errorf("fsck: %v\n%s", err, out)
		}
	})
	t.Logf("%d power cuts, %d acknowledged records, %d checkpoints seen, in %s", l.cuts, len(l.world.order), len(l.world.seen), time.Since(start).Round(time.Second))
}

func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%q is no number", name, text)
	}
	return n
}

// The same power cuts find out a server that syncs less: without this, the test
// above could be one that cannot fail.
func TestPowerCutsFindACarelessServer(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	for _, level := range []string{"NORMAL", "OFF"} {
		t.Run(level, func(t *testing.T) {
			careless := filepath.Join(t.TempDir(), "assent")
			out, err := exec.Command("go", "build", "-o", careless, "-ldflags", "-X assent/internal/db.synchronous="+level, "assent/cmd/assent").CombinedOutput()
			if err != nil {
				t.Fatalf("go build: %v\n%s", err, out)
			}
			l := newLab(t, careless, 1)
			list := l.run(50, 6)
			if len(list) == 0 {
				t.Fatalf("synchronous=%s survived %d power cuts", level, l.cuts)
			}
			t.Logf("found at cut %d: %s", l.cuts, list[0])
		})
	}
}
