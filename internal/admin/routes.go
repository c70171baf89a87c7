package admin

import "net/http"

// route is one address of the console.
type route struct {
	pattern string
	open    bool // for everybody; every other route runs behind a session
	handle  func(http.ResponseWriter, *request) error
}

// routes is every address but the static files'.
func (c *console) routes() []route {
	const (
		forAll  = true
		members = false
	)
	return append(c.statisticsRoutes(), []route{
		{"GET /console/setup", forAll, c.showSetup},
		{"POST /console/setup", forAll, c.setup},
		{"GET /console/sign-in", forAll, c.showSignIn},
		{"POST /console/sign-in", forAll, c.signIn},
		{"POST /console/sign-out", members, c.signOut},
		{"GET /console/account", members, c.showAccount},
		{"POST /console/account", members, c.changePassword},
		{"GET /console/{$}", members, c.home},
		{"GET /console/sites", members, c.listSites},
		{"GET /console/sites/new", members, c.showNewSite},
		{"POST /console/sites/new", members, c.addSite},
		{"GET /console/sites/{site}", members, c.showSite},
		{"POST /console/sites/{site}", members, c.saveSite},
		{"GET /console/sites/{site}/banner", members, c.showBanner},
		{"POST /console/sites/{site}/banner", members, c.editBanner},
		{"GET /console/sites/{site}/preview", members, c.previewDraft},
		{"POST /console/sites/{site}/preview", members, c.previewForm},
		{"GET /console/sites/{site}/seen", members, c.showSeen},
		{"POST /console/sites/{site}/seen", members, c.editSeen},
		{"GET /console/sites/{site}/publish", members, c.showPublish},
		{"POST /console/sites/{site}/publish", members, c.publish},
		{"GET /console/sites/{site}/versions", members, c.listVersions},
		{"GET /console/sites/{site}/versions/{version}", members, c.showVersion},
		{"GET /console/sites/{site}/versions/{version}/content", members, c.versionContent},
		{"GET /console/sites/{site}/register", members, c.listRecords},
		{"POST /console/sites/{site}/export", members, c.export},
		{"GET /console/sites/{site}/records/{record}", members, c.showRecord},
		{"GET /console/sites/{site}/records/{record}/receipt", members, c.downloadReceipt},
		{"GET /console/sites/{site}/records/{record}/erase", members, c.showErase},
		{"POST /console/sites/{site}/records/{record}/erase", members, c.erase},
		{"GET /console/sites/{site}/visitors/{consent}", members, c.showVisitor},
		{"GET /console/activity", members, c.listActivity},
		{"/console/", members, c.missing},
	}...)
}

func (c *console) mux() *http.ServeMux {
	m := http.NewServeMux()
	m.Handle("GET /console/static/{name}", c.assets)
	for _, r := range c.routes() {
		if r.open {
			m.Handle(r.pattern, c.open(r.handle))
		} else {
			m.Handle(r.pattern, c.member(r.handle))
		}
	}
	return m
}
