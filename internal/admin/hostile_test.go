package admin_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/net/html"

	"assent/internal/account"
	"assent/internal/admin"
	"assent/internal/browsertest"
	"assent/internal/stats"
	"assent/receipt"
)

// hostile ends whatever it may stand in and tries to run something that the
// page would notice.
const hostile = `</script></textarea></title><img src=x onerror="top.pwned=1;top.postMessage('pwned','*')">"'><svg onload="top.pwned=1;top.postMessage('pwned','*')">` +
	"`${top.pwned=1}<!--<script>"

// attacked is a desk whose every text was entered by somebody hostile: the
// member's name, the site, all of the notice, and a record's fields.
func attacked(t *testing.T) (*desk, map[string]string) {
	t.Helper()
	k := newDesk(t)
	ctx := context.Background()
	token, err := k.accounts.SetupLink(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.accounts.Setup(ctx, token, account.NewMember{Email: officer, Name: hostile, Password: password}); err != nil {
		t.Fatal(err)
	}
	k.post("/console/sign-in", url.Values{"email": {officer}, "password": {password}}).want(http.StatusSeeOther)
	s := k.addSite("shop.example", hostile)
	base := "/console/sites/" + s.Key
	form := k.get(base + "/banner").form("#editor")
	form.Set("do", "add_service")
	form = k.post(base+"/banner", form).want(http.StatusOK).form("#editor")
	form.Set("do", "add_tracker.0")
	form.Set("service.0.name", hostile)
	form = k.post(base+"/banner", form).want(http.StatusOK).form("#editor")
	for name := range form {
		switch {
		case strings.HasPrefix(name, "texts."), strings.HasSuffix(name, ".provider"), strings.HasSuffix(name, ".lifetime"),
			strings.Contains(name, ".purpose."), name == "controller.name", strings.HasSuffix(name, ".name"):
			form.Set(name, hostile)
		case strings.HasSuffix(name, "policy_url"):
			form.Set(name, `https://shop.example/"><svg onload=top.pwned=1>`)
		}
	}
	form.Set("do", "save")
	k.post(base+"/banner", form).want(http.StatusSeeOther)
	draft := k.get(base + "/publish").want(http.StatusOK)
	k.post(base+"/publish", draft.form("main form")).want(http.StatusSeeOther)
	form.Set("texts.en.title", hostile+"again")
	form.Set("base", k.get(base+"/banner").value("[name=base]"))
	k.post(base+"/banner", form).want(http.StatusSeeOther)
	versions, err := k.sites.Versions(ctx, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	visitor := uuid.New()
	record := k.decide(s, visitor, time.Now(), func(r *receipt.Record) {
		r.Page, r.Language, r.Device, r.Browser, r.Country, r.Network, r.TC, r.GPP, r.Action, r.Source, r.Status =
			hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile, hostile
		r.Services = map[string]bool{hostile: true}
		r.Categories = map[string]bool{hostile: false}
	})
	for _, name := range []string{hostile, hostile + "again"} { // past the classes
		k.stats.Add(s.ID, stats.Seen{Kind: "cookie", Name: name, Page: hostile}, 1)
		k.stats.Add(s.ID, stats.Seen{Kind: "request", Name: name, Directive: hostile, Page: hostile}, 1)
	}
	if err := k.stats.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	return k, map[string]string{
		"seen": base + "/seen", "sites": "/console/sites", "site": base, "banner": base + "/banner", "publish": base + "/publish", "preview": base + "/preview",
		"versions": base + "/versions?from=" + versions[1].Version + "&to=" + versions[0].Version, "version": base + "/versions/" + versions[0].Version,
		"register": base + "/register", "search": base + "/register?q=" + url.QueryEscape(hostile), "days": base + "/register?from=" + url.QueryEscape(hostile),
		"record": base + "/records/" + record.String(), "visitor": base + "/visitors/" + visitor.String(), "activity": "/console/activity", "members": "/console/members", "account": "/console/account",
		"flash": "/console/sites?done=" + url.QueryEscape(hostile), "missing": "/console/" + url.PathEscape(hostile),
	}
}

// harmless checks that nothing in a document was made by the hostile text.
func harmless(t *testing.T, what string, root *html.Node, scripts int) {
	t.Helper()
	if n := len(all(root, "script")); n != scripts {
		t.Errorf("%s has %d script elements, want %d", what, n, scripts)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "svg" || n.Data == "img" && attr(n, "src") == "x" {
			t.Errorf("%s: the text became a %s element", what, n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || (a.Key == "href" || a.Key == "src" || a.Key == "action") && strings.HasPrefix(strings.ToLower(a.Val), "javascript:") {
				t.Errorf("%s: <%s %s=%q>", what, n.Data, a.Key, a.Val)
			}
		}
	}
}

func TestHostileTextStaysText(t *testing.T) {
	k, pages := attacked(t)
	for name, path := range pages {
		a := k.get(path)
		if name == "preview" {
			inner, err := html.Parse(strings.NewReader(attr(one(a.want(http.StatusOK).root, "iframe"), "srcdoc")))
			if err != nil {
				t.Fatal(err)
			}
			harmless(t, "preview's shell", a.root, 1)
			harmless(t, "preview's page", inner, 1)
			if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "sandbox allow-scripts") || !strings.Contains(policy, "default-src 'none'") ||
				a.header.Get("X-Frame-Options") != "SAMEORIGIN" {
				t.Errorf("preview's policy = %s", policy)
			}
			continue
		}
		harmless(t, name, a.root, 1)
	}
	signIn := k.post("/console/sign-in", url.Values{"email": {hostile}, "password": {hostile}, "next": {hostile}}).want(http.StatusUnauthorized)
	harmless(t, "sign-in", signIn.root, 1)
	added := k.post("/console/sites/new", url.Values{"domains": {hostile}, "name": {hostile}}).want(http.StatusUnprocessableEntity)
	harmless(t, "new site", added.root, 1)
}

func TestHostileTextRunsNothingInABrowser(t *testing.T) {
	k, pages := attacked(t)
	ctx := browsertest.Start(t)
	browsertest.BeforePage(t, ctx, "window.heard=[];addEventListener('message',e=>{if(e.data==='pwned')window.heard.push(e.data)})")
	signInBrowser(t, ctx, k)
	for name, path := range pages {
		browsertest.Open(t, ctx, k.server.URL+path)
		if name == "banner" { // the live preview runs it once more, as a newer document
			browsertest.Eval[bool](t, ctx, `(()=>{window.answers=0;const was=fetch;window.fetch=async(...a)=>{const r=await was(...a);await r.clone().text();window.answers++;return r};
				const x=document.querySelector("[name='texts.en.title']");x.value+="more";x.dispatchEvent(new Event("input",{bubbles:true}));return true})()`)
			browsertest.Wait(t, ctx, "window.answers>0")
			browsertest.Wait(t, ctx, "document.querySelector('[data-preview-state]').textContent===''")
		}
		// Two frames later whatever was going to run at load has run.
		browsertest.Eval[bool](t, ctx, "new Promise(r=>requestAnimationFrame(()=>requestAnimationFrame(()=>r(true))))")
		if ran := browsertest.Eval[bool](t, ctx, "window.pwned===1||window.heard.length>0"); ran {
			t.Errorf("%s ran the hostile text", name)
		}
		if wide := browsertest.Eval[int](t, ctx, "document.documentElement.scrollWidth-document.documentElement.clientWidth"); wide > 0 && name != "preview" {
			t.Errorf("%s is %d pixels wider than the window", name, wide)
		}
		browsertest.Shot(t, ctx, "hostile-"+name)
	}
}

func TestInlineScriptCannotEndItsElement(t *testing.T) {
	for code, want := range map[string]string{
		`x="</script>"`: `x="\x3c/script>"`, `x="</ScRiPt >"`: `x="\x3c/ScRiPt >"`, `x="<!-- <script>"`: `x="\x3c!-- <script>"`,
		`x="İİİ</script>"`: `x="İİİ\x3c/script>"`, `for(i=0;i<scripts.length;i++);`: `for(i=0;i<scripts.length;i++);`,
	} {
		if got := admin.InlineScript([]byte(code)); got != want {
			t.Errorf("%s became %s, want %s", code, got, want)
		}
	}
}

// Wherever a hostile address points, the browser stays in the console.
func FuzzNextStaysInTheConsole(f *testing.F) {
	for _, seed := range []string{"/console/activity", "//evil.example", "/console/../x", "/console/%2e%2e/%2e%2e/x", "/\\evil.example", "/console/?x=//y", "/console/\t//evil"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://consent.test/console/sign-in")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, next string) {
		got := admin.SafeNext(next)
		to, err := base.Parse(got)
		if err != nil || to.Host != base.Host || to.Scheme != base.Scheme || !strings.HasPrefix(to.Path, "/console/") {
			t.Fatalf("%q leads to %q", next, got)
		}
	})
}
