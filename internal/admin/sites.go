package admin

import (
	"cmp"
	"net/http"
	"strings"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/i18n"
	"assent/internal/register"
	"assent/internal/site"
)

func (c *console) home(w http.ResponseWriter, r *request) error {
	http.Redirect(w, r.Request, "/console/sites", http.StatusSeeOther)
	return nil
}

type sitesPage struct {
	Page
	Groups  []siteGroup // by organisation
	None    bool        // not one site in any of them
	MayAdd  bool
	Outside bool // the member belongs to no organisation
}

// siteGroup is the sites of one organisation; it is named where there are several.
type siteGroup struct {
	account.Access
	Sites []site.Site
	Named bool
}

// Opens tells templates whether the member may look into the registers.
func (g siteGroup) Opens() bool { return g.Access.Can(account.ViewRegister) }

func (c *console) listSites(w http.ResponseWriter, r *request) error {
	p := sitesPage{Page: c.page(r, "Sites")}
	p.Tab = "sites"
	list, err := c.Accounts.Accesses(r.Context(), r.session.Member.ID)
	if err != nil {
		return err
	}
	var ids []string
	for _, a := range list {
		if a.Can(account.ViewSites) {
			ids = append(ids, a.Organisation.ID)
		}
		p.MayAdd = p.MayAdd || a.Can(account.AddSites)
	}
	all, err := c.Sites.ListOf(r.Context(), ids...)
	if err != nil {
		return err
	}
	p.Outside = len(list) == 0
	for _, a := range list {
		g := siteGroup{Access: a, Named: len(list) > 1}
		for _, s := range all {
			if s.Organisation == a.Organisation.ID {
				g.Sites = append(g.Sites, s)
				p.Damage = append(p.Damage, c.damage(s.Key)...)
			}
		}
		p.Groups = append(p.Groups, g)
	}
	p.None = len(all) == 0
	return c.render(w, http.StatusOK, "sites", p)
}

type newSitePage struct {
	Page
	Name, Domains string
	Languages     []option
	Steps         []stepLink
	Errors        problems
}

// newSite is the first step of setting a site up.
func (c *console) newSite(r *request) newSitePage {
	p := newSitePage{Page: c.page(r, "Add a site"), Name: r.PostForm.Get("name"), Domains: r.PostForm.Get("domains"), Steps: steps("", 1)}
	p.Tab = "sites"
	chosen := cmp.Or(r.PostForm.Get("language"), "en")
	for _, l := range i18n.Languages() {
		p.Languages = append(p.Languages, option{l.Tag, l.Name, l.Tag == chosen})
	}
	return p
}

func (c *console) showNewSite(w http.ResponseWriter, r *request) error {
	p := c.newSite(r)
	return c.render(w, http.StatusOK, "site_new", p)
}

func (c *console) addSite(w http.ResponseWriter, r *request) error {
	p := c.newSite(r)
	p.Errors = checkSite(p.Name)
	var s *site.Site
	if p.Errors == nil {
		var err error
		s, err = c.Sites.AddTo(r.Context(), r.access.Organisation.ID, domainsOf(p.Domains), p.Name, r.by(), cmp.Or(r.PostForm.Get("language"), "en"))
		switch fault.KindOf(err) {
		case fault.Unprocessed:
			p.Errors = problems{"domains": fault.Message(err)}
		case fault.Invalid:
			p.Errors = problems{"language": "Choose one of the list."}
		}
		if err != nil && p.Errors == nil {
			return err
		}
	}
	if p.Errors != nil {
		return c.render(w, http.StatusUnprocessableEntity, "site_new", p)
	}
	if err := c.Sites.SetSetupStep(r.Context(), s.ID, 2); err != nil {
		return err
	}
	http.Redirect(w, r.Request, "/console/sites/"+s.Key+"/setup/rules?done=added", http.StatusSeeOther)
	return nil
}

// domainsOf splits what people type: a domain a line, or separated by commas
// or spaces.
func domainsOf(typed string) []string {
	return strings.FieldsFunc(typed, func(r rune) bool { return strings.ContainsRune(", ;\r\n\t", r) })
}

// maxSiteName is in characters; it is shown in headings.
const maxSiteName = 200

func checkSite(name string) problems {
	if len([]rune(name)) > maxSiteName || strings.ContainsRune(name, 0) {
		return problems{"name": "The name is too long. Use at most 200 characters."}
	}
	return nil
}

type sitePage struct {
	Page
	Tag, Boot     string // two forms of the same; the boot may be ""
	Current       *site.Version
	DraftChanges  int
	Register      register.Counts
	Log           string // its origin
	Name, Domains string
	Seen          installed // where the tag was
	Step          int       // of setting up, that is next; 0: none
	StepURL       string
	Errors        problems
}

// tag is the snippet that a site pastes first in its head.
func (c *console) tag(key string) string {
	return `<script src="` + c.PublicURL() + `/b/` + key + `.js"></script>`
}

func (c *console) overview(r *request) (sitePage, error) {
	var p sitePage
	var err error
	if p.Page, err = c.sitePage(r, "overview", "Overview"); err != nil {
		return p, err
	}
	state, err := c.Register.State(r.Context(), p.Site.ID)
	if err != nil {
		return p, err
	}
	if p.Register, err = c.Register.Counts(r.Context(), p.Site.ID); err != nil {
		return p, err
	}
	p.Log = state.Origin
	p.Tag = c.tag(p.Site.Key)
	p.Name, p.Domains = p.Site.Name, strings.Join(p.Site.Domains, "\n")
	if p.Boot, err = c.Sites.BootElement(r.Context(), p.Site.Version, c.PublicURL()); err != nil {
		return p, err
	}
	if p.Current, err = c.Sites.Version(r.Context(), p.Site.Version); err != nil {
		return p, err
	}
	draft, err := c.Sites.Draft(r.Context(), p.Site.Key)
	if err != nil {
		return p, err
	}
	p.DraftChanges = len(site.Diff(p.Current.Notice, draft))
	if p.Seen, _, _, err = c.installed(r, []site.Version{*p.Current}); err != nil {
		return p, err
	}
	if p.Can(string(account.EditBanner)) {
		if p.Step, err = c.Sites.SetupStep(r.Context(), p.Site.ID); err == nil && p.Step != 0 {
			p.StepURL = steps(p.Site.Key, p.Step)[p.Step-1].URL
		}
	}
	return p, err
}

func (c *console) showSite(w http.ResponseWriter, r *request) error {
	p, err := c.overview(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "site", p)
}

func (c *console) saveSite(w http.ResponseWriter, r *request) error {
	p, err := c.overview(r)
	if err != nil {
		return err
	}
	p.Name, p.Domains = r.PostForm.Get("name"), r.PostForm.Get("domains")
	if p.Errors = checkSite(p.Name); p.Errors == nil {
		err = c.Sites.SetDomains(r.Context(), p.Site.Key, domainsOf(p.Domains), p.Name)
		if fault.KindOf(err) == fault.Unprocessed {
			p.Errors = problems{"domains": fault.Message(err)}
		} else if err != nil {
			return err
		}
	}
	if p.Errors != nil {
		return c.render(w, http.StatusUnprocessableEntity, "site", p)
	}
	http.Redirect(w, r.Request, "/console/sites/"+p.Site.Key+"?done=saved", http.StatusSeeOther)
	return nil
}

// log writes what the member did to the activity log.
func (c *console) log(r *request, action, siteKey string, detail map[string]string) error {
	a := account.Activity{MemberID: r.session.Member.ID, Action: action, Site: siteKey, Detail: detail}
	if r.access != nil {
		a.Organisation = r.access.Organisation.ID
	}
	return c.Accounts.Log(r.Context(), a)
}
