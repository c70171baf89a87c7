package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"assent/internal/catalogue"
	"assent/internal/fault"
	"assent/internal/regime/packs"
	"assent/internal/site"
	"assent/internal/stats"
)

// The wizard leads a new site from its domain to visitors in five steps. Each step is
// a page with a form that saves the draft, so that it can be left and taken up again, and
// the editor shows the same draft.

// setupSteps are the steps; the first makes the site, the last is the page "install".
var setupSteps = []string{"domain", "rules", "look", "services", "install"}

type stepLink struct {
	Title, URL    string
	Done, Current bool
}

// steps are the wizard's, of which at is the present one, 1 to 5. Without a key the
// site is not there yet, and nothing can be opened.
func steps(key string, at int) []stepLink {
	titles := []string{"Domain", "Rules", "Look", "Services", "Install"}
	list := make([]stepLink, len(titles))
	for i, title := range titles {
		list[i] = stepLink{Title: title, Done: i+1 < at, Current: i+1 == at}
		switch {
		case key == "" || i == 0:
		case i == 4:
			list[i].URL = "/console/sites/" + key + "/install"
		default:
			list[i].URL = "/console/sites/" + key + "/setup/" + setupSteps[i]
		}
	}
	return list
}

// stepPage is the steps rules, look and services. The editor's helpers serve its forms.
type stepPage struct {
	bannerPage
	Step     string
	Steps    []stepLink
	Query    string
	Found    []pick // services to choose from
	Looked   bool   // a page of the site was fetched
	LookedAt string // which
	Missed   string // why it could not be, a sentence
	MayLook  bool
}

// pick is a service of the catalogue that may be chosen.
type pick struct {
	*catalogue.Entry
	Words  string // its category
	Chosen bool
}

// usual are services that many sites have, for those who search nothing.
var usual = []string{"google-analytics", "google-tag-manager", "google-ads", "meta-pixel", "youtube", "google-maps", "microsoft-clarity", "matomo", "stripe", "recaptcha"}

// stepOf is the number of a step with a page of its own here, or a fault.
func stepOf(name string) (int, error) {
	if i := slices.Index(setupSteps, name); i >= 1 && i <= 3 {
		return i + 1, nil
	}
	return 0, fault.New(fault.NotFound, "There is no such step. Open the site from the list of sites.")
}

func (c *console) stepPage(r *request) (p stepPage, at int, err error) {
	if at, err = stepOf(r.PathValue("step")); err != nil {
		return p, 0, err
	}
	if p.bannerPage, err = c.bannerPage(r); err != nil {
		return p, 0, err
	}
	p.Numbers, p.Errors = numbersOf(p.Notice), problems{}
	p.Step, p.Steps, p.Tab, p.MayLook = setupSteps[at-1], steps(p.Site.Key, at), "overview", c.Check != nil
	p.Title = "Set up: " + strings.ToLower(p.Steps[at-1].Title)
	return p, at, nil
}

func (c *console) showStep(w http.ResponseWriter, r *request) error {
	p, at, err := c.stepPage(r)
	if err != nil {
		return err
	}
	if p.Step == "rules" && len(p.Notice.Regimes) == 0 {
		if step, err := c.Sites.SetupStep(r.Context(), p.Site.ID); err != nil {
			return err
		} else if step == at { // the first time here
			p.Notice.Regimes = guessRegimes(p.Site.Domains)
		}
	}
	p.Query = get(r.URL.Query(), "q")
	p.choose(nil)
	return c.render(w, http.StatusOK, "wizard", p)
}

// guessRegimes proposes where a site's visitors are, by the country of its domain.
func guessRegimes(domains []string) (keys []string) {
	tops := map[string]string{"uk": "GB", "eu": "DE"}
	for _, d := range domains {
		top := d[strings.LastIndexByte(d, '.')+1:]
		country := strings.ToUpper(top)
		if known := tops[top]; known != "" {
			country = known
		}
		for _, p := range packs.All() {
			if slices.Contains(p.Jurisdictions, country) && !slices.Contains(keys, p.Key) {
				keys = append(keys, p.Key)
			}
		}
	}
	return keys
}

// saveStep keeps the step's part of the draft and goes on to the next.
func (c *console) saveStep(w http.ResponseWriter, r *request) error {
	p, at, err := c.stepPage(r)
	if err != nil {
		return err
	}
	n := *p.Notice
	f := &form{notice: &n, errors: p.Errors, numbers: p.Numbers}
	switch p.Step {
	case "rules":
		f.who(r.PostForm)
	case "look":
		f.look(r.PostForm)
	case "services":
		if r.PostForm.Get("do") == "look" {
			return c.proposeServices(w, r, p)
		}
		if _, _, err := catalogue.Add(&n, r.PostForm["service"]...); err != nil {
			return err
		}
	}
	p.Notice, p.Numbers = &n, f.numbers
	if len(f.errors) == 0 {
		err = c.Sites.SaveDraft(r.Context(), p.Site.Key, &n)
	}
	if len(f.errors) > 0 || fault.KindOf(err) == fault.Unprocessed {
		p.Problem = "Not saved: " + count(max(len(f.errors), 1), "field needs", "fields need") + " your attention."
		if err != nil {
			p.Problem = fault.Message(err)
		}
		p.choose(r.PostForm["service"])
		return c.render(w, http.StatusUnprocessableEntity, "wizard", p)
	}
	if err != nil {
		return err
	}
	base := "/console/sites/" + p.Site.Key
	if r.PostForm.Get("do") == "add" {
		http.Redirect(w, r.Request, base+"/setup/services?"+url.Values{"q": {get(r.PostForm, "q")}}.Encode(), http.StatusSeeOther)
		return nil
	}
	// Going back and saving again takes nobody back.
	if step, err := c.Sites.SetupStep(r.Context(), p.Site.ID); err != nil {
		return err
	} else if step != 0 && step <= at {
		if err := c.Sites.SetSetupStep(r.Context(), p.Site.ID, at+1); err != nil {
			return err
		}
	}
	http.Redirect(w, r.Request, p.Next(), http.StatusSeeOther)
	return nil
}

// Next is the address of the step that follows.
func (p stepPage) Next() string {
	i := slices.IndexFunc(p.Steps, func(s stepLink) bool { return s.Current })
	return p.Steps[i+1].URL
}

// Back is that of the step before; "" on the second one, behind which the site is made.
func (p stepPage) Back() string {
	i := slices.IndexFunc(p.Steps, func(s stepLink) bool { return s.Current })
	return p.Steps[i-1].URL
}

// who reads who asks, and by which rules.
func (f *form) who(v url.Values) {
	n := f.notice
	n.Controller = site.Controller{Name: get(v, "controller.name"), PolicyURL: get(v, "controller.policy_url")}
	f.checkURL("controller.policy_url", n.Controller.PolicyURL)
	dnt, exempt := n.DNT, n.Exempt
	f.regimes(v)
	n.DNT = dnt
	if len(n.Regimes) > 0 {
		n.Exempt = exempt
	} else {
		n.Regime = "opt-in"
	}
}

// look reads where the banner stands and its colours.
func (f *form) look(v url.Values) {
	n := f.notice
	n.Layout.Placement = v.Get("placement")
	f.numbers.Radius = get(v, "radius")
	n.Layout.Radius = f.number("radius", f.numbers.Radius, 0, 24, "pixels")
	n.Layout.Light, n.Layout.Dark = f.colours(v, "light"), f.colours(v, "dark")
}

// previewLook shows the step's form as it is, saved or not.
func (c *console) previewLook(w http.ResponseWriter, r *request) error {
	draft, err := c.Sites.Draft(r.Context(), r.site.Key)
	if err != nil {
		return err
	}
	f := &form{notice: draft, errors: problems{}}
	f.look(r.PostForm)
	return c.previewOf(w, r, f)
}

// proposeServices fetches the site's page and proposes the services whose hosts it
// names.
func (c *console) proposeServices(w http.ResponseWriter, r *request, p stepPage) error {
	reports, err := c.look(r, "", 2)
	if kind := fault.KindOf(err); kind == fault.Unprocessed || kind == fault.TooMany {
		p.Missed = fault.Message(err)
	} else if err != nil {
		return err
	}
	var seen []seenName
	for _, report := range reports {
		if report.Problem != "" {
			p.Missed = report.Problem
			continue
		}
		p.Looked = true
		for _, host := range report.Hosts {
			if class, ok := stats.HostClass(host); ok {
				seen = append(seen, seenName{Name: stats.Name{Kind: "request", Name: class}})
			}
		}
	}
	if p.Looked {
		p.Missed, p.LookedAt = "", reports[0].URL
	}
	var keys []string
	found := guesses(seen)
	for _, n := range seen {
		if g := found[n.Name]; len(g.entries) > 0 && !slices.Contains(keys, g.entries[0].Key) {
			keys = append(keys, g.entries[0].Key)
		}
	}
	p.choose(keys)
	return c.render(w, http.StatusOK, "wizard", p)
}

// choose fills in what can be chosen: what a page was found to use, what was searched, or
// the usual.
func (p *stepPage) choose(chosen []string) {
	if p.Step != "services" {
		return
	}
	var entries []*catalogue.Entry
	switch {
	case p.Looked:
		for _, key := range chosen {
			entries = append(entries, catalogue.Get(key))
		}
	case p.Query != "":
		entries = catalogue.Search(p.Query)
	default:
		for _, key := range append(slices.Clone(chosen), usual...) {
			if e := catalogue.Get(key); e != nil && !slices.Contains(entries, e) {
				entries = append(entries, e)
			}
		}
	}
	for _, e := range entries {
		if len(p.Found) < 24 && !slices.ContainsFunc(p.Notice.Services, func(s site.Service) bool { return s.Key == e.Key }) {
			p.Found = append(p.Found, pick{e, p.CategoryWords(e.Category), slices.Contains(chosen, e.Key)})
		}
	}
}
