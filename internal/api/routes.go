package api

import (
	"net/http"

	"assent/internal/account"
)

// prefix is where the API is; another major version will stand beside it.
const prefix = "/api/v1"

// parameter is one that stands in the query or the header.
type parameter struct {
	name, kind, about string // kind: a format of OpenAPI, or integer or string
	required          bool
}

// route is one address of the API.
type route struct {
	method, path string
	id           string // operationId
	scope        string
	about        string
	query        []parameter
	header       []parameter
	body         any // of the request: a value of its type; nil for none
	status       int
	answer       any // a value of its type
	handle       func(*call) (any, error)
}

// Query parameters that several routes have.
var (
	limitParameter  = parameter{name: "limit", kind: "integer", about: "Items in a page, 1 to 500; 50 when it is not given"}
	cursorParameter = parameter{name: "cursor", kind: "string", about: "What the page before gave as next"}
)

// routes is every address but the OpenAPI document's.
func (a *api) routes() []route {
	paged := []parameter{limitParameter, cursorParameter}
	return []route{
		{method: "GET", path: "/sites", id: "listSites", scope: account.ScopeSitesRead, about: "The sites that the token is for", query: paged, status: http.StatusOK, answer: page[siteAnswer]{}, handle: a.listSites},
		{method: "GET", path: "/sites/{site}", id: "getSite", scope: account.ScopeSitesRead, about: "One site", status: http.StatusOK, answer: siteAnswer{}, handle: a.getSite},
		{method: "GET", path: "/sites/{site}/versions", id: "listVersions", scope: account.ScopeSitesRead, about: "The published notice versions of a site, the newest first", query: paged, status: http.StatusOK, answer: page[versionAnswer]{}, handle: a.listVersions},
		{method: "GET", path: "/sites/{site}/versions/{version}", id: "getVersion", scope: account.ScopeSitesRead, about: "One notice version with its content", status: http.StatusOK, answer: wholeVersion{}, handle: a.getVersion},
		{method: "GET", path: "/sites/{site}/records", id: "listRecords", scope: account.ScopeRecordsRead, about: "Consent records, the newest first", status: http.StatusOK, answer: page[recordAnswer]{}, handle: a.listRecords,
			query: append([]parameter{
				{name: "consent_id", kind: "uuid", about: "Only those of one visitor"},
				{name: "from", kind: "date-time", about: "Decided at this time or later"},
				{name: "to", kind: "date-time", about: "Decided before this time"},
			}, paged...)},
		{method: "GET", path: "/sites/{site}/records/{record}", id: "getRecord", scope: account.ScopeRecordsRead, about: "One consent record; 410 when it was erased", status: http.StatusOK, answer: recordAnswer{}, handle: a.getRecord},
		{method: "GET", path: "/sites/{site}/records/{record}/receipt", id: "getReceipt", scope: account.ScopeRecordsRead, about: "The receipt of a record, which verifies without this server", status: http.StatusOK, answer: rawJSON{}, handle: a.getReceipt},
		{method: "POST", path: "/sites/{site}/erasures", id: "erase", scope: account.ScopeRecordsErase, about: "Erase one record, or all of one visitor; the register says that it was done", status: http.StatusOK, body: erasureRequest{}, answer: erasureAnswer{}, handle: a.erase,
			header: []parameter{{name: "Idempotency-Key", kind: "string", about: "Made by the client for this request; a repeat within a day is answered as the first was", required: true}}},
	}
}
