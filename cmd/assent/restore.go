package main

import (
	"context"
	"fmt"

	"assent/internal/app"
	"assent/internal/backup"
	"assent/internal/fault"
)

func runRestore(ctx context.Context, c *call) error {
	cfg := c.storage()
	var keys backup.Keys
	var o app.RestoreOptions
	c.flags.StringSliceVar(&keys.Identities, "identity", nil, "file with the age identity that opens the backup; repeat for more")
	c.flags.StringVar(&keys.PassphraseFile, "passphrase-file", "", "file with the passphrase that the backup was encrypted with")
	ledger := c.flags.String("ledger", "", "newer backup, or newer erasure ledger (assent backup --only-ledger): what it says was erased is erased again")
	c.flags.BoolVar(&o.NoLedger, "no-ledger", false, "there is no newer ledger; what was erased after the backup has to be erased again")
	c.flags.BoolVar(&o.Moved, "moved", false, "the old server was stopped before the backup was made and does not run any more: logs keep their names")
	c.flags.BoolVar(&o.AcceptLoss, "accept-loss", false, "restore although later records are known, and will be missing: logs go on under new names")
	c.flags.BoolVar(&o.Replace, "replace", false, "put the database that is there aside, under a name with the time")
	c.flags.BoolVar(&o.Expired, "expired", false, "restore a backup that has expired")
	c.flags.BoolVar(&o.Damaged, "damaged", false, "restore although fsck finds faults in what the backup holds")
	recovered := c.flags.Bool("recovered", false, "no FILE: the database was put back by other means (point-in-time recovery, a copy of its files)")
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(-1); err != nil {
		return err
	}
	if *recovered && c.flags.NArg() != 0 || !*recovered && c.flags.NArg() != 1 {
		return fault.New(fault.Invalid, "Say what to restore: assent restore FILE [flags], or - for standard input; assent restore --help shows the flags.")
	}
	cfg.Defaults()
	if !*recovered {
		r, closer, err := c.openArchive(c.flags.Arg(0), keys)
		if err != nil {
			return err
		}
		defer closer()
		o.Archive = r
	}
	switch *ledger {
	case "":
	case "-":
		return fault.New(fault.Invalid, "The ledger is read twice, so it has to be a file.")
	default:
		o.Ledger = func(context.Context) (*backup.Reader, func(), error) { return c.openArchive(*ledger, keys) }
	}
	done, err := app.Restore(ctx, *cfg, o)
	if err != nil {
		return err
	}
	if o.NoLedger {
		fmt.Fprintln(c.err, "No ledger was given: erase again what was erased since the backup was made.")
	}
	if *asJSON {
		return c.printJSON(done)
	}
	return c.printRestored(done)
}

func (c *call) printRestored(r *app.Restored) error {
	checked := "checked with fsck"
	if r.Findings > 0 {
		checked = fmt.Sprintf("and fsck finds what is not as it was signed: %d", r.Findings)
	}
	fmt.Fprintf(c.out, "Restored: %s, %s, %s.\n", counted(len(r.Logs), "register"), counted(r.Records, "record"), checked)
	for _, l := range r.Logs {
		if l.Former == "" {
			fmt.Fprintf(c.out, "  %s goes on, %s\n", l.Origin, counted(l.Size, "entry"))
			continue
		}
		fmt.Fprintf(c.out, "  %s goes on from %s, %s", l.Origin, l.Former, counted(l.Size, "entry"))
		if l.Lost > 0 {
			fmt.Fprintf(c.out, "; recorded later and missing: %s", counted(l.Lost, "decision"))
		}
		fmt.Fprintln(c.out)
	}
	if r.Erased > 0 {
		fmt.Fprintf(c.out, "Erased again: %s.\n", counted(r.Erased, "record"))
	}
	if r.Forgotten > 0 {
		fmt.Fprintf(c.out, "Organisations and accounts erased for good again: %d.\n", r.Forgotten)
	}
	for _, site := range r.Dropped {
		fmt.Fprintf(c.out, "Deleted again: the site %s.\n", site)
	}
	if r.Aside != "" {
		fmt.Fprintf(c.out, "What was there before is in %s. It holds what was to be forgotten: remove it when you are sure.\n", r.Aside)
	}
	return nil
}
