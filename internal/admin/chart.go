package admin

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"assent/internal/stats"
	"assent/internal/tongue"
)

// chart is a picture of a series, drawn on the server: bars from zero, stacked or
// alone, and a line over them. Shades have patterns too, so that it reads without colour.
type chart struct {
	In     *tongue.Language
	Title  string // what a reader who does not see it hears
	ID     string // unique in the page
	Series []stats.Point
	Step   string
	Bars   []layer // from the bottom
	Line   *layer
	Marks  []mark
}

// layer is one thing that is drawn.
type layer struct {
	Label, Class string
	Of           func(*stats.Counts) int64
}

// mark is a moment that explains a change.
type mark struct {
	At          time.Time
	Label, Full string
}

// The drawing's size, in its own units.
const (
	chartWidth, chartHeight        = 560.0, 210.0
	chartLeft, chartTop, chartFoot = 46.0, 22.0, 26.0
)

// SVG draws it.
func (c chart) SVG() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWidth, chartHeight, template.HTMLEscapeString(c.In.Say(c.Title)))
	fmt.Fprintf(&b, `<defs><pattern id="%s-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="under" width="6" height="6"/><rect class="stripe" width="3" height="6"/></pattern></defs>`, c.ID)
	most := int64(1)
	for i := range c.Series {
		counts := &c.Series[i].Counts
		var sum int64
		for _, l := range c.Bars {
			sum += l.Of(counts)
		}
		if c.Line != nil {
			sum = max(sum, c.Line.Of(counts))
		}
		most = max(most, sum)
	}
	step, top := ticks(most)
	height := chartHeight - chartTop - chartFoot
	y := func(n int64) float64 { return chartTop + height*(1-float64(n)/float64(top)) }
	for n := int64(0); n <= top; n += step {
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text class="y" x="%g" y="%.1f">%s</text>`, chartLeft, chartWidth, y(n), y(n), chartLeft-6, y(n)+4, c.In.Say(brief(n)))
	}
	c.draw(&b, y)
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func (c chart) draw(b *strings.Builder, y func(int64) float64) {
	band := (chartWidth - chartLeft) / float64(max(1, len(c.Series)))
	width := max(1, math.Min(band*0.72, 40))
	every := max(1, (len(c.Series)+5)/6)
	var line strings.Builder
	for i := range c.Series {
		p := &c.Series[i]
		middle := chartLeft + band*(float64(i)+0.5)
		if i%every == 0 {
			class := ""
			if i/every%2 == 1 {
				class = " odd"
			}
			fmt.Fprintf(b, `<text class="x%s" x="%.1f" y="%g">%s</text>`, class, middle, chartHeight-8, shortStep(c.In, p.From, c.Step))
		}
		said := []string{longStep(c.In, p.From, c.Step)}
		for _, l := range c.Bars {
			said = append(said, c.In.Say(l.Label)+": "+thousands(l.Of(&p.Counts)))
		}
		if c.Line != nil {
			said = append(said, c.In.Say(c.Line.Label)+": "+thousands(c.Line.Of(&p.Counts)))
			fmt.Fprintf(&line, "%.1f,%.1f ", middle, y(c.Line.Of(&p.Counts)))
		}
		fmt.Fprintf(b, `<g class="bar"><title>%s</title><rect class="all" x="%.1f" y="%g" width="%.1f" height="%g"/>`, template.HTMLEscapeString(strings.Join(said, "\n")), middle-band/2, chartTop, band, chartHeight-chartTop-chartFoot)
		var below int64
		for _, l := range c.Bars {
			if n := l.Of(&p.Counts); n > 0 {
				fill := ""
				if l.Class == "hatch" {
					fill = ` fill="url(#` + c.ID + `-hatch)"`
				}
				fmt.Fprintf(b, `<rect class="%s"%s x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, l.Class, fill, middle-width/2, y(below+n), width, y(below)-y(below+n))
				below += n
			}
		}
		if c.Line != nil {
			if n := c.Line.Of(&p.Counts); len(c.Series) <= 48 {
				fmt.Fprintf(b, `<circle class="dot" cx="%.1f" cy="%.1f" r="2.5"/>`, middle, y(n))
			}
		}
		b.WriteString(`</g>`)
	}
	if c.Line != nil {
		fmt.Fprintf(b, `<polyline class="line" points="%s"/>`, strings.TrimSpace(line.String()))
	}
	c.annotate(b, band)
}

// annotate draws the marks that fall into the series.
func (c chart) annotate(b *strings.Builder, band float64) {
	last := -100.0
	for _, m := range c.Marks {
		for i := len(c.Series) - 1; i >= 0; i-- {
			if m.At.Before(c.Series[i].From) {
				continue
			}
			if x := chartLeft + band*float64(i); x-last > 1 {
				fmt.Fprintf(b, `<g class="mark"><title>%s</title><line x1="%.1f" x2="%.1f" y1="%g" y2="%g"/>`, template.HTMLEscapeString(c.In.Say(m.Full)), x, x, chartTop-6, chartHeight-chartFoot)
				if x-last > 26 {
					anchor := ""
					if x > chartWidth-30 {
						anchor = ` text-anchor="end"`
					}
					fmt.Fprintf(b, `<text x="%.1f" y="%g"%s>%s</text>`, x+3, chartTop-9, anchor, template.HTMLEscapeString(m.Label))
					last = x
				}
				b.WriteString(`</g>`)
			}
			break
		}
	}
}

// ticks are the distance of the grid's lines and the highest of them: 1, 2 or 5 times a
// power of ten, three to six lines.
func ticks(most int64) (step, top int64) {
	step = 1
	for i := 0; step*5 < most; i++ {
		if i%3 == 1 {
			step = step * 5 / 2
		} else {
			step *= 2
		}
	}
	return step, (most + step - 1) / step * step
}

// brief is a number of an axis.
func brief(n int64) string {
	switch {
	case n >= 1_000_000:
		return strconv.FormatFloat(float64(n)/1e6, 'f', -1, 64) + " M"
	case n >= 1000:
		return strconv.FormatFloat(float64(n)/1e3, 'f', -1, 64) + " k"
	}
	return thousands(n)
}

// thousands writes a number with narrow spaces (ISO 80000-1), 1 234.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

func shortStep(l *tongue.Language, t time.Time, step string) string {
	switch step {
	case "hour":
		return t.Format("15:04")
	case "month":
		return dateIn(l, t, "Jan 06")
	}
	return dateIn(l, t, "2 Jan")
}

// longStep is the moment of a step; "minute" is a moment of its own.
func longStep(l *tongue.Language, t time.Time, step string) string {
	switch step {
	case "minute":
		return dateIn(l, t, "2 January 2006, 15:04")
	case "hour":
		return dateIn(l, t, "Monday 2 January, 15:04")
	case "week":
		return l.Say("Week from " + dateIn(l, t, "2 January 2006"))
	case "month":
		return dateIn(l, t, "January 2006")
	}
	return dateIn(l, t, "Monday 2 January 2006")
}
