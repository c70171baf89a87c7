package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/fault"
	"assent/internal/retention"
)

// retentionReport is what preview and run print with --json; run writes it too.
type retentionReport struct {
	Time         string          `json:"time"` // RFC 3339, UTC
	Done         bool            `json:"done"` // false: a preview, or interrupted
	Records      int64           `json:"records"`
	Removed      []retention.Due `json:"rules"` // by site and rule
	Certificates []string        `json:"certificates"`
}

func runRetention(ctx context.Context, c *call) error {
	cfg := c.storage()
	key := c.flags.String("site", "", "site key (default: every site)")
	regime := c.flags.String("regime", "", "with set and drop: regime pack that the rule is for, for example eu (default: every regime without a rule of its own)")
	months := c.flags.Int("months", -1, "with set: months that a record is kept after its decision was replaced or ran out")
	out := c.flags.String("out", "", "with run: directory for the report and the deletion certificates")
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(1); err != nil {
		return err
	}
	verb := c.flags.Arg(0)
	cfg.Existing = true
	switch {
	case verb != "list" && verb != "set" && verb != "drop" && verb != "preview" && verb != "run":
		return fault.New(fault.Invalid, "usage: assent retention list | set --months N [--site KEY] [--regime R] | drop | preview | run")
	case verb == "set" && *months < 0:
		return fault.New(fault.Invalid, "Say for how many months records are kept after their decision ended: assent retention set --months 24")
	}
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	id, err := siteID(ctx, parts, *key)
	if err != nil {
		return err
	}
	rule := retention.Rule{SiteID: id, Regime: *regime, Months: *months}
	switch verb {
	case "set":
		if err := parts.Retention.Set(ctx, rule); err != nil {
			return err
		}
		return nil
	case "drop":
		err := parts.Retention.Drop(ctx, rule)
		if fault.KindOf(err) == fault.NotFound {
			fmt.Fprintln(c.err, "assent: "+explain(err))
			return errNo
		}
		if err != nil {
			return err
		}
		return nil
	case "list":
		return c.listRules(ctx, parts, *asJSON)
	}
	return c.retain(ctx, parts, verb == "run", id, *out, *asJSON)
}

// ruleAnswer is a rule as list --json prints it.
type ruleAnswer struct {
	Site   string `json:"site"`   // "" for every site
	Regime string `json:"regime"` // "" for every regime
	Months int    `json:"months"`
}

func (c *call) listRules(ctx context.Context, parts *app.Parts, asJSON bool) error {
	rules, err := parts.Retention.Rules(ctx)
	if err != nil {
		return err
	}
	sites, err := parts.RetentionSites(ctx)
	if err != nil {
		return err
	}
	list := []ruleAnswer{}
	for _, r := range rules {
		a := ruleAnswer{Regime: r.Regime, Months: r.Months}
		for _, s := range sites {
			if s.ID == r.SiteID {
				a.Site = s.Key
			}
		}
		if asJSON {
			list = append(list, a)
			continue
		}
		name := a.Site
		if name == "" {
			name = "every site"
		}
		fmt.Fprintf(c.out, "%s, %s after the decision was replaced or ran out\n", name, r)
	}
	switch {
	case asJSON:
		return c.printJSON(list)
	case len(rules) == 0:
		fmt.Fprintln(c.out, "There is no rule: every record is kept. assent retention set --months 24 makes one for every site.")
	}
	return nil
}

func (c *call) retain(ctx context.Context, parts *app.Parts, run bool, only int64, out string, asJSON bool) error {
	all, err := parts.RetentionSites(ctx)
	if err != nil {
		return err
	}
	var sites []retention.Site
	for _, s := range all {
		if only == 0 || s.ID == only {
			sites = append(sites, s)
		}
	}
	report := retentionReport{Time: time.Now().UTC().Format(time.RFC3339), Certificates: []string{}}
	if run {
		report.Removed, err = parts.Retention.Run(ctx, sites)
	} else {
		report.Removed, err = parts.Retention.Preview(ctx, sites)
	}
	report.Done = run && err == nil
	for _, d := range report.Removed {
		report.Records += d.Count
	}
	if run {
		err = errors.Join(err, parts.LogRetention(ctx, "", report.Removed))
	}
	if run && err == nil && report.Records == 0 {
		err = parts.Accounts.Log(ctx, account.Activity{Action: account.RetentionRun, Detail: map[string]string{"records": "0", "why": "nothing was due"}})
	}
	if run && out != "" {
		err = errors.Join(err, report.write(ctx, parts, sites, out))
	}
	if asJSON {
		return errors.Join(err, c.printJSON(report))
	}
	c.printRetention(&report, run)
	return err
}

func (c *call) printRetention(r *retentionReport, run bool) {
	for _, d := range r.Removed {
		fmt.Fprintf(c.out, "%s, %s: %s, decided %s to %s\n", d.Site, d.Rule, counted(d.Count, "record"), d.Oldest.Format(time.DateOnly), d.Newest.Format(time.DateOnly))
	}
	if run {
		fmt.Fprintf(c.out, "Removed: %s.\n", counted(r.Records, "record"))
	} else {
		fmt.Fprintf(c.out, "A run would remove %s.\n", counted(r.Records, "record"))
	}
	for _, file := range r.Certificates {
		fmt.Fprintln(c.out, "Written: "+file)
	}
}

// write writes the certificates, then the report that names them.
func (r *retentionReport) write(ctx context.Context, parts *app.Parts, sites []retention.Site, dir string) error {
	for _, s := range sites {
		var leaves []int64
		for _, d := range r.Removed {
			if d.Site == s.Key {
				leaves = append(leaves, d.Acts...)
			}
		}
		names, err := writeCertificates(ctx, parts, dir, s.ID, s.Key, leaves)
		r.Certificates = append(r.Certificates, names...)
		if err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The directory %s cannot be made, so the report was not written. The run is done.", dir)
	}
	name := filepath.Join(dir, "retention-"+time.Now().UTC().Format("20060102-150405")+"-"+strconv.FormatInt(r.Records, 10)+".json")
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The report %s cannot be written. The run is done.", name)
	}
	c := call{streams: streams{out: f}}
	if err := errors.Join(c.printJSON(r), f.Close()); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The report %s cannot be written. The run is done.", name)
	}
	r.Certificates = append(r.Certificates, name)
	return nil
}
