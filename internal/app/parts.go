package app

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"assent/internal/account"
	"assent/internal/audit"
	"assent/internal/banner"
	"assent/internal/closing"
	"assent/internal/consent"
	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/handover"
	checks "assent/internal/install/wire"
	"assent/internal/jobs"
	"assent/internal/mail"
	"assent/internal/register"
	"assent/internal/retention"
	"assent/internal/site"
	"assent/internal/stats"
	"assent/internal/webhook"
	"assent/internal/witness"
)

// publicURLSetting is where serve keeps the address that it was last given, so
// that site add on the command line prints the right tag.
const publicURLSetting = "public_url"

// Parts are the features, opened on one database: what commands work with and
// what the server adds its faces to.
type Parts struct {
	DB        *db.DB
	Sites     *site.Store
	Register  *register.Register
	Retention *retention.Store
	Accounts  *account.Store
	Audit     *audit.Store
	Stats     *stats.Store
	Counters  *stats.Counters
	Witness   *witness.Store
	Handovers *handover.Desk
	Jobs      *jobs.Queue
	Mail      *mail.Desk
	Webhooks  *webhook.Store
	Closing   *closing.Store
	checker   *checks.Checker

	publicURL atomic.Pointer[string]
	// Said are sentences for who starts the server: what became of logs and tags when
	// it was given another public address.
	Said  []string
	epoch string // in the names of logs since a restoration; "" before the first
}

// Open opens the parts. It works beside a running server on the same database.
func Open(ctx context.Context, c Config) (*Parts, error) {
	d, err := db.Open(ctx, databaseOptions(c))
	if err != nil {
		return nil, err
	}
	p := &Parts{DB: d}
	if err := p.open(ctx, c); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func databaseOptions(c Config) db.Options {
	if c.URL != "" {
		return db.Options{URL: c.URL, Existing: c.Existing}
	}
	return db.Options{Dir: c.Dir, Existing: c.Existing}
}

func (p *Parts) open(ctx context.Context, c Config) error {
	address := c.PublicURL
	if address == "" {
		stored, err := p.DB.Setting(ctx, publicURLSetting)
		if err != nil {
			return err
		}
		address = stored
	}
	if address == "" {
		address = localURL(c.Listen)
	}
	address, err := cleanURL(address)
	if err != nil {
		return err
	}
	p.publicURL.Store(&address)
	if p.epoch, err = p.DB.Setting(ctx, epochSetting); err != nil {
		return err
	}
	key, err := register.LoadKey(ctx, p.DB, c.Dir)
	if err != nil {
		return err
	}
	// Every node has the signing key, and so the same desk.
	if p.Handovers, err = handover.NewDesk(p.DB, key.Seed(), time.Now); err != nil {
		return err
	}
	p.Register, err = register.Open(ctx, register.Config{DB: p.DB, Key: key, Same: consent.Same, Inspect: c.Inspect,
		Renew: func(ctx context.Context) (ed25519.PrivateKey, error) { return register.LoadKey(ctx, p.DB, c.Dir) },
		Renewed: func(key ed25519.PrivateKey) {
			if err := p.Handovers.Rekey(key.Seed()); err != nil {
				slog.Error("choices cannot be handed over between domains until the next start", "error", err)
			}
		}})
	if err != nil {
		return err
	}
	p.Sites = site.NewStore(p.DB, banner.Compile, p.createLog)
	p.Retention = retention.NewStore(p.DB, p.Register, p.lifetime, time.Now)
	p.Accounts = account.NewStore(p.DB, time.Now)
	breached, err := account.OpenBreached(c.Breached)
	if err != nil {
		return err
	}
	p.Accounts.UseBreached(breached)
	p.Audit = audit.NewStore(audit.Config{DB: p.DB, Signer: p.Register.Signer, OpenHead: p.Register.OpenHead, Host: p.host, Now: time.Now})
	if !c.Inspect {
		if err := p.Audit.Adopt(ctx); err != nil {
			return err
		}
	}
	p.Stats = stats.NewStore(p.DB, time.Now)
	p.Counters = stats.NewCounters(p.DB, time.Now, p.toCount())
	p.Witness = witness.NewStore(p.DB, time.Now)
	p.checker = checks.NewChecker(Version, c.AllowPrivate, nil)
	return p.openOutbox(c)
}

// createLog gives a new site its register. The origin is fixed from the first
// record on: it keeps the address of that day even if the server moves later.
func (p *Parts) createLog(ctx context.Context, tx *sql.Tx, siteID int64, key string) error {
	return p.Register.CreateLog(ctx, tx, siteID, p.origin(key))
}

// lifetime is for how many days a choice is relied on under a notice version: the
// longest of its variants, and as long as any can be where the version is gone.
func (p *Parts) lifetime(ctx context.Context, version string) (days int, err error) {
	v, err := p.Sites.Version(ctx, version)
	if fault.KindOf(err) == fault.NotFound {
		return retention.LongestChoice, nil
	}
	if err != nil {
		return 0, err
	}
	for _, variant := range v.Notice.Variants().List {
		days = max(days, variant.ChoiceDays)
	}
	return days, nil
}

// PublicURL is the address at which visitors reach this installation.
func (p *Parts) PublicURL() string { return *p.publicURL.Load() }

// origin is the name of a site's log at the public address.
func (p *Parts) origin(key string) string {
	return p.host() + "/log/" + key
}

// host is how the names of new logs begin.
func (p *Parts) host() string {
	_, host, _ := strings.Cut(p.PublicURL(), "://")
	if p.epoch != "" {
		host += "/" + p.epoch
	}
	return host
}

// Tag is the element to paste as the first of a page's head.
func (p *Parts) Tag(key string) string {
	return `<script src="` + p.PublicURL() + `/b/` + key + `.js"></script>`
}

// SetupURL is where a one-time token is used.
func (p *Parts) SetupURL(token string) string {
	return p.PublicURL() + "/console/setup?token=" + token
}

// Close closes the register, then the database.
func (p *Parts) Close() error {
	if p.Register != nil {
		p.Register.Close(context.Background())
	}
	return p.DB.Close()
}
