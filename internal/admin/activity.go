package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/audit"
	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/site"
	"assent/internal/web"
	"assent/receipt"
)

// activitiesPerPage is how many entries of the log one page shows.
const activitiesPerPage = 50

// activityPage is the audit log of an organisation.
type activityPage struct {
	Page
	Lines                 []activityLine
	Older                 string // address of the next page
	Who, What, Sites      []option
	From, To              string
	Filtered              bool
	State                 audit.State
	Days                  string // as typed
	Errors                problems
	WhoIs, WhatIs, SiteIs string
	LeastDays, MostDays   int
}

type activityLine struct {
	Index             int64
	Time              time.Time
	Who, What, Detail string
	SiteKey, SiteName string
	Changes           []receipt.AuditChange
}

var activityWords = map[string]string{
	account.MemberSetUp: "Set up the first account", account.MemberAdded: "Added a member", account.MemberLink: "Made a password link",
	account.SignedIn: "Signed in", account.SignedOut: "Signed out", account.PasswordSet: "Set a password by link",
	account.PasswordChanged: "Changed the password", account.SiteAdded: "Added the site", account.SiteDomains: "Changed name or domains",
	account.DraftSaved: "Saved the draft", account.StatsChanged: "Changed how statistics are kept", account.SeenIgnored: "Changed what is ignored", account.SeenCleared: "Started the list of what was seen anew",
	site.Planned: "Scheduled a version", site.Cancelled: "Cancelled a scheduled version", site.RolledBack: "Put an older version in force again",
	account.SitePublished: "Published a version", account.RegisterExport: "Exported the register",
	account.ReceiptDownload: "Downloaded a receipt", account.RegisterErase: "Erased records", account.RegisterErasing: "Asked to erase", account.RetentionRun: "Removed records by retention rule",
	account.RetentionRule: "Changed how long records are kept",
	account.Restored:      "Restored a backup",
	account.KeyRotated:    "Replaced the signing key",
	account.RegisterPack:  "Made an evidence pack", account.BackedUp: "Made a backup", account.WitnessChanged: "Changed the witnesses",
	account.WebhookChanged: "Changed a webhook", account.TokenAdded: "Made an API token", account.TokenRevoked: "Revoked an API token",
	account.SignInFailed: "Failed to sign in", account.Viewed: "Opened a page",
	account.MemberInvited: "Invited a person", account.InvitationWithdrawn: "Withdrew an invitation", account.MemberRemoved: "Removed a member",
	account.RoleChanged: "Changed a role", account.SessionEnded: "Ended another session", account.SecondFactorOn: "Switched the second factor on",
	account.SecondFactorBegun: "Began to set up a second factor",
	account.SecondFactorOff:   "Switched the second factor off", account.RecoveryUsed: "Used a recovery code",
	account.OperatorEntered: "Looked in as an operator", account.OperatorLeft: "Left as an operator",
	account.OperatorMade: "Made somebody an operator of the server", account.OperatorUnmade: "Made somebody an operator no longer",
	account.ClosingAsked: "Asked to delete the organisation", account.ClosingKept: "Took the deleting of the organisation back",
	account.AccountClosing: "Asked to close the account", account.AccountKept: "Took the closing of the account back", account.AccountTaken: "Took along what is stored about them",
	account.OrganisationAdded: "Made the organisation", account.OrganisationRenamed: "Renamed the organisation",
	account.ConfirmAsked: "Asked for a letter to confirm the address", account.Confirmed: "Confirmed the address", account.LanguageChosen: "Chose a language for the console", account.PasswordAsked: "Asked for a new password by mail", account.NewDevice: "Signed in from a browser that was not known",
	audit.Exported: "Exported the activity", audit.Expired: "Removed entries whose time was over", audit.Erased: "Removed an entry",
	audit.Keeping: "Changed how long the activity is kept", audit.Signed: "Went on under another key or name",
}

// activityGroups are the filters by what was done: how actions begin.
var activityGroups = []option{
	{"", "Anything", false}, {"member.", "People and signing in", false}, {"site.", "Sites and notices", false}, {"register.", "Register", false},
	{"view", "Pages that were opened", false}, {"operator.", "Operators", false}, {"organisation.", "Organisation", false},
	{"token.", "API tokens", false}, {"webhook.", "Webhooks", false}, {"statistics.", "Statistics", false}, {"seen.", "What was seen", false},
	{"retention.", "How long records are kept", false}, {"audit.", "The activity itself", false},
}

func marked(list []option, value string) []option {
	list = slices.Clone(list)
	for i := range list {
		list[i].Chosen = list[i].Value == value
	}
	return list
}

// activityQuery reads the filters of a page or a form.
func (c *console) activityQuery(r *request, v url.Values) (audit.Query, problems) {
	from, after, wrong := span(strings.TrimSpace(v.Get("from")), strings.TrimSpace(v.Get("to")))
	q := audit.Query{Organisation: r.access.Organisation.ID, Actor: v.Get("who"), Action: v.Get("what"), Site: v.Get("site"), From: from, To: after}
	return q, wrong
}

func (c *console) activityPage(r *request, v url.Values) (p activityPage, err error) {
	p = activityPage{Page: c.page(r, "Activity"), From: v.Get("from"), To: v.Get("to"), WhoIs: v.Get("who"), WhatIs: v.Get("what"), SiteIs: v.Get("site"), LeastDays: audit.LeastDays, MostDays: audit.MostDays}
	p.Tab = "activity"
	organisation := r.access.Organisation.ID
	var q audit.Query
	if q, p.Errors = c.activityQuery(r, v); p.Errors != nil {
		q = audit.Query{Organisation: organisation}
	}
	p.Filtered = q != audit.Query{Organisation: organisation}
	q.Before, _ = strconv.ParseInt(v.Get("before"), 10, 64)
	q.Limit = activitiesPerPage + 1
	if p.State, err = c.Audit.State(r.Context(), organisation); err != nil {
		return p, err
	}
	p.Days = strconv.FormatInt(p.State.Days, 10)
	list, err := c.Audit.Search(r.Context(), q)
	if err != nil {
		return p, err
	}
	if len(list) > activitiesPerPage {
		list = list[:activitiesPerPage]
		next := url.Values{"before": {strconv.FormatInt(list[activitiesPerPage-1].Index, 10)}, "org": {organisation}}
		for _, name := range []string{"who", "what", "site", "from", "to"} {
			if value := v.Get(name); value != "" {
				next.Set(name, value)
			}
		}
		p.Older = "/console/activity?" + next.Encode()
	}
	return p, c.fillActivity(r, &p, list)
}

// fillActivity gives entries the names that people read, and the filters their choices.
func (c *console) fillActivity(r *request, p *activityPage, list []audit.Entry) error {
	sites, err := c.Sites.ListOf(r.Context(), r.access.Organisation.ID)
	if err != nil {
		return err
	}
	names, err := c.actorNames(r, list)
	if err != nil {
		return err
	}
	for _, e := range list {
		p.Lines = append(p.Lines, inLine(e, sites, names))
	}
	members, err := c.Accounts.Memberships(r.Context(), r.access.Organisation.ID)
	if err != nil {
		return err
	}
	p.Who = []option{{"", "Anybody", false}}
	for _, m := range members {
		p.Who = append(p.Who, option{m.Member.ID, m.Member.Email, false})
	}
	for _, kind := range []db.ActorKind{db.Command, db.Support, db.Token, db.Job, db.Nobody} {
		p.Who = append(p.Who, option{string(kind), actorWords[kind], false})
	}
	p.Who, p.What = marked(p.Who, p.WhoIs), marked(activityGroups, p.WhatIs)
	p.Sites = []option{{"", "Any, or none", p.SiteIs == ""}}
	for _, s := range sites {
		p.Sites = append(p.Sites, option{s.Key, s.Name, s.Key == p.SiteIs})
	}
	return nil
}

var actorWords = map[db.ActorKind]string{db.Command: "Command line", db.Support: "Operator", db.Token: "API token", db.Job: "The server by itself", db.Nobody: "Somebody who was not signed in", db.Person: "Somebody whose account is gone"}

// actorNames maps IDs of members to addresses, as far as they are known.
func (c *console) actorNames(r *request, list []audit.Entry) (map[string]string, error) {
	var ids []string
	for _, e := range list {
		for _, id := range []string{e.ActorID, e.Target} {
			if id != "" && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return c.Accounts.Emails(r.Context(), ids)
}

func whoWords(e audit.Entry, names map[string]string) string {
	words, name := actorWords[db.ActorKind(e.Actor)], names[e.ActorID]
	switch {
	case name == "":
		return words
	case e.Actor != string(db.Person):
		return name + " (" + strings.ToLower(words) + ")"
	}
	return name
}

func (c *console) listActivity(w http.ResponseWriter, r *request) error {
	p, err := c.activityPage(r, r.URL.Query())
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "activity", p)
}

// exportActivity hands the entries that match over as a file.
func (c *console) exportActivity(w http.ResponseWriter, r *request) error {
	format := r.PostForm.Get("format")
	contentType := map[string]string{audit.NDJSON: "application/x-ndjson", audit.CSV: "text/csv; charset=utf-8"}[format]
	if contentType == "" {
		return fault.New(fault.Invalid, "Choose NDJSON or CSV.")
	}
	q, wrong := c.activityQuery(r, r.PostForm)
	for _, sentence := range wrong {
		return fault.New(fault.Unprocessed, "%s", sentence)
	}
	if err := c.log(r, audit.Exported, "", map[string]string{"format": format, "from": r.PostForm.Get("from"), "to": r.PostForm.Get("to")}); err != nil {
		return err
	}
	names := map[string]string{}
	who := func(e audit.Entry) string {
		if _, asked := names[e.ActorID]; !asked {
			found, err := c.actorNames(r, []audit.Entry{{AuditEntry: receipt.AuditEntry{ActorID: e.ActorID}}})
			if err != nil {
				found = nil // the ID stands beside it
			}
			names[e.ActorID] = found[e.ActorID]
		}
		return names[e.ActorID]
	}
	list, err := c.Audit.Search(r.Context(), audit.Query{Organisation: q.Organisation, Actor: q.Actor, Action: q.Action, Site: q.Site, From: q.From, To: q.To, Limit: 1})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fault.New(fault.NotFound, "No entry matches. Choose fewer conditions, or a longer time.")
	}
	download(w, contentType, "activity-"+q.Organisation+"."+format)
	if _, err := c.Audit.Export(r.Context(), &patient{w: w}, q, format, who); err != nil {
		c.logBroken(r, err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// keepActivity changes how long entries are kept.
func (c *console) keepActivity(w http.ResponseWriter, r *request) error {
	days, err := strconv.ParseInt(strings.TrimSpace(r.PostForm.Get("days")), 10, 64)
	if err != nil {
		days = -1
	}
	if err := c.Audit.Keep(r.Context(), r.access.Organisation.ID, days); fault.KindOf(err) == fault.Unprocessed {
		p, e := c.activityPage(r, url.Values{})
		if e != nil {
			return e
		}
		p.Days, p.Errors = r.PostForm.Get("days"), problems{"days": fault.Message(err)}
		return c.render(w, web.Status(err), "activity", p)
	} else if err != nil {
		return err
	}
	http.Redirect(w, r.Request, "/console/activity?org="+r.access.Organisation.ID+"&done=saved", http.StatusSeeOther)
	return nil
}

func inLine(e audit.Entry, sites []site.Site, names map[string]string) activityLine {
	line := activityLine{Index: e.Index, Time: e.At, Who: whoWords(e, names), What: activityWords[e.Action], SiteKey: e.Site, Changes: e.Changes}
	if line.What == "" {
		line.What = e.Action
	}
	for _, s := range sites {
		if s.Key == e.Site {
			line.SiteName = s.Name
		}
	}
	about := names[e.Target]
	if about == "" {
		about = names[e.Detail["member"]] // entries of before December 2026
	}
	line.Detail = strings.TrimSpace(about + " " + detailWords(e))
	return line
}

// detailWords is what an entry says besides its fields.
func detailWords(e audit.Entry) string {
	d := e.Detail
	switch {
	case d["number"] != "":
		return "number " + d["number"]
	case d["records"] != "":
		n, _ := strconv.Atoi(d["records"])
		return count(n, "record", "records") + ", " + d["why"]
	case d["entries"] != "":
		n, _ := strconv.Atoi(d["entries"])
		return count(n, "entry", "entries")
	case d["page"] != "":
		return d["page"]
	case d["until"] != "": // of a closing
		return d["until"]
	case d["at"] != "": // of a scheduled version
		return d["at"]
	case d["reason"] != "":
		return d["reason"]
	case e.Action == account.SignInFailed && d["times"] != "1":
		return d["times"] + " times"
	case d["role"] != "":
		return strings.ToLower(account.Role(d["role"]).Words())
	case d["rule"] != "":
		return d["rule"]
	case d["what"] != "":
		host := ""
		for _, c := range e.Changes {
			if c.Field == "host" {
				host = c.After + c.Before
			}
		}
		return strings.TrimSpace(d["what"] + " " + host)
	case d["format"] != "":
		words := d["format"]
		if s := spanWords(d["from"], d["to"]); s != "" {
			words += ", " + s
		}
		return words
	}
	for _, c := range e.Changes {
		if c.Field == "role" && c.After != "" {
			return strings.ToLower(account.Role(c.After).Words())
		}
	}
	return ""
}

func (c *console) activityRoutes() []route {
	return []route{
		{"GET /console/activity", account.ViewActivity, c.listActivity},
		{"POST /console/activity/export", account.ViewActivity, c.exportActivity},
		{"POST /console/activity/keep", account.ManageOrganisation, c.keepActivity},
	}
}
