package main

import (
	"fmt"

	"assent/internal/fault"
	"assent/receipt"
)

func (c *call) verifyClosing(data []byte, trust receipt.Trust, asJSON bool) error {
	if trust.Policy != nil {
		return fault.New(fault.Invalid, "A policy is for receipts and evidence packs; a closing certificate carries no cosignatures.")
	}
	r, err := receipt.VerifyClosing(data, trust)
	if err != nil {
		return fault.New(fault.Invalid, "%v", err)
	}
	switch {
	case asJSON:
		err = c.printJSON(r)
	default:
		printSteps(c.out, r.Steps)
		if !r.Valid {
			fmt.Fprintln(c.out, "\nNOT VALID: this closing certificate proves nothing.")
			break
		}
		fmt.Fprintf(c.out, "\nVALID: the operator has signed that the %s %s was erased on %s; %s with it.\n", r.Closing.Kind, r.Closing.ID, r.Closing.Closed, counted(r.Closing.Accounts, "account"))
		for _, s := range r.Closing.Sites {
			fmt.Fprintf(c.out, "  site %s: %s erased; its log ended with %d entries\n", s.Site, counted(s.Records, "record"), s.Size)
			for _, f := range s.Files {
				fmt.Fprintf(c.out, "    shown by %s, SHA-256 %s\n", f.Name, f.SHA256)
			}
		}
		printKey(c.out, "certificate", r.Key, r.KeyTrusted)
	}
	if err == nil && !r.Valid {
		err = errNo
	}
	return err
}
