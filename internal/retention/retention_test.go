package retention

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/internal/register"
	"assent/receipt"

	"github.com/google/uuid"
)

var today = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// months is a time before today.
func months(n int) time.Time { return today.AddDate(0, -n, 0) }

// opened is a store whose notices ask again after 180 days, with the site 1.
func opened(t *testing.T, d *db.DB) (*Store, *register.Register) {
	t.Helper()
	r, err := register.Open(t.Context(), register.Config{DB: d, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	for id := range int64(2) {
		err := d.Write(t.Context(), func(tx *sql.Tx) error {
			key := fmt.Sprint("site", id+1)
			if _, err := tx.Exec("insert into site (id, site, name, draft, created_at, changed_at) values ($1, $2, '', '', 0, 0)", id+1, key); err != nil {
				return err
			}
			return r.CreateLog(t.Context(), tx, id+1, "consent.shop.example/log/"+key)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	lifetime := func(context.Context, string) (int, error) { return 180, nil }
	return NewStore(d, r, lifetime, func() time.Time { return today }), r
}

var sites = []Site{{1, "site1"}, {2, "site2"}}

func decide(t *testing.T, r *register.Register, site int64, country string, visitor uuid.UUID, at time.Time) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	record := receipt.Record{Action: "accept_all", ConsentID: visitor.String(), RecordID: id.String(), Country: country, Site: fmt.Sprint("site", site),
		Status: "accepted_all", Time: at.Format(receipt.TimeLayout), Type: receipt.RecordType, Version: strings.Repeat("ab", 32)}
	_, _, err := r.Append(t.Context(), register.Entry{SiteID: site, RecordID: id, ConsentID: visitor, Time: at, Payload: record.Canonical()})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func mustSet(t *testing.T, s *Store, r Rule) {
	t.Helper()
	if err := s.Set(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsKept(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, r := opened(t, d)
		often := uuid.New()
		cases := []struct {
			name, country string
			visitor       uuid.UUID
			at            time.Time
			gone          bool
		}{
			{"replaced long ago", "DE", often, months(40), true},
			{"replaced long ago, too", "DE", often, months(38), true},
			{"ran out long ago although replaced lately", "DE", often, months(36), true},
			{"replaced lately", "DE", often, months(11), false},
			{"the newest, in force", "DE", often, months(9), false},
			{"ran out, and 24 months are over", "FR", uuid.New(), months(31), true},
			{"ran out, and 24 months are not over", "FR", uuid.New(), months(29), false},
			{"a regime of its own, 36 months", "GB", uuid.New(), months(41), false},
			{"a regime of its own, over", "GB", uuid.New(), months(43), true},
			{"an unknown country: the longest rule", "", uuid.New(), months(41), false},
			{"an unknown country, over", "", uuid.New(), months(43), true},
			{"a country of no regime: the rule for every other", "JP", uuid.New(), months(31), true},
		}
		ids := map[string]uuid.UUID{}
		for _, c := range cases {
			ids[c.name] = decide(t, r, 1, c.country, c.visitor, c.at)
		}
		decide(t, r, 2, "DE", uuid.New(), months(200))
		if list, err := s.Preview(t.Context(), sites); err != nil || len(list) != 0 {
			t.Fatalf("without a rule: %+v, %v", list, err)
		}
		mustSet(t, s, Rule{Months: 12})
		mustSet(t, s, Rule{Months: 24})
		mustSet(t, s, Rule{Regime: "uk", Months: 36})
		mustSet(t, s, Rule{SiteID: 2, Months: 240})

		preview, err := s.Preview(t.Context(), sites)
		if err != nil {
			t.Fatal(err)
		}
		total := int64(0)
		for _, p := range preview {
			total += p.Count
		}
		done, err := s.Run(t.Context(), sites)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(words(done)) != fmt.Sprint(words(preview)) || total != 7 {
			t.Errorf("removed %v, the preview said %v", words(done), words(preview))
		}
		for _, c := range cases {
			_, err := r.Find(t.Context(), ids[c.name])
			if gone := fault.KindOf(err) == fault.Gone; gone != c.gone {
				t.Errorf("%s: gone %v, want %v (%v)", c.name, gone, c.gone, err)
			}
		}
		if list, err := s.Run(t.Context(), sites); err != nil || len(list) != 0 {
			t.Errorf("again: %+v, %v", list, err)
		}
		if report, err := r.Fsck(t.Context(), register.FsckOptions{}); err != nil || !report.OK() || report.Erased != 7 {
			t.Errorf("fsck: %+v, %v", report, err)
		}
	})
}

func words(list []Due) (out []string) {
	for _, d := range list {
		out = append(out, fmt.Sprintf("%s %s %d", d.Site, d.Rule, d.Count))
	}
	return out
}

func TestRules(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, _ := opened(t, d)
		for _, bad := range []Rule{{Months: -1}, {Months: MostMonths + 1}, {Regime: "atlantis", Months: 3}, {Regime: "world-opt-in", Months: 3}} {
			if err := s.Set(t.Context(), bad); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		mustSet(t, s, Rule{Regime: "eu", Months: 24})
		mustSet(t, s, Rule{SiteID: 1, Months: 1})
		if rules, err := s.Rules(t.Context()); err != nil || fmt.Sprint(rules) != "[eu: 24 months any regime: 1 month]" {
			t.Errorf("%v, %v", rules, err)
		}
		if err := s.Drop(t.Context(), Rule{Regime: "eu"}); err != nil {
			t.Error(err)
		}
		if err := s.Drop(t.Context(), Rule{Regime: "eu"}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a rule that is not there: %v", err)
		}
	})
}

// More than one page of records, and more than one act.
func TestManyRecords(t *testing.T) {
	d := dbtest.SQLite(t)
	s, r := opened(t, d)
	visitors := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	for i := range 2100 {
		decide(t, r, 1, "DE", visitors[i%3], months(60).Add(time.Duration(i)*time.Minute))
	}
	for _, v := range visitors {
		decide(t, r, 1, "DE", v, months(1))
	}
	mustSet(t, s, Rule{Regime: "eu", Months: 24})
	done, err := s.Run(t.Context(), sites)
	if err != nil || len(done) != 1 || done[0].Count != 2100 || len(done[0].Acts) != 3 {
		t.Fatalf("%+v, %v", words(done), err)
	}
	left, err := r.Search(t.Context(), register.Query{SiteID: 1})
	if err != nil || len(left) != 3 {
		t.Errorf("%d are left, %v", len(left), err)
	}
}
