package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"assent/gate"
	"assent/internal/fault"
)

// gateGrace is how long open requests may take to end.
const gateGrace = 10 * time.Second

func runGate(ctx context.Context, c *call) error {
	site := c.flags.String("site", "", "site key")
	server := c.flags.String("server", "http://localhost:8080", "where this machine reaches the Assent server: scheme and host")
	upstream := c.flags.String("upstream", "", "the website behind the gate, for example http://127.0.0.1:3000")
	listen := c.flags.String("listen", ":8081", "address and port to listen on")
	cache := c.flags.String("cache", "", "file for the last good copy of what the server said; used when it is away at the next start")
	proxies := c.flags.StringSlice("trust-proxy", nil, "network of a reverse proxy whose X-Forwarded-... is believed, for example 10.0.0.0/8; repeat for more")
	country := c.flags.String("country-header", "", "header in which those proxies say the visitor's country, for example CF-IPCountry; without it the address tells")
	geoip := c.flags.String("geoip", "", "country database in MMDB format; default: the built-in table")
	front := c.flags.String("for", "", "with config: nginx or caddy")
	if err := c.parse(-1); err != nil {
		return err
	}
	trust, err := networks(*proxies)
	if err != nil {
		return err
	}
	config := gate.Config{Server: *server, Site: *site, CacheFile: *cache, TrustProxies: trust, CountryHeader: *country, GeoIP: *geoip}
	switch {
	case c.flags.NArg() == 1 && c.flags.Arg(0) == "config":
		text, err := gate.Front{Program: *front, Upstream: *upstream, Listen: *listen}.Config(ctx, config)
		if err == nil {
			_, err = io.WriteString(c.out, text)
		}
		return err
	case c.flags.NArg() != 0:
		return fault.New(fault.Invalid, "usage: assent gate [config] [flags]; assent gate --help shows them")
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(c.err, nil)))
	proxy, err := gate.Proxy(*upstream, trust, slog.Default())
	if err != nil {
		return err
	}
	g, err := gate.New(config)
	if err != nil {
		return err
	}
	defer g.Close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-g.Unknown():
			stop(fault.New(fault.NotFound, "The Assent server at %s has no site %q. assent site list shows the keys; without --site the gate cannot know what to let through.", *server, *site))
		case <-ctx.Done():
		}
	}()
	return serveGate(ctx, c.err, *listen, *upstream, g.Wrap(proxy))
}

func serveGate(ctx context.Context, out io.Writer, listen, upstream string, h http.Handler) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "Cannot listen on %q: is another program there? Give another --listen, like 127.0.0.1:8081.", listen)
	}
	// No limit on whole requests: uploads, streams and sockets are the website's.
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: log.New(io.Discard, "", 0)} // net/http names clients there
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Fprintf(out, "The gate listens on %s, the website behind it is %s\n", listener.Addr(), upstream)
	select {
	case <-ctx.Done():
	case err := <-failed:
		return err
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), gateGrace)
	defer cancel()
	err = server.Shutdown(end)
	if errors.Is(err, context.DeadlineExceeded) { // streams that go on by themselves
		err = server.Close()
	}
	if why, ok := errors.AsType[*fault.Error](context.Cause(ctx)); ok && err == nil {
		err = why
	}
	return err
}

func networks(list []string) ([]netip.Prefix, error) {
	var found []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return nil, fault.New(fault.Invalid, "--trust-proxy %q is not a network. Write it like 10.0.0.0/8.", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		found = append(found, p.Masked())
	}
	return found, nil
}
