package stats

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
)

func TestWilson(t *testing.T) {
	// Newcombe 1998, Statistics in Medicine 17, table I, method 3.
	for _, row := range []struct {
		n, of     int64
		low, high float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		r := RateOf(row.n, row.of)
		if math.Abs(r.Low-row.low) > 0.0001 || math.Abs(r.High-row.high) > 0.0001 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", row.n, row.of, r.Low, r.High, row.low, row.high)
		}
	}
	if RateOf(0, 0).Of != 0 {
		t.Error("nothing of nothing is no rate")
	}
}

// Whoever looks every day and stops at the first significant answer is wrong in at
// most 5 of 100 cases; with an ordinary test it would be many more.
func TestLookingEveryDayIsHonest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const runs, looks, perLook = 400, 60, 50
	wrong, ordinary, found := 0, 0, 0
	for range runs {
		for _, lift := range []float64{0, 0.08} {
			var a, b, n int64
			decided, naive := false, false
			for range looks {
				for range perLook {
					if random.Float64() < 0.5 {
						a++
					}
					if random.Float64() < 0.5+lift {
						b++
					}
				}
				n += perLook
				v := Compare(a, n, b, n)
				decided = decided || v.Decided
				pooled := float64(a+b) / float64(2*n)
				naive = naive || math.Abs(v.Difference) > z95*math.Sqrt(pooled*(1-pooled)*2/float64(n))
			}
			switch {
			case lift == 0 && decided:
				wrong++
			case lift > 0 && decided:
				found++
			}
			if lift == 0 && naive {
				ordinary++
			}
		}
	}
	if wrong > runs*5/100 || ordinary < runs*15/100 || found < runs*90/100 {
		t.Errorf("of %d: wrong %d, an ordinary test %d; a true difference found %d times", runs, wrong, ordinary, found)
	}
	if v := Compare(6, 9, 1, 9); v.Decided || v.More == 0 {
		t.Errorf("nine answers decide: %+v", v)
	}
	if v := Compare(0, 0, 1, 9); v.Decided || v.P != 1 {
		t.Errorf("nothing decides: %+v", v)
	}
}

func TestReportOfAPeriod(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, clock := newCounters(t, d)
		clock.at = time.Date(2026, 3, 10, 9, 15, 0, 0, time.UTC)
		for range 40 { // hours
			c.Add(1, &german, jane, agent, Event{Views, 2})
			must(t, c.Flush(ctx))
			clock.pass(time.Hour)
		}
		rare := german
		rare.Country, rare.Campaign = "EE", "letter-to-one"
		c.Add(1, &rare, joe, agent, Event{Views, 3})
		must(t, c.Flush(ctx))
		day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
		read := func(q Query) *Report {
			t.Helper()
			q.SiteID, q.Settings = 1, Settings{Threshold: 5, Zone: "UTC"}
			r, err := c.Report(ctx, q)
			must(t, err)
			return r
		}
		check := func() {
			t.Helper()
			r := read(Query{From: day(9), To: day(14)})
			if r.Total[Views] != 83 || len(r.Series) != 5 || r.Series[1].Counts[Views] != 30 || r.Series[2].Counts[Views] != 48 || r.Step != "day" {
				t.Errorf("%v %s %v", r.Total, r.Step, r.Series)
			}
			// Estonia's 3 views would stand alone, so Germany's go with them.
			if b := r.By[ByCountry]; len(b.Lines) != 0 || b.Merged != 2 || b.Rest[Views] != 83 {
				t.Errorf("countries %+v", b)
			}
			if b := r.By[ByHour]; len(b.Lines) < 20 || b.Lines[0].Value > b.Lines[1].Value {
				t.Errorf("hours %+v", b)
			}
			if r = read(Query{From: day(10), To: day(12), By: "hour"}); len(r.Series) != 48 || r.Series[9].Counts[Views] != 2 || r.Series[8].Counts[Views] != 0 || r.Total[Views] != 78 {
				t.Errorf("hours: %d steps, %v", len(r.Series), r.Series)
			}
			if r = read(Query{From: day(9), To: day(14), Dimension: ByCountry, Value: "DE"}); r.Total[Views] != 80 || r.TooFew || len(r.By) != 0 || r.Series[1].Counts[Views] != 30 || !r.Series[3].Few || r.Series[3].Counts[Views] != 0 {
				t.Errorf("Germany: %+v", r)
			}
			if r = read(Query{From: day(9), To: day(14), Dimension: ByCountry, Value: "EE"}); r.Total[Views] != 0 || !r.TooFew || len(r.Series) != 0 {
				t.Errorf("Estonia: %+v", r)
			}
			if r = read(Query{From: day(9), To: day(14), Dimension: ByHour, Value: "10"}); r.Total[Views] != 4 && !r.TooFew {
				t.Errorf("ten o'clock: %+v", r)
			}
			if r = read(Query{From: day(9), To: day(14), By: "week"}); len(r.Series) != 1 || r.Series[0].From != day(9) || r.Series[0].Counts[Views] != 83 {
				t.Errorf("weeks: %v", r.Series)
			}
		}
		check()
		clock.pass(5 * 24 * time.Hour)
		must(t, c.Keep(ctx))
		if len(slots(t, d, 1)) != 0 {
			t.Error("hours are left")
		}
		check()
	})
}
