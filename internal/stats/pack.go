package stats

import (
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"math/bits"
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
	parts []part // in the order of their keys
}

// part is a category, with "c/" before its key, or a service, with "s/".
type part struct {
	key string
	Flags
}

func (r *row) add(o *row) {
	r.Counts.add(&o.Counts)
	for _, p := range o.parts {
		r.flag(p.key, p.Flags)
	}
}

// flag adds to a part, and returns where it stands.
func (r *row) flag(key string, f Flags) int {
	at, found := slices.BinarySearchFunc(r.parts, key, func(p part, key string) int { return cmp.Compare(p.key, key) })
	if !found {
		r.parts = slices.Insert(r.parts, at, part{key: key})
	}
	r.parts[at].Granted += f.Granted
	r.parts[at].Refused += f.Refused
	return at
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
		for _, p := range r.parts {
			keys[p.key] = 0
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
		for _, p := range r.parts {
			b = binary.AppendUvarint(b, keys[p.key])
			b = binary.AppendUvarint(b, uint64(p.Granted))
			b = binary.AppendUvarint(b, uint64(p.Refused))
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errPack = errors.New("stats: counters in the database are damaged")

// unpack adds a packed table to t, at most limit rows. After an error t is of no use.
func (t table) unpack(data []byte, limit int) error {
	if len(data) == 0 || data[0] != packed {
		return errPack
	}
	u := unpacker{data: data, at: 1}
	keys := make([]string, 0, 8)
	for n := u.number(); n > 0 && !u.bad; n-- {
		keys = append(keys, u.text())
	}
	for u.more() {
		value := u.bytes()
		r := t[string(value)] // without a copy: a year of a busy site is 150,000 rows
		if r == nil {
			r = t.at(string(value), limit)
		}
		mask := u.number()
		u.bad = u.bad || mask>>numMetrics != 0
		for ; mask != 0 && !u.bad; mask &= mask - 1 {
			r.Counts[bits.TrailingZeros64(mask)] += u.count()
		}
		next := 0 // parts mostly follow each other as they did in the blobs before
		for n := u.number(); n > 0 && !u.bad; n-- {
			number := u.number()
			f := Flags{u.count(), u.count()}
			if number >= uint64(len(keys)) {
				return errPack
			}
			if key := keys[number]; next < len(r.parts) && r.parts[next].key == key {
				r.parts[next].Granted += f.Granted
				r.parts[next].Refused += f.Refused
			} else {
				next = r.flag(key, f)
			}
			next++
		}
	}
	if u.bad {
		return errPack
	}
	return nil
}

// unpacker keeps a place and not the rest: a slice that moves costs a write barrier a number.
type unpacker struct {
	data []byte
	at   int
	bad  bool
}

func (u *unpacker) more() bool { return u.at < len(u.data) && !u.bad }

func (u *unpacker) fail() { u.bad, u.at = true, len(u.data) }

func (u *unpacker) number() uint64 {
	if u.at < len(u.data) && u.data[u.at] < 0x80 {
		u.at++
		return uint64(u.data[u.at-1])
	}
	v, n := binary.Uvarint(u.data[u.at:])
	if n <= 0 {
		u.fail()
		return 0
	}
	u.at += n
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

func (u *unpacker) text() string { return string(u.bytes()) }

func (u *unpacker) bytes() []byte {
	n := u.number()
	if n > uint64(len(u.data)-u.at) {
		u.fail()
		return nil
	}
	u.at += int(n)
	return u.data[u.at-int(n) : u.at]
}
