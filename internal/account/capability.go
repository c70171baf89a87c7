package account

// Capability is something that a person may do. The console asks for one before
// every page and every form (internal/admin, routes and guard).
type Capability string

// These are asked of a person, not of their role in an organisation.
const (
	Everybody Capability = "everybody" // signed in or not
	AnyMember Capability = "member"    // signed in: one's own account, the lists of what is one's own
	Operating Capability = "operator"  // Member.Operator: organisations themselves, never what is in them
)

// These are given by a role, in one organisation.
const (
	ViewSites          Capability = "site.view"
	AddSites           Capability = "site.add"
	ChangeSites        Capability = "site.change"
	EditBanner         Capability = "banner.edit"
	PublishBanner      Capability = "banner.publish"
	ViewStatistics     Capability = "statistics.view"
	ViewRegister       Capability = "register.view"
	ExportRegister     Capability = "register.export"
	EraseRecords       Capability = "register.erase"
	ViewActivity       Capability = "activity.view"
	ViewMembers        Capability = "members.view"
	ManageMembers      Capability = "members.manage"
	ManageIntegrations Capability = "integrations.manage"
	ManageOrganisation Capability = "organisation.manage"
	KeepOrganisation   Capability = "organisation.keep"
)

// Role is what a member is in an organisation.
type Role string

// The roles. Support is an operator's, who wrote down why and for a few hours.
const (
	Owner          Role = "owner"
	PrivacyOfficer Role = "privacy_officer"
	Developer      Role = "developer"
	Analyst        Role = "analyst"
	Auditor        Role = "auditor"
	Support        Role = "support"
)

// Roles are those that a member can be given, the mightiest first.
var Roles = []Role{Owner, PrivacyOfficer, Developer, Analyst, Auditor}

// Words is the role as people read it.
func (r Role) Words() string {
	switch r {
	case Owner:
		return "Owner"
	case PrivacyOfficer:
		return "Privacy officer"
	case Developer:
		return "Developer"
	case Analyst:
		return "Analyst"
	case Auditor:
		return "Auditor"
	case Support:
		return "Operator, with a reason"
	}
	return string(r)
}

// Watched tells whether each page that the role sees is noted in the activity.
func (r Role) Watched() bool { return r == Auditor || r == Support }

// Rule is a row of the table: what, in words, and whose roles have it.
type Rule struct {
	Capability Capability
	Words      string // goes on after "may"
	Roles      []Role
}

// Rules is the one table of what each role may do. The console's page "Roles"
// shows it, Role.Can reads it, and nothing else decides.
var Rules = []Rule{
	{ViewSites, "see sites, their notice and its versions, and what was seen on their pages", []Role{Owner, PrivacyOfficer, Developer, Analyst, Auditor, Support}},
	{ViewStatistics, "see statistics", []Role{Owner, PrivacyOfficer, Developer, Analyst, Auditor, Support}},
	{AddSites, "add a site", []Role{Owner, PrivacyOfficer, Developer}},
	{ChangeSites, "change a site's name and domains", []Role{Owner, PrivacyOfficer, Developer, Support}},
	{EditBanner, "edit the draft of a banner and its services", []Role{Owner, PrivacyOfficer, Developer, Support}},
	{PublishBanner, "publish a version, which visitors then see", []Role{Owner, PrivacyOfficer, Support}},
	{ViewRegister, "look up decisions in the register, and check their proofs", []Role{Owner, PrivacyOfficer, Auditor, Support}},
	{ExportRegister, "export the register and download receipts", []Role{Owner, PrivacyOfficer, Auditor}},
	{EraseRecords, "erase decisions for good", []Role{Owner, PrivacyOfficer}},
	{ViewActivity, "see who did what", []Role{Owner, PrivacyOfficer, Auditor, Support}},
	{ViewMembers, "see who belongs to the organisation", []Role{Owner, PrivacyOfficer, Developer, Auditor, Support}},
	{ManageMembers, "add and remove members, and change their roles", []Role{Owner}},
	{ManageIntegrations, "set up webhooks, tokens and mail", []Role{Owner, Developer}},
	{ManageOrganisation, "rename the organisation, take everything along, and delete it", []Role{Owner}},
	{KeepOrganisation, "take the deleting of the organisation back, until the day", []Role{Owner}},
}

// Can tells whether the role has a capability.
func (r Role) Can(c Capability) bool {
	for _, rule := range Rules {
		if rule.Capability == c {
			for _, has := range rule.Roles {
				if has == r {
					return true
				}
			}
		}
	}
	return false
}

// Words is the capability as people read it, after "may".
func (c Capability) Words() string {
	for _, rule := range Rules {
		if rule.Capability == c {
			return rule.Words
		}
	}
	return string(c)
}
