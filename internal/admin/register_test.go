package admin_test

import (
	"context"
	"database/sql"
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"assent/internal/fault"
	"assent/receipt"
)

func TestRegisterListsByDayWithPages(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Corner Shop")
	base := "/console/sites/" + s.Key
	k.get(base+"/register").want(http.StatusOK).has("h2", "No decision yet")
	monday := time.Date(2026, 3, 30, 23, 59, 0, 0, time.UTC)
	var ids []string
	for i := range 55 {
		at := monday
		if i >= 5 {
			at = monday.Add(2 * time.Minute)
		}
		ids = append(ids, k.decide(s, uuid.New(), at, nil).String())
	}
	first := k.get(base+"/register").want(http.StatusOK).count("tbody", 1).has("th.day", "2026-03-31").count("td code", 100).has("td", ids[54])
	older := attr(one(first.root, "a[rel=next]"), "href")
	k.get(older).want(http.StatusOK).has("th.day", "2026-03-30").has("td", ids[0]).count("td code", 10).has("main nav a", "Newest")
	k.get(base+"/register?from=2026-03-30&to=2026-03-30").want(http.StatusOK).count("td code", 10).has("summary", "on 2026-03-30")
	k.get(base+"/register?from=2026-04-01").want(http.StatusOK).has("h2", "Nothing since 2026-04-01")
	k.get(base+"/register?from=2026-04-02&to=2026-04-01").want(http.StatusUnprocessableEntity).has("#to-about", "before the first")
	k.get(base+"/register?from=soon").want(http.StatusUnprocessableEntity).has("#from-about", "2026-03-31")
}

func TestOneSearchBoxUnderstandsEverything(t *testing.T) {
	k := signedIn(t)
	s, other := k.addSite("shop.example", "Corner Shop"), k.addSite("blog.example", "Blog")
	visitor := uuid.New()
	record := k.decide(s, visitor, time.Now(), nil)
	elsewhere := k.decide(other, uuid.New(), time.Now(), nil)
	base := "/console/sites/" + s.Key
	today := time.Now().UTC().Format(time.DateOnly)
	for typed, want := range map[string]string{
		record.String():                                   base + "/records/" + record.String(),
		strings.ToUpper(record.String()):                  base + "/records/" + record.String(),
		"https://consent.test/r/" + record.String() + "/": base + "/records/" + record.String(),
		visitor.String():                                  base + "/visitors/" + visitor.String(),
		"2026-03-31":                                      base + "/register?from=2026-03-31&to=2026-03-31",
		"31.3.2026":                                       base + "/register?from=2026-03-31&to=2026-03-31",
		" today ":                                         base + "/register?from=" + today + "&to=" + today,
	} {
		a := k.get(base + "/register?q=" + url.QueryEscape(typed)).want(http.StatusSeeOther)
		if to := a.header.Get("Location"); to != want {
			t.Errorf("%q leads to %s, want %s", typed, to, want)
		}
	}
	for typed, want := range map[string]string{
		"gloves": "Type a record ID", "2026-02-30": "Type a record ID", uuid.NewString(): "no record and no visitor", elsewhere.String(): "no record and no visitor",
	} {
		a := k.get(base+"/register?q="+url.QueryEscape(typed)).want(http.StatusUnprocessableEntity).has("#q-about", want)
		if a.value("#q") != typed {
			t.Errorf("%q is lost after an error", typed)
		}
	}
}

func TestRecordIsProvedBeforeTheReader(t *testing.T) {
	k, pages := furnished(t)
	page := k.get(pages["record"]).want(http.StatusOK)
	page.has("h1", "Chose category by category").has("h2", "✓ verified just now").has("li", "✗ Analytics refused").has("li", "✓ Clip Player allowed").
		has("dd", "192.0.2.0/24").has("dd", "All 2 decisions of this visitor").has("dd", "Version 2").count(".tick.no", 0)
	if n := len(all(page.root, ".proof li")); n < 5 {
		t.Errorf("%d steps of the proof are shown", n)
	}
	download := k.get(pages["record"] + "/receipt").want(http.StatusOK)
	if got := download.header.Get("Content-Disposition"); !strings.HasPrefix(got, `attachment; filename="receipt-`) {
		t.Errorf("Content-Disposition = %s", got)
	}
	result, err := receipt.Verify([]byte(download.body), text(one(page.root, ".snippet code")))
	if err != nil || !result.Valid || !result.KeyTrusted {
		t.Fatalf("the downloaded receipt, checked with the key on the page: %+v, %v", result, err)
	}
	k.get(pages["visitor"]).want(http.StatusOK).has("tbody tr", "Chose category by category holds now").count("tbody tr", 2)
	k.get("/console/activity").has("td", "Downloaded a receipt")
}

// A record that was changed in the database shows, whatever the page says
// besides.
func TestTamperedRecordShows(t *testing.T) {
	k, pages := furnished(t)
	parts := strings.Split(pages["record"], "/")
	id := uuid.MustParse(parts[len(parts)-1])
	err := k.db.Write(context.Background(), func(tx *sql.Tx) error {
		done, err := tx.Exec(`update record set payload = replace(payload, '"analytics":false', '"analytics":true') where record_id = $1`, id[:])
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			t.Fatalf("%d rows changed, %v", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page := k.get(pages["record"]).want(http.StatusOK).has("h2", "✗ not valid").has(".note.bad", "was changed")
	if len(all(page.root, ".tick.no")) == 0 {
		t.Error("no step of the proof is marked as failed")
	}
}

func TestRecordsOfOtherSitesStayThere(t *testing.T) {
	k := signedIn(t)
	s, other := k.addSite("shop.example", "Corner Shop"), k.addSite("blog.example", "Blog")
	visitor := uuid.New()
	record := k.decide(s, visitor, time.Now(), nil)
	base := "/console/sites/" + other.Key
	for _, path := range []string{"/records/" + record.String(), "/records/" + record.String() + "/receipt", "/visitors/" + visitor.String(),
		"/records/nonsense", "/visitors/nonsense", "/records/" + uuid.NewString()} {
		a := k.get(base + path).want(http.StatusNotFound)
		if strings.Contains(a.body, "192.0.2.0") {
			t.Errorf("%s shows a record of another site", path)
		}
	}
}

func TestExport(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Corner Shop")
	day := time.Date(2026, 3, 30, 12, 0, 0, 0, time.UTC)
	first := k.decide(s, uuid.New(), day, nil)
	second := k.decide(s, uuid.New(), day.AddDate(0, 0, 1), nil)
	path := "/console/sites/" + s.Key + "/export"
	nd := k.post(path, url.Values{"format": {"ndjson"}}).want(http.StatusOK)
	if lines := strings.Split(strings.TrimSpace(nd.body), "\n"); len(lines) != 2 || !strings.Contains(nd.body, first.String()) {
		t.Errorf("NDJSON has %d lines: %s", len(lines), nd.body)
	}
	sheet := k.post(path, url.Values{"format": {"csv"}, "from": {"2026-03-31"}, "to": {"2026-03-31"}}).want(http.StatusOK)
	rows, err := csv.NewReader(strings.NewReader(sheet.body)).ReadAll()
	if err != nil || len(rows) != 2 || !strings.Contains(sheet.body, second.String()) || strings.Contains(sheet.body, first.String()) {
		t.Errorf("CSV of one day = %v, %v", rows, err)
	}
	if got := sheet.header.Get("Content-Disposition"); got != `attachment; filename="register-`+s.Key+`-2026-03-31-2026-03-31.csv"` {
		t.Errorf("Content-Disposition = %s", got)
	}
	k.post(path, url.Values{"format": {"pdf"}}).want(http.StatusBadRequest)
	k.post(path, url.Values{"format": {"csv"}, "from": {"x"}}).want(http.StatusUnprocessableEntity)
	k.get("/console/activity").has("tr", "Exported the register csv, on 2026-03-31")
	if _, err := k.register.Find(context.Background(), uuid.New()); fault.KindOf(err) != fault.NotFound {
		t.Fatal(err)
	}
}
