package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/fault"
)

func runToken(ctx context.Context, c *call) error {
	cfg := c.storage()
	site := c.flags.String("site", "", "with add: site key that the token is for (default: every site)")
	org := c.flags.String("org", "", "with add: ID of the organisation for whose sites the token is (default: of all of them)")
	name := c.flags.String("name", "", "with add: what the token is for")
	scopes := c.flags.StringSlice("scope", nil, "with add: what it may do, repeat for more: "+strings.Join(account.Scopes, ", "))
	days := c.flags.Int("days", 90, "with add: for how many days it is valid, up to 366")
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(-1); err != nil {
		return err
	}
	verb, rest := c.flags.Arg(0), c.flags.NArg()
	if !(verb == "add" && rest == 1 && *name != "" && len(*scopes) > 0 || verb == "list" && rest == 1 || verb == "revoke" && rest == 2) {
		return fault.New(fault.Invalid, "usage: assent token add --name NAME --scope SCOPE [--site KEY] [--org ID] [--days N] | list | revoke ID")
	}
	cfg.Existing = true
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	switch verb {
	case "list":
		return c.listTokens(ctx, parts, *asJSON)
	case "revoke":
		return c.orNo(parts.Accounts.RevokeToken(ctx, c.flags.Arg(1), ""))
	}
	if *site != "" {
		s, err := parts.Sites.Get(ctx, *site)
		if err != nil {
			return err
		}
		if *org != "" && *org != s.Organisation {
			return fault.New(fault.Invalid, "The site %s is not one of the organisation %s.", *site, *org)
		}
		*org = s.Organisation
	} else if *org != "" {
		if _, err := parts.Accounts.Organisation(ctx, *org); err != nil {
			return err
		}
	}
	secret, t, err := parts.Accounts.AddToken(ctx, account.NewToken{Name: *name, Site: *site, Organisation: *org, Scopes: *scopes, Days: *days})
	if err != nil {
		return err
	}
	if *asJSON {
		return c.printJSON(map[string]any{"id": t.ID, "token": secret, "expires": t.Expires})
	}
	fmt.Fprintf(c.err, "The token %s is valid until %s. It is shown once:\n", t.ID, t.Expires.Format(time.DateOnly))
	fmt.Fprintln(c.out, secret)
	return nil
}

// tokenAnswer is a token as list --json prints it.
type tokenAnswer struct {
	ID      string    `json:"id"`
	Hint    string    `json:"hint"` // how it begins
	Name    string    `json:"name"`
	Site    string    `json:"site"`         // "": every site of the organisation
	Org     string    `json:"organisation"` // "": every site of the installation
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used,omitzero"` // to the hour
	Revoked time.Time `json:"revoked,omitzero"`
}

func (c *call) listTokens(ctx context.Context, parts *app.Parts, asJSON bool) error {
	list, err := parts.Accounts.Tokens(ctx)
	if err != nil {
		return err
	}
	answers := []tokenAnswer{}
	for _, t := range list {
		answers = append(answers, tokenAnswer{t.ID, t.Hint, t.Name, t.Site, t.Organisation, t.Scopes, t.Created, t.Expires, t.Used, t.Revoked})
	}
	if asJSON {
		return c.printJSON(answers)
	}
	for _, t := range answers {
		state := "until " + t.Expires.Format(time.DateOnly)
		switch {
		case !t.Revoked.IsZero():
			state = "revoked " + t.Revoked.Format(time.DateOnly)
		case t.Expires.Before(time.Now()):
			state = "out of date since " + t.Expires.Format(time.DateOnly)
		}
		site := t.Site
		switch {
		case site == "" && t.Org == "":
			site = "every site"
		case site == "":
			site = "every site of " + t.Org
		}
		fmt.Fprintf(c.out, "%s  %s…  %s  %s  %s  %s\n", t.ID, t.Hint, site, strings.Join(t.Scopes, " "), state, t.Name)
	}
	if len(answers) == 0 {
		fmt.Fprintln(c.err, "There is no token: assent token add --name NAME --scope "+account.ScopeRecordsRead)
	}
	return nil
}
