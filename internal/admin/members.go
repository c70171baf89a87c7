package admin

import (
	"net/http"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/audit"
	"assent/internal/fault"
	"assent/internal/web"
)

type rolesPage struct {
	Page
	Roles []account.Role
	Rules []ruleRow
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
	Members      []memberRow
	Invitations  []account.Invitation
	Visits       []visit  // of operators, newest first
	Writes, Sent bool     // letters are sent; the invitation was
	Roles        []option // for the form, with what was chosen
	Email, Name  string
	Until        string
	Errors       problems
	Link         string // of an invitation that was made just now
	LinkFor      string
}

type memberRow struct {
	account.Membership
	Over  bool // its time has ended
	Roles []option
	Until string
}

func roleOptions(chosen account.Role) (list []option) {
	for _, role := range account.Roles {
		list = append(list, option{string(role), role.Words(), role == chosen})
	}
	return list
}

func (c *console) membersPage(r *request) (p membersPage, err error) {
	p.Page = c.page(r, "Members")
	p.Tab = "members"
	organisation := r.access.Organisation.ID
	list, err := c.Accounts.Memberships(r.Context(), organisation)
	if err != nil {
		return p, err
	}
	for _, m := range list {
		row := memberRow{Membership: m, Over: m.Over(c.Now()), Roles: roleOptions(m.Role)}
		if !m.ExpiresAt.IsZero() {
			row.Until = m.ExpiresAt.Add(-time.Millisecond).Format(time.DateOnly) // lastDay's twin
		}
		if m.Role == account.Support && row.Over {
			continue // stands below
		}
		p.Members = append(p.Members, row)
	}
	p.Roles = roleOptions(account.Analyst)
	p.Writes = c.Accounts.Writes()
	if p.Invitations, err = c.Accounts.Invitations(r.Context(), organisation); err != nil {
		return p, err
	}
	return p, c.visits(r, &p)
}

func (c *console) listMembers(w http.ResponseWriter, r *request) error {
	p, err := c.membersPage(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "members", p)
}

// changeMembers invites, withdraws, gives another role, or removes.
func (c *console) changeMembers(w http.ResponseWriter, r *request) error {
	organisation, v := r.access.Organisation.ID, r.PostForm
	by, member := r.session.Member.ID, v.Get("member")
	joining := account.Joining{Email: v.Get("email"), Name: v.Get("name"), Organisation: organisation, Role: account.Role(v.Get("role")), By: by, Language: languageOf(r.Request)}
	var err error
	done := "saved"
	if joining.Until, err = lastDay(v.Get("until"), joining.Role); err == nil {
		switch v.Get("do") {
		case "invite":
			return c.invite(w, r, joining)
		case "withdraw":
			err = c.Accounts.Withdraw(r.Context(), organisation, v.Get("invitation"), by)
		case "role":
			err = c.Accounts.ChangeRole(r.Context(), member, joining)
		case "remove":
			done = "removed"
			err = c.Accounts.RemoveMember(r.Context(), organisation, member, by)
		default:
			err = fault.New(fault.Invalid, "That button is unknown. Reload the page and try again.")
		}
	}
	switch fault.KindOf(err) {
	case fault.Conflict, fault.Unprocessed, fault.NotFound:
		p, e := c.membersPage(r)
		if e != nil {
			return e
		}
		p.Problem = fault.Message(err)
		return c.render(w, web.Status(err), "members", p)
	}
	if err != nil {
		return err
	}
	next := "/console/members?org=" + organisation + "&done=" + done
	if member == by && done == "removed" {
		next = "/console/sites" // one's own way out
	}
	http.Redirect(w, r.Request, next, http.StatusSeeOther)
	return nil
}

// lastDay reads the last day of an auditor's access, which ends with it (UTC).
func lastDay(typed string, role account.Role) (time.Time, error) {
	if typed = strings.TrimSpace(typed); typed == "" || role != account.Auditor {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, typed)
	if err != nil {
		return time.Time{}, &account.FieldError{Field: "until", Err: fault.New(fault.Unprocessed, "Write the day like 2026-03-31.")}
	}
	return day.AddDate(0, 0, 1), nil
}

// invite shows the link once, for copying: only its hash is kept.
func (c *console) invite(w http.ResponseWriter, r *request, j account.Joining) error {
	token, err := c.Accounts.Invite(r.Context(), j)
	wrong := fieldProblem(err)
	if err != nil && wrong == nil {
		return err
	}
	p, e := c.membersPage(r)
	if e != nil {
		return e
	}
	if wrong != nil {
		p.Errors, p.Email, p.Name, p.Until, p.Roles = wrong, j.Email, j.Name, r.PostForm.Get("until"), roleOptions(j.Role)
		return c.render(w, web.Status(err), "members", p)
	}
	if p.LinkFor, p.Sent = j.Email, c.Accounts.Writes(); !p.Sent {
		p.Link = c.PublicURL() + "/console/join?token=" + token
	}
	return c.render(w, http.StatusOK, "members", p)
}

type joinPage struct {
	Page
	Invitation *account.Invitation
	Token      string
	Has        bool // an account with that address
	Here       bool // and is signed in
	Name       string
	Errors     problems
}

// joinPage is for whoever has the link, signed in or not.
func (c *console) joinPage(r *request) (p joinPage, err error) {
	p.Token = r.FormValue("token")
	var m *account.Member
	if p.Invitation, m, err = c.Accounts.Invitation(r.Context(), p.Token); err != nil {
		return p, err
	}
	if cookie, e := r.Cookie(c.cookieName()); e == nil {
		if session, e := c.Accounts.Session(r.Context(), cookie.Value); e == nil {
			r.session, r.token = session, cookie.Value
		}
	}
	p.Page = c.page(r, "Join "+p.Invitation.Organisation.Name)
	p.Has, p.Name = m != nil, p.Invitation.Name
	p.Here = m != nil && r.session != nil && r.session.Member.ID == m.ID
	return p, nil
}

func (c *console) showJoin(w http.ResponseWriter, r *request) error {
	p, err := c.joinPage(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "join", p)
}

func (c *console) join(w http.ResponseWriter, r *request) error {
	if err := c.limits.Take("link "+r.PostForm.Get("token"), c.Network(r.Request)); err != nil {
		return err
	}
	p, err := c.joinPage(r)
	if err != nil {
		return err
	}
	n := account.NewMember{Name: r.PostForm.Get("name"), Password: r.PostForm.Get("password")}
	var signedIn *account.Member
	if p.Has && p.Here {
		signedIn = r.session.Member
	} else if !p.Has {
		p.Name = n.Name
		if n.Password != r.PostForm.Get("again") {
			p.Errors = problems{"again": "The two passwords differ. Type the same one twice."}
			return c.render(w, http.StatusUnprocessableEntity, "join", p)
		}
	}
	m, err := c.Accounts.Accept(r.Context(), p.Token, signedIn, n)
	if p.Errors = fieldProblem(err); p.Errors != nil {
		return c.render(w, web.Status(err), "join", p)
	}
	if err != nil {
		return err
	}
	if signedIn == nil {
		token, err := c.Accounts.Open(r.Context(), m)
		if err != nil {
			return err
		}
		c.setCookie(w, token)
		c.entered(w, r, m)
	}
	http.Redirect(w, r.Request, "/console/sites?done=joined", http.StatusSeeOther)
	return nil
}

// visit is an operator's look into the organisation.
type visit struct {
	Time          time.Time
	Email, Reason string
}

// visits lists the newest 20.
func (c *console) visits(r *request, p *membersPage) error {
	list, err := c.Audit.Search(r.Context(), audit.Query{Organisation: r.access.Organisation.ID, Action: account.OperatorEntered, Limit: 20})
	if err != nil {
		return err
	}
	names, err := c.actorNames(r, list)
	for _, e := range list {
		p.Visits = append(p.Visits, visit{e.At, names[e.ActorID], e.Detail["reason"]})
	}
	return err
}
