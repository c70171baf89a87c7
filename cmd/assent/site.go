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
	if len(c.args) > 0 && c.args[0] == "service" {
		return runSiteService(ctx, c)
	}
	if len(c.args) > 0 && c.args[0] == "check" {
		return runSiteCheck(ctx, c)
	}
	if len(c.args) > 0 && (c.args[0] == "publish" || c.args[0] == "rollback") {
		return runSitePublish(ctx, c)
	}
	cfg := c.storage()
	var wish site.New
	c.flags.StringSliceVar(&wish.Domains, "domain", nil, "domain of the site, with its subdomains; repeat for more")
	c.flags.StringSliceVar(&wish.Languages, "language", nil, "language of the banner, for example de or pt-BR, the first for all who read none of them; repeat for more (default en)")
	c.flags.StringVar(&wish.Name, "name", "", "name of the site (default: its first domain)")
	c.flags.BoolVar(&wish.Apart, "apart", false, "with add and set: ask on each of the site's domains that share no cookie, instead of handing the choice over")
	org := c.flags.String("org", "", "ID of the organisation that the site belongs to (add; default: the only one)")
	c.flags.StringVar(&cfg.PublicURL, "public-url", "", "address at which visitors reach this server (default: what serve was last given)")
	asJSON := c.flags.Bool("json", false, "print JSON")
	bootOnly := c.flags.Bool("boot", false, "with show: print only the boot, which a page may hold instead of the tag")
	if err := c.parse(-1); err != nil {
		return err
	}
	verb, key := c.flags.Arg(0), c.flags.Arg(1)
	wantKey := verb == "show" || verb == "set"
	if !wantKey && verb != "add" && verb != "list" || wantKey && c.flags.NArg() != 2 || !wantKey && c.flags.NArg() != 1 {
		return fault.New(fault.Invalid, "usage: assent site "+siteUsage)
	}
	switch {
	case verb == "add" && len(wish.Domains) == 0:
		return fault.New(fault.Invalid, "Say which domain the site has: assent site add --domain shop.example")
	case verb == "set" && !c.flags.Changed("apart"):
		return fault.New(fault.Invalid, "Say what to set: assent site set KEY --apart, or --apart=false. Everything else is set in the console.")
	}
	cfg.Existing = verb != "add"
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	switch verb {
	case "list":
		return c.listSites(ctx, parts, *asJSON)
	case "set":
		return c.setSite(ctx, parts, key, wish.Apart)
	case "add":
		key, err = c.addSite(ctx, parts, *org, wish)
	}
	if err != nil {
		return err
	}
	s, err := parts.Sites.Get(ctx, key)
	if err != nil {
		return err
	}
	return c.printSite(ctx, parts, s, *asJSON, *bootOnly)
}

// siteUsage is what follows "assent site".
const siteUsage = "add --domain D | list | show KEY | set KEY --apart | publish KEY [--at TIME | --cancel] | rollback KEY | check KEY | service add --site KEY --service NAME"

func (c *call) addSite(ctx context.Context, parts *app.Parts, org string, wish site.New) (key string, err error) {
	o, err := organisation(ctx, parts, org)
	if err != nil {
		return "", err
	}
	wish.Organisation, wish.By = o.ID, app.CommandLine
	s, err := parts.Sites.Create(ctx, wish)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(c.err, "No service is declared yet: say in the console, under Banner, what the site uses. Until then visitors are asked about categories that hold nothing.")
	return s.Key, nil
}

func publishSite(ctx context.Context, parts *app.Parts, key string) error {
	_, err := parts.Sites.Publish(ctx, key, app.CommandLine)
	return err
}

// setSite changes the draft; visitors see it once it is published.
func (c *call) setSite(ctx context.Context, parts *app.Parts, key string, apart bool) error {
	n, err := parts.Sites.Draft(ctx, key)
	if err != nil {
		return err
	}
	n.Apart = apart
	if err := parts.Sites.SaveDraft(ctx, key, n); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "The draft is saved. Visitors get it with: assent site publish %s\n", key)
	return nil
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
