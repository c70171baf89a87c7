package stats

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Document is a report as programs read it. Counts are by the names of metrics.
type Document struct {
	Site      string                    `json:"site"`
	From      string                    `json:"from"` // first day, in Zone
	To        string                    `json:"to"`   // last day, included
	Zone      string                    `json:"zone"`
	Dimension string                    `json:"dimension,omitempty"` // that everything is restricted to
	Value     string                    `json:"value,omitempty"`
	Threshold int64                     `json:"threshold"` // values with less are merged as (small)
	TooFew    bool                      `json:"too_few,omitempty"`
	Total     map[string]int64          `json:"total"`
	Rates     map[string]Interval       `json:"rates"`
	Step      string                    `json:"step"`
	Series    []DocumentLine            `json:"series"`
	By        map[string][]DocumentLine `json:"by"`
	// Granted and refused in answers.
	Categories []DocumentPart `json:"categories"`
	Services   []DocumentPart `json:"services"`
}

// Interval is a rate with its 95 % confidence interval (Wilson).
type Interval struct {
	Rate float64 `json:"rate"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	Of   int64   `json:"of"`
}

// DocumentLine is a value, or a step of the series by its beginning.
type DocumentLine struct {
	Value  string           `json:"value"`
	Counts map[string]int64 `json:"counts"`
	Few    bool             `json:"few,omitempty"` // a count below the threshold, which is not told
}

// DocumentPart is a category or a service.
type DocumentPart struct {
	Key     string `json:"key"`
	Granted int64  `json:"granted"`
	Refused int64  `json:"refused"`
}

// SmallValue stands for all values below the threshold.
const SmallValue = "(small)"

// Document makes a report's document, with By restricted to one dimension unless by is "".
func (r *Report) Document(site string, q Query, by string) *Document {
	zone := q.Settings.Location()
	d := &Document{Site: site, From: q.From.In(zone).Format(time.DateOnly), To: q.To.In(zone).Add(-time.Second).Format(time.DateOnly), Zone: zone.String(),
		Dimension: q.Dimension, Value: q.Value, Threshold: q.Settings.Threshold, TooFew: r.TooFew, Total: byName(&r.Total), Rates: map[string]Interval{},
		Step: r.Step, Series: []DocumentLine{}, By: map[string][]DocumentLine{}, Categories: parts(r.Categories), Services: parts(r.Services)}
	for name, rate := range r.Rates() {
		d.Rates[name] = Interval{rate.Share, rate.Low, rate.High, rate.Of}
	}
	for _, p := range r.Series {
		d.Series = append(d.Series, DocumentLine{p.From.Format(time.RFC3339), byName(&p.Counts), p.Few})
	}
	for dimension, b := range r.By {
		if by != "" && dimension != by {
			continue
		}
		lines := []DocumentLine{}
		for _, l := range b.Lines {
			lines = append(lines, DocumentLine{Value: l.Value, Counts: byName(&l.Counts)})
		}
		if b.Merged > 0 {
			lines = append(lines, DocumentLine{Value: SmallValue, Counts: byName(&b.Rest)})
		}
		d.By[dimension] = lines
	}
	return d
}

// Rates are the shares that a report tells, by name; those of nothing are missing.
func (r *Report) Rates() map[string]Rate {
	rates := map[string]Rate{
		"answered":     RateOf(r.Total.Answers(), r.Total[Asked]),
		"accepted_all": RateOf(r.Total[All], r.Total.Answers()), "accepted_partially": RateOf(r.Total[Partially], r.Total.Answers()),
		"accepted_necessary": RateOf(r.Total[Necessary], r.Total.Answers()),
	}
	maps.DeleteFunc(rates, func(_ string, r Rate) bool { return r.Of == 0 })
	return rates
}

func byName(c *Counts) map[string]int64 {
	m := make(map[string]int64, numMetrics+1)
	for i, n := range c {
		m[metricNames[i]] = n
	}
	m["ignored"] = c.Ignored()
	return m
}

func parts(list []Part) []DocumentPart {
	out := []DocumentPart{}
	for _, p := range list {
		out = append(out, DocumentPart{p.Key, p.Granted, p.Refused})
	}
	return out
}

// WriteJSON writes the document with a line break at its end.
func (d *Document) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d)
}

// WriteCSV writes the document as one table (RFC 4180): what a line is about (total, the
// step of the series, a dimension), its value, and its counts; categories and services
// have granted and refused instead.
func (d *Document) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{"about", "value"}
	for _, m := range Metrics() {
		head = append(head, m.String())
	}
	out.Write(append(head, "ignored", "granted", "refused"))
	line := func(about, value string, counts map[string]int64) {
		cells := []string{about, cell(value)}
		for _, name := range head[2:] {
			cells = append(cells, strconv.FormatInt(counts[name], 10))
		}
		out.Write(append(cells, strconv.FormatInt(counts["ignored"], 10), "", ""))
	}
	line("total", d.Value, d.Total)
	for _, l := range d.Series {
		line(d.Step, l.Value, l.Counts)
	}
	for _, dimension := range slices.Sorted(maps.Keys(d.By)) {
		for _, l := range d.By[dimension] {
			line(dimension, l.Value, l.Counts)
		}
	}
	part := func(about string, list []DocumentPart) {
		for _, p := range list {
			cells := make([]string, len(head)+3)
			cells[0], cells[1] = about, cell(p.Key)
			cells[len(head)+1], cells[len(head)+2] = strconv.FormatInt(p.Granted, 10), strconv.FormatInt(p.Refused, 10)
			out.Write(cells)
		}
	}
	part("category", d.Categories)
	part("service", d.Services)
	out.Flush()
	return out.Error()
}

// cell keeps a spreadsheet from taking a stranger's text for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
