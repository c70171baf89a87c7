package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"assent/internal/fault"
	"assent/internal/i18n"
	"assent/internal/site"
)

// change is a difference in the reader's words.
type change struct {
	Where         []string
	Before, After string
}

// places gives the notice's fields the names that the editor has for them.
var places = map[string]string{
	"controller": "Who asks", "policy url": "privacy policy address", "enforcement": "Blocking", "undeclared": "what no service declares",
	"undeclared storage": "names that no service declares", "report": "report of what no service declares",
	"policy": "policy", "choice days": "Days until asked again", "honour gpc": "Global Privacy Control", "regime": "Kind of consent",
	"regimes": "Rules by country", "rest of world": "Everywhere else", "exempt": "Used before a choice where the law allows it", "dnt": "Do Not Track",
	"layout": "Look", "light": "light", "dark": "dark", "button text": "button text", "services": "Services", "texts": "Texts",
	"languages": "Languages", "categories": "Categories", "basis": "legal basis",
}

// order is that of the editor's sections.
var order = []string{"controller", "languages", "texts", "layout", "regime", "regimes", "rest of world", "exempt", "choice days", "honour gpc", "dnt", "enforcement", "categories", "services"}

func rank(c site.Change) int {
	first, _, _ := strings.Cut(c.Path, " › ")
	if i := slices.Index(order, first); i >= 0 {
		return i
	}
	return len(order)
}

// inWords leaves out what only says again what the place says: the keys of
// categories and services, the site's, and the format's number.
func inWords(changes []site.Change) []change {
	list := make([]change, 0, len(changes))
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b site.Change) int { return rank(a) - rank(b) })
	for _, c := range changes {
		if c.Path == "site" || c.Path == "schema" || strings.HasSuffix(c.Path, " › key") {
			continue
		}
		var where []string
		for i, step := range strings.Split(c.Path, " › ") {
			if word, ok := places[step]; ok {
				step = word
			} else if i == 1 && where[0] == "Texts" {
				step = i18n.Name(step)
			}
			if i == 0 {
				step = capital(step)
			}
			where = append(where, step)
		}
		list = append(list, change{where, c.Before, c.After})
	}
	return list
}

func capital(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}

type publishPage struct {
	Page
	Current *site.Version
	Next    int
	Changes []change
	Draft   string // fingerprint of what is shown; publishing anything else is refused
	Idle    string // categories without a service, in words; "" for none
	Nobody  bool   // the text names a number of companies, which is 0
	// Concerns are dark patterns and gaps of the draft; they keep nothing from being published.
	Concerns []site.Concern
	Waits    *site.Scheduled // what is scheduled already
	At       string          // the time that was typed
}

// ConcernWords name a kind of concern.
func (p publishPage) ConcernWords(kind string) string { return concernWords(kind) }

func (c *console) publishPage(r *request) (publishPage, error) {
	var p publishPage
	var err error
	if p.Page, err = c.sitePage(r, "banner", "Review and publish"); err != nil {
		return p, err
	}
	if p.Current, err = c.Sites.Version(r.Context(), p.Site.Version); err != nil {
		return p, err
	}
	draft, err := c.Sites.Draft(r.Context(), p.Site.Key)
	if err != nil {
		return p, err
	}
	versions, err := c.Sites.Versions(r.Context(), p.Site.Key)
	if err != nil {
		return p, err
	}
	p.Next = len(versions) + 1
	p.Draft = fingerprint(draft)
	p.Idle = strings.Join(draft.Idle(), ", ")
	for _, texts := range draft.Texts {
		p.Nobody = p.Nobody || draft.Partners() == 0 && strings.Contains(texts.Body, "{partners}")
	}
	p.Changes = inWords(site.Diff(p.Current.Notice, draft))
	p.Concerns = draft.Concerns(usualCategory)
	p.Waits, err = c.Sites.Scheduled(r.Context(), p.Site.ID)
	return p, err
}

func (c *console) showPublish(w http.ResponseWriter, r *request) error {
	p, err := c.publishPage(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "publish", p)
}

func (c *console) publish(w http.ResponseWriter, r *request) error {
	p, err := c.publishPage(r)
	if err != nil {
		return err
	}
	if r.PostForm.Get("draft") != p.Draft {
		p.Problem = "The draft has changed since this page was made. Look at the changes again, then publish."
		return c.render(w, http.StatusConflict, "publish", p)
	}
	_, err = c.Sites.Publish(r.Context(), p.Site.Key, r.by())
	switch fault.KindOf(err) {
	case fault.Conflict, fault.Unprocessed:
		p.Problem = fault.Message(err)
		return c.render(w, http.StatusConflict, "publish", p)
	}
	if err != nil {
		return err
	}
	next := ""
	if r.PostForm.Get("next") == "install" { // the last step of setting up
		next = "/install"
	}
	http.Redirect(w, r.Request, "/console/sites/"+p.Site.Key+next+"?done=published", http.StatusSeeOther)
	return nil
}

type versionsPage struct {
	Page
	Versions []site.Version
	From, To *site.Version // what is compared; nil: nothing
	Changes  []change

	Waits        *site.Scheduled // what is published on its day; nil: nothing
	WaitsChanges []change        // against the version in force
}

// IsFrom and IsTo say which radio buttons are chosen: what is compared, or the
// newest version against the one before.
func (p versionsPage) IsFrom(i int) bool {
	if p.From != nil {
		return p.Versions[i].Version == p.From.Version
	}
	return i == min(1, len(p.Versions)-1)
}

// IsTo is IsFrom's twin.
func (p versionsPage) IsTo(i int) bool {
	if p.To != nil {
		return p.Versions[i].Version == p.To.Version
	}
	return i == 0
}

func (c *console) listVersions(w http.ResponseWriter, r *request) error {
	var p versionsPage
	var err error
	if p.Page, err = c.sitePage(r, "versions", "Versions"); err != nil {
		return err
	}
	if p.Versions, err = c.Sites.Versions(r.Context(), p.Site.Key); err != nil {
		return err
	}
	if p.Waits, err = c.Sites.Scheduled(r.Context(), p.Site.ID); err != nil {
		return err
	}
	if p.Waits != nil {
		current, err := c.Sites.Version(r.Context(), p.Site.Version)
		if err != nil {
			return err
		}
		p.WaitsChanges = inWords(site.Diff(current.Notice, p.Waits.Notice))
	}
	from, to := r.URL.Query().Get("from"), r.URL.Query().Get("to")
	if from != "" && to != "" {
		if p.From, err = c.version(r, from); err != nil {
			return err
		}
		if p.To, err = c.version(r, to); err != nil {
			return err
		}
		p.Changes = inWords(site.Diff(p.From.Notice, p.To.Notice))
	}
	return c.render(w, http.StatusOK, "versions", p)
}

// version is a version of the site in the address, never of another.
func (c *console) version(r *request, hash string) (*site.Version, error) {
	v, err := c.Sites.Version(r.Context(), hash)
	if kind := fault.KindOf(err); kind == fault.Unprocessed || err == nil && v.Site != r.PathValue("site") {
		return nil, fault.New(fault.NotFound, "This site has no such version. Choose one from its list of versions.")
	}
	return v, err
}

type versionPage struct {
	Page
	Version    *site.Version
	Everything []change
}

func (c *console) showVersion(w http.ResponseWriter, r *request) error {
	var p versionPage
	var err error
	if p.Page, err = c.sitePage(r, "versions", "Version"); err != nil {
		return err
	}
	if p.Version, err = c.version(r, r.PathValue("version")); err != nil {
		return err
	}
	p.Title = "Version " + strconv.Itoa(p.Version.Number)
	p.Everything = inWords(site.Diff(&site.Notice{}, p.Version.Notice))
	return c.render(w, http.StatusOK, "version", p)
}

// versionContent is the canonical JSON, byte for byte what the hash names.
func (c *console) versionContent(w http.ResponseWriter, r *request) error {
	v, err := c.version(r, r.PathValue("version"))
	if err != nil {
		return err
	}
	download(w, "application/json", "notice-"+v.Site+"-"+strconv.Itoa(v.Number)+".json")
	_, err = w.Write(v.Content)
	return ignoreDisconnect(err)
}

// download names a file for the browser to keep.
func download(w http.ResponseWriter, contentType, name string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}
