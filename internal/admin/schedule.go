package admin

import (
	"net/http"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/fault"
)

// scheduleRoutes put versions in force: on a day, or again.
func (c *console) scheduleRoutes() []route {
	return []route{
		{"POST /console/sites/{site}/schedule", account.PublishBanner, c.schedule},
		{"POST /console/sites/{site}/versions/{version}/rollback", account.PublishBanner, c.rollBack},
	}
}

// schedule has the draft published at a time, or cancels that.
func (c *console) schedule(w http.ResponseWriter, r *request) error {
	if r.PostForm.Get("do") == "cancel" {
		err := c.Sites.Unschedule(r.Context(), r.site.ID)
		if err != nil && fault.KindOf(err) != fault.NotFound { // published meanwhile: the page shows it
			return err
		}
		http.Redirect(w, r.Request, "/console/sites/"+r.site.Key+"/versions?done=unscheduled", http.StatusSeeOther)
		return nil
	}
	p, err := c.publishPage(r)
	if err != nil {
		return err
	}
	p.At = get(r.PostForm, "at")
	if r.PostForm.Get("draft") != p.Draft {
		p.Problem = "The draft has changed since this page was made. Look at the changes again, then schedule."
		return c.render(w, http.StatusConflict, "publish", p)
	}
	at, err := timeOf(p.At, get(r.PostForm, "at_utc"))
	if err == nil {
		if _, err = c.Sites.Schedule(r.Context(), r.site.Key, at, r.by(), r.session.Member.ID); err == nil {
			http.Redirect(w, r.Request, "/console/sites/"+r.site.Key+"/versions?done=scheduled", http.StatusSeeOther)
			return nil
		}
	}
	switch fault.KindOf(err) {
	case fault.Conflict, fault.Unprocessed:
		p.Problem = fault.Message(err)
		return c.render(w, http.StatusUnprocessableEntity, "publish", p)
	}
	return err
}

// timeOf reads what a datetime-local field holds. The page's script says which moment
// that is in the reader's zone; without it the field is in UTC, as the page says then.
func timeOf(typed, utc string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, utc); err == nil {
		return t.UTC(), nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, strings.TrimSpace(typed)); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.New(fault.Unprocessed, "Choose a day and a time, like 2026-12-24 08:00.")
}

// rollBack puts an older version in force again.
func (c *console) rollBack(w http.ResponseWriter, r *request) error {
	v, err := c.version(r, r.PathValue("version"))
	if err != nil {
		return err
	}
	if _, err := c.Sites.Rollback(r.Context(), r.site.Key, v.Version, r.by()); err != nil {
		return err
	}
	http.Redirect(w, r.Request, "/console/sites/"+r.site.Key+"/versions?done=rolled_back", http.StatusSeeOther)
	return nil
}
