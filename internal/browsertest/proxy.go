package browsertest

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
)

// proxy is an HTTP proxy that takes every host name for 127.0.0.1, for engines
// whose own name look-up cannot be told so.
type proxy struct {
	listener net.Listener
	server   *http.Server
}

func startProxy() (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		Transport:     &http.Transport{DialContext: dialHere},
		FlushInterval: -1, // streams are passed on as they come
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	p := &proxy{listener: l, server: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			tunnel(w, r)
			return
		}
		forward.ServeHTTP(w, r)
	}), ErrorLog: log.New(io.Discard, "", 0)}}
	go p.server.Serve(l)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) close() { p.server.Close() }

func dialHere(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}

// tunnel answers CONNECT, which WebSockets use.
func tunnel(w http.ResponseWriter, r *http.Request) {
	there, err := dialHere(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	var both sync.WaitGroup
	both.Go(func() { io.Copy(there, buffered); there.Close() })
	both.Go(func() { io.Copy(here, there); here.Close() })
	both.Wait()
}
