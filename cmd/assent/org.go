package main

import (
	"context"
	"fmt"
	"time"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/closing"
	"assent/internal/fault"
)

// orgAnswer is what --json prints.
type orgAnswer struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"`
	Created string      `json:"created"`
	Sites   []string    `json:"sites"`            // keys
	Members []orgMember `json:"members"`          // those whose time is over too
	Erased  string      `json:"erased,omitempty"` // when it is erased for good: asked for, and not taken back
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
	days := c.flags.Int("days", closing.UsualDays, "with delete: for how many days it can be taken back; 0 erases at once")
	out := c.flags.String("out", "", "with export: ZIP file to write; with certificates: directory")
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(-1); err != nil {
		return err
	}
	verb, rest := c.flags.Arg(0), c.flags.NArg()
	switch {
	case verb == "list" && rest == 1, verb == "add" && rest == 1 && *name != "", verb == "show" && rest == 2:
	case (verb == "delete" || verb == "cancel" || verb == "export") && rest == 2, verb == "certificates" && rest <= 2:
	default:
		return fault.New(fault.Invalid, "usage: assent org add --name N | list | show ID | export ID --out FILE | delete ID | cancel ID | certificates [ID] --out DIR")
	}
	cfg.Existing = verb != "add"
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	var list []account.Organisation
	switch verb {
	case "delete", "cancel", "export", "certificates":
		return c.deleteOrg(ctx, parts, verb, c.flags.Arg(1), *days, *out, *asJSON)
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
	if a.Erased != "" {
		fmt.Fprintf(c.out, "is erased     %s; assent org cancel %s takes it back\n", a.Erased, a.ID)
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
	if asked, err := parts.Closing.Of(ctx, o.ID); err != nil {
		return a, err
	} else if asked != nil {
		a.Erased = asked.Due.Format(time.RFC3339)
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
