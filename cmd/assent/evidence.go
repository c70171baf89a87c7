package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"assent/internal/fault"
	"assent/internal/register"
	"assent/receipt"
)

func runEvidence(ctx context.Context, c *call) error {
	cfg := c.storage()
	key := c.flags.String("site", "", "site key")
	from := c.flags.String("from", "", "first day, YYYY-MM-DD, UTC")
	to := c.flags.String("to", "", "last day, YYYY-MM-DD, UTC, included")
	out := c.flags.StringP("output", "o", "", "file to write, which is not there yet")
	if err := c.parse(0); err != nil {
		return err
	}
	if *key == "" || *out == "" {
		return fault.New(fault.Invalid, "Say which site and where to: assent evidence --site KEY -o FILE.zip")
	}
	q := register.EvidenceQuery{Now: time.Now()}
	var err error
	if q.From, err = day(*from, 0); err != nil {
		return err
	}
	if q.To, err = day(*to, 1); err != nil {
		return err
	}
	cfg.Existing = true
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	if q.SiteID, err = siteID(ctx, parts, *key); err != nil {
		return err
	}
	q.Page = parts.VerifyPage()
	q.Notice = func(ctx context.Context, version string) ([]byte, error) {
		v, err := parts.Sites.Version(ctx, version)
		if err != nil {
			return nil, err
		}
		return v.Content, nil
	}
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
	fmt.Fprintf(c.err, "%d records, index %d to %d: %s\n", m.Records, m.First, m.First+m.Leaves-1, *out)
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
	r, err := receipt.VerifyEvidenceWith(f, info.Size(), trust)
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
			fmt.Fprintln(c.out, "\nNOT VALID: this evidence pack proves nothing.")
			break
		}
		fmt.Fprintf(c.out, "\nVALID: %d records of %s, index %d to %d.\n", r.Records, r.Origin, r.First, r.First+r.Leaves-1)
		printCosignatures(c.out, r.Cosignatures, r.PolicyMet)
		printKey(c.out, "pack", r.Key, r.KeyTrusted)
	}
	if err == nil && !r.Valid {
		err = errNo
	}
	return true, err
}
