package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"assent/internal/app"
	"assent/internal/backup"
	"assent/internal/fault"
)

// backupAnswer is what --json prints.
type backupAnswer struct {
	File string `json:"file"`
	backup.Header
	Bytes int64            `json:"bytes,omitempty"` // of the file
	Rows  map[string]int64 `json:"rows"`            // by table
}

func runBackup(ctx context.Context, c *call) error {
	cfg := c.storage()
	var lock backup.Lock
	var keys backup.Keys
	c.flags.StringSliceVar(&lock.Recipients, "recipient", nil, "encrypt for this age recipient (age1…), or for those in this file; repeat for more")
	c.flags.StringVar(&lock.PassphraseFile, "passphrase-file", "", "encrypt with the passphrase in the first line of this file, or open with it")
	c.flags.BoolVar(&lock.Open, "unencrypted", false, "do not encrypt; the backup holds the signing key and every record")
	expires := c.flags.String("expires", "", "after this time restore refuses the backup: 90d, 12w or 2y")
	ledger := c.flags.Bool("only-ledger", false, "write only the erasure ledger: which records were erased, and how long the logs are")
	overwrite := c.flags.Bool("overwrite", false, "replace FILE, once the new one is whole")
	check := c.flags.Bool("check", false, "read FILE to its end and say whether it is whole; nothing is restored")
	c.flags.StringSliceVar(&keys.Identities, "identity", nil, "with --check: file with the age identity that opens the backup; repeat for more")
	newIdentity := c.flags.String("new-identity", "", "make an age identity in this new file and print its recipient; no backup is made")
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(-1); err != nil {
		return err
	}
	if *newIdentity != "" && c.flags.NArg() == 0 {
		recipient, err := backup.NewIdentity(*newIdentity)
		if err == nil {
			fmt.Fprintf(c.err, "Keep %s away from the backups, and a copy of it in a safe place: without it no backup can be opened.\n", *newIdentity)
			fmt.Fprintln(c.out, recipient)
		}
		return err
	}
	if c.flags.NArg() != 1 {
		return fault.New(fault.Invalid, "Say where the backup goes: assent backup FILE [flags], or - for standard output; assent backup --help shows the flags.")
	}
	path := c.flags.Arg(0)
	if *check {
		keys.PassphraseFile = lock.PassphraseFile
		return c.checkBackup(path, keys, *asJSON)
	}
	until, err := expiry(*expires)
	if err != nil {
		return err
	}
	content := backup.Whole
	if *ledger {
		content = backup.Ledger
	}
	cfg.Defaults()
	return c.makeBackup(ctx, *cfg, backup.Target{Path: path, Out: c.out, Overwrite: *overwrite, Lock: lock}, content, until, *asJSON)
}

func (c *call) makeBackup(ctx context.Context, cfg app.Config, to backup.Target, content string, until time.Time, asJSON bool) error {
	if to.Path == "-" && isTerminal(c.out) {
		return fault.New(fault.Invalid, "A backup is no text for a terminal. Send standard output to a file or a program.")
	}
	answer := backupAnswer{File: to.Path}
	size, err := backup.Save(to, func(w io.Writer) error {
		header, totals, err := app.BackUp(ctx, cfg, w, content, until)
		answer.Header, answer.Rows = header, totals.Rows
		return err
	})
	if err != nil {
		return err
	}
	answer.Bytes = size
	if err := app.LogBackup(ctx, cfg, answer.Header); err != nil {
		fmt.Fprintf(c.err, "The backup is made, but could not be noted in the activity log: %s\n", explain(err))
	}
	if to.Path == "-" { // standard output is the backup's
		c.out = c.err
	}
	return c.printBackup(answer, asJSON)
}

func (c *call) printBackup(a backupAnswer, asJSON bool) error {
	if asJSON {
		return c.printJSON(a)
	}
	var rows int64
	for _, n := range a.Rows {
		rows += n
	}
	_, err := fmt.Fprintf(c.out, "%s: %s\n%s, %s in %s\n", a.File, a.Header, counted(a.Rows["record"], "record"), counted(rows, "row"), counted(len(a.Rows), "table"))
	return err
}

func (c *call) checkBackup(path string, keys backup.Keys, asJSON bool) error {
	r, closer, err := c.openArchive(path, keys)
	if err != nil {
		return err
	}
	defer closer()
	found, err := backup.Verify(r)
	if err != nil {
		return err
	}
	if err := found.Header.Expired(time.Now()); err != nil {
		fmt.Fprintln(c.err, fault.Message(err))
	}
	return c.printBackup(backupAnswer{File: path, Header: found.Header, Rows: found.Totals.Rows}, asJSON)
}

// openArchive opens a backup or a ledger; - is standard input.
func (c *call) openArchive(path string, keys backup.Keys) (*backup.Reader, func(), error) {
	in, closer := c.in, func() {}
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, fault.New(fault.Invalid, "%s cannot be opened. Check the name and the permissions.", path)
		}
		in, closer = f, func() { f.Close() }
	}
	r, err := keys.Open(in)
	if err != nil {
		closer()
		return nil, nil, err
	}
	return r, closer, nil
}

// expiry reads 90d, 12w or 2y; nothing is never.
func expiry(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	n, err := strconv.Atoi(strings.TrimRight(s, "dwy"))
	if err == nil && n > 0 && n <= 36500 {
		now := time.Now()
		switch s[len(strconv.Itoa(n)):] {
		case "d":
			return now.AddDate(0, 0, n), nil
		case "w":
			return now.AddDate(0, 0, 7*n), nil
		case "y":
			return now.AddDate(n, 0, 0), nil
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "--expires %q is no span of time. Write it like 90d, 12w or 2y.", s)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Mode()&os.ModeDevice != 0 && f.Name() != os.DevNull
}
