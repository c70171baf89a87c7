package admin

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/i18n"
	"assent/internal/tongue"
)

// packedTexts is made of the files of texts/ by: go test ./internal/admin -run TestTexts -update
//
//go:embed texts.br
var packedTexts []byte

// tongues are the languages of the console. Every message of theirs has to be there.
var tongues = tongue.Open(packedTexts, "da", "de", "et", "fi", "fr")

// languageCookie keeps the language that somebody chose before they signed in. It
// opens nothing and names nobody.
const languageCookie = "assent-language"

// languageFor is what a page is shown in: what the member chose, else this browser's
// choice, else what the browser asks for, else English.
func languageFor(r *request) string {
	var wishes []string
	if r.session != nil {
		wishes = append(wishes, r.session.Member.Language)
	}
	if cookie, err := r.Cookie(languageCookie); err == nil {
		wishes = append(wishes, cookie.Value)
	}
	return tongues.Choose(append(wishes, asked(r.Request)...)...)
}

// asked are the languages that the browser asks for, the dearest first: browsers list
// them in that order, so their weights are not read.
func asked(r *http.Request) (tags []string) {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ := strings.Cut(part, ";")
		if tag = strings.TrimSpace(tag); len(tags) < 10 && languageTag.MatchString(tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// say is a sentence of ours in the language of the page, for answers that no template makes.
func (r *request) say(text string) string { return tongues.Language(languageFor(r)).Say(text) }

// in is the language of the page.
func (p Page) in() *tongue.Language { return tongues.Language(p.Speaks) }

// inLanguage tells render which language a page is to be in.
func (p Page) inLanguage() string { return p.Speaks }

// languageChoice is a button of the menu.
type languageChoice struct {
	Tag, Native string
	Current     bool
}

// Speaking are the languages of the console, English first.
func (p Page) Speaking() (list []languageChoice) {
	for _, tag := range append([]string{"en"}, tongues.Tags()...) {
		for _, l := range i18n.Languages() {
			if l.Tag == tag {
				list = append(list, languageChoice{tag, l.Name, tag == p.Speaks})
			}
		}
	}
	return list
}

// ScriptWords are the words of the console's script in the language of the page, as
// JSON; "" in English, which stands in the script itself.
func (p Page) ScriptWords() string {
	l := p.in()
	if l == tongue.English {
		return ""
	}
	words := map[string]string{}
	for _, text := range scriptWords {
		words[text] = l.Say(text)
	}
	raw, err := json.Marshal(words)
	if err != nil {
		return ""
	}
	return string(raw)
}

// scriptWords are what static/console.ts says; a test compares.
var scriptWords = []string{
	"Copy", "Copied", "Press Ctrl+C", "Not saved yet", "Pick: %s", "readable", "too weak, at least %s:1",
	"You are signed out. Sign in again in another tab, then come back.", "The server cannot be reached; the preview is not up to date.",
	"What to look at in here", "1 thing", "%s things", "in your time zone (%s)",
}

func (c *console) languageRoutes() []route {
	return []route{
		{"POST /console/language", account.Everybody, c.chooseLanguage},
		{"POST /console/account/language", account.AnyMember, c.chooseLanguage},
	}
}

// chooseLanguage keeps a language in the browser and, for who is signed in, in their
// account. An empty one goes back to what the browser asks for; an unknown one is none.
func (c *console) chooseLanguage(w http.ResponseWriter, r *request) error {
	tag := r.PostForm.Get("language")
	if tag != "" && tag != "en" && tongues.Language(tag) == tongue.English {
		http.Redirect(w, r.Request, backTo(r.PostForm.Get("back")), http.StatusSeeOther)
		return nil
	}
	cookie := &http.Cookie{Name: languageCookie, Value: tag, Path: "/console/", HttpOnly: true, Secure: c.SecureCookies, SameSite: http.SameSiteLaxMode, MaxAge: 400 * 24 * 3600}
	if tag == "" {
		cookie.MaxAge = -1
	}
	if r.session != nil && r.PostForm.Has("language") {
		if err := c.Accounts.SetLanguage(r.Context(), r.session.Member.ID, tag); err != nil {
			return err
		}
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r.Request, backTo(r.PostForm.Get("back")), http.StatusSeeOther)
	return nil
}

// backTo is safeNext that leads back to the pages of signing in, too.
func backTo(back string) string {
	if rest, ok := strings.CutPrefix(back, "/console/sign-in"); ok && (rest == "" || rest[0] == '?') && !strings.ContainsAny(rest, "\\\r\n\t#") {
		return back
	}
	return safeNext(back)
}

// languageFuncs are the functions of templates that depend on the language. A moment is
// shown in UTC; the script adds the reader's own zone.
func languageFuncs(l *tongue.Language) template.FuncMap {
	layout, ok := dayLayouts[l.Tag]
	if !ok {
		layout = time.DateOnly
	}
	return template.FuncMap{
		"say":   l.SayAny,
		"count": l.Count,
		"when": func(t time.Time) template.HTML {
			if t.IsZero() {
				return "—"
			}
			t = t.UTC()
			return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + t.Format(layout+" 15:04:05") + ` UTC</time>`)
		},
		"day": func(t time.Time) string { return t.Format(layout) },
		"join": func(list []string, between string) string {
			said := make([]string, len(list))
			for i, s := range list {
				said[i] = l.Say(s)
			}
			return strings.Join(said, between)
		},
	}
}

// dayLayouts are how a day is written with digits (CLDR, medium or short date).
var dayLayouts = map[string]string{"da": "02.01.2006", "de": "02.01.2006", "et": "02.01.2006", "fi": "2.1.2006", "fr": "02/01/2006"}
