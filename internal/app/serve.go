package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"assent/internal/admin"
	"assent/internal/api"
	"assent/internal/banner"
	"assent/internal/consent"
	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/public"
	"assent/internal/regime"
	"assent/internal/regime/wire"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/web"
)

// App is a running server.
type App struct {
	*Parts
	Addr     string // where it listens
	SetupURL string // one-time link for the first account; "" when there is one
	Cache    *site.Cache
	Scrub    *register.Scrub // nil: off

	server  *http.Server
	failed  chan error
	stop    context.CancelFunc
	release func()
	work    sync.WaitGroup
	once    sync.Once
	closing error

	drain    time.Duration
	draining atomic.Bool // /readyz says no
}

// shutdownGrace is how long open requests may take to end.
const shutdownGrace = 10 * time.Second

// Start opens the parts, listens and serves. Stop it with Close, or let Wait do
// so when its context ends.
func Start(ctx context.Context, c Config) (*App, error) {
	proxies, err := c.proxies()
	if err != nil {
		return nil, err
	}
	country, err := wire.HeaderName(c.CountryHeader, proxies)
	if err != nil {
		return nil, err
	}
	if c.ScrubRate < 0 {
		return nil, fault.New(fault.Invalid, "--scrub is a number of records a second, or 0 for no check, not %d.", c.ScrubRate)
	}
	if c.RatePerMinute < 0 {
		return nil, fault.New(fault.Invalid, "--rate is a number of consents a minute, or 0 for no limit, not %d.", c.RatePerMinute)
	}
	if c.SiteRatePerMinute < 0 {
		return nil, fault.New(fault.Invalid, "--site-rate is a number of consents a minute, or 0 for no limit, not %d.", c.SiteRatePerMinute)
	}
	if c.Connections < 0 {
		return nil, fault.New(fault.Invalid, "--connections is a number of open connections, or 0 for %d, not %d.", web.MaxConns, c.Connections)
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, listenFault(c.Listen, err)
	}
	a := &App{Addr: listener.Addr().String(), failed: make(chan error, 2), release: func() {}, drain: c.Drain}
	if err := a.start(ctx, c, listener, public.Deps{TrustProxies: proxies, CountryHeader: country, RatePerMinute: c.RatePerMinute, SiteRatePerMinute: c.SiteRatePerMinute}); err != nil {
		listener.Close()
		a.Close()
		return nil, err
	}
	return a, nil
}

// DefaultConnections is how many connections are open at a time when nothing is said.
const DefaultConnections = web.MaxConns

// filesKept are the files that the process needs besides connections of clients:
// the database's, the witnesses', the log's.
const filesKept = 200

// connections is how many may be open at a time: what was asked for, and no more
// than leaves the process files for its database. Without that a flood of
// connections would end in a server that cannot record.
func connections(wanted int) int {
	if wanted == 0 {
		wanted = web.MaxConns
	}
	most := maxFiles() - filesKept
	if most >= wanted {
		return wanted
	}
	most = max(most, 10)
	slog.Warn("fewer connections can be open than was asked for, because the system limits this process's files (ulimit -n, LimitNOFILE=)", "connections", most, "wanted", wanted)
	return most
}

func listenFault(listen string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fault.Wrap(fault.Unavailable, err, "Another program uses %s. Stop it, or give another --listen.", listen)
	}
	return fault.Wrap(fault.Invalid, err, "Cannot listen on %q. Write it like 127.0.0.1:8080, or :8080 for every address of this machine.", listen)
}

func (a *App) start(ctx context.Context, c Config, listener net.Listener, deps public.Deps) (err error) {
	c.Listen = a.Addr
	if a.Parts, err = Open(ctx, c); err != nil {
		return err
	}
	if c.URL == "" {
		if a.release, err = lockDir(c.Dir); err != nil {
			a.release = func() {}
			return err
		}
	}
	marks, err := a.marks(ctx, c.highwater())
	if err != nil {
		return err
	}
	if err := a.setPublicURL(ctx, a.PublicURL()); err != nil {
		return err
	}
	countries, err := regime.OpenCountries(c.GeoIP)
	if err != nil {
		return err
	}
	if a.Cache, err = site.NewCache(ctx, a.DB); err != nil {
		return err
	}
	if err := a.setupLink(ctx); err != nil {
		return err
	}
	background, stop := context.WithCancel(db.As(context.WithoutCancel(ctx), db.Actor{Kind: db.Job}))
	a.stop = stop
	a.work.Go(func() { a.Cache.Follow(background) })
	a.work.Go(func() { a.recompile(background) })
	a.afterStart(background, func(ctx context.Context) { a.cosign(ctx, c.WitnessEvery) })
	a.afterStart(background, a.retain)
	a.afterStart(background, a.Counters.Run)
	a.afterStart(background, a.Jobs.Run)
	a.afterStart(background, a.Webhooks.Run)
	a.afterStart(background, a.Stats.Run) // once more when the last request is answered
	if marks != nil {
		a.work.Go(func() { a.Register.FollowMarks(background, marks, func(err error) { a.failed <- err }) })
	}
	if c.ScrubRate > 0 {
		a.Scrub = a.Register.NewScrub(c.ScrubRate)
		a.afterStart(background, a.Scrub.Run)
	}
	deps.Scrub = a.Scrub.Status
	deps.Cache, deps.Register, deps.Countries, deps.Stats, deps.Counters = a.Cache, a.Register, countries, a.Stats, a.Counters
	deps.VerifyPage = banner.VerifyPage
	deps.Handovers = a.Handovers
	deps.Ready, deps.PublicURL = a.ready, a.PublicURL
	mux := http.NewServeMux()
	mux.Handle("/", public.New(deps))
	mux.Handle("/console/", admin.New(admin.Deps{
		Sites: a.Sites, Register: a.Register, Accounts: a.Accounts, Stats: a.Stats, Counters: a.Counters, Webhooks: a.Webhooks, Audit: a.Audit, Preview: banner.Preview,
		Closing: a.Closing, Retention: a.Retention, Archive: a.WriteArchive, Retain: a.RetainSoon,
		Scrub:     a.Scrub.Status,
		Check:     a.CheckInstall,
		PublicURL: a.PublicURL, SecureCookies: strings.HasPrefix(a.PublicURL(), "https://"),
		Network: func(r *http.Request) string {
			network, _, _ := consent.MaskIP(web.ClientAddr(r, deps.TrustProxies).String())
			return network
		},
	}))
	mux.Handle("/api/", api.New(api.Deps{Sites: a.Sites, Register: a.Register, Accounts: a.Accounts, PublicURL: a.PublicURL}))
	mux.Handle("GET /{$}", http.RedirectHandler("/console/", http.StatusSeeOther))
	a.server = web.NewServer(mux)
	go func() {
		if err := a.server.Serve(web.LimitTo(listener, connections(c.Connections))); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- err
		}
	}()
	return nil
}

// startTime is what the first requests have to themselves: work in the background
// opens connections to the database, each of which costs PostgreSQL a process.
const startTime = 500 * time.Millisecond

// afterStart begins work in the background a little later, or at once when the
// server ends, so that what it does at the end is done.
func (a *App) afterStart(background context.Context, work func(ctx context.Context)) {
	a.work.Go(func() {
		select {
		case <-time.After(startTime):
		case <-background.Done():
		}
		work(background)
	})
}

// ready tells whether decisions should be sent here: the database answers, its
// schema is one that this binary can work with, and the server is not about to end.
func (a *App) ready(ctx context.Context) error {
	if a.draining.Load() {
		return fault.New(fault.Unavailable, "This server is about to end.")
	}
	return a.DB.Compatible(ctx)
}

// marks opens the high-water marks, nil for none, and refuses a database that is
// behind them.
func (a *App) marks(ctx context.Context, path string) (*register.Marks, error) {
	if path == "" {
		return nil, nil
	}
	m, err := register.OpenMarks(path)
	if err != nil {
		return nil, err
	}
	return m, a.Register.CheckMarks(ctx, m)
}

// setupLink makes the one-time link while nobody can sign in.
func (a *App) setupLink(ctx context.Context) error {
	token, err := a.Accounts.SetupLink(ctx)
	if err == nil && token != "" {
		a.SetupURL = a.Parts.SetupURL(token)
	}
	return err
}

// recompile brings the scripts in force to this binary's client after an
// upgrade; until it is done the former ones are served.
func (a *App) recompile(ctx context.Context) {
	n, err := a.Sites.Recompile(ctx, banner.BuildID())
	if err != nil && ctx.Err() == nil {
		slog.Error("a script could not be compiled again; the former one stays in force", "error", err)
	}
	if n > 0 {
		slog.Info("scripts compiled for this version", "count", n)
	}
}

// Wait serves until ctx ends, or the listener or the disk fails, then closes.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		a.draining.Store(true)
		select {
		case <-time.After(a.drain):
		case err := <-a.failed:
			return errors.Join(err, a.Close())
		}
		return a.Close()
	case err := <-a.failed:
		return errors.Join(err, a.Close())
	case <-a.DB.Failed():
		if err := a.Close(); err != nil {
			slog.Error("after the disk failed", "error", err)
		}
		return a.DB.FailedWith()
	}
}

// Close lets open requests end, drains the register and closes the database.
func (a *App) Close() error {
	a.once.Do(func() {
		if a.server != nil {
			web.Shutdown(a.server, shutdownGrace)
		}
		if a.stop != nil {
			a.stop()
		}
		a.work.Wait()
		if a.Parts != nil {
			a.closing = a.Parts.Close()
		}
		a.release()
	})
	return a.closing
}
