package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/regime/packs"
	"assent/internal/retention"
	"assent/internal/web"
)

func (c *console) retentionRoutes() []route {
	return []route{
		{"GET /console/sites/{site}/retention", account.ViewRegister, c.showRetention},
		{"POST /console/sites/{site}/retention", account.EraseRecords, c.changeRetention},
		{"GET /console/sites/{site}/retention/certificate", account.ExportRegister, c.retentionCertificate},
	}
}

// retentionPage is how long the records of a site are kept.
type retentionPage struct {
	Page
	Own, All  []ruleLine // the site's rules, and those for every site of this server
	Regimes   []option
	Months    string
	Previewed bool
	Slow      bool // counting took too long for a page
	Due       []retention.Due
	Sum       int64 // of Due
	Of        int64 // entries of the register
	Past      []retention.PastRun
	Errors    problems
}

type ruleLine struct {
	retention.Rule
	Regime string // for people
	Key    string
}

// regimeName is a regime as people read it.
func regimeName(key string) string {
	if p := packs.Get(key); p != nil && key != "" {
		return p.Name
	}
	if key == "" {
		return "Everywhere else"
	}
	return key
}

// previewFor is how long a page counts what a run would remove; a large register is
// read in so many seconds, and the command line has the patience.
const previewFor = 15 * time.Second

func (c *console) retentionPage(r *request) (p retentionPage, err error) {
	if p.Page, err = c.sitePage(r, "register", "How long records are kept"); err != nil {
		return p, err
	}
	rules, err := c.Retention.Rules(r.Context())
	if err != nil {
		return p, err
	}
	for _, rule := range rules {
		line := ruleLine{Rule: rule, Regime: regimeName(rule.Regime), Key: rule.Regime}
		switch rule.SiteID {
		case p.Site.ID:
			p.Own = append(p.Own, line)
		case 0:
			p.All = append(p.All, line)
		}
	}
	p.Regimes = append(p.Regimes, option{"", regimeName(""), true})
	for _, pack := range packs.All() {
		if !pack.World() {
			p.Regimes = append(p.Regimes, option{pack.Key, pack.Name, false})
		}
	}
	state, err := c.Register.State(r.Context(), p.Site.ID)
	if err != nil {
		return p, err
	}
	p.Of = state.Size
	p.Past, err = c.Retention.Past(r.Context(), p.Site.ID)
	return p, err
}

func (c *console) showRetention(w http.ResponseWriter, r *request) error {
	p, err := c.retentionPage(r)
	if err != nil {
		return err
	}
	if r.URL.Query().Get("preview") != "" {
		ctx, cancel := context.WithTimeout(r.Context(), previewFor)
		defer cancel()
		p.Due, err = c.Retention.Preview(ctx, []retention.Site{{ID: p.Site.ID, Key: p.Site.Key}})
		if p.Slow = err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded); err != nil && !p.Slow {
			return err
		}
		p.Previewed = !p.Slow
		for _, d := range p.Due {
			p.Sum += d.Count
		}
	}
	return c.render(w, http.StatusOK, "retention", p)
}

// changeRetention makes a rule, removes one, or starts a run.
func (c *console) changeRetention(w http.ResponseWriter, r *request) error {
	v, done := r.PostForm, "ruled"
	rule := retention.Rule{SiteID: r.site.ID, Regime: v.Get("regime")}
	var err error
	switch v.Get("do") {
	case "set":
		months, e := strconv.Atoi(strings.TrimSpace(v.Get("months")))
		if rule.Months = months; e != nil || months < 0 || months > retention.MostMonths {
			err = &account.FieldError{Field: "months", Err: fault.New(fault.Unprocessed, "Write a number of months from 0 to %d.", retention.MostMonths)}
		} else {
			err = c.Retention.Set(r.Context(), rule)
		}
	case "drop":
		done = "unruled"
		if err = c.Retention.Drop(r.Context(), rule); fault.KindOf(err) == fault.NotFound {
			err = nil // somebody else did
		}
	case "run":
		if err := c.Retain(r.Context(), r.site.ID, r.session.Member.ID); err != nil {
			return err
		}
		return c.toRetention(w, r, "retaining")
	default:
		return fault.New(fault.Invalid, "That button is unknown. Reload the page and try again.")
	}
	if wrong := fieldProblem(err); wrong != nil {
		p, e := c.retentionPage(r)
		if e != nil {
			return e
		}
		p.Errors, p.Months = wrong, v.Get("months")
		for i := range p.Regimes {
			p.Regimes[i].Chosen = p.Regimes[i].Value == rule.Regime
		}
		return c.render(w, web.Status(err), "retention", p)
	}
	if err != nil {
		return err
	}
	return c.toRetention(w, r, done)
}

func (c *console) toRetention(w http.ResponseWriter, r *request, done string) error {
	http.Redirect(w, r.Request, "/console/sites/"+r.site.Key+"/retention?done="+done, http.StatusSeeOther)
	return nil
}

// retentionCertificate is the deletion certificate of a past run, named by the index
// of its last act; without one it is the newest.
func (c *console) retentionCertificate(w http.ResponseWriter, r *request) error {
	runs, err := c.Retention.Past(r.Context(), r.site.ID)
	if err != nil {
		return err
	}
	act, _ := strconv.ParseInt(r.FormValue("act"), 10, 64)
	if r.FormValue("act") == "" && len(runs) > 0 {
		act = runs[0].Last()
	}
	at := slices.IndexFunc(runs, func(run retention.PastRun) bool { return run.Last() == act })
	if at < 0 {
		return fault.New(fault.NotFound, "There is no such run. Choose one from the list.")
	}
	files, err := c.Register.Certificates(r.Context(), r.site.ID, runs[at].Acts)
	if err != nil {
		return err
	}
	if err := c.log(r, account.RegisterExport, r.site.Key, map[string]string{"format": "deletion certificate"}); err != nil {
		return err
	}
	download(w, "application/json", "deletion-"+r.site.Key+"-"+strconv.FormatInt(act, 10)+".json")
	_, err = w.Write(files[0])
	return ignoreDisconnect(err)
}
