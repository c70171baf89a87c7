package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"assent/internal/catalogue"
	"assent/internal/fault"
	"assent/internal/site"
	"assent/internal/stats"

	"golang.org/x/net/publicsuffix"
)

// Bounds of the page: a site that was flooded stays readable.
const (
	maxSeen    = 100 // names of a list
	maxChoices = 60  // services that a name can be added to
	maxShown   = 5   // pages and uses of a name
)

type seenPage struct {
	Page
	Open, Declared, Ignored []seenName // by how often
	More                    int        // open ones that the page leaves out
	Other                   int64      // counts that found no room
	Reports                 bool       // the notice in force reports
	LetsThrough             bool       // it lets undeclared hosts through
}

// Empty tells whether nothing was ever seen.
func (p seenPage) Empty() bool {
	return len(p.Open)+len(p.Declared)+len(p.Ignored) == 0 && p.Other == 0
}

// seenName is a host or a name with all that is known of it.
type seenName struct {
	stats.Name
	Uses, Pages      []string
	MorePages        bool
	Blocked, Allowed int64
	First, Last      time.Time
	InForce, InDraft *site.Service // that declare it
	Choices          []option      // where it can be declared; none: it names nothing
	Known            string        // what it is most likely of, by the catalogue
}

// What says what kind of thing it is.
func (n seenName) What() string {
	return map[string]string{"request": "Host", "cookie": "Cookie", "local_storage": "Local storage", "session_storage": "Session storage", "indexed_db": "Database or cache"}[n.Kind]
}

// Words is the name as it is shown.
func (n seenName) Words() string {
	switch {
	case n.Kind == "request" && n.Name.Name == "*":
		return "a bare IP address"
	case n.Name.Name == "*":
		return "a name that may be about a visitor"
	}
	return n.Name.Name
}

// IsName tells whether Words is the name itself.
func (n seenName) IsName() bool { return n.Words() == n.Name.Name }

// Times is how often it was seen.
func (n seenName) Times() int64 { return n.Blocked + n.Allowed }

func (c *console) seenPage(r *request) (seenPage, error) {
	var p seenPage
	var err error
	if p.Page, err = c.sitePage(r, "seen", "Seen, not declared"); err != nil {
		return p, err
	}
	current, err := c.Sites.Version(r.Context(), p.Site.Version)
	if err != nil {
		return p, err
	}
	draft, err := c.Sites.Draft(r.Context(), p.Site.Key)
	if err != nil {
		return p, err
	}
	rows, err := c.Stats.Seen(r.Context(), p.Site.ID)
	if err != nil {
		return p, err
	}
	ignored, err := c.Stats.Ignored(r.Context(), p.Site.ID)
	if err != nil {
		return p, err
	}
	p.Reports, p.LetsThrough = current.Notice.Enforcement.Report, current.Notice.Enforcement.Undeclared == "report"
	for _, n := range byName(rows) {
		n.InForce, n.InDraft = stats.DeclaredBy(current.Notice, n.Name), stats.DeclaredBy(draft, n.Name)
		switch {
		case n.Kind == stats.Other:
			p.Other = n.Times()
		case ignored[n.Name]:
			p.Ignored = append(p.Ignored, n)
		case n.InDraft != nil:
			p.Declared = append(p.Declared, n)
		default:
			p.Open = append(p.Open, n)
		}
	}
	p.More = max(0, len(p.Open)-maxSeen)
	p.Open, p.Declared, p.Ignored = first(p.Open), first(p.Declared), first(p.Ignored)
	all := guesses(append(slices.Clone(p.Open), p.Declared...))
	for i := range p.Open {
		n := &p.Open[i]
		n.Choices, n.Known = choices(draft, n.Name, all[n.Name]), all[n.Name].Words()
	}
	return p, nil
}

func first(list []seenName) []seenName { return list[:min(len(list), maxSeen)] }

// byName puts a site's rows together, the most frequent name first.
func byName(rows []stats.Row) []seenName {
	var list []seenName
	at := map[stats.Name]int{}
	// The most frequent pages and uses stand first.
	slices.SortStableFunc(rows, func(a, b stats.Row) int { return int(min(1, max(-1, b.Count-a.Count))) })
	for _, r := range rows {
		name := stats.Name{Kind: r.Kind, Name: r.Name}
		i, known := at[name]
		if !known {
			i = len(list)
			at[name] = i
			list = append(list, seenName{Name: name, First: r.First, Last: r.Last})
		}
		n := &list[i]
		if r.Allowed {
			n.Allowed += r.Count
		} else {
			n.Blocked += r.Count
		}
		if r.First.Before(n.First) {
			n.First = r.First
		}
		if r.Last.After(n.Last) {
			n.Last = r.Last
		}
		if use := useWords[r.Directive]; use != "" && !slices.Contains(n.Uses, use) {
			n.Uses = append(n.Uses, use)
		}
		if r.Page == "" || len(n.Pages) == maxShown && !slices.Contains(n.Pages, r.Page) {
			n.MorePages = true
		} else if !slices.Contains(n.Pages, r.Page) {
			n.Pages = append(n.Pages, r.Page)
		}
	}
	slices.SortStableFunc(list, func(a, b seenName) int { return int(min(1, max(-1, b.Times()-a.Times()))) })
	return list
}

// useWords are the directives and initiator types in the reader's words.
var useWords = map[string]string{
	"script-src": "script", "script-src-elem": "script", "script-src-attr": "script", "script": "script", "worker-src": "worker",
	"style-src": "style sheet", "style-src-elem": "style sheet", "style-src-attr": "style sheet", "link": "style sheet or hint", "css": "from a style sheet",
	"img-src": "image", "img": "image", "image": "image", "input": "image", "font-src": "font",
	"frame-src": "frame", "child-src": "frame", "fenced-frame-src": "frame", "iframe": "frame", "frame": "frame",
	"connect-src": "connection", "fetch": "connection", "xmlhttprequest": "connection", "beacon": "connection",
	"media-src": "sound or film", "audio": "sound or film", "video": "sound or film", "track": "sound or film",
	"object-src": "embedded object", "object": "embedded object", "embed": "embedded object", "manifest-src": "manifest",
	"prefetch-src": "prefetch", "form-action": "form",
}

// choices are where a name can be declared: the catalogue's services that it is of,
// the draft's services, or a new one. Chosen is the catalogue's where the guess is sure, unless
// the draft has it already or has one of the same domain. What stands for anything cannot be declared.
func choices(draft *site.Notice, name stats.Name, g guess) []option {
	if name.Name == "*" {
		return nil
	}
	kin := relative(draft, name)
	var list []option
	for at, e := range g.entries {
		if i := slices.IndexFunc(draft.Services, func(s site.Service) bool { return s.Key == e.Key }); i >= 0 {
			if kin == nil && at == 0 && g.sure {
				kin = &draft.Services[i]
			}
		} else if draft.HasCategory(e.Category) {
			list = append(list, option{"catalogue:" + e.Key, "as " + e.Name + ", from the catalogue", at == 0 && g.sure})
		}
	}
	if kin != nil && len(list) > 0 {
		list[0].Chosen = false
	}
	taken := kin != nil || len(list) > 0 && list[0].Chosen
	for i := range draft.Services {
		if s := &draft.Services[i]; s == kin || len(list) < maxChoices {
			list = append(list, option{"service:" + s.Key, "to " + s.Name, s == kin})
		}
	}
	editor := bannerPage{Notice: draft}
	for i, o := range editor.CategoriesFor("") {
		// Whoever only clicks puts it where a wrong guess lets the least through.
		list = append(list, option{"new:" + o.Value, "as a new service: " + o.Label, !taken && i == len(draft.Categories)-1})
	}
	return list
}

// relative is the service that has hosts of the same registrable domain.
func relative(n *site.Notice, name stats.Name) *site.Service {
	domain := registrable(name.Name)
	if name.Kind != "request" || domain == "" {
		return nil
	}
	for i := range n.Services {
		if slices.ContainsFunc(n.Services[i].Hosts, func(h string) bool { return registrable(h) == domain }) {
			return &n.Services[i]
		}
	}
	return nil
}

func registrable(host string) string {
	host, _, _ = strings.Cut(strings.TrimPrefix(host, "*."), ":")
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil || strings.Trim(domain, "0123456789.") == "" {
		return ""
	}
	return domain
}

func (c *console) showSeen(w http.ResponseWriter, r *request) error {
	p, err := c.seenPage(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "seen", p)
}

// editSeen declares a name in the draft, or hides or clears.
func (c *console) editSeen(w http.ResponseWriter, r *request) error {
	p, err := c.seenPage(r)
	if err != nil {
		return err
	}
	name := stats.Name{Kind: r.PostForm.Get("kind"), Name: r.PostForm.Get("name")}
	next := "/seen?done="
	switch do := r.PostForm.Get("do"); do {
	case "declare":
		to := r.PostForm.Get("to")
		service, err := c.declare(r, p, name, to)
		if fault.KindOf(err) == fault.Unprocessed {
			p.Problem = "Not declared. " + fault.Message(err)
			return c.render(w, http.StatusUnprocessableEntity, "seen", p)
		}
		if err != nil {
			return err
		}
		next = "/banner?done=declared&service=" + service + "#services"
		if strings.HasPrefix(to, "catalogue:") {
			next = "/banner?done=catalogue&service=" + service + "#services"
		}
	case "ignore", "unignore":
		if err := c.Stats.Ignore(r.Context(), p.Site.ID, name, do == "ignore"); err != nil {
			return err
		}
		next += do + "d"
	case "clear":
		if err := c.Stats.Clear(r.Context(), p.Site.ID); err != nil {
			return err
		}
		next += "cleared"
	default:
		return fault.New(fault.Invalid, "That button is unknown. Reload the page and try again.")
	}
	http.Redirect(w, r.Request, "/console/sites/"+p.Site.Key+next, http.StatusSeeOther)
	return nil
}

// declare adds a name of the site's list to a service of the draft, or to a new
// one, and returns the service's key.
func (c *console) declare(r *request, p seenPage, name stats.Name, to string) (string, error) {
	if !slices.ContainsFunc(append(append(p.Open, p.Declared...), p.Ignored...), func(n seenName) bool { return n.Name == name }) || name.Name == "*" {
		return "", fault.New(fault.NotFound, "This is not in the site's list any more. Open the list again.")
	}
	draft, err := c.Sites.Draft(r.Context(), p.Site.Key)
	if err != nil {
		return "", err
	}
	if s := stats.DeclaredBy(draft, name); s != nil {
		return s.Key, nil
	}
	how, what, _ := strings.Cut(to, ":")
	at := slices.IndexFunc(draft.Services, func(s site.Service) bool { return how == "service" && s.Key == what })
	switch {
	case at >= 0:
	case how == "catalogue" && slices.ContainsFunc(suggest(name), func(e *catalogue.Entry) bool { return e.Key == what }):
		if _, _, err := catalogue.Add(draft, what); err != nil {
			return "", err
		}
		at = slices.IndexFunc(draft.Services, func(s site.Service) bool { return s.Key == what })
	case how == "new" && slices.ContainsFunc(draft.Categories, func(c site.Category) bool { return c.Key == what }):
		f := &form{notice: draft}
		label := []rune(name.Name)
		draft.Services = append(draft.Services, site.Service{Key: f.newKey(name.Name), Name: string(label[:min(len(label), maxSiteName)]), Category: what,
			Purpose: map[string]string{}, Hosts: []string{}, Trackers: []site.Tracker{}})
		at = len(draft.Services) - 1
	default:
		return "", fault.New(fault.Unprocessed, "Choose one of the draft's services, or a category for a new one. The draft may have changed meanwhile.")
	}
	s := &draft.Services[at]
	switch {
	case stats.DeclaredBy(draft, name) != nil: // the catalogue knew it
	case name.Kind == "request":
		s.Hosts = append(s.Hosts, name.Name)
	default:
		s.Trackers = append(s.Trackers, site.Tracker{Kind: name.Kind, Name: name.Name})
	}
	if err := c.Sites.SaveDraft(r.Context(), p.Site.Key, draft); err != nil {
		return "", err
	}
	return s.Key, nil
}
