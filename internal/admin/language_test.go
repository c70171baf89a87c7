package admin_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"assent/internal/admin"
	"assent/internal/site"
)

// in fetches a page in a language that only the browser asks for.
func (k *desk) in(language, path string) *answer {
	k.t.Helper()
	r, err := http.NewRequest(http.MethodGet, k.server.URL+path, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("Accept-Language", language)
	return k.do(k.client, r)
}

// texts are what people read on a page: text, and the attributes that are read.
func texts(root *html.Node) (list []string) {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			for _, a := range n.Attr {
				if slices.Contains([]string{"title", "aria-label", "data-label", "alt"}, a.Key) {
					list = append(list, strings.TrimSpace(a.Val))
				}
			}
		}
		if n.Type == html.TextNode && !slices.Contains([]string{"script", "style", "code", "textarea", "option", "del", "ins", "datalist"}, n.Parent.Data) {
			list = append(list, strings.Join(strings.Fields(n.Data), " "))
		}
	}
	return list
}

// written are sentences that somebody wrote, or that the catalogue holds.
var written = regexp.MustCompile(`^(Google|Meta|Microsoft|Stripe|Corner|Counts|Matomo|\{|consent\.|Cookies on|audit@|any regime|Data |[A-Z][a-z]+( \d)? · Corner Shop)`)

// Nothing of a page is left in English but names and what people wrote.
func TestPagesAreWhollyInTheLanguage(t *testing.T) {
	k, pages := furnished(t)
	k.retained(must(k.sites.Get(t.Context(), strings.TrimPrefix(pages["site"], "/console/sites/"))))
	delete(pages, "version") // holds a notice, word by word
	for name, path := range pages {
		a := k.in("de-AT,de;q=0.9", path)
		english := texts(k.in("en", path).root)
		if lang := attr(one(a.root, "html"), "lang"); lang != "de" {
			t.Errorf("%s is in %q", name, lang)
		}
		for _, text := range texts(a.root) {
			if !slices.Contains(english, text) || written.MatchString(text) {
				continue
			}
			if said := admin.German(text); said != text && !strings.EqualFold(said, text) && len(text) > 4 {
				t.Errorf("%s says %q, which is %q", name, text, said)
			}
			if strings.Count(text, " ") > 3 && !strings.HasPrefix(name, "catalogue") && name != "wizard-services" {
				t.Errorf("%s says %q, which nobody has translated: if it is ours, name its file in entire (found_test.go) and see TestTexts; if somebody wrote it, in written", name, text)
			}
		}
	}
}

// The account's choice is before the browser's, the menu's before what the browser asks
// for, and no other language than those that there are is taken.
func TestLanguageIsChosen(t *testing.T) {
	k := signedIn(t)
	lang := func(path, asked string) string { return attr(one(k.in(asked, path).root, "html"), "lang") }
	for asked, want := range map[string]string{"": "en", "de": "de", "et-EE": "et", "xx, de-CH;q=0.8": "de", "en-GB, de": "en", "*": "en", "tlh": "en", "\"><script>": "en"} {
		if got := lang("/console/sites", asked); got != want {
			t.Errorf("asked for %q, a page is in %q, want %q", asked, got, want)
		}
	}
	a := k.post("/console/account/language", url.Values{"language": {"de"}, "back": {"/console/account?done=saved"}})
	if a.want(http.StatusSeeOther); a.header.Get("Location") != "/console/account?done=saved" {
		t.Errorf("choosing leads to %s", a.header.Get("Location"))
	}
	if got := lang("/console/sites", "en"); got != "de" {
		t.Errorf("the account's language is de, a page is in %q", got)
	}
	if !strings.Contains(k.in("en", "/console/account?done=saved").body, "Gespeichert.") {
		t.Error("what is said of success is not in the account's language")
	}
	for _, back := range []string{"https://evil.example/", "//evil.example", "/console/sign-in/../x", "/console/sign-out"} {
		if a := k.post("/console/language", url.Values{"language": {"de"}, "back": {back}}); a.header.Get("Location") != "/console/sites" {
			t.Errorf("back to %q leads to %s", back, a.header.Get("Location"))
		}
	}
	k.post("/console/account/language", url.Values{"language": {"../x"}}).want(http.StatusSeeOther)
	if got := lang("/console/sites", "en"); got != "de" {
		t.Errorf("an unknown language was taken: %q", got)
	}
	k.post("/console/account/language", url.Values{"language": {""}}).want(http.StatusSeeOther)
	if got := lang("/console/sites", "en"); got != "en" {
		t.Errorf("back to what the browser asks for, a page is in %q", got)
	}
	k.client = k.stranger()
	if got := lang("/console/sign-in", "de"); got != "de" {
		t.Errorf("the sign-in page is in %q", got)
	}
	a = k.post("/console/language", url.Values{"language": {"de"}, "back": {"/console/sign-in?next=%2Fconsole%2Fsites"}})
	if a.want(http.StatusSeeOther); a.header.Get("Location") != "/console/sign-in?next=%2Fconsole%2Fsites" || !strings.Contains(a.header.Get("Set-Cookie"), "HttpOnly") {
		t.Errorf("choosing on the sign-in page: %v", a.header)
	}
}

// What customers write is never taken for a word of ours, and stays escaped.
func TestWhatPeopleWroteIsNotTranslated(t *testing.T) {
	k := signedIn(t)
	ctx := context.Background()
	s := k.addSite("shop.example", "Register")
	draft := k.draft(s)
	draft.Controller = site.Controller{Name: "Save", PolicyURL: "https://shop.example/privacy"}
	draft.Services = []site.Service{{Key: "x", Name: `<b title="Remove">Statistics</b>`, Category: "analytics", Purpose: map[string]string{"en": "Save"}}}
	if err := k.sites.SaveDraft(ctx, s.Key, draft); err != nil {
		t.Fatal(err)
	}
	if err := k.accounts.SetLanguage(ctx, must(k.accounts.MemberByEmail(ctx, officer)).ID, "de"); err != nil {
		t.Fatal(err)
	}
	page := k.get("/console/sites/" + s.Key + "/banner")
	if got := text(one(page.root, ".site-head p")); got != "Register" {
		t.Errorf("the site's name is %q", got)
	}
	if got := attr(one(page.root, `[name=controller.name]`), "value"); got != "Save" {
		t.Errorf("the controller's name is %q", got)
	}
	if strings.Contains(page.body, `<b title`) || !strings.Contains(page.body, "&lt;b title=&#34;Remove&#34;&gt;Statistics") {
		t.Error("a name is not escaped, or was translated")
	}
	if !strings.Contains(page.body, "Entwurf speichern") {
		t.Error("the page is not in the language of the account")
	}
}
