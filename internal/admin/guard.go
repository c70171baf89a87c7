package admin

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"assent/internal/account"
	"assent/internal/consent"
	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/site"
	"assent/internal/web"
)

// request is an HTTP request with the session that it came with; session is
// nil on pages for everybody. access and site are what admit found: nil where the
// route asks for no capability of a role, and where it names no site.
type request struct {
	*http.Request
	session *account.Session
	token   string
	access  *account.Access
	site    *site.Site
}

// act says whose doing it is, whatever the request changes.
func (r *request) act(a db.Actor) { r.Request = r.WithContext(db.As(r.Context(), a)) }

// by is how the member signs what they do.
func (r *request) by() string { return r.session.Member.Email }

// The console's own pages run our script and style only, and nobody frames them.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// maxForm bounds a posted form, in bytes: a notice with hundreds of services in
// several languages fits.
const maxForm = 4 << 20

// guard sets the headers that every answer has, refuses requests that another
// site's page made, and turns a panic into our page.
func (c *console) guard(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, &request{Request: r}, fault.New(fault.Forbidden, "This form came from another site and was refused. Open the console itself and try again."))
	}))
	guarded := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				c.fail(w, &request{Request: r}, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		guarded.ServeHTTP(w, r)
	})
}

func (c *console) cookieName() string {
	if c.SecureCookies {
		return "__Host-assent-session" // the prefix binds it to this host and to https
	}
	return "assent-session"
}

func (c *console) setCookie(w http.ResponseWriter, token string) {
	cookie := &http.Cookie{Name: c.cookieName(), Value: token, Path: "/", HttpOnly: true, Secure: c.SecureCookies,
		SameSite: http.SameSiteLaxMode, MaxAge: int(account.SessionMax.Seconds())}
	if token == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// parse reads a posted form, of either encoding.
func parse(r *http.Request) error {
	if r.Method != http.MethodPost {
		return nil
	}
	var err error
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		err = r.ParseMultipartForm(maxForm)
	} else {
		err = r.ParseForm()
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return fault.New(fault.TooLarge, "The form is larger than %d MB. Shorten it and send it again.", maxForm>>20)
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "The form could not be read. Go back, reload the page and try again.")
	}
	return nil
}

// fail shows an error as a page of ours.
func (c *console) fail(w http.ResponseWriter, r *request, err error) {
	status := web.Status(err)
	web.Log(r.Request, status, err)
	switch status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "30")
	}
	if r.Header.Get("Sec-Fetch-Dest") == "empty" { // our own script asked
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintln(w, r.say(fault.Message(err)))
		return
	}
	page := errorPage{Page: c.page(r, http.StatusText(status)), Status: status, Message: fault.Message(err)}
	page.Here = "" // what is not there has no address
	if err := c.render(w, status, "error", page); err != nil {
		web.Log(r.Request, http.StatusInternalServerError, err)
		http.Error(w, fault.Message(err), http.StatusInternalServerError)
	}
}

// logBroken notes an answer that broke off, unless the reader left.
func (c *console) logBroken(r *request, err error) {
	if r.Context().Err() == nil {
		web.Log(r.Request, http.StatusInternalServerError, err)
	}
}

type errorPage struct {
	Page
	Status  int
	Message string
}

func (c *console) missing(w http.ResponseWriter, r *request) error {
	return fault.New(fault.NotFound, "There is no page at this address of the console. Check its spelling.")
}

// networkOf masks the connection's address.
func networkOf(r *http.Request) string {
	network, _, _ := consent.MaskIP(web.ClientAddr(r, nil).String())
	return network
}
