package main

import (
	"context"
	"fmt"
	"time"

	"assent/internal/app"
	"assent/internal/fault"
	"assent/internal/register"
)

func runKey(ctx context.Context, c *call) error {
	cfg := c.storage()
	compromised := c.flags.Bool("compromised", false, "with rotate: the old key was stolen, or may have been")
	site := c.flags.String("site", "", "with history: site key")
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(1); err != nil {
		return err
	}
	cfg.Existing = true
	cfg.Defaults()
	switch c.flags.Arg(0) {
	case "list", "rotate", "history":
	default:
		return fault.New(fault.Invalid, "usage: assent key list | rotate [--compromised] | history --site KEY")
	}
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	switch c.flags.Arg(0) {
	case "list":
		return c.listKeys(ctx, parts, *asJSON)
	case "history":
		return c.keyHistory(ctx, parts, *site)
	}
	list, err := parts.RotateKey(ctx, *cfg, *compromised)
	if err != nil {
		return err
	}
	if *asJSON {
		return c.printJSON(list)
	}
	c.printRotated(list, *compromised)
	return nil
}

func (c *call) listKeys(ctx context.Context, parts *app.Parts, asJSON bool) error {
	list, err := parts.Register.Keys(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return c.printJSON(list)
	}
	for _, k := range list {
		state := "in use"
		if !k.Used {
			state = "replaced on " + k.Until.Format(time.RFC3339)
		}
		if k.Compromised {
			state += ", because it was stolen"
		}
		fmt.Fprintf(c.out, "%s  %s\n", k.Key, state)
	}
	return nil
}

// keyHistory prints the file that verify --history reads. It is public.
func (c *call) keyHistory(ctx context.Context, parts *app.Parts, site string) error {
	if site == "" {
		return fault.New(fault.Invalid, "Say which site: assent key history --site KEY (assent site list shows the keys).")
	}
	id, err := siteID(ctx, parts, site)
	if err != nil {
		return err
	}
	history, err := parts.Register.KeyHistory(ctx, id)
	if fault.KindOf(err) == fault.NotFound {
		fmt.Fprintln(c.err, "assent: "+explain(err))
		return errNo
	}
	if err == nil {
		_, err = c.out.Write(history)
	}
	return err
}

func (c *call) printRotated(list []register.RotatedLog, compromised bool) {
	for _, l := range list {
		fmt.Fprintf(c.out, "%s\n  follows %s\n  %d records, root %s\n", l.Key, l.Former, l.Size, l.Root)
		if !compromised || l.Size == 0 {
			continue
		}
		switch {
		case l.Cosigned == 0:
			fmt.Fprintf(c.out, "  no witness cosigned under the old key: receipts from before are as good as this root, if you publish it now\n")
		case l.Cosigned < l.Size:
			fmt.Fprintf(c.out, "  %d witnesses cosigned %d records under the old key: those stand; the %d after them are as good as this root, if you publish it now\n", len(l.By), l.Cosigned, l.Size-l.Cosigned)
		default:
			fmt.Fprintf(c.out, "  %d witnesses cosigned all of them under the old key: they stand\n", len(l.By))
		}
	}
	fmt.Fprintf(c.err, `The key was replaced, and %d registers go on under new names. Now:
- make a new backup (assent backup): older ones hold the old key;
- give witnesses and monitors the new keys above, with the file of assent key history --site KEY;
- nodes that have signing.key in a directory of their own record nothing until they have the new file.
`, len(list))
	if compromised {
		fmt.Fprintln(c.err, "- publish the sizes and roots above, and that the old key is void from now on: docs/security.md says what may still be relied upon.")
	}
}
