// Package app wires the rooms together: it opens the parts, starts the server,
// and hands each feature what it needs of another as a function.
package app

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/internal/register"
)

// Version of this binary.
const Version = "0.1.0"

// CommandLine is who made a change on the command line.
const CommandLine = "command line"

// Config is what an operator can set; every field has a flag.
type Config struct {
	Dir string // data directory: SQLite and signing key
	URL string // PostgreSQL address; then Dir may still hold the signing key

	Listen        string   // address and port
	PublicURL     string   // https://consent.example; "" means the stored one, then localhost
	GeoIP         string   // MMDB file; "" means the built-in table
	TrustProxies  []string // networks whose X-Forwarded-For is believed
	CountryHeader string   // in which those proxies say the visitor's country; "" for none
	RatePerMinute int      // consents a minute per masked network; 0 for no limit

	SiteRatePerMinute int // consents a minute for one site; 0 for no limit

	Connections int // open at a time; 0 for web.MaxConns, and never more than the system lets this process open

	// Drain is how long /readyz says no before the server stops to listen, so that a
	// load balancer sends nothing more.
	Drain time.Duration

	WitnessEvery time.Duration // how often witnesses are asked to cosign a log that grew; 0 for a minute
	Highwater    string        // file that remembers how far each log was signed; "": in Dir, or none without
	ScrubRate    int           // records a second that the background check reads; 0 for none

	Breached     string        // file of breached passwords, see account.OpenBreached; "" for none
	SMTPURL      string        // mail server, see mail.ParseServer; "" for none
	MailFrom     string        // address that letters come from
	AllowPrivate bool          // messages may go to private addresses and over plain http
	WebhookKeep  time.Duration // how long deliveries are kept; 0 for webhook.DefaultKeep

	// Existing refuses to make a database where there is none.
	Existing bool
	// Inspect opens a register whose checkpoints do not fit the key, for fsck.
	Inspect bool
}

// DefaultDir is the data directory when nothing is said.
const DefaultDir = "assent-data"

// Defaults fills in where the data is when nothing was said.
func (c *Config) Defaults() {
	if c.Dir == "" && c.URL == "" {
		c.Dir = DefaultDir
	}
}

// highwater is where the marks are kept, "" for nowhere.
func (c *Config) highwater() string {
	if c.Highwater == "" && c.Dir != "" {
		return filepath.Join(c.Dir, register.MarksFile)
	}
	return c.Highwater
}

func (c *Config) proxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, s := range c.TrustProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, errAddr := netip.ParseAddr(s)
			if errAddr != nil {
				return nil, fault.New(fault.Invalid, "--trust-proxy %q is not a network. Write it like 10.0.0.0/8.", s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// cleanURL checks a public address: scheme and host, nothing else.
func cleanURL(address string) (string, error) {
	u, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return "", fault.New(fault.Invalid, "--public-url %q is not usable. Write scheme and host only, like https://consent.example.", address)
	}
	return u.Scheme + "://" + u.Host, nil
}

// localURL is the address of a listener on this machine.
func localURL(listen string) string {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://localhost:8080"
	}
	return "http://localhost:" + port
}
