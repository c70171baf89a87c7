package main

import (
	"context"
	"fmt"
	"time"

	"assent/internal/app"
	"assent/internal/fault"
	"assent/internal/install"
)

// checkAnswer is what site check prints with --json.
type checkAnswer struct {
	Site  string           `json:"site"`
	OK    bool             `json:"ok"` // the page could be looked at, and nothing bad was found on it or on those that it links to
	Pages []install.Report `json:"pages"`
	Seen  []seenAnswer     `json:"seen"` // where visitors' browsers were seen with the tag
	bad   bool             // a page that was looked at is not right
}

type seenAnswer struct {
	Host     string `json:"host"`
	Page     string `json:"page,omitempty"` // kind of page; none: the host as a whole
	Last     string `json:"last"`
	Outdated bool   `json:"outdated"` // with an older boot
}

// runSiteCheck looks at pages of a site as their server sends them.
func runSiteCheck(ctx context.Context, c *call) error {
	cfg := c.storage()
	address := c.flags.String("url", "", "page to look at (default: the first one of the site's main domain)")
	links := c.flags.Int("links", 0, "how many of the pages that it links to are looked at, too; at most 20")
	asJSON := c.flags.Bool("json", false, "print JSON")
	c.flags.BoolVar(&cfg.AllowPrivate, "allow-private", false, "look at pages in private networks and on other ports, too")
	c.flags.StringVar(&cfg.PublicURL, "public-url", "", "address at which visitors reach this server (default: what serve was last given)")
	if err := c.parse(2); err != nil {
		return err
	}
	if *links < 0 || *links > 20 {
		return fault.New(fault.Invalid, "--links is a number from 0 to 20, not %d.", *links)
	}
	cfg.Existing = true
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	a, err := checkSite(ctx, parts, c.flags.Arg(1), *address, *links)
	if err != nil {
		return err
	}
	if *asJSON {
		if err := c.printJSON(a); err != nil {
			return err
		}
	} else {
		c.printCheck(a)
	}
	if a.bad {
		return errNo
	}
	if first := a.Pages[0]; first.Problem != "" {
		return fault.New(fault.Unavailable, "%s could not be looked at. %s", first.URL, first.Problem)
	}
	return nil
}

func checkSite(ctx context.Context, parts *app.Parts, key, address string, links int) (*checkAnswer, error) {
	a := &checkAnswer{Site: key, OK: true, Seen: []seenAnswer{}}
	var err error
	if a.Pages, err = parts.CheckInstall(ctx, key, address, links); err != nil {
		return nil, err
	}
	for i, p := range a.Pages {
		a.bad = a.bad || !p.OK && p.Problem == ""
		a.OK = a.OK && !a.bad && (i > 0 || p.Problem == "")
	}
	s, err := parts.Sites.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	seen, err := parts.Stats.Installs(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	for i := range seen {
		if !seen[i].Elsewhere() {
			a.Seen = append(a.Seen, seenAnswer{seen[i].Host, seen[i].Page, seen[i].Last().Format(time.RFC3339), seen[i].Stale()})
		}
	}
	return a, nil
}

func (c *call) printCheck(a *checkAnswer) {
	for _, p := range a.Pages {
		word := "right"
		switch {
		case p.Problem != "":
			word = "not looked at"
		case !p.OK:
			word = "not right"
		}
		fmt.Fprintf(c.out, "%s  %s\n", word, p.URL)
		if p.Problem != "" {
			fmt.Fprintf(c.out, "  %s\n", p.Problem)
		}
		for _, f := range p.Findings {
			fmt.Fprintf(c.out, "  %s\n", f.Says)
		}
	}
	for _, s := range a.Seen {
		if s.Page == "" && s.Host != "" {
			state := "up to date"
			if s.Outdated {
				state = "older boot: paste it again"
			}
			fmt.Fprintf(c.out, "seen  %s  %s  %s\n", s.Host, s.Last, state)
		}
	}
}
