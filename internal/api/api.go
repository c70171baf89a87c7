// Package api is what other programs reach with an API token: sites, notice versions,
// records, receipts, erasing. JSON in and out, errors as problem+json (RFC 9457),
// lists in pages by cursor. Every address stands in the table of routes.go, of which
// the OpenAPI document is made.
package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/web"
)

// Deps is what the API works on.
type Deps struct {
	Sites     *site.Store
	Register  *register.Register
	Accounts  *account.Store
	PublicURL func() string    // scheme and host, no closing slash
	Now       func() time.Time // nil: the system's clock
}

// perMinute is how many requests a token may make a minute.
const perMinute = 1200

// call is a request that may be carried out.
type call struct {
	*http.Request
	token *account.Token
	site  *site.Site // of the path; nil where it names none
}

type api struct {
	Deps
	limit *web.Limiter[string] // by token
}

// New returns the API, to be mounted at /api/.
func New(d Deps) http.Handler {
	if d.Now == nil {
		d.Now = time.Now
	}
	a := &api{d, web.NewLimiter[string](perMinute, 4096, d.Now)}
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, r := range a.routes() {
		methods[r.path] = append(methods[r.path], r.method)
		mux.Handle(r.method+" "+prefix+r.path, guarded(a.serve(r)))
	}
	mux.Handle("GET "+prefix+"/openapi.json", guarded(a.document))
	methods["/openapi.json"] = []string{http.MethodGet}
	for path, list := range methods {
		if slices.Contains(list, http.MethodGet) {
			list = append(list, http.MethodHead)
		}
		slices.Sort(list)
		allow := strings.Join(list, ", ")
		mux.Handle(prefix+path, guarded(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Allow", allow)
			return write(w, http.StatusMethodNotAllowed, "application/problem+json", map[string]any{
				"type": "about:blank", "title": "Method Not Allowed", "status": http.StatusMethodNotAllowed, "detail": "This address answers " + allow + " only."})
		}))
	}
	mux.Handle("/api/", guarded(func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "There is nothing at this address of the API. %s/openapi.json lists what there is.", prefix)
	}))
	return mux
}

// guarded adapts a handler: headers, and one place for what goes wrong.
func guarded(h web.Handler) http.Handler {
	return web.JSON(func(w http.ResponseWriter, r *http.Request) (err error) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				slog.Error("panic", "route", r.Pattern, "value", fmt.Sprint(p), "stack", string(debug.Stack()))
				err = fmt.Errorf("panic")
			}
		}()
		err = h(w, r)
		if fault.KindOf(err) == fault.Unauthorized {
			header.Set("WWW-Authenticate", `Bearer realm="Assent"`)
		}
		return err
	})
}

// serve is the one way to every route: who asks, what the token may do, for which
// site it is, and only then the route itself.
func (a *api) serve(rt route) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		c, err := a.admit(r, rt)
		if err != nil {
			return err
		}
		answer, err := rt.handle(c)
		if err != nil {
			return err
		}
		if raw, ok := answer.(rawJSON); ok {
			return writeRaw(w, rt.status, "application/json", raw)
		}
		return write(w, rt.status, "application/json", answer)
	}
}

func (a *api) admit(r *http.Request, rt route) (*call, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		secret = ""
	}
	token, err := a.Accounts.Token(r.Context(), strings.TrimSpace(secret))
	if err != nil {
		return nil, err
	}
	if !a.limit.Allow(token.ID) {
		return nil, fault.New(fault.TooMany, "This token made more than %d requests within a minute. Wait a little.", perMinute)
	}
	if !token.May(rt.scope) {
		return nil, fault.New(fault.Forbidden, "This token lacks the scope %s. Make one that has it: assent token add --scope %s", rt.scope, rt.scope)
	}
	r = r.WithContext(db.As(r.Context(), db.Actor{Kind: db.Token, ID: token.ID}))
	c := &call{r, token, nil}
	if key := r.PathValue("site"); key != "" {
		// A site that the token is not for is no other than one that is not there.
		c.site, err = a.Sites.Get(r.Context(), key)
		if fault.KindOf(err) == fault.NotFound || err == nil && !token.For(c.site.Organisation, key) {
			return nil, errNoSite
		}
		if err != nil {
			return nil, err
		}
	}
	for name, values := range r.URL.Query() {
		if !slices.ContainsFunc(rt.query, func(p parameter) bool { return p.name == name }) {
			return nil, fault.New(fault.Invalid, "There is no query parameter %q here. A misspelt filter would answer too much, so nothing is answered.", name)
		}
		if len(values) > 1 {
			return nil, fault.New(fault.Invalid, "The query parameter %q is there twice.", name)
		}
	}
	return c, nil
}

var errNoSite = fault.New(fault.NotFound, "There is no such site, or this token is not for it.")

// rawJSON is an answer that is written as it is.
type rawJSON []byte

func write(w http.ResponseWriter, status int, media string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeRaw(w, status, media, body)
}

func writeRaw(w http.ResponseWriter, status int, media string, body []byte) error {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	w.Write(body)
	return nil
}

// erased writes into the activity log what a token erased.
func (a *api) erased(ctx context.Context, c *call, records int64, reason register.Reason) error {
	return a.Accounts.Log(ctx, account.Activity{Action: account.RegisterErase, Organisation: c.site.Organisation, Site: c.site.Key,
		Detail: map[string]string{"records": fmt.Sprint(records), "why": string(reason) + ", API token " + c.token.Hint + "…"}})
}
