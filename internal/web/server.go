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

// MaxConns is how many connections are open at a time. Each costs about 20 KB
// while nothing is received, so this bounds their memory to about 80 MB.
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

// Limit bounds the open connections of a listener to MaxConns. When there are
// as many, a new one takes the place of the one whose client has kept it waiting
// longest, for a request or for the rest of one: ten thousand slow clients
// cannot lock out a quick one, and a browser whose idle connection goes opens
// another.
func Limit(l net.Listener) net.Listener { return limitTo(l, MaxConns) }

func limitTo(l net.Listener, limit int) *limitedListener {
	return &limitedListener{Listener: l, places: make(chan struct{}, limit), closed: make(chan struct{})}
}

type limitedListener struct {
	net.Listener
	places chan struct{} // one for each open connection
	closed chan struct{}
	once   sync.Once

	mu            sync.Mutex
	oldest, newly *limitedConn // those that wait for their client, by how long
}

// limitedConn is an open connection; prev and next link it among those waiting.
type limitedConn struct {
	net.Conn
	listener   *limitedListener
	prev, next *limitedConn // owned by listener.mu
	waiting    bool         // owned by listener.mu
	once       sync.Once
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
			if victim := l.longest(); victim != nil {
				victim.Close()
				continue
			}
			select { // all are being answered; each ends within its time limits
			case l.places <- struct{}{}:
			case <-l.closed:
				inner.Close()
				return nil, net.ErrClosed
			}
		}
		c := &limitedConn{Conn: inner, listener: l}
		c.wait()
		return c, nil
	}
}

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// longest takes the connection that has waited longest off the list.
func (l *limitedListener) longest() *limitedConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.oldest
	if c != nil {
		c.unlink()
	}
	return c
}

// Read counts as waiting too, so that slow bodies are no better than slow
// headers: who has sent nothing for longest goes first. A read of one byte is
// net/http watching, while a handler works, whether the client is still there.
func (c *limitedConn) Read(p []byte) (int, error) {
	if len(p) <= 1 {
		return c.Conn.Read(p)
	}
	l := c.listener
	l.mu.Lock()
	body := !c.waiting
	if body {
		c.link()
	}
	l.mu.Unlock()
	n, err := c.Conn.Read(p)
	if body {
		l.mu.Lock()
		c.unlink()
		l.mu.Unlock()
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
		c.listener.mu.Lock()
		c.unlink()
		c.listener.mu.Unlock()
	}
}

func (c *limitedConn) wait() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.unlink()
	c.link()
}

// link puts c at the end of the list; the caller holds listener.mu.
func (c *limitedConn) link() {
	l := c.listener
	c.waiting, c.prev = true, l.newly
	if l.newly != nil {
		l.newly.next = c
	} else {
		l.oldest = c
	}
	l.newly = c
}

// unlink takes c off the list; the caller holds listener.mu.
func (c *limitedConn) unlink() {
	if !c.waiting {
		return
	}
	l := c.listener
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.oldest = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.newly = c.prev
	}
	c.waiting, c.prev, c.next = false, nil, nil
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.listener.mu.Lock()
		c.unlink()
		c.listener.mu.Unlock()
		<-c.listener.places
	})
	return err
}
