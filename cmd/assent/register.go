package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/fault"
	"assent/internal/interchange"
	"assent/internal/register"
)

func runFsck(ctx context.Context, c *call) error {
	cfg := c.storage()
	key := c.flags.String("site", "", "only this site")
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(0); err != nil {
		return err
	}
	cfg.Existing, cfg.Inspect = true, true
	collectLess()
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	siteID, err := siteID(ctx, parts, *key)
	if err != nil {
		return err
	}
	report, err := parts.Register.Fsck(ctx, register.FsckOptions{SiteID: siteID})
	if err != nil {
		return err
	}
	versions, problems, err := parts.Sites.Fsck(ctx, report.Versions)
	if err != nil {
		return err
	}
	for _, p := range problems {
		report.Problems++
		report.Findings = append(report.Findings, register.Finding{Index: -1, Level: -1, Tile: -1, Message: p})
	}
	all := checkedAll{FsckReport: report}
	if siteID == 0 {
		if all.Audit, err = checkAudit(ctx, parts, report); err != nil {
			return err
		}
	}
	if *asJSON {
		err = c.printJSON(all)
	} else {
		printReport(c.out, report, versions)
		if all.Audit != nil && all.Audit.Logs > 0 {
			fmt.Fprintf(c.out, "Audit logs checked: %d, with %d entries.\n", all.Audit.Logs, all.Audit.Entries)
		}
	}
	if err == nil && !report.OK() {
		return errNo
	}
	return err
}

func runExport(ctx context.Context, c *call) error {
	cfg := c.storage()
	of := c.periodFlags()
	format := c.flags.String("format", "ndjson", "ndjson (whole records), csv, jsonld (ISO/IEC TS 27560 with DPV terms) or kantara (consent receipts 1.1)")
	contact := contactFlags(c)
	if err := c.parse(0); err != nil {
		return err
	}
	if of.site == "" {
		return fault.New(fault.Invalid, "Say which site: assent export --site KEY (assent site list shows the keys).")
	}
	q := register.ExportQuery{Format: *format}
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
	s, err := parts.Sites.Get(ctx, of.site)
	if err != nil {
		return err
	}
	q.SiteID = s.ID
	if err := parts.Accounts.Log(ctx, account.Activity{Action: account.RegisterExport, Site: of.site, Detail: map[string]string{"format": *format, "from": of.from, "to": of.to}}); err != nil {
		return err
	}
	n, err := parts.Export(ctx, c.out, q, *contact)
	if err == nil {
		fmt.Fprintln(c.err, counted(n, "record"))
	}
	if err == nil && *format == interchange.Kantara && !contact.Complete() {
		fmt.Fprintln(c.err, "They fit the schema, but the specification also wants to know how to reach the controller. Add --contact, --email, --phone and --address.")
	}
	if err == nil && *format == interchange.Kantara {
		v, err := parts.Sites.Version(ctx, s.Version)
		if err != nil {
			return err
		}
		if v.Notice.Controller.PolicyURL == "" {
			fmt.Fprintln(c.err, "The field policyUrl is empty where the notice names no privacy policy: give its address in the console, under Banner, Who asks, and publish.")
		}
	}
	return err
}

// period is a span of days of a site's register.
type period struct{ site, from, to string }

// periodFlags declares the flags that say which site and which days.
func (c *call) periodFlags() *period {
	p := new(period)
	c.flags.StringVar(&p.site, "site", "", "site key")
	c.flags.StringVar(&p.from, "from", "", "first day, YYYY-MM-DD, UTC")
	c.flags.StringVar(&p.to, "to", "", "last day, YYYY-MM-DD, UTC, included")
	return p
}

// instants are the first instant of the span, and the first after it; zero where
// there is no bound.
func (p *period) instants() (from, to time.Time, err error) {
	if from, err = day(p.from, 0); err != nil {
		return from, to, err
	}
	if to, err = day(p.to, 1); err == nil && !from.IsZero() && !to.IsZero() && !from.Before(to) {
		err = fault.New(fault.Invalid, "--from %s is after --to %s.", p.from, p.to)
	}
	return from, to, err
}

// contactFlags declare what no notice version says about the controller.
func contactFlags(c *call) *interchange.Contact {
	contact := new(interchange.Contact)
	c.flags.StringVar(&contact.Name, "contact", "", "jsonld, kantara: a person or office of the controller")
	c.flags.StringVar(&contact.Email, "email", "", "jsonld, kantara: its e-mail address")
	c.flags.StringVar(&contact.Phone, "phone", "", "jsonld, kantara: its telephone number, like +49-30-1234")
	c.flags.StringVar(&contact.Address, "address", "", "jsonld, kantara: the controller's postal address")
	return contact
}

// day reads a day and adds some, zero time for none.
func day(s string, plus int) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return t, fault.New(fault.Invalid, "%q is not a day. Write it like 2026-03-31.", s)
	}
	return t.AddDate(0, 0, plus), nil
}

// siteID is the number of a site key, 0 for none.
func siteID(ctx context.Context, parts *app.Parts, key string) (int64, error) {
	if key == "" {
		return 0, nil
	}
	s, err := parts.Sites.Get(ctx, key)
	if err != nil {
		return 0, err
	}
	return s.ID, nil
}

// findingsShown bounds what a person has to scroll through; --json has more.
const findingsShown = 100

func printReport(w io.Writer, r *register.FsckReport, versions int) {
	for i, f := range r.Findings {
		if i == findingsShown {
			fmt.Fprintf(w, "… and %d more\n", r.Problems-int64(i))
			break
		}
		fmt.Fprintln(w, f.Message)
	}
	verdict := "Every record, tile, checkpoint and notice version is as it was signed."
	if !r.OK() {
		verdict = fmt.Sprintf("Problems: %d. Stop the server, keep a copy of the data, and compare it with a backup.", r.Problems)
	}
	if r.Logs == 0 && r.OK() {
		verdict = "There is no register yet: assent site add makes a site with one."
	}
	erased := ""
	if r.Erased > 0 {
		erased = fmt.Sprintf(" (and %d erased, as %s)", r.Erased, map[bool]string{true: "1 leaf says", false: fmt.Sprintf("%d leaves say", r.Erasures)}[r.Erasures == 1])
	}
	fmt.Fprintf(w, "Checked: %s, %s%s, %s, %s. %s\n", counted(r.Logs, "register"), counted(r.Records, "record"), erased, counted(r.Tiles, "tile"), counted(versions, "notice version"), verdict)
}
