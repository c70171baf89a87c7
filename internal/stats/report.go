package stats

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"assent/internal/fault"
)

// Query is what a report is about.
type Query struct {
	SiteID   int64
	From, To time.Time // From's day to before To's, in the settings' zone
	// Dimension and Value restrict everything to one value; "" for all.
	Dimension, Value string
	By               string // of the series: hour, day, week, month; "": what fits the period
	Settings         Settings
}

// Report is a period of a site. Small counts are merged already.
type Report struct {
	Total      Counts
	By         map[string]Breakdown // by dimension; empty with a filter: counts are kept by one dimension only
	Categories []Part
	Services   []Part
	Series     []Point
	Step       string // of the series
	// TooFew: the value that everything is restricted to has a count below the threshold; nothing else is said.
	TooFew bool
}

// Breakdown is one dimension.
type Breakdown struct {
	Lines []Line // the largest first; ByHour in its order
	// Rest adds up the values with small counts, and Merged tells how many they are.
	Rest   Counts
	Merged int
}

// Line is one value.
type Line struct {
	Value  string
	Counts Counts
}

// Part is a category or a service.
type Part struct {
	Key string
	Flags
}

// Point is a step of the series.
type Point struct {
	From   time.Time
	Counts Counts
	Few    bool // restricted to one value, it has a count below the threshold, which is not told
}

// Steps of a series.
var Steps = []string{"hour", "day", "week", "month"}

// Report reads a period in one statement.
func (c *Counters) Report(ctx context.Context, q Query) (*Report, error) {
	zone := q.Settings.Location()
	r := &Report{By: map[string]Breakdown{}, Step: q.step()}
	query := "select slot, hours, dimension, data from counter where site_id = $1 and slot >= $2 and slot < $3"
	args := []any{q.SiteID, q.From.UnixMilli(), q.To.UnixMilli()}
	switch {
	case q.Dimension == ByHour:
		query += " and dimension in ('', 'hour')"
	case q.Dimension != "":
		query += " and dimension = $4"
		args = append(args, q.Dimension)
	}
	rows, err := c.db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, c.db.Explain(err)
	}
	defer rows.Close()
	g := gathering{q: q, zone: zone, by: map[string]table{}, points: map[int64]*Counts{}}
	for rows.Next() {
		var s slotRow
		var data []byte
		if err := rows.Scan(&s.slot, &s.hours, &s.dimension, &data); err != nil {
			return nil, c.db.Explain(err)
		}
		if err := g.take(s, data, r.Step); err != nil {
			return nil, err
		}
	}
	if err := rows.Err(); err != nil {
		return nil, c.db.Explain(err)
	}
	g.finish(r)
	return r, nil
}

// step is hours for two days, days for a quarter, weeks for a year, else months.
func (q *Query) step() string {
	if slices.Contains(Steps, q.By) {
		return q.By
	}
	switch days := q.To.Sub(q.From).Hours() / 24; {
	case days <= 2.1:
		return "hour"
	case days <= 93:
		return "day"
	case days <= 400:
		return "week"
	}
	return "month"
}

type slotRow struct {
	slot, hours int64
	dimension   string
}

// gathering adds up what is read.
type gathering struct {
	q      Query
	zone   *time.Location
	by     map[string]table
	chosen row               // what the report is about
	points map[int64]*Counts // by the beginning of the step
}

const readAll = 1 << 20 // values; what is stored is bounded

func (g *gathering) take(s slotRow, data []byte, step string) error {
	if g.q.Dimension == "" && s.dimension != inTotal && (s.dimension != ByHour || step != "hour") {
		return g.table(s.dimension).unpack(data, readAll)
	}
	t := table{}
	if err := t.unpack(data, readAll); err != nil {
		return err
	}
	at := time.UnixMilli(s.slot).In(g.zone)
	switch {
	case g.q.Dimension == ByHour && s.dimension == inTotal:
		if s.hours == 1 && t[""] != nil && at.Format("15") == g.q.Value {
			g.choose(&row{Counts: t[""].Counts}, at, step)
		}
		return nil
	case g.q.Dimension != "":
		if r := t[g.q.Value]; r != nil {
			if step == "hour" && s.dimension == ByHour {
				hour, _ := time.ParseInLocation("15", g.q.Value, g.zone)
				at = at.Add(time.Duration(hour.Hour()) * time.Hour)
			}
			g.choose(r, at, step)
		}
		return nil
	}
	if s.dimension == inTotal {
		r := t[""]
		if r == nil {
			return nil
		}
		if step == "hour" && s.hours == 24 { // the hours of the day stand in a dimension of their own
			g.chosen.add(r)
			return nil
		}
		g.choose(r, at, step)
		if s.hours == 1 {
			g.table(ByHour).at(at.Format("15"), readAll).Counts.add(&r.Counts)
		}
		return nil
	}
	if s.dimension == ByHour && step == "hour" {
		for value, r := range t {
			if hour, err := time.Parse("15", value); err == nil {
				g.point(time.Date(at.Year(), at.Month(), at.Day(), hour.Hour(), 0, 0, 0, g.zone), step).add(&r.Counts)
			}
		}
	}
	g.table(s.dimension).merge(t, readAll)
	return nil
}

func (g *gathering) table(dimension string) table {
	if g.by[dimension] == nil {
		g.by[dimension] = table{}
	}
	return g.by[dimension]
}

func (g *gathering) choose(r *row, at time.Time, step string) {
	g.chosen.add(r)
	g.point(at, step).add(&r.Counts)
}

func (g *gathering) point(at time.Time, step string) *Counts {
	slot := floor(at, step).UnixMilli()
	if g.points[slot] == nil {
		g.points[slot] = new(Counts)
	}
	return g.points[slot]
}

// floor is the beginning of the step that a moment is in; weeks begin on Monday (ISO 8601).
func floor(at time.Time, step string) time.Time {
	day := midnight(at)
	switch step {
	case "hour":
		return at.Add(-time.Duration(at.Minute())*time.Minute - time.Duration(at.Second())*time.Second - time.Duration(at.Nanosecond()))
	case "week":
		return day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
	case "month":
		return day.AddDate(0, 0, 1-day.Day())
	}
	return day
}

func after(at time.Time, step string) time.Time {
	switch step {
	case "hour":
		return at.Add(time.Hour)
	case "week":
		return at.AddDate(0, 0, 7)
	case "month":
		return at.AddDate(0, 1, 0)
	}
	return midnight(at.Add(36 * time.Hour))
}

func (g *gathering) finish(r *Report) {
	limit := g.q.Settings.Threshold
	r.Total = g.chosen.Counts
	if g.q.Dimension != "" && r.Total.weight() < limit {
		r.Total, r.TooFew = Counts{}, true
		return
	}
	for dimension, t := range g.by {
		if dimension == ByHour { // no property of anybody, and the series has the same
			r.By[dimension] = breakdown(t, 0, true)
			continue
		}
		r.By[dimension] = breakdown(t, limit, false)
	}
	for _, p := range g.chosen.parts {
		kind, name, _ := strings.Cut(p.key, "/")
		part := Part{name, p.Flags}
		if kind == "c" {
			r.Categories = append(r.Categories, part)
		} else {
			r.Services = append(r.Services, part)
		}
	}
	byAnswers := func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Granted+b.Refused, a.Granted+a.Refused), cmp.Compare(a.Key, b.Key))
	}
	slices.SortFunc(r.Services, byAnswers)
	// Steps without any count are zero, and not missing.
	for at := floor(g.q.From.In(g.zone), r.Step); at.Before(g.q.To) && len(r.Series) < 2000; at = after(at, r.Step) {
		p := Point{From: at}
		if counts := g.points[at.UnixMilli()]; counts != nil {
			if p.Few = g.q.Dimension != "" && counts.weight() < limit; !p.Few {
				p.Counts = *counts
			}
		}
		r.Series = append(r.Series, p)
	}
}

// breakdown merges values with small counts. Where what was merged is itself small,
// the smallest value that is left goes with it: else the total would give it away.
func breakdown(t table, limit int64, inOrder bool) Breakdown {
	var b Breakdown
	values := slices.SortedFunc(maps.Keys(t), func(x, y string) int {
		return cmp.Or(cmp.Compare(t[y].weight(), t[x].weight()), cmp.Compare(x, y))
	})
	for _, value := range values {
		b.Lines = append(b.Lines, Line{value, t[value].Counts})
	}
	for len(b.Lines) > 0 {
		last := b.Lines[len(b.Lines)-1]
		if last.Counts.weight() >= limit && (b.Merged == 0 || b.Rest.weight() >= limit) {
			break
		}
		b.Rest.add(&last.Counts)
		b.Merged++
		b.Lines = b.Lines[:len(b.Lines)-1]
	}
	if inOrder {
		slices.SortFunc(b.Lines, func(x, y Line) int { return strings.Compare(x.Value, y.Value) })
	}
	return b
}

// Rate is a share with its 95 % confidence interval (Wilson 1927), each from 0 to 1.
type Rate struct {
	Share, Low, High float64
	Of               int64 // 0: there is no share
}

// z95 is the 97.5 % point of the normal distribution.
const z95 = 1.959963984540054

// RateOf is the rate of n among of. An n above of is taken as of.
func RateOf(n, of int64) Rate {
	if of <= 0 {
		return Rate{}
	}
	n = min(n, of)
	p, size, z2 := float64(n)/float64(of), float64(of), z95*z95
	centre := (p + z2/(2*size)) / (1 + z2/size)
	half := z95 / (1 + z2/size) * math.Sqrt(p*(1-p)/size+z2/(4*size*size))
	return Rate{p, max(0, centre-half), min(1, centre+half), of}
}

// Verdict is what can be said of two rates.
type Verdict struct {
	A, B       Rate
	Difference float64 // B's share less A's
	// P is an always-valid p-value (Johari, Pekelis, Walsh 2015, mixture sequential
	// ratio test): it may be looked at every day, and is wrong in at most 5 of 100 cases
	// in which there is no difference, where one of an ordinary test would be wrong in many more.
	P float64
	// Decided: the difference is not by chance, P below 0.05 and enough answers to tell.
	Decided bool
	// More is about how many more answers each needs, if the difference stays what it is; 0
	// when decided, and when they look so alike that none can be told.
	More int64
}

// mixture is the spread of differences that the test looks out for: some per cent.
const mixture = 0.04

// enough is how many answers of each kind a rate needs before it is compared.
const enough = 10

// Compare compares two rates: a of ofA with b of ofB.
func Compare(a, ofA, b, ofB int64) Verdict {
	v := Verdict{A: RateOf(a, ofA), B: RateOf(b, ofB), P: 1}
	if ofA <= 0 || ofB <= 0 {
		return v
	}
	v.Difference = v.B.Share - v.A.Share
	variance := func(nA, nB float64) float64 {
		p := (v.A.Share*nA + v.B.Share*nB) / (nA + nB)
		return p * (1 - p) * (1/nA + 1/nB)
	}
	ratio := func(nA, nB float64) float64 {
		s := variance(nA, nB)
		if s <= 0 {
			return 1
		}
		const m = mixture * mixture
		return math.Sqrt(s/(s+m)) * math.Exp(m*v.Difference*v.Difference/(2*s*(s+m)))
	}
	nA, nB := float64(ofA), float64(ofB)
	v.P = min(1, 1/ratio(nA, nB))
	few := min(a, ofA-a, b, ofB-b) < enough
	v.Decided = v.P < 0.05 && !few
	if v.Decided {
		v.P = min(v.P, 0.05)
		return v
	}
	for factor := 1.25; factor < 1000; factor *= 1.25 {
		if ratio(nA*factor, nB*factor) > 20 && float64(min(a, ofA-a, b, ofB-b))*factor >= enough {
			v.More = int64(math.Ceil(max(nA, nB) * (factor - 1)))
			break
		}
	}
	return v
}

// maxDays is how long a period can be.
const maxDays = 5 * 366

// Period reads a first and a last day, 2006-01-02, in a zone: the 30 days up to today
// where they are "". Errors: a fault of kind Invalid.
func Period(from, to string, now time.Time, zone *time.Location) (first, after time.Time, err error) {
	last := midnight(now.In(zone))
	if to != "" {
		if last, err = time.ParseInLocation(time.DateOnly, to, zone); err != nil {
			return first, after, fault.New(fault.Invalid, "%q is not a day. Write it like 2026-03-31.", to)
		}
	}
	after = last.AddDate(0, 0, 1)
	first = last.AddDate(0, 0, -29)
	if from != "" {
		if first, err = time.ParseInLocation(time.DateOnly, from, zone); err != nil {
			return first, after, fault.New(fault.Invalid, "%q is not a day. Write it like 2026-03-31.", from)
		}
	}
	if !first.Before(after) {
		return first, after, fault.New(fault.Invalid, "The last day is before the first one.")
	}
	if after.Sub(first) > maxDays*24*time.Hour {
		return first, after, fault.New(fault.Invalid, "A period is five years at most.")
	}
	return first, after, nil
}
