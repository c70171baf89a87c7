package admin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"assent/internal/account"
	"assent/internal/admin"
	"assent/internal/site"
	"assent/internal/webhook"
)

// person is somebody who knocks at every door.
type person struct {
	name   string
	member *account.Member
	role   account.Role // in the organisation that is attacked; "" for outsiders
	home   string       // key of a site that is their own, "" for none
}

// town is a furnished desk with a person of each role, and outsiders: the owner of
// another organisation, an auditor whose time is over, and an operator.
type town struct {
	*desk
	site    *site.Site
	fill    map[string]string // what stands for {site}, {record} and so on
	persons []person
	secrets []string // what no outsider may read
}

func newTown(t *testing.T) *town {
	t.Helper()
	k, pages := furnished(t)
	ctx := context.Background()
	record := strings.Split(strings.TrimPrefix(pages["record"], "/console/sites/"), "/")
	version := strings.Split(pages["version"], "/")
	visitor := strings.Split(pages["visitor"], "/")
	s := must(k.sites.Get(ctx, record[0]))
	k.retained(s)
	w := &town{desk: k, site: s, fill: map[string]string{"site": s.Key, "record": record[2], "version": version[len(version)-1], "step": "rules", "consent": visitor[len(visitor)-1], "webhook": pages["webhook"][strings.LastIndex(pages["webhook"], "/")+1:], "$": ""}}
	join := func(email, organisation string, role account.Role) *account.Member {
		return must(k.accounts.Join(ctx, account.Joining{Email: email, Organisation: organisation, Role: role}))
	}
	for _, role := range account.Roles {
		w.persons = append(w.persons, person{name: string(role), member: join(string(role)+"@agency.example", s.Organisation, role), role: role})
	}
	other := must(k.accounts.AddOrganisation(ctx, "Other customer", ""))
	theirs := must(k.sites.AddTo(ctx, other.ID, []string{"other.example"}, "Other site", ""))
	w.persons = append(w.persons, person{name: "owner of another organisation", member: join("owner@other.example", other.ID, account.Owner), home: theirs.Key})
	late := join("late@agency.example", s.Organisation, account.Auditor)
	k.exec("update membership set expires_at = 1 where member_id = $1", late.ID)
	w.persons = append(w.persons, person{name: "auditor whose time is over", member: late})
	operator := join("operator@host.example", other.ID, account.Analyst)
	k.exec("update member set operator = true where id = $1", operator.ID)
	k.exec("delete from membership where member_id = $1", operator.ID)
	operator.Operator = true
	w.persons = append(w.persons, person{name: "operator without a reason", member: operator})
	w.secrets = []string{"Corner Shop", "Garden blog", "Visit Counter", s.Key, w.fill["record"], w.fill["consent"], officer, "192.0.2."}
	return w
}

// address fills a pattern in. A placeholder that is new has to be told to newTown.
func (w *town) address(t *testing.T, pattern string) (method, path string) {
	t.Helper()
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		method, path = http.MethodGet, pattern+"nowhere"
	}
	for name, value := range w.fill {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	if strings.Contains(path, "{") {
		t.Fatalf("%s: say in newTown what stands for the placeholder", pattern)
	}
	return method, path
}

// knock asks as a person, with a form that would do something if it were let in.
func (w *town) knock(p person, method, path string) *answer {
	w.t.Helper()
	form := url.Values{"org": {w.site.Organisation}, "reason": {"request"}, "what": {"record"}, "name": {"Stolen"}, "domains": {"stolen.example"},
		"email": {"thief@evil.example"}, "role": {"owner"}, "do": {"save"}, "format": {"csv"}}
	r, err := http.NewRequest(method, w.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	token := must(w.accounts.Open(context.Background(), p.member))
	r.AddCookie(&http.Cookie{Name: "assent-session", Value: token})
	return w.do(&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, r)
}

func (w *town) tellsNothing(p person, a *answer) {
	w.t.Helper()
	for _, secret := range w.secrets {
		if strings.Contains(a.body, secret) {
			w.t.Errorf("%s shows %q to the %s", a.what, secret, p.name)
		}
	}
}

// state is everything of the organisation that a request could have changed.
func (w *town) state() string {
	ctx := context.Background()
	all := []any{must(w.sites.List(ctx)), must(w.sites.Draft(ctx, w.site.Key)), must(w.sites.Versions(ctx, w.site.Key)), must(w.register.State(ctx, w.site.ID)),
		must(w.accounts.Memberships(ctx, w.site.Organisation)), must(w.accounts.Organisations(ctx)), must(w.stats.Ignored(ctx, w.site.ID)),
		must(w.webhooks.List(ctx, w.site.ID)), must(w.webhooks.Deliveries(ctx, webhook.Query{Endpoint: w.fill["webhook"]}))}
	var text strings.Builder
	for _, v := range all {
		raw, err := json.Marshal(v)
		if err != nil {
			raw = []byte(err.Error())
		}
		text.Write(raw)
	}
	return text.String()
}

// Every route says which capability it needs, and one about a site or an
// organisation needs one of a role.
func TestEveryRouteNeedsACapability(t *testing.T) {
	known := []account.Capability{account.Everybody, account.AnyMember, account.Operating}
	for _, rule := range account.Rules {
		known = append(known, rule.Capability)
	}
	for pattern, need := range admin.Routes() {
		if !slices.Contains(known, need) {
			t.Errorf("%s asks for the capability %q, which is none", pattern, need)
		}
		if strings.Contains(pattern, "{site}") && slices.Contains(known[:3], need) {
			t.Errorf("%s is about a site, and asks for no role in its organisation", pattern)
		}
	}
}

// Every route, as every role and as those who have none: what is not allowed is
// 403 or 404, shows nothing and does nothing; what is allowed is let in.
func TestEveryRouteAsEverybody(t *testing.T) {
	w := newTown(t)
	before := w.state()
	var allowed []func()
	for pattern, need := range admin.Routes() {
		method, path := w.address(t, pattern)
		for _, p := range w.persons {
			switch {
			case need == account.Everybody || need == account.AnyMember || need == account.Operating && p.member.Operator:
				allowed = append(allowed, func() {
					a := w.knock(p, method, path)
					if p.role == "" {
						w.tellsNothing(p, a)
					}
				})
			case need == account.Operating:
				w.tellsNothing(p, w.knock(p, method, path).want(http.StatusForbidden))
			case p.role == "":
				w.outside(p, pattern, method, path)
			case !p.role.Can(need):
				a := w.knock(p, method, path+"?org="+w.site.Organisation).want(http.StatusForbidden).has("main", "Your role in")
				w.tellsNothing(p, a)
			default:
				allowed = append(allowed, func() {
					a := w.knock(p, method, path+"?org="+w.site.Organisation)
					if a.status == http.StatusForbidden || a.status == http.StatusNotFound || a.status == http.StatusUnauthorized || a.status >= 500 {
						// Another's request may have erased the record or removed the member meanwhile.
						if method == http.MethodGet {
							t.Errorf("the %s may, but %s = %d: %s", p.name, a.what, a.status, excerpt(a.root))
						}
					}
				})
			}
		}
	}
	if after := w.state(); after != before {
		t.Errorf("somebody who may not has changed something:\n%s\n%s", before, after)
	}
	for _, knock := range allowed {
		knock()
	}
}

// outside asks as somebody who does not belong to the organisation: there is no
// such site and no such organisation, whichever they name themselves.
func (w *town) outside(p person, pattern, method, path string) {
	w.t.Helper()
	for _, query := range []string{"?org=" + w.site.Organisation, "?org=nowhere"} {
		w.tellsNothing(p, w.knock(p, method, path+query).want(http.StatusNotFound))
	}
	if p.home == "" {
		return
	}
	own := must(w.sites.Get(context.Background(), p.home))
	if !strings.Contains(pattern, "{site}") {
		if method == http.MethodGet {
			w.tellsNothing(p, w.knock(p, method, path+"?org="+own.Organisation)) // their own page
		}
		return
	}
	w.tellsNothing(p, w.knock(p, method, path+"?org="+own.Organisation).want(http.StatusNotFound))
	// A record, a version, a visitor and a webhook of ours are not at a site of theirs.
	theirs := strings.Replace(path, w.site.Key, own.Key, 1)
	if rest := strings.TrimPrefix(theirs, "/console/sites/"+own.Key); strings.Contains(rest, w.fill["record"]) || strings.Contains(rest, w.fill["version"]) || strings.Contains(rest, w.fill["consent"]) || strings.Contains(rest, w.fill["webhook"]) {
		w.tellsNothing(p, w.knock(p, method, theirs).want(http.StatusNotFound))
	}
}

// What an auditor opens is noted, by the kind of page and not by whose it is.
func TestAuditorsViewsAreNoted(t *testing.T) {
	w := newTown(t)
	auditor := w.persons[slices.Index(account.Roles, account.Auditor)]
	w.knock(auditor, http.MethodGet, "/console/sites/"+w.site.Key+"/records/"+w.fill["record"]).want(http.StatusOK)
	a := w.get("/console/activity").want(http.StatusOK).has("td", "Opened a page /records/{record}").has("td", "auditor@agency.example")
	if strings.Contains(a.body, w.fill["record"]) {
		t.Error("the activity names the record, and would go on naming it after it is erased")
	}
	analyst := w.persons[slices.Index(account.Roles, account.Analyst)]
	w.knock(analyst, http.MethodGet, "/console/sites/"+w.site.Key).want(http.StatusOK)
	pages := 0
	for _, n := range all(w.get("/console/activity").root, "tr") {
		if strings.Contains(text(n), "Opened a page") {
			pages++
		}
	}
	if pages != 1 {
		t.Errorf("%d views are noted, of one by an auditor and one by an analyst", pages)
	}
}

// Somebody with two organisations sees both apart, and is asked where it matters.
func TestMemberOfTwoOrganisations(t *testing.T) {
	k, _ := furnished(t)
	ctx := context.Background()
	second := must(k.accounts.AddOrganisation(ctx, "Second customer", ""))
	must(k.accounts.Join(ctx, account.Joining{Email: officer, Organisation: second.ID, Role: account.PrivacyOfficer}))
	k.get("/console/sites").want(http.StatusOK).has("h2", "Second customer Privacy officer").has("h2", "My organisation Owner").has("td", "Corner Shop")
	k.get("/console/sites/new").want(http.StatusOK).has("h1", "Choose an organisation").has("li a", "Second customer")
	k.post("/console/sites/new", url.Values{"domains": {"second.example"}}).want(http.StatusBadRequest)
	to := k.post("/console/sites/new?org="+second.ID, url.Values{"domains": {"second.example"}}).want(http.StatusSeeOther).header.Get("Location")
	key, _, _ := strings.Cut(strings.TrimPrefix(to, "/console/sites/"), "/")
	if s := must(k.sites.Get(ctx, key)); s.Organisation != second.ID {
		t.Errorf("the site belongs to %s", s.Organisation)
	}
	k.get("/console/activity?org="+second.ID).want(http.StatusOK).has("td", "Added the site").has("td", "second.example")
	if a := k.get("/console/activity?org=" + second.ID); strings.Contains(a.body, "Set up the first account") {
		t.Error("the activity of one organisation shows the other's")
	}
	k.get("/console/members?org="+second.ID).want(http.StatusOK).has("td", officer).has("td", "Privacy officer")
	k.get("/console/roles").want(http.StatusOK).has("tr", "Erase decisions for good")
}

// The table of what roles may do, where getting it wrong would hurt.
func TestRolesMayOnlyWhatTheyAreFor(t *testing.T) {
	reading := []account.Capability{account.ViewSites, account.ViewStatistics, account.ViewRegister, account.ExportRegister, account.ViewActivity, account.ViewMembers}
	for _, rule := range account.Rules {
		if account.Auditor.Can(rule.Capability) && !slices.Contains(reading, rule.Capability) {
			t.Errorf("an auditor may %s", rule.Words)
		}
		if !account.Owner.Can(rule.Capability) {
			t.Errorf("an owner may not %s", rule.Words)
		}
		if account.Role("").Can(rule.Capability) || account.Role("nobody").Can(rule.Capability) {
			t.Errorf("no role may %s", rule.Words)
		}
	}
	for _, c := range []account.Capability{account.ViewRegister, account.ExportRegister, account.EraseRecords} {
		if account.Analyst.Can(c) || account.Developer.Can(c) {
			t.Errorf("somebody who does not work with the register may %s", c.Words())
		}
	}
	for _, c := range []account.Capability{account.ManageMembers, account.ManageOrganisation} {
		for _, role := range []account.Role{account.PrivacyOfficer, account.Developer, account.Analyst, account.Auditor, account.Support} {
			if role.Can(c) {
				t.Errorf("the role %s may %s", role, c.Words())
			}
		}
	}
}
