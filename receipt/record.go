// Package receipt defines the consent record and the receipt, and verifies
// receipts offline. It imports nothing else of Assent, so that an auditor can
// use it alone.
package receipt

// Record is one decision of one visitor. Its canonical JSON (RFC 8785) is what
// the register commits to. Fields stand in the order of their JSON names.
type Record struct {
	Action     string          `json:"action"`     // accept_all, accept_necessary, save, withdraw or signal
	Browser    string          `json:"browser"`    // family: chrome, edge, firefox, safari, samsung, opera, other
	Categories map[string]bool `json:"categories"` // granted (true) and denied (false) alike, necessary excluded
	ConsentID  string          `json:"consent_id"` // UUID, one per visitor and site
	Country    string          `json:"country"`    // ISO 3166-1 alpha-2; "" when unknown or contradictory
	Device     string          `json:"device"`     // desktop, mobile, tablet, tv, bot or other
	GPC        bool            `json:"gpc"`        // Global Privacy Control was sent
	GPP        string          `json:"gpp"`        // IAB GPP string, "" when unused
	Language   string          `json:"language"`   // BCP 47, of the texts that were shown
	Network    string          `json:"network"`    // masked IP network, /24 or /48; "" when unknown
	Page       string          `json:"page"`       // host and path, no query
	RecordID   string          `json:"record_id"`  // UUID, one per decision
	// Regime is the rule by which the visitor was asked: opt-in, opt-out or notice-only, and
	// behind a slash the notice's variant for some places, as in opt-out/us-ca; alone it is
	// the strictest variant, or the only one. " by page" at the end means that the page said so
	// and the server's own look-up of the place came to another. "" in records of RecordTypeV1.
	Regime   string          `json:"regime,omitempty"`
	Services map[string]bool `json:"services"` // every service of the version outside necessary
	Site     string          `json:"site"`     // site key
	Source   string          `json:"source"`   // banner, preferences, signal or api
	Status   string          `json:"status"`   // accepted_all, accepted_partially or accepted_necessary
	TC       string          `json:"tc"`       // IAB TCF string, "" when unused
	Time     string          `json:"time"`     // RFC 3339, UTC, milliseconds; the server's clock
	Type     string          `json:"type"`     // RecordType
	Version  string          `json:"version"`  // notice version that was shown, SHA-256 hex
}

// RecordType names the format of Record.
const RecordType = "assent/record/v2"

// ByPage ends Record.Regime where the page named another variant than the one of the visitor's
// place: a page that was kept while the visitor travelled, a network that two tables have in two
// countries, or a page that does not tell the truth.
const ByPage = " by page"

// RecordTypeV1 names the format of records before December 2026, which have no member
// regime. They are read, verified and written again as they are.
const RecordTypeV1 = "assent/record/v1"
