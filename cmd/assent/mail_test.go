package main

import (
	"bytes"
	"context"
	"io"
	"mime/quotedprintable"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// letters is a mail server's session that keeps what it takes.
type letters struct {
	mu   sync.Mutex
	list []string // recipient, a line break, and the letter
	to   string
}

func (l *letters) NewSession(*smtp.Conn) (smtp.Session, error) { return l, nil }
func (l *letters) Reset()                                      {}
func (l *letters) Logout() error                               { return nil }
func (l *letters) Mail(string, *smtp.MailOptions) error        { return nil }
func (l *letters) Rcpt(to string, _ *smtp.RcptOptions) error   { l.to = to; return nil }

func (l *letters) Data(r io.Reader) error {
	text, err := io.ReadAll(quotedprintable.NewReader(r))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, l.to+"\n"+string(text))
	return err
}

// The commands that send letters, against a real server on this machine.
func TestLettersOfCommands(t *testing.T) {
	post := &letters{}
	s := smtp.NewServer(post)
	s.Domain = "localhost"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { s.Serve(l); close(ended) }()
	t.Cleanup(func() { s.Close(); <-ended })
	t.Setenv("ASSENT_SMTP_URL", "smtp://"+l.Addr().String()+"?tls=none")
	t.Setenv("ASSENT_MAIL_FROM", "Assent <consent@shop.example>")
	t.Setenv("ASSENT_DATA", t.TempDir())
	t.Setenv("ASSENT_PUBLIC_URL", "https://consent.example")
	for _, c := range []struct {
		args []string
		want string // part of the letter
	}{
		{[]string{"mail", "test", "--to", "ann@shop.example", "--language", "da"}, "consent.example"},
		{[]string{"user", "add", "--email", "ann@shop.example", "--name", "Ann", "--send", "--language", "de"}, "https://consent.example/console/setup?token="},
		{[]string{"user", "reset", "Ann@shop.example", "--send"}, "https://consent.example/console/setup?token="},
	} {
		var out, said bytes.Buffer
		if code := run(context.Background(), c.args, streams{strings.NewReader(""), &out, &said}); code != 0 {
			t.Fatalf("%v: exit %d\n%s", c.args, code, said.String())
		}
		post.mu.Lock()
		last := post.list[len(post.list)-1]
		post.mu.Unlock()
		if !strings.HasPrefix(last, "ann@shop.example\n") || !strings.Contains(last, c.want) || strings.Contains(out.String()+said.String(), "token=") {
			t.Errorf("%v: %s%s\n%s", c.args, out.String(), said.String(), last)
		}
	}
	if len(post.list) != 3 {
		t.Errorf("%d letters", len(post.list))
	}
}
