// Package public is what visitors and auditors reach: the compiled script, the
// recording of decisions, receipts, and the register's checkpoints and tiles.
package public

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"assent/internal/fault"
	"assent/internal/handover"
	"assent/internal/regime"
	"assent/internal/regime/wire"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/stats"
	"assent/internal/web"
)

// Deps is what the public face works with.
type Deps struct {
	Cache     *site.Cache
	Register  *register.Register
	Countries *regime.Countries
	Stats     *stats.Store    // nil: nothing is counted
	Counters  *stats.Counters // nil: no statistics
	Handovers *handover.Desk  // nil: no choice is handed over

	VerifyPage func() (page []byte, policy string) // checks a receipt in the browser; nil: none
	Ready      func(context.Context) error         // whether the database answers
	PublicURL  func() string                       // scheme and host, no closing slash
	Scrub      func() register.ScrubStatus         // for /metrics; nil: not shown

	// TrustProxies are the networks whose X-Forwarded-For is believed.
	TrustProxies []netip.Prefix
	// CountryHeader is a header in which those proxies say the visitor's country, or "".
	CountryHeader string
	// RatePerMinute is how many decisions are taken from one masked network a
	// minute; 0 for no limit. Loopback and private networks are the operator's
	// own and have none.
	RatePerMinute int
	// SiteRatePerMinute is how many decisions are taken for one site a minute; 0 for
	// no limit.
	SiteRatePerMinute int
	Now               func() time.Time // nil: the system's clock
}

// maxNetworks bounds the memory of the limit by network: about 10 MB.
const maxNetworks = 1 << 16

// eventShare is how many batches of events are taken for each decision: a visit
// has one decision and several pages.
const eventShare = 5

// lookupsPerMinute is how often records are looked up by form from one masked
// network a minute, where there is a limit at all.
const lookupsPerMinute = 30

type public struct {
	Deps
	byNetwork          *web.Limiter[netip.Prefix] // decisions
	eventsByNetwork    *web.Limiter[netip.Prefix] // batches of events, which must not use up the decisions' share
	handoversByNetwork *web.Limiter[netip.Prefix] // two for each hand-over
	lookupsByNetwork   *web.Limiter[netip.Prefix]
	bySite             *web.Limiter[int64] // decisions
	meters             *meters
	buffers            sync.Pool    // *[]byte, for bodies and answers
	waiting            atomic.Int64 // decisions that wait for the register

	mu        sync.RWMutex
	scripts   map[string]*script   // by site key, and site key/variant~part
	manifests map[string]*manifest // by site key

	finder      wire.Finder
	varyCountry []string
}

// handler answers a request and returns the status that it wrote, or an error
// and has written nothing.
type handler func(w http.ResponseWriter, r *http.Request) (status int, err error)

// New returns the public face.
func New(d Deps) http.Handler {
	if d.Now == nil {
		d.Now = time.Now
	}
	p := &public{
		Deps:               d,
		byNetwork:          web.NewLimiter[netip.Prefix](d.RatePerMinute, maxNetworks, d.Now),
		eventsByNetwork:    web.NewLimiter[netip.Prefix](d.RatePerMinute*eventShare, maxNetworks, d.Now),
		handoversByNetwork: web.NewLimiter[netip.Prefix](d.RatePerMinute, maxNetworks, d.Now),
		lookupsByNetwork:   web.NewLimiter[netip.Prefix](min(d.RatePerMinute, lookupsPerMinute), maxNetworks, d.Now),
		bySite:             web.NewLimiter[int64](d.SiteRatePerMinute, maxNetworks, d.Now),
		scripts:            map[string]*script{},
		manifests:          map[string]*manifest{},
		finder:             wire.Finder{Countries: d.Countries, TrustProxies: d.TrustProxies, Header: d.CountryHeader},
		varyCountry:        []string{"Accept-Encoding, " + d.CountryHeader},
		buffers:            sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }},
	}
	p.meters = newMeters(func() float64 { return float64(p.waiting.Load()) })
	if d.Scrub != nil {
		p.meters.scrub(d.Scrub)
	}
	mux := http.NewServeMux()
	p.mount(mux, []route{
		{"GET /b/{file}", p.script, problem},
		{"GET /b/{site}/{file}", p.part, problem},
		{"POST /v1/consents", p.consent, problem},
		{"OPTIONS /v1/consents", preflight, problem},
		{"POST /v1/events", p.events, problem},
		{"OPTIONS /v1/events", preflight, problem},
		{"POST /v1/handovers", p.handOver, problem},
		{"POST /v1/handovers/redeem", p.takeOver, problem},
		{"GET /v1/receipts/{record_id}", p.receipt, problem},
		{"GET /r/{record_id}", p.receiptPage, errorPage},
		{"GET /lookup", p.lookupPage, errorPage},
		{"POST /lookup", p.lookUp, errorPage},
		{"GET /verify", p.verifyPage, problem},
		{"GET /log/{site}", p.logPage, errorPage},
		{"GET /log/{site}/checkpoint", p.checkpoint, problem},
		{"GET /log/{site}/cosigned", p.cosigned, problem},
		{"GET /log/{site}/key", p.logKey, problem},
		{"GET /log/{site}/keys", p.logKeys, problem},
		{"GET /log/{site}/tile/{rest...}", p.tile, problem},
		{"GET /healthz", p.health, problem},
		{"GET /readyz", p.ready, web.Problem},
		{"GET /metrics", p.metrics, problem},
	})
	return mux
}

// route is one line of the list above; GET serves HEAD too. fail writes an
// error in the form that the route's readers expect.
type route struct {
	pattern string
	handler handler
	fail    func(http.ResponseWriter, *http.Request, error)
}

func problem(w http.ResponseWriter, r *http.Request, err error) {
	web.ProblemSaying(w, r, err, visitorSentence(err))
}

// visitorSentence keeps what only the operator can mend (where the database is,
// which disk is full) out of answers to strangers; it stands in the log.
func visitorSentence(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind == fault.Unavailable && e.Err != nil {
		return "The register cannot be written or read just now, so nothing was recorded. Send the same request again in a few seconds."
	}
	return fault.Message(err)
}

// mount registers the routes and, for each path, the answer to other methods:
// the mux's own answers are not problem+json.
func (p *public) mount(mux *http.ServeMux, routes []route) {
	methods := map[string][]string{}
	for _, r := range routes {
		method, path, _ := strings.Cut(r.pattern, " ")
		methods[path] = append(methods[path], method)
		if method == http.MethodGet {
			methods[path] = append(methods[path], http.MethodHead)
		}
		mux.Handle(r.pattern, p.adapt(r))
	}
	for path, list := range methods {
		slices.Sort(list)
		allow := strings.Join(list, ", ")
		mux.Handle(path, p.adapt(route{path, func(w http.ResponseWriter, r *http.Request) (int, error) {
			w.Header().Set("Allow", allow)
			return http.StatusMethodNotAllowed, writeProblem(w, http.StatusMethodNotAllowed, "This address answers "+allow+" only.")
		}, problem}))
	}
	mux.Handle("/", p.adapt(route{"/", func(http.ResponseWriter, *http.Request) (int, error) {
		return 0, fault.New(fault.NotFound, "There is nothing at this address. Check its spelling.")
	}, errorPage}))
}

// adapt counts, turns errors into answers and keeps a panic from ending more
// than its own request.
func (p *public) adapt(rt route) http.Handler {
	meter := p.meters.route(rt.pattern)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler {
					panic(v)
				}
				slog.Error("panic", "route", r.Pattern, "value", fmt.Sprint(v), "stack", string(debug.Stack()))
				meter.count(http.StatusInternalServerError)
				rt.fail(w, r, fmt.Errorf("panic"))
			}
		}()
		status, err := rt.handler(w, r)
		switch {
		case errors.Is(err, context.Canceled):
			status = statusGone // nobody is there to be answered, and nothing failed
		case err != nil:
			status = web.Status(err)
			rt.fail(w, r, err)
		}
		meter.count(status)
	})
}

// statusGone is counted where a client left before its answer.
const statusGone = 499

// Header values that many answers share; the maps hold them as they are.
var (
	typeScript  = []string{"text/javascript; charset=utf-8"}
	typeJSON    = []string{"application/json"}
	typeText    = []string{"text/plain; charset=utf-8"}
	typeBytes   = []string{"application/octet-stream"}
	noSniff     = []string{"nosniff"}
	noStore     = []string{"no-store"}
	anyOrigin   = []string{"*"}
	crossOrigin = []string{"cross-origin"}
	varyOrigin  = []string{"Origin"}
	varyCoding  = []string{"Accept-Encoding"}
	immutable   = []string{"public, max-age=31536000, immutable"}
	briefly     = []string{"public, max-age=60"}
	scriptCache = []string{"public, max-age=300, stale-while-revalidate=86400"}
	// A variant is kept where its visitor is.
	scriptPrivate = []string{"private, max-age=300"}
	gpcCache      = []string{"public, max-age=3600"}
)

var errUnknownSite = fault.New(fault.NotFound, "There is no site with this key. Compare it with the tag that the console shows.")
