package admin

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"assent/internal/account"
	"assent/internal/closing"
	"assent/internal/fault"
	"assent/internal/web"
)

func (c *console) closingRoutes() []route {
	return []route{
		{"GET /console/organisation/closing", account.ManageOrganisation, c.showClosing},
		{"POST /console/organisation/closing", account.ManageOrganisation, c.closeOrganisation},
		{"POST /console/organisation/keep", account.KeepOrganisation, c.keepOrganisation},
		{"POST /console/organisation/export", account.ManageOrganisation, c.exportOrganisation},
		{"GET /console/account/closing", account.AnyMember, c.showAccountClosing},
		{"POST /console/account/closing", account.AnyMember, c.closeAccount},
		{"POST /console/account/export", account.AnyMember, c.exportAccount},
		{"GET /console/operator/closings", account.Operating, c.listClosings},
		{"GET /console/operator/certificate", account.Operating, c.downloadClosing},
	}
}

// closingPage is of an organisation, or of one's own account.
type closingPage struct {
	Page
	Name   string // of the organisation, to be typed
	Sites  int
	Typed  string
	Days   []option
	Asked  *closing.Closing // nil: nobody has asked
	Action string
	Errors problems
}

// graces are what the page offers, in days.
var graces = []int{closing.LeastDays, 14, closing.UsualDays, 60, closing.MostDays}

func graceOptions(chosen int) (list []option) {
	for _, days := range graces {
		list = append(list, option{strconv.Itoa(days), strconv.Itoa(days) + " days", days == chosen})
	}
	return list
}

func (c *console) closingPage(r *request) (p closingPage, err error) {
	p = closingPage{Page: c.page(r, "Delete the organisation"), Name: r.access.Organisation.Name, Days: graceOptions(closing.UsualDays), Action: "/console/organisation/closing"}
	p.Tab, p.Action = "members", p.Action+p.Org()
	sites, err := c.Sites.ListOf(r.Context(), r.access.Organisation.ID)
	if err != nil {
		return p, err
	}
	p.Sites = len(sites)
	p.Asked, err = c.Closing.Of(r.Context(), r.access.Organisation.ID)
	return p, err
}

func (c *console) showClosing(w http.ResponseWriter, r *request) error {
	p, err := c.closingPage(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "closing", p)
}

// closeOrganisation asks for it.
func (c *console) closeOrganisation(w http.ResponseWriter, r *request) error {
	p, err := c.closingPage(r)
	if err != nil {
		return err
	}
	return c.changeClosing(w, r, p, "closing", closing.Asking{Kind: closing.Organisation, Subject: r.access.Organisation.ID})
}

// changeClosing is for both pages: the name has to be typed, for what cannot be undone.
func (c *console) changeClosing(w http.ResponseWriter, r *request, p closingPage, template string, a closing.Asking) error {
	a.By = r.session.Member.ID
	p.Typed = r.PostForm.Get("name")
	days, _ := strconv.Atoi(r.PostForm.Get("days"))
	var err error
	switch {
	case r.PostForm.Get("do") != "delete":
		return fault.New(fault.Invalid, "That button is unknown. Reload the page and try again.")
	case strings.TrimSpace(p.Typed) != strings.TrimSpace(p.Name):
		err = &account.FieldError{Field: "name", Err: fault.New(fault.Unprocessed, "Type %q exactly as it stands here.", p.Name)}
	case !slices.Contains(graces, days):
		err = &account.FieldError{Field: "days", Err: fault.New(fault.Unprocessed, "Choose for how long it can be taken back.")}
	default:
		a.Days = days
		_, err = c.Closing.Ask(r.Context(), a)
	}
	if p.Errors = fieldProblem(err); p.Errors != nil || fault.KindOf(err) == fault.Conflict {
		if p.Errors == nil {
			p.Problem = fault.Message(err)
		}
		p.Days = graceOptions(days)
		return c.render(w, web.Status(err), template, p)
	}
	if err != nil {
		return err
	}
	return c.toClosing(w, r, p.Action, "asked")
}

func (c *console) toClosing(w http.ResponseWriter, r *request, action, done string) error {
	separator := "?"
	if strings.Contains(action, "?") {
		separator = "&"
	}
	http.Redirect(w, r.Request, action+separator+"done="+done, http.StatusSeeOther)
	return nil
}

// keep takes a closing back, with one click. That there is none any more is no error:
// another was faster, or the page is old.
func (c *console) keep(r *request, subject string) error {
	err := c.Closing.Keep(r.Context(), subject, r.session.Member.ID)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}

func (c *console) keepOrganisation(w http.ResponseWriter, r *request) error {
	if err := c.keep(r, r.access.Organisation.ID); err != nil {
		return err
	}
	return c.toClosing(w, r, "/console/members?org="+r.access.Organisation.ID, "kept")
}

// exportOrganisation is the archive of everything.
func (c *console) exportOrganisation(w http.ResponseWriter, r *request) error {
	id := r.access.Organisation.ID
	if err := c.log(r, account.RegisterPack, "", map[string]string{"what": "all of the organisation"}); err != nil {
		return err
	}
	download(w, "application/zip", "organisation-"+id+".zip")
	if err := c.Archive(r.Context(), &patient{w: w}, id); err != nil {
		c.logBroken(r, err)
		panic(http.ErrAbortHandler) // the reader learns that the file is not whole
	}
	return nil
}

func (c *console) accountClosingPage(r *request) (p closingPage, err error) {
	p = closingPage{Page: c.page(r, "Your data"), Name: r.session.Member.Email, Days: graceOptions(closing.UsualDays), Action: "/console/account/closing"}
	p.Tab = "account"
	p.Asked, err = c.Closing.Of(r.Context(), r.session.Member.ID)
	return p, err
}

func (c *console) showAccountClosing(w http.ResponseWriter, r *request) error {
	p, err := c.accountClosingPage(r)
	if err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "account_closing", p)
}

func (c *console) closeAccount(w http.ResponseWriter, r *request) error {
	if r.PostForm.Get("do") == "keep" {
		if err := c.keep(r, r.session.Member.ID); err != nil {
			return err
		}
		return c.toClosing(w, r, "/console/account/closing", "kept")
	}
	if ok, err := c.proved(w, r); !ok {
		return err
	}
	p, err := c.accountClosingPage(r)
	if err != nil {
		return err
	}
	return c.changeClosing(w, r, p, "account_closing", closing.Asking{Kind: closing.Account, Subject: r.session.Member.ID})
}

// exportAccount is all that is stored about who asks.
func (c *console) exportAccount(w http.ResponseWriter, r *request) error {
	if ok, err := c.proved(w, r); !ok {
		return err
	}
	var text bytes.Buffer
	if err := c.Closing.WriteAccount(r.Context(), &text, r.session.Member.ID); err != nil {
		return err
	}
	if err := c.log(r, account.AccountTaken, "", nil); err != nil {
		return err
	}
	download(w, "application/json", "account.json")
	_, err := text.WriteTo(w)
	return ignoreDisconnect(err)
}

type closingsPage struct {
	Page
	Asked []closing.Closing
	Done  []closing.Done
}

// listClosings shows an operator what is to be erased, and the certificates.
func (c *console) listClosings(w http.ResponseWriter, r *request) (err error) {
	p := closingsPage{Page: c.page(r, "Erased for good")}
	p.Tab = "operator"
	if p.Asked, err = c.Closing.List(r.Context()); err != nil {
		return err
	}
	if p.Done, err = c.Closing.Forgotten(r.Context(), 500); err != nil {
		return err
	}
	return c.render(w, http.StatusOK, "closings", p)
}

func (c *console) downloadClosing(w http.ResponseWriter, r *request) error {
	name := r.FormValue("file")
	data, err := c.Closing.File(r.Context(), r.FormValue("id"), name)
	if err != nil {
		return err
	}
	download(w, "application/json", name)
	_, err = w.Write(data)
	return ignoreDisconnect(err)
}
