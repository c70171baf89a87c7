package stats

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"

	"assent/internal/db"
)

// Fill writes made-up days before a day, compacted, of a site with so many views a day:
// for tests, measurements and pictures. The figures are always the same.
func Fill(ctx context.Context, d *db.DB, siteID int64, before time.Time, days, views int) error {
	random := rand.New(rand.NewPCG(7, 7))
	for first := 0; first < days; first += 50 {
		err := d.Write(ctx, func(tx *sql.Tx) error {
			for i := first; i < min(first+50, days); i++ {
				day := before.AddDate(0, 0, i-days)
				for dimension, t := range madeUp(random, day, views) {
					if err := put(ctx, tx, siteID, day.UnixMilli(), 24, dimension, t); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// shapes are how many values each dimension of a busy site has.
var shapes = map[string][]string{
	ByCountry: {"DE", "FR", "AT", "CH", "NL", "EE", "FI", "DK", "PL", "IT", "ES", "GB", "US"}, ByLanguage: {"de", "en", "fr", "et"}, ByDevice: {"mobile", "desktop", "tablet"},
	ByBrowser: {"chrome", "safari", "firefox", "edge", "samsung", "other"}, ByHost: {"shop.example", "www.shop.example"}, ByGPC: {"off", "on"},
	ByVersion: {"a1b2c3d4e5f60718a1b2c3d4e5f60718a1b2c3d4e5f60718a1b2c3d4e5f60718"}, ByHour: named(24, "%02d"),
	ByPage: named(150, "/page-%c%c"), ByEntry: named(80, "/page-%c%c"), ByReferrer: append([]string{Direct, "search.example"}, named(60, "site-%c%c.example")...),
	BySource: named(12, "source-%c%c"), ByMedium: {"mail", "ad", "social"}, ByCampaign: named(25, "campaign-%c%c"), inTotal: {""},
}

func named(n int, format string) (list []string) {
	for i := range n {
		if format == "%02d" {
			list = append(list, fmt.Sprintf(format, i))
			continue
		}
		list = append(list, fmt.Sprintf(format, 'a'+i/26, 'a'+i%26))
	}
	return list
}

func madeUp(random *rand.Rand, day time.Time, views int) map[string]table {
	made := map[string]table{}
	weekend := map[time.Weekday]float64{time.Saturday: 0.7, time.Sunday: 0.6}[day.Weekday()]
	if weekend == 0 {
		weekend = 1
	}
	busy := float64(views) * weekend * (0.9 + 0.2*random.Float64())
	for dimension, values := range shapes {
		t := table{}
		made[dimension] = t
		var sum float64
		for i := range values {
			sum += 1 / float64(i+1)
		}
		for i, value := range values {
			n := busy / float64(i+1) / sum
			r := &row{}
			t[value] = r
			around := func(share float64) int64 { return int64(n * share * (0.9 + 0.2*random.Float64())) }
			r.Counts[Views], r.Counts[Visitors], r.Counts[Entries] = int64(n), around(0.35), around(0.4)
			if dimension == ByPage || dimension == ByEntry {
				r.Counts[Visitors] = 0
				continue
			}
			r.Counts[Shown], r.Counts[Asked], r.Counts[Opened] = around(0.3), around(0.2), around(0.02)
			r.Counts[All], r.Counts[Partially], r.Counts[Necessary] = around(0.07), around(0.015), around(0.06)
			r.Counts[Changed], r.Counts[Withdrawn], r.Counts[Signalled] = around(0.002), around(0.001), around(0.01)
			if dimension == ByHour {
				continue
			}
			for _, key := range []string{"c/functional", "c/analytics", "c/advertising", "s/maps", "s/video", "s/counter", "s/pixel", "s/chat", "s/fonts", "s/heat", "s/ads", "s/mail"} {
				granted := r.Counts[All] + int64(float64(r.Counts[Partially])*random.Float64())
				r.flag(key, Flags{granted, r.Counts.Answers() - granted})
			}
		}
	}
	return made
}
