package mail

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	htmltemplate "html/template"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"time"

	"assent/internal/fault"
	"assent/internal/i18n"
)

//go:embed texts/*.json letter.html
var files embed.FS

// words are the texts of one kind of letter in one language. {name}, {by} and
// {place} stand for the letter's data.
type words struct {
	Subject string   `json:"subject"`
	Lines   []string `json:"lines"`  // before the link
	Button  string   `json:"button"` // "" for a letter without a link
	After   []string `json:"after"`
}

// texts are all of them, by language and kind.
var texts = sync.OnceValue(func() map[string]map[Kind]words {
	all := map[string]map[Kind]words{}
	entries, err := files.ReadDir("texts")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		raw, err := files.ReadFile("texts/" + e.Name())
		if err != nil {
			panic(err)
		}
		var kinds map[Kind]words
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&kinds); err != nil {
			panic("mail: " + e.Name() + ": " + err.Error())
		}
		all[strings.TrimSuffix(e.Name(), ".json")] = kinds
	}
	return all
})

// language is the one with texts that is nearest to a tag.
func language(tag string) string {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	if _, ok := texts()[base]; ok {
		return base
	}
	return "en"
}

// maxText is how long a name in a letter may be, in bytes; a longer one is cut.
const maxText = 200

// clean makes one line of what people typed: no character that could end a header,
// or turn the direction of the text around it.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029:
			return ' '
		case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return strings.TrimSpace(s)
}

// Marks around text whose direction is its own (UAX 9): a Hebrew name in a German
// sentence. HTML has the element bdi for it.
const isolate, popIsolate = "\u2068", "\u2069"

// part is a piece of a line: a text of ours, or what somebody typed.
type part struct {
	Text  string
	Typed bool
}

// fill puts a letter's data into a line.
func fill(line string, data Data) (parts []part) {
	values := map[string]string{"name": clean(data.Name), "by": clean(data.By), "place": clean(data.Place), "date": clean(data.Date)}
	for line != "" {
		before, rest, found := strings.Cut(line, "{")
		name, after, closed := strings.Cut(rest, "}")
		if before != "" {
			parts = append(parts, part{Text: before})
		}
		if !found || !closed {
			break
		}
		parts = append(parts, part{values[name], true})
		line = after
	}
	return parts
}

func plainOf(parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Typed {
			b.WriteString(isolate + p.Text + popIsolate)
		} else {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// subjectOf is plainOf without marks, which some programs show in a list of letters.
func subjectOf(parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	return clean(b.String())
}

// page is what the HTML template gets.
type page struct {
	Lang, Dir    string
	Subject      string
	Lines, After [][]part
	Button, Link string
}

var letterPage = sync.OnceValue(func() *htmltemplate.Template {
	return htmltemplate.Must(htmltemplate.ParseFS(files, "letter.html"))
})

// usable picks the lines whose data is there: a line about who invites is left out
// when nobody does.
func usable(lines []string, data Data) (list [][]part) {
	for _, line := range lines {
		if strings.Contains(line, "{by}") && data.By == "" || strings.Contains(line, "{name}") && data.Name == "" || strings.Contains(line, "{place}") && data.Place == "" {
			continue
		}
		list = append(list, fill(line, data))
	}
	return list
}

// hostRunes are those of a host with its port.
const hostRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]"

// checkLink refuses what may not be followed from a letter.
func checkLink(link string) error {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Host, hostRunes) != "" || u.User != nil || len(link) > 2000 || strings.ContainsFunc(link, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r) }) {
		return fault.New(fault.Unprocessed, "The letter's link is no http address. Check --public-url.")
	}
	return nil
}

// compose writes a letter (RFC 5322) with a text and an HTML part (RFC 2046,
// multipart/alternative). id makes its Message-ID: the same one, the same letter.
func compose(from string, kind Kind, to, lang string, data Data, at time.Time, id string) ([]byte, error) {
	sender, err := address(from)
	if err != nil {
		return nil, err
	}
	recipient, err := address(to)
	if err != nil {
		return nil, err
	}
	lang = language(lang)
	w, ok := texts()[lang][kind]
	if !ok {
		return nil, fmt.Errorf("mail: no letter of the kind %q", kind)
	}
	p := page{Lang: lang, Dir: "ltr", Lines: usable(w.Lines, data), After: usable(w.After, data)}
	if i18n.RightToLeft(lang) {
		p.Dir = "rtl"
	}
	if w.Button != "" {
		if err := checkLink(data.Link); err != nil {
			return nil, err
		}
		p.Button, p.Link = w.Button, data.Link
	}
	p.Subject = subjectOf(fill(w.Subject, data))
	if data.Place == "" {
		p.Subject = subjectOf(fill(strings.ReplaceAll(w.Subject, "{place}", "Assent"), data))
	}
	var html bytes.Buffer
	if err := letterPage().Execute(&html, p); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(sender.Address, "@")
	sum := sha256.Sum256([]byte(id))
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	if err := parts.SetBoundary("assent-" + hex.EncodeToString(sum[:12])); err != nil {
		return nil, err
	}
	if err := writePart(parts, "text/plain", plainText(p)); err != nil {
		return nil, err
	}
	if err := writePart(parts, "text/html", html.String()); err != nil {
		return nil, err
	}
	if err := parts.Close(); err != nil {
		return nil, err
	}
	contentType, text := `multipart/alternative; boundary="`+parts.Boundary()+`"`, body.String()
	if len(data.Files) > 0 {
		if contentType, text, err = attach(contentType, text, parts.Boundary(), data.Files); err != nil {
			return nil, err
		}
	}
	var message bytes.Buffer
	for _, h := range [][2]string{
		{"From", (&mail.Address{Name: clean(sender.Name), Address: sender.Address}).String()},
		{"To", (&mail.Address{Address: recipient.Address}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", p.Subject)},
		{"Date", at.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + hex.EncodeToString(sum[:16]) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: no answer from a machine
		{"Content-Language", lang},
		{"MIME-Version", "1.0"},
		{"Content-Type", contentType},
	} {
		message.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	message.WriteString("\r\n" + text)
	return message.Bytes(), nil
}

func plainText(p page) string {
	var b strings.Builder
	for _, line := range p.Lines {
		b.WriteString(plainOf(line) + "\n\n")
	}
	if p.Link != "" {
		b.WriteString(p.Link + "\n\n")
	}
	for _, line := range p.After {
		b.WriteString(plainOf(line) + "\n\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func writePart(parts *multipart.Writer, media, text string) error {
	w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {media + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
	if err != nil {
		return err
	}
	q := quotedprintable.NewWriter(w)
	if _, err := q.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		return err
	}
	return q.Close()
}
