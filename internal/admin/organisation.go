package admin

import (
	"net/http"

	"assent/internal/web"
)

type organisationPage struct {
	Page
	Name   string
	Errors problems
}

func (c *console) showOrganisation(w http.ResponseWriter, r *request) error {
	p := organisationPage{Page: c.page(r, "Organisation"), Name: r.access.Organisation.Name}
	p.Tab = "members"
	return c.render(w, http.StatusOK, "organisation", p)
}

func (c *console) renameOrganisation(w http.ResponseWriter, r *request) error {
	p := organisationPage{Page: c.page(r, "Organisation"), Name: r.PostForm.Get("name")}
	p.Tab = "members"
	err := c.Accounts.RenameOrganisation(r.Context(), r.access.Organisation.ID, p.Name, r.session.Member.ID)
	if p.Errors = fieldProblem(err); p.Errors != nil {
		return c.render(w, web.Status(err), "organisation", p)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r.Request, "/console/members?org="+r.access.Organisation.ID+"&done=saved", http.StatusSeeOther)
	return nil
}
