package stats_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/stats"
)

func TestInstalls(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		err := d.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "insert into site (id, site, name, draft, version, created_at, changed_at, organisation_id) values (1, 'aaaaaaaaaaaa', 'x', '{}', null, 0, 0, 'first')")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 11, 30, 12, 34, 56, 0, time.UTC)
		s := stats.NewStore(d, func() time.Time { return now })
		owns := func(host string) bool { return host == "shop.example" }
		flush := func() {
			t.Helper()
			if err := s.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		list := func() []stats.Installed {
			t.Helper()
			list, err := s.Installs(ctx, 1)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		old := strings.Repeat("ab", 32)
		s.Install(1, "shop.example", "", "boot", old, owns)
		s.Install(1, "shop.example", "/product/4711", "", "", owns)
		s.Install(1, "shop.example", "", "boot", old, owns) // a second visitor of the same minute
		flush()
		got := list()
		if len(got) != 2 || got[0].Page != "" || !got[0].Stale() || got[0].OldVersion != old || !got[0].Old.Equal(now.Truncate(time.Minute)) {
			t.Fatalf("%+v", got)
		}
		if !got[1].Current.Equal(now.Truncate(24*time.Hour)) || got[1].Page != "/product/*" {
			t.Errorf("a page keeps more than the day: %+v", got[1])
		}
		now = now.Add(5 * time.Minute)
		s.Install(1, "shop.example", "", "boot", "", owns) // pasted anew
		s.Install(2, "shop.example", "", "tag", "", owns)  // of a site that is not there
		flush()
		if got = list(); got[0].Stale() || !got[0].Last().Equal(now.Truncate(time.Minute)) || got[0].Old.IsZero() {
			t.Errorf("after the boot was pasted anew: %+v", got[0])
		}
		// What strangers claim is bounded, and leaves room for the site's own.
		for i := range 40 {
			s.Install(1, fmt.Sprintf("evil-%c%c.example", 'a'+i/26, 'a'+i%26), "", "tag", "", owns)
		}
		flush()
		strange := 0
		for _, i := range list() {
			if i.Elsewhere() {
				strange++
			}
		}
		if strange != 10 {
			t.Errorf("%d hosts of strangers are kept", strange)
		}
		now = now.Add(91 * 24 * time.Hour)
		if _, err := s.Sweep(ctx); err != nil || len(list()) != 0 {
			t.Errorf("after 91 days: %+v, %v", list(), err)
		}
	})
}
