package admin

import (
	"net/http"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/web"
)

// operatorPage lists the organisations of the installation: their names, nothing
// that is in them.
type operatorPage struct {
	Page
	Organisations []operatedRow
	Name, Email   string
	Errors        problems
	Link, LinkFor string
	Reason, For   string // what was typed, and for which organisation
}

type operatedRow struct {
	account.Organisation
	In *account.Access // what the operator is in it now; nil: nothing
}

func (c *console) operatorPage(r *request) (p operatorPage, err error) {
	p.Page = c.page(r, "Operator")
	p.Tab = "operator"
	list, err := c.Accounts.Organisations(r.Context())
	if err != nil {
		return p, err
	}
	own, err := c.Accounts.Accesses(r.Context(), r.session.Member.ID)
	if err != nil {
		return p, err
	}
	for _, o := range list {
		row := operatedRow{Organisation: o}
		for i := range own {
			if own[i].Organisation.ID == o.ID {
				row.In = &own[i]
			}
		}
		p.Organisations = append(p.Organisations, row)
	}
	return p, nil
}

func (c *console) showOperator(w http.ResponseWriter, r *request) error {
	p, err := c.operatorPage(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "operator", p)
}

// operate makes an organisation with its first owner, or looks into one.
func (c *console) operate(w http.ResponseWriter, r *request) error {
	if ok, err := c.proved(w, r); !ok {
		return err
	}
	v := r.PostForm
	var err error
	next, link := "/console/operator?done=saved", ""
	switch v.Get("do") {
	case "add":
		link, err = c.addOrganisation(r)
	case "enter":
		next = "/console/sites?done=entered"
		err = c.Accounts.Enter(r.Context(), r.session.Member, v.Get("org"), v.Get("reason"))
	case "leave":
		err = c.Accounts.Leave(r.Context(), r.session.Member, v.Get("org"))
	default:
		err = fault.New(fault.Invalid, "That button is unknown. Reload the page and try again.")
	}
	wrong := fieldProblem(err)
	if err != nil && wrong == nil {
		return err
	}
	if wrong == nil && link == "" {
		http.Redirect(w, r.Request, next, http.StatusSeeOther)
		return nil
	}
	p, e := c.operatorPage(r)
	if e != nil {
		return e
	}
	if wrong != nil {
		p.Errors, p.Name, p.Email, p.Reason, p.For = wrong, v.Get("name"), v.Get("email"), v.Get("reason"), v.Get("org")
		return c.render(w, web.Status(err), "operator", p)
	}
	p.Link, p.LinkFor = link, v.Get("email")
	return c.render(w, http.StatusOK, "operator", p)
}

func (c *console) addOrganisation(r *request) (link string, err error) {
	email := r.PostForm.Get("email")
	if err := account.CheckEmail(email); err != nil { // before anything is made
		return "", err
	}
	by := r.session.Member.ID
	o, err := c.Accounts.AddOrganisation(r.Context(), r.PostForm.Get("name"), by)
	if err != nil {
		return "", err
	}
	token, err := c.Accounts.Invite(r.Context(), account.Joining{Email: email, Organisation: o.ID, Role: account.Owner, By: by, Language: languageOf(r.Request)})
	if err != nil || c.Accounts.Writes() {
		return "", err
	}
	return c.PublicURL() + "/console/join?token=" + token, nil
}
