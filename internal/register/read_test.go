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

func TestSearch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		addSite(t, d, r, 2)
		visitor := uuid.New()
		day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
		for i := range 12 { // one every six hours; each fourth by the same visitor
			mustAppend(t, r, entry(1, func(rec *receipt.Record) {
				rec.Time = day.Add(time.Duration(i) * 6 * time.Hour).Format(receipt.TimeLayout)
				if i%4 == 1 {
					rec.ConsentID = visitor.String()
				}
			}))
		}
		mustAppend(t, r, entry(2, func(rec *receipt.Record) { rec.ConsentID = visitor.String() }))
		for name, c := range map[string]struct {
			query Query
			want  string
		}{
			"everything, newest first":         {Query{SiteID: 1}, "[11 10 9 8 7 6 5 4 3 2 1 0]"},
			"a page":                           {Query{SiteID: 1, Limit: 3}, "[11 10 9]"},
			"the page after":                   {Query{SiteID: 1, Limit: 3, Before: 9}, "[8 7 6]"},
			"the last page":                    {Query{SiteID: 1, Limit: 3, Before: 1}, "[0]"},
			"one day":                          {Query{SiteID: 1, From: day.AddDate(0, 0, 1), To: day.AddDate(0, 0, 2)}, "[7 6 5 4]"},
			"a page of one day":                {Query{SiteID: 1, From: day.AddDate(0, 0, 1), To: day.AddDate(0, 0, 2), Before: 7, Limit: 2}, "[6 5]"},
			"from a day on":                    {Query{SiteID: 1, From: day.AddDate(0, 0, 2)}, "[11 10 9 8]"},
			"from just after a record":         {Query{SiteID: 1, From: day.Add(66*time.Hour + time.Microsecond)}, "[]"},
			"until just after a record":        {Query{SiteID: 1, To: day.Add(time.Microsecond)}, "[0]"},
			"until a record":                   {Query{SiteID: 1, To: day}, "[]"},
			"one visitor":                      {Query{SiteID: 1, ConsentID: visitor}, "[9 5 1]"},
			"one visitor, a page":              {Query{SiteID: 1, ConsentID: visitor, Before: 9, Limit: 1}, "[5]"},
			"one visitor on one day":           {Query{SiteID: 1, ConsentID: visitor, From: day, To: day.AddDate(0, 0, 1)}, "[1]"},
			"one visitor at another site":      {Query{SiteID: 2, ConsentID: visitor}, "[0]"},
			"an unknown visitor":               {Query{SiteID: 1, ConsentID: uuid.New()}, "[]"},
			"a site without a register":        {Query{SiteID: 3}, "[]"},
			"a visitor at a site without one":  {Query{SiteID: 3, ConsentID: visitor}, "[]"},
			"a day on which nothing was asked": {Query{SiteID: 1, From: day.AddDate(1, 0, 0), To: day.AddDate(1, 0, 1)}, "[]"},
		} {
			t.Run(name, func(t *testing.T) {
				list, err := r.Search(t.Context(), c.query)
				if err != nil {
					t.Fatal(err)
				}
				got := []int64{}
				for _, s := range list {
					got = append(got, s.Index)
					if s.SiteID != c.query.SiteID {
						t.Errorf("record %d is of site %d", s.Index, s.SiteID)
					}
				}
				if fmt.Sprint(got) != c.want {
					t.Errorf("indexes %v, want %s", got, c.want)
				}
			})
		}
	})
}

// A visitor's records are found by looking at no other's, however many there are.
func TestSearchByConsentReadsNoOthers(t *testing.T) {
	d := dbtest.SQLite(t)
	r := open(t, d)
	addSite(t, d, r, 1)
	for from, to := range map[time.Time]time.Time{{}: {}, testTime: testTime.Add(time.Hour)} {
		c, first, last, err := r.span(t.Context(), 1, from, to)
		if err != nil || last < first && from.IsZero() {
			t.Fatal(first, last, err)
		}
		query := c.byConsent(1, 1_000_000, uuid.New(), first, last)
		rows, err := d.Read().QueryContext(t.Context(), "explain query plan "+query+" order by place desc limit 50", c.args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var line string
			if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, line)
		}
		rows.Close()
		text := strings.Join(plan, "\n")
		if strings.Contains(text, "SCAN record") || strings.Contains(text, "SCAN p") || strings.Count(text, "SEARCH record USING INTEGER PRIMARY KEY (rowid") != 2 {
			t.Errorf("the plan reads records of others:\n%s", text)
		}
	}
}
