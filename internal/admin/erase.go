package admin

import (
	"net/http"
	"slices"
	"strconv"

	"assent/internal/account"
	"assent/internal/register"
)

// erasePage asks before a record, or all of its visitor's, is erased.
type erasePage struct {
	Page
	Record  listed
	Of      int // decisions of the visitor, up to historyLimit
	Many    bool
	Reasons []option
	Errors  problems
}

var reasonWords = map[register.Reason]string{
	register.OnRequest: "The person asked for it",
	register.Unlawful:  "It should not have been recorded",
	register.Closed:    "The site is given up",
	register.Test:      "It was a trial",
}

func (c *console) erasePage(r *request) (p erasePage, s register.Stored, err error) {
	if p.Page, err = c.sitePage(r, "register", "Erase"); err != nil {
		return p, s, err
	}
	if s, err = c.stored(r, p.Site.ID); err != nil {
		return p, s, err
	}
	if p.Record, err = inList(s); err != nil {
		return p, s, err
	}
	history, err := c.Register.Search(r.Context(), register.Query{SiteID: s.SiteID, ConsentID: s.ConsentID, Limit: historyLimit})
	p.Of = len(history)
	p.Reasons = append(p.Reasons, option{"", "Choose a reason", true})
	for _, reason := range register.Reasons {
		p.Reasons = append(p.Reasons, option{string(reason), reasonWords[reason], false})
	}
	return p, s, err
}

func (c *console) showErase(w http.ResponseWriter, r *request) error {
	p, _, err := c.erasePage(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "erase", p)
}

func (c *console) erase(w http.ResponseWriter, r *request) error {
	p, s, err := c.erasePage(r)
	if err != nil {
		return err
	}
	reason := register.Reason(r.PostForm.Get("reason"))
	p.Many = r.PostForm.Get("what") == "visitor"
	for i := range p.Reasons {
		p.Reasons[i].Chosen = p.Reasons[i].Value == string(reason)
	}
	if !slices.Contains(register.Reasons, reason) {
		p.Reasons[0].Chosen = true
		p.Errors = problems{"reason": "Say why: the register keeps the reason."}
		return c.render(w, http.StatusUnprocessableEntity, "erase", p)
	}
	// The register erases in transactions of its own, each of which says so in its own log.
	// That somebody asked for it is written before.
	if err := c.log(r, account.RegisterErasing, p.Site.Key, map[string]string{"what": map[bool]string{true: "a visitor's records", false: "a record"}[p.Many] + ", " + string(reason)}); err != nil {
		return err
	}
	var done register.Removed
	if p.Many {
		done, err = c.Register.EraseConsent(r.Context(), s.SiteID, s.ConsentID, reason)
	} else {
		done, err = c.Register.EraseRecord(r.Context(), s.RecordID, reason)
	}
	if done.Records > 0 {
		detail := map[string]string{"records": strconv.FormatInt(done.Records, 10), "why": string(reason)}
		if err := c.log(r, account.RegisterErase, p.Site.Key, detail); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r.Request, "/console/sites/"+p.Site.Key+"/register?done=erased", http.StatusSeeOther)
	return nil
}
