package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"time"

	"assent/internal/fault"
)

// Server is a mail server that takes our letters, as ParseServer reads it. The
// zero value is none.
type Server struct {
	From string // address in From and in the envelope, with or without a name

	host, port     string
	user, password string
	security       security
	roots          *x509.CertPool // nil: the system's
}

type security int

const (
	startTLS security = iota // smtp://: STARTTLS is asked for and has to be there
	implicit                 // smtps://: TLS from the first byte
	plain                    // smtp://…?tls=none: to this machine only
)

// Set tells whether there is a server.
func (s Server) Set() bool { return s.host != "" }

// ParseServer reads the address of a mail server and that of the sender:
//
//	smtp://user:password@mail.example:587    STARTTLS, which has to be there
//	smtps://user:password@mail.example:465   TLS from the first byte (RFC 8314)
//	smtp://localhost:25?tls=none             no encryption, on this machine only
//
// With ?ca=FILE the server's certificate is checked against that PEM file instead
// of the system's authorities. Both empty: no server. Errors: fault.Invalid.
func ParseServer(address0, from string) (s Server, err error) {
	if address0 == "" && from == "" {
		return Server{}, nil
	}
	if address0 == "" {
		return s, fault.New(fault.Invalid, "--mail-from is set, but no mail server. Say which with --smtp-url smtp://user:password@mail.example:587")
	}
	bad := func(why string) error {
		return fault.New(fault.Invalid, "--smtp-url cannot be used: %s. Write it like smtp://user:password@mail.example:587 (STARTTLS) or smtps://user:password@mail.example:465 (TLS); special characters in the password are percent-encoded.", why)
	}
	u, err := url.Parse(address0)
	if err != nil { // the error of url.Parse quotes the password
		return s, bad("it is no address")
	}
	s.host, s.port = u.Hostname(), u.Port()
	query := u.Query()
	switch {
	case u.Scheme == "smtps":
		s.security = implicit
	case u.Scheme != "smtp":
		return Server{}, bad("it starts with neither smtp:// nor smtps://")
	case query.Get("tls") == "none":
		s.security = plain
	case query.Get("tls") != "":
		return Server{}, bad("tls can be none only")
	}
	if s.host == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return Server{}, bad("it has to be a host and a port, and nothing after them")
	}
	if s.port == "" {
		s.port = map[security]string{startTLS: "587", implicit: "465", plain: "25"}[s.security]
	}
	if s.security == plain && !local(s.host) {
		return Server{}, bad("tls=none is for a mail server on this machine; letters hold links that let people in")
	}
	if u.User != nil {
		s.user = u.User.Username()
		s.password, _ = u.User.Password()
	}
	if file := query.Get("ca"); file != "" {
		if s.roots, err = authorities(file); err != nil {
			return Server{}, err
		}
	}
	if from == "" {
		return Server{}, fault.New(fault.Invalid, "Say from which address letters come: --mail-from 'Assent <consent@shop.example>'")
	}
	if _, err := address(from); err != nil {
		return Server{}, fault.New(fault.Invalid, "--mail-from %q is no e-mail address. Write it like 'Assent <consent@shop.example>'.", from)
	}
	s.From = from
	return s, nil
}

func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The file %s with the mail server's certificate authority cannot be read.", file)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fault.New(fault.Invalid, "The file %s holds no certificate in PEM.", file)
	}
	return pool, nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (s Server) tls() *tls.Config {
	return &tls.Config{ServerName: s.host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}
}

// send has the server take a message (RFC 5321). Errors: fault.Unprocessed when it
// refuses for good, fault.Unavailable when it may take it later. The sentences name
// no recipient: they are kept and logged.
func (s Server) send(ctx context.Context, to string, message []byte) error {
	sender, err := address(s.From)
	if err != nil {
		return err
	}
	recipient, err := address(to)
	if err != nil {
		return err
	}
	c, stop, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer stop()
	defer c.Close()
	if err := c.Mail(sender.Address); err != nil {
		return s.explain(err, "does not take letters from the address of --mail-from")
	}
	if err := c.Rcpt(recipient.Address); err != nil {
		return s.explain(err, "does not take letters to this address")
	}
	w, err := c.Data()
	if err != nil {
		return s.explain(err, "does not take the letter")
	}
	if _, err := w.Write(message); err != nil {
		return s.explain(err, "broke off while the letter was sent")
	}
	if err := w.Close(); err != nil {
		return s.explain(err, "does not take the letter")
	}
	c.Quit() // it has the letter, whatever it says now
	return nil
}

// connect opens a session that is encrypted and signed in.
func (s Server) connect(ctx context.Context) (c *smtp.Client, stop func() bool, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(s.host, s.port))
	if err != nil {
		return nil, nil, s.unreached(err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	unhook := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if err != nil {
			unhook()
			conn.Close()
		}
	}()
	session := conn
	if s.security == implicit {
		secure := tls.Client(conn, s.tls())
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, nil, s.untrusted(err)
		}
		session = secure
	}
	if c, err = smtp.NewClient(session, s.host); err != nil {
		return nil, nil, s.explain(err, "is no mail server, or does not want to talk")
	}
	name := "localhost"
	if sender, err := address(s.From); err == nil {
		_, name, _ = strings.Cut(sender.Address, "@")
	}
	if err := c.Hello(name); err != nil {
		return nil, nil, s.explain(err, "does not want to talk to us")
	}
	if s.security == startTLS {
		if has, _ := c.Extension("STARTTLS"); !has {
			return nil, nil, fault.New(fault.Unprocessed, "The mail server %s offers no STARTTLS, so letters with links would be sent readable for everybody. Use smtps:// or another port; smtp://localhost:25?tls=none is for one on this machine.", s.host)
		}
		if err := c.StartTLS(s.tls()); err != nil {
			return nil, nil, s.untrusted(err)
		}
	}
	return c, unhook, s.signIn(c)
}

func (s Server) signIn(c *smtp.Client) error {
	if s.user == "" {
		return nil
	}
	has, mechanisms := c.Extension("AUTH")
	if !has {
		return fault.New(fault.Unprocessed, "The mail server %s takes no user name and password. Leave them out of --smtp-url, or use another port.", s.host)
	}
	var auth smtp.Auth = &loginAuth{s.user, s.password}
	for mechanism := range strings.FieldsSeq(mechanisms) {
		if strings.EqualFold(mechanism, "PLAIN") {
			auth = &plainAuth{s.user, s.password}
		}
	}
	if err := c.Auth(auth); err != nil {
		return s.explain(err, "refuses the user name or the password of --smtp-url")
	}
	return nil
}

// plainAuth is smtp.PlainAuth (RFC 4616) without its own rule about encryption:
// ParseServer has one.
type plainAuth struct{ user, password string }

func (a *plainAuth) Start(*smtp.ServerInfo) (string, []byte, error) {
	return "PLAIN", []byte("\x00" + a.user + "\x00" + a.password), nil
}

func (a *plainAuth) Next(_ []byte, more bool) ([]byte, error) {
	if more {
		return nil, errors.New("the server asks for more than a name and a password")
	}
	return nil, nil
}

// loginAuth is the older LOGIN, which some servers have only.
type loginAuth struct{ user, password string }

func (a *loginAuth) Start(*smtp.ServerInfo) (string, []byte, error) { return "LOGIN", nil, nil }

func (a *loginAuth) Next(asked []byte, more bool) ([]byte, error) {
	switch {
	case !more:
		return nil, nil
	case strings.HasPrefix(strings.ToLower(string(asked)), "user"):
		return []byte(a.user), nil
	case strings.HasPrefix(strings.ToLower(string(asked)), "pass"):
		return []byte(a.password), nil
	}
	return nil, errors.New("the server asks for something else than a name and a password")
}

func (s Server) unreached(err error) error {
	why := "It does not answer"
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		why = "There is no host with this name"
	}
	return fault.Wrap(fault.Unavailable, err, "The mail server %s cannot be reached at port %s. %s. Check --smtp-url, and whether a firewall lets this machine out.", s.host, s.port, why)
}

func (s Server) untrusted(err error) error {
	sentence := "Encryption with the mail server %s failed. Check the port: 587 is for smtp://, 465 for smtps://."
	unknown, _ := errors.AsType[x509.UnknownAuthorityError](err)
	name, isName := errors.AsType[x509.HostnameError](err)
	_, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case isName && name.Certificate != nil:
		sentence = "The certificate of the mail server %s is for another name. Write the name that its certificate has."
	case unknown.Cert != nil:
		sentence = "The certificate of the mail server %s was made by an authority that this machine does not know. Name that authority's file with ?ca=FILE at the end of --smtp-url."
	case isInvalid:
		sentence = "The certificate of the mail server %s is not valid any more, or not for this use. Its operator has to renew it."
	}
	return fault.Wrap(fault.Unavailable, err, sentence, s.host)
}

// explain gives a refusal its sentence. What the server says is left out but for its
// code: it repeats addresses.
func (s Server) explain(err error, what string) error {
	if said, ok := errors.AsType[*textproto.Error](err); ok {
		kind := fault.Unavailable
		if said.Code >= 500 {
			kind = fault.Unprocessed
		}
		return fault.Wrap(kind, fmt.Errorf("SMTP %d", said.Code), "The mail server %s %s (its code is %d).", s.host, what, said.Code)
	}
	return fault.Wrap(fault.Unavailable, errors.New("the connection ended"), "The mail server %s %s: the connection ended or took too long.", s.host, what)
}
