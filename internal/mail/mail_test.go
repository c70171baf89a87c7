package mail

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/internal/jobs"

	"github.com/emersion/go-smtp"
	"golang.org/x/net/html"
)

const (
	from = "Assent Ümlaut <consent@shop.example>"
	ann  = "ann@shop.example"
	link = "https://consent.example/console/setup?token=a-b_c&x=1"
)

var at = time.Date(2026, 11, 30, 18, 0, 0, 0, time.UTC)

var credentials = url.UserPassword(postUser, postPassword).String()

// read is a letter as a mail program reads it.
type read struct {
	header     mail.Header
	subject    string
	text, html string
}

func readLetter(t testing.TB, message string) read {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(message))
	if err != nil {
		t.Fatalf("%v\n%s", err, message)
	}
	r := read{header: m.Header}
	if r.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	media, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || media != "multipart/alternative" {
		t.Fatalf("the letter is %s, %v", media, err)
	}
	parts := multipart.NewReader(m.Body, parameters["boundary"])
	for _, want := range []string{"text/plain; charset=utf-8", "text/html; charset=utf-8"} {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p)
		if err != nil || p.Header.Get("Content-Type") != want {
			t.Fatalf("part %s, want %s, %v", p.Header.Get("Content-Type"), want, err)
		}
		r.text, r.html = r.html, string(body) // the text first, then the HTML
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Fatalf("there is a third part, %v", err)
	}
	return r
}

func TestEveryLanguageHasEveryLetter(t *testing.T) {
	want := []string{"da", "de", "en", "et", "fi", "fr"}
	var got []string
	for lang := range texts() {
		got = append(got, lang)
	}
	if sort.Strings(got); !slices.Equal(got, want) {
		t.Fatalf("languages %v, want %v", got, want)
	}
	data := Data{Name: "Ann Ähren", By: "Bob", Place: "Shop AS", Link: link}
	for lang, kinds := range texts() {
		for kind, english := range texts()["en"] {
			w := kinds[kind]
			if len(w.Lines) != len(english.Lines) || len(w.After) != len(english.After) || (w.Button == "") != (english.Button == "") || w.Subject == "" {
				t.Errorf("%s, %s: not the same lines as in English", lang, kind)
			}
			message, err := compose(from, kind, ann, lang, data, at, "id")
			if err != nil {
				t.Fatal(lang, kind, err)
			}
			r := readLetter(t, string(message))
			if strings.ContainsAny(r.subject+r.text, "{}") || !strings.Contains(r.subject, "Shop AS") || r.header.Get("Content-Language") != lang {
				t.Errorf("%s, %s: subject %q, text\n%s", lang, kind, r.subject, r.text)
			}
			if english.Button != "" && (!strings.Contains(r.text, link+"\r\n") || !strings.Contains(r.text, isolate+"Ann Ähren"+popIsolate)) {
				t.Errorf("%s, %s: the text lacks the link or the name\n%s", lang, kind, r.text)
			}
			if english.Button != "" && linkOf(t, r.html) != link {
				t.Errorf("%s, %s: the HTML leads to %q", lang, kind, linkOf(t, r.html))
			}
		}
	}
}

// linkOf is where the first link of a page leads.
func linkOf(t testing.TB, page string) string {
	t.Helper()
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken:
			token := z.Token()
			for _, a := range token.Attr {
				if token.Data == "a" && a.Key == "href" {
					return a.Val
				}
			}
		}
	}
}

func TestHeadersAreOurs(t *testing.T) {
	message, err := compose(from, Reset, ann, "de-AT", Data{Link: link}, at, "one")
	if err != nil {
		t.Fatal(err)
	}
	r := readLetter(t, string(message))
	sender, err := r.header.AddressList("From")
	if err != nil || sender[0].Name != "Assent Ümlaut" || sender[0].Address != "consent@shop.example" {
		t.Errorf("from %v, %v", sender, err)
	}
	if r.header.Get("To") != "<"+ann+">" || r.header.Get("Auto-Submitted") != "auto-generated" || r.subject != "Ein neues Passwort für Assent" {
		t.Errorf("headers %v, subject %q", r.header, r.subject)
	}
	again, err := compose(from, Reset, ann, "de-AT", Data{Link: link}, at, "one")
	if err != nil || string(again) != string(message) {
		t.Errorf("the same letter is another one the second time: %v", err)
	}
}

// headers are all that a letter may have.
var headers = []string{"Auto-Submitted", "Content-Language", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}

func checkHostile(t *testing.T, to, name, by, place, target string) {
	message, err := compose(from, Invitation, to, "en", Data{Name: name, By: by, Place: place, Link: target}, at, "id")
	if err != nil {
		if fault.KindOf(err) != fault.Unprocessed {
			t.Errorf("%q: %v", to, err)
		}
		return
	}
	r := readLetter(t, string(message))
	var got []string
	for name, values := range r.header {
		got = append(got, name)
		if len(values) != 1 {
			t.Errorf("header %s is there %d times", name, len(values))
		}
	}
	if sort.Strings(got); !slices.Equal(got, headers) {
		t.Errorf("headers %v", got)
	}
	if list, err := r.header.AddressList("To"); err != nil || len(list) != 1 {
		t.Errorf("to %q: recipients %v, %v", to, list, err)
	}
	for line := range strings.SplitSeq(string(message), "\n") {
		if len(line) > 999 { // RFC 5322, 2.1.1
			t.Errorf("a line of %d bytes", len(line))
		}
		if line != "" && !strings.HasSuffix(line, "\r") {
			t.Errorf("a line that ends without CR: %q", line)
		}
	}
	for z := html.NewTokenizer(strings.NewReader(r.html)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		if token := z.Token(); kind == html.StartTagToken && (token.Data == "script" || token.Data == "img" || token.Data == "b") {
			t.Errorf("the HTML has an element %s of the data", token.Data)
		}
	}
	if u, err := url.Parse(linkOf(t, r.html)); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		t.Errorf("the link leads to %q", linkOf(t, r.html))
	}
}

func TestNothingTypedBecomesAHeaderOrAnElement(t *testing.T) {
	hostile := []string{"x\r\nBcc: eve@evil.example", "x\nSubject: y", "x\r\n\r\n<script>alert(1)</script>", "<b>x</b><img src=x>", "\u2028Bcc: e", "a\x00b",
		"\u202eevil", strings.Repeat("ü", 3000), "{by}{link}", `"><script>`, "=?utf-8?q?=0D=0ABcc:_e?=", "\xff\xfe"}
	for _, h := range hostile {
		checkHostile(t, ann, h, h, h, link)
		checkHostile(t, h, "Ann", "Bob", "Shop", link)
		checkHostile(t, ann, "Ann", "Bob", "Shop", h)
	}
	for _, to := range []string{"ann@shop.example\r\nRCPT TO:<eve@evil.example>", "ann@shop.example, eve@evil.example", "<a@b>\r\nBcc: x@y", "a b@shop.example", ""} {
		if _, err := compose(from, Invitation, to, "en", Data{Link: link}, at, "id"); fault.KindOf(err) != fault.Unprocessed {
			t.Errorf("%q was taken for an address: %v", to, err)
		}
	}
	for _, target := range []string{"javascript:alert(1)", "https://", "https://a@b/", "//evil.example", "https://x/\r\ny", "ftp://x/", `https://x"y/`, "https://x/<b>"} {
		if _, err := compose(from, Invitation, ann, "en", Data{Link: target}, at, "id"); fault.KindOf(err) != fault.Unprocessed {
			t.Errorf("%q was taken for a link: %v", target, err)
		}
	}
}

func FuzzCompose(f *testing.F) {
	f.Add(ann, "Ann", "Bob", "Shop", link)
	f.Add("x@y\r\nBcc: z", "a\r\nb", "<script>", "\u202e", "javascript:1")
	f.Fuzz(func(t *testing.T, to, name, by, place, target string) { checkHostile(t, to, name, by, place, target) })
}

func TestServersThatAreReal(t *testing.T) {
	for _, c := range []struct {
		name    string
		options options
		url     string // ADDR and CA are put in
		user    string
		wrong   string // part of the sentence; "" for success
	}{
		{"STARTTLS", options{}, "smtp://ADDR?ca=CA", "", ""},
		{"STARTTLS and PLAIN", options{auth: true}, "smtp://USER@ADDR?ca=CA", postUser, ""},
		{"STARTTLS and LOGIN", options{login: true}, "smtp://USER@ADDR?ca=CA", postUser, ""},
		{"TLS and PLAIN", options{auth: true, implicit: true}, "smtps://USER@ADDR?ca=CA", postUser, ""},
		{"none, on this machine", options{plain: true}, "smtp://ADDR?tls=none", "", ""},
		{"no STARTTLS", options{plain: true}, "smtp://ADDR", "", "offers no STARTTLS"},
		{"unknown authority", options{}, "smtp://ADDR", "", "an authority that this machine does not know"},
		{"another's certificate", options{name: "mail.other.example"}, "smtp://ADDR?ca=CA", "", "is for another name"},
		{"wrong password", options{auth: true}, "smtp://assent:wrong@ADDR?ca=CA", "", "refuses the user name or the password"},
		{"password missing", options{auth: true}, "smtp://ADDR?ca=CA", "", "does not take letters from"},
		{"password nobody wants", options{}, "smtp://USER@ADDR?ca=CA", "", "takes no user name"},
		{"TLS where none is", options{plain: true}, "smtps://ADDR", "", "Encryption with the mail server localhost failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPost(t, c.options)
			s, err := ParseServer(strings.NewReplacer("ADDR", p.addr, "CA", url.QueryEscape(p.ca), "USER", credentials).Replace(c.url), from)
			if err != nil {
				t.Fatal(err)
			}
			err = SendNow(context.Background(), s, Test, ann, "fi", Data{Place: "consent.example"}, at, "id")
			if c.wrong != "" {
				if err == nil || !strings.Contains(fault.Message(err), c.wrong) || strings.Contains(err.Error(), postPassword) {
					t.Fatalf("%v, want a sentence with %q", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			list := p.taken()
			if len(list) != 1 || list[0].from != "consent@shop.example" || list[0].to != ann || list[0].user != c.user {
				t.Fatalf("taken %+v", list)
			}
			if r := readLetter(t, list[0].data); r.subject != "Kokeilu: consent.example" {
				t.Errorf("subject %q", r.subject)
			}
		})
	}
}

func TestRefusalsNameNobody(t *testing.T) {
	p := newPost(t, options{})
	s, err := ParseServer("smtp://"+p.addr+"?ca="+url.QueryEscape(p.ca), from)
	if err != nil {
		t.Fatal(err)
	}
	for code, kind := range map[int]fault.Kind{550: fault.Unprocessed, 451: fault.Unavailable} {
		p.setRefuse(&smtp.SMTPError{Code: code, Message: "<" + ann + "> is not here"})
		err := SendNow(context.Background(), s, Test, ann, "en", Data{}, at, "id")
		if fault.KindOf(err) != kind || strings.Contains(err.Error(), "ann@") || !strings.Contains(err.Error(), "does not take letters to this address") {
			t.Errorf("%d: %v", code, err)
		}
	}
	// A server that takes the connection and says nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if s, err = ParseServer("smtp://"+l.Addr().String()+"?tls=none", from); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := SendNow(ctx, s, Test, ann, "en", Data{}, at, "id"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a server that hangs: %v", err)
	}
	if s, err = ParseServer("smtp://127.0.0.1:1?tls=none", from); err != nil {
		t.Fatal(err)
	}
	if err := SendNow(context.Background(), s, Test, ann, "en", Data{}, at, "id"); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Message(err), "cannot be reached") {
		t.Errorf("a server that is not there: %v", err)
	}
}

func TestServerAddresses(t *testing.T) {
	for _, c := range []struct{ url, from, wrong string }{
		{"", "", ""},
		{"smtp://mail.example", ann, ""},
		{"smtps://u:p%40@mail.example:4650", from, ""},
		{"smtp://127.0.0.1:25?tls=none", ann, ""},
		{"", ann, "no mail server"},
		{"smtp://mail.example", "", "--mail-from"},
		{"smtp://mail.example", "nobody", "no e-mail address"},
		{"mail.example:25", ann, "neither smtp"},
		{"http://mail.example", ann, "neither smtp"},
		{"smtp://user:sec ret@mail.example:x", ann, "it is no address"},
		{"smtp://mail.example?tls=none", ann, "on this machine"},
		{"smtp://mail.example?tls=maybe", ann, "none only"},
		{"smtp:///x", ann, "host and a port"},
		{"smtp://mail.example/path", ann, "host and a port"},
		{"smtp://mail.example?ca=/nowhere/at/all", ann, "cannot be read"},
	} {
		s, err := ParseServer(c.url, c.from)
		if c.wrong == "" {
			if err != nil || s.Set() != (c.url != "") {
				t.Errorf("%s: %v, set %t", c.url, err, s.Set())
			}
			continue
		}
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Message(err), c.wrong) || strings.Contains(err.Error(), "sec ret") {
			t.Errorf("%s: %v, want %q", c.url, err, c.wrong)
		}
	}
}

func TestLettersWaitSealedUntilTaken(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p := newPost(t, options{})
		s, err := ParseServer("smtp://"+p.addr+"?ca="+url.QueryEscape(p.ca), from)
		if err != nil {
			t.Fatal(err)
		}
		secret := []byte(strings.Repeat("s", 32))
		queue := jobs.New(d, time.Now)
		desk, err := NewDesk(d, queue, secret, s, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		if err := desk.Send(ctx, Invitation, ann, "et", Data{Name: "Ann", By: "Bob", Place: "Shop AS", Link: link}); err != nil {
			t.Fatal(err)
		}
		var payload string
		if err := d.Read().QueryRow("select payload from job").Scan(&payload); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{ann, "Ann", "token", "Shop"} {
			if strings.Contains(payload, secret) {
				t.Errorf("%q can be read in the database", secret)
			}
		}
		ended := make(chan struct{})
		go func() { queue.Run(ctx); close(ended) }()
		for deadline := time.Now().Add(time.Minute); ; {
			list, err := queue.List(ctx, false, 10)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("not sent within a minute: %+v", list)
			}
			time.Sleep(5 * time.Millisecond) // polls a condition
		}
		stop()
		<-ended
		if list := p.taken(); len(list) != 1 || readLetter(t, list[0].data).subject != "Teie kutse: Shop AS" {
			t.Errorf("taken %+v", list)
		}
		// What was not sent while its link worked is not sent any more.
		out := desk.do(context.Background(), jobs.Job{Payload: payload, Created: time.Now().Add(-25 * time.Hour)})
		if out.Err != nil || len(p.taken()) != 1 {
			t.Errorf("a letter whose link ran out: %v, %d taken", out.Err, len(p.taken()))
		}
		none, err := NewDesk(d, queue, secret, Server{}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if err := none.Send(context.Background(), Reset, ann, "en", Data{Link: link}); fault.KindOf(err) != fault.Unavailable || none.Configured() {
			t.Errorf("without a server: %v", err)
		}
	})
}
