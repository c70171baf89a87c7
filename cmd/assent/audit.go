package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"assent/internal/app"
	"assent/internal/audit"
	"assent/internal/fault"
	"assent/internal/register"
	"assent/receipt"
)

const auditUsage = "list | export | keep | erase INDEX"

func runAudit(ctx context.Context, c *call) error {
	cfg := c.storage()
	org := c.flags.String("org", "", "organisation (assent org list); may be left out where there is one. installation: what belongs to none, such as failed sign-ins of unknown people")
	who := c.flags.String("who", "", "only what an e-mail address did, or: operator, token, command line, job, nobody")
	action := c.flags.String("action", "", "only one action, such as site.publish, or those that begin alike: site.")
	of := c.periodFlags()
	format := c.flags.String("format", audit.NDJSON, "export: ndjson, which assent verify checks, or csv")
	days := c.flags.Int64("days", 0, "keep: for how many days entries are kept")
	reason := c.flags.String("reason", "", "erase: why; it stands in the log")
	limit := c.flags.Int("limit", 50, "list: how many, the newest first, up to 1000")
	asJSON := c.flags.Bool("json", false, "list: print JSON")
	if err := c.parse(-1); err != nil {
		return err
	}
	verb := c.flags.Arg(0)
	if wanted := map[string]int{"list": 1, "export": 1, "keep": 1, "erase": 2}[verb]; wanted == 0 || c.flags.NArg() != wanted {
		return fault.New(fault.Invalid, "usage: assent audit %s", auditUsage)
	}
	q := audit.Query{Action: *action, Site: of.site, Limit: *limit}
	var err error
	if q.From, q.To, err = of.instants(); err != nil {
		return err
	}
	cfg.Existing = true
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	if *org != "installation" {
		o, err := organisation(ctx, parts, *org)
		if err != nil {
			return err
		}
		q.Organisation = o.ID
	}
	if q.Actor = *who; strings.Contains(*who, "@") {
		m, err := parts.Accounts.MemberByEmail(ctx, *who)
		if err != nil {
			return err
		}
		q.Actor = m.ID
	}
	switch verb {
	case "keep":
		return parts.Audit.Keep(ctx, q.Organisation, *days)
	case "erase":
		index, err := strconv.ParseInt(c.flags.Arg(1), 10, 64)
		if err != nil || strings.TrimSpace(*reason) == "" {
			return fault.New(fault.Invalid, "usage: assent audit erase INDEX --reason WHY; the first column of assent audit list is the index")
		}
		return parts.Audit.EraseEntry(ctx, q.Organisation, index, *reason)
	case "export":
		return c.exportAudit(ctx, parts, q, *format)
	}
	return c.listAudit(ctx, parts, q, *asJSON)
}

func (c *call) exportAudit(ctx context.Context, parts *app.Parts, q audit.Query, format string) error {
	n, err := parts.Audit.Export(ctx, c.out, q, format, func(e audit.Entry) string { return emailOf(ctx, parts, e.ActorID) })
	if err == nil {
		fmt.Fprintln(c.err, counted(n, "entry"))
	}
	return err
}

// emailOf is the address of a member, "" where it is not known.
func emailOf(ctx context.Context, parts *app.Parts, id string) string {
	found, err := parts.Accounts.Emails(ctx, []string{id})
	if err != nil {
		return ""
	}
	return found[id]
}

func (c *call) listAudit(ctx context.Context, parts *app.Parts, q audit.Query, asJSON bool) error {
	list, err := parts.Audit.Search(ctx, q)
	if err != nil {
		return err
	}
	if asJSON {
		if list == nil {
			list = []audit.Entry{}
		}
		return c.printJSON(list)
	}
	for _, e := range list {
		who := e.Actor
		if email := emailOf(ctx, parts, e.ActorID); email != "" {
			who = email
		}
		fmt.Fprintf(c.out, "%-6d %s  %-24s %s %s\n", e.Index, e.Time, e.Action, who, e.Site)
		for _, f := range e.Changes {
			fmt.Fprintf(c.out, "         %s: %q, was %q\n", f.Field, f.After, f.Before)
		}
	}
	return nil
}

// checkedAll is what fsck found, in the registers and in the audit logs.
type checkedAll struct {
	*register.FsckReport
	Audit *audit.Report `json:"audit,omitempty"`
}

// checkAudit adds what is wrong with the audit logs to a report.
func checkAudit(ctx context.Context, parts *app.Parts, report *register.FsckReport) (*audit.Report, error) {
	r, err := parts.Audit.Fsck(ctx)
	if err != nil {
		return nil, err
	}
	report.Problems += r.Problems
	for _, f := range r.Findings {
		report.Findings = append(report.Findings, register.Finding{Index: -1, Level: -1, Tile: -1, Message: f})
	}
	return r, nil
}

// verifyAudit checks a file of audit entries; head is what was read of it already.
func (c *call) verifyAudit(name string, head []byte, trust receipt.Trust, asJSON bool) error {
	if trust.Policy != nil {
		return fault.New(fault.Invalid, "A policy is for receipts and evidence packs; an audit log is cosigned by nobody.")
	}
	in := io.MultiReader(bytes.NewReader(head), c.in)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "The file %s cannot be opened.", name)
		}
		defer f.Close()
		in = f
	}
	r, err := receipt.VerifyAudit(in, trust)
	if err != nil {
		return fault.New(fault.Invalid, "%v", err)
	}
	if asJSON {
		err = c.printJSON(r)
	} else {
		printSteps(c.out, r.Steps)
		if r.Valid {
			fmt.Fprintf(c.out, "\nVALID: %d of %d entries of the audit log of %s.\n", r.Entries, r.Size, r.Origin)
			printKey(c.out, "file", r.Key, r.KeyTrusted)
		} else {
			fmt.Fprintln(c.out, "\nNOT VALID: this file proves nothing.")
		}
	}
	if err == nil && !r.Valid {
		return errNo
	}
	return err
}
