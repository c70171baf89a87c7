package admin_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"assent/internal/site"
	"assent/internal/stats"
)

// counted fills a year of statistics of a site.
func (k *desk) counted(s *site.Site) {
	k.t.Helper()
	if err := stats.Fill(context.Background(), k.db, s.ID, time.Now().UTC().Truncate(24*time.Hour), 365, 3000); err != nil {
		k.t.Fatal(err)
	}
}

func TestStatisticsPage(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Shop")
	base := "/console/sites/" + s.Key + "/statistics"
	k.get(base).want(http.StatusOK).has("main", "Nothing counted in these days").has("main", "switch statistics on")
	k.counted(s)
	page := k.get(base).want(http.StatusOK).count("svg.chart", 2).count("svg.chart g.bar", 60)
	page.has("main", "Accepted all").has("main", "95 % interval").has("main", "3 more in the").has("a", "DE")
	if n := len(page.body); n > 400_000 {
		t.Errorf("the page has %d bytes", n)
	}
	k.get(base+"?period=year").want(http.StatusOK).count("svg.chart g.bar", 2*53)
	k.get(base+"?period=custom&from=2026-13-01").want(http.StatusUnprocessableEntity).has("main", "Write it like")
	one := k.get(base+"?by=country&is=DE").want(http.StatusOK).has("main", "Only Country").has("main", "one property at a time")
	if strings.Contains(one.body, "UTM campaign") {
		t.Error("other properties are shown beside a filter")
	}
	k.get(base+"?by=country&is="+url.QueryEscape(`<script>alert(1)</script>`)).want(http.StatusOK).has("main", "Fewer than 5").has("main", "<script>")
	k.get(base+"?by=nonsense&is=DE").want(http.StatusOK).count("svg.chart", 2)

	rows, err := csv.NewReader(strings.NewReader(k.get(base + "?format=csv").want(http.StatusOK).body)).ReadAll()
	if err != nil || len(rows) < 100 || rows[1][0] != "total" {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	var d stats.Document
	if err := json.Unmarshal([]byte(k.get(base+"?format=json&period=week").want(http.StatusOK).body), &d); err != nil || len(d.Series) != 7 || d.Total["views"] == 0 || len(d.By) != 14 || d.Rates["answered"].Low == 0 {
		t.Errorf("%+v %v", d, err)
	}

	k.post(base, url.Values{"threshold": {"0"}, "days": {"400"}, "zone": {"UTC"}}).want(http.StatusUnprocessableEntity).has("main", "Not saved")
	k.post(base, url.Values{"threshold": {"3000"}, "days": {"400"}, "zone": {"UTC"}}).want(http.StatusUnprocessableEntity)
	k.post(base, url.Values{"threshold": {"900"}, "days": {"400"}, "zone": {"UTC"}}).want(http.StatusSeeOther)
	if set, err := k.counters.Settings(context.Background(), s.ID); err != nil || set.Threshold != 900 {
		t.Errorf("%+v %v", set, err)
	}
	k.get(base).want(http.StatusOK).has("main", "small values")
}
