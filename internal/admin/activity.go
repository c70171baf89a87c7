package admin

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/site"
)

// activitiesPerPage is how many lines of the log one page shows.
const activitiesPerPage = 50

type activityPage struct {
	Page
	Lines []activityLine
	Older string // cursor of the next page
}

type activityLine struct {
	Time              time.Time
	Who, What, Detail string
	SiteKey, SiteName string
}

var activityWords = map[string]string{
	account.MemberSetUp: "Set up the first account", account.MemberAdded: "Added a member", account.MemberLink: "Made a password link",
	account.SignedIn: "Signed in", account.SignedOut: "Signed out", account.PasswordSet: "Set a password by link",
	account.PasswordChanged: "Changed the password", account.SiteAdded: "Added the site", account.SiteDomains: "Changed name or domains",
	account.DraftSaved: "Saved the draft", account.StatsChanged: "Changed how statistics are kept", account.SeenIgnored: "Changed what is ignored", account.SeenCleared: "Started the list of what was seen anew",
	account.SiteScheduled: "Scheduled a version", account.SiteUnscheduled: "Cancelled a scheduled version", account.SiteRolledBack: "Put an older version in force again",
	account.SitePublished: "Published a version", account.RegisterExport: "Exported the register",
	account.ReceiptDownload: "Downloaded a receipt", account.RegisterErase: "Erased records", account.RetentionRun: "Removed records by retention rule",
	account.RetentionRule: "Changed how long records are kept",
	account.Restored:      "Restored a backup",
	account.KeyRotated:    "Replaced the signing key",
	account.RegisterPack:  "Made an evidence pack", account.BackedUp: "Made a backup", account.WitnessChanged: "Changed the witnesses",
	account.WebhookChanged: "Changed a webhook", account.TokenAdded: "Made an API token", account.TokenRevoked: "Revoked an API token",
	account.SignInFailed: "Failed to sign in", account.Viewed: "Opened a page",
	account.MemberInvited: "Invited a person", account.InvitationWithdrawn: "Withdrew an invitation", account.MemberRemoved: "Removed a member",
	account.RoleChanged: "Changed a role", account.SessionEnded: "Ended another session", account.SecondFactorOn: "Switched the second factor on",
	account.SecondFactorOff: "Switched the second factor off", account.RecoveryUsed: "Used a recovery code",
	account.OperatorEntered: "Looked in as an operator", account.OperatorLeft: "Left as an operator",
	account.OperatorMade: "Made somebody an operator of the server", account.OperatorUnmade: "Made somebody an operator no longer",
	account.ClosingAsked: "Asked to delete the organisation", account.ClosingKept: "Took the deleting of the organisation back",
	account.AccountClosing: "Asked to close the account", account.AccountKept: "Took the closing of the account back", account.AccountTaken: "Took along what is stored about them",
	account.OrganisationAdded: "Made the organisation", account.OrganisationRenamed: "Renamed the organisation",
}

func (c *console) listActivity(w http.ResponseWriter, r *request) error {
	p := activityPage{Page: c.page(r, "Activity")}
	p.Tab = "activity"
	list, err := c.Accounts.ActivitiesOf(r.Context(), r.access.Organisation.ID, r.URL.Query().Get("before"), activitiesPerPage+1)
	if err != nil {
		return err
	}
	if len(list) > activitiesPerPage {
		list = list[:activitiesPerPage]
		p.Older = list[activitiesPerPage-1].ID
	}
	sites, err := c.Sites.ListOf(r.Context(), r.access.Organisation.ID)
	if err != nil {
		return err
	}
	var ids []string
	for _, a := range list {
		if id := a.Detail["member"]; id != "" {
			ids = append(ids, id)
		}
	}
	emails, err := c.Accounts.Emails(r.Context(), ids)
	if err != nil {
		return err
	}
	for _, a := range list {
		line := inLine(a, sites)
		if email := emails[a.Detail["member"]]; email != "" {
			line.Detail = strings.TrimSpace(email + " " + line.Detail)
		}
		p.Lines = append(p.Lines, line)
	}
	return c.render(w, http.StatusOK, "activity", p)
}

func inLine(a account.Activity, sites []site.Site) activityLine {
	line := activityLine{Time: a.Time, Who: a.Email, What: activityWords[a.Action], SiteKey: a.Site}
	if line.Who == "" {
		line.Who = "Command line"
	}
	if line.What == "" {
		line.What = a.Action
	}
	for _, s := range sites {
		if s.Key == a.Site {
			line.SiteName = s.Name
		}
	}
	switch {
	case a.Detail["number"] != "":
		line.Detail = "number " + a.Detail["number"]
	case a.Detail["records"] != "":
		n, _ := strconv.Atoi(a.Detail["records"])
		line.Detail = count(n, "record", "records") + ", " + a.Detail["why"]
	case a.Detail["page"] != "":
		line.Detail = a.Detail["page"]
	case a.Detail["until"] != "":
		line.Detail = a.Detail["until"]
	case a.Detail["reason"] != "":
		line.Detail = a.Detail["reason"]
	case a.Action == account.SignInFailed && a.Detail["times"] != "1":
		line.Detail = a.Detail["times"] + " times"
	case a.Detail["role"] != "":
		line.Detail = strings.ToLower(account.Role(a.Detail["role"]).Words())
	case a.Detail["rule"] != "":
		line.Detail = a.Detail["rule"]
	case a.Detail["what"] != "":
		line.Detail = a.Detail["what"]
	case a.Detail["format"] != "":
		line.Detail = a.Detail["format"]
		if words := spanWords(a.Detail["from"], a.Detail["to"]); words != "" {
			line.Detail += ", " + words
		}
	}
	return line
}
