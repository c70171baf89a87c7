package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/install"
	"assent/internal/site"
	"assent/internal/stats"
)

// siteRoutes are the pages that set a site up and say whether its tag is there.
func (c *console) siteRoutes() []route {
	return []route{
		{"GET /console/sites/{site}/setup/{step}", account.EditBanner, c.showStep},
		{"POST /console/sites/{site}/setup/{step}", account.EditBanner, c.saveStep},
		{"POST /console/sites/{site}/setup/preview", account.EditBanner, c.previewLook},
		{"POST /console/sites/{site}/banner/concerns", account.EditBanner, c.showConcerns},
		{"GET /console/sites/{site}/install", account.ViewSites, c.showInstall},
		{"POST /console/sites/{site}/install", account.ChangeSites, c.checkInstall},
	}
}

// Bounds of the page.
const (
	maxPagesShown = 60 // kinds of pages
	linksChecked  = 5  // pages that are looked at besides the one that was asked for
)

type installPage struct {
	Page
	Steps     []stepLink // of the wizard; none: nobody is in it
	Tag, Boot string
	Seen      installed
	Hosts     []hostSeen
	Pages     []stats.Installed
	Elsewhere []string         // hosts that are none of the site's domains
	Unseen    []string         // domains on which the tag was never seen
	URL       string           // that was asked for
	Reports   []install.Report // of the pages that were looked at; none: none was
	Errors    problems
	Changes   int    // of the draft, that visitors do not see yet
	Draft     string // its fingerprint, for publishing
	MayCheck  bool
}

// installed is what a site's page says about the tag, in one sentence.
type installed struct {
	Says string
	Tone string // good, warn, or "" for never seen
}

// hostSeen is a host on which the tag was seen.
type hostSeen struct {
	stats.Installed
	Number int // of the older version; 0 where it is not known
}

// Words names the host.
func (h hostSeen) Words() string {
	if h.Host == "" {
		return "pages that do not say where they are"
	}
	return h.Host
}

// ago says how long ago a minute was.
func ago(at, now time.Time) string {
	switch d := now.Sub(at); {
	case d < 2*time.Minute:
		return "just now"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " minutes ago"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " hours ago"
	default:
		return strconv.Itoa(int(d/(24*time.Hour))) + " days ago"
	}
}

// seen says where and when the tag was seen last, and whether its boot is up to date.
func (c *console) installed(r *request, versions []site.Version) (said installed, hosts []hostSeen, all []stats.Installed, err error) {
	all, err = c.Stats.Installs(r.Context(), r.site.ID)
	if err != nil {
		return said, nil, nil, err
	}
	number := func(version string) int {
		if i := slices.IndexFunc(versions, func(v site.Version) bool { return v.Version == version }); i >= 0 {
			return versions[i].Number
		}
		return 0
	}
	var last *stats.Installed
	var stale []string
	for i := range all {
		s := &all[i]
		if s.Page != "" || s.Elsewhere() {
			continue
		}
		hosts = append(hosts, hostSeen{*s, number(s.OldVersion)})
		if last == nil || s.Last().After(last.Last()) {
			last = s
		}
		if s.Stale() {
			stale = append(stale, hosts[len(hosts)-1].Words())
		}
	}
	if last == nil {
		return installed{Says: "Not seen yet. The first visitor of a page with the tag shows here within a minute."}, hosts, all, nil
	}
	where, when, version := (hostSeen{Installed: *last}).Words(), ago(last.Last(), c.Now()), number(r.site.Version)
	switch {
	case len(stale) > 0:
		said = installed{fmt.Sprintf("Seen on %s %s. The boot in the pages of %s is of an older version: paste it again.", where, when, strings.Join(stale[:min(len(stale), 3)], ", ")), "warn"}
	case last.Form == "boot":
		said = installed{fmt.Sprintf("Seen on %s %s, version %d, boot up to date.", where, when, version), "good"}
	default:
		said = installed{fmt.Sprintf("Seen on %s %s, version %d.", where, when, version), "good"}
	}
	return said, hosts, all, nil
}

func (c *console) installPage(r *request) (installPage, error) {
	var p installPage
	var err error
	if p.Page, err = c.sitePage(r, "overview", "Install"); err != nil {
		return p, err
	}
	p.Tag, p.MayCheck = c.tag(p.Site.Key), p.Can(string(account.ChangeSites)) && c.Check != nil
	p.URL = "https://" + p.Site.Domains[0] + "/"
	if p.Boot, err = c.Sites.BootElement(r.Context(), p.Site.Version, c.PublicURL()); err != nil {
		return p, err
	}
	versions, err := c.Sites.Versions(r.Context(), p.Site.Key)
	if err != nil {
		return p, err
	}
	var all []stats.Installed
	if p.Seen, p.Hosts, all, err = c.installed(r, versions); err != nil {
		return p, err
	}
	for i := range all {
		switch s := all[i]; {
		case s.Elsewhere():
			p.Elsewhere = append(p.Elsewhere, s.Host)
		case s.Page != "" && len(p.Pages) < maxPagesShown:
			p.Pages = append(p.Pages, s)
		}
	}
	for _, domain := range p.Site.Domains {
		below := func(h hostSeen) bool {
			host, _, _ := strings.Cut(h.Host, ":")
			return host == domain || strings.HasSuffix(host, "."+domain)
		}
		if len(p.Hosts) > 0 && !slices.ContainsFunc(p.Hosts, below) {
			p.Unseen = append(p.Unseen, domain)
		}
	}
	step, err := c.Sites.SetupStep(r.Context(), p.Site.ID)
	if err != nil || step == 0 || !p.Can(string(account.EditBanner)) {
		return p, err
	}
	p.Steps = steps(p.Site.Key, 5)
	draft, err := c.Sites.Draft(r.Context(), p.Site.Key)
	if err != nil {
		return p, err
	}
	current, err := c.Sites.Version(r.Context(), p.Site.Version)
	if err != nil {
		return p, err
	}
	p.Changes, p.Draft = len(site.Diff(current.Notice, draft)), fingerprint(draft)
	return p, nil
}

func (c *console) showInstall(w http.ResponseWriter, r *request) error {
	p, err := c.installPage(r)
	if err != nil {
		return err
	}
	if wantsScript(r) { // the page's script asks again while somebody waits
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if p.Seen.Tone != "good" {
			w.Header().Set("X-Waiting", "1")
		}
		_, err := w.Write([]byte(r.say(p.Seen.Says)))
		return ignoreDisconnect(err)
	}
	return c.render(w, http.StatusOK, "install", p)
}

// checkInstall fetches a page of the site and says what is wrong with it, or ends
// the wizard.
func (c *console) checkInstall(w http.ResponseWriter, r *request) error {
	if r.PostForm.Get("do") == "finish" {
		if err := c.Sites.SetSetupStep(r.Context(), r.site.ID, 0); err != nil {
			return err
		}
		http.Redirect(w, r.Request, "/console/sites/"+r.site.Key+"?done=set_up", http.StatusSeeOther)
		return nil
	}
	p, err := c.installPage(r)
	if err != nil {
		return err
	}
	p.URL = get(r.PostForm, "url")
	if p.Reports, err = c.look(r, p.URL, linksChecked); err == nil {
		return c.render(w, http.StatusOK, "install", p)
	}
	if kind := fault.KindOf(err); kind != fault.Unprocessed && kind != fault.TooMany {
		return err
	}
	p.Errors = problems{"url": fault.Message(err)}
	return c.render(w, http.StatusUnprocessableEntity, "install", p)
}

// errChecks keeps a member from having somebody's server asked without end.
var errChecks = fault.New(fault.TooMany, "This site was looked at many times just now. Wait a minute, then try again.")

// look fetches pages of the site.
func (c *console) look(r *request, address string, more int) ([]install.Report, error) {
	if c.Check == nil {
		return nil, fault.New(fault.Unprocessed, "This server looks at no pages.")
	}
	if !c.checks.Allow(r.site.ID) {
		return nil, errChecks
	}
	return c.Check(r.Context(), r.site.Key, address, more)
}
