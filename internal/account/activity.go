package account

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// The actions of the activity log.
const (
	MemberSetUp     = "member.set_up"
	MemberAdded     = "member.add"
	MemberLink      = "member.link"
	SignedIn        = "member.sign_in"
	SignedOut       = "member.sign_out"
	PasswordSet     = "member.password_set"
	PasswordChanged = "member.password_change"
	SiteAdded       = "site.add"
	SiteDomains     = "site.domains"
	DraftSaved      = "site.draft"
	StatsChanged    = "statistics.change"
	SeenIgnored     = "seen.ignore"
	SeenCleared     = "seen.clear"
	SitePublished   = "site.publish"
	RegisterExport  = "register.export"
	ReceiptDownload = "register.receipt"
	Restored        = "backup.restore"
	RegisterErase   = "register.erase"
	RetentionRun    = "retention.run"
	RetentionRule   = "retention.rule"
)

// Activity is one thing that a member did. It names no visitor.
type Activity struct {
	ID       string // UUIDv7, set by the store
	Time     time.Time
	MemberID string // "" for the command line or nobody
	Email    string // of the member, when still known; filled when read
	Action   string
	Site     string            // site key, or ""
	Detail   map[string]string // small, no personal data of visitors
}

// Log adds a line to the activity log.
func (s *Store) Log(ctx context.Context, a Activity) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error { return s.log(ctx, tx, a) })
}

func (s *Store) log(ctx context.Context, tx *sql.Tx, a Activity) error {
	if a.Detail == nil {
		a.Detail = map[string]string{}
	}
	detail, err := json.Marshal(a.Detail)
	if err != nil {
		return err
	}
	return insertActivity(ctx, tx, uuid.Must(uuid.NewV7()).String(), s.now(), a, string(detail))
}

// Activities lists the log, newest first. before is the ID of the last line
// that was shown, "" for the newest; site is a key or "" for all.
func (s *Store) Activities(ctx context.Context, site, before string, limit int) ([]Activity, error) {
	list, err := selectActivities(ctx, s.db.Read(), site, before, limit)
	return list, s.db.Explain(err)
}
