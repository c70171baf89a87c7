package account

import (
	"context"
	"database/sql"

	"assent/internal/db"
)

// The actions of the audit log.
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
	RegisterErasing = "register.erasing" // asked for
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
	ConfirmAsked        = "member.confirm_asked"
	LanguageChosen      = "member.language"
	Confirmed           = "member.confirm"
	PasswordAsked       = "member.password_asked"
	NewDevice           = "member.new_device"
	SecondFactorBegun   = "member.second_factor_begun"
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

// Activity is one thing that was done. It names no visitor.
type Activity struct {
	MemberID string // who did it; "": the context's actor (db.As)
	About    string // the member whom it is about, where that is another
	Action   string
	Site     string // site key, or ""
	// Organisation is whose entry it is; "": the site's, and without a site those of the
	// member.
	Organisation string
	Target       string            // ID of what was changed, where it is none of these
	Detail       map[string]string // small, no personal data of visitors
	Fields       []db.Field        // what was changed, field by field
}

// Log adds an entry to the audit log, for what changes nothing that is kept: looking,
// exporting. A change is logged in its own transaction.
func (s *Store) Log(ctx context.Context, a Activity) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error { return s.log(ctx, tx, a) })
}

func (s *Store) log(ctx context.Context, tx *sql.Tx, list ...Activity) error {
	var changes []db.Change
	for _, a := range list {
		changes = append(changes, db.Change{Action: a.Action, Member: a.MemberID, About: a.About, Organisation: a.Organisation, Site: a.Site, Target: a.Target, Detail: a.Detail, Fields: a.Fields})
	}
	return s.db.Record(ctx, tx, changes...)
}
