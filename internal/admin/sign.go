package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/web"
)

type setupPage struct {
	Page
	For         *account.Member // nil: the first member
	Token       string
	Email, Name string
	Errors      problems
}

func (c *console) showSetup(w http.ResponseWriter, r *request) error {
	token := r.FormValue("token")
	m, err := c.Accounts.Link(r.Context(), token)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "setup", setupPage{Page: c.page(r, "Set up your account"), For: m, Token: token})
}

func (c *console) setup(w http.ResponseWriter, r *request) error {
	p := setupPage{Page: c.page(r, "Set up your account"), Token: r.PostForm.Get("token"),
		Email: r.PostForm.Get("email"), Name: r.PostForm.Get("name")}
	if err := c.limits.Take("link "+p.Token, c.Network(r.Request)); err != nil {
		return err
	}
	var err error
	if p.For, err = c.Accounts.Link(r.Context(), p.Token); err != nil {
		return err
	}
	if r.PostForm.Get("password") != r.PostForm.Get("again") {
		p.Errors = problems{"again": "The two passwords differ. Type the same one twice."}
		return c.render(w, http.StatusUnprocessableEntity, "setup", p)
	}
	names, err := c.siteNames(r)
	if err != nil {
		return err
	}
	m, err := c.Accounts.Setup(r.Context(), p.Token, account.NewMember{
		Email: p.Email, Name: p.Name, Password: r.PostForm.Get("password"), Names: names})
	if p.Errors = fieldProblem(err); p.Errors != nil {
		return c.render(w, web.Status(err), "setup", p)
	}
	if err != nil {
		return err
	}
	if f, err := c.Accounts.SecondFactor(r.Context(), m.ID); err != nil {
		return err
	} else if f.On { // a new password is no second factor
		http.Redirect(w, r.Request, "/console/sign-in", http.StatusSeeOther)
		return nil
	}
	token, err := c.Accounts.Open(r.Context(), m)
	if err != nil {
		return err
	}
	c.limits.Succeeded("link "+p.Token, c.Network(r.Request))
	c.setCookie(w, token)
	c.entered(w, r, m)
	http.Redirect(w, r.Request, "/console/sites?done=welcome", http.StatusSeeOther)
	return nil
}

type signInPage struct {
	Page
	Email, Next string
	Nobody      bool // there is no member yet
	Writes      bool // a new password can be asked for
}

func (c *console) showSignIn(w http.ResponseWriter, r *request) error {
	p := signInPage{Page: c.page(r, "Sign in"), Next: safeNext(r.URL.Query().Get("next")), Writes: c.Accounts.Writes()}
	members, err := c.Accounts.Members(r.Context())
	if err != nil {
		return err
	}
	p.Nobody = len(members) == 0
	return c.render(w, http.StatusOK, "signin", p)
}

func (c *console) signIn(w http.ResponseWriter, r *request) error {
	p := signInPage{Page: c.page(r, "Sign in"), Email: r.PostForm.Get("email"), Next: safeNext(r.PostForm.Get("next")), Writes: c.Accounts.Writes()}
	network := c.Network(r.Request)
	err := c.limits.Take(p.Email, network)
	var token string
	var m *account.Member
	if err == nil {
		token, m, err = c.Accounts.SignIn(r.Context(), p.Email, r.PostForm.Get("password"))
	}
	if errors.Is(err, account.ErrCodeWanted) {
		c.setCookie(w, token)
		http.Redirect(w, r.Request, "/console/sign-in/code?next="+url.QueryEscape(p.Next), http.StatusSeeOther)
		return nil
	}
	switch fault.KindOf(err) {
	case fault.Unauthorized, fault.TooMany, fault.Unavailable:
		p.Problem = fault.Message(err)
		return c.render(w, web.Status(err), "signin", p)
	}
	if err != nil {
		return err
	}
	c.limits.Succeeded(m.Email, network)
	c.setCookie(w, token)
	c.entered(w, r, m)
	http.Redirect(w, r.Request, p.Next, http.StatusSeeOther)
	return nil
}

func (c *console) signOut(w http.ResponseWriter, r *request) error {
	if err := c.Accounts.SignOut(r.Context(), r.token); err != nil {
		return err
	}
	c.setCookie(w, "")
	http.Redirect(w, r.Request, "/console/sign-in", http.StatusSeeOther)
	return nil
}

// safeNext keeps a redirect inside the console: a path of ours, nothing that a
// browser would read as another host.
func safeNext(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(next, "/console/") ||
		strings.ContainsAny(next, "\\\r\n\t") || strings.HasPrefix(u.Path, "/console/sign-") || strings.Contains(u.Path, "..") || strings.Contains(u.Path, "//") {
		return "/console/sites"
	}
	return next
}

type accountPage struct {
	Page
	Session  *account.Session
	Accesses []account.Access
	Sessions []account.OpenSession
	Factor   account.SecondFactor
	Writes   bool // letters are sent
	Verified bool // to this member
	Errors   problems
}

func (c *console) accountPage(r *request) (accountPage, error) {
	p := accountPage{Page: c.page(r, "Your account"), Session: r.session}
	p.Tab = "account"
	var err error
	if p.Accesses, err = c.Accounts.Accesses(r.Context(), r.session.Member.ID); err != nil {
		return p, err
	}
	if p.Factor, err = c.Accounts.SecondFactor(r.Context(), r.session.Member.ID); err != nil {
		return p, err
	}
	p.Writes = c.Accounts.Writes()
	if p.Verified, err = c.Accounts.Verified(r.Context(), r.session.Member.ID); err != nil {
		return p, err
	}
	p.Sessions, err = c.Accounts.Sessions(r.Context(), r.token)
	return p, err
}

func (c *console) showAccount(w http.ResponseWriter, r *request) error {
	p, err := c.accountPage(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "account", p)
}

func (c *console) changePassword(w http.ResponseWriter, r *request) error {
	p, err := c.accountPage(r)
	if err != nil {
		return err
	}
	if err := c.limits.Take(r.by(), c.Network(r.Request)); err != nil {
		return err
	}
	next := r.PostForm.Get("password")
	if next != r.PostForm.Get("again") {
		p.Errors = problems{"again": "The two passwords differ. Type the same one twice."}
		return c.render(w, http.StatusUnprocessableEntity, "account", p)
	}
	names, err := c.siteNames(r)
	if err != nil {
		return err
	}
	err = c.Accounts.ChangePassword(r.Context(), r.token, r.PostForm.Get("current"), next, names...)
	if p.Errors = fieldProblem(err); p.Errors != nil {
		return c.render(w, web.Status(err), "account", p)
	}
	if err != nil {
		return err
	}
	c.limits.Succeeded(r.by(), c.Network(r.Request))
	http.Redirect(w, r.Request, "/console/account?done=password", http.StatusSeeOther)
	return nil
}

// siteNames are words that a password may not be.
func (c *console) siteNames(r *request) ([]string, error) {
	sites, err := c.Sites.List(r.Context())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range sites {
		names = append(append(names, s.Name), s.Domains...)
	}
	return names, nil
}

// fieldProblem is the error of one input, nil when err is something else.
func fieldProblem(err error) problems {
	if f, ok := errors.AsType[*account.FieldError](err); ok {
		return problems{f.Field: fault.Message(err)}
	}
	return nil
}
