package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"assent/internal/fault"
	"assent/internal/site"
)

type bannerPage struct {
	Page
	Base    string // of the draft that the form was made from
	Notice  *site.Notice
	Numbers numbers
	Errors  problems
	Unsaved bool   // the form holds changes that the draft does not
	Open    string // section to show unfolded: who, texts, look, rules, services, signals
	Changes int    // of the draft against the version in force
	Touched int    // service to show unfolded; -1: none
	New     string // language code that was typed
	// Stale are translations that are older than their source text, by language and path (site.Stale).
	Stale map[string]map[string]string
}

// numbers are kept as typed, so that a slip can be corrected where it is.
type numbers struct{ ChoiceDays, Radius, Wait string }

func (c *console) bannerPage(r *request) (bannerPage, error) {
	p := bannerPage{Touched: -1}
	var err error
	if p.Page, err = c.sitePage(r, "banner", "Banner"); err != nil {
		return p, err
	}
	if p.Notice, err = c.Sites.Draft(r.Context(), p.Site.Key); err != nil {
		return p, err
	}
	p.Base = fingerprint(p.Notice)
	current, err := c.Sites.Version(r.Context(), p.Site.Version)
	if err != nil {
		return p, err
	}
	p.Changes = len(site.Diff(current.Notice, p.Notice))
	p.Stale, err = c.Sites.Stale(r.Context(), p.Site.ID)
	return p, err
}

// fingerprint tells one draft from another, to notice that somebody else saved
// meanwhile.
func fingerprint(n *site.Notice) string {
	raw, _ := json.Marshal(n) // strings, numbers and booleans only
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

func (c *console) showBanner(w http.ResponseWriter, r *request) error {
	p, err := c.bannerPage(r)
	if err != nil {
		return err
	}
	p.Numbers = numbersOf(p.Notice)
	p.Open = "who"
	query := r.URL.Query()
	if query.Get("open") == "rules" {
		p.Open = "rules"
	}
	// What was just declared waits for its purpose.
	if i := slices.IndexFunc(p.Notice.Services, func(s site.Service) bool { return s.Key == query.Get("service") }); i >= 0 {
		p.Open, p.Touched = "services", i
	}
	return c.render(w, http.StatusOK, "banner", p)
}

// editBanner takes the whole form. Its buttons either save the draft, save and
// go on to publish, or change the form itself (add or remove a service, a
// tracker, a language), which saves nothing.
func (c *console) editBanner(w http.ResponseWriter, r *request) error {
	p, err := c.bannerPage(r)
	if err != nil {
		return err
	}
	draft := p.Notice
	f := parseForm(r.PostForm, draft)
	p.Notice, p.Numbers, p.Errors, p.New = f.notice, f.numbers, f.errors, r.PostForm.Get("new_language")
	do, target := splitAction(r.PostForm.Get("do"))
	if do == "fresh" && len(target) == 1 { // the translations of a language are right as they are
		if err := c.Sites.Freshen(r.Context(), p.Site.ID, target[0]); err != nil {
			return err
		}
		delete(p.Stale, target[0])
		p.Errors, p.Open, p.Unsaved, p.Base = problems{}, "texts", true, r.PostForm.Get("base")
		return c.render(w, http.StatusOK, "banner", p)
	}
	if do != "save" && do != "review" {
		p.Errors = problems{}
		p.Open, err = f.change(do, target, p.New, p.Errors)
		if err != nil {
			return err
		}
		p.Touched = touched(do, target, p.Notice)
		p.Base = r.PostForm.Get("base")
		p.Unsaved = true
		return c.render(w, http.StatusOK, "banner", p)
	}
	if len(p.Errors) == 0 {
		if base := r.PostForm.Get("base"); base != p.Base && fingerprint(f.notice) != p.Base {
			p.Problem = "Somebody else saved this draft while you were editing. Save again to replace their changes with what you see here, or reload the page to see theirs."
			p.Unsaved, p.Open = true, "who"
			return c.render(w, http.StatusConflict, "banner", p)
		}
		err := c.Sites.SaveDraft(r.Context(), p.Site.Key, f.notice)
		if fault.KindOf(err) == fault.Unprocessed {
			p.Problem = fault.Message(err)
		} else if err != nil {
			return err
		}
	} else {
		p.Problem = "Not saved: " + count(len(p.Errors), "field needs", "fields need") + " your attention."
	}
	if p.Problem != "" {
		p.Unsaved, p.Open = true, f.firstSection()
		p.Base = r.PostForm.Get("base")
		return c.render(w, http.StatusUnprocessableEntity, "banner", p)
	}
	next := "/banner?done=draft"
	if do == "review" {
		next = "/publish"
	}
	http.Redirect(w, r.Request, "/console/sites/"+p.Site.Key+next, http.StatusSeeOther)
	return nil
}

// touched is the service that a button was about: it stays unfolded.
func touched(do string, target []string, n *site.Notice) int {
	if strings.HasSuffix(do, "_tracker") && len(target) > 0 {
		if i, err := strconv.Atoi(target[0]); err == nil {
			return i
		}
	}
	if do == "add_service" {
		return len(n.Services) - 1
	}
	return -1
}
