package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/closing"
	"assent/internal/fault"
	"assent/internal/mail"

	"github.com/google/uuid"
)

func runUser(ctx context.Context, c *call) error {
	cfg := c.storage()
	email := c.flags.String("email", "", "e-mail address of the person (add)")
	name := c.flags.String("name", "", "name of the person (add)")
	org := c.flags.String("org", "", "ID of the organisation that the person joins (add; default: the only one)")
	role := c.flags.String("role", string(account.Owner), "role there: owner, privacy_officer, developer, analyst or auditor (add)")
	days := c.flags.Int("days", 0, "for how many days an auditor may look (add; default 30)")
	off := c.flags.Bool("off", false, "take it away again (operator)")
	drop := c.flags.Bool("drop-second-factor", false, "switch the second factor off, too (reset)")
	grace := c.flags.Int("grace", closing.UsualDays, "with close: for how many days it can be taken back; 0 erases at once")
	out := c.flags.String("out", "", "with export: file to write (default: standard output)")
	asJSON := c.flags.Bool("json", false, "print JSON")
	send := c.flags.Bool("send", false, "with add and reset: send the link by mail instead of printing it (--smtp-url, --mail-from)")
	lang := c.flags.String("language", "en", "with --send: language of the letter: en, de, et, fi, da or fr")
	c.mailFlags(cfg)
	c.flags.StringVar(&cfg.PublicURL, "public-url", "", "address at which this server is reached (default: what serve was last given)")
	if err := c.parse(-1); err != nil {
		return err
	}
	verb, rest := c.flags.Arg(0), c.flags.NArg()
	switch {
	case verb == "list" && rest == 1, verb == "add" && rest == 1 && *email != "", (verb == "reset" || verb == "operator") && rest == 2:
	case (verb == "close" || verb == "keep" || verb == "export") && rest == 2:
	default:
		return fault.New(fault.Invalid, "usage: assent user add --email E [--name N] [--org ID] [--role R] | list | reset EMAIL [--drop-second-factor] | operator EMAIL [--off] | export EMAIL | close EMAIL | keep EMAIL")
	}
	cfg.Existing = verb != "add"
	server, err := mail.ParseServer(cfg.SMTPURL, cfg.MailFrom)
	if err != nil {
		return err
	}
	if *send && !server.Set() {
		return fault.New(fault.Invalid, "No mail server is set, so nothing can be sent. Name one with --smtp-url and --mail-from, or leave --send out and hand the link over.")
	}
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	_, host, _ := strings.Cut(parts.PublicURL(), "://")
	hand := func(kind mail.Kind, to, place string) error {
		if *send {
			return c.sendLink(ctx, parts, server, kind, to, *lang, place)
		}
		return c.printLink(ctx, parts, to, *asJSON)
	}
	switch verb {
	case "list":
		return c.listMembers(ctx, parts, *asJSON)
	case "add":
		j := account.Joining{Email: *email, Name: *name, Organisation: *org, Role: account.Role(*role)}
		if *days != 0 {
			j.Until = time.Now().AddDate(0, 0, *days)
		}
		return c.addMember(ctx, parts, j, *asJSON, func(to, organisation string) error { return hand(mail.Invitation, to, organisation+" ("+host+")") })
	case "close", "keep", "export":
		return c.closeUser(ctx, parts, verb, c.flags.Arg(1), *grace, *out, *asJSON)
	case "operator":
		return parts.Accounts.SetOperator(ctx, c.flags.Arg(1), !*off)
	}
	if *drop {
		m, err := parts.Accounts.MemberByEmail(ctx, c.flags.Arg(1))
		if err != nil {
			return err
		}
		if err := parts.Accounts.DropSecondFactor(ctx, m.ID, ""); err != nil {
			return err
		}
	}
	return hand(mail.Reset, c.flags.Arg(1), host)
}

// sendLink mails a one-time link at once, so that what goes wrong is said here.
func (c *call) sendLink(ctx context.Context, parts *app.Parts, server mail.Server, kind mail.Kind, email, lang, place string) error {
	m, err := parts.Accounts.MemberByEmail(ctx, email)
	if err != nil {
		return err
	}
	token, err := parts.Accounts.PasswordLink(ctx, email, "")
	if err != nil {
		return err
	}
	data := mail.Data{Name: m.Name, Place: place, Link: parts.SetupURL(token)}
	if err := mail.SendNow(ctx, server, kind, m.Email, lang, data, time.Now(), uuid.NewString()); err != nil {
		return err
	}
	fmt.Fprintln(c.err, "The mail server took the letter. Its link sets a password, works once, and ends in 24 hours.")
	return nil
}

// addMember makes the person a member of the organisation. Who has a password
// already needs no link; the others are handed theirs.
func (c *call) addMember(ctx context.Context, parts *app.Parts, j account.Joining, asJSON bool, hand func(email, organisation string) error) error {
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
		return hand(m.Email, o.Name)
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
