package main

import (
	"context"
	"fmt"
	"io"
	"time"

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
	if *asJSON {
		err = c.printJSON(report)
	} else {
		printReport(c.out, report, versions)
	}
	if err == nil && !report.OK() {
		return errNo
	}
	return err
}

func runExport(ctx context.Context, c *call) error {
	cfg := c.storage()
	key := c.flags.String("site", "", "site key")
	format := c.flags.String("format", "ndjson", "ndjson (whole records), csv, jsonld (ISO/IEC TS 27560 with DPV terms) or kantara (consent receipts 1.1)")
	contact := contactFlags(c)
	from := c.flags.String("from", "", "first day, YYYY-MM-DD, UTC")
	to := c.flags.String("to", "", "last day, YYYY-MM-DD, UTC, included")
	if err := c.parse(0); err != nil {
		return err
	}
	if *key == "" {
		return fault.New(fault.Invalid, "Say which site: assent export --site KEY (assent site list shows the keys).")
	}
	q := register.ExportQuery{Format: *format}
	var err error
	if q.From, err = day(*from, 0); err != nil {
		return err
	}
	if q.To, err = day(*to, 1); err != nil {
		return err
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return fault.New(fault.Invalid, "--from %s is after --to %s.", *from, *to)
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
	n, err := parts.Export(ctx, c.out, q, *contact)
	if err == nil {
		fmt.Fprintf(c.err, "%d records\n", n)
	}
	if err == nil && *format == interchange.Kantara && !contact.Complete() {
		fmt.Fprintln(c.err, "They fit the schema, but the specification also wants to know how to reach the controller. Add --contact, --email, --phone and --address.")
	}
	return err
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
		erased = fmt.Sprintf(" (and %d erased, as %d leaves say)", r.Erased, r.Erasures)
	}
	fmt.Fprintf(w, "Checked: %d registers, %d records%s, %d tiles, %d notice versions. %s\n", r.Logs, r.Records, erased, r.Tiles, versions, verdict)
}
