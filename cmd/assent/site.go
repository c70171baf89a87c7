package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"assent/internal/app"
	"assent/internal/fault"
	"assent/internal/site"
)

// siteAnswer is what --json prints; the first four are part of the contract.
type siteAnswer struct {
	Site    string   `json:"site"`
	Version string   `json:"version"`
	Domains []string `json:"domains"`
	Tag     string   `json:"tag"`
	Boot    string   `json:"boot"` // what a page may hold instead of the tag
	Name    string   `json:"name"`
	Number  int      `json:"number"`            // of the version in force
	Regimes []string `json:"regimes,omitempty"` // packs by whose rules visitors are asked; none: one regime for all
	Created string   `json:"created"`
	Log     string   `json:"log"` // origin of the register's checkpoints
	Key     string   `json:"key"` // verifier key for assent verify --key
	Org     string   `json:"organisation"`
}

func runSite(ctx context.Context, c *call) error {
	cfg := c.storage()
	domains := c.flags.StringSlice("domain", nil, "domain of the site, with its subdomains; repeat for more")
	languages := c.flags.StringSlice("language", nil, "language of the banner, for example de or pt-BR, the first for all who read none of them; repeat for more (default en)")
	org := c.flags.String("org", "", "ID of the organisation that the site belongs to (add; default: the only one)")
	name := c.flags.String("name", "", "name of the site (default: its first domain)")
	c.flags.StringVar(&cfg.PublicURL, "public-url", "", "address at which visitors reach this server (default: what serve was last given)")
	asJSON := c.flags.Bool("json", false, "print JSON")
	bootOnly := c.flags.Bool("boot", false, "with show: print only the boot, which a page may hold instead of the tag")
	if err := c.parse(-1); err != nil {
		return err
	}
	verb, rest := c.flags.Arg(0), c.flags.Args()
	wantKey := verb == "show" || verb == "publish"
	if !wantKey && verb != "add" && verb != "list" || wantKey && len(rest) != 2 || !wantKey && len(rest) != 1 {
		return fault.New(fault.Invalid, "usage: assent site add --domain D | list | show KEY | publish KEY")
	}
	if verb == "add" && len(*domains) == 0 {
		return fault.New(fault.Invalid, "Say which domain the site has: assent site add --domain shop.example")
	}
	cfg.Existing = verb != "add"
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	if verb == "list" {
		return c.listSites(ctx, parts, *asJSON)
	}
	key := ""
	switch verb {
	case "add":
		o, err := organisation(ctx, parts, *org)
		if err != nil {
			return err
		}
		s, err := parts.Sites.AddTo(ctx, o.ID, *domains, *name, app.CommandLine, *languages...)
		if err != nil {
			return err
		}
		key = s.Key
	case "publish":
		key = rest[1]
		if _, err := parts.Sites.Publish(ctx, key, app.CommandLine); err != nil {
			return err
		}
	case "show":
		key = rest[1]
	}
	s, err := parts.Sites.Get(ctx, key)
	if err != nil {
		return err
	}
	return c.printSite(ctx, parts, s, *asJSON, *bootOnly)
}

func (c *call) printSite(ctx context.Context, parts *app.Parts, s *site.Site, asJSON, bootOnly bool) error {
	a, err := describe(ctx, parts, s)
	if err != nil {
		return err
	}
	if asJSON {
		return c.printJSON(a)
	}
	if bootOnly {
		fmt.Fprintln(c.out, a.Boot)
		return nil
	}
	regimes := "one for everybody"
	if len(a.Regimes) > 0 {
		regimes = strings.Join(a.Regimes, " ")
	}
	fmt.Fprintf(c.out, "site     %s\nname     %s\ndomains  %s\nversion  %d, %s\nregimes  %s\nlog      %s\nkey      %s\n\nPaste this as the first element of every page's <head>:\n%s\n\nA page is shown sooner with the boot in it instead: assent site show %s --boot\n",
		a.Site, a.Name, strings.Join(a.Domains, " "), a.Number, a.Version, regimes, a.Log, a.Key, a.Tag, a.Site)
	return nil
}

func (c *call) listSites(ctx context.Context, parts *app.Parts, asJSON bool) error {
	list, err := parts.Sites.List(ctx)
	if err != nil {
		return err
	}
	answers := []siteAnswer{}
	for i := range list {
		a, err := describe(ctx, parts, &list[i])
		if err != nil {
			return err
		}
		answers = append(answers, a)
	}
	if asJSON {
		return c.printJSON(answers)
	}
	for _, a := range answers {
		fmt.Fprintf(c.out, "%s  %s  %s\n", a.Site, a.Name, strings.Join(a.Domains, " "))
	}
	if len(answers) == 0 {
		fmt.Fprintln(c.err, "There is no site yet: assent site add --domain shop.example")
	}
	return nil
}

func describe(ctx context.Context, parts *app.Parts, s *site.Site) (siteAnswer, error) {
	v, err := parts.Sites.Version(ctx, s.Version)
	if err != nil {
		return siteAnswer{}, err
	}
	log, err := parts.Register.State(ctx, s.ID)
	if err != nil {
		return siteAnswer{}, err
	}
	boot, err := parts.Sites.BootElement(ctx, s.Version, parts.PublicURL())
	if err != nil {
		return siteAnswer{}, err
	}
	return siteAnswer{Site: s.Key, Version: s.Version, Domains: s.Domains, Tag: parts.Tag(s.Key), Boot: boot, Name: s.Name, Number: v.Number, Regimes: v.Notice.Regimes,
		Created: s.CreatedAt.Format("2006-01-02T15:04:05Z07:00"), Log: log.Origin, Key: log.Key, Org: s.Organisation}, nil
}

func (c *call) printJSON(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
