package mail

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// post is a real mail server on this machine that keeps what it takes.
type post struct {
	addr string // host and port
	ca   string // file with its authority's certificate

	mu      sync.Mutex
	letters []taken
	refuse  error // what RCPT is answered with; nil: taken
}

type taken struct{ from, to, data, user string }

const (
	postUser     = "assent"
	postPassword = "p@ss/wörd"
)

// options say how a server behaves.
type options struct {
	plain    bool // neither STARTTLS nor TLS
	implicit bool // TLS from the first byte
	auth     bool // a name and a password have to be given
	login    bool // by LOGIN only
	name     string
}

func newPost(t *testing.T, o options) *post {
	t.Helper()
	p := &post{}
	certificate, ca := newCertificate(t, o.name)
	p.ca = ca
	s := smtp.NewServer(&backend{p, o})
	s.Domain, s.AllowInsecureAuth, s.EnableSMTPUTF8 = "localhost", true, true
	if !o.plain {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1)
	if o.implicit {
		l = tls.NewListener(l, s.TLSConfig)
	}
	ended := make(chan struct{})
	go func() { s.Serve(l); close(ended) }()
	t.Cleanup(func() { s.Close(); <-ended })
	return p
}

func (p *post) taken() []taken {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]taken(nil), p.letters...)
}

func (p *post) setRefuse(err error) { p.mu.Lock(); defer p.mu.Unlock(); p.refuse = err }

func newCertificate(t *testing.T, name string) (tls.Certificate, string) {
	t.Helper()
	if name == "" {
		name = "localhost"
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

type backend struct {
	post    *post
	options options
}

func (b *backend) NewSession(*smtp.Conn) (smtp.Session, error) {
	if b.options.auth || b.options.login {
		return &authSession{session{backend: b}}, nil
	}
	return &session{backend: b}, nil
}

type session struct {
	*backend
	letter taken
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.letter.from = from; return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.letter.to = to
	return s.post.refuse
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.letter.data = string(data)
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.post.letters = append(s.post.letters, s.letter)
	return nil
}

type authSession struct{ session }

func (s *authSession) AuthMechanisms() []string {
	if s.options.login {
		return []string{sasl.Login}
	}
	return []string{sasl.Plain}
}

func (s *authSession) Auth(string) (sasl.Server, error) {
	check := func(user, password string) error {
		if user != postUser || password != postPassword {
			return errors.New("wrong")
		}
		s.letter.user = user
		return nil
	}
	if s.options.login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

func (s *authSession) Mail(from string, o *smtp.MailOptions) error {
	if s.letter.user == "" {
		return smtp.ErrAuthRequired
	}
	return s.session.Mail(from, o)
}

// loginServer is the server's half of LOGIN.
type loginServer struct {
	check func(user, password string) error
	user  string
	step  int
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}
