package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/fault"
	"assent/receipt"
)

func runEvidence(ctx context.Context, c *call) error {
	cfg := c.storage()
	of := c.periodFlags()
	out := c.flags.StringP("output", "o", "", "file to write, which is not there yet")
	if err := c.parse(0); err != nil {
		return err
	}
	if of.site == "" || *out == "" {
		return fault.New(fault.Invalid, "Say which site and where to: assent evidence --site KEY -o FILE.zip")
	}
	from, to, err := of.instants()
	if err != nil {
		return err
	}
	cfg.Existing = true
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	id, err := siteID(ctx, parts, of.site)
	if err != nil {
		return err
	}
	q := parts.EvidencePack(id)
	q.From, q.To = from, to
	draft, err := os.CreateTemp(filepath.Dir(*out), ".evidence-*") // mode 0600: it holds personal data
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s cannot be written.", *out)
	}
	defer os.Remove(draft.Name())
	m, err := parts.Register.Evidence(ctx, draft, q)
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), *out); err != nil {
		return fault.Wrap(fault.Invalid, err, "%s is there already, or cannot be made.", *out)
	}
	what := counted(m.Records, "record")
	if err := parts.Accounts.Log(ctx, account.Activity{Action: account.RegisterPack, Site: of.site, Detail: map[string]string{"what": what, "from": of.from, "to": of.to}}); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s, index %d to %d: %s\n", what, m.First, m.First+m.Leaves-1, *out)
	return nil
}

// verifyEvidence checks a pack; nil, nil when the file is none.
func (c *call) verifyEvidence(name string, trust receipt.Trust, asJSON bool) (isPack bool, err error) {
	if name == "-" {
		return false, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return false, nil // said by who reads it as a receipt
	}
	defer f.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(f, head); err != nil || !receipt.IsArchive(head) {
		return false, nil
	}
	info, err := f.Stat()
	if err != nil {
		return true, err
	}
	beside := app.EvidenceBeside()
	r, err := receipt.VerifyEvidenceWith(f, info.Size(), trust, &beside)
	if errors.Is(err, receipt.ErrUnreadable) || errors.Is(err, receipt.ErrTrustedKey) {
		return true, fault.New(fault.Invalid, "%v", err)
	}
	switch {
	case err != nil:
		return true, err
	case asJSON:
		err = c.printJSON(r)
	default:
		printSteps(c.out, r.Steps)
		if !r.Valid {
			verdict := "this evidence pack proves nothing."
			if r.Steps[len(r.Steps)-1].Name == receipt.StepBeside {
				verdict = "the records hold, but a file beside them was altered."
			}
			fmt.Fprintln(c.out, "\nNOT VALID: "+verdict)
			break
		}
		fmt.Fprintf(c.out, "\nVALID: %s of %s, index %d to %d.\n", counted(r.Records, "record"), r.Origin, r.First, r.First+r.Leaves-1)
		if len(r.Uncovered) > 0 {
			fmt.Fprintf(c.out, "Not covered: %s.\n", strings.Join(r.Uncovered, ", "))
		}
		printCosignatures(c.out, r.Cosignatures, r.PolicyMet)
		printKey(c.out, "pack", r.Key, r.KeyTrusted)
	}
	if err == nil && !r.Valid {
		err = errNo
	}
	return true, err
}
