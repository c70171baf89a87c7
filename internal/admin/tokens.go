package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"assent/internal/account"
	"assent/internal/fault"
)

// tokenRoutes are the pages about the API's tokens of an organisation.
func (c *console) tokenRoutes() []route {
	return []route{
		{"GET /console/tokens", account.ManageIntegrations, c.listTokens},
		{"POST /console/tokens", account.ManageIntegrations, c.changeTokens},
	}
}

// tokenDays are the lifetimes that the form offers.
var tokenDays = []int{7, 30, 90, 180, account.MaxTokenDays}

const usualTokenDays = 90

type tokensPage struct {
	Page
	Tokens []tokenLine
	Secret string // of one that was made just now: it is shown once
	Made   string // and what it is for
	Sites  []option
	Days   []option
	Scopes []scopeChoice
	Name   string
	Errors problems
}

// tokenLine is a token in the list.
type tokenLine struct {
	account.Token
	Of   string // the site's name; "" for all of them
	Lost bool   // who made it may nothing of it any more
	Over bool   // revoked or out of date
}

// scopeChoice is a box of the form. One that is more than the member may is not offered.
type scopeChoice struct {
	account.ScopeRule
	Chosen, Offered bool
}

func (c *console) listTokens(w http.ResponseWriter, r *request) error {
	p, err := c.tokensPage(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "tokens", p)
}

func (c *console) tokensPage(r *request) (p tokensPage, err error) {
	p = tokensPage{Page: c.page(r, "API tokens"), Name: strings.TrimSpace(r.PostForm.Get("name"))}
	p.Tab = "members"
	organisation := r.access.Organisation.ID
	list, err := c.Accounts.TokensOf(r.Context(), organisation)
	if err != nil {
		return p, err
	}
	sites, err := c.Sites.ListOf(r.Context(), organisation)
	if err != nil {
		return p, err
	}
	names := map[string]string{}
	p.Sites = []option{{"", "Every site of " + r.access.Organisation.Name, true}}
	for i := range sites {
		names[sites[i].Key] = sites[i].Name
		p.Sites = append(p.Sites, option{sites[i].Key, sites[i].Name, sites[i].Key == r.PostForm.Get("site")})
	}
	var over []tokenLine
	now := c.Now()
	for _, t := range list {
		line := tokenLine{Token: t, Of: names[t.Site], Over: t.Over(now)}
		line.Lost = !line.Over && len(t.Able(now)) == 0
		if t.Site != "" && line.Of == "" {
			line.Of = t.Site // the site is gone
		}
		if line.Over {
			over = append(over, line)
		} else {
			p.Tokens = append(p.Tokens, line)
		}
	}
	p.Tokens = append(p.Tokens, over...)
	days, err := strconv.Atoi(r.PostForm.Get("days"))
	if err != nil {
		days = usualTokenDays
	}
	for _, n := range tokenDays {
		p.Days = append(p.Days, option{strconv.Itoa(n), count(n, "day", "days"), n == days})
	}
	for _, rule := range account.ScopeRules {
		p.Scopes = append(p.Scopes, scopeChoice{rule, slices.Contains(r.PostForm["scope"], rule.Scope), r.access.Can(rule.Needs)})
	}
	return p, nil
}

// changeTokens makes a token or revokes one.
func (c *console) changeTokens(w http.ResponseWriter, r *request) error {
	organisation, by := r.access.Organisation.ID, r.session.Member.ID
	if r.PostForm.Get("do") == "revoke" {
		if err := c.Accounts.RevokeTokenOf(r.Context(), organisation, r.PostForm.Get("token"), by); err != nil && fault.KindOf(err) != fault.NotFound {
			return err
		} // one that was revoked meanwhile is revoked
		http.Redirect(w, r.Request, "/console/tokens?org="+organisation+"&done=revoked", http.StatusSeeOther)
		return nil
	}
	// A token opens without a second factor what its maker opens with one.
	if ok, err := c.proved(w, r); !ok {
		return err
	}
	secret, err := c.makeToken(r, organisation, by)
	problem := fieldProblem(err)
	if err != nil && problem == nil {
		return err
	}
	p, err := c.tokensPage(r)
	if err != nil {
		return err
	}
	if p.Errors = problem; problem != nil {
		return c.render(w, http.StatusUnprocessableEntity, "tokens", p)
	}
	p.Secret, p.Made, p.Name = secret, p.Name, ""
	for i := range p.Scopes {
		p.Scopes[i].Chosen = false
	}
	// Not a redirect: the token is shown once, and kept nowhere on the way.
	return c.render(w, http.StatusOK, "tokens", p)
}

func (c *console) makeToken(r *request, organisation, by string) (string, error) {
	for _, rule := range account.ScopeRules {
		if slices.Contains(r.PostForm["scope"], rule.Scope) && !r.access.Can(rule.Needs) {
			return "", &account.FieldError{Field: "scopes", Err: fault.New(fault.Unprocessed, "Your role may not %s, and so no token of yours may.", rule.Words)}
		}
	}
	key := r.PostForm.Get("site")
	if key != "" {
		s, err := c.Sites.Get(r.Context(), key)
		if fault.KindOf(err) == fault.NotFound || err == nil && s.Organisation != organisation {
			return "", &account.FieldError{Field: "site", Err: fault.New(fault.Unprocessed, "The organisation has no such site. Choose one of the list.")}
		}
		if err != nil {
			return "", err
		}
	}
	days, err := strconv.Atoi(r.PostForm.Get("days"))
	if err != nil {
		days = 0 // which is refused with a sentence
	}
	secret, _, err := c.Accounts.AddToken(r.Context(), account.NewToken{Name: r.PostForm.Get("name"), Organisation: organisation, Site: key, Scopes: r.PostForm["scope"], Days: days, By: by})
	return secret, err
}
