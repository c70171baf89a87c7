// Package demo is a sample shop with four third parties, each on an origin of
// its own on this machine, written to behave as real ones do: cookies, storage,
// beacons, pixels, an embed. A panel in the shop shows live what each of them
// received. It needs nothing of Assent to run: without a tag everything leaks,
// and the panel says so.
package demo

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"assent/internal/fault"
)

// Options say where the demo listens and what stands first in the shop's head.
type Options struct {
	// Tag is the HTML that a site's owner pastes, or "" for a shop that asks nobody.
	Tag string
	// Port is the shop's port, 8090 when 0. The third parties take the ports
	// after it; a port that is taken is passed over.
	Port int
}

// Hosts are the third parties as the browser knows them, "127.0.0.1:port". The
// shop is on localhost: another host, so the browser treats them as foreign.
type Hosts struct{ Analytics, Advertising, Video, Fonts string }

// Demo is a running shop with its third parties.
type Demo struct {
	ShopURL string // http://localhost:port/, to open in a browser
	Hosts   Hosts

	tag     atomic.Value // template.HTML
	journal *journal
	servers []*http.Server
	stop    context.CancelFunc // ends the panels' streams
	serving sync.WaitGroup
}

// How many ports are tried for one listener before giving up.
const portsTried = 200

// Start opens the shop and its third parties on loopback. The demo runs until
// Close, or until ctx is done.
func Start(ctx context.Context, o Options) (*Demo, error) {
	if o.Port == 0 {
		o.Port = 8090
	}
	ctx, stop := context.WithCancel(ctx)
	d := &Demo{journal: newJournal(), stop: stop}
	d.SetTag(o.Tag)
	if err := d.open(ctx, o.Port); err != nil {
		d.Close(ctx)
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		for _, s := range d.servers {
			s.Close()
		}
	})
	return d, nil
}

// SetTag replaces the HTML that stands first in the head of the shop's pages.
func (d *Demo) SetTag(html string) { d.tag.Store(template.HTML(html)) }

// LeakURL is the shop without its tag: what everybody received before there was
// a choice.
func (d *Demo) LeakURL() string { return d.ShopURL + "?without=1" }

// Close ends all listeners and the panels' streams, and waits for them.
func (d *Demo) Close(ctx context.Context) error {
	d.stop()
	var failed error
	for _, s := range d.servers {
		if err := s.Shutdown(ctx); err != nil {
			s.Close()
			failed = errors.Join(failed, err)
		}
	}
	d.serving.Wait()
	return failed
}

func (d *Demo) open(ctx context.Context, port int) error {
	shop, err := listenBothFamilies(port)
	if err != nil {
		return err
	}
	at := portOf(shop[0])
	d.ShopURL = "http://localhost:" + strconv.Itoa(at) + "/"
	for _, p := range []struct {
		host  *string
		party party
	}{
		{&d.Hosts.Analytics, analytics()},
		{&d.Hosts.Advertising, advertising()},
		{&d.Hosts.Video, video()},
		{&d.Hosts.Fonts, fonts()},
	} {
		l, err := listen(at + 1)
		if err != nil {
			for _, s := range shop {
				s.Close()
			}
			return err
		}
		at = portOf(l)
		*p.host = l.Addr().String()
		d.serve(ctx, d.journal.watch(p.party), l)
	}
	handler, err := d.shop()
	if err != nil {
		return err
	}
	d.serve(ctx, handler, shop...)
	return nil
}

func (d *Demo) serve(ctx context.Context, h http.Handler, listeners ...net.Listener) {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	d.servers = append(d.servers, s)
	for _, l := range listeners {
		d.serving.Go(func() { s.Serve(l) })
	}
}

// listenBothFamilies opens a port for the name localhost, which is ::1 for some
// browsers and 127.0.0.1 for others. A port on which either is another program's
// is passed over, because a browser could end up there.
func listenBothFamilies(port int) ([]net.Listener, error) {
	for last := port + portsTried; port < last; port++ {
		four, err := listen(port)
		if err != nil {
			return nil, err
		}
		port = portOf(four)
		six, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
		if err == nil {
			return []net.Listener{four, six}, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) { // a machine without IPv6
			return []net.Listener{four}, nil
		}
		four.Close()
	}
	return nil, noPort(port, nil)
}

// listen opens the first free port from the given one on.
func listen(port int) (net.Listener, error) {
	var err error
	for p := port; p < port+portsTried && p <= 65535; p++ {
		var l net.Listener
		if l, err = net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(p))); err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			break
		}
	}
	return nil, noPort(port, err)
}

func noPort(port int, cause error) error {
	return fault.Wrap(fault.Unavailable, cause,
		"The demo found no free port on 127.0.0.1 from %d on. End a program that uses one of them, or choose another port.", port)
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// origin is the address of a third party for the shop's templates.
func origin(host string) string { return fmt.Sprintf("http://%s", host) }
