package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/internal/witness/wire"
)

func runMonitor(ctx context.Context, c *call) error {
	key := c.flags.String("key", "", "note verifier key of the log, or the name of a file that holds it (default: what the log's server says the first time)")
	policyFile := c.flags.String("policy", "", "file that says how many of which witnesses are enough (C2SP tlog-policy)")
	state := c.flags.String("state", "assent-monitor", "folder for what was seen, and for evidence")
	maxAge := c.flags.Duration("max-age", 7*24*time.Hour, "how long the log may be without a new record; 0 for ever")
	every := c.flags.Duration("every", 5*time.Minute, "time between two looks")
	once := c.flags.Bool("once", false, "look once")
	asJSON := c.flags.Bool("json", false, "print JSON, a report a look")
	if err := c.parse(1); err != nil {
		return err
	}
	address := strings.TrimSuffix(strings.TrimRight(c.flags.Arg(0), "/"), "/checkpoint")
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
		return fault.New(fault.Invalid, "%q is not the address of a log. Write it like https://consent.example/log/KEY.", c.flags.Arg(0))
	}
	if *every <= 0 {
		return fault.New(fault.Invalid, "--every is a time like 5m.")
	}
	sum := sha256.Sum256([]byte(address))
	m := &wire.Monitor{URL: address, Dir: filepath.Join(*state, hex.EncodeToString(sum[:8])), MaxAge: *maxAge, Now: time.Now, Client: wire.NewMonitorClient()}
	if err := c.notEmpty("key", "policy"); err != nil {
		return err
	}
	if m.Key, err = keyOrFile(*key); err != nil {
		return err
	}
	if m.Policy, err = readPolicy(*policyFile); err != nil {
		return err
	}
	var last error
	for {
		report, err := m.Check(ctx)
		last = err
		if err == nil {
			last = c.tell(report, *asJSON)
		} else if !*once && ctx.Err() == nil {
			fmt.Fprintln(c.err, "assent: "+explain(err))
		}
		if *once || report != nil && report.Grave() {
			return last
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(*every):
		}
	}
}

// tell prints a report, and is errNo when something is wrong.
func (c *call) tell(r *wire.Report, asJSON bool) error {
	if asJSON {
		if err := c.printJSON(r); err != nil {
			return err
		}
	} else {
		if r.FirstUse {
			fmt.Fprintf(c.out, "The key is what the log's own server says; compare it with the one that the operator publishes elsewhere:\n  %s\n", r.Key)
		}
		for _, rotation := range r.Rotations {
			fmt.Fprintf(c.out, "The log's key was replaced on %s, with %d records. Old and new key say so of each other; the new one:\n  %s\n", rotation.Time.Format(time.RFC3339), rotation.Size, rotation.New)
		}
		for _, f := range r.Findings {
			fmt.Fprintf(c.out, "%s: %s\n", strings.ToUpper(f.Kind), f.Message)
			for _, file := range f.Evidence {
				fmt.Fprintf(c.out, "  evidence: %s\n", file)
			}
		}
		if len(r.Findings) == 0 {
			fmt.Fprintf(c.out, "CONSISTENT: %s has %s (decisions, and statements about erasures), %d of them new, root %s.\n", r.Origin, counted(r.Size, "entry"), r.Size-r.Before, r.Root)
		}
	}
	if len(r.Findings) > 0 {
		return errNo
	}
	return nil
}
