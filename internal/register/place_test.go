package register

import (
	"fmt"
	"strings"
	"testing"

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
