package admin_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"assent/internal/account"
)

// linkOn is the one-time link that a page shows, without the server.
func linkOn(a *answer) string {
	a.t.Helper()
	for _, n := range all(a.root, ".snippet code") {
		if link, found := strings.CutPrefix(text(n), "https://consent.test"); found {
			return link
		}
	}
	a.t.Fatalf("%s shows no link", a.what)
	return ""
}

func TestInviteAPersonAndRemoveThem(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Corner Shop")
	k.post("/console/members", url.Values{"do": {"invite"}, "email": {"nobody"}, "role": {"analyst"}}).want(http.StatusUnprocessableEntity).has("#email-about", "not an e-mail address")
	k.post("/console/members", url.Values{"do": {"invite"}, "email": {"a@b.example"}, "role": {"auditor"}, "until": {"soon"}}).want(http.StatusUnprocessableEntity)
	link := linkOn(k.post("/console/members", url.Values{"do": {"invite"}, "email": {"nora@shop.example"}, "role": {"analyst"}}).want(http.StatusOK))
	k.get("/console/members").has("li", "nora@shop.example")
	if a := k.get("/console/members"); strings.Contains(a.body, strings.TrimPrefix(link, "/console/join?token=")) {
		t.Error("the link is shown again")
	}
	owner := k.client
	k.get(link).want(http.StatusOK).has(".note", "signed in with another account")

	k.client = k.stranger()
	form := k.get(link).want(http.StatusOK).has("h1", "Join My organisation").has(".lead", "as Analyst").form("main form")
	form.Set("name", "Nora")
	form.Set("password", "violet anchor sunday")
	k.post("/console/join", form).want(http.StatusUnprocessableEntity).has("#again-about", "differ")
	form.Set("again", "violet anchor sunday")
	k.post("/console/join", form).want(http.StatusSeeOther)
	k.get(link).want(http.StatusNotFound)
	k.get("/console/sites").want(http.StatusOK).has("td", "Corner Shop").count("a[href=/console/sites/new]", 0)
	k.get("/console/sites/" + s.Key + "/register").want(http.StatusForbidden)
	k.get("/console/members").want(http.StatusForbidden)
	nora := k.client

	k.client = owner
	row := k.get("/console/members").want(http.StatusOK).has("td", "Nora nora@shop.example")
	id := attr(all(row.root, "[name=member]")[1], "value")
	k.post("/console/members", url.Values{"do": {"role"}, "member": {id}, "role": {"privacy_officer"}}).want(http.StatusSeeOther)
	k.client = nora
	k.get("/console/sites/" + s.Key + "/register").want(http.StatusOK)
	k.client = owner
	k.post("/console/members", url.Values{"do": {"remove"}, "member": {id}}).want(http.StatusSeeOther)
	k.client = nora
	k.get("/console/sites/" + s.Key).want(http.StatusNotFound)
	k.get("/console/sites").has("h2", "You belong to no organisation")
	k.client = owner
	mine := k.get("/console/members").value("[name=member]")
	k.post("/console/members", url.Values{"do": {"remove"}, "member": {mine}}).want(http.StatusConflict).has("[role=alert]", "has to have an owner")
	k.post("/console/members", url.Values{"do": {"role"}, "member": {mine}, "role": {"analyst"}}).want(http.StatusConflict)
	k.get("/console/activity").has("td", "Removed a member nora@shop.example").has("td", "Changed a role nora@shop.example privacy officer").has("td", "Invited a person analyst")
}

func TestSomebodyWithAnAccountJoinsAsThemselves(t *testing.T) {
	k := signedIn(t)
	other := must(k.accounts.AddOrganisation(context.Background(), "Second customer", ""))
	token := must(k.accounts.Invite(context.Background(), account.Joining{Email: officer, Organisation: other.ID, Role: account.Developer}))
	link := "/console/join?token=" + token
	here := k.client
	k.client = k.stranger()
	k.get(link).want(http.StatusOK).has("a", "Sign in as "+officer).count("main form", 0)
	k.post("/console/join", url.Values{"token": {token}, "password": {"violet anchor sunday"}, "again": {"violet anchor sunday"}}).want(http.StatusForbidden)
	to := attr(one(k.get(link).root, "main a.button"), "href")
	next := k.get(to).want(http.StatusOK).value("[name=next]")
	if next != link {
		t.Errorf("the sign-in leads to %q, want %q", next, link)
	}
	k.client = here
	k.post("/console/join", k.get(link).want(http.StatusOK).form("main form")).want(http.StatusSeeOther)
	k.get("/console/account").has("li", "Second customer Developer")
}

func TestOperatorsPage(t *testing.T) {
	k := signedIn(t)
	k.post("/console/operator", url.Values{"do": {"add"}, "name": {"Customer"}, "email": {"no"}}).want(http.StatusUnprocessableEntity).has("#email-about", "not an e-mail")
	link := linkOn(k.post("/console/operator", url.Values{"do": {"add"}, "name": {"Customer"}, "email": {"eve@customer.example"}}).want(http.StatusOK).has("td", "Customer"))
	operator := k.client
	k.client = k.stranger()
	form := k.get(link).want(http.StatusOK).form("main form")
	form.Set("password", "violet anchor sunday")
	form.Set("again", "violet anchor sunday")
	k.post("/console/join", form).want(http.StatusSeeOther)
	k.get("/console/operator").want(http.StatusForbidden)
	to := k.post("/console/sites/new", url.Values{"domains": {"customer.example"}}).want(http.StatusSeeOther).header.Get("Location")
	site, _, _ := strings.Cut(to, "/setup/")
	customer := k.client

	k.client = operator
	org := attr(all(k.get("/console/operator").want(http.StatusOK).root, "[name=org]")[1], "value")
	k.get(site).want(http.StatusNotFound)
	k.post("/console/operator", url.Values{"do": {"enter"}, "org": {org}, "reason": {"hm"}}).want(http.StatusUnprocessableEntity).has("#reason-about", "10 to 300 characters")
	k.get(site).want(http.StatusNotFound)
	k.post("/console/operator", url.Values{"do": {"enter"}, "org": {org}, "reason": {"Ticket 4711: no banner <b>"}}).want(http.StatusSeeOther)
	k.get(site).want(http.StatusOK)
	k.post(site, url.Values{"name": {"X"}, "domains": {"customer.example"}}).want(http.StatusSeeOther)
	k.post("/console/members?org="+org, url.Values{"do": {"invite"}, "email": {"thief@evil.example"}, "role": {"owner"}}).want(http.StatusForbidden)

	k.client = customer
	k.get("/console/members").want(http.StatusOK).has("li", "Ticket 4711: no banner <b>").has("td", "Operator, with a reason")
	k.get("/console/activity").has("td", "Looked in as an operator Ticket 4711").has("td", "Opened a page")
	k.client = operator
	k.post("/console/operator", url.Values{"do": {"leave"}, "org": {org}}).want(http.StatusSeeOther)
	k.get(site).want(http.StatusNotFound)
}

// What cannot be undone asks for the password again, and then goes on with the
// form as it was sent.
func TestProofBeforeWhatCannotBeUndone(t *testing.T) {
	k, pages := furnished(t)
	record := pages["record"]
	k.exec("update session set proved_at = 1000")
	form := url.Values{"reason": {"request"}, "what": {"record"}}
	ask := k.post(record+"/erase", form).want(http.StatusForbidden).has("h1", "Confirm that it is you")
	k.get(record).want(http.StatusOK)
	again := ask.form("main form")
	if again.Get("reason") != "request" || attr(one(ask.root, "main form"), "action") != record+"/erase" {
		t.Errorf("the form that asks holds %v", again)
	}
	again.Set("proof", "not the password")
	k.post(record+"/erase", again).want(http.StatusUnprocessableEntity).has("#proof-about", "not right")
	k.get(record).want(http.StatusOK)
	again.Set("proof", password)
	k.post(record+"/erase", again).want(http.StatusSeeOther)
	k.get(record).want(http.StatusGone)
	k.post("/console/members", url.Values{"do": {"nothing"}}).want(http.StatusBadRequest) // the proof holds for a while
	k.exec("update session set proved_at = 1000")
	for _, path := range []string{"/console/members", "/console/account/second-factor", "/console/operator", "/console/organisation"} {
		k.post(path, url.Values{"do": {"off"}}).want(http.StatusForbidden).has("h1", "Confirm that it is you")
	}
}

// codeNow is what an authenticator shows for a secret (RFC 6238).
func codeNow(t *testing.T, secret string) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()/30)))
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff)%1000000)
}

func TestSecondFactorInTheConsole(t *testing.T) {
	k := signedIn(t)
	const page = "/console/account/second-factor"
	k.get(page).want(http.StatusOK).has("h2", "It is off")
	k.post(page, url.Values{"do": {"start"}}).want(http.StatusSeeOther)
	if href := attr(one(k.get(page).want(http.StatusOK).root, "main p a"), "href"); !strings.HasPrefix(href, "otpauth://totp/Assent:officer@shop.example?") {
		t.Errorf("the authenticator is opened by %q", href)
	}
	k.post(page, url.Values{"do": {"confirm"}, "code": {"12"}}).want(http.StatusUnprocessableEntity).has("#code-about", "not the code of this moment")
	secret := text(one(k.get(page).root, ".snippet code"))
	done := k.post(page, url.Values{"do": {"confirm"}, "code": {codeNow(t, secret)}}).want(http.StatusOK)
	codes := strings.Fields(text(one(done.root, "pre")))
	if len(codes) != 10 {
		t.Fatalf("recovery codes = %q", codes)
	}
	k.get("/console/account").has("dd", "on. Change")

	k.client = k.stranger()
	to := k.post("/console/sign-in", url.Values{"email": {officer}, "password": {password}, "next": {"/console/activity"}}).want(http.StatusSeeOther).header.Get("Location")
	if to != "/console/sign-in/code?next=%2Fconsole%2Factivity" {
		t.Fatalf("the password leads to %s", to)
	}
	k.get("/console/sites").want(http.StatusSeeOther)
	form := k.get(to).want(http.StatusOK).form("main form")
	form.Set("code", "12")
	k.post("/console/sign-in/code", form).want(http.StatusUnauthorized).has("[role=alert]", "not right")
	form.Set("code", codes[0])
	if to := k.post("/console/sign-in/code", form).want(http.StatusSeeOther).header.Get("Location"); to != "/console/activity" {
		t.Errorf("the code leads to %s", to)
	}
	k.get("/console/activity").want(http.StatusOK).has("td", "Used a recovery code").has("td", "Failed to sign in")
	// A link to set the password does not go around it.
	token := must(k.accounts.PasswordLink(context.Background(), officer, ""))
	k.client = k.stranger()
	if to := k.post("/console/setup", url.Values{"token": {token}, "password": {password + "x"}, "again": {password + "x"}}).want(http.StatusSeeOther).header.Get("Location"); to != "/console/sign-in" {
		t.Errorf("the link leads to %s", to)
	}
	k.get("/console/sites").want(http.StatusSeeOther)
}

func TestSessionsOnTheAccountPage(t *testing.T) {
	k := signedIn(t)
	here := k.client
	k.client = k.stranger()
	k.post("/console/sign-in", url.Values{"email": {officer}, "password": {password}}).want(http.StatusSeeOther)
	there := k.client
	k.client = here
	id := ""
	for _, li := range all(k.get("/console/account").want(http.StatusOK).has("li", "This browser").root, "main li") {
		if one(li, "button") != nil {
			id = attr(one(li, "[name=session]"), "value")
		}
	}
	k.post("/console/account/sessions", url.Values{"session": {id}}).want(http.StatusSeeOther)
	k.client = there
	k.get("/console/account").want(http.StatusSeeOther)
	k.client = here
	k.get("/console/account").want(http.StatusOK)
}
