package account

// More actions of the activity log: versions that were put in force otherwise than
// by publishing the draft, and what several sites share.
const (
	SiteScheduled   = "site.schedule"
	SiteUnscheduled = "site.unschedule"
	SiteRolledBack  = "site.rollback"
)
