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
	SignInFailed    = "member.sign_in_failed"
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
	KeyRotated      = "key.rotate"
	RegisterErase   = "register.erase"
	RegisterPack    = "register.evidence"
	BackedUp        = "backup.make"
	WitnessChanged  = "witness.change"
	RetentionRun    = "retention.run"
	RetentionRule   = "retention.rule"
	WebhookChanged  = "webhook.change"
	Viewed          = "view" // a page that a watched role saw

	MemberInvited       = "member.invite"
	InvitationWithdrawn = "member.invite_withdrawn"
	MemberRemoved       = "member.remove"
	RoleChanged         = "member.role"
	SessionEnded        = "member.session_ended"
	SecondFactorOn      = "member.second_factor_on"
	SecondFactorOff     = "member.second_factor_off"
	RecoveryUsed        = "member.recovery_used"
	OperatorEntered     = "operator.enter"
	OperatorLeft        = "operator.leave"
	OperatorMade        = "operator.made"
	OperatorUnmade      = "operator.unmade"

	OrganisationAdded   = "organisation.add"
	OrganisationRenamed = "organisation.rename"
)

// Activity is one thing that a member did. It names no visitor.
type Activity struct {
	ID       string // UUIDv7, set by the store
	Time     time.Time
	MemberID string // "" for the command line or nobody
	Email    string // of the member, when still known; filled when read
	Action   string
	Site     string // site key, or ""
	// Organisation is whose line it is; "" when written: the site's, and without
	// a site the member's own.
	Organisation string
	Detail       map[string]string // small, no personal data of visitors
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
	whose := []string{a.Organisation}
	if a.Organisation == "" && a.Site == "" && a.MemberID == "" && a.Action != SignInFailed {
		// The command line did something to the whole installation: each is told.
		list, err := selectOrganisations(ctx, tx, "")
		if err != nil {
			return err
		}
		whose = whose[:0]
		for _, o := range list {
			whose = append(whose, o.ID)
		}
	}
	for _, a.Organisation = range whose {
		if err := insertActivity(ctx, tx, uuid.Must(uuid.NewV7()).String(), s.now(), a, string(detail)); err != nil {
			return err
		}
	}
	return nil
}

// Activities lists the log, newest first. before is the ID of the last line
// that was shown, "" for the newest; site is a key or "" for all.
func (s *Store) Activities(ctx context.Context, site, before string, limit int) ([]Activity, error) {
	list, err := selectActivities(ctx, s.db.Read(), site, before, limit)
	return list, s.db.Explain(err)
}

// ActivitiesOf lists the log of one organisation as Activities does, with what
// its members did for themselves, such as signing in.
func (s *Store) ActivitiesOf(ctx context.Context, organisation, before string, limit int) ([]Activity, error) {
	list, err := selectActivitiesOf(ctx, s.db.Read(), organisation, before, limit)
	return list, s.db.Explain(err)
}
