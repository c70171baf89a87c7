// Package admin is the console: the pages with which staff keep sites, banners
// and the register. Every page works without JavaScript; static/console.ts
// refines it. Nothing here holds SQL.
package admin

import (
	"context"
	"io"
	"net/http"
	"time"

	"assent/internal/account"
	"assent/internal/audit"
	"assent/internal/closing"
	"assent/internal/install"
	"assent/internal/register"
	"assent/internal/retention"
	"assent/internal/site"
	"assent/internal/stats"
	"assent/internal/web"
	"assent/internal/webhook"
)

// Deps is what the console works on.
type Deps struct {
	Sites     *site.Store
	Register  *register.Register
	Accounts  *account.Store
	Stats     *stats.Store
	Counters  *stats.Counters
	Webhooks  *webhook.Store
	Closing   *closing.Store
	Retention *retention.Store
	// Archive writes all of an organisation (app.Parts.WriteArchive).
	Archive func(ctx context.Context, w io.Writer, organisation string) error
	// Retain has a site's retention rules carried out now, by a job. member is who asks.
	Retain func(ctx context.Context, siteID int64, member string) error
	Audit  *audit.Store
	Scrub  func() register.ScrubStatus // what the check in the background found; nil: none runs
	// Preview compiles a draft into a plain script that shows the first layer
	// at once and stores and sends nothing.
	Preview func(*site.Notice) ([]byte, error)
	// Check looks at a page of a site, "" for its first one, and at up to more that
	// it links to; nil: this server looks at no pages.
	Check func(ctx context.Context, key, address string, more int) ([]install.Report, error)
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

// checksPerMinute is how often a site's pages are fetched for its members.
const checksPerMinute = 12

// console is the handler's state.
type console struct {
	Deps
	limits    *account.Limiter
	checks    *web.Limiter[int64] // of pages that the server fetches, by site
	forgotten chan struct{}       // holds one for each request that is worked on
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
	c := &console{Deps: d, limits: account.NewLimiter(d.Now), checks: web.NewLimiter[int64](checksPerMinute, 4096, d.Now), assets: newAssets(), forgotten: make(chan struct{}, forgottenAtOnce)}
	c.views = newViews(c.assets)
	return packing(c.guard(c.mux()))
}
