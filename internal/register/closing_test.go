package register

import (
	"errors"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
)

// A decision that comes while a site is being forgotten is erased too, and is not
// taken for damage; a record that somebody took out is.
func TestRetiringASiteThatIsStillWrittenTo(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		for range 3 {
			mustAppend(t, r, entry(1))
		}
		if _, err := r.EraseSite(t.Context(), 1, Closed); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, r, entry(1))
		if _, err := r.retired(t.Context(), 1); !errors.Is(err, errStillWritten) {
			t.Fatalf("a late decision gives %v", err)
		}
		out, err := r.Retire(t.Context(), 1)
		if err != nil || out.Site.Records != 4 || out.Site.Size != 6 {
			t.Fatalf("%+v, %v; want 4 records and 2 statements", out, err)
		}
		mustAppend(t, r, entry(1))
		if _, err := d.Writer().Exec("delete from record"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Retire(t.Context(), 1); err == nil || errors.Is(err, errStillWritten) {
			t.Fatalf("a record that was taken out gives %v", err)
		}
	})
}
