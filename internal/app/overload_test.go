//go:build linux

package app_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// idleFor is how long the server keeps a connection that asks for nothing.
const idleFor = 60 * time.Second

// keptAlive is a connection that was used and is kept open.
type keptAlive struct {
	net.Conn
	answers *bufio.Reader
	used    time.Time
}

func (p *process) keepAlive() (*keptAlive, error) {
	c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		return nil, err
	}
	p.t.Cleanup(func() { c.Close() })
	k := &keptAlive{Conn: c, answers: bufio.NewReaderSize(c, 512)}
	return k, k.ask()
}

// ask sends a request and reads the whole answer.
func (k *keptAlive) ask() error {
	k.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(k, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		return err
	}
	res, err := http.ReadResponse(k.answers, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	k.used = time.Now()
	return nil
}

// raiseFiles lets this process open as many files as it may, and returns how many.
func raiseFiles(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < 12_000 && os.Geteuid() == 0 {
		higher := syscall.Rlimit{Cur: 12_000, Max: 12_000}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &higher) == nil {
			return 12_000
		}
	}
	if limit.Cur < limit.Max {
		limit.Cur = limit.Max
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}
	return int(min(limit.Cur, 1<<20))
}

// Ten thousand connections that are kept alive and ask for nothing are all kept,
// each at a bounded price, and the server answers others, and them again.
func TestTenThousandIdleConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	const wanted, mostEach = 10_000, 40 << 10
	count := min(wanted, raiseFiles(t)-500)
	if count < wanted {
		t.Logf("only %d connections: the system lets a process open no more files", count)
	}
	p := serve(t, newSite(t), "--connections", "11000")
	before := p.resident()
	list := make([]*keptAlive, count)
	var next atomic.Int64
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				k, err := p.keepAlive()
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				list[i] = k
			}
		})
	}
	work.Wait()
	if t.Failed() {
		return
	}
	if each := (p.resident() - before) / count; each > mostEach {
		t.Errorf("an idle connection costs %d bytes, want at most %d", each, mostEach)
	} else {
		t.Logf("%d idle connections, %d bytes each", count, each)
	}
	if _, body := p.body(); !p.posted(body) {
		t.Errorf("another client is kept out by %d idle ones", count)
	}
	if open := p.connections(); open < count && time.Since(list[0].used) < idleFor-5*time.Second {
		t.Errorf("%d connections are open, want %d", open, count)
	}
	for i := 0; i < count; i += 20 {
		k := list[i]
		if was := k.used; k.ask() != nil && time.Since(was) < idleFor-5*time.Second { // unless this machine took so long
			t.Fatalf("connection %d was not kept", i)
		}
	}
}

// When as many connections are open as may be, each new one is answered and takes
// the place of the one that was idle for longest; no more are open than that.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	const limit, opened = 50, 100
	p := serve(t, newSite(t), "--connections", "50")
	var list []*keptAlive
	for i := range opened {
		k, err := p.keepAlive()
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		list = append(list, k)
	}
	kept, oldest := 0, -1
	for i, k := range list {
		if was := k.used; k.ask() == nil {
			if kept++; oldest < 0 {
				oldest = i
			}
		} else if oldest >= 0 && i > oldest+2 && time.Since(was) < idleFor-5*time.Second {
			t.Errorf("connection %d was closed, and %d, which was idle for longer, was not", i, oldest)
		}
	}
	if kept > limit || kept < limit-1 && time.Since(list[opened-1].used) < idleFor {
		t.Errorf("%d connections are open, want %d", kept, limit)
	}
	if _, body := p.body(); !p.posted(body) {
		t.Error("a client is kept out by idle ones")
	}
}

// Clients that ask for much and read nothing hold no more than their places and
// their share of memory: decisions are taken meanwhile, and none is lost.
func TestSlowReaders(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	const limit, readers, most = 100, 200, 160 << 20
	dir := newSite(t)
	p := serve(t, dir, "--connections", "100")
	want := strings.Repeat("GET /b/"+p.site+".js HTTP/1.1\r\nHost: a\r\n\r\n", 400) // some 20 MB of answers
	var list []net.Conn
	decisions := 0
	for i := range readers {
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatalf("reader %d: %v", i, err)
		}
		defer c.Close()
		c.(*net.TCPConn).SetReadBuffer(4 << 10)
		c.SetWriteDeadline(time.Now().Add(time.Second)) // the server stops to read, too
		io.WriteString(c, want)
		list = append(list, c)
		if i%20 == 19 {
			if _, body := p.body(); !p.posted(body) {
				t.Fatalf("a decision is kept out by %d slow readers", i+1)
			}
			decisions++
		}
	}
	if rss := p.resident(); rss > most {
		t.Errorf("%d MB resident with %d clients that do not read, want at most %d", rss>>20, readers, most>>20)
	}
	if open := p.connections(); open > limit {
		t.Errorf("%d connections are open, want at most %d", open, limit)
	}
	for _, c := range list {
		c.Close()
	}
	p.cmd.Process.Signal(os.Interrupt)
	p.cmd.Wait()
	if n := fsck(t, dir); n != decisions {
		t.Errorf("%d records, %d decisions were acknowledged", n, decisions)
	}
}

// connections is how many sockets the process has open.
func (p *process) connections() (open int) {
	p.t.Helper()
	folder := "/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/fd"
	files, err := os.ReadDir(folder)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		if to, err := os.Readlink(folder + "/" + f.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			open++
		}
	}
	return open - 1 // the listener
}
