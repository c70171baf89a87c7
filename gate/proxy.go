package gate

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/internal/web"
)

// Proxy returns a reverse proxy to upstream, to be wrapped by a gate: it streams,
// keeps the visitor's Host, tells the website who asked (X-Forwarded-For, -Host,
// -Proto, believing those of trusted proxies only), and passes upgrades on.
// upstream is scheme and host, and maybe a path that goes before every other.
func Proxy(upstream string, trust []netip.Prefix, logger *slog.Logger) (http.Handler, error) {
	u, err := url.Parse(upstream)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fault.New(fault.Invalid, "The upstream %q is not usable. Write the address of the website behind the gate, like http://127.0.0.1:3000.", upstream)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(u)
			p.Out.Host = p.In.Host
			if !web.Trusted(p.In, trust) {
				p.SetXForwarded()
				return
			}
			proto := p.In.Header.Get("X-Forwarded-Proto")
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.SetXForwarded()
			if proto != "" {
				p.Out.Header.Set("X-Forwarded-Proto", proto)
			}
		},
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 256,
			IdleConnTimeout:     60 * time.Second,
			DisableCompression:  true, // the visitor's codings are the visitor's
			ForceAttemptHTTP2:   true,
		},
		FlushInterval: -1, // the gate decides nothing about when a page's parts arrive
		ErrorLog:      log.New(proxyLog{logger}, "", 0),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, context.Canceled) {
				return // nobody is there any more
			}
			if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
				http.Error(w, fmt.Sprintf("The request is longer than %d bytes.", e.Limit), http.StatusRequestEntityTooLarge)
				return
			}
			logger.Error("the website behind the gate does not answer", "upstream", u.Host, "error", withoutAddress(err))
			http.Error(w, "The website does not answer just now. Try again in a moment.", http.StatusBadGateway)
		},
	}, nil
}

// withoutAddress is the cause of an error of net, whose text may name the client.
func withoutAddress(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}

// proxyLog passes on what the proxy says about itself, first line only and
// without addresses.
type proxyLog struct{ logger *slog.Logger }

var addresses = regexp.MustCompile(`\[[0-9A-Fa-f:.%a-z]+\](:\d+)?|\d{1,3}(\.\d{1,3}){3}(:\d+)?|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]+`)

func (l proxyLog) Write(line []byte) (int, error) {
	first, _, _ := strings.Cut(strings.TrimSpace(string(line)), "\n")
	l.logger.Warn("proxy", "message", addresses.ReplaceAllString(first, "-"))
	return len(line), nil
}
