package main

import (
	"context"
	"fmt"
	"time"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/fault"
)

func runUser(ctx context.Context, c *call) error {
	cfg := c.storage()
	email := c.flags.String("email", "", "e-mail address of the person (add)")
	name := c.flags.String("name", "", "name of the person (add)")
	org := c.flags.String("org", "", "ID of the organisation that the person joins (add; default: the only one)")
	role := c.flags.String("role", string(account.Owner), "role there: owner, privacy_officer, developer, analyst or auditor (add)")
	days := c.flags.Int("days", 0, "for how many days an auditor may look (add; default 30)")
	asJSON := c.flags.Bool("json", false, "print JSON")
	c.flags.StringVar(&cfg.PublicURL, "public-url", "", "address at which this server is reached (default: what serve was last given)")
	if err := c.parse(-1); err != nil {
		return err
	}
	verb, rest := c.flags.Arg(0), c.flags.NArg()
	switch {
	case verb == "list" && rest == 1, verb == "add" && rest == 1 && *email != "", verb == "reset" && rest == 2:
	default:
		return fault.New(fault.Invalid, "usage: assent user add --email E [--name N] [--org ID] [--role R] | list | reset EMAIL")
	}
	cfg.Existing = verb != "add"
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	switch verb {
	case "list":
		return c.listMembers(ctx, parts, *asJSON)
	case "add":
		j := account.Joining{Email: *email, Name: *name, Organisation: *org, Role: account.Role(*role)}
		if *days != 0 {
			j.Until = time.Now().AddDate(0, 0, *days)
		}
		return c.addMember(ctx, parts, j, *asJSON)
	}
	return c.printLink(ctx, parts, c.flags.Arg(1), *asJSON)
}

// addMember makes the person a member of the organisation. Who has a password
// already needs no link.
func (c *call) addMember(ctx context.Context, parts *app.Parts, j account.Joining, asJSON bool) error {
	o, err := organisation(ctx, parts, j.Organisation)
	if err != nil {
		return err
	}
	j.Organisation = o.ID
	m, err := parts.Accounts.Join(ctx, j)
	if err != nil {
		return err
	}
	if !m.Ready {
		return c.printLink(ctx, parts, m.Email, asJSON)
	}
	if asJSON {
		return c.printJSON(map[string]string{"email": m.Email, "link": ""})
	}
	fmt.Fprintf(c.err, "%s has an account already and signs in with the password as before.\n", m.Email)
	return nil
}

// organisation is the one with an ID, or the only one for "".
func organisation(ctx context.Context, parts *app.Parts, id string) (*account.Organisation, error) {
	if id == "" {
		return parts.Accounts.OnlyOrganisation(ctx)
	}
	return parts.Accounts.Organisation(ctx, id)
}

// printLink prints a one-time link with which the person sets a password.
func (c *call) printLink(ctx context.Context, parts *app.Parts, email string, asJSON bool) error {
	token, err := parts.Accounts.PasswordLink(ctx, email, "")
	if err != nil {
		return err
	}
	if asJSON {
		return c.printJSON(map[string]string{"email": email, "link": parts.SetupURL(token)})
	}
	fmt.Fprintln(c.err, "Hand this link to the person; it sets a password, works once, and ends in 24 hours:")
	fmt.Fprintln(c.out, parts.SetupURL(token))
	return nil
}

func (c *call) listMembers(ctx context.Context, parts *app.Parts, asJSON bool) error {
	members, err := parts.Accounts.Members(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		type row struct {
			ID      string `json:"id"`
			Email   string `json:"email"`
			Name    string `json:"name"`
			Created string `json:"created"`
		}
		rows := []row{}
		for _, m := range members {
			rows = append(rows, row{m.ID, m.Email, m.Name, m.CreatedAt.UTC().Format("2006-01-02T15:04:05Z07:00")})
		}
		return c.printJSON(rows)
	}
	for _, m := range members {
		fmt.Fprintf(c.out, "%s  %s  since %s\n", m.Email, m.Name, m.CreatedAt.UTC().Format("2006-01-02"))
	}
	return nil
}
