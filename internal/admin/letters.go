package admin

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/web"
)

type forgotPage struct {
	Page
	Email string
	Sent  bool
}

func (c *console) showForgot(w http.ResponseWriter, r *request) error {
	if !c.Accounts.Writes() {
		return fault.New(fault.NotFound, "This server sends no mail. Whoever runs it makes you a link with assent user reset.")
	}
	return c.render(w, http.StatusOK, "forgot", forgotPage{Page: c.page(r, "Forgotten your password?")})
}

// forgottenAtOnce is how many requests for a new password are worked on at a time.
const forgottenAtOnce = 4

// forgot sends the link. The answer is the same, and takes the same time, whether or not
// there is such an account: the work is done beside it.
func (c *console) forgot(w http.ResponseWriter, r *request) error {
	p := forgotPage{Page: c.page(r, "Forgotten your password?"), Email: strings.TrimSpace(r.PostForm.Get("email"))}
	if !c.Accounts.Writes() {
		return c.showForgot(w, r)
	}
	err := account.CheckEmail(p.Email)
	if err == nil {
		err = c.limits.Take("forgot "+p.Email, c.Network(r.Request))
	}
	if err == nil {
		select {
		case c.forgotten <- struct{}{}:
		default:
			err = fault.New(fault.Unavailable, "Too many people ask for a new password at this moment. Try again in a minute.")
		}
	}
	if err != nil {
		p.Problem = fault.Message(err)
		return c.render(w, web.Status(err), "forgot", p)
	}
	ctx := context.WithoutCancel(r.Context())
	go func() {
		defer func() { <-c.forgotten }()
		if err := c.Accounts.Forgot(ctx, p.Email); err != nil {
			slog.Error("a letter with a link for a new password could not be promised", "error", err)
		}
	}()
	p.Sent = true
	return c.render(w, http.StatusOK, "forgot", p)
}

type confirmPage struct {
	Page
	Token string
}

// showConfirm asks once more: programs that look through mail follow links, and would
// use this one up.
func (c *console) showConfirm(w http.ResponseWriter, r *request) error {
	p := confirmPage{c.page(r, "Confirm your address"), r.FormValue("token")}
	if err := c.Accounts.Confirmable(r.Context(), p.Token); err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "confirm", p)
}

func (c *console) confirm(w http.ResponseWriter, r *request) error {
	token := r.PostForm.Get("token")
	if err := c.limits.Take("link "+token, c.Network(r.Request)); err != nil {
		return err
	}
	if err := c.Accounts.Confirm(r.Context(), token); err != nil {
		return err
	}
	http.Redirect(w, r.Request, "/console/account?done=confirmed", http.StatusSeeOther)
	return nil
}

func (c *console) askConfirmation(w http.ResponseWriter, r *request) error {
	if err := c.Accounts.AskConfirmation(r.Context(), r.session.Member.ID); err != nil {
		return err
	}
	http.Redirect(w, r.Request, "/console/account?done=confirm", http.StatusSeeOther)
	return nil
}

// deviceCookie tells a browser from which somebody signed in before from a new one. It
// opens nothing.
func (c *console) deviceCookie() string {
	if c.SecureCookies {
		return "__Host-assent-device"
	}
	return "assent-device"
}

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// languageOf is the first language that the browser asks for, "" for none.
func languageOf(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
	first, _, _ = strings.Cut(first, ";")
	if first = strings.TrimSpace(first); len(first) > 35 || !languageTag.MatchString(first) {
		return ""
	}
	return first
}

// entered is called when somebody has signed in: a browser that was not known is told to
// them by mail. That it cannot be told keeps nobody out.
func (c *console) entered(w http.ResponseWriter, r *request, m *account.Member) {
	if !c.Accounts.Writes() {
		return
	}
	device := ""
	if cookie, err := r.Cookie(c.deviceCookie()); err == nil {
		device = cookie.Value
	}
	device, err := c.Accounts.Recognise(r.Context(), m, device, languageOf(r.Request))
	if err != nil {
		slog.Error("whether a browser is new could not be noted", "error", err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: c.deviceCookie(), Value: device, Path: "/", HttpOnly: true, Secure: c.SecureCookies, SameSite: http.SameSiteLaxMode, MaxAge: 400 * 24 * 3600})
}

func (c *console) letterRoutes() []route {
	return []route{
		{"GET /console/forgot", account.Everybody, c.showForgot},
		{"POST /console/forgot", account.Everybody, c.forgot},
		{"GET /console/confirm", account.Everybody, c.showConfirm},
		{"POST /console/confirm", account.Everybody, c.confirm},
		{"POST /console/account/confirm", account.AnyMember, c.askConfirmation},
	}
}
