package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/receipt"
)

// maxReceipt is more than any receipt needs, in bytes.
const maxReceipt = 1 << 20

func runVerify(ctx context.Context, c *call) error {
	key := c.flags.String("key", "", "note verifier key to trust, or the name of a file that holds it (assent site show prints it)")
	policyFile := c.flags.String("policy", "", "file that says which logs and how many of which witnesses are enough (C2SP tlog-policy)")
	historyFile := c.flags.String("history", "", "key history of the register (assent key history, or /log/KEY/keys of its server): follows the key that you trust to those before and after it")
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(1); err != nil {
		return err
	}
	if err := c.notEmpty("key", "policy", "history"); err != nil {
		return err
	}
	var trust receipt.Trust
	var err error
	if trust.Key, err = keyOrFile(*key); err != nil {
		return err
	}
	if trust.Policy, err = readPolicy(*policyFile); err != nil {
		return err
	}
	if trust.History, err = readHistory(*historyFile); err != nil {
		return err
	}
	if pack, err := c.verifyEvidence(c.flags.Arg(0), trust, *asJSON); pack {
		return err
	}
	data, err := readUntil(ctx, c.in, c.flags.Arg(0))
	if err != nil {
		return err
	}
	if receipt.IsAuditFile(data) {
		return c.verifyAudit(c.flags.Arg(0), data, trust, *asJSON)
	}
	if receipt.IsCertificate(data) {
		if trust.Policy != nil {
			return fault.New(fault.Invalid, "A policy is for receipts and evidence packs; a deletion certificate carries no cosignatures.")
		}
		return c.verifyCertificate(data, trust, *asJSON)
	}
	if receipt.IsClosing(data) {
		return c.verifyClosing(data, trust, *asJSON)
	}
	result, err := receipt.VerifyWith(data, trust)
	if errors.Is(err, receipt.ErrUnreadable) || errors.Is(err, receipt.ErrTrustedKey) {
		return fault.New(fault.Invalid, "%v", err)
	}
	if err != nil {
		return err
	}
	if *asJSON {
		err = c.printJSON(result)
	} else {
		printResult(c.out, result)
	}
	if err == nil && !result.Valid {
		return errNo
	}
	return err
}

func printResult(w io.Writer, r *receipt.Result) {
	printSteps(w, r.Steps)
	if !r.Valid {
		fmt.Fprintln(w, "\nNOT VALID: this receipt proves nothing.")
		return
	}
	fmt.Fprintf(w, "\nVALID: record %s, %s on %s, %s.\n", r.Record.RecordID, r.Record.Action, r.Record.Time, r.Record.Status)
	printCosignatures(w, r.Cosignatures, r.PolicyMet)
	printKey(w, "receipt", r.Key, r.KeyTrusted)
}

func printCosignatures(w io.Writer, list []receipt.Cosignature, policyMet bool) {
	for _, c := range list {
		fmt.Fprintf(w, "Cosigned on %s by %s\n", c.Time.Format(time.RFC3339), c.Witness)
	}
	if len(list) > 0 && !policyMet {
		fmt.Fprintln(w, "Whether to trust those witnesses is your decision: name the ones that you do in a policy, with --policy.")
	}
}

func printSteps(w io.Writer, steps []receipt.Step) {
	for _, step := range steps {
		mark := "ok  "
		if !step.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(w, "%s  %s: %s\n", mark, step.Name, step.Detail)
	}
}

func printKey(w io.Writer, file, key string, trusted bool) {
	if trusted {
		fmt.Fprintln(w, "Checked against the key that you named.")
		return
	}
	fmt.Fprintf(w, "Checked against the key inside the %s:\n  %s\nWhether to trust that key is your decision: compare it with the one that the operator publishes, or name yours with --key.\n", file, key)
}

func (c *call) verifyCertificate(data []byte, trust receipt.Trust, asJSON bool) error {
	r, err := receipt.VerifyCertificateWith(data, trust)
	if errors.Is(err, receipt.ErrUnreadable) || errors.Is(err, receipt.ErrTrustedKey) {
		return fault.New(fault.Invalid, "%v", err)
	}
	switch {
	case err != nil:
		return err
	case asJSON:
		err = c.printJSON(r)
	default:
		printCertificate(c.out, r)
	}
	if err == nil && !r.Valid {
		return errNo
	}
	return err
}

func wereRecords(n int64) string {
	if n == 1 {
		return "1 record was"
	}
	return counted(n, "record") + " were"
}

// actsShown bounds what a person has to scroll through; --json has all.
const actsShown = 20

func printCertificate(w io.Writer, r *receipt.CertificateResult) {
	printSteps(w, r.Steps)
	if !r.Valid {
		fmt.Fprintln(w, "\nNOT VALID: this deletion certificate proves nothing.")
		return
	}
	fmt.Fprintf(w, "\nVALID: the log says of itself that %s erased.\n", wereRecords(r.Erased))
	for i, s := range r.Statements {
		if i == actsShown {
			fmt.Fprintf(w, "… and %s more\n", counted(len(r.Statements)-i, "statement"))
			break
		}
		why := s.Reason
		if s.Rule != "" {
			why += ", " + s.Rule
		}
		fmt.Fprintf(w, "  %s: %s, index %d to %d (%s)\n", s.Time, counted(s.Count, "record"), s.Erased[0][0], s.Erased[len(s.Erased)-1][1], why)
	}
	printKey(w, "certificate", r.Key, r.KeyTrusted)
}

func readPolicy(name string) (*receipt.Policy, error) {
	if name == "" {
		return nil, nil
	}
	data, err := readLimited(nil, name)
	if err != nil {
		return nil, err
	}
	policy, err := receipt.ParsePolicy(data)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %v", name, err)
	}
	return policy, nil
}

func readHistory(name string) (*receipt.History, error) {
	if name == "" {
		return nil, nil
	}
	data, err := readLimited(nil, name)
	if err != nil {
		return nil, err
	}
	history, err := receipt.ParseHistory(data)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %v", name, err)
	}
	return history, nil
}

// keyOrFile reads a key from the argument itself or from the file it names.
func keyOrFile(arg string) (string, error) {
	if arg == "" {
		return "", nil
	}
	data, err := os.ReadFile(arg)
	if errors.Is(err, os.ErrNotExist) || err != nil && len(arg) > 40 {
		return arg, nil
	}
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "The key file %s cannot be read.", arg)
	}
	if key := strings.TrimSpace(firstLine(data)); key != "" {
		return key, nil
	}
	return "", fault.New(fault.Invalid, "The first line of the key file %s is empty. It should be a note verifier key, as assent site show prints it.", arg)
}

// notEmpty refuses flags that are given without a value, as an unset variable
// leaves them: to check against nobody's key is not what was asked for.
func (c *call) notEmpty(names ...string) error {
	for _, name := range names {
		if f := c.flags.Lookup(name); f.Changed && f.Value.String() == "" {
			return fault.New(fault.Invalid, "--%s is empty. Give it a value, or leave it out.", name)
		}
	}
	return nil
}

func firstLine(data []byte) string {
	for i, b := range data {
		if b == '\n' || b == '\r' {
			return string(data[:i])
		}
	}
	return string(data)
}

// readUntil reads until ctx ends: a pipe may never end by itself.
func readUntil(ctx context.Context, in io.Reader, name string) (data []byte, err error) {
	done := make(chan struct{})
	go func() {
		data, err = readLimited(in, name)
		close(done)
	}()
	select {
	case <-done:
		return data, err
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "Interrupted; nothing was checked.")
	}
}

func readLimited(in io.Reader, name string) ([]byte, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "The file %s cannot be opened.", name)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxReceipt+1))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s cannot be read.", name)
	}
	return data, nil
}
