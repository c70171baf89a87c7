//go:build linux

package cluster

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"assent/internal/db/dbtest"
)

// Three nodes under load lose a node, the network of another, and the primary,
// and are restarted one by one: nothing that was acknowledged is lost or there
// twice, and the log is one.
func TestFailover(t *testing.T) {
	skip(t)
	binary := build(t, "assent", "-s -w")
	primary, standby := dbtest.Pair(t)
	hosts := func(a, b string) string {
		return "postgres://assent@" + a + "," + b + "/postgres?target_session_attrs=read-write"
	}
	database := hosts(primary.Host, standby.Host)
	s := addSite(t, binary, database)
	far := []*line{newLine(t, primary.Host), newLine(t, standby.Host)}
	nodes := []*node{
		{binary: binary, database: database}, {binary: binary, database: database},
		{binary: binary, database: hosts(far[0].addr, far[1].addr)},
	}
	for _, n := range nodes {
		n.start(t, "--rate", "0")
		t.Cleanup(n.kill)
	}
	l := startLoad(t, nodes, s, 12)
	l.progress(200)

	nodes[0].kill()
	l.progress(200)
	nodes[0].start(t, "--rate", "0")
	l.progress(100)

	for _, f := range far {
		f.cut(true)
	}
	nodes[2].await(t, http.StatusServiceUnavailable)
	l.progress(200)
	for _, f := range far {
		f.cut(false)
	}
	nodes[2].await(t, http.StatusOK)
	l.progress(100)

	primary.Kill(t)
	before := l.count.Load()
	standby.Exec(t, "select pg_promote(true, 60)")
	promoted := time.Now()
	l.progress(1)
	t.Logf("%d decisions were acknowledged before the promotion ended; the next one %s after it", l.count.Load()-before-1, time.Since(promoted).Round(time.Millisecond))
	for _, n := range nodes {
		n.await(t, http.StatusOK)
	}
	l.progress(200)

	for _, n := range nodes {
		n.stop(t)
		l.progress(50)
		n.start(t, "--rate", "0")
	}
	l.progress(100)
	l.verify(binary, database)
}

// line forwards connections to a server until it is cut: then nothing comes
// through any more in either direction, and nobody is told.
type line struct {
	addr, to string
	mu       sync.Mutex
	open     chan struct{} // closed while bytes pass
	conns    []net.Conn
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &line{addr: l.Addr().String(), to: to, open: make(chan struct{})}
	close(ln.open)
	t.Cleanup(func() { l.Close(); ln.hangUp() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go ln.forward(c)
		}
	}()
	return ln
}

func (ln *line) passing() <-chan struct{} {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return ln.open
}

// cut stops what passes, or lets it pass again; the connections of the time
// between are gone then.
func (ln *line) cut(off bool) {
	if !off {
		ln.hangUp()
	}
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if off {
		ln.open = make(chan struct{})
	} else {
		close(ln.open)
	}
}

func (ln *line) hangUp() {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	for _, c := range ln.conns {
		c.Close()
	}
	ln.conns = nil
}

func (ln *line) forward(near net.Conn) {
	ln.mu.Lock()
	ln.conns = append(ln.conns, near)
	ln.mu.Unlock()
	<-ln.passing()
	far, err := net.Dial("tcp", ln.to)
	if err != nil {
		near.Close()
		return
	}
	ln.mu.Lock()
	ln.conns = append(ln.conns, far)
	ln.mu.Unlock()
	pump := func(to, from net.Conn) {
		defer to.Close()
		buffer := make([]byte, 32<<10)
		for {
			n, err := from.Read(buffer)
			<-ln.passing()
			if n > 0 {
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				if err != io.EOF {
					from.Close()
				}
				return
			}
		}
	}
	go pump(far, near)
	pump(near, far)
}
