package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"assent/internal/catalogue"
	"assent/internal/fault"
	"assent/internal/site"
)

// serviceAnswer is what site service add prints with --json.
type serviceAnswer struct {
	Site    string   `json:"site"`
	Added   []string `json:"added"`
	Kept    []string `json:"kept"`    // the draft had them already and keeps them as they are
	Missing []string `json:"missing"` // what the draft has no setting for yet, in sentences
}

// runSiteService adds services of the catalogue to a site's draft.
func runSiteService(ctx context.Context, c *call) error {
	cfg := c.storage()
	key := c.flags.String("site", "", "key of the site")
	services := c.flags.StringSlice("service", nil, "key of the catalogue, for example google-analytics; repeat for more")
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(-1); err != nil {
		return err
	}
	if !slices.Equal(c.flags.Args(), []string{"service", "add"}) || *key == "" || len(*services) == 0 {
		return fault.New(fault.Invalid, "usage: assent site service add --site KEY --service google-analytics; assent catalogue search TEXT finds the keys")
	}
	cfg.Existing = true
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	draft, err := parts.Sites.Draft(ctx, *key)
	if err != nil {
		return err
	}
	a := serviceAnswer{Site: *key, Added: []string{}, Kept: []string{}, Missing: []string{}}
	for _, s := range *services {
		if slices.ContainsFunc(draft.Services, func(own site.Service) bool { return own.Key == s }) {
			a.Kept = append(a.Kept, s)
		}
	}
	added, missing, err := catalogue.Add(draft, *services...)
	if err != nil {
		return err
	}
	a.Added, a.Missing = append(a.Added, added...), append(a.Missing, missing...)
	if len(added) > 0 {
		if err := parts.Sites.SaveDraft(ctx, *key, draft); err != nil {
			return err
		}
	}
	if *asJSON {
		return c.printJSON(a)
	}
	for _, m := range missing {
		fmt.Fprintln(c.err, m)
	}
	if len(a.Kept) > 0 {
		fmt.Fprintf(c.out, "kept as it was: %s\n", strings.Join(a.Kept, " "))
	}
	if len(added) > 0 {
		fmt.Fprintf(c.out, "added to the draft: %s\n\nVisitors see it after: assent site publish %s\n", strings.Join(added, " "), *key)
	}
	return nil
}
