package admin_test

import (
	"context"
	"database/sql"
	"net/http"
	"net/url"
	"testing"
	"time"
)

func TestScheduleAndRollBackInTheConsole(t *testing.T) {
	k := signedIn(t)
	ctx := context.Background()
	k.sites.OnSchedule(func(context.Context, *sql.Tx, string, time.Time) error { return nil }, func() {})
	s := k.addSite("shop.example", "Shop")
	base := "/console/sites/" + s.Key
	change := func(radius int) {
		t.Helper()
		draft := must(k.sites.Draft(ctx, s.Key))
		draft.Layout.Radius = radius
		if err := k.sites.SaveDraft(ctx, s.Key, draft); err != nil {
			t.Fatal(err)
		}
	}
	change(3)
	form := k.get(base+"/publish").want(http.StatusOK).has("[data-zone]", "in UTC").form("[data-schedule]")
	for _, wrong := range []url.Values{{"at": {"soon"}}, {"at": {"2001-01-01T08:00"}}, {"at": {""}}} {
		form.Set("at", wrong.Get("at"))
		k.post(base+"/schedule", form).want(http.StatusUnprocessableEntity).has("[role=alert]", "time")
	}
	day := time.Now().UTC().AddDate(0, 0, 3).Format("2006-01-02")
	form.Set("at", day+"T08:00")
	stale := url.Values{"draft": {"0000"}, "at": {day + "T08:00"}}
	k.post(base+"/schedule", stale).want(http.StatusConflict)
	k.post(base+"/schedule", form).want(http.StatusSeeOther)
	k.get(base+"/versions").want(http.StatusOK).has("#scheduled time", day+" 08:00:00").has("#scheduled td", "3")
	k.get(base+"/publish").want(http.StatusOK).has(".note.warn", "A version is scheduled")
	form.Set("at_utc", day+"T06:30:00Z") // what the page's script says
	k.post(base+"/schedule", form).want(http.StatusSeeOther)
	k.get(base+"/versions").want(http.StatusOK).has("#scheduled time", day+" 06:30:00")
	k.post(base+"/schedule", url.Values{"do": {"cancel"}}).want(http.StatusSeeOther)
	k.get(base+"/versions").want(http.StatusOK).count("#scheduled", 0)
	k.post(base+"/schedule", url.Values{"do": {"cancel"}}).want(http.StatusSeeOther) // twice is no harm

	second := must(k.sites.Publish(ctx, s.Key, officer))
	back := base + "/versions/" + s.Version + "/rollback"
	k.get(base+"/versions").want(http.StatusOK).has("tbody tr", "Roll back").count("button[formmethod=post]", 1)
	k.post(back, nil).want(http.StatusSeeOther)
	if now := must(k.sites.Get(ctx, s.Key)); now.Version != s.Version {
		t.Errorf("in force: %s", now.Version)
	}
	k.post(back, nil).want(http.StatusConflict)
	k.get("/console/activity").want(http.StatusOK).has("td", "Put an older version in force again").has("td", "Scheduled a version").has("td", "Cancelled")
	other := k.addSite("other.example", "Other")
	k.post("/console/sites/"+other.Key+"/versions/"+second.Version+"/rollback", nil).want(http.StatusNotFound)
}
