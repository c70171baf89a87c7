package admin_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"assent/internal/account"
	"assent/internal/admin"
	"assent/internal/banner"
	"assent/internal/site"
)

func TestSetUpFromLink(t *testing.T) {
	k := newDesk(t)
	token, err := k.accounts.SetupLink(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	k.get("/console/setup?token=somethingelse").want(http.StatusNotFound).has("main", "Start the server again")
	k.get("/console/sign-in").want(http.StatusOK).has(".note", "one-time link")
	page := k.get("/console/setup?token=" + token).want(http.StatusOK)
	form := page.form("main form")
	form.Set("email", officer)
	form.Set("name", "Olga")
	form.Set("password", "too short")
	form.Set("again", "too short")
	page = k.post("/console/setup", form).want(http.StatusUnprocessableEntity).has("#password-about", "at least 12")
	if page.value("#email") != officer || page.value("#name") != "Olga" {
		t.Error("what was typed is lost after an error")
	}
	if strings.Contains(page.body, "too short\"") {
		t.Error("the password stands in the page")
	}
	form.Set("password", password)
	form.Set("again", password+"x")
	k.post("/console/setup", form).want(http.StatusUnprocessableEntity).has("#again-about", "differ")
	form.Set("again", password)
	done := k.post("/console/setup", form).want(http.StatusSeeOther)
	if cookie := done.header.Get("Set-Cookie"); !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") || !strings.Contains(cookie, "Path=/") {
		t.Errorf("cookie = %s", cookie)
	}
	k.get("/console/sites").want(http.StatusOK).has("h2", "No site yet").has("code", "assent site add --domain shop.example")
	k.get("/console/setup?token="+token).want(http.StatusNotFound).has("main", "assent user reset")
}

func TestSignInAndOut(t *testing.T) {
	k := signedIn(t)
	k.get("/console/").want(http.StatusSeeOther)
	k.post("/console/sign-out", nil).want(http.StatusSeeOther)
	if to := k.get("/console/activity?before=x").want(http.StatusSeeOther).header.Get("Location"); to != "/console/sign-in?next=%2Fconsole%2Factivity%3Fbefore%3Dx" {
		t.Errorf("signed out, a page leads to %s", to)
	}
	form := k.get("/console/sign-in?next=/console/activity").want(http.StatusOK).count(".note", 0).form("main form")
	form.Set("email", officer)
	form.Set("password", "wrong wrong wrong")
	wrong := k.post("/console/sign-in", form).want(http.StatusUnauthorized).has("[role=alert]", "not right")
	if wrong.value("#email") != officer {
		t.Error("the address is lost after a wrong password")
	}
	form.Set("email", "nobody@shop.example")
	unknown := k.post("/console/sign-in", form).want(http.StatusUnauthorized)
	if text(one(unknown.root, "[role=alert]")) != text(one(wrong.root, "[role=alert]")) {
		t.Error("an unknown address is answered otherwise than a wrong password")
	}
	form.Set("email", officer)
	form.Set("password", password)
	if to := k.post("/console/sign-in", form).want(http.StatusSeeOther).header.Get("Location"); to != "/console/activity" {
		t.Errorf("signed in, led to %s", to)
	}
	k.get("/console/activity").want(http.StatusOK).has("td", "Signed out").has("td", "Set up the first account")
}

func TestGuessingIsSlowedDown(t *testing.T) {
	k := signedIn(t)
	k.client = k.stranger()
	for range 6 {
		k.post("/console/sign-in", url.Values{"email": {officer}, "password": {"wrong wrong wrong"}}).want(http.StatusUnauthorized)
	}
	k.post("/console/sign-in", url.Values{"email": {officer}, "password": {password}}).want(http.StatusTooManyRequests).has("[role=alert]", "Wait a minute")
	k.post("/console/sign-in", url.Values{"email": {"other@shop.example"}, "password": {password}}).want(http.StatusUnauthorized)
}

func TestNextStaysInTheConsole(t *testing.T) {
	const home = "/console/sites"
	for next, want := range map[string]string{
		"/console/activity": "/console/activity", "/console/sites/a/register?q=x&from=": "/console/sites/a/register?q=x&from=",
		"": home, "https://evil.example/": home, "//evil.example/console/": home, "/console/../../evil": home, "/console//evil.example": home,
		"/console/\\evil": home, "javascript:alert(1)": home, "/console/sign-out": home, "/elsewhere": home, "/console/\nx": home, "/console/%0d%0ax": "/console/%0d%0ax",
	} {
		if got := admin.SafeNext(next); got != want {
			t.Errorf("next %q leads to %q, want %q", next, got, want)
		}
	}
}

// Whoever is signed out gets no page, no data and no effect, on any route.
func TestSignedOutSeesNothing(t *testing.T) {
	k, pages := furnished(t)
	real := strings.Split(strings.TrimPrefix(pages["record"], "/console/sites/"), "/")
	version := strings.Split(pages["version"], "/")
	visitor := strings.Split(pages["visitor"], "/")
	fill := strings.NewReplacer("{site}", real[0], "{record}", real[2], "{version}", version[len(version)-1], "{consent}", visitor[len(visitor)-1], "{$}", "")
	k.client = k.stranger()
	walked := 0
	for pattern, need := range admin.Routes() {
		method, path, found := strings.Cut(pattern, " ")
		if !found {
			method, path = http.MethodGet, pattern+"nowhere"
		}
		if need == account.Everybody {
			continue
		}
		walked++
		path = fill.Replace(path)
		for _, cookie := range []string{"", "assent-session=AAAA", "assent-session=" + strings.Repeat("A", 43)} {
			r, err := http.NewRequest(method, k.server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Cookie", cookie)
			a := k.do(k.client, r)
			if method == http.MethodGet {
				a.want(http.StatusSeeOther)
				if !strings.HasPrefix(a.header.Get("Location"), "/console/sign-in?next=") {
					t.Errorf("%s leads to %s", a.what, a.header.Get("Location"))
				}
			} else {
				a.want(http.StatusUnauthorized)
			}
			for _, secret := range []string{"Corner Shop", officer, visitor[len(visitor)-1], "Visit Counter", "192.0.2."} {
				if strings.Contains(a.body, secret) && !strings.Contains(path, secret) {
					t.Errorf("%s shows %q to somebody signed out", a.what, secret)
				}
			}
		}
	}
	if walked < 20 {
		t.Fatalf("only %d routes were walked", walked)
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	k := signedIn(t)
	for name, set := range map[string]func(*http.Request){
		"a modern browser": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a sibling domain": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"an old browser":   func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
	} {
		r, err := http.NewRequest(http.MethodPost, k.server.URL+"/console/sites/new", strings.NewReader("domains=evil.example"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		set(r)
		t.Log(name)
		k.do(k.client, r).want(http.StatusForbidden).has("main", "came from another site")
	}
	k.get("/console/sites").has("h2", "No site yet")
}

func TestHeadersOfEveryPage(t *testing.T) {
	k, pages := furnished(t)
	for name, path := range pages {
		h := k.get(path).header
		for header, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if h.Get(header) != want {
				t.Errorf("%s: %s = %q, want %q", name, header, h.Get(header), want)
			}
		}
		policy := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none';") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy = %s", name, policy)
		}
	}
}

func TestSecureCookieIsBoundToTheHost(t *testing.T) {
	k := signedIn(t)
	secure := httptest.NewServer(admin.New(admin.Deps{Sites: k.sites, Register: k.register, Accounts: k.accounts, Preview: banner.Preview,
		PublicURL: func() string { return "https://consent.test" }, SecureCookies: true}))
	defer secure.Close()
	k.server.URL = secure.URL
	cookie := k.post("/console/sign-in", url.Values{"email": {officer}, "password": {password}}).want(http.StatusSeeOther).header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "__Host-") || !strings.Contains(cookie, "; Secure") {
		t.Errorf("cookie = %s", cookie)
	}
}

func TestStaticFilesAreImmutable(t *testing.T) {
	k := newDesk(t)
	page := k.get("/console/sign-in").want(http.StatusOK)
	for _, path := range []string{attr(one(page.root, "script"), "src"), attr(one(page.root, "[rel=stylesheet]"), "href"), attr(one(page.root, "[rel=icon]"), "href")} {
		a := k.get(path).want(http.StatusOK)
		if !strings.Contains(a.header.Get("Cache-Control"), "immutable") || a.header.Get("ETag") == "" || len(a.body) == 0 {
			t.Errorf("%s: headers = %v", path, a.header)
		}
		r, err := http.NewRequest(http.MethodGet, k.server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("If-None-Match", a.header.Get("ETag"))
		k.do(k.client, r).want(http.StatusNotModified)
	}
	k.get("/console/static/console.css").want(http.StatusNotFound)
}

func TestAddSite(t *testing.T) {
	k := signedIn(t)
	bad := k.post("/console/sites/new", url.Values{"name": {"My shop"}, "domains": {"shop.example\nnot a domain!"}}).want(http.StatusUnprocessableEntity)
	bad.has("#domains-about", "is not a domain")
	if bad.value("#domains") != "shop.example\nnot a domain!" || bad.value("#name") != "My shop" {
		t.Error("what was typed is lost after an error")
	}
	k.post("/console/sites/new", url.Values{}).want(http.StatusUnprocessableEntity).has("#domains-about", "at least one domain")
	to := k.post("/console/sites/new", url.Values{"domains": {"https://www.shop.example/, Blog.Example"}}).want(http.StatusSeeOther).header.Get("Location")
	k.get(to).want(http.StatusOK).has("[role=status]", "is added").has("[aria-current=step]", "Rules")
	to = strings.TrimSuffix(to, "/setup/rules?done=added")
	page := k.get(to).want(http.StatusOK).has(".note", "step 2 of 5").has(".snippet code", `<script src="https://consent.test/b/`)
	if page.value("#domains") != "www.shop.example\nblog.example" {
		t.Errorf("domains = %q", page.value("#domains"))
	}
	path, _, _ := strings.Cut(to, "?")
	form := page.form("main form")
	form.Set("domains", "")
	k.post(path, form).want(http.StatusUnprocessableEntity).has("#domains-about", "at least one domain")
	form.Set("domains", "only.example")
	form.Set("name", "Renamed")
	k.post(path, form).want(http.StatusSeeOther)
	k.get("/console/sites").want(http.StatusOK).has("tbody tr", "Renamed").has("tbody tr", "only.example")
	k.get("/console/sites/unknown").want(http.StatusNotFound)
	k.get("/console/nowhere").want(http.StatusNotFound).has("h1", "Not found")
}

func TestChangePassword(t *testing.T) {
	k := signedIn(t)
	const next = "violet anchor sunday"
	form := url.Values{"current": {"not the present one"}, "password": {next}, "again": {next}}
	k.post("/console/account", form).want(http.StatusUnprocessableEntity).has("#current-about", "not your present password")
	form.Set("current", password)
	form.Set("again", next+"x")
	k.post("/console/account", form).want(http.StatusUnprocessableEntity).has("#again-about", "differ")
	form.Set("again", next)
	k.post("/console/account", form).want(http.StatusSeeOther)
	k.get("/console/account?done=password").want(http.StatusOK).has("[role=status]", "password is changed")
	k.client = k.stranger()
	k.post("/console/sign-in", url.Values{"email": {officer}, "password": {password}}).want(http.StatusUnauthorized)
	k.post("/console/sign-in", url.Values{"email": {officer}, "password": {next}}).want(http.StatusSeeOther)
}

// The form holds everything: sent back as it came, it changes nothing.
func TestEditorFormHoldsTheWholeNotice(t *testing.T) {
	k, pages := furnished(t)
	key := strings.Split(pages["site"], "/")[3]
	before, err := k.sites.Draft(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	form := k.get(pages["banner"]).want(http.StatusOK).form("#editor")
	form.Set("do", "save")
	k.post(pages["banner"], form).want(http.StatusSeeOther)
	after, err := k.sites.Draft(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	if changes := site.Diff(before, after); len(changes) > 0 {
		t.Fatalf("an untouched form changed the draft: %v", changes)
	}
}

func TestEditorAsksByTheRulesOfThePlace(t *testing.T) {
	k, pages := furnished(t)
	page := k.get(pages["banner"])
	page.has("#regimes", "everybody is asked alike").has("#regime-us-ca-about", "Global Privacy Control").has("#exempt-analytics-about", "statistics")
	form := page.form("#editor")
	form.Set("do", "save")
	form["regimes"] = []string{"us-ca", "eu", "atlantis"}
	form.Set("regime", "opt-out") // is that of the strictest all the same
	form.Set("rest_of_world", "world-notice")
	form["exempt"] = []string{"analytics", "necessary"}
	form.Set("dnt", "1")
	k.post(pages["banner"], form).want(http.StatusSeeOther)
	page = k.get(pages["banner"])
	page.has("#regimes", "2 regimes").has("#rest_of_world option[selected]", "Only inform")
	form = page.form("#editor")
	if got := fmt.Sprint(form["regimes"], form["exempt"], form["dnt"], form["regime"]); got != "[eu us-ca] [analytics] [1] [opt-in]" {
		t.Errorf("the form holds %s; want the kind of consent of the strictest, and what was ticked", got)
	}
	// Without a tick one regime holds again, and nothing of the others is left.
	form = page.form("#editor")
	form.Set("do", "save")
	form.Del("regimes")
	k.post(pages["banner"], form).want(http.StatusSeeOther)
	k.get(pages["banner"]).has("#regimes", "everybody is asked alike")
}

func TestEditorKeepsWhatWasTypedAndSaysWhatIsWrong(t *testing.T) {
	k, pages := furnished(t)
	form := k.get(pages["banner"]).form("#editor")
	form.Set("do", "save")
	form.Set("choice_days", "many")
	form.Set("radius", "99")
	form.Set("light.button", "#eeeeee")
	form.Set("dark.text", "red")
	form.Set("texts.en.title", "")
	form.Set("controller.policy_url", "shop.example/privacy")
	form.Set("service.0.name", "")
	page := k.post(pages["banner"], form).want(http.StatusUnprocessableEntity).has("[role=alert]", "fields need your attention")
	page.has("#choice_days-about", "between 1 and 390").has("#radius-about", "between 0 and 24").has("#light-button_text-about", "hard to read").
		has("#dark-text-about", "#1a2b3c").has("#texts-en-title-about", "Visitors need this text").has("#controller-policy_url-about", "https://").
		has("#service-0-name-about", "Give the service a name").has("[data-state]", "Not saved yet")
	for selector, want := range map[string]string{"#choice_days": "many", "#radius": "99", "#light-button": "#eeeeee", "#dark-text": "red", "#controller-policy_url": "shop.example/privacy"} {
		if got := page.value(selector); got != want {
			t.Errorf("%s = %q, want %q as typed", selector, got, want)
		}
	}
}

func TestEditorWithoutScript(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Corner Shop")
	path := "/console/sites/" + s.Key + "/banner"
	press := func(form url.Values, button string) (*answer, url.Values) {
		form.Set("do", button)
		a := k.post(path, form).want(http.StatusOK).has("[data-state]", "Not saved yet")
		return a, a.form("#editor")
	}
	_, form := press(k.get(path).form("#editor"), "add_service")
	form.Set("service.0.name", "Visit Counter!")
	form.Set("service.0.hosts", "https://CDN.counter.example/x.js, *.collect.example")
	_, form = press(form, "add_tracker.0")
	form.Set("service.0.tracker.0.name", "_vc*")
	_, form = press(form, "add_tracker.0")
	_, form = press(form, "remove_tracker.0.1")
	form.Set("new_language", "deutsch")
	bad, form := press(form, "add_language")
	bad.has("#new_language-about", "language code")
	form.Set("new_language", "de")
	_, form = press(form, "add_language")
	form.Set("texts.de.title", "Ihre Wahl")
	_, form = press(form, "add_service")
	_, form = press(form, "remove_service.1")
	form.Set("do", "review")
	if to := k.post(path, form).want(http.StatusSeeOther).header.Get("Location"); to != "/console/sites/"+s.Key+"/publish" {
		t.Errorf("review leads to %s", to)
	}
	n, err := k.sites.Draft(context.Background(), s.Key)
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Services) != 1 || n.Services[0].Key != "visit-counter" || strings.Join(n.Services[0].Hosts, " ") != "cdn.counter.example *.collect.example" ||
		len(n.Services[0].Trackers) != 1 || n.Services[0].Trackers[0] != (site.Tracker{Kind: "cookie", Name: "_vc*"}) || n.Texts["de"].Title != "Ihre Wahl" ||
		n.Texts["de"].AcceptAll != "Alle akzeptieren" || n.Texts["de"].Partners["one"] != "Ein Partner würde Daten erhalten." {
		t.Fatalf("draft = %+v", n)
	}
	form = k.get(path).form("#editor")
	_, form = press(form, "remove_language.en")
	form.Set("do", "save")
	k.post(path, form).want(http.StatusSeeOther)
	if n, err = k.sites.Draft(context.Background(), s.Key); err != nil || strings.Join(n.Languages, " ") != "de" {
		t.Fatalf("languages = %v, %v", n.Languages, err)
	}
}

func TestEditorOffersDefaultTexts(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Corner Shop")
	path := "/console/sites/" + s.Key + "/banner"
	press := func(form url.Values, button string) url.Values {
		form.Set("do", button)
		return k.post(path, form).want(http.StatusOK).form("#editor")
	}
	form := k.get(path).has("#languages", "Chinese").form("#editor")
	form.Set("new_language", "pl")
	form = press(form, "add_language")
	for _, name := range []string{"texts.pl.partners.few", "texts.pl.kind_name.local_storage", "texts.pl.session"} {
		if form.Get(name) == "" {
			t.Errorf("%s has no default", name)
		}
	}
	// A text that came later than the notice need not be written, the others do.
	form.Set("texts.pl.session", "")
	form.Set("texts.pl.title", "")
	form.Set("texts.en.partners.other", "")
	form.Set("do", "save")
	bad := k.post(path, form).want(http.StatusUnprocessableEntity).has("#texts-pl-title-about", "Visitors need this text").has("#texts-en-partners-other-about", "stands in for every other")
	if got := bad.value("#texts-pl-session"); got != "" {
		t.Errorf("the session is %q, want it empty as typed", got)
	}
	form = press(form, "reset_language.pl")
	form.Set("texts.en.partners.other", "{n} friends")
	form.Set("texts.en.session", "")
	form.Set("do", "save")
	k.post(path, form).want(http.StatusSeeOther)
	n, err := k.sites.Draft(context.Background(), s.Key)
	if err != nil {
		t.Fatal(err)
	}
	if n.Texts["pl"].Title == "" || n.Texts["pl"].Session == "" || n.Texts["en"].Session != "" || n.Texts["en"].Partners["other"] != "{n} friends" {
		t.Errorf("texts: %+v", n.Texts)
	}
	if got := attr(one(k.get(path).root, "#texts-en-session"), "placeholder"); got != "until the browser is closed" {
		t.Errorf("the empty text shows %q", got)
	}
}

func TestTwoPeopleEditAtOnce(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Corner Shop")
	path := "/console/sites/" + s.Key + "/banner"
	mine, theirs := k.get(path).form("#editor"), k.get(path).form("#editor")
	theirs.Set("do", "save")
	theirs.Set("texts.en.title", "Theirs")
	k.post(path, theirs).want(http.StatusSeeOther)
	mine.Set("do", "save")
	mine.Set("texts.en.title", "Mine")
	page := k.post(path, mine).want(http.StatusConflict).has("[role=alert]", "Somebody else saved this draft")
	again := page.form("#editor")
	if again.Get("texts.en.title") != "Mine" {
		t.Error("what was typed is lost after a conflict")
	}
	again.Set("do", "save")
	k.post(path, again).want(http.StatusSeeOther)
}

func TestPublishAndHistory(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Corner Shop")
	other := k.addSite("blog.example", "Blog")
	base := "/console/sites/" + s.Key
	k.get(base+"/publish").want(http.StatusOK).has(".lead", "is the same as version 1").count("input[name=draft]", 0)
	form := k.get(base + "/banner").form("#editor")
	form.Set("do", "review")
	form.Set("texts.en.title", "A new heading")
	k.post(base+"/banner", form).want(http.StatusSeeOther)
	k.get(base).has(".note", "1 change that visitors do not see yet")
	review := k.get(base+"/publish").want(http.StatusOK).has(".note", "no service is in: functional, analytics, advertising").has("del", "Your choice about cookies").has("ins", "A new heading").has("td", "Texts English title")
	confirm := review.form("main form")
	k.post(base+"/publish", url.Values{"draft": {"stale"}}).want(http.StatusConflict).has("[role=alert]", "has changed since")
	k.post(base+"/publish", confirm).want(http.StatusSeeOther)
	k.post(base+"/publish", confirm).want(http.StatusConflict).has("[role=alert]", "the same as the version in force")

	versions, err := k.sites.Versions(context.Background(), s.Key)
	if err != nil || len(versions) != 2 {
		t.Fatal(versions, err)
	}
	k.get(base+"/versions").want(http.StatusOK).has("tr", "Version 2 in force").has("tr", officer)
	k.get(base+"/versions?from="+versions[1].Version+"&to="+versions[0].Version).want(http.StatusOK).has("h2", "From version 1 to version 2").has("ins", "A new heading")
	k.get(base+"/versions/"+versions[0].Version).want(http.StatusOK).has("td", "A new heading").has("code", versions[0].Version)
	content := k.get(base + "/versions/" + versions[0].Version + "/content").want(http.StatusOK)
	if sum := sha256.Sum256([]byte(content.body)); hex.EncodeToString(sum[:]) != versions[0].Version {
		t.Error("the downloaded version does not have the hash that names it")
	}
	k.get("/console/sites/" + other.Key + "/versions/" + versions[0].Version).want(http.StatusNotFound)
	k.get(base + "/versions/0000").want(http.StatusNotFound)
	k.get(base + "/versions?from=0000&to=" + versions[0].Version).want(http.StatusNotFound)
	k.get("/console/activity").has("tr", "Published a version number 2")
}

func TestMembersPassword(t *testing.T) {
	k := signedIn(t)
	ctx := context.Background()
	if _, err := k.accounts.AddMember(ctx, "new@shop.example", "Nora", ""); err != nil {
		t.Fatal(err)
	}
	k.get("/console/members").has("td", "Nora new@shop.example no password yet")
	k.get("/console/account").has("li", "My organisation Owner")
	token, err := k.accounts.PasswordLink(ctx, "new@shop.example", "")
	if err != nil {
		t.Fatal(err)
	}
	k.client = k.stranger()
	page := k.get("/console/setup?token="+token).want(http.StatusOK).has("h1", "Choose your password").count("#email", 0)
	form := page.form("main form")
	form.Set("password", "violet anchor sunday")
	form.Set("again", "violet anchor sunday")
	k.post("/console/setup", form).want(http.StatusSeeOther)
	k.get("/console/account").want(http.StatusOK).has("dd", "new@shop.example")
}

// A bug of ours is answered with our page and tells nothing of its cause.
func TestPanicBecomesOurPage(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Corner Shop")
	broken := httptest.NewServer(admin.New(admin.Deps{Sites: k.sites, Register: k.register, Accounts: k.accounts, PublicURL: func() string { return "" },
		Preview: func(*site.Notice) ([]byte, error) { panic("the secret cause") }}))
	defer broken.Close()
	home := k.server.URL
	session := k.client.Jar.Cookies(must(url.Parse(home)))
	k.server.URL = broken.URL
	k.client.Jar.SetCookies(must(url.Parse(broken.URL)), session)
	defer func() { k.server.URL = home }()
	a := k.get("/console/sites/"+s.Key+"/preview").want(http.StatusInternalServerError).has("h1", "That did not work")
	if strings.Contains(a.body, "secret") || a.header.Get("Content-Security-Policy") == "" {
		t.Errorf("the page of an error says %s", a.body)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
