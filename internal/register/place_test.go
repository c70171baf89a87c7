package register

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/receipt"

	"github.com/google/uuid"
)

// A visitor is found in runs that were entered, in records after them, and
// where a batch filled a run or several.
func TestConsentPlaces(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		visitor := uuid.New()
		visit := func(want string) {
			t.Helper()
			mustAppend(t, r, entry(1, func(rec *receipt.Record) { rec.ConsentID = visitor.String() }))
			wantIndexes(t, r, Query{SiteID: 1, ConsentID: visitor}, want)
		}
		visit("[0]")
		load(t, r, 1021, 100)
		visit("[1022 0]")
		visit("[1023 1022 0]") // the run is full
		visit("[1024 1023 1022 0]")
		load(t, r, 1500, 1500)
		visit("[2525 1024 1023 1022 0]")
		wantIndexes(t, r, Query{SiteID: 1, ConsentID: visitor, Before: 1024, Limit: 2}, "[1023 1022]")
		wantIndexes(t, r, Query{SiteID: 1, ConsentID: uuid.New()}, "[]")
		near := visitor
		near[15] ^= 1
		wantIndexes(t, r, Query{SiteID: 1, ConsentID: near}, "[]")
		mustSound(t, r)

		for _, damage := range []string{
			"delete from consent_place where idx = 1023",
			"update consent_place set idx = 7 where idx = 1023 and site_id = 1",
			"update consent_place set stretch = 1 where idx = 2047",
			"update consent_place set prefix = substr(prefix, 1, 3) where idx = 0",
			"update consent_place set prefix = (select prefix from consent_place where idx = 2) where idx = 1",
		} {
			t.Run(damage, func(t *testing.T) {
				exec(t, d, damage)
				if report := mustFsck(t, r); report.OK() || !strings.Contains(fmt.Sprint(report.Findings), "records 0 to 2047") {
					t.Errorf("%+v", report)
				}
				define(t, d, "delete from consent_place")
				exec(t, d, enterRun, placeOf(1, 0), placeOf(1, 2048))
				mustSound(t, r)
			})
		}
	})
}

func mustSound(t *testing.T, r *Register) {
	t.Helper()
	if report := mustFsck(t, r); !report.OK() {
		t.Fatalf("%+v", report)
	}
}

func wantIndexes(t *testing.T, r *Register, q Query, want string) {
	t.Helper()
	list, err := r.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	got := []int64{}
	for _, s := range list {
		got = append(got, s.Index)
	}
	if fmt.Sprint(got) != want {
		t.Errorf("indexes %v, want %s", got, want)
	}
}

// A span of time is found in full runs, in the records after them, and where
// clocks went back; a wrong span is found by fsck.
func TestSpans(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
		add := func(n int, at time.Time) {
			t.Helper()
			list := make([]Entry, n)
			for i := range list {
				list[i] = entry(1, func(rec *receipt.Record) {
					rec.Time = at.Add(time.Duration(i) * time.Minute).Format(receipt.TimeLayout)
				})
			}
			for _, a := range together(t, r, list...) {
				if a.err != nil {
					t.Fatal(a.err)
				}
			}
		}
		add(1100, day)
		add(1100, day.AddDate(0, 0, 1)) // its first 948 are in the second run
		add(1, day.AddDate(0, 0, 7))
		add(1, day.AddDate(0, 0, -7))
		wantIndexes(t, r, Query{SiteID: 1, From: day.AddDate(0, 0, 1), To: day.AddDate(0, 0, 1).Add(3 * time.Minute)}, "[1102 1101 1100]")
		wantIndexes(t, r, Query{SiteID: 1, From: day.Add(1022 * time.Minute), To: day.Add(1025 * time.Minute)}, "[1024 1023 1022]")
		wantIndexes(t, r, Query{SiteID: 1, To: day.Add(2 * time.Minute)}, "[2201 1 0]")
		wantIndexes(t, r, Query{SiteID: 1, From: day.AddDate(0, 0, 7)}, "[2200]")
		wantIndexes(t, r, Query{SiteID: 1, From: day.AddDate(0, 0, 8)}, "[]")
		wantIndexes(t, r, Query{SiteID: 1, From: day.AddDate(0, 0, 3), To: day.AddDate(0, 0, 6)}, "[]")
		mustSound(t, r)
		for damage, undo := range map[string]string{
			"update span set earliest = earliest + 1 where run = 0": "update span set earliest = earliest - 1 where run = 0",
			"update span set latest = latest - 1 where run = 1":     "update span set latest = latest + 1 where run = 1",
			"update span set run = 2 where run = 1":                 "update span set run = 1 where run = 2",
		} {
			exec(t, d, damage)
			if report := mustFsck(t, r); report.OK() || !strings.Contains(fmt.Sprint(report.Findings), "the table span does not hold") {
				t.Errorf("%s: %+v", damage, report)
			}
			exec(t, d, undo)
			mustSound(t, r)
		}
	})
}
