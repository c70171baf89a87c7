package admin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"assent/internal/admin"
	"assent/internal/db"
	"assent/internal/jobs"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/webhook"
	"assent/internal/webhook/wire"
)

// openWebhooks are webhooks whose queue nobody runs: the console promises, the
// server tells.
func openWebhooks(d *db.DB, reg *register.Register, sites *site.Store, secret []byte) (*webhook.Store, error) {
	sender := wire.NewSender("test", false, nil)
	return webhook.NewStore(webhook.Config{DB: d, Queue: jobs.New(d, time.Now), Secret: secret, Register: reg, SiteKey: sites.KeyOf,
		Receipt: func(id string) string { return "https://consent.test/r/" + id }, Send: sender.Send, CheckURL: sender.CheckURL, Now: time.Now})
}

func TestWebhooksAreKept(t *testing.T) {
	k := signedIn(t)
	s, other := k.addSite("shop.example", "Shop"), k.addSite("blog.example", "Blog")
	base := "/console/sites/" + s.Key + "/webhooks"
	k.get(base).want(http.StatusOK).has("h2", "Add the first").count("input[type=checkbox]", len(webhook.Events))
	k.post(base, url.Values{"url": {"https://shop.example/hook"}}).want(http.StatusUnprocessableEntity).has(".error", "at least one event")
	for _, wrong := range []string{"http://shop.example/", "https://127.0.0.1/", "https://localhost/x", "javascript:alert(1)", ""} {
		k.post(base, url.Values{"url": {wrong}, "event": {webhook.Given}}).want(http.StatusUnprocessableEntity).count(".error", 1)
	}
	made := k.post(base, url.Values{"url": {"https://shop.example/hook?key=abc"}, "event": {webhook.Given, webhook.Erased}}).want(http.StatusOK).has("code", "whsec_")
	if made.header.Get("Cache-Control") != "no-store" {
		t.Error("a page with a secret may be stored")
	}
	list := k.get(base).want(http.StatusOK).has("td", "consent.given, record.erased")
	if strings.Contains(list.body, "whsec_") {
		t.Error("the secret is shown again")
	}
	page := attr(one(list.root, "td a"), "href")
	k.get(page).want(http.StatusOK).has("p", "Nothing was told yet")
	k.post(page, url.Values{"do": {"test"}}).want(http.StatusSeeOther)
	shown := k.get(page+"?done=tried").want(http.StatusOK).has("[role=status]", "Sent.").has("td", "A trial").has(".badge", "waiting")
	k.post(page, url.Values{"do": {"replay"}, "delivery": {text(one(shown.root, "td code"))}}).want(http.StatusConflict)
	k.post(page, url.Values{"do": {"replay"}, "delivery": {"msg_none"}}).want(http.StatusNotFound)
	k.post(page, url.Values{"do": {"rotate"}}).want(http.StatusOK).has("code", "whsec_")
	k.post(page, url.Values{"do": {"anything"}}).want(http.StatusBadRequest)
	// Under another site there is nothing.
	elsewhere := strings.Replace(page, s.Key, other.Key, 1)
	k.get(elsewhere).want(http.StatusNotFound)
	k.post(elsewhere, url.Values{"do": {"remove"}}).want(http.StatusNotFound)
	done := k.post(page, url.Values{"do": {"remove"}}).want(http.StatusSeeOther)
	k.get(done.header.Get("Location")).want(http.StatusOK).has("h2", "Add the first")
	k.get(page).want(http.StatusNotFound)
	log := k.get("/console/activity").has("td", "removed shop.example").has("td", "added shop.example")
	if strings.Contains(log.body, "key=abc") {
		t.Error("the log shows the whole address, which may hold a secret")
	}
}

func TestEveryTemplateParses(t *testing.T) {
	if n := admin.ParseViews(); n < 19 { // panics at one that does not
		t.Errorf("only %d pages", n)
	}
}
