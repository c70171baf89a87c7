package admin

import (
	"net/http"
	"slices"

	"assent/internal/account"
)

// route is one address of the console. need is the capability that guard.go asks
// for before handle runs; what it means for each role stands in account.Rules.
//
// A capability of a role is asked for in one organisation: that of {site} in the
// pattern, else the one that the parameter "org" names, else the only one in which
// the member has it.
type route struct {
	pattern string
	need    account.Capability
	handle  func(http.ResponseWriter, *request) error
}

// routes is every address but the static files'.
func (c *console) routes() []route {
	return append([]route{
		{"GET /console/setup", account.Everybody, c.showSetup},
		{"POST /console/setup", account.Everybody, c.setup},
		{"GET /console/sign-in", account.Everybody, c.showSignIn},
		{"POST /console/sign-in", account.Everybody, c.signIn},
		{"GET /console/sign-in/code", account.Everybody, c.showCode},
		{"POST /console/sign-in/code", account.Everybody, c.signInCode},
		{"GET /console/join", account.Everybody, c.showJoin},
		{"POST /console/join", account.Everybody, c.join},
		{"POST /console/sign-out", account.AnyMember, c.signOut},
		{"GET /console/account", account.AnyMember, c.showAccount},
		{"POST /console/account", account.AnyMember, c.changePassword},
		{"POST /console/account/sessions", account.AnyMember, c.endSession},
		{"GET /console/account/second-factor", account.AnyMember, c.showFactor},
		{"POST /console/account/second-factor", account.AnyMember, c.changeFactor},
		{"GET /console/operator", account.Operating, c.showOperator},
		{"POST /console/operator", account.Operating, c.operate},
		{"GET /console/{$}", account.AnyMember, c.home},
		{"GET /console/roles", account.AnyMember, c.showRoles},
		{"GET /console/members", account.ViewMembers, c.listMembers},
		{"GET /console/organisation", account.ManageOrganisation, c.showOrganisation},
		{"POST /console/organisation", account.ManageOrganisation, c.renameOrganisation},
		{"POST /console/members", account.ManageMembers, c.changeMembers},
		{"GET /console/sites", account.AnyMember, c.listSites},
		{"GET /console/sites/new", account.AddSites, c.showNewSite},
		{"POST /console/sites/new", account.AddSites, c.addSite},
		{"GET /console/sites/{site}", account.ViewSites, c.showSite},
		{"POST /console/sites/{site}", account.ChangeSites, c.saveSite},
		{"GET /console/sites/{site}/banner", account.EditBanner, c.showBanner},
		{"POST /console/sites/{site}/banner", account.EditBanner, c.editBanner},
		{"GET /console/sites/{site}/preview", account.EditBanner, c.previewDraft},
		{"POST /console/sites/{site}/preview", account.EditBanner, c.previewForm},
		{"GET /console/sites/{site}/seen", account.ViewSites, c.showSeen},
		{"POST /console/sites/{site}/seen", account.EditBanner, c.editSeen},
		{"GET /console/sites/{site}/publish", account.EditBanner, c.showPublish},
		{"POST /console/sites/{site}/publish", account.PublishBanner, c.publish},
		{"GET /console/sites/{site}/versions", account.ViewSites, c.listVersions},
		{"GET /console/sites/{site}/versions/{version}", account.ViewSites, c.showVersion},
		{"GET /console/sites/{site}/versions/{version}/content", account.ViewSites, c.versionContent},
		{"GET /console/sites/{site}/register", account.ViewRegister, c.listRecords},
		{"POST /console/sites/{site}/export", account.ExportRegister, c.export},
		{"GET /console/sites/{site}/records/{record}", account.ViewRegister, c.showRecord},
		{"GET /console/sites/{site}/records/{record}/receipt", account.ExportRegister, c.downloadReceipt},
		{"GET /console/sites/{site}/records/{record}/erase", account.EraseRecords, c.showErase},
		{"POST /console/sites/{site}/records/{record}/erase", account.EraseRecords, c.erase},
		{"GET /console/sites/{site}/visitors/{consent}", account.ViewRegister, c.showVisitor},
		{"/console/", account.AnyMember, c.missing},
	}, slices.Concat(c.activityRoutes(), c.languageRoutes(), c.letterRoutes(), c.statisticsRoutes(), c.webhookRoutes(), c.catalogueRoutes(), c.closingRoutes(), c.retentionRoutes(), c.siteRoutes(), c.scheduleRoutes(), c.tokenRoutes())...)
}

func (c *console) mux() *http.ServeMux {
	m := http.NewServeMux()
	m.Handle("GET /console/static/{name}", c.assets)
	for _, r := range c.routes() {
		m.Handle(r.pattern, c.guarded(r))
	}
	return m
}
