package admin

import (
	"net/http"

	"assent/internal/account"
)

type rolesPage struct {
	Page
	Roles []account.Role
	Rules []ruleRow
	Own   []account.Access
}

type ruleRow struct {
	Words string
	May   []bool // by Roles
}

// showRoles is the table of what each role may do, as the guard reads it.
func (c *console) showRoles(w http.ResponseWriter, r *request) error {
	p := rolesPage{Page: c.page(r, "Roles")}
	p.Tab = "members"
	p.Roles = append(append(p.Roles, account.Roles...), account.Support)
	for _, rule := range account.Rules {
		row := ruleRow{Words: capital(rule.Words)}
		for _, role := range p.Roles {
			row.May = append(row.May, role.Can(rule.Capability))
		}
		p.Rules = append(p.Rules, row)
	}
	return c.render(w, http.StatusOK, "roles", p)
}

type membersPage struct {
	Page
	Members []memberRow
}

type memberRow struct {
	account.Membership
	Over bool // its time has ended
}

func (c *console) listMembers(w http.ResponseWriter, r *request) error {
	p := membersPage{Page: c.page(r, "Members")}
	p.Tab = "members"
	list, err := c.Accounts.Memberships(r.Context(), r.access.Organisation.ID)
	if err != nil {
		return err
	}
	for _, m := range list {
		p.Members = append(p.Members, memberRow{m, m.Over(c.Now())})
	}
	return c.render(w, http.StatusOK, "members", p)
}
