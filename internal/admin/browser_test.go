package admin_test

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"assent/internal/account"
	"assent/internal/browsertest"
	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/site"
	"assent/internal/stats"
	"assent/receipt"
)

// furnished is a desk as it looks in use, with the address of every page.
func furnished(t *testing.T) (*desk, map[string]string) {
	t.Helper()
	return furnishedOn(t, dbtest.SQLite(t))
}

func furnishedOn(t *testing.T, d *db.DB) (*desk, map[string]string) {
	t.Helper()
	k := signedInOn(t, d)
	ctx := context.Background()
	blog := k.addSite("blog.example", "Garden blog")
	s := k.addSite("shop.example", "Corner Shop")
	draft, err := k.sites.Draft(ctx, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	draft.Controller = site.Controller{Name: "Corner Shop Ltd", PolicyURL: "https://shop.example/privacy"}
	draft.Services = []site.Service{
		{Key: "visit-counter", Name: "Visit Counter", Category: "analytics", Provider: "Counter Inc.", Country: "US", Purpose: map[string]string{"en": "Counts which pages are read."},
			PolicyURL: "https://counter.example/privacy", Hosts: []string{"cdn.counter.example", "*.collect.example"},
			Trackers: []site.Tracker{{Kind: "cookie", Name: "_vc*", Lifetime: "13 months"}, {Kind: "local_storage", Name: "vc_queue", Lifetime: "until sent"}}},
		{Key: "clip-player", Name: "Clip Player", Category: "functional", Provider: "Clips BV", Country: "NL", Purpose: map[string]string{"en": "Plays videos."}, Hosts: []string{"player.clips.example"}},
	}
	if err := k.sites.SaveDraft(ctx, s.Key, draft); err != nil {
		t.Fatal(err)
	}
	first := s.Version
	v, err := k.sites.Publish(ctx, s.Key, officer)
	if err != nil {
		t.Fatal(err)
	}
	s.Version = v.Version
	texts := draft.Texts["en"]
	texts.Title = "Cookies on Corner Shop"
	draft.Texts["en"] = texts
	if err := k.sites.SaveDraft(ctx, s.Key, draft); err != nil {
		t.Fatal(err)
	}
	visitor := uuid.New()
	now := time.Now()
	services := map[string]bool{"visit-counter": true, "clip-player": true}
	k.decide(s, uuid.New(), now.Add(-26*time.Hour), func(r *receipt.Record) { r.Services = services })
	k.decide(s, uuid.New(), now.Add(-25*time.Hour), func(r *receipt.Record) {
		r.Action, r.Status, r.Categories, r.Page = "accept_necessary", "accepted_necessary", map[string]bool{"functional": false, "analytics": false, "advertising": false}, "www.shop.example/winter-sale/gloves"
	})
	k.decide(s, visitor, now.Add(-2*time.Hour), func(r *receipt.Record) { r.Services = services })
	record := k.decide(s, visitor, now.Add(-time.Hour), func(r *receipt.Record) {
		r.Action, r.Source, r.Status = "save", "preferences", "accepted_partially"
		r.Categories = map[string]bool{"functional": true, "analytics": false, "advertising": false}
		r.Services = map[string]bool{"visit-counter": false, "clip-player": true}
	})
	k.saw(s, 214, "request", "cdn.adnet.example", "script-src-elem", "/product/4711")
	k.saw(s, 41, "request", "cdn.adnet.example", "img-src", "/")
	k.saw(s, 96, "request", "fonts.typeworks.example:8443", "font-src", "/basket")
	k.saw(s, 52, "request", "img.counter.example", "img-src", "/product/4711")
	k.saw(s, 12, "cookie", "_session_4f3a77b21c", "", "/")
	k.saw(s, 7, "local_storage", "recently-viewed", "", "/product/4711")
	k.saw(s, 3, "request", "203.0.113.9", "connect-src", "/help/contact")
	k.saw(s, 9, "request", "cdn.counter.example", "script-src-elem", "/")
	k.saw(s, 2, "request", "status.example", "connect-src", "/")
	if err := k.stats.Ignore(ctx, s.ID, stats.Name{Kind: "request", Name: "status.example"}, true); err != nil {
		t.Fatal(err)
	}
	k.counted(s)
	owns := func(host string) bool { return host == "blog.example" }
	k.stats.Install(blog.ID, "blog.example", "", "boot", "", owns)
	k.stats.Install(blog.ID, "old.blog.example", "", "boot", blog.Version, func(string) bool { return true })
	k.stats.Install(blog.ID, "blog.example", "/post/winter", "", "", owns)
	k.stats.Install(blog.ID, "elsewhere.example", "", "tag", "", owns)
	if err := cmp.Or(k.stats.Flush(ctx), k.sites.SetSetupStep(ctx, blog.ID, 3)); err != nil {
		t.Fatal(err)
	}
	auditor := account.Joining{Email: "audit@law.example", Organisation: s.Organisation, Role: account.Auditor}
	for _, err := range []error{
		second(k.accounts.Join(ctx, auditor)),
		second(k.accounts.Invite(ctx, account.Joining{Email: "nora@shop.example", Organisation: s.Organisation, Role: account.Analyst})),
		second(k.accounts.AddOrganisation(ctx, "Another customer", "")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	base := "/console/sites/" + s.Key
	hook, _, err := k.webhooks.Add(ctx, s.ID, "https://shop.example/hooks/consent", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.webhooks.Pump(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := k.webhooks.Test(ctx, s.ID, hook.ID); err != nil {
		t.Fatal(err)
	}
	return k, map[string]string{
		"sites": "/console/sites", "site-new": "/console/sites/new", "site": base, "banner": base + "/banner", "publish": base + "/publish",
		"wizard-look": "/console/sites/" + blog.Key + "/setup/look", "wizard-services": "/console/sites/" + blog.Key + "/setup/services", "install": "/console/sites/" + blog.Key + "/install",
		"statistics": base + "/statistics", "statistics-empty": "/console/sites/" + blog.Key + "/statistics",
		"catalogue": base + "/catalogue?q=google", "seen": base + "/seen", "seen-empty": "/console/sites/" + blog.Key + "/seen",
		"versions": base + "/versions?from=" + first + "&to=" + v.Version, "version": base + "/versions/" + v.Version,
		"register": base + "/register", "register-error": base + "/register?q=gloves", "record": base + "/records/" + record.String(),
		"webhooks": base + "/webhooks", "webhook": base + "/webhooks/" + hook.ID,
		"visitor": base + "/visitors/" + visitor.String(), "activity": "/console/activity", "members": "/console/members", "organisation": "/console/organisation", "closing": "/console/organisation/closing", "account-closing": "/console/account/closing", "closings": "/console/operator/closings", "retention": base + "/retention?preview=1", "operator": "/console/operator", "tokens": "/console/tokens", "factor": "/console/account/second-factor", "roles": "/console/roles", "account": "/console/account", "missing": "/console/nowhere",
	}
}

func second[T any](_ T, err error) error { return err }

// openSignedOut are the pages for everybody.
func openSignedOut(t *testing.T) (*desk, map[string]string) {
	t.Helper()
	k := newDesk(t)
	token, err := k.accounts.SetupLink(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	organisation, err := k.accounts.AddOrganisation(context.Background(), "Customer", "")
	if err != nil {
		t.Fatal(err)
	}
	invitation, err := k.accounts.Invite(context.Background(), account.Joining{Email: "eve@customer.example", Organisation: organisation.ID, Role: account.Owner})
	if err != nil {
		t.Fatal(err)
	}
	return k, map[string]string{"join": "/console/join?token=" + invitation, "setup": "/console/setup?token=" + token, "sign-in": "/console/sign-in", "setup-used": "/console/setup?token=wrong"}
}

func signInBrowser(t *testing.T, ctx context.Context, k *desk) {
	t.Helper()
	browsertest.Open(t, ctx, k.server.URL+"/console/sign-in")
	browsertest.Eval[bool](t, ctx, `(()=>{document.querySelector("[name=email]").value="`+officer+`";document.querySelector("[name=password]").value="`+password+`";document.querySelector("main form").requestSubmit();return true})()`)
	browsertest.Wait(t, ctx, `location.pathname=="/console/sites"`)
}

// Every page is accessible, at phone and desktop width, light and dark, and no
// page is wider than its window. In the dark they are in languages with long words.
func TestEveryPageIsAccessible(t *testing.T) {
	axe, err := os.ReadFile(filepath.Join("..", "..", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("axe-core is not installed; run: npm ci")
	}
	k, pages := furnished(t)
	k.retained(must(k.sites.Get(t.Context(), strings.TrimPrefix(pages["site"], "/console/sites/"))))
	open, openPages := openSignedOut(t)
	// As with a mail server: what is asked for by mail, and an address that waits.
	confirmation := ""
	write := func(_ context.Context, _ *sql.Tx, l account.Letter) error { confirmation = l.Token; return nil }
	k.accounts.OnLetter(write)
	open.accounts.OnLetter(write)
	if err := k.accounts.AskConfirmation(context.Background(), must(k.accounts.MemberByEmail(context.Background(), officer)).ID); err != nil {
		t.Fatal(err)
	}
	pages["confirm"], openPages["forgot"] = "/console/confirm?token="+confirmation, "/console/forgot"
	spoken := map[string]string{"desktop-dark": "de", "phone-dark": "fi"}
	pages["activity-search"] = "/console/activity?what=site.&from=2026-01-01"
	for name, o := range map[string]browsertest.Options{
		"desktop-light": {Width: 1280, Height: 800, Still: true}, "desktop-dark": {Width: 1280, Height: 800, Dark: true, Still: true},
		"phone-light": {Width: 390, Height: 844, Mobile: true, Still: true}, "phone-dark": {Width: 390, Height: 844, Mobile: true, Dark: true, Still: true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := browsertest.Start(t, o)
			look := func(desk *desk, page, path string) {
				browsertest.Open(t, ctx, desk.server.URL+path)
				if page == "banner" || page == "activity-search" {
					browsertest.Eval[bool](t, ctx, `document.querySelectorAll("details").forEach(d=>d.open=true)===undefined`)
				}
				browsertest.Eval[bool](t, ctx, string(axe)+";true")
				found := browsertest.Eval[string](t, ctx, `axe.run(document,{iframes:false,resultTypes:["violations"]}).then(r=>r.violations.map(v=>v.id+": "+v.nodes.map(n=>n.target+" "+(n.any[0]||n.all[0]||n.none[0]||{}).message).join("; ")).join("\n"))`)
				if found != "" {
					t.Errorf("%s: %s", page, found)
				}
				if wide := browsertest.Eval[int](t, ctx, "document.documentElement.scrollWidth-document.documentElement.clientWidth"); wide > 0 {
					t.Errorf("%s is %d pixels wider than the window: %s", page, wide, browsertest.Eval[string](t, ctx, `[...document.body.querySelectorAll("*")].filter(e=>e.getBoundingClientRect().right>document.documentElement.clientWidth+1&&!e.closest("iframe")).map(e=>e.tagName+"."+e.className+" "+e.textContent.slice(0,40)).slice(-6).join("; ")`))
				}
				browsertest.Shot(t, ctx, name+"-"+page)
			}
			language := spoken[name]
			if err := k.accounts.SetLanguage(context.Background(), must(k.accounts.MemberByEmail(context.Background(), officer)).ID, language); err != nil {
				t.Fatal(err)
			}
			for page, path := range openPages {
				look(open, page, path)
			}
			signInBrowser(t, ctx, k)
			for page, path := range pages {
				look(k, page, path)
			}
		})
	}
}

// The preview in the editor is the real script, follows the form as it is
// typed, and can reach nothing of the console.
func TestLivePreview(t *testing.T) {
	k, pages := furnished(t)
	ctx := browsertest.Start(t)
	signInBrowser(t, ctx, k)
	browsertest.Open(t, ctx, k.server.URL+pages["banner"])
	if said := browsertest.Eval[bool](t, ctx, `(()=>{try{return document.querySelector("iframe").contentDocument!==null}catch{return true}})()`); said {
		t.Error("the preview shares the console's origin")
	}
	browsertest.Eval[bool](t, ctx, `(()=>{window.seen=[];const frame=document.querySelector("iframe").contentWindow;
		window.fetchWas=window.fetch;
		window.fetch=async(...a)=>{const r=await window.fetchWas(...a);window.seen.push(await r.clone().text());return r};
		const title=document.querySelector("[name='texts.en.title']");title.value="A livelier heading";title.dispatchEvent(new Event("input",{bubbles:true}));return true})()`)
	browsertest.Wait(t, ctx, `window.seen.some(s=>s.includes("A livelier heading"))`)
	browsertest.Wait(t, ctx, `document.querySelector("[data-state]").textContent=="Not saved yet"`)
	browsertest.Eval[bool](t, ctx, `(()=>{const c=document.querySelector("[name='light.button']");c.value="#ffffff";c.dispatchEvent(new Event("input",{bubbles:true}));return true})()`)
	browsertest.Wait(t, ctx, `document.querySelector("[data-contrast='light.button light.button_text']").className.includes("bad")`)
	// All that is wrong, each time: a white button is neither read nor seen.
	// Beside the field that it is about, with the rule, while it is edited.
	browsertest.Wait(t, ctx, `document.querySelector("#light-button").closest(".field").nextElementSibling?.textContent.includes("CNIL")`)
	browsertest.Eval[bool](t, ctx, `(()=>{const b=document.querySelector("[name='texts.en.refuse_all']");b.value="Accept all";b.dispatchEvent(new Event("input",{bubbles:true}));return true})()`)
	browsertest.Wait(t, ctx, `document.getElementById(document.querySelector("[name='texts.en.refuse_all']").getAttribute("aria-describedby").split(" ").pop())?.textContent.includes("says the same")`)
	browsertest.Wait(t, ctx, `document.querySelector("[data-concern-count]").textContent==="2 things"`)
	browsertest.Shot(t, ctx, "editor-concerns")
	browsertest.Wait(t, ctx, `["hard to read", "hard to see"].every(s => document.querySelector("[data-preview-state]").textContent.includes(s))`)
}

// What the reader sees in the frame changes with the form: the sample page
// turns dark. The frame is another origin, so only its pixels tell.
func TestPreviewFrameShowsTheNewerDocument(t *testing.T) {
	k, pages := furnished(t)
	ctx := browsertest.Start(t)
	signInBrowser(t, ctx, k)
	browsertest.Open(t, ctx, k.server.URL+pages["banner"])
	at := browsertest.Eval[[]int](t, ctx, `(()=>{const r=document.querySelector(".stage").getBoundingClientRect();return[Math.round(r.x+r.width/2),Math.round(r.y+8)]})()`)
	brightness := func() uint32 {
		shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(shot))
		if err != nil {
			t.Fatal(err)
		}
		_, green, _, _ := picture.At(at[0], at[1]).RGBA()
		return green >> 8
	}
	browsertest.Until(t, "the sample page is light", func() bool { return brightness() > 240 })
	browsertest.Click(t, ctx, `document.querySelector("[name=mode][value=dark]")`)
	browsertest.Until(t, "the sample page is dark", func() bool { return brightness() < 40 })
}

func TestScriptRefinesPages(t *testing.T) {
	k, pages := furnished(t)
	ctx := browsertest.Start(t)
	signInBrowser(t, ctx, k)
	browsertest.Open(t, ctx, k.server.URL+pages["site"])
	browsertest.Wait(t, ctx, `document.querySelector(".snippet button").textContent==="Copy"`)
	browsertest.Wait(t, ctx, `[...document.querySelectorAll("main time")].every(x=>!x.textContent.includes("UTC")&&x.title.includes("UTC"))`)
	browsertest.Open(t, ctx, k.server.URL+pages["register"])
	browsertest.Wait(t, ctx, `/^[0-9:]{8}$/.test(document.querySelector("td time").textContent)&&document.querySelector("td time").title!==""`)
	press := func(keys ...string) {
		t.Helper()
		for _, key := range keys {
			browsertest.Eval[bool](t, ctx, `(document.activeElement ?? document.body).dispatchEvent(new KeyboardEvent("keydown", {key: "`+key+`", bubbles: true, cancelable: true})) || true`)
		}
	}
	press("/")
	browsertest.Wait(t, ctx, `document.activeElement.matches("input[type=search]")`)
	press("?", "g", "s") // while somebody types they are letters
	if browsertest.Eval[bool](t, ctx, `document.querySelector("#keys").open`) {
		t.Error("a letter that was typed opened the list of keys")
	}
	browsertest.Eval[bool](t, ctx, `(document.activeElement.blur(), true)`)
	press("?")
	browsertest.Wait(t, ctx, `document.querySelector("#keys").open && document.querySelector("#keys").contains(document.activeElement)`)
	browsertest.Shot(t, ctx, "keys")
	press("g", "t") // the list is open: nothing goes anywhere
	browsertest.Eval[bool](t, ctx, `(document.querySelector("#keys button").click(), true)`)
	browsertest.Wait(t, ctx, `!document.querySelector("#keys").open && location.pathname.endsWith("/register")`)
	press("g", "t")
	browsertest.Wait(t, ctx, `location.pathname.endsWith("/statistics")`)
}

// Without JavaScript the button posts the form into the frame.
func TestPreviewWithoutScript(t *testing.T) {
	k, pages := furnished(t)
	page := k.get(pages["banner"]).want(200)
	button := one(page.root, "button[formtarget=preview]")
	frame := one(page.root, "iframe[name=preview]")
	if button == nil || frame == nil || attr(frame, "sandbox") != "allow-scripts" {
		t.Fatal("no button posts into a sandboxed frame")
	}
	form := page.form("#editor")
	form.Set("texts.en.title", "A livelier heading")
	form.Set("mode", "dark")
	form.Set("dark.background", "#102030")
	doc := attr(one(k.post(attr(button, "formaction"), form).want(200).root, "iframe"), "srcdoc")
	if !strings.Contains(doc, "A livelier heading") || !strings.Contains(doc, "color-scheme:dark") || !strings.Contains(doc, "#102030") || strings.Contains(doc, "#ffffff\"") {
		t.Errorf("the frame does not show the form as it is: %.300s", doc)
	}
	form.Set("texts.en.accept_all", "")
	doc = attr(one(k.post(attr(button, "formaction"), form).want(200).root, "iframe"), "srcdoc")
	if !strings.Contains(doc, "The preview waits: Visitors need this text") {
		t.Errorf("an incomplete form gives %.300s", doc)
	}
}

// The whole way of a change in a browser that runs no script of a page.
func TestEditorInABrowserWithoutScript(t *testing.T) {
	k, pages := furnished(t)
	ctx := browsertest.Start(t)
	signInBrowser(t, ctx, k)
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	browsertest.Open(t, ctx, k.server.URL+pages["banner"])
	if !browsertest.Eval[bool](t, ctx, `document.querySelector("input[type=color]")===null`) {
		t.Fatal("the page's script ran")
	}
	browsertest.Eval[bool](t, ctx, `(document.querySelector("[name='controller.name']").value="Corner Shop Limited",true)`)
	browsertest.Click(t, ctx, `document.querySelector("button[formtarget=preview]")`)
	browsertest.Until(t, "the preview was posted", func() bool { return k.posted.Load() == 1 })
	if !browsertest.Eval[bool](t, ctx, `document.querySelector("[name='controller.name']").value==="Corner Shop Limited"`) {
		t.Error("updating the preview lost what was typed")
	}
	browsertest.Click(t, ctx, `document.querySelector("button[value=review]")`)
	browsertest.Wait(t, ctx, `location.pathname.endsWith("/publish")&&document.body.textContent.includes("Corner Shop Limited")`)
	browsertest.Click(t, ctx, `document.querySelector("main form button.primary")`)
	browsertest.Wait(t, ctx, `document.querySelector("[role=status]").textContent.includes("Published")`)
}
