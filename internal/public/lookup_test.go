package public_test

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/public"
	"assent/internal/register"

	"github.com/google/uuid"
)

func (f *fixture) lookUp(id, day string, more ...string) answer {
	h := http.Header{"Accept": {"text/html"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return f.do("POST", "/lookup", h, strings.NewReader(url.Values{"id": {id}, "day": {day}}.Encode()))
}

// The record of the fixture is of 1 March 2026, 12:00 UTC.
func TestLookUpByRecordIDAndDate(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := newFixture(t, d)
		f.post(f.decision("record_id", recordID))
		for _, c := range []struct {
			id, day string
			status  int
			says    string
		}{
			{recordID, "2026-03-01", 200, "To quote"},
			{recordID, "2026-03-02", 200, "To quote"}, // after midnight in Kiritimati
			{" " + strings.ToUpper(recordID) + " ", "2026-03-01", 200, "To quote"},
			{strings.ReplaceAll(recordID, "-", ""), "2026-03-01", 200, "To quote"},
			{"https://consent.example/r/" + recordID, "2026-03-01", 200, "To quote"},
			{recordID, "2026-02-27", 404, "this record ID and this date"},
			{recordID, "2026-03-03", 404, "this record ID and this date"},
			{uuid.NewString(), "2026-03-01", 404, "this record ID and this date"},
			{recordID[:35], "2026-03-01", 422, "32 letters and digits"},
			{"", "2026-03-01", 422, "32 letters and digits"},
			{`"><script>alert(1)</script>`, "2026-03-01", 422, "32 letters and digits"},
			{recordID, "1 March", 422, "year, month and day"},
			{recordID, "", 422, "year, month and day"},
		} {
			got := f.lookUp(c.id, c.day)
			text := string(got.body)
			if got.status != c.status || !strings.Contains(text, c.says) || strings.Contains(text, "<script") {
				t.Errorf("%q of %q: %d\n%s", c.id, c.day, got.status, text)
			}
			if c.status == 200 {
				continue
			}
			wantPolicy(t, got)
		}
		blank := func(id string) string {
			return strings.ReplaceAll(string(f.lookUp(id, "2026-02-01").body), id, "")
		}
		if blank(recordID) != blank(uuid.NewString()) {
			t.Error("the answer tells whether the ID or the date was wrong")
		}
	})
}

func TestLookUpRefusesWhatIsNoForm(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	f.do("POST", "/lookup", http.Header{"Content-Type": {"application/json"}}, strings.NewReader("{}")).wantProblem(t, 415, "form")
	f.do("POST", "/lookup", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, strings.NewReader("id=%zz")).wantProblem(t, 400, "not a form")
	f.do("POST", "/lookup", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, strings.NewReader("id="+strings.Repeat("a", 4096))).wantProblem(t, 413, "larger")
}

func TestLookUpsHaveALimit(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t), func(deps *public.Deps, _ *register.Config) {
		deps.TrustProxies, deps.RatePerMinute = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, 2
	})
	for i, want := range []int{404, 404, 429} {
		if got := f.lookUp(uuid.NewString(), "2026-03-01", "X-Forwarded-For", "203.0.113.7"); got.status != want {
			t.Errorf("look-up %d: %d, want %d", i, got.status, want)
		}
	}
	if got := f.lookUp(uuid.NewString(), "2026-03-01", "X-Forwarded-For", "203.0.112.7"); got.status != 404 {
		t.Errorf("another network: %d", got.status)
	}
}

// lookedUpIn walks through the form, from a mistake to the record.
func (f *fixture) lookedUpIn(ctx context.Context) {
	t := f.t
	t.Helper()
	f.post(f.decision("record_id", recordID))
	for name, o := range map[string]browsertest.Options{"phone": {Width: 390, Height: 800}, "dark": {Width: 1280, Height: 800, Dark: true}} {
		browsertest.Emulate(t, ctx, o)
		browsertest.Open(t, ctx, "http://"+f.addr+"/lookup")
		enter := func(id string) {
			browsertest.Eval[bool](t, ctx, `(() => { document.getElementById("id").value = "`+id+`"; document.getElementById("day").value = "2026-03-01"; document.querySelector("button").click(); return true; })()`)
		}
		enter(uuid.NewString())
		browsertest.Wait(t, ctx, `document.querySelector("[role=alert]")`)
		browsertest.Shot(t, ctx, "lookup-"+name)
		if wide := browsertest.Eval[bool](t, ctx, `document.documentElement.scrollWidth > innerWidth`); wide {
			t.Error("the page is wider than the window")
		}
		enter(recordID)
		browsertest.Wait(t, ctx, `location.pathname === "/r/`+recordID+`" && document.querySelector(".state.good")`)
	}
}
