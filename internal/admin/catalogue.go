package admin

import (
	"net/http"
	"net/url"
	"slices"
	"sync"

	"assent/internal/account"
	"assent/internal/catalogue"
	"assent/internal/fault"
	"assent/internal/site"
	"assent/internal/stats"
)

// catalogueRoutes are the pages of the catalogue of services.
func (c *console) catalogueRoutes() []route {
	return []route{
		{"GET /console/sites/{site}/catalogue", account.EditBanner, c.showCatalogue},
		{"POST /console/sites/{site}/catalogue", account.EditBanner, c.addFromCatalogue},
	}
}

// maxEntries bounds the page; a search finds the rest.
const maxEntries = 40

// known finds what was seen in the catalogue. It is made when it is first needed,
// not when the server starts.
var known = sync.OnceValue(func() *catalogue.Index { return catalogue.NewIndex(stats.NameClass) })

type cataloguePage struct {
	Page
	Query   string
	Entries []entryView
	More    int // entries that were found and are left out
	All     int // that the catalogue holds
	News    []catalogue.News
	Untold  []string // services of the draft that the catalogue could tell the choice, in sentences
	Changes int      // of the draft against the version in force
}

// entryView is a service of the catalogue with what the draft has of it.
type entryView struct {
	*catalogue.Entry
	Words  string // the category in the notice's first language
	Have   bool   // the draft has a service of this key
	Signal string // name of the product that is told the choice
}

func (c *console) cataloguePage(r *request, query string) (cataloguePage, error) {
	p := cataloguePage{Query: query, All: len(catalogue.All())}
	var err error
	if p.Page, err = c.sitePage(r, "banner", "Catalogue of services"); err != nil {
		return p, err
	}
	draft, err := c.Sites.Draft(r.Context(), p.Site.Key)
	if err != nil {
		return p, err
	}
	current, err := c.Sites.Version(r.Context(), p.Site.Version)
	if err != nil {
		return p, err
	}
	p.Changes = len(site.Diff(current.Notice, draft))
	p.News = catalogue.NewsOf(draft)
	editor := bannerPage{Notice: draft}
	found := catalogue.Search(query)
	p.More = max(0, len(found)-maxEntries)
	for _, e := range found[:min(len(found), maxEntries)] {
		v := entryView{Entry: e, Words: editor.CategoryWords(e.Category), Have: slices.ContainsFunc(draft.Services, func(s site.Service) bool { return s.Key == e.Key })}
		for _, t := range site.Tools {
			if t.Signal == e.Signal {
				v.Signal = t.Name
			}
		}
		p.Entries = append(p.Entries, v)
	}
	for i := range draft.Services {
		s := &draft.Services[i]
		if e := catalogue.Get(s.Key); e != nil && e.Signal != "" && s.Signal == "" {
			_, missing := e.Service(draft)
			p.Untold = append(p.Untold, missing...)
		}
	}
	return p, nil
}

// BasisWords is a legal basis for people.
func (v entryView) BasisWords() string {
	return map[string]string{"consent": "consent", "contract": "a contract", "legitimate_interest": "legitimate interest"}[v.Basis]
}

// TransferWords say what protects data elsewhere.
func (v entryView) TransferWords() string {
	if v.Transfer.Mechanism == "none" {
		return "The provider says that data stays in the European Economic Area."
	}
	return v.Transfer.Words("en")
}

func (c *console) showCatalogue(w http.ResponseWriter, r *request) error {
	p, err := c.cataloguePage(r, get(r.URL.Query(), "q"))
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "catalogue", p)
}

// addFromCatalogue adds the chosen services to the draft, or to a service of the
// draft what the catalogue knows of it by now.
func (c *console) addFromCatalogue(w http.ResponseWriter, r *request) error {
	p, err := c.cataloguePage(r, get(r.PostForm, "q"))
	if err != nil {
		return err
	}
	draft, err := c.Sites.Draft(r.Context(), p.Site.Key)
	if err != nil {
		return err
	}
	done := "catalogue"
	var changed bool
	if key := r.PostForm.Get("complete"); key != "" {
		changed, done = catalogue.Complete(draft, key), "completed"
	} else {
		var added []string
		added, _, err = catalogue.Add(draft, r.PostForm["service"]...)
		changed = len(added) > 0
		if err == nil && len(r.PostForm["service"]) == 0 {
			err = fault.New(fault.Unprocessed, "Tick the services that your site uses, or press the button of one of them.")
		}
	}
	if err == nil && changed {
		err = c.Sites.SaveDraft(r.Context(), p.Site.Key, draft)
	}
	if fault.KindOf(err) == fault.Unprocessed {
		p.Problem = "Not added. " + fault.Message(err)
		return c.render(w, http.StatusUnprocessableEntity, "catalogue", p)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r.Request, "/console/sites/"+p.Site.Key+"/catalogue?"+url.Values{"done": {done}, "q": {p.Query}}.Encode(), http.StatusSeeOther)
	return nil
}

// suggest lists the catalogue's services that a seen name belongs to.
func suggest(name stats.Name) []*catalogue.Entry {
	if name.Kind == "request" {
		return known().Host(name.Name)
	}
	return known().Name(name.Kind, name.Name)
}

// maxSuggested bounds what is suggested for a name; hosts of Google have more.
const maxSuggested = 8

// guess is what a seen name is most likely of.
type guess struct {
	entries []*catalogue.Entry // best first
	sure    bool               // nothing speaks nearly as much for another one
}

// whole is how much a name says that only one service has; one that several have says
// a share of it. A guess is sure when half of it is between the first and the next.
const whole = 120

// guesses weighs what was seen together: a host that many products share is most
// likely of the one whose cookies and other hosts the site's pages want, too; where
// nothing else was seen, of the one that has no other host.
func guesses(seen []seenName) map[stats.Name]guess {
	support := map[*catalogue.Entry]int{}
	list := map[stats.Name]guess{}
	for _, n := range seen {
		if n.Name.Name == "*" {
			continue
		}
		entries := suggest(n.Name)
		list[n.Name] = guess{entries: entries}
		for _, e := range entries {
			support[e] += whole / len(entries)
		}
	}
	weight := func(e *catalogue.Entry) int {
		if len(e.Hosts) == 1 {
			return support[e] + whole/2
		}
		return support[e]
	}
	for name, g := range list {
		slices.SortStableFunc(g.entries, func(a, b *catalogue.Entry) int { return weight(b) - weight(a) })
		g.sure = len(g.entries) == 1 || len(g.entries) > 1 && weight(g.entries[0]) >= weight(g.entries[1])+whole/2
		g.entries = g.entries[:min(len(g.entries), maxSuggested)]
		list[name] = g
	}
	return list
}

// Words name the guess: one service, or some of those that it may be.
func (g guess) Words() string {
	switch n := len(g.entries); {
	case n == 0:
		return ""
	case g.sure:
		return g.entries[0].Name
	case n == 2:
		return g.entries[0].Name + " or " + g.entries[1].Name
	default:
		return g.entries[0].Name + ", " + g.entries[1].Name + " or another"
	}
}

// usualCategory is that of a service of the catalogue, "" for every other.
func usualCategory(key string) string {
	if e := catalogue.Get(key); e != nil {
		return e.Category
	}
	return ""
}
