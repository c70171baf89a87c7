package admin_test

import (
	"net/http"
	"net/url"
	"testing"
)

func TestErasingAsksFirst(t *testing.T) {
	k, pages := furnished(t)
	address := pages["record"] + "/erase"
	k.get(pages["record"]).want(http.StatusOK).has("a", "Erase …")
	k.get(address).want(http.StatusOK).has("h1", "Erase this decision?").has("label", "All decisions of this visitor on this site (2)").has("button", "Erase for good")
	k.post(address, url.Values{"what": {"record"}}).want(http.StatusUnprocessableEntity).has(".error", "Say why")
	k.post(address, url.Values{"what": {"record"}, "reason": {"<script>"}}).want(http.StatusUnprocessableEntity)
	k.get(pages["record"]).want(http.StatusOK)
	done := k.post(address, url.Values{"what": {"visitor"}, "reason": {"request"}}).want(http.StatusSeeOther)
	k.get(done.header.Get("Location")).want(http.StatusOK).has("[role=status]", "Erased.")
	k.get(pages["record"]).want(http.StatusGone).has("main", "This record was erased on")
	k.get(address).want(http.StatusGone)
	k.post(address, url.Values{"what": {"record"}, "reason": {"request"}}).want(http.StatusGone)
	k.get(pages["site"]).has("p", "statement about 2 erased")
	k.get("/console/activity").has("td", "Erased records").has("td", "2 records, request")
}
