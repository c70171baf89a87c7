package main

import (
	"context"
	"fmt"
	"time"

	"assent/internal/app"
	"assent/internal/fault"
	"assent/internal/site"
)

// scheduledAnswer is what site publish --at prints with --json.
type scheduledAnswer struct {
	Site    string `json:"site"`
	Version string `json:"version"` // that will be in force
	At      string `json:"at"`      // RFC 3339, UTC
}

// runSitePublish puts a version in force: the draft now or on a day, or an older one again.
func runSitePublish(ctx context.Context, c *call) error {
	cfg := c.storage()
	at := c.flags.String("at", "", "with publish: when, for example 2026-12-24T08:00:00+01:00; a server has to run then")
	cancel := c.flags.Bool("cancel", false, "with publish: forget what is scheduled")
	to := c.flags.Int("to", 0, "with rollback: number of the version (default: the one before the one in force)")
	asJSON := c.flags.Bool("json", false, "print JSON")
	c.flags.StringVar(&cfg.PublicURL, "public-url", "", "address at which visitors reach this server (default: what serve was last given)")
	if err := c.parse(2); err != nil {
		return err
	}
	verb, key := c.flags.Arg(0), c.flags.Arg(1)
	if verb == "rollback" && (*at != "" || *cancel) || verb == "publish" && (*to != 0 || *at != "" && *cancel) {
		return fault.New(fault.Invalid, "usage: assent site publish KEY [--at TIME | --cancel], or assent site rollback KEY [--to NUMBER]")
	}
	cfg.Existing = true
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	switch {
	case *at != "":
		return c.schedulePublication(ctx, parts, key, *at, *asJSON)
	case *cancel:
		return c.cancelPublication(ctx, parts, key)
	case verb == "rollback":
		err = rollBack(ctx, parts, key, *to)
	default:
		err = publishSite(ctx, parts, key)
	}
	if err != nil {
		return err
	}
	s, err := parts.Sites.Get(ctx, key)
	if err != nil {
		return err
	}
	return c.printSite(ctx, parts, s, *asJSON, false)
}

func (c *call) schedulePublication(ctx context.Context, parts *app.Parts, key, at string, asJSON bool) error {
	when, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return fault.New(fault.Invalid, "--at %q is not a time. Write it with its zone, like 2026-12-24T08:00:00+01:00 or 2026-12-24T07:00:00Z.", at)
	}
	s, err := parts.Sites.Schedule(ctx, key, when, app.CommandLine, "")
	if err != nil {
		return err
	}
	a := scheduledAnswer{key, s.Version, s.At.UTC().Format(time.RFC3339)}
	if asJSON {
		return c.printJSON(a)
	}
	fmt.Fprintf(c.out, "scheduled  %s  %s\n", a.At, a.Version)
	return nil
}

func (c *call) cancelPublication(ctx context.Context, parts *app.Parts, key string) error {
	s, err := parts.Sites.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := parts.Sites.Unschedule(ctx, s.ID); err != nil {
		return err
	}
	fmt.Fprintln(c.err, "Nothing is scheduled now.")
	return nil
}

func rollBack(ctx context.Context, parts *app.Parts, key string, number int) error {
	list, err := parts.Sites.Versions(ctx, key)
	if err != nil {
		return err
	}
	s, err := parts.Sites.Get(ctx, key)
	if err != nil {
		return err
	}
	version := chooseVersion(list, s.Version, number)
	if version == "" && number == 0 {
		return fault.New(fault.Conflict, "There is no version before the one in force.")
	}
	if version == "" {
		return fault.New(fault.NotFound, "The site %s has no version %d.", key, number)
	}
	_, err = parts.Sites.Rollback(ctx, key, version, app.CommandLine)
	return err
}

// chooseVersion is the version with a number, 0 for the one before the one in force;
// "" when there is none. The list is newest first.
func chooseVersion(list []site.Version, inForce string, number int) string {
	past := false
	for _, v := range list {
		if number == v.Number || number == 0 && past {
			return v.Version
		}
		past = past || v.Version == inForce
	}
	return ""
}
