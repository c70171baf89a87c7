package admin

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"assent/internal/account"
	"assent/internal/i18n"
	"assent/internal/site"
	"assent/internal/tongue"
)

//go:embed templates
var templateFiles embed.FS

// Page is what the layout needs; every page's struct embeds it.
type Page struct {
	Title   string
	Member  *account.Member // nil: nobody is signed in
	Site    *site.Site      // nil: not a page of a site
	Access  *account.Access // what the member may do on this page; nil: it asks for no role
	Tab     string          // overview, banner, seen, versions or register; or sites, activity, account
	Done    string          // what has just succeeded, one sentence
	Problem string          // what went wrong, one sentence
	Speaks  string          // the language of the page, BCP 47
	Here    string          // the address of the page, to come back to
	Damage  []string        // what the check in the background found in the registers of this page
}

// done maps the ?done= of a redirect to its sentence; other values say nothing.
var done = map[string]string{
	"welcome":   "Welcome. This is your console; add your first site.",
	"password":  "Your password is changed. Your other sessions are ended.",
	"revoked":   "The token is revoked. It opens nothing any more.",
	"added":     "The site is added. Until you say more, it asks everybody first.",
	"saved":     "Saved.",
	"confirmed": "Your address is confirmed.",
	"confirm":   "The letter is on its way. Its link works once, and for 24 hours.",
	"scheduled": "Scheduled. It is published by itself, also if the server is restarted meanwhile.", "unscheduled": "Nothing is scheduled.",
	"rolled_back": "The older version is in force again. Visitors get it within seconds; the draft is as it was.",
	"set_up":      "Set up. This page tells how the site is doing.",
	"removed":     "Removed. It holds at once.",
	"ended":       "The session is ended.",
	"asked":       "Noted. Nothing is erased before the day below; until then one click takes it back.",
	"kept":        "Taken back. Nothing is erased.",
	"ruled":       "The rule holds from now on. The next run is within a day, or start one now.",
	"unruled":     "The rule is gone.",
	"retaining":   "It has begun. Reload this page in a moment: the run then stands below.",
	"joined":      "Welcome. You belong to the organisation now.",
	"entered":     "You are in, for four hours. The organisation's members see your reason, and every page that you open is noted.",
	"draft":       "The draft is saved. Visitors see it after you publish.",
	"declared":    "Declared in the draft. Say what the service is for and who provides it, then review and publish.",
	"catalogue":   "Added to the draft, with all that the catalogue knows. Review and publish when you are ready.",
	"completed":   "What the catalogue knew more is in the draft. Review and publish when you are ready.",
	"ignored":     "Ignored. It is not listed any more.",
	"unignored":   "It is listed again.",
	"cleared":     "The list is empty. What your pages still use comes back.",
	"erased":      "Erased. The register says that it was done, and the bytes are gone from the database's files within a few minutes.",
	"tried":       "Sent. Reload this page in a few seconds to see how it went.",
	"replayed":    "It is told again, with the webhook-id that it had.",
	"published":   "Published. Visitors get the new version within seconds.",
}

// Can tells templates what not to offer; the guard decides all the same.
func (p Page) Can(capability string) bool { return p.Access.Can(account.Capability(capability)) }

// Org is the parameter that keeps an address in the page's organisation.
func (p Page) Org() string {
	if p.Access == nil {
		return ""
	}
	return "?org=" + p.Access.Organisation.ID
}

func (c *console) page(r *request, title string) Page {
	p := Page{Title: title, Access: r.access, Speaks: languageFor(r)}
	if r.session != nil {
		p.Member = r.session.Member
	}
	if r.Method == http.MethodGet {
		p.Here = r.URL.RequestURI()
		p.Done = done[r.URL.Query().Get("done")]
	}
	return p
}

// sitePage is the page of the site in the address, which the guard has found.
func (c *console) sitePage(r *request, tab, title string) (Page, error) {
	if r.site == nil {
		return Page{}, fmt.Errorf("admin: the route %s has no {site}", r.Pattern)
	}
	p := c.page(r, title)
	p.Site, p.Tab = r.site, tab
	p.Damage = c.damage(r.site.Key)
	return p, nil
}

// damage is what the check in the background found in the registers of sites
// that the reader may see.
func (c *console) damage(keys ...string) (list []string) {
	if c.Scrub == nil {
		return nil
	}
	for _, f := range c.Scrub().Findings {
		if slices.Contains(keys, f.SiteKey()) {
			list = append(list, f.Message)
		}
	}
	return list
}

// views holds one template per page and language, each with the layout and the
// partials. They are parsed when they are first shown: the server answers visitors sooner.
type views struct {
	pages map[string]func() *template.Template // by language, a slash, and the page
	empty func() *template.Template            // knows the functions and no page
}

func newViews(a *assets) *views {
	funcs := template.FuncMap{
		"asset":        a.url,
		"clock":        clock,
		"short":        short,
		"input":        newInput,
		"languages":    i18n.Languages,
		"languageName": i18n.Name,
		"contrast":     newContrast,
		"palette": func(mode, title string, c site.Colours, e problems) paletteView {
			return paletteView{mode, title, c, e}
		},
		"tab": func(current, name, label, key, path string) tabLink {
			return tabLink{label, key, path, current == name}
		},
		"thousands":  thousands,
		"previewing": func(key, path string) previewView { return previewView{key, "/console/sites/" + key + path} },
		"counted": func(p statisticsPage, views bool, l any) map[string]any {
			return map[string]any{"Page": p, "Views": views, "Line": l}
		},
		"has":   func(e problems, field string) string { return e[field] },
		"ratio": ratio,
		"inc":   func(i int) int { return i + 1 },
	}
	var parsing sync.Mutex
	empty := func() *template.Template {
		return template.New("").Funcs(funcs).Funcs(languageFuncs(tongue.English))
	}
	shared := sync.OnceValue(func() *template.Template {
		return template.Must(empty().ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	})
	v := &views{pages: map[string]func() *template.Template{}, empty: empty}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err)
	}
	for _, file := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "templates/"), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		for _, tag := range append(tongues.Tags(), "en") {
			v.pages[tag+"/"+name] = sync.OnceValue(func() *template.Template {
				l := tongues.Language(tag)
				parsing.Lock()
				defer parsing.Unlock()
				t := template.Must(template.Must(shared().Clone()).Funcs(languageFuncs(l)).ParseFS(templateFiles, file))
				l.Translate(t)
				return t
			})
		}
	}
	return v
}

// render writes a page; a template that fails leaves nothing half-written.
func (c *console) render(w http.ResponseWriter, status int, name string, data any) error {
	tag := "en"
	if page, ok := data.(interface{ inLanguage() string }); ok && page.inLanguage() != "" {
		tag = page.inLanguage()
	}
	parse := c.views.pages[tag+"/"+name]
	if parse == nil {
		return fmt.Errorf("admin: no template %s", name)
	}
	t := parse()
	var page bytes.Buffer
	if err := t.ExecuteTemplate(&page, "layout", data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(page.Len()))
	w.WriteHeader(status)
	_, err := page.WriteTo(w)
	return ignoreDisconnect(err)
}

// ignoreDisconnect drops the error of a reader who left: nobody can be told.
func ignoreDisconnect(error) error { return nil }

// problems says what is wrong, by the name of the input.
type problems map[string]string

// input is one labelled form control for the partial "input".
type input struct {
	Name, Label, Value, Hint, Error string
	Placeholder                     string // what stands in the empty input
	// Stale is the source text that a translation is older than, as it was; "" when it is not.
	Stale string
}

// newInput makes an input; hint may be left out.
func newInput(name, label, value string, e problems, hint ...string) input {
	return input{Name: name, Label: label, Value: value, Error: e[name], Hint: strings.Join(hint, " ")}
}

// ratio writes a contrast to one digit, which is never rounded up to a limit.
func ratio(r float64) string { return strconv.FormatFloat(math.Floor(r*10)/10, 'f', 1, 64) }

// ID is the input's id; names hold dots, which selectors dislike.
func (i input) ID() string { return strings.ReplaceAll(i.Name, ".", "-") }

// previewView is the preview of a draft beside a form; Action is where it is asked for.
type previewView struct{ Key, Action string }

type tabLink struct {
	Label, Key, Path string
	Current          bool
}

type option struct {
	Value, Label string
	Chosen       bool
}

// clock is when without the day, for lists that are grouped by UTC days; the
// script leaves it in UTC.
func clock(t time.Time) template.HTML {
	t = t.UTC()
	return template.HTML(`<time data-utc datetime="` + t.Format(time.RFC3339) + `">` + t.Format("15:04:05") + `</time>`)
}

// short is the beginning of a hash, enough to tell versions apart.
func short(hash string) string {
	if len(hash) > 10 {
		return hash[:10]
	}
	return hash
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
