package web

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Time limits of a connection. A decision is a few hundred bytes and a script a
// few kilobytes, so a client that needs longer is broken or means harm.
const (
	headerTime = 5 * time.Second
	readTime   = 15 * time.Second // header and body
	writeTime  = 60 * time.Second // long downloads extend it with http.ResponseController
	idleTime   = 60 * time.Second
	maxHeader  = 32 << 10
)

// MaxConns is how many connections are open at a time when nothing else is said.
// Each costs about 20 KB while nothing is received, so this bounds their memory to
// about 80 MB.
const MaxConns = 4096

// NewServer makes a server with limits on time and size. Its own messages reach
// the log without the addresses that net/http puts in them. Give Serve a
// listener made by Limit.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(quietLog{}, "", 0),
		ConnState: func(c net.Conn, s http.ConnState) {
			if l, ok := c.(*limitedConn); ok {
				l.changed(s)
			}
		},
	}
}

// Shutdown lets open requests end within grace and closes what is left.
func Shutdown(s *http.Server, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := s.Shutdown(ctx)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// quietLog passes net/http's messages on without addresses of clients.
type quietLog struct{}

var addressPattern = regexp.MustCompile(`\[[0-9A-Fa-f:.%a-z]+\](:\d+)?|\d{1,3}(\.\d{1,3}){3}(:\d+)?|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]+`)

func (quietLog) Write(line []byte) (int, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(string(line)), "\n") // the rest is a stack
	slog.Warn("http server", "message", addressPattern.ReplaceAllString(first, "-"))
	return len(line), nil
}

// Limit bounds the open connections of a listener to MaxConns.
func Limit(l net.Listener) net.Listener { return LimitTo(l, MaxConns) }

// LimitTo bounds the open connections of a listener. When there are as many, a new
// one takes the place of the one whose client has kept it waiting longest, for a
// request, for the rest of one, or with an answer that it does not read: ten thousand slow clients cannot lock out a quick one, and a browser whose
// idle connection goes opens another.
func LimitTo(l net.Listener, limit int) net.Listener { return limitTo(l, max(1, limit), patience) }

// patience is how long a client may let one write of an answer stand before its
// place may be given away; a working network needs milliseconds.
const patience = 2 * time.Second

// lookAgain is how often a connection that found no place looks whether one of
// the others waits for its client now.
const lookAgain = 100 * time.Millisecond

func limitTo(l net.Listener, limit int, patience time.Duration) *limitedListener {
	return &limitedListener{Listener: l, places: make(chan struct{}, limit), closed: make(chan struct{}), patience: patience,
		start: time.Now(), open: map[*limitedConn]struct{}{}}
}

type limitedListener struct {
	net.Listener
	places   chan struct{} // one for each open connection
	closed   chan struct{}
	once     sync.Once
	patience time.Duration
	start    time.Time // from which waiting is counted

	mu   sync.Mutex
	open map[*limitedConn]struct{}
}

// limitedConn is an open connection. It notes when it began to wait for its client
// without taking any lock, because that happens several times a request; whoever
// looks for the longest wait, which is rare, looks at all of them.
type limitedConn struct {
	net.Conn
	listener *limitedListener
	since    atomic.Int64 // nanoseconds after listener.start when it began to wait, negative if for what is written to be taken; 0 while it does not wait
	once     sync.Once
}

func (l *limitedListener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for {
		select {
		case l.places <- struct{}{}:
		default:
			if l.dropLongest() {
				continue
			}
			select { // all are being answered; each ends within its time limits
			case l.places <- struct{}{}:
			case <-time.After(lookAgain):
				continue
			case <-l.closed:
				inner.Close()
				return nil, net.ErrClosed
			}
		}
		c := &limitedConn{Conn: inner, listener: l}
		c.wait()
		l.mu.Lock()
		l.open[c] = struct{}{}
		l.mu.Unlock()
		return c, nil
	}
}

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// dropLongest closes the connection that has waited longest, if any does.
func (l *limitedListener) dropLongest() bool {
	var longest *limitedConn
	var most time.Duration
	var unread bool
	l.mu.Lock()
	now := l.now()
	for c := range l.open {
		since := c.since.Load()
		waited, taking := time.Duration(now-since), false
		if since < 0 {
			waited, taking = time.Duration(now+since), true
		}
		if since != 0 && waited >= most && (!taking || waited >= l.patience) {
			longest, most, unread = c, waited, taking
		}
	}
	if longest != nil {
		delete(l.open, longest)
	}
	l.mu.Unlock()
	if longest == nil {
		return false
	}
	if tcp, ok := longest.Conn.(*net.TCPConn); ok && unread {
		tcp.SetLinger(0) // else the system keeps what was not read, and tries for minutes
	}
	longest.Close()
	return true
}

// now is the time on the listener's clock, never 0.
func (l *limitedListener) now() int64 { return int64(time.Since(l.start)) + 1 }

// Read counts as waiting too, so that slow bodies are no better than slow
// headers: who has sent nothing for longest goes first. A read of one byte is
// net/http watching, while a handler works, whether the client is still there.
func (c *limitedConn) Read(p []byte) (int, error) {
	if len(p) <= 1 {
		return c.Conn.Read(p)
	}
	mine := c.since.CompareAndSwap(0, c.listener.now())
	n, err := c.Conn.Read(p)
	if mine {
		c.since.Store(0)
	}
	return n, err
}

// Write waits for a client that does not read, once the system's buffers are full.
func (c *limitedConn) Write(p []byte) (int, error) {
	mine := c.since.CompareAndSwap(0, -c.listener.now())
	n, err := c.Conn.Write(p)
	if mine {
		c.since.Store(0)
	}
	return n, err
}

// changed follows the server: a connection waits until the whole header of its
// first or next request is there.
func (c *limitedConn) changed(s http.ConnState) {
	switch s {
	case http.StateIdle:
		c.wait()
	case http.StateActive, http.StateHijacked:
		c.since.Store(0)
	}
}

func (c *limitedConn) wait() { c.since.Store(c.listener.now()) }

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.listener.mu.Lock()
		delete(c.listener.open, c)
		c.listener.mu.Unlock()
		<-c.listener.places
	})
	return err
}
