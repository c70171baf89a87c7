package main

import (
	"context"
	"fmt"
	"time"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/fault"
)

// orgAnswer is what --json prints.
type orgAnswer struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"`
	Created string      `json:"created"`
	Sites   []string    `json:"sites"`   // keys
	Members []orgMember `json:"members"` // those whose time is over too
}

type orgMember struct {
	Email   string `json:"email"`
	Name    string `json:"name"`
	Role    string `json:"role"`
	Expires string `json:"expires,omitempty"`
}

func runOrg(ctx context.Context, c *call) error {
	cfg := c.storage()
	name := c.flags.String("name", "", "name of the organisation (add)")
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(-1); err != nil {
		return err
	}
	verb, rest := c.flags.Arg(0), c.flags.NArg()
	switch {
	case verb == "list" && rest == 1, verb == "add" && rest == 1 && *name != "", verb == "show" && rest == 2:
	default:
		return fault.New(fault.Invalid, "usage: assent org add --name N | list | show ID")
	}
	cfg.Existing = verb != "add"
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	var list []account.Organisation
	switch verb {
	case "list":
		list, err = parts.Accounts.Organisations(ctx)
	case "add":
		var o *account.Organisation
		if o, err = parts.Accounts.AddOrganisation(ctx, *name, ""); err == nil {
			list = append(list, *o)
		}
	case "show":
		var o *account.Organisation
		if o, err = parts.Accounts.Organisation(ctx, c.flags.Arg(1)); err == nil {
			list = append(list, *o)
		}
	}
	if err != nil {
		return err
	}
	answers := []orgAnswer{}
	for _, o := range list {
		a, err := describeOrg(ctx, parts, o)
		if err != nil {
			return err
		}
		answers = append(answers, a)
	}
	switch {
	case *asJSON && verb == "list":
		return c.printJSON(answers)
	case *asJSON:
		return c.printJSON(answers[0])
	case verb == "show":
		c.printOrg(answers[0])
	default:
		for _, a := range answers {
			fmt.Fprintf(c.out, "%s  %s\n", a.ID, a.Name)
		}
	}
	return nil
}

func (c *call) printOrg(a orgAnswer) {
	fmt.Fprintf(c.out, "organisation  %s\nname          %s\nsince         %s\n", a.ID, a.Name, a.Created[:len(time.DateOnly)])
	for _, key := range a.Sites {
		fmt.Fprintf(c.out, "site          %s\n", key)
	}
	for _, m := range a.Members {
		until := ""
		if m.Expires != "" {
			until = " until " + m.Expires
		}
		fmt.Fprintf(c.out, "member        %s  %s%s\n", m.Email, m.Role, until)
	}
}

func describeOrg(ctx context.Context, parts *app.Parts, o account.Organisation) (orgAnswer, error) {
	a := orgAnswer{ID: o.ID, Name: o.Name, Created: o.CreatedAt.Format(time.RFC3339), Sites: []string{}, Members: []orgMember{}}
	sites, err := parts.Sites.ListOf(ctx, o.ID)
	if err != nil {
		return a, err
	}
	for _, s := range sites {
		a.Sites = append(a.Sites, s.Key)
	}
	members, err := parts.Accounts.Memberships(ctx, o.ID)
	if err != nil {
		return a, err
	}
	for _, m := range members {
		row := orgMember{Email: m.Member.Email, Name: m.Member.Name, Role: string(m.Role)}
		if !m.ExpiresAt.IsZero() {
			row.Expires = m.ExpiresAt.Format(time.RFC3339)
		}
		a.Members = append(a.Members, row)
	}
	return a, nil
}
