package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/site"
	"assent/internal/stats"
)

func (c *console) statisticsRoutes() []route {
	return []route{
		{"GET /console/sites/{site}/statistics", account.ViewStatistics, c.showStatistics},
		{"POST /console/sites/{site}/statistics", account.ChangeSites, c.saveStatistics},
	}
}

// shownValues is how many values of a dimension stand in the page; exports have all.
const shownValues = 10

type statisticsPage struct {
	Page
	Query    stats.Query
	Period   string // day, week, month, quarter, year or custom
	From, To string // days, both included
	Report   *stats.Report
	Versions []site.Version // newest first
	A, B     string         // versions that are compared; "": none
	Verdict  stats.Verdict
	Behind   int64 // records that are not counted yet
	Setting  string
	Settings stats.Settings
	Errors   problems
}

// periods are what the page offers, in days.
var periods = []struct {
	key, label string
	days       int
}{{"day", "Today", 1}, {"week", "7 days", 7}, {"month", "30 days", 30}, {"quarter", "90 days", 90}, {"year", "A year", 365}}

func (c *console) statisticsPage(r *request) (p statisticsPage, err error) {
	if p.Page, err = c.sitePage(r, "statistics", "Statistics"); err != nil {
		return p, err
	}
	if p.Settings, err = c.Counters.Settings(r.Context(), p.Site.ID); err != nil {
		return p, err
	}
	if p.Versions, err = c.Sites.Versions(r.Context(), p.Site.Key); err != nil {
		return p, err
	}
	v := r.URL.Query()
	if err := p.read(v, c.Now()); err != nil {
		if fault.KindOf(err) != fault.Invalid {
			return p, err
		}
		p.Errors = problems{"period": fault.Message(err)}
		p.Query.From, p.Query.To, _ = stats.Period("", "", c.Now(), p.Settings.Location())
	}
	if p.Report, err = c.Counters.Report(r.Context(), p.Query); err != nil {
		return p, err
	}
	if p.Behind, err = c.Counters.Behind(r.Context(), p.Site.ID); err != nil {
		return p, err
	}
	current, err := c.Sites.Version(r.Context(), p.Site.Version)
	if err != nil {
		return p, err
	}
	p.Setting = current.Notice.Statistics
	p.compare(v.Get("a"), v.Get("b"))
	return p, nil
}

// read reads what the address asks for.
func (p *statisticsPage) read(v url.Values, now time.Time) (err error) {
	p.Query = stats.Query{SiteID: p.Site.ID, Settings: p.Settings}
	p.Period, p.From, p.To = v.Get("period"), strings.TrimSpace(v.Get("from")), strings.TrimSpace(v.Get("to"))
	zone := p.Settings.Location()
	if p.Period != "custom" {
		at := slices.IndexFunc(periods, func(o struct {
			key, label string
			days       int
		}) bool {
			return o.key == p.Period
		})
		if at < 0 {
			at = 2
		}
		today := now.In(zone)
		p.Period, p.To, p.From = periods[at].key, today.Format(time.DateOnly), today.AddDate(0, 0, 1-periods[at].days).Format(time.DateOnly)
	}
	if by := v.Get("step"); slices.Contains(stats.Steps, by) {
		p.Query.By = by
	}
	if d := v.Get("by"); slices.Contains(stats.Dimensions, d) && v.Get("is") != "" {
		p.Query.Dimension, p.Query.Value = d, v.Get("is")
	}
	p.Query.From, p.Query.To, err = stats.Period(p.From, p.To, now, zone)
	return err
}

// compare compares how often everything was accepted under two versions, among those
// that have answers in the period: two that were asked for, or the newest two.
func (p *statisticsPage) compare(a, b string) {
	lines := p.Report.By[stats.ByVersion].Lines
	counts := func(version string) *stats.Counts {
		for i := range lines {
			if lines[i].Value == version {
				return &lines[i].Counts
			}
		}
		return nil
	}
	if counts(a) == nil || counts(b) == nil || a == b {
		var known []string
		for _, v := range p.Versions {
			if n := counts(v.Version); n != nil && n.Answers() > 0 && len(known) < 2 {
				known = append(known, v.Version)
			}
		}
		if len(known) < 2 {
			return
		}
		a, b = known[1], known[0]
	}
	x, y := counts(a), counts(b)
	p.A, p.B, p.Verdict = a, b, stats.Compare(x[stats.All], x.Answers(), y[stats.All], y.Answers())
}

func (c *console) showStatistics(w http.ResponseWriter, r *request) error {
	p, err := c.statisticsPage(r)
	if err != nil {
		return err
	}
	switch format := r.URL.Query().Get("format"); {
	case p.Errors != nil:
		return c.render(w, http.StatusUnprocessableEntity, "statistics", p)
	case format == "csv" || format == "json":
		d := p.Report.Document(p.Site.Key, p.Query, "")
		name := fmt.Sprintf("statistics-%s-%s-%s.%s", p.Site.Key, d.From, d.To, format)
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
		if format == "csv" {
			w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
			return ignoreDisconnect(d.WriteCSV(w))
		}
		w.Header().Set("Content-Type", "application/json")
		return ignoreDisconnect(d.WriteJSON(w))
	}
	return c.render(w, http.StatusOK, "statistics", p)
}

// saveStatistics changes how the site's counters are kept and shown.
func (c *console) saveStatistics(w http.ResponseWriter, r *request) error {
	p, err := c.statisticsPage(r)
	if err != nil {
		return err
	}
	number := func(name string) int64 {
		n, err := strconv.ParseInt(strings.TrimSpace(r.PostForm.Get(name)), 10, 64)
		if err != nil {
			return -1
		}
		return n
	}
	s := stats.Settings{Threshold: number("threshold"), Days: number("days"), Zone: strings.TrimSpace(r.PostForm.Get("zone"))}
	err = c.Counters.Configure(r.Context(), p.Site.ID, s)
	if fault.KindOf(err) == fault.Unprocessed {
		p.Settings, p.Problem = s, "Not saved. "+fault.Message(err)
		return c.render(w, http.StatusUnprocessableEntity, "statistics", p)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r.Request, "/console/sites/"+p.Site.Key+"/statistics?done=saved", http.StatusSeeOther)
	return nil
}

// address is that of this page with some of its parameters changed; "" removes one.
func (p statisticsPage) address(change ...string) string {
	v := url.Values{"period": {p.Period}}
	if p.Period == "custom" {
		v.Set("from", p.From)
		v.Set("to", p.To)
	}
	if p.Query.Dimension != "" {
		v.Set("by", p.Query.Dimension)
		v.Set("is", p.Query.Value)
	}
	if p.Query.By != "" {
		v.Set("step", p.Query.By)
	}
	for i := 0; i+1 < len(change); i += 2 {
		if change[i+1] == "" {
			v.Del(change[i])
		} else {
			v.Set(change[i], change[i+1])
		}
	}
	return "/console/sites/" + p.Site.Key + "/statistics?" + v.Encode()
}

// Restrict is the address that shows only one value.
func (p statisticsPage) Restrict(dimension, value string) string {
	return p.address("by", dimension, "is", value)
}

// Everything is the address without the restriction.
func (p statisticsPage) Everything() string { return p.address("by", "", "is", "") }

// Export is the address of a download.
func (p statisticsPage) Export(format string) string { return p.address("format", format) }

// Periods are the links to periods.
func (p statisticsPage) Periods() (list []tabLink) {
	for _, o := range periods {
		list = append(list, tabLink{Label: o.label, Path: p.address("period", o.key, "from", "", "to", "", "step", ""), Current: p.Period == o.key})
	}
	return list
}

// Steps are the links to steps of the series.
func (p statisticsPage) Steps() (list []tabLink) {
	days := p.Query.To.Sub(p.Query.From).Hours() / 24
	for _, o := range []struct {
		step, label string
		least, most float64
	}{{"hour", "Hours", 0, 8}, {"day", "Days", 2, 100}, {"week", "Weeks", 14, 800}, {"month", "Months", 60, 4000}} {
		if o.least <= days && days <= o.most {
			list = append(list, tabLink{Label: o.label, Path: p.address("step", o.step), Current: p.Report.Step == o.step})
		}
	}
	return list
}

// Empty tells whether nothing was counted.
func (p statisticsPage) Empty() bool { return p.Report.Total == stats.Counts{} && !p.Report.TooFew }

// Asked tells whether it was counted how many visitors were asked.
func (p statisticsPage) Asked() bool {
	return p.Setting != "" || p.Report.Total[stats.Asked] > 0 || p.Query.Dimension == stats.ByPage || p.Query.Dimension == stats.ByEntry
}

// figure is one number of the page's head.
type figure struct{ Label, Value, About string }

// Figures are the numbers at the head of the page.
func (p statisticsPage) Figures() (list []figure) {
	t := &p.Report.Total
	rates := p.Report.Rates()
	if t[stats.Views] > 0 {
		list = append(list, figure{"Visitors", thousands(t[stats.Visitors]), "each once a day"}, figure{"Page views", thousands(t[stats.Views]), thousands(t[stats.Entries]) + " arrived from elsewhere"})
	}
	if t[stats.Asked] > 0 {
		list = append(list, figure{"Asked", thousands(t[stats.Asked]), "visitors who saw the banner, each once a day"})
		if r, ok := rates["answered"]; ok {
			list = append(list, figure{"Answered", percent(r.Share), interval(r)}, figure{"Ignored", thousands(t.Ignored()), "asked, and no answer"})
		}
	}
	list = append(list, figure{"Answers", thousands(t.Answers()), "from the register"})
	for _, o := range []struct {
		label, key string
		m          stats.Metric
	}{{"Accepted all", "accepted_all", stats.All}, {"Accepted some", "accepted_partially", stats.Partially}, {"Necessary only", "accepted_necessary", stats.Necessary}} {
		if r, ok := rates[o.key]; ok {
			list = append(list, figure{o.label, percent(r.Share), thousands(t[o.m]) + ", " + p.in().Say(interval(r))})
		}
	}
	return append(list, figure{"Changed later", thousands(t[stats.Changed]), "another choice"}, figure{"Withdrawn", thousands(t[stats.Withdrawn]), "everything taken back"},
		figure{"Browser signals", thousands(t[stats.Signalled]), "refused by GPC, without a banner"})
}

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }

// interval is a rate's confidence interval in words.
func interval(r stats.Rate) string {
	if r.Of == 0 {
		return ""
	}
	return fmt.Sprintf("95 %% interval: %.1f to %.1f %%", 100*r.Low, 100*r.High)
}

// layers of the chart of answers, from the bottom.
var answerLayers = []layer{
	{"Accepted all", "solid", func(c *stats.Counts) int64 { return c[stats.All] }},
	{"Accepted some", "hatch", func(c *stats.Counts) int64 { return c[stats.Partially] }},
	{"Necessary only", "hollow", func(c *stats.Counts) int64 { return c[stats.Necessary] }},
}

// Charts are the pictures of the period.
func (p statisticsPage) Charts() (list []chart) {
	var marks []mark
	zone := p.Settings.Location()
	for _, v := range slices.Backward(p.Versions) {
		if !v.PublishedAt.Before(p.Query.From) && v.PublishedAt.Before(p.Query.To) {
			at := v.PublishedAt.In(zone)
			marks = append(marks, mark{at, fmt.Sprint("v", v.Number), fmt.Sprintf("Version %d was published on %s", v.Number, longStep(p.in(), at, "minute"))})
		}
	}
	list = append(list, chart{In: p.in(), Title: "Answers by " + p.Report.Step + "; the table below has the numbers", ID: "answers", Series: p.Report.Series, Step: p.Report.Step, Bars: answerLayers, Marks: marks})
	if p.Report.Total[stats.Views] > 0 {
		list = append(list, chart{In: p.in(), Title: "Page views and visitors by " + p.Report.Step + "; the table below has the numbers", ID: "views", Series: p.Report.Series, Step: p.Report.Step, Marks: marks,
			Bars: []layer{{"Page views", "hollow", func(c *stats.Counts) int64 { return c[stats.Views] }}},
			Line: &layer{"Visitors", "line", func(c *stats.Counts) int64 { return c[stats.Visitors] }}})
	}
	return list
}

// Head names a chart.
func (c chart) Head() string {
	if c.ID == "views" {
		return "Page views and visitors"
	}
	return "Answers"
}

// Rows is the table behind a chart, newest first, without steps in which nothing was.
func (c chart) Rows() (rows [][]string) {
	for i := len(c.Series) - 1; i >= 0; i-- {
		p := &c.Series[i]
		row, sum := []string{longStep(c.In, p.From, c.Step)}, int64(0)
		for _, l := range c.Layers() {
			n := l.Of(&p.Counts)
			row, sum = append(row, thousands(n)), sum+n
		}
		if p.Few {
			for i := range row[1:] {
				row[i+1] = "few"
			}
		}
		if sum > 0 || p.Few {
			rows = append(rows, row)
		}
	}
	return rows
}

// Layers are everything that the chart shows.
func (c chart) Layers() []layer {
	if c.Line == nil {
		return c.Bars
	}
	return append(slices.Clone(c.Bars), *c.Line)
}

// split is a dimension of the page.
type split struct {
	Key, Label string
	Lines      []splitLine
	More       int
	Rest       *splitLine
	Views      bool // pages have no answers
}

type splitLine struct {
	Words, Path              string
	Views, Visitors, Answers int64
	All                      stats.Rate
	Share                    float64 // of the largest, 0 to 100
}

// AllWords is the rate of those who accepted everything.
func (l splitLine) AllWords() string {
	if l.All.Of == 0 {
		return "—"
	}
	return percent(l.All.Share)
}

// AllAbout is its interval.
func (l splitLine) AllAbout() string { return interval(l.All) }

var splitLabels = map[string]string{stats.ByCountry: "Country", stats.ByLanguage: "Language", stats.ByDevice: "Device", stats.ByBrowser: "Browser", stats.ByVersion: "Notice version", stats.ByHost: "Page host",
	stats.ByPage: "Page", stats.ByEntry: "Entry page", stats.ByReferrer: "Referrer", stats.BySource: "UTM source", stats.ByMedium: "UTM medium", stats.ByCampaign: "UTM campaign", stats.ByGPC: "Global Privacy Control", stats.ByHour: "Hour of the day"}

// Dimension names what everything is restricted to.
func (p statisticsPage) Dimension() string { return splitLabels[p.Query.Dimension] }

// ValueWords is the value in words.
func (p statisticsPage) ValueWords() string { return p.words(p.Query.Dimension, p.Query.Value) }

func (p statisticsPage) words(dimension, value string) string {
	switch {
	case dimension == stats.ByVersion:
		for _, v := range p.Versions {
			if v.Version == value {
				return fmt.Sprintf("Version %d", v.Number)
			}
		}
		return short(value)
	case dimension == stats.ByHour:
		return value + ":00"
	}
	return value
}

// Splits are the dimensions that have values.
func (p statisticsPage) Splits() (list []split) {
	for _, dimension := range stats.Dimensions {
		b := p.Report.By[dimension]
		if len(b.Lines) == 0 && b.Merged == 0 {
			continue
		}
		s := split{Key: dimension, Label: splitLabels[dimension], Views: dimension == stats.ByPage || dimension == stats.ByEntry}
		most := int64(1)
		size := func(c *stats.Counts) int64 { return max(c[stats.Views], c.Answers()) }
		for i := range b.Lines {
			most = max(most, size(&b.Lines[i].Counts))
		}
		line := func(words, path string, c *stats.Counts) splitLine {
			return splitLine{words, path, c[stats.Views], c[stats.Visitors], c.Answers(), stats.RateOf(c[stats.All], c.Answers()), 100 * float64(size(c)) / float64(most)}
		}
		for i := range b.Lines {
			if i == shownValues && dimension != stats.ByHour {
				s.More = len(b.Lines) - i
				break
			}
			l := &b.Lines[i]
			s.Lines = append(s.Lines, line(p.words(dimension, l.Value), p.Restrict(dimension, l.Value), &l.Counts))
		}
		if b.Merged > 0 {
			rest := line(count(b.Merged, "small value", "small values"), "", &b.Rest)
			s.Rest = &rest
		}
		list = append(list, s)
	}
	return list
}

// partLine is a category or a service.
type partLine struct {
	Key              string
	Granted, Refused int64
	Rate             stats.Rate
}

// RateWords is how often it was granted.
func (l partLine) RateWords() string { return percent(l.Rate.Share) }

// RateAbout is its interval.
func (l partLine) RateAbout() string { return interval(l.Rate) }

// Width is the rate in hundredths.
func (l partLine) Width() float64 { return 100 * l.Rate.Share }

// Parts are the categories and the services of the answers.
func (p statisticsPage) Parts() map[string][]partLine {
	lines := func(list []stats.Part) (out []partLine) {
		for _, o := range list[:min(len(list), 60)] {
			out = append(out, partLine{o.Key, o.Granted, o.Refused, stats.RateOf(o.Granted, o.Granted+o.Refused)})
		}
		return out
	}
	return map[string][]partLine{"Categories": lines(p.Report.Categories), "Services": lines(p.Report.Services)}
}

// Choices are the versions that can be compared.
func (p statisticsPage) Choices(chosen string) (list []option) {
	for _, v := range p.Versions {
		for _, l := range p.Report.By[stats.ByVersion].Lines {
			if l.Value == v.Version && l.Counts.Answers() > 0 {
				list = append(list, option{v.Version, fmt.Sprintf("Version %d", v.Number), v.Version == chosen})
			}
		}
	}
	return list
}

// VersionWords names a version.
func (p statisticsPage) VersionWords(version string) string { return p.words(stats.ByVersion, version) }

// Percent and Interval of a rate.
func (p statisticsPage) Percent(r stats.Rate) string  { return percent(r.Share) }
func (p statisticsPage) Interval(r stats.Rate) string { return interval(r) }

// Conclusion is what the comparison says.
func (p statisticsPage) Conclusion() string {
	v := p.Verdict
	switch {
	case v.Decided && v.Difference > 0:
		return fmt.Sprintf("Under %s more visitors accepted everything: %.1f points more. That is hardly chance.", p.words(stats.ByVersion, p.B), 100*v.Difference)
	case v.Decided:
		return fmt.Sprintf("Under %s fewer visitors accepted everything: %.1f points fewer. That is hardly chance.", p.words(stats.ByVersion, p.B), -100*v.Difference)
	case v.More > 0:
		return fmt.Sprintf("Not yet. The difference may be chance. If it stays what it is, about %s more answers under each would tell.", thousands(v.More))
	}
	return "Not yet. They look so alike that no number of answers in sight would tell them apart."
}

// Thousands writes a number.
func (p statisticsPage) Thousands(n int64) string { return thousands(n) }
