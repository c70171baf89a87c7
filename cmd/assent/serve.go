package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"assent/internal/app"
	"assent/internal/register"
	"assent/internal/webhook"
)

func runServe(ctx context.Context, c *call) error {
	cfg := c.storage()
	c.serverFlags(cfg)
	if err := c.parse(0); err != nil {
		return err
	}
	cfg.Defaults()
	slog.SetDefault(slog.New(slog.NewTextHandler(c.err, nil)))
	collectLess()
	a, err := app.Start(ctx, *cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "Assent listens on %s, visitors reach it at %s\nConsole: %s/console/\n", a.Addr, a.PublicURL(), a.PublicURL())
	for _, sentence := range a.Said {
		fmt.Fprintln(c.err, sentence)
	}
	if a.SetupURL != "" {
		fmt.Fprintf(c.err, "Nobody can sign in yet. Open this link within 24 hours to make the first account (it works once):\n  %s\n", a.SetupURL)
	}
	return a.Wait(ctx)
}

// collectLess collects garbage less often: our own data is small, so it costs some ten
// megabytes and saves a sixth of the CPU time of a decision (make bench).
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// serverFlags declares what serve takes besides storage.
func (c *call) serverFlags(cfg *app.Config) {
	c.flags.StringVar(&cfg.Listen, "listen", ":8080", "address and port to listen on")
	c.flags.StringVar(&cfg.PublicURL, "public-url", "", "address at which visitors reach this server, for example https://consent.example (default http://localhost and the port)")
	c.flags.StringVar(&cfg.GeoIP, "geoip", "", "MMDB file with countries, instead of the built-in table")
	c.flags.StringSliceVar(&cfg.TrustProxies, "trust-proxy", nil, "network of a reverse proxy whose X-Forwarded-For is believed, for example 10.0.0.0/8; repeat for more")
	c.flags.StringVar(&cfg.CountryHeader, "country-header", "", "header in which those proxies say the visitor's country, for example CF-IPCountry; then a CDN may keep one script for each country")
	c.flags.DurationVar(&cfg.Drain, "drain", 0, "how long /readyz says no at the end before connections are closed, for example 5s behind a load balancer")
	c.flags.DurationVar(&cfg.WitnessEvery, "witness-every", time.Minute, "how often witnesses are asked to cosign a register that grew (assent witness ask)")
	c.flags.StringVar(&cfg.Highwater, "highwater", "", "file that remembers how far each log was signed, better on another disk than the data (default DIR/highwater)")
	c.flags.IntVar(&cfg.ScrubRate, "scrub", register.ScrubRate, "records a second that the check in the background reads; 0 for none")
	c.mailFlags(cfg)
	c.flags.StringVar(&cfg.Breached, "breached-passwords", "", "file of passwords that nobody may choose: a SHA-1 in hexadecimal a line, sorted, as Have I Been Pwned offers it; it is searched on disk")
	c.flags.BoolVar(&cfg.AllowPrivate, "allow-private", false, "let webhooks go to private addresses and over plain http: when the receivers are your own machines")
	c.flags.DurationVar(&cfg.WebhookKeep, "webhook-keep", webhook.DefaultKeep, "how long deliveries of webhooks can be seen and replayed")
	c.flags.IntVar(&cfg.RatePerMinute, "rate", 600, "consents a minute taken from one masked network; 0 for no limit")
	c.flags.IntVar(&cfg.Connections, "connections", app.DefaultConnections, "connections open at a time, about 20 KB each; when there are as many, a new one takes the place of the longest-waiting one")
	c.flags.IntVar(&cfg.SiteRatePerMinute, "site-rate", 0, "consents a minute taken for one site by this node; 0 for no limit")
}
