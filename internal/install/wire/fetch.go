// Package wire fetches pages of a site for internal/install: of the site's own
// domains only, and from public addresses only, because who may name an address
// must not reach what stands behind the firewall.
package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"assent/internal/fault"
	"assent/internal/install"
	guarded "assent/internal/webhook/wire"
)

// Bounds of a check.
const (
	pageTime  = 8 * time.Second // for one page with its redirects
	readMost  = 1 << 20         // bytes of HTML
	maxHops   = 5
	maxURL    = 2000
	atOnce    = 4
	pagesMost = 20
)

// Checker fetches and judges.
type Checker struct {
	client  *http.Client
	private bool
	agent   string
}

// NewChecker makes a checker; private and roots are as for webhooks: with private
// it reaches addresses of private networks and other ports, too.
func NewChecker(version string, private bool, roots *x509.CertPool) *Checker {
	return &Checker{private: private, agent: "Assent/" + version + " (install check)", client: &http.Client{
		Transport: guarded.Transport(private, roots),
		// Each hop is looked at before it is followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Check looks at the page at address, and at up to more pages that it links to. The
// first report is the page's. Errors: fault.Unprocessed for an address that is none
// of the site's.
func (c *Checker) Check(ctx context.Context, address string, more int, e install.Expect) ([]install.Report, error) {
	u, err := c.parse(address, e)
	if err != nil {
		return nil, err
	}
	list := []install.Report{c.look(ctx, u, e)}
	more = min(more, pagesMost, len(list[0].Links))
	rest := make([]install.Report, more)
	var work sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for i := range more {
		work.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			link, err := c.parse(list[0].Links[i], e)
			if err != nil {
				return
			}
			rest[i] = c.look(ctx, link, e)
		})
	}
	work.Wait()
	list[0].Links = nil
	for _, r := range rest {
		r.Links = nil
		// A link may lead to a picture or a file, which has no head.
		if r.URL != "" && r.Problem != notPage {
			list = append(list, r)
		}
	}
	return list, nil
}

// parse reads an address that a person typed, and refuses what is none of the site's.
func (c *Checker) parse(address string, e install.Expect) (*url.URL, error) {
	address = strings.TrimSpace(address)
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || len(address) > maxURL || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fault.New(fault.Unprocessed, "That is no address of a page. Write it like https://shop.example/.")
	}
	if why := c.refuses(u, e); why != "" {
		return nil, fault.New(fault.Unprocessed, "%s", why)
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

// refuses says why an address is not fetched; "" when it is.
func (c *Checker) refuses(u *url.URL, e install.Expect) string {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		host = "[" + host + "]"
	}
	if !e.Owns(host) {
		return "Only pages of the site's own domains are looked at, and " + host + " is none of them. Add the domain to the site first, if it is yours."
	}
	if port := u.Port(); !c.private && port != "" && port != "80" && port != "443" {
		return "Only the usual ports are looked at, 80 and 443; serve --allow-private opens the others."
	}
	return ""
}

const notPage = "This is no HTML page."

// look fetches one page, through its redirects, and judges it.
func (c *Checker) look(ctx context.Context, u *url.URL, e install.Expect) install.Report {
	ctx, cancel := context.WithTimeout(ctx, pageTime)
	defer cancel()
	failed := func(says string) install.Report {
		return install.Report{URL: u.String(), Findings: []install.Finding{}, Hosts: []string{}, Problem: says}
	}
	for range maxHops {
		res, err := c.get(ctx, u)
		if err != nil {
			return failed(explain(err))
		}
		if res.StatusCode >= 300 && res.StatusCode < 400 {
			res.Body.Close()
			next, err := u.Parse(res.Header.Get("Location"))
			if err != nil || res.Header.Get("Location") == "" || next.User != nil || next.Scheme != "https" && next.Scheme != "http" {
				return failed("The page leads to another address that cannot be read.")
			}
			if why := c.refuses(next, e); why != "" {
				return failed("The page leads to another address. " + why)
			}
			u = next
			continue
		}
		page, problem := read(res, u)
		res.Body.Close()
		if problem != "" {
			return failed(problem)
		}
		return install.Judge(page, e)
	}
	return failed("The page leads from one address to the next and never ends.")
}

func (c *Checker) get(ctx context.Context, u *url.URL) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", c.agent)
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	return c.client.Do(r)
}

// read takes an answer's page, or says why it is none.
func read(res *http.Response, u *url.URL) (p install.Page, problem string) {
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return p, "The site does not show this page to us (" + res.Status[:3] + "): it asks for a password or keeps programs out. Look at it in your browser instead: open its source and search for the tag."
	case res.StatusCode != http.StatusOK:
		return p, "The site answered " + res.Status[:min(3, len(res.Status))] + ", so there is no page to look at."
	case media != "text/html" && media != "application/xhtml+xml" && !(media == "" && path.Ext(u.Path) == ""):
		return p, notPage
	case res.Header.Get("Content-Encoding") != "":
		return p, "The site sent the page compressed although nobody asked for that, so it was not read."
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, readMost))
	if err != nil {
		return p, "The page ended before it was whole."
	}
	return install.Page{URL: u.String(), CSP: res.Header.Values("Content-Security-Policy"), Body: string(body)}, ""
}

func explain(err error) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	_, isAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	_, isName := errors.AsType[x509.HostnameError](err)
	_, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, isTLS := errors.AsType[*tls.CertificateVerificationError](err)
	timeout, isTimeout := errors.AsType[net.Error](err)
	switch {
	case guarded.IsPrivate(err):
		return "The site's name leads into a private network, and only public addresses are looked at. With serve --allow-private it is."
	case isDNS && dns.IsNotFound:
		return "There is no host with this name yet."
	case isAuthority || isName || isInvalid || isTLS:
		return "The site's certificate is not one that this machine trusts."
	case errors.Is(err, context.DeadlineExceeded) || isTimeout && timeout.Timeout():
		return "The site did not answer in time."
	}
	return "The site cannot be reached from this server."
}
