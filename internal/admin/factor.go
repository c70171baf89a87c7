package admin

import (
	"html/template"
	"maps"
	"net/http"
	"slices"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/web"
)

// provePage asks for a proof that the member is there, and carries what was sent.
type provePage struct {
	Page
	Action string
	Fields []field
	Errors problems
}

type field struct{ Name, Value string }

// proved lets a form go on whose sender has proved lately to be the member, or
// proves it with this form; otherwise it has answered with the question.
func (c *console) proved(w http.ResponseWriter, r *request) (bool, error) {
	if c.Accounts.Proved(r.session) {
		return true, nil
	}
	p := provePage{Page: c.page(r, "Confirm that it is you"), Action: r.URL.RequestURI()}
	status := http.StatusForbidden
	if r.PostForm.Has("proof") {
		if err := c.limits.Take(r.by(), c.Network(r.Request)); err != nil {
			return false, err
		}
		err := c.Accounts.Prove(r.Context(), r.token, r.PostForm.Get("proof"))
		if err == nil {
			c.limits.Succeeded(r.by(), c.Network(r.Request))
			r.PostForm.Del("proof")
			return true, nil
		}
		if p.Errors = fieldProblem(err); p.Errors == nil {
			return false, err
		}
		status = web.Status(err)
	}
	for _, name := range slices.Sorted(maps.Keys(r.PostForm)) {
		if name == "proof" {
			continue
		}
		for _, value := range r.PostForm[name] {
			p.Fields = append(p.Fields, field{name, value})
		}
	}
	return false, c.render(w, status, "prove", p)
}

type codePage struct {
	Page
	Next string
}

// showCode asks for the second factor after the password.
func (c *console) showCode(w http.ResponseWriter, r *request) error {
	if _, err := c.Accounts.SignInStep(r.Context(), c.stepToken(r)); fault.KindOf(err) == fault.Unauthorized {
		http.Redirect(w, r.Request, "/console/sign-in", http.StatusSeeOther)
		return nil
	} else if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "code", codePage{c.page(r, "Second factor"), safeNext(r.URL.Query().Get("next"))})
}

func (c *console) signInCode(w http.ResponseWriter, r *request) error {
	p := codePage{c.page(r, "Second factor"), safeNext(r.PostForm.Get("next"))}
	network := c.Network(r.Request)
	m, err := c.Accounts.SignInStep(r.Context(), c.stepToken(r))
	if fault.KindOf(err) == fault.Unauthorized {
		http.Redirect(w, r.Request, "/console/sign-in", http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	token := ""
	if err = c.limits.Take("code "+m.ID, network); err == nil {
		token, m, err = c.Accounts.FinishSignIn(r.Context(), c.stepToken(r), r.PostForm.Get("code"))
	}
	switch fault.KindOf(err) {
	case fault.Unauthorized, fault.TooMany, fault.Unavailable:
		p.Problem = fault.Message(err)
		return c.render(w, web.Status(err), "code", p)
	}
	if err != nil {
		return err
	}
	c.limits.Succeeded("code "+m.ID, network)
	c.setCookie(w, token)
	c.entered(w, r, m)
	http.Redirect(w, r.Request, p.Next, http.StatusSeeOther)
	return nil
}

// stepToken is the cookie between password and code: it is no session yet.
func (c *console) stepToken(r *request) string {
	if cookie, err := r.Cookie(c.cookieName()); err == nil {
		return cookie.Value
	}
	return ""
}

type factorPage struct {
	Page
	Factor   account.SecondFactor
	URL      template.URL // of a scheme that html/template does not know
	Recovery []string     // shown once
	Errors   problems
}

func (c *console) factorPage(r *request) (p factorPage, err error) {
	p.Page = c.page(r, "Second factor")
	p.Tab = "account"
	p.Factor, err = c.Accounts.SecondFactor(r.Context(), r.session.Member.ID)
	p.URL = template.URL(p.Factor.URL(r.by())) // every part is escaped there
	return p, err
}

func (c *console) showFactor(w http.ResponseWriter, r *request) error {
	p, err := c.factorPage(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "factor", p)
}

// changeFactor makes a secret, confirms it with a code, or switches it off.
func (c *console) changeFactor(w http.ResponseWriter, r *request) error {
	if ok, err := c.proved(w, r); !ok {
		return err
	}
	id := r.session.Member.ID
	var recovery []string
	var err error
	switch r.PostForm.Get("do") {
	case "start":
		err = c.Accounts.StartSecondFactor(r.Context(), id)
	case "confirm":
		if err = c.limits.Take("code "+id, c.Network(r.Request)); err == nil {
			recovery, err = c.Accounts.ConfirmSecondFactor(r.Context(), id, r.PostForm.Get("code"))
		}
	case "off":
		err = c.Accounts.DropSecondFactor(r.Context(), id, id)
	default:
		err = fault.New(fault.Invalid, "That button is unknown. Reload the page and try again.")
	}
	wrong := fieldProblem(err)
	if err != nil && wrong == nil {
		return err
	}
	if wrong == nil && recovery == nil {
		http.Redirect(w, r.Request, "/console/account/second-factor?done=saved", http.StatusSeeOther)
		return nil
	}
	p, e := c.factorPage(r)
	if e != nil {
		return e
	}
	p.Errors, p.Recovery = wrong, recovery
	status := http.StatusOK
	if err != nil {
		status = web.Status(err)
	}
	return c.render(w, status, "factor", p)
}

// endSession ends another session of the same member.
func (c *console) endSession(w http.ResponseWriter, r *request) error {
	if err := c.Accounts.EndSession(r.Context(), r.token, r.PostForm.Get("session")); err != nil {
		return err
	}
	http.Redirect(w, r.Request, "/console/account?done=ended", http.StatusSeeOther)
	return nil
}
