package admin

import "net/http"

// routes is every address of the console. open handlers are for everybody;
// member handlers run behind a session and nothing else does.
func (c *console) routes() *http.ServeMux {
	m := http.NewServeMux()
	open := func(pattern string, h func(http.ResponseWriter, *request) error) { m.Handle(pattern, c.open(h)) }
	member := func(pattern string, h func(http.ResponseWriter, *request) error) { m.Handle(pattern, c.member(h)) }

	m.Handle("GET /console/static/{name}", c.assets)
	open("GET /console/setup", c.showSetup)
	open("POST /console/setup", c.setup)
	open("GET /console/sign-in", c.showSignIn)
	open("POST /console/sign-in", c.signIn)

	member("POST /console/sign-out", c.signOut)
	member("GET /console/account", c.showAccount)
	member("POST /console/account", c.changePassword)
	member("GET /console/{$}", c.home)
	member("GET /console/sites", c.listSites)
	member("GET /console/sites/new", c.showNewSite)
	member("POST /console/sites/new", c.addSite)
	member("GET /console/sites/{site}", c.showSite)
	member("POST /console/sites/{site}", c.saveSite)
	member("GET /console/sites/{site}/banner", c.showBanner)
	member("POST /console/sites/{site}/banner", c.editBanner)
	member("GET /console/sites/{site}/preview", c.previewDraft)
	member("POST /console/sites/{site}/preview", c.previewForm)
	member("GET /console/sites/{site}/publish", c.showPublish)
	member("POST /console/sites/{site}/publish", c.publish)
	member("GET /console/sites/{site}/versions", c.listVersions)
	member("GET /console/sites/{site}/versions/{version}", c.showVersion)
	member("GET /console/sites/{site}/versions/{version}/content", c.versionContent)
	member("GET /console/sites/{site}/register", c.listRecords)
	member("POST /console/sites/{site}/export", c.export)
	member("GET /console/sites/{site}/records/{record}", c.showRecord)
	member("GET /console/sites/{site}/records/{record}/receipt", c.downloadReceipt)
	member("GET /console/sites/{site}/visitors/{consent}", c.showVisitor)
	member("GET /console/activity", c.listActivity)
	member("/console/", c.missing)
	return m
}
