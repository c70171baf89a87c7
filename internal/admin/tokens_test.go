package admin_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"assent/internal/account"
)

func TestTokensOfAnOrganisation(t *testing.T) {
	k := signedIn(t)
	ctx := context.Background()
	s := k.addSite("shop.example", "Corner Shop")
	other := must(k.accounts.AddOrganisation(ctx, "Another customer", ""))
	_, theirs, err := k.accounts.AddToken(ctx, account.NewToken{Name: "Theirs", Organisation: other.ID, Scopes: account.Scopes, Days: 9})
	if err != nil {
		t.Fatal(err)
	}
	const page = "/console/tokens"
	k.get(page).want(http.StatusOK).has("h2", "Make the first").count("table", 0)
	form := url.Values{"do": {"add"}, "name": {" "}, "days": {"90"}, "scope": {account.ScopeRecordsRead}, "site": {s.Key}}
	k.post(page, form).want(http.StatusUnprocessableEntity).has("#name-about", "what the token is for")
	form.Set("name", "Warehouse <b>")
	form.Set("days", "4000")
	k.post(page, form).want(http.StatusUnprocessableEntity).has("#days-about", "1 to 366")
	form.Set("days", "30")
	form.Set("site", "nowhere")
	k.post(page, form).want(http.StatusUnprocessableEntity).has("#site-about", "no such site")
	form.Set("site", s.Key)
	form["scope"] = nil
	k.post(page, form).want(http.StatusUnprocessableEntity).has(".error", "Say what the token may do")
	form["scope"] = []string{account.ScopeRecordsRead, account.ScopeSitesRead}
	k.exec("update session set proved_at = 1000")
	k.post(page, form).want(http.StatusForbidden).has("h1", "Confirm that it is you")
	form.Set("proof", password)
	made := k.post(page, form).want(http.StatusOK).has("h2", "The token for Warehouse <b>")
	secret := text(one(made.root, "section .snippet code"))
	token, err := k.accounts.Token(ctx, secret)
	if err != nil || token.Organisation != s.Organisation || token.Site != s.Key || strings.Join(token.Scopes, " ") != "sites:read records:read" {
		t.Fatalf("%v %v", token, err)
	}
	if again := k.get(page).want(http.StatusOK).has("td", "Warehouse <b>").has("td", "Corner Shop"); strings.Contains(again.body, secret) || strings.Contains(again.body, "Theirs") {
		t.Error("the list shows a token again, or another organisation's")
	}
	k.post(page, url.Values{"do": {"revoke"}, "token": {theirs.ID}}).want(http.StatusSeeOther)
	if list := must(k.accounts.TokensOf(ctx, other.ID)); !list[0].Revoked.IsZero() {
		t.Error("another organisation's token was revoked")
	}
	k.post(page, url.Values{"do": {"revoke"}, "token": {token.ID}}).want(http.StatusSeeOther)
	if _, err := k.accounts.Token(ctx, secret); err == nil {
		t.Error("a revoked token opens")
	}
	k.get(page).want(http.StatusOK).has(".badge", "revoked").count("table button", 0)
	k.get("/console/activity").has("td", token.Hint)
}

// A developer sets up integrations and may not erase: nor may what they make.
func TestNobodyMakesATokenThatMayMore(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Corner Shop")
	k.exec("update membership set role = 'developer'")
	const page = "/console/tokens"
	k.get(page+"?org="+s.Organisation).want(http.StatusOK).count("fieldset input[disabled]", 2)
	form := url.Values{"do": {"add"}, "name": {"Sweeper"}, "days": {"30"}, "scope": {account.ScopeRecordsErase}}
	k.post(page+"?org="+s.Organisation, form).want(http.StatusUnprocessableEntity).has(".error", "may not erase consent records")
	if list := must(k.accounts.TokensOf(context.Background(), s.Organisation)); len(list) != 0 {
		t.Errorf("%v was made", list)
	}
}

// A token may what its maker may, today: not what they might when it was made.
func TestATokenLosesWhatItsMakerLoses(t *testing.T) {
	k := signedIn(t)
	ctx := context.Background()
	s := k.addSite("shop.example", "Corner Shop")
	made := k.post("/console/tokens", url.Values{"do": {"add"}, "name": {"Sweeper"}, "days": {"30"}, "scope": account.Scopes}).want(http.StatusOK)
	secret := text(one(made.root, "section .snippet code"))
	for _, c := range []struct{ change, scopes string }{
		{"update membership set role = 'developer'", "sites:read"},
		{"update membership set role = 'privacy_officer'", "sites:read records:read records:erase"},
		{"update membership set role = 'auditor'", "sites:read records:read"},
		{"update membership set role = 'auditor', expires_at = 1", ""},
		{"update membership set role = 'owner', expires_at = 0", "sites:read records:read records:erase"},
		{"update api_token set created_by = 'nobody'", ""}, // as when the account is closed
	} {
		k.exec(c.change)
		token, err := k.accounts.Token(ctx, secret)
		if c.scopes == "" && err == nil || c.scopes != "" && (err != nil || strings.Join(token.Scopes, " ") != c.scopes) {
			t.Errorf("after %s the token may %v (%v), want %q", c.change, token, err, c.scopes)
		}
	}
	k.get("/console/tokens?org="+s.Organisation).want(http.StatusOK).has(".badge", "opens nothing")
}
