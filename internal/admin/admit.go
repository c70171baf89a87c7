package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"assent/internal/account"
	"assent/internal/db"
	"assent/internal/fault"
)

// guarded is the one place where a request meets the rules of who may do what:
// no handler of a route runs before the member, the organisation and the
// capability are settled. What belongs to another organisation is not there (404);
// what the member's role does not allow is refused with a sentence (403); signed
// out, a page leads to the sign-in and back, and anything else is 401.
func (c *console) guarded(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rq := &request{Request: r}
		if err := c.serve(w, rq, rt); err != nil {
			c.fail(w, rq, err)
		}
	})
}

func (c *console) serve(w http.ResponseWriter, r *request, rt route) error {
	if rt.need == account.Everybody {
		if err := parse(r.Request); err != nil {
			return err
		}
		r.act(db.Actor{Kind: db.Nobody})
		return rt.handle(w, r)
	}
	if cookie, err := r.Cookie(c.cookieName()); err == nil {
		r.token = cookie.Value
	}
	session, err := c.Accounts.Session(r.Context(), r.token)
	if errors.Is(err, account.ErrSignedOut) && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		http.Redirect(w, r.Request, "/console/sign-in?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	r.session = session
	if err := parse(r.Request); err != nil {
		return err
	}
	several, err := c.admit(r, rt.need)
	if err != nil {
		return err
	}
	if several != nil {
		return c.choose(w, r, several)
	}
	actor := db.Actor{Kind: db.Person, ID: session.Member.ID}
	if rt.need == account.Operating || r.access != nil && r.access.Role == account.Support {
		actor.Kind = db.Support
	}
	r.act(actor)
	if r.access != nil && r.access.Role.Watched() {
		if err := c.noteView(r, rt.pattern); err != nil { // what cannot be noted is not shown
			return err
		}
	}
	if rt.need.NeedsProof() && r.Method == http.MethodPost {
		if ok, err := c.proved(w, r); !ok {
			return err
		}
	}
	return rt.handle(w, r)
}

// errNoSite is said of another organisation's site as of one that never was.
var errNoSite = fault.New(fault.NotFound, "There is no such site among yours. Choose one from the list of sites.")

// admit settles r.site and r.access, or says why not. several is what a reader has
// to choose from where the address names no organisation.
func (c *console) admit(r *request, need account.Capability) (several []account.Access, err error) {
	switch need {
	case account.AnyMember:
		return nil, nil
	case account.Operating:
		if !r.session.Member.Operator {
			return nil, fault.New(fault.Forbidden, "This page is for the operators of this installation. Whoever runs the server can make you one.")
		}
		return nil, nil
	}
	organisation := r.FormValue("org")
	if key := r.PathValue("site"); key != "" {
		if r.site, err = c.Sites.Get(r.Context(), key); fault.KindOf(err) == fault.NotFound {
			return nil, errNoSite
		}
		if err != nil {
			return nil, err
		}
		organisation = r.site.Organisation
	}
	if organisation == "" {
		return c.only(r, need)
	}
	access, err := c.Accounts.Access(r.Context(), r.session.Member.ID, organisation)
	if errors.Is(err, account.ErrNoOrganisation) && r.site != nil {
		r.site, err = nil, errNoSite
	}
	if err != nil {
		return nil, err
	}
	if !access.Can(need) {
		r.site = nil
		return nil, fault.New(fault.Forbidden, "Your role in %s (%s) does not allow this: to %s. Ask an owner of the organisation.", access.Organisation.Name, strings.ToLower(access.Role.Words()), need.Words())
	}
	r.access = access
	return nil, nil
}

// only is the organisation that is meant where none is named: the only one in
// which the member has the capability.
func (c *console) only(r *request, need account.Capability) (several []account.Access, err error) {
	list, err := c.Accounts.Accesses(r.Context(), r.session.Member.ID)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if a.Can(need) {
			several = append(several, a)
		}
	}
	switch len(several) {
	case 0:
		if len(list) == 0 {
			return nil, fault.New(fault.Forbidden, "You belong to no organisation at the moment. Ask an owner of yours to add you.")
		}
		return nil, fault.New(fault.Forbidden, "Your role does not allow this: to %s. Ask an owner of your organisation.", need.Words())
	case 1:
		r.access = &several[0]
		return nil, nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, fault.New(fault.Invalid, "Say in which organisation. Go back, reload the page and try again.")
	}
	return several, nil
}

// noteView writes down what an auditor, or an operator with a reason, looked at. It
// is the pattern of the address: a record's or a visitor's ID would outlive their
// erasure in the log.
func (c *console) noteView(r *request, pattern string) error {
	_, path, _ := strings.Cut(pattern, "/console/")
	if r.Method != http.MethodGet {
		path = r.Method + " " + path
	}
	key := ""
	if r.site != nil {
		key = r.site.Key
	}
	return c.log(r, account.Viewed, key, map[string]string{"page": strings.TrimPrefix(path, "sites/{site}")})
}

type choosePage struct {
	Page
	Choices []choice
}

type choice struct{ Name, URL string }

// choose lets a member of several organisations say which one a page is to be of.
func (c *console) choose(w http.ResponseWriter, r *request, several []account.Access) error {
	p := choosePage{Page: c.page(r, "Choose an organisation")}
	for _, a := range several {
		query := r.URL.Query()
		query.Set("org", a.Organisation.ID)
		p.Choices = append(p.Choices, choice{a.Organisation.Name, r.URL.Path + "?" + query.Encode()})
	}
	return c.render(w, http.StatusOK, "choose", p)
}
