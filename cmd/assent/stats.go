package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"assent/internal/app"
	"assent/internal/fault"
	"assent/internal/stats"
)

func runStats(ctx context.Context, c *call) error {
	cfg := c.storage()
	key := c.flags.String("site", "", "site key")
	from := c.flags.String("from", "", "first day, YYYY-MM-DD, in the site's time zone; 30 days before --to by default")
	to := c.flags.String("to", "", "last day, YYYY-MM-DD, included; today by default")
	by := c.flags.String("by", "day", "hour, day, week or month; or a dimension: "+strings.Join(stats.Dimensions[:len(stats.Dimensions)-1], ", "))
	filter := c.flags.String("filter", "", "only this, DIMENSION=VALUE, for example country=DE")
	asJSON := c.flags.Bool("json", false, "print everything as JSON")
	asCSV := c.flags.Bool("csv", false, "print everything as CSV")
	if err := c.parse(0); err != nil {
		return err
	}
	step := slices.Contains(stats.Steps, *by)
	switch {
	case *key == "":
		return fault.New(fault.Invalid, "Say which site: assent stats --site KEY (assent site list shows the keys).")
	case !step && !slices.Contains(stats.Dimensions, *by):
		return fault.New(fault.Invalid, "--by is one of %s, %s.", strings.Join(stats.Steps, ", "), strings.Join(stats.Dimensions, ", "))
	case *asJSON && *asCSV:
		return fault.New(fault.Invalid, "Choose --json or --csv.")
	}
	cfg.Existing = true
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	q, err := statsQuery(ctx, parts, *key, *from, *to, *filter)
	if err != nil {
		return err
	}
	if step {
		q.By = *by
	}
	if err := parts.Counters.CatchUp(ctx); err != nil {
		return err
	}
	r, err := parts.Counters.Report(ctx, q)
	if err != nil {
		return err
	}
	only := ""
	if !step {
		only = *by
	}
	d := r.Document(*key, q, only)
	switch {
	case *asJSON:
		return d.WriteJSON(c.out)
	case *asCSV:
		return d.WriteCSV(c.out)
	case r.TooFew:
		fmt.Fprintf(c.err, "Fewer than %d: counts as small as that are not shown.\n", q.Settings.Threshold)
		return errNo
	}
	lines := d.Series
	if !step {
		lines = d.By[*by]
	}
	return printStats(c, d, lines)
}

// statsQuery reads the period and the filter.
func statsQuery(ctx context.Context, parts *app.Parts, key, from, to, filter string) (q stats.Query, err error) {
	if q.SiteID, err = siteID(ctx, parts, key); err != nil {
		return q, err
	}
	if q.Settings, err = parts.Counters.Settings(ctx, q.SiteID); err != nil {
		return q, err
	}
	if q.From, q.To, err = stats.Period(from, to, time.Now(), q.Settings.Location()); err != nil {
		return q, err
	}
	if filter == "" {
		return q, nil
	}
	var found bool
	if q.Dimension, q.Value, found = strings.Cut(filter, "="); !found || !slices.Contains(stats.Dimensions, q.Dimension) {
		return q, fault.New(fault.Invalid, "Write --filter like country=DE. Dimensions are %s.", strings.Join(stats.Dimensions, ", "))
	}
	return q, nil
}

func printStats(c *call, d *stats.Document, lines []stats.DocumentLine) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := []string{"views", "visitors", "asked", "accepted_all", "accepted_partially", "accepted_necessary", "ignored", "changed", "withdrawn", "signalled"}
	fmt.Fprintf(w, "\t%s\t\n", strings.Join(columns, "\t"))
	for _, l := range append(lines, stats.DocumentLine{Value: "total", Counts: d.Total}) {
		fmt.Fprintf(w, "%s\t", l.Value)
		for _, name := range columns {
			fmt.Fprintf(w, "%d\t", l.Counts[name])
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
