package admin_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"assent/internal/site"
	"assent/internal/stats"
)

// saw counts what a page of the site wanted, as a visitor's browser reports it.
func (k *desk) saw(s *site.Site, times int, kind, name, directive, page string) {
	k.t.Helper()
	seen, ok := stats.Class(kind, name, directive, page, false)
	if !ok {
		k.t.Fatalf("%s %q has no class", kind, name)
	}
	k.stats.Add(s.ID, seen, times)
	if err := k.stats.Flush(context.Background()); err != nil {
		k.t.Fatal(err)
	}
}

func (k *desk) draft(s *site.Site) *site.Notice {
	k.t.Helper()
	n, err := k.sites.Draft(context.Background(), s.Key)
	if err != nil {
		k.t.Fatal(err)
	}
	return n
}

func seenForm(do, kind, name, to string) url.Values {
	return url.Values{"do": {do}, "kind": {kind}, "name": {name}, "to": {to}}
}

func TestEmptyListTeaches(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Shop")
	page := k.get("/console/sites/"+s.Key+"/seen").want(http.StatusOK).has("h2", "Nothing seen yet").has("main", "Never who visited").count(".note", 0)
	page.has("nav.tabs a[aria-current]", "Seen")
	n := k.draft(s)
	n.Enforcement.Report = false
	if err := k.sites.SaveDraft(context.Background(), s.Key, n); err != nil {
		t.Fatal(err)
	}
	if _, err := k.sites.Publish(context.Background(), s.Key, officer); err != nil {
		t.Fatal(err)
	}
	k.get("/console/sites/"+s.Key+"/seen").want(http.StatusOK).has(".note.warn", "does not report")
	k.get("/console/sites/nosuchsite/seen").want(http.StatusNotFound)
	k.post("/console/sites/nosuchsite/seen", seenForm("clear", "", "", "")).want(http.StatusNotFound)
}

func TestWhatWasSeenIsListedByName(t *testing.T) {
	k, pages := furnished(t)
	page := k.get(pages["seen"]).want(http.StatusOK).count("table.seen tbody tr", 6)
	if first := text(one(page.root, "table.seen code")); first != "cdn.adnet.example" {
		t.Errorf("the first is %s, not the most frequent", first)
	}
	page.has("table.seen tr", "script, image").has("table.seen td", "255 blocked")
	page.has("table.seen td", "/product/*").has("table.seen td", "_session_*").has("em", "a bare IP address")
	page.has("details li", "cdn.counter.example").has("details li .badge.good", "in force").has("details li", "status.example")
	for _, secret := range []string{"4711", "203.0.113", "4f3a77"} {
		if strings.Contains(page.body, secret) {
			t.Errorf("the page shows %s", secret)
		}
	}
	k.get(pages["seen-empty"]).has("h2", "Nothing seen yet")
}

// One click, with what the form proposes.
func TestDeclareWithOneClick(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Shop")
	path := "/console/sites/" + s.Key + "/seen"
	k.saw(s, 9, "request", "cdn.vendor.example", "script-src-elem", "/")
	form := k.get(path).form("table.seen form")
	form.Set("do", "declare")
	if to := form.Get("to"); to != "new:advertising" {
		t.Errorf("a click declares it as %s", to)
	}
	next := k.post(path, form).want(http.StatusSeeOther).header.Get("Location")
	if next != "/console/sites/"+s.Key+"/banner?done=declared&service=cdn-vendor-example#services" {
		t.Errorf("leads to %s", next)
	}
	k.get(next[:strings.Index(next, "#")]).want(http.StatusOK).has("[role=status]", "Declared in the draft").has("#services[open] details[open] summary", "cdn.vendor.example")
	if n := k.draft(s); len(n.Services) != 1 || n.Services[0].Hosts[0] != "cdn.vendor.example" || n.Services[0].Category != "advertising" {
		t.Errorf("the draft has %+v", n.Services)
	}
	k.get(path).has("h2", "Everything is declared").has("details li", "in the draft only")

	// Another host of the same company goes to its service, a cookie where it is put.
	k.saw(s, 1, "request", "img.vendor.example:8443", "img-src", "/")
	form = k.get(path).form("table.seen form")
	form.Set("do", "declare")
	if form.Get("to") != "service:cdn-vendor-example" {
		t.Errorf("a host of the same company goes to %s", form.Get("to"))
	}
	k.post(path, form).want(http.StatusSeeOther)
	k.saw(s, 1, "cookie", "vc2_id", "", "/")
	k.post(path, seenForm("declare", "cookie", "vc*_id", "service:cdn-vendor-example")).want(http.StatusSeeOther)
	k.saw(s, 1, "local_storage", "seen-tips", "", "/")
	k.post(path, seenForm("declare", "local_storage", "seen-tips", "new:functional")).want(http.StatusSeeOther)
	n := k.draft(s)
	if len(n.Services) != 2 || strings.Join(n.Services[0].Hosts, " ") != "cdn.vendor.example img.vendor.example:8443" ||
		len(n.Services[0].Trackers) != 1 || n.Services[0].Trackers[0] != (site.Tracker{Kind: "cookie", Name: "vc*_id"}) ||
		n.Services[1].Trackers[0] != (site.Tracker{Kind: "local_storage", Name: "seen-tips"}) {
		t.Errorf("the draft has %+v", n.Services)
	}
	k.post(path, form).want(http.StatusSeeOther) // twice is once
	if again := k.draft(s); len(again.Services[0].Hosts) != 2 {
		t.Errorf("declared twice: %v", again.Services[0].Hosts)
	}
	k.get("/console/activity").has("td", "Saved the draft")
}

func TestOnlyWhatTheSiteHasSeenCanBeDeclared(t *testing.T) {
	k := signedIn(t)
	s, other := k.addSite("shop.example", "Shop"), k.addSite("blog.example", "Blog")
	path := "/console/sites/" + s.Key + "/seen"
	k.saw(other, 1, "request", "cdn.vendor.example", "script-src-elem", "/")
	k.saw(s, 1, "request", "203.0.113.9", "img-src", "/")
	k.saw(s, 1, "request", "a_b.vendor.example", "img-src", "/")
	for _, form := range []url.Values{
		seenForm("declare", "request", "cdn.vendor.example", "new:analytics"), // of another site
		seenForm("declare", "request", "*", "new:analytics"),
		seenForm("declare", "other", "", "new:analytics"),
		seenForm("ignore", "request", "cdn.vendor.example", ""),
	} {
		k.post(path, form).want(http.StatusNotFound)
	}
	k.post(path, seenForm("eat", "request", "*", "")).want(http.StatusBadRequest)
	k.post(path, seenForm("declare", "request", "a_b.vendor.example", "new:marketing")).want(http.StatusUnprocessableEntity).has("[role=alert]", "Choose one of the draft's services")
	k.post(path, seenForm("declare", "request", "a_b.vendor.example", "service:none")).want(http.StatusUnprocessableEntity)
	k.post(path, seenForm("declare", "request", "a_b.vendor.example", "new:analytics")).want(http.StatusUnprocessableEntity).has("[role=alert]", "is not usable").has("table.seen", "a_b.vendor.example")
	if n := k.draft(s); len(n.Services) != 0 {
		t.Errorf("the draft has %+v", n.Services)
	}
}

func TestIgnoreHidesUntilItIsListedAgain(t *testing.T) {
	k := signedIn(t)
	s, other := k.addSite("shop.example", "Shop"), k.addSite("blog.example", "Blog")
	path := "/console/sites/" + s.Key + "/seen"
	for _, at := range []*site.Site{s, other} {
		k.saw(at, 2, "request", "cdn.vendor.example", "script-src-elem", "/")
	}
	form := k.get(path).form("table.seen form")
	form.Set("do", "ignore")
	to := k.post(path, form).want(http.StatusSeeOther).header.Get("Location")
	k.saw(s, 1, "request", "cdn.vendor.example", "img-src", "/") // seen again, still ignored
	k.get(to).has("[role=status]", "Ignored").count("table.seen", 0).has("details li", "seen 3 times")
	k.get("/console/sites/"+other.Key+"/seen").count("table.seen tbody tr", 1)
	form = k.get(path).form("details form")
	form.Set("do", "unignore")
	k.post(path, form).want(http.StatusSeeOther)
	k.get(path).count("table.seen tbody tr", 1)
	k.post(path, seenForm("clear", "", "", "")).want(http.StatusSeeOther)
	k.get(path).has("h2", "Nothing seen yet")
	k.get("/console/sites/"+other.Key+"/seen").count("table.seen tbody tr", 1)
}

// A site that was flooded keeps a page that opens.
func TestLongListIsCut(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Shop")
	for i := range 600 {
		k.stats.Add(s.ID, stats.Seen{Kind: "request", Name: "h" + strings.Repeat("a", i%26+1) + string(rune('a'+i/26)) + ".example", Page: "/"}, 1)
	}
	if err := k.stats.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	k.get("/console/sites/"+s.Key+"/seen").want(http.StatusOK).count("table.seen tbody tr", 100).has(".note", "400 more names are left out").has(".note", "found no room")
}

func TestEditorSetsWhatUndeclaredNamesGet(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Shop")
	path := "/console/sites/" + s.Key + "/banner"
	form := k.get(path).form("#editor")
	if form.Get("report") != "1" || form.Get("undeclared_storage") != "block" {
		t.Errorf("a new site has report %q and storage %q", form.Get("report"), form.Get("undeclared_storage"))
	}
	form.Set("do", "save")
	k.post(path, form).want(http.StatusSeeOther)
	k.get(path).has("[data-state]", "The same as what visitors see")
	form.Set("undeclared_storage", "allow")
	form.Set("undeclared", "report")
	form.Del("report") // the rule needs it
	form.Set("base", k.get(path).value("[name=base]"))
	k.post(path, form).want(http.StatusSeeOther)
	if e := k.draft(s).Enforcement; e.UndeclaredStorage != "allow" || e.Undeclared != "report" || !e.Report {
		t.Errorf("the draft has %+v", e)
	}
	k.get("/console/sites/"+s.Key+"/publish").has("td", "names that no service declares")
}
