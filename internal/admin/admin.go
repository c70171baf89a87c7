// Package admin is the console: the pages with which staff keep sites, banners
// and the register. Every page works without JavaScript; static/console.ts
// refines it. Nothing here holds SQL.
package admin

import (
	"net/http"
	"time"

	"assent/internal/account"
	"assent/internal/audit"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/stats"
	"assent/internal/webhook"
)

// Deps is what the console works on.
type Deps struct {
	Sites    *site.Store
	Register *register.Register
	Accounts *account.Store
	Stats    *stats.Store
	Counters *stats.Counters
	Webhooks *webhook.Store
	Audit    *audit.Store
	Scrub    func() register.ScrubStatus // what the check in the background found; nil: none runs
	// Preview compiles a draft into a plain script that shows the first layer
	// at once and stores and sends nothing.
	Preview func(*site.Notice) ([]byte, error)
	// PublicURL is the address that visitors' browsers use, without a slash at
	// the end.
	PublicURL func() string
	// SecureCookies is true when the console is reached through https.
	SecureCookies bool
	Now           func() time.Time // nil: the system's clock
	// Network is the masked network that a request comes from, "" when unknown;
	// it only feeds the sign-in limiter. nil: from the connection's address.
	Network func(*http.Request) string
}

// console is the handler's state.
type console struct {
	Deps
	limits    *account.Limiter
	forgotten chan struct{} // holds one for each request that is worked on
	assets    *assets
	views     *views
}

// New returns the console, to be mounted at /console/.
func New(d Deps) http.Handler {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Network == nil {
		d.Network = networkOf
	}
	c := &console{Deps: d, limits: account.NewLimiter(d.Now), assets: newAssets(), forgotten: make(chan struct{}, forgottenAtOnce)}
	c.views = newViews(c.assets)
	return c.guard(c.mux())
}
