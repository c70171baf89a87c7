// Package wire sends webhook messages over HTTP, and to public addresses only: who
// may write an address into a form must not reach what stands behind the firewall.
package wire

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"assent/internal/fault"
	"assent/internal/webhook"
)

// Sender sends messages.
type Sender struct {
	client  *http.Client
	private bool
	agent   string
}

const (
	answerTime = 15 * time.Second // for the whole of an attempt
	readMost   = 4 << 10          // of an answer's body, which tells nothing
	maxURL     = 2000
)

// NewSender makes a sender. With private it reaches private addresses, and plain
// http, too. Roots are the authorities that receivers' certificates are checked
// against; nil: the system's.
func NewSender(version string, private bool, roots *x509.CertPool) *Sender {
	s := &Sender{private: private, agent: "Assent/" + version}
	s.client = &http.Client{
		Timeout:       answerTime,
		Transport:     Transport(private, roots),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// CheckURL says what is wrong with an endpoint's address. Where its name leads is
// looked at each time when a message is sent. Errors: fault.Unprocessed.
func (s *Sender) CheckURL(text string) error {
	bad := func(why string) error {
		return fault.New(fault.Unprocessed, "That address cannot be told anything: %s. Write it like https://shop.example/hooks/consent.", why)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "" || len(text) > maxURL || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return bad("it is no address")
	case u.Scheme != "https" && !(s.private && u.Scheme == "http"):
		return bad("it does not start with https://")
	case u.User != nil:
		return bad("it holds a user name; the receiver knows us by the signature")
	case u.Fragment != "":
		return bad("what follows the # is never sent")
	}
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	a, err := netip.ParseAddr(name)
	if !s.private && (err == nil && !public(a) || name == "localhost" || strings.HasSuffix(name, ".localhost")) {
		return errPrivate
	}
	// 2130706433 and 0x7f.1 are addresses to some programs and names to others (WHATWG
	// URL, "ends in a number").
	if last := name[strings.LastIndexByte(name, '.')+1:]; err != nil && (strings.HasPrefix(last, "0x") || strings.Trim(last, "0123456789") == "") {
		return bad("its host is a number")
	}
	return nil
}

// Send posts a message. It returns the status of the answer, 0 where there was
// none, and how long the receiver asks to wait. Only a status from 200 to 299 has no
// error; a redirect is not followed. Sentences name no part of the answer.
func (s *Sender) Send(ctx context.Context, m webhook.Message) (status int, after time.Duration, err error) {
	if err := s.CheckURL(m.URL); err != nil { // the setting may be stricter by now
		return 0, 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return 0, 0, fault.Wrap(fault.Unprocessed, err, "The endpoint's address cannot be used.")
	}
	h := r.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", s.agent)
	h["webhook-id"] = []string{m.ID}
	h["webhook-timestamp"] = []string{strconv.FormatInt(m.Timestamp.Unix(), 10)}
	h["webhook-signature"] = []string{m.Signature}
	res, err := s.client.Do(r)
	if err != nil {
		return 0, 0, explain(err)
	}
	defer res.Body.Close()
	io.CopyN(io.Discard, res.Body, readMost) // so that the connection can be used again
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return res.StatusCode, 0, nil
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return res.StatusCode, 0, fault.New(fault.Unavailable, "The receiver answered %d and sends us to another address, which is not followed. Enter the address that it means.", res.StatusCode)
	}
	return res.StatusCode, retryAfter(res.Header.Get("Retry-After")), fault.New(fault.Unavailable, "The receiver answered %d.", res.StatusCode)
}

// retryAfter reads seconds, up to a day; dates are left alone.
func retryAfter(text string) time.Duration {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, 24*time.Hour)
}

func explain(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok { // errPrivate, from the dialer
		return e
	}
	sentence := "The receiver cannot be reached."
	dns, isDNS := errors.AsType[*net.DNSError](err)
	_, isAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	_, isName := errors.AsType[x509.HostnameError](err)
	_, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	timeout, isTimeout := errors.AsType[net.Error](err)
	switch {
	case isDNS && dns.IsNotFound:
		sentence = "There is no host with the receiver's name."
	case isAuthority || isName || isInvalid:
		sentence = "The receiver's certificate is not one that this machine trusts."
	case errors.Is(err, syscall.ECONNREFUSED):
		sentence = "The receiver refuses connections."
	case errors.Is(err, context.DeadlineExceeded) || isTimeout && timeout.Timeout():
		sentence = "The receiver did not answer in time."
	}
	return fault.Wrap(fault.Unavailable, err, "%s", sentence)
}
