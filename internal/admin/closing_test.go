package admin_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"assent/internal/account"
	"assent/internal/retention"
	"assent/internal/site"
	"assent/receipt"
)

func TestDeletingAnOrganisation(t *testing.T) {
	k := signedIn(t)
	ctx := context.Background()
	s := k.addSite("shop.example", "Corner Shop")
	const page = "/console/organisation/closing"
	k.get(page).want(http.StatusOK).has("h1", "Delete My organisation").has(".lead", "1 site,")
	form := url.Values{"do": {"delete"}, "name": {"my organisation"}, "days": {"30"}}
	k.post(page, form).want(http.StatusUnprocessableEntity).has("#name-about", "My organisation")
	form.Set("name", "My organisation")
	form.Set("days", "1")
	k.post(page, form).want(http.StatusUnprocessableEntity).has("#days-about", "how long")
	form.Set("days", "7")
	k.exec("update session set proved_at = 1000")
	k.post(page, form).want(http.StatusForbidden).has("h1", "Confirm that it is you")
	form.Set("proof", password)
	k.post(page, form).want(http.StatusSeeOther)
	form.Del("proof")
	k.post(page, form).want(http.StatusConflict).has("[role=alert]", "asked for already")
	day := time.Now().AddDate(0, 0, 7).UTC().Format(time.DateOnly)
	k.get(page).want(http.StatusOK).has("h2", "It is erased on "+day)
	k.get("/console/sites/"+s.Key).want(http.StatusOK).has("#erased", "My organisation is erased for good on "+day)
	k.get("/console/sites").want(http.StatusOK).has("main .note", "is erased for good on "+day)
	if a := k.post("/console/organisation/export", nil).want(http.StatusOK); a.body != "archive of "+s.Organisation || a.header.Get("Content-Type") != "application/zip" {
		t.Errorf("the archive is %q", a.body)
	}
	k.exec("update session set proved_at = 1000")
	for range 2 { // one click, and an old page does no harm
		k.post("/console/organisation/keep", nil).want(http.StatusSeeOther)
	}
	if a := k.get("/console/sites/" + s.Key).want(http.StatusOK); one(a.root, "#erased") != nil {
		t.Error("it was taken back and is still announced")
	}
	k.get("/console/activity").has("td", "Asked to delete the organisation "+day).has("td", "Took the deleting of the organisation back")

	k.exec("update session set proved_at = last_seen_at")
	// The end of it: nobody enters any more, and an operator has the certificate.
	form.Set("days", "7")
	k.post(page, form).want(http.StatusSeeOther)
	k.exec("update member set operator = true")
	k.exec("update closing set due_at = 1000")
	if err := k.closing.Carry(ctx, s.Organisation); err != nil {
		t.Fatal(err)
	}
	k.get("/console/sites/" + s.Key).want(http.StatusNotFound)
	k.get(page).want(http.StatusForbidden)
	list := k.get("/console/operator/closings").want(http.StatusOK)
	link := attr(one(list.root, "main li a"), "href")
	data := k.get(link).want(http.StatusOK).body
	if r, err := receipt.VerifyClosing([]byte(data), receipt.Trust{}); err != nil || !r.Valid || r.Closing.ID != s.Organisation || len(r.Closing.Sites) != 1 {
		t.Errorf("%s: %+v, %v", link, r, err)
	}
	k.get("/console/operator/certificate?id=nothing&file=x").want(http.StatusNotFound)
}

func TestClosingAnAccount(t *testing.T) {
	k := signedIn(t)
	ctx := context.Background()
	const page = "/console/account/closing"
	form := url.Values{"do": {"delete"}, "name": {officer}, "days": {"14"}}
	k.post(page, form).want(http.StatusConflict).has("[role=alert]", "only owner of My organisation")
	k.exec("update membership set role = 'analyst'")
	k.post(page, form).want(http.StatusSeeOther)
	k.get(page).want(http.StatusOK).has("h2", "Your account is erased on "+time.Now().AddDate(0, 0, 14).UTC().Format(time.DateOnly))
	k.post(page, url.Values{"do": {"keep"}}).want(http.StatusSeeOther)
	k.get(page).want(http.StatusOK).has("h2", "Close the account")
	k.exec("update session set proved_at = 1000")
	k.post("/console/account/export", url.Values{}).want(http.StatusForbidden).has("h1", "Confirm that it is you")
	if a := k.post("/console/account/export", url.Values{"proof": {password}}).want(http.StatusOK); !strings.Contains(a.body, officer) || !strings.Contains(a.body, "assent/account-export/v1") || strings.Contains(a.body, "argon2id$") {
		t.Errorf("the export is %.300s", a.body)
	}
	k.post(page, form).want(http.StatusSeeOther)
	k.exec("update closing set due_at = 1000")
	m := must(k.accounts.MemberByEmail(ctx, officer))
	if err := k.closing.Carry(ctx, m.ID); err != nil {
		t.Fatal(err)
	}
	k.get("/console/sites").want(http.StatusSeeOther) // to the sign-in
	k.post("/console/sign-in", url.Values{"email": {officer}, "password": {password}}).want(http.StatusUnauthorized)
}

func TestRetentionPage(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Corner Shop")
	page := "/console/sites/" + s.Key + "/retention"
	k.decide(s, uuid.New(), time.Now().AddDate(-4, 0, 0), func(*receipt.Record) {})
	kept := k.decide(s, uuid.New(), time.Now().AddDate(0, -1, 0), func(*receipt.Record) {})
	k.get(page+"?preview=1").want(http.StatusOK).has("p", "Nothing: no record's time is over. The register has 2 entries.")
	set := url.Values{"do": {"set"}, "regime": {"eu"}, "months": {"many"}}
	k.post(page, set).want(http.StatusUnprocessableEntity).has("#months-about", "0 to 240").value("#months")
	set.Set("months", "24")
	k.post(page, set).want(http.StatusSeeOther)
	k.post(page, url.Values{"do": {"set"}, "regime": {"atlantis"}, "months": {"1"}}).want(http.StatusBadRequest)
	k.post(page, url.Values{"do": {"set"}, "months": {"12"}}).want(http.StatusSeeOther)
	k.get(page).want(http.StatusOK).has("li", "24 months").has("li", "Everywhere else: 12 months")
	k.get(page+"?preview=1").want(http.StatusOK).has("p", "This would remove 1 of 2 entries").has("td", time.Now().AddDate(-4, 0, 0).UTC().Format(time.DateOnly))
	k.post(page, url.Values{"do": {"run"}}).want(http.StatusSeeOther)
	done := k.get(page+"?preview=1").want(http.StatusOK).has("p", "Nothing: no record's time is over")
	link := attr(one(done.root, "td a"), "href")
	data := k.get(link).want(http.StatusOK).body
	if r, err := receipt.VerifyCertificate([]byte(data), ""); err != nil || !r.Valid || r.Erased != 1 {
		t.Errorf("%s: %+v, %v", link, r, err)
	}
	k.get(page + "/certificate?act=77").want(http.StatusNotFound)
	k.get("/console/sites/" + s.Key + "/records/" + kept.String()).want(http.StatusOK)
	k.post(page, url.Values{"do": {"drop"}, "regime": {"eu"}}).want(http.StatusSeeOther)
	k.post(page, url.Values{"do": {"drop"}, "regime": {"eu"}}).want(http.StatusSeeOther)
	k.get("/console/activity").has("td", "Changed how long records are kept eu: 24 months")

	// An auditor reads it, and changes nothing.
	auditor := must(k.accounts.Join(context.Background(), account.Joining{Email: "audit@law.example", Organisation: s.Organisation, Role: account.Auditor}))
	k.exec("update session set member_id = $1", auditor.ID)
	if a := k.get(page).want(http.StatusOK); one(a.root, "main button") != nil {
		t.Error("an auditor is offered a change")
	}
	k.post(page, set).want(http.StatusForbidden)
}

// retained gives a site a rule, a run that has removed something, and something for
// the next one.
func (k *desk) retained(s *site.Site) {
	k.t.Helper()
	ctx := context.Background()
	if err := k.retention.Set(ctx, retention.Rule{SiteID: s.ID, Months: 24}); err != nil {
		k.t.Fatal(err)
	}
	k.decide(s, uuid.New(), time.Now().AddDate(-5, 0, 0), func(*receipt.Record) {})
	must(k.retention.Run(ctx, []retention.Site{{ID: s.ID, Key: s.Key}}))
	k.decide(s, uuid.New(), time.Now().AddDate(-4, 0, 0), func(*receipt.Record) {})
}
