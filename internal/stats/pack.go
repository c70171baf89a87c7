package stats

import (
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// Metric is what is counted.
type Metric int

// The metrics. Asked and Visitors count a visitor once a day (see visitors.go),
// the others count every time.
const (
	Shown     Metric = iota // pages on which the banner was shown
	Asked                   // visitors to whom it was shown
	Opened                  // the preferences were opened
	All                     // an answer to the question: everything
	Partially               // some of it
	Necessary               // nothing of it
	Changed                 // a later answer to a question that was answered before
	Withdrawn               // everything taken back
	Signalled               // refused by a signal of the browser, without a banner
	Views                   // pages
	Visitors                // visitors of pages
	Entries                 // pages that were not reached from the site itself
	numMetrics
)

// metricNames are the names in exports, in the order of the metrics.
var metricNames = [numMetrics]string{"shown", "asked", "preferences_opened", "accepted_all", "accepted_partially", "accepted_necessary",
	"changed", "withdrawn", "signalled", "views", "visitors", "entries"}

func (m Metric) String() string { return metricNames[m] }

// Metrics are all, in the order of exports.
func Metrics() []Metric {
	list := make([]Metric, numMetrics)
	for i := range list {
		list[i] = Metric(i)
	}
	return list
}

// Counts has a count for each metric.
type Counts [numMetrics]int64

// Answers is how many answered the question that they were asked.
func (c *Counts) Answers() int64 { return c[All] + c[Partially] + c[Necessary] }

// Ignored is how many visitors were asked and did not answer on that day. It is never
// negative: apps ask without telling.
func (c *Counts) Ignored() int64 { return max(0, c[Asked]-c.Answers()) }

// weight is how much stands behind a value: the threshold for small counts looks at it.
func (c *Counts) weight() int64 {
	return max(c.Answers()+c[Changed]+c[Withdrawn]+c[Signalled], c[Asked], c[Views])
}

func (c *Counts) add(o *Counts) {
	for i := range c {
		c[i] += o[i]
	}
}

// Flags are how often a category or a service was granted and refused in decisions.
type Flags struct{ Granted, Refused int64 }

// row is what is counted for one value of a dimension.
type row struct {
	Counts
	parts map[string]Flags // by "c/" and a category's key, or "s/" and a service's
}

func (r *row) add(o *row) {
	r.Counts.add(&o.Counts)
	for key, f := range o.parts {
		r.flag(key, f)
	}
}

func (r *row) flag(key string, f Flags) {
	if r.parts == nil {
		r.parts = make(map[string]Flags, 4)
	}
	was := r.parts[key]
	r.parts[key] = Flags{was.Granted + f.Granted, was.Refused + f.Refused}
}

// table is one dimension: a row for each value.
type table map[string]*row

// OtherValue stands for all values of a dimension that found no room.
const OtherValue = "(other)"

// at is the row of a value; the other's when the table holds limit rows.
func (t table) at(value string, limit int) *row {
	r := t[value]
	if r == nil && len(t) >= limit {
		value = OtherValue
		r = t[value]
	}
	if r == nil {
		r = new(row)
		t[value] = r
	}
	return r
}

func (t table) merge(o table, limit int) {
	for _, value := range slices.Sorted(maps.Keys(o)) {
		t.at(value, limit).add(o[value])
	}
}

// trim keeps the largest rows and adds the others up.
func (t table) trim(limit int) {
	if len(t) <= limit {
		return
	}
	values := slices.SortedFunc(maps.Keys(t), func(a, b string) int {
		return cmp.Or(cmp.Compare(t[b].weight(), t[a].weight()), cmp.Compare(a, b))
	})
	other := t[OtherValue]
	if other == nil {
		other = new(row)
	}
	for _, value := range values[limit-1:] {
		if value != OtherValue {
			other.add(t[value])
			delete(t, value)
		}
	}
	t[OtherValue] = other
}

// A packed table: 1, the keys of the parts, then the rows, sorted by value: value,
// a bit for each metric that is not 0, those metrics, how many parts, and for each
// the number of its key, granted and refused. Numbers are varints (encoding/binary),
// texts have their length before them. Hours and days of a dimension are one such
// blob: a year of a busy site takes some megabytes, and is read in some milliseconds.
const packed = 1

func (t table) pack() []byte {
	keys := map[string]uint64{}
	for _, r := range t {
		for key := range r.parts {
			keys[key] = 0
		}
	}
	names := slices.Sorted(maps.Keys(keys))
	b := binary.AppendUvarint([]byte{packed}, uint64(len(names)))
	for i, key := range names {
		keys[key] = uint64(i)
		b = appendText(b, key)
	}
	for _, value := range slices.Sorted(maps.Keys(t)) {
		r := t[value]
		b = appendText(b, value)
		var mask uint64
		for i, n := range r.Counts {
			if n > 0 {
				mask |= 1 << i
			}
		}
		b = binary.AppendUvarint(b, mask)
		for _, n := range r.Counts {
			if n > 0 {
				b = binary.AppendUvarint(b, uint64(n))
			}
		}
		b = binary.AppendUvarint(b, uint64(len(r.parts)))
		for _, key := range names {
			if f, ok := r.parts[key]; ok {
				b = binary.AppendUvarint(b, keys[key])
				b = binary.AppendUvarint(b, uint64(f.Granted))
				b = binary.AppendUvarint(b, uint64(f.Refused))
			}
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errPack = errors.New("stats: counters in the database are damaged")

// unpack adds a packed table to t, at most limit rows.
func (t table) unpack(data []byte, limit int) error {
	u := unpacker{rest: data}
	if len(data) == 0 || data[0] != packed {
		return errPack
	}
	u.rest = data[1:]
	keys := make([]string, 0, 8)
	for n := u.number(); n > 0 && !u.bad; n-- {
		keys = append(keys, u.text())
	}
	for len(u.rest) > 0 && !u.bad {
		value := u.text()
		var r row
		mask := u.number()
		for i := range r.Counts {
			if mask&(1<<i) != 0 {
				r.Counts[i] = u.count()
			}
		}
		u.bad = u.bad || mask>>numMetrics != 0
		for n := u.number(); n > 0 && !u.bad; n-- {
			key := u.number()
			f := Flags{u.count(), u.count()}
			if key >= uint64(len(keys)) {
				return errPack
			}
			r.flag(keys[key], f)
		}
		if !u.bad {
			t.at(value, limit).add(&r)
		}
	}
	if u.bad {
		return errPack
	}
	return nil
}

type unpacker struct {
	rest []byte
	bad  bool
}

func (u *unpacker) number() uint64 {
	v, n := binary.Uvarint(u.rest)
	if n <= 0 {
		u.bad, u.rest = true, nil
		return 0
	}
	u.rest = u.rest[n:]
	return v
}

// count is a number that many of can be added up.
func (u *unpacker) count() int64 {
	v := u.number()
	if v > 1<<48 {
		u.bad = true
		return 0
	}
	return int64(v)
}

func (u *unpacker) text() string {
	n := u.number()
	if n > uint64(len(u.rest)) {
		u.bad, u.rest = true, nil
		return ""
	}
	s := string(u.rest[:n])
	u.rest = u.rest[n:]
	return s
}
