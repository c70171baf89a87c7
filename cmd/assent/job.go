package main

import (
	"context"
	"fmt"
	"time"

	"assent/internal/fault"
)

func runJob(ctx context.Context, c *call) error {
	cfg := c.storage()
	dead := c.flags.Bool("dead", false, "with list: only those that were given up")
	limit := c.flags.Int("limit", 100, "with list: how many at most")
	asJSON := c.flags.Bool("json", false, "with list: print JSON")
	if err := c.parse(-1); err != nil {
		return err
	}
	verb, rest := c.flags.Arg(0), c.flags.NArg()
	if !(verb == "list" && rest == 1 && *limit > 0 || (verb == "replay" || verb == "drop") && rest == 2) {
		return fault.New(fault.Invalid, "usage: assent job list [--dead] | replay ID | drop ID")
	}
	cfg.Existing = true
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	switch verb {
	case "replay":
		return c.orNo(parts.Jobs.Replay(ctx, c.flags.Arg(1)))
	case "drop":
		return c.orNo(parts.Jobs.Drop(ctx, c.flags.Arg(1)))
	}
	list, err := parts.Jobs.List(ctx, *dead, *limit)
	if err != nil {
		return err
	}
	if *asJSON {
		return c.printJSON(list)
	}
	for _, j := range list {
		when := "given up " + j.Dead.Format(time.RFC3339)
		if j.Dead.IsZero() {
			when = "due " + j.Due.Format(time.RFC3339)
		}
		fmt.Fprintf(c.out, "%s  %s  %s, %d attempts  %s\n", j.ID, j.Kind, when, j.Attempts, j.Problem)
	}
	if len(list) == 0 {
		fmt.Fprintln(c.err, "Nothing waits.")
	}
	return nil
}

// orNo turns what is not there into the answer no, with its sentence.
func (c *call) orNo(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		fmt.Fprintln(c.err, "assent: "+explain(err))
		return errNo
	}
	return err
}
