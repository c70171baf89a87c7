package app

import (
	"context"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"assent/internal/account"

	"github.com/emersion/go-smtp"
)

// postbox is a mail server that keeps what it takes.
type postbox struct {
	mu   sync.Mutex
	list []string
	to   string
}

func (p *postbox) NewSession(*smtp.Conn) (smtp.Session, error) { return p, nil }
func (p *postbox) Reset()                                      {}
func (p *postbox) Logout() error                               { return nil }
func (p *postbox) Mail(string, *smtp.MailOptions) error        { return nil }
func (p *postbox) Rcpt(to string, _ *smtp.RcptOptions) error   { p.to = to; return nil }
func (p *postbox) Data(r io.Reader) error {
	text, err := io.ReadAll(quotedprintable.NewReader(r))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, p.to+"\n"+string(text))
	return err
}

// waitFor polls until a letter that holds all of the parts has come.
func (p *postbox) waitFor(t *testing.T, parts ...string) string {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) { // polls a condition
		p.mu.Lock()
		for _, letter := range p.list {
			found := true
			for _, part := range parts {
				found = found && strings.Contains(letter, part)
			}
			if found {
				p.mu.Unlock()
				return letter
			}
		}
		p.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatalf("no letter with %q within a minute", parts)
		}
	}
}

var tokenInLetter = regexp.MustCompile(`/console/[a-z]+\?token=[\w-]+`)

// From a server with a mail server to the letters: confirming, forgetting, inviting.
func TestLettersOfAccounts(t *testing.T) {
	post := &postbox{}
	mailer := smtp.NewServer(post)
	mailer.Domain = "localhost"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { mailer.Serve(l); close(ended) }()
	t.Cleanup(func() { mailer.Close(); <-ended })
	ctx := context.Background()
	a, err := Start(ctx, Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", SMTPURL: "smtp://" + l.Addr().String() + "?tls=none", MailFrom: "Assent <consent@shop.example>"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	base := a.PublicURL()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	send := func(path string, status int, form url.Values) string {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, base+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept-Language", "de-AT,de;q=0.9")
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != status {
			t.Fatalf("POST %s = %d, %v\n%s", path, res.StatusCode, err, body)
		}
		return string(body)
	}
	const ann, word = "ann@shop.example", "plum kettle orbit"
	_, token, _ := strings.Cut(a.SetupURL, "?token=")
	send("/console/setup", 303, url.Values{"token": {token}, "email": {ann}, "password": {word}, "again": {word}})
	send("/console/members", 403, url.Values{"do": {"invite"}, "email": {"eve@shop.example"}, "role": {"analyst"}})
	send("/console/account/confirm", 303, nil)
	link := tokenInLetter.FindString(post.waitFor(t, ann, "/console/confirm?token=", "Adresse"))
	_, secret, _ := strings.Cut(link, "=")
	send("/console/confirm", 303, url.Values{"token": {secret}})
	if body := send("/console/members", 200, url.Values{"do": {"invite"}, "email": {"eve@shop.example"}, "role": {"analyst"}}); strings.Contains(body, "token=") || !strings.Contains(body, "unterwegs") {
		t.Error("the invitation's link is shown, though it was sent")
	}
	post.waitFor(t, "eve@shop.example", "/console/join?token=", "Content-Language: de")

	known := send("/console/forgot", 200, url.Values{"email": {ann}})
	unknown := send("/console/forgot", 200, url.Values{"email": {"nobody@shop.example"}})
	if strings.ReplaceAll(known, ann, "") != strings.ReplaceAll(unknown, "nobody@shop.example", "") {
		t.Error("the answer tells whether there is such an account")
	}
	link = tokenInLetter.FindString(post.waitFor(t, ann, "/console/setup?token="))
	_, secret, _ = strings.Cut(link, "=")
	const next = "violet anchor sunday"
	send("/console/setup", 303, url.Values{"token": {secret}, "password": {next}, "again": {next}})
	post.waitFor(t, ann, "Passwort", "geändert")
	// Another browser.
	if client.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	send("/console/sign-in", 303, url.Values{"email": {ann}, "password": {next}})
	post.waitFor(t, ann, "neuen Browser")
	if m, err := a.Accounts.MemberByEmail(ctx, ann); err != nil {
		t.Error(err)
	} else if list, err := a.Accounts.Accesses(ctx, m.ID); err != nil || list[0].Role != account.Owner {
		t.Errorf("accesses = %+v, %v", list, err)
	}
}
