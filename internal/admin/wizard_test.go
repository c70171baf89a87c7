package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"assent/internal/account"
)

// From a domain to a tag that is found in a page, in a browser without scripts.
func TestWizard(t *testing.T) {
	k := signedIn(t)
	ctx := context.Background()
	k.get("/console/sites/new").want(http.StatusOK).has("[aria-current=step]", "Domain")
	to := k.post("/console/sites/new", url.Values{"domains": {"127.0.0.1"}, "name": {"Shop"}, "language": {"de"}}).want(http.StatusSeeOther).header.Get("Location")
	rules, _, _ := strings.Cut(to, "?")
	base := strings.TrimSuffix(rules, "/setup/rules")
	key := base[strings.LastIndexByte(base, '/')+1:]

	form := k.get(rules).want(http.StatusOK).form("main form")
	form.Set("controller.policy_url", "shop")
	k.post(rules, form).want(http.StatusUnprocessableEntity).has("#controller-policy_url-about", "whole address")
	form.Set("controller.policy_url", "https://shop.example/privacy")
	form.Set("regimes", "eu")
	form.Add("regimes", "uk")
	look := k.post(rules, form).want(http.StatusSeeOther).header.Get("Location")
	n := must(k.sites.Draft(ctx, key))
	if strings.Join(n.Regimes, " ") != "eu uk" || n.Regime != "opt-in" || n.Controller.PolicyURL != "https://shop.example/privacy" || n.Languages[0] != "de" {
		t.Errorf("draft %+v", n)
	}

	// Left here, and taken up again from the site's page.
	next := one(k.get(base).want(http.StatusOK).has(".note", "step 3 of 5").root, ".note a.button")
	if attr(next, "href") != look {
		t.Errorf("going on leads to %s, not %s", attr(next, "href"), look)
	}
	form = k.get(look).want(http.StatusOK).form("main form")
	form.Set("light.button", "#fefefe")
	k.post(look, form).want(http.StatusUnprocessableEntity).has("#light-button-about", "hard to see")
	k.post(base+"/setup/preview", form).want(http.StatusOK).has("iframe", "")
	form.Set("light.button", "#0b5d1e")
	form.Set("placement", "bar")
	services := k.post(look, form).want(http.StatusSeeOther).header.Get("Location")
	if n = must(k.sites.Draft(ctx, key)); n.Layout.Placement != "bar" || n.Layout.Light.Button != "#0b5d1e" || !n.Layout.Floating {
		t.Errorf("layout %+v", n.Layout)
	}

	// The page as it is today, without the tag, tells what it uses.
	var page string
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, page)
	}))
	defer shop.Close()
	k.page = shop.URL
	page = `<head><script src="https://www.clarity.ms/tag/x"></script></head>`
	k.post(services, url.Values{"do": {"look"}}).want(http.StatusOK).has("[role=status]", "Recognised").has("label[for=s-microsoft-clarity]", "Clarity").count("#s-microsoft-clarity[checked]", 1)
	k.post(services, url.Values{"do": {"add"}, "service": {"microsoft-clarity"}}).want(http.StatusSeeOther)
	k.get(services+"?q=vimeo").want(http.StatusOK).has("label", "Vimeo").has("section li", "Clarity")
	k.post(services, url.Values{"do": {"next"}, "service": {"no-such"}}).want(http.StatusNotFound)
	install := k.post(services, url.Values{"do": {"next"}}).want(http.StatusSeeOther).header.Get("Location")

	at := k.get(install).want(http.StatusOK).has("[aria-current=step]", "Install").has("[role=status]", "Not seen yet").has(".snippet code", "/b/"+key+".js")
	publish := at.form("#live")
	if to := k.post(base+"/publish", publish).want(http.StatusSeeOther).header.Get("Location"); to != install+"?done=published" {
		t.Errorf("published, led to %s", to)
	}
	k.get(install).want(http.StatusOK).has(".note.good", "in force")
	k.post(install, url.Values{"do": {"check"}, "url": {shop.URL}}).want(http.StatusOK).has("#check .note.bad", "not in this page")
	page = `<head><script src="https://consent.test/b/` + key + `.js"></script><script src="https://www.clarity.ms/tag/x"></script></head>`
	k.post(install, url.Values{"do": {"check"}, "url": {shop.URL}}).want(http.StatusOK).has("#check .badge.good", "right")
	k.post(install, url.Values{"do": {"check"}, "url": {"https://elsewhere.example/"}}).want(http.StatusUnprocessableEntity).has("#url-about", "none of them")

	s := must(k.sites.Get(ctx, key))
	k.stats.Install(s.ID, "127.0.0.1", "", "tag", "", s.Owns)
	if err := k.stats.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	k.get(install).want(http.StatusOK).has("[role=status]", "Seen on 127.0.0.1 just now, version 2.")
	k.post(install, url.Values{"do": {"finish"}}).want(http.StatusSeeOther)
	k.get(base).want(http.StatusOK).has(".note.good", "Seen on 127.0.0.1").count(".note.warn .button", 0)
	k.get(install).want(http.StatusOK).count(".steps", 0)
}

// Whoever may not publish is told who may; whoever may only look, looks.
func TestInstallForOtherRoles(t *testing.T) {
	k := signedIn(t)
	ctx := context.Background()
	s := k.addSite("shop.example", "Shop")
	if err := k.sites.SetSetupStep(ctx, s.ID, 5); err != nil {
		t.Fatal(err)
	}
	draft := must(k.sites.Draft(ctx, s.Key))
	draft.Layout.Radius = 3
	if err := k.sites.SaveDraft(ctx, s.Key, draft); err != nil {
		t.Fatal(err)
	}
	w := &town{desk: k, site: s}
	for role, want := range map[account.Role]struct {
		note  string
		check int
	}{account.Developer: {"Somebody whose role may publish", 1}, account.Analyst: {"Not seen yet", 0}} {
		m := must(k.accounts.Join(ctx, account.Joining{Email: string(role) + "@shop.example", Organisation: s.Organisation, Role: role}))
		w.knock(person{name: string(role), member: m, role: role}, http.MethodGet, "/console/sites/"+s.Key+"/install").want(http.StatusOK).has(".note", want.note).count("#check", want.check)
	}
}

// A translation whose source text was changed is named, until it is written anew or
// said to be right.
func TestEditorShowsStaleTranslations(t *testing.T) {
	k := signedIn(t)
	ctx := context.Background()
	s := must(k.sites.Add(ctx, []string{"shop.example"}, "Shop", officer, "en", "de"))
	page := "/console/sites/" + s.Key + "/banner"
	form := k.get(page).want(http.StatusOK).count(".stale", 0).form("#editor")
	form.Set("texts.en.title", "Cookies?")
	form.Set("texts.en.description.analytics", "Counting.")
	form.Set("do", "save")
	k.post(page, form).want(http.StatusSeeOther)
	a := k.get(page).want(http.StatusOK).count(".stale", 2).has("#texts-de-title-about", "Your choice about cookies").has("summary .badge", "2 texts are stale")
	form = a.form("#editor")
	form.Set("texts.de.title", "Cookies auf dieser Seite")
	form.Set("do", "save")
	k.post(page, form).want(http.StatusSeeOther)
	form = k.get(page).want(http.StatusOK).count(".stale", 1).form("#editor")
	form.Set("do", "fresh.de")
	k.post(page, form).want(http.StatusOK).count(".stale", 0)
	k.get(page).want(http.StatusOK).count(".stale", 0)
}
