package admin_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"assent/internal/browsertest"
	"assent/internal/site"
)

func TestCatalogueIsSearchedAndAdded(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Shop")
	path := "/console/sites/" + s.Key + "/catalogue"
	k.get(path).want(http.StatusOK).count(".catalogue tbody tr", 40).has(".catalogue .help", "more services are left out")
	page := k.get(path+"?q=hotjar").want(http.StatusOK).count(".catalogue tbody tr", 1).has(".catalogue td", "Hotjar Limited").has(".catalogue dd", "_hjSession_*").has(".catalogue dd", "*.hotjar.com")
	if page.value("#q") != "hotjar" {
		t.Error("what was searched is lost")
	}
	k.get(path+"?q=nosuchthing").want(http.StatusOK).has("h2", "Nothing found")
	if hostile := k.get(path + "?q=" + url.QueryEscape(`"><script>alert(1)</script>`)).want(http.StatusOK); strings.Contains(hostile.body, "<script>alert") {
		t.Error("what was searched is not escaped")
	}

	form := page.form("form.catalogue")
	k.post(path, form).want(http.StatusUnprocessableEntity).has("[role=alert]", "Tick the services")
	form["service"] = []string{"hotjar", "google-analytics"}
	next := k.post(path, form).want(http.StatusSeeOther).header.Get("Location")
	if next != path+"?done=catalogue&q=hotjar" {
		t.Errorf("leads to %s", next)
	}
	k.get(next).has("[role=status]", "Added to the draft").has(".badge.good", "in your draft").count(".catalogue input[type=checkbox]", 0).has(".note", "turn on Google Consent Mode")
	n := k.draft(s)
	if len(n.Services) != 2 || n.Services[0].Key != "hotjar" || n.Services[0].Provider != "Hotjar Limited" || len(n.Services[0].Trackers) < 10 || n.Services[1].Key != "google-analytics" {
		t.Fatalf("the draft has %+v", n.Services)
	}
	k.post(path, form).want(http.StatusSeeOther) // twice is once
	if len(k.draft(s).Services) != 2 {
		t.Error("added twice")
	}
	k.get("/console/activity").has("td", "Saved the draft")
	k.post(path, url.Values{"service": {"nosuch"}}).want(http.StatusNotFound)
	k.get("/console/sites/nosuchsite/catalogue").want(http.StatusNotFound)
	k.post("/console/sites/nosuchsite/catalogue", form).want(http.StatusNotFound)
	// The editor shows it all, and saving there loses nothing.
	banner := "/console/sites/" + s.Key + "/banner"
	before := k.draft(s)
	edit := k.get(banner).form("#editor")
	edit.Set("do", "save")
	k.post(banner, edit).want(http.StatusSeeOther)
	if changes := site.Diff(before, k.draft(s)); len(changes) != 0 {
		t.Errorf("saving in the editor changed %v", changes)
	}
}

// A draft that lacks what the catalogue knows by now is offered just that.
func TestCatalogueOffersWhatItKnowsMore(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Shop")
	n := k.draft(s)
	n.Services = []site.Service{{Key: "hotjar", Name: "Heat map of ours", Category: "analytics", Purpose: map[string]string{"en": "Ours."}, Hosts: []string{"*.hotjar.com"},
		Trackers: []site.Tracker{{Kind: "cookie", Name: "_hj*", Lifetime: "1 year"}}}}
	if err := k.sites.SaveDraft(context.Background(), s.Key, n); err != nil {
		t.Fatal(err)
	}
	path := "/console/sites/" + s.Key + "/catalogue"
	page := k.get(path+"?q=hot").has("h2", "The catalogue knows more now").has("li", "*.hotjar.io")
	form := page.form("main li form")
	form.Set("complete", "hotjar")
	next := k.post(path, form).want(http.StatusSeeOther).header.Get("Location")
	k.get(next).has("[role=status]", "in the draft").count("main li form", 0)
	if got := k.draft(s).Services[0]; got.Name != "Heat map of ours" || got.Purpose["en"] != "Ours." || got.Trackers[0].Name != "_hj*" || strings.Join(got.Hosts, " ") != "*.hotjar.com *.hotjar.io" {
		t.Errorf("the service became %+v", got)
	}
}

// proposed is where one click declares a name of the list.
func (a *answer) proposed(name string) string {
	a.t.Helper()
	for _, form := range all(a.root, "table.seen form") {
		if n := one(form, "input[name=name]"); n != nil && attr(n, "value") == name {
			for _, o := range all(form, "option") {
				if hasAttr(o, "selected") {
					return attr(o, "value")
				}
			}
		}
	}
	a.t.Fatalf("%s does not list %s", a.what, name)
	return ""
}

// What was seen and the catalogue knows is declared whole with one click.
func TestSeenIsDeclaredFromTheCatalogue(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Shop")
	path := "/console/sites/" + s.Key + "/seen"
	k.saw(s, 9, "request", "script.hotjar.com", "script-src-elem", "/")
	form := k.get(path).has("table.seen small", "Known: Hotjar").form("table.seen form")
	if form.Get("to") != "catalogue:hotjar" {
		t.Fatalf("a click declares it as %s", form.Get("to"))
	}
	form.Set("do", "declare")
	next := k.post(path, form).want(http.StatusSeeOther).header.Get("Location")
	if next != "/console/sites/"+s.Key+"/banner?done=catalogue&service=hotjar#services" {
		t.Errorf("leads to %s", next)
	}
	k.saw(s, 5, "cookie", "_hjSessionUser_4711", "", "/")
	k.saw(s, 4, "cookie", "_fbp", "", "/")
	k.saw(s, 3, "request", "www.googletagmanager.com", "script-src-elem", "/")
	page := k.get(path).count("table.seen tbody tr", 2).has("details li", "Hotjar").has("table.seen small", "Known: Meta Pixel")
	if form := page.form("table.seen form"); form.Get("to") != "catalogue:meta-pixel" {
		t.Errorf("_fbp would be declared as %s", form.Get("to"))
	}
	page.has("option", "as Google Analytics, from the catalogue")
	if to := page.proposed("www.googletagmanager.com"); to != "catalogue:google-tag-manager" {
		t.Errorf("the tag manager's only host would be declared as %s", to)
	}
	// A host that many products share is of the one whose other things were seen.
	k.saw(s, 2, "request", "www.google.com", "frame-src", "/")
	if to := k.get(path).has("table.seen small", "Google Ads, Google Customer Reviews or another").proposed("www.google.com"); to != "new:advertising" {
		t.Errorf("www.google.com alone would be declared as %s", to)
	}
	k.saw(s, 1, "request", "www.recaptcha.net", "script-src-elem", "/")
	if to := k.get(path).proposed("www.google.com"); to != "catalogue:recaptcha" {
		t.Errorf("www.google.com beside recaptcha.net would be declared as %s", to)
	}
	// Only what the name is of.
	k.post(path, seenForm("declare", "cookie", "_fbp", "catalogue:stripe")).want(http.StatusUnprocessableEntity)
	k.post(path, seenForm("declare", "cookie", "_fbp", "catalogue:meta-pixel")).want(http.StatusSeeOther)
	if n := k.draft(s); len(n.Services) != 2 || n.Services[1].Name != "Meta Pixel" || n.Services[1].Signal != "meta" {
		t.Errorf("the draft has %+v", n.Services)
	}
	// A host more of a service that is declared goes to it.
	n := k.draft(s)
	n.Services[0].Hosts = []string{"static.hotjar.com"}
	n.Services[0].Name = "Ours"
	if err := k.sites.SaveDraft(context.Background(), s.Key, n); err != nil {
		t.Fatal(err)
	}
	if to := k.get(path).proposed("script.hotjar.com"); to != "service:hotjar" {
		t.Errorf("another host of Hotjar would be declared as %s", to)
	}
}

// Before publishing, what a regulator could object to is named with its rule.
func TestPublishPageNamesConcerns(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Shop")
	n := k.draft(s)
	n.Controller.PolicyURL = "https://shop.example/privacy"
	n.ChoiceDays = 200
	save := func() {
		t.Helper()
		if err := k.sites.SaveDraft(context.Background(), s.Key, n); err != nil {
			t.Fatal(err)
		}
	}
	save()
	path := "/console/sites/" + s.Key + "/publish"
	k.get(path).want(http.StatusOK).count(".concerns", 0)
	n.Layout.Floating = false
	n.Services = []site.Service{{Key: "google-analytics", Name: "Analytics", Category: "necessary"}}
	save()
	page := k.get(path).want(http.StatusOK).count(".concerns li", 2).has(".concerns .badge", "Hidden withdrawal").has(".concerns li", "GDPR, article 7(3)").has(".concerns li", "Listed as necessary")
	k.post(path, page.form("main form")).want(http.StatusSeeOther) // published all the same
}

// The whole way in a browser that runs no script of the console: search, add,
// publish; the banner of the draft names the service.
func TestCatalogueInABrowserWithoutScript(t *testing.T) {
	k, pages := furnished(t)
	s, err := k.sites.Get(context.Background(), strings.TrimPrefix(pages["site"], "/console/sites/"))
	if err != nil {
		t.Fatal(err)
	}
	k.saw(s, 300, "request", "script.hotjar.com", "script-src-elem", "/")
	n := k.draft(s)
	n.Layout.Floating = false
	if err := k.sites.SaveDraft(context.Background(), s.Key, n); err != nil {
		t.Fatal(err)
	}
	ctx := browsertest.Start(t)
	signInBrowser(t, ctx, k)
	browsertest.Open(t, ctx, k.server.URL+pages["seen"])
	browsertest.Wait(t, ctx, `document.querySelector("table.seen select").value==="catalogue:hotjar"`)
	browsertest.Shot(t, ctx, "catalogue-seen")
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	browsertest.Open(t, ctx, k.server.URL+pages["site"]+"/catalogue")
	browsertest.Eval[bool](t, ctx, `(document.querySelector("#q").value="openstreetmap foundation",true)`)
	browsertest.Click(t, ctx, `document.querySelector("[role=search] button")`)
	browsertest.Wait(t, ctx, `location.search.includes("q=openstreetmap")&&document.querySelectorAll(".catalogue tbody tr").length===1`)
	browsertest.Eval[bool](t, ctx, `(document.querySelector(".catalogue details").open=true)`)
	browsertest.Shot(t, ctx, "catalogue-found")
	browsertest.Click(t, ctx, `document.querySelector(".catalogue td.action button")`)
	browsertest.Wait(t, ctx, `document.querySelector("[role=status]")?.textContent.includes("Added to the draft")`)
	browsertest.Click(t, ctx, `document.querySelector(".head a.primary")`)
	browsertest.Wait(t, ctx, `location.pathname.endsWith("/publish")&&document.body.textContent.includes("OpenStreetMap Foundation")`)
	browsertest.Wait(t, ctx, `document.querySelector(".concerns").textContent.includes("article 7(3)")`)
	browsertest.Shot(t, ctx, "catalogue-publish")
	doc := attr(one(k.post(pages["site"]+"/preview", k.get(pages["banner"]).form("#editor")).want(http.StatusOK).root, "iframe"), "srcdoc")
	if !strings.Contains(doc, "OpenStreetMap Foundation") || !strings.Contains(doc, "Shows maps.") {
		t.Errorf("the banner does not name the service: %.300s", doc)
	}
}
