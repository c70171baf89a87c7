package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/register"
	"assent/receipt"
)

// recordsPerPage is how many decisions one page lists.
const recordsPerPage = 50

// listed is one record in words, for lists.
type listed struct {
	receipt.Record
	Index int64
	Time  time.Time
}

// toned is a short label with its colour: good, bad, warn, accent or none.
type toned struct{ Label, Tone string }

// Outcome is the status in words.
func (l listed) Outcome() toned { return outcome(l.Status) }

// Act is what the visitor did, in words.
func (l listed) Act() string { return cmp.Or(actions[l.Action], l.Action) }

// Where says where the choice was made, in words.
func (l listed) Where() string { return cmp.Or(sources[l.Source], l.Source) }

func outcome(status string) toned {
	switch status {
	case "accepted_all":
		return toned{"Accepted all", "good"}
	case "accepted_partially":
		return toned{"Accepted some", "accent"}
	case "accepted_necessary":
		return toned{"Necessary only", ""}
	}
	return toned{status, "warn"}
}

var actions = map[string]string{
	"accept_all": "Accepted everything", "accept_necessary": "Refused everything optional", "save": "Chose category by category",
	"withdraw": "Withdrew consent", "signal": "The browser's signal decided",
}

var sources = map[string]string{"banner": "in the banner", "preferences": "in the preferences", "signal": "by a browser signal", "api": "by the site's own code"}

// day is the records of one day.
type day struct {
	Date    string
	Records []listed
}

type registerPage struct {
	Page
	Query    string // what was typed
	From, To string // days, 2006-01-02, both included
	Searched string // what the answer is about, in words; "" for everything
	Days     []day
	Count    int
	Older    string // address of the next page; "" at the end
	Newest   bool   // the first page is shown
	Size     int64  // decisions in the register
	Errors   problems
}

// span is a search's days as instants: from the first, up to but without the
// second; zero values do not restrict.
func span(from, to string) (first, after time.Time, e problems) {
	var err error
	if from != "" {
		if first, err = time.Parse(time.DateOnly, from); err != nil {
			return first, after, problems{"from": "Write the day like 2026-03-31."}
		}
	}
	if to != "" {
		if after, err = time.Parse(time.DateOnly, to); err != nil {
			return first, after, problems{"to": "Write the day like 2026-03-31."}
		}
		after = after.AddDate(0, 0, 1)
	}
	if !first.IsZero() && !after.IsZero() && !first.Before(after) {
		return first, after, problems{"to": "The last day is before the first one."}
	}
	return first, after, nil
}

func (c *console) listRecords(w http.ResponseWriter, r *request) error {
	var p registerPage
	var err error
	if p.Page, err = c.sitePage(r, "register", "Register"); err != nil {
		return err
	}
	v := r.URL.Query()
	p.Query, p.From, p.To = strings.TrimSpace(v.Get("q")), strings.TrimSpace(v.Get("from")), strings.TrimSpace(v.Get("to"))
	if p.Query != "" {
		target, sentence := c.understand(r, p.Query)
		if target != "" {
			http.Redirect(w, r.Request, target, http.StatusSeeOther)
			return nil
		}
		p.Errors = problems{"q": sentence}
	}
	counts, err := c.Register.Counts(r.Context(), p.Site.ID)
	if err != nil {
		return err
	}
	p.Size = counts.Decisions
	status := http.StatusOK
	first, after, wrong := span(p.From, p.To)
	if wrong != nil {
		p.Errors = wrong
	}
	if p.Errors != nil {
		return c.render(w, http.StatusUnprocessableEntity, "register", p)
	}
	before, _ := strconv.ParseInt(v.Get("before"), 10, 64)
	p.Newest = before <= 0
	stored, err := c.Register.Search(r.Context(), register.Query{SiteID: p.Site.ID, From: first, To: after, Before: max(before, 0), Limit: recordsPerPage + 1})
	if err != nil {
		return err
	}
	if len(stored) > recordsPerPage {
		stored = stored[:recordsPerPage]
		if last := stored[recordsPerPage-1].Index; last > 0 {
			p.Older = "/console/sites/" + p.Site.Key + "/register?" + url.Values{"from": {p.From}, "to": {p.To}, "before": {strconv.FormatInt(last, 10)}}.Encode()
		}
	}
	p.Count = len(stored)
	p.Searched = spanWords(p.From, p.To)
	if p.Days, err = byDay(stored); err != nil {
		return err
	}
	return c.render(w, status, "register", p)
}

func spanWords(from, to string) string {
	switch {
	case from == "" && to == "":
		return ""
	case from == to:
		return "on " + from
	case to == "":
		return "since " + from
	case from == "":
		return "up to " + to
	}
	return "from " + from + " to " + to
}

var germanDay = regexp.MustCompile(`^(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})$`)

// understand turns what was typed into the address of its answer: a record ID,
// a consent ID, or a day. Otherwise it says what could be typed.
func (c *console) understand(r *request, q string) (target, sentence string) {
	base := "/console/sites/" + url.PathEscape(r.PathValue("site"))
	today := c.Now().UTC()
	date := ""
	switch lower := strings.ToLower(q); {
	case lower == "today":
		date = today.Format(time.DateOnly)
	case lower == "yesterday":
		date = today.AddDate(0, 0, -1).Format(time.DateOnly)
	default:
		if t, err := time.Parse(time.DateOnly, q); err == nil {
			date = t.Format(time.DateOnly)
		} else if m := germanDay.FindStringSubmatch(q); m != nil {
			if t, err := time.Parse("2006-1-2", m[3]+"-"+m[2]+"-"+m[1]); err == nil {
				date = t.Format(time.DateOnly)
			}
		}
	}
	if date != "" {
		return base + "/register?" + url.Values{"from": {date}, "to": {date}}.Encode(), ""
	}
	if i := strings.LastIndexByte(strings.TrimRight(q, "/"), '/'); i >= 0 {
		q = strings.TrimRight(q, "/")[i+1:] // the address of a receipt
	}
	id, err := uuid.Parse(q)
	if err != nil {
		return "", "Type a record ID or a consent ID (36 characters, from the visitor's preferences or receipt), or a day such as 2026-03-31, today or yesterday."
	}
	if found, err := c.Register.Find(r.Context(), id); err == nil && found.SiteID == r.site.ID {
		return base + "/records/" + id.String(), ""
	} else if err != nil && fault.KindOf(err) != fault.NotFound {
		return "", fault.Message(err)
	}
	history, err := c.Register.Search(r.Context(), register.Query{SiteID: r.site.ID, ConsentID: id, Limit: 1})
	if err != nil {
		return "", fault.Message(err)
	}
	if len(history) > 0 {
		return base + "/visitors/" + id.String(), ""
	}
	return "", "This register has no record and no visitor with that ID. Check the ID, and whether it belongs to another site."
}

func inList(s register.Stored) (listed, error) {
	record, err := receipt.ParseRecord(s.Payload)
	if err != nil {
		return listed{}, err
	}
	return listed{*record, s.Index, s.Time.UTC()}, nil
}

func byDay(stored []register.Stored) ([]day, error) {
	var days []day
	for _, s := range stored {
		l, err := inList(s)
		if err != nil {
			return nil, err
		}
		date := l.Time.Format(time.DateOnly)
		if len(days) == 0 || days[len(days)-1].Date != date {
			days = append(days, day{Date: date})
		}
		last := &days[len(days)-1]
		last.Records = append(last.Records, l)
	}
	return days, nil
}

type visitorPage struct {
	Page
	ConsentID string
	History   []listed // newest first
	Complete  bool     // nothing older was left off
}

// historyLimit is how many decisions of one visitor are shown at once.
const historyLimit = 500

func (c *console) showVisitor(w http.ResponseWriter, r *request) error {
	var p visitorPage
	var err error
	if p.Page, err = c.sitePage(r, "register", "One visitor"); err != nil {
		return err
	}
	id, err := uuid.Parse(r.PathValue("consent"))
	if err != nil {
		return fault.New(fault.NotFound, "That is not a consent ID. Copy it whole from a record or from the visitor's preferences.")
	}
	p.ConsentID = id.String()
	stored, err := c.Register.Search(r.Context(), register.Query{SiteID: p.Site.ID, ConsentID: id, Limit: historyLimit})
	if err != nil {
		return err
	}
	if len(stored) == 0 {
		return fault.New(fault.NotFound, "This register has no visitor with that consent ID.")
	}
	p.Complete = len(stored) < historyLimit
	for _, s := range stored {
		l, err := inList(s)
		if err != nil {
			return err
		}
		p.History = append(p.History, l)
	}
	return c.render(w, http.StatusOK, "visitor", p)
}

// export streams the register, or a span of days of it, as a file.
func (c *console) export(w http.ResponseWriter, r *request) error {
	page, err := c.sitePage(r, "register", "Register")
	if err != nil {
		return err
	}
	format := r.PostForm.Get("format")
	contentType := map[string]string{"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}[format]
	if contentType == "" {
		return fault.New(fault.Invalid, "Choose NDJSON or CSV.")
	}
	from, to := strings.TrimSpace(r.PostForm.Get("from")), strings.TrimSpace(r.PostForm.Get("to"))
	first, after, wrong := span(from, to)
	for _, sentence := range wrong {
		return fault.New(fault.Unprocessed, "%s", sentence)
	}
	if err := c.log(r, account.RegisterExport, page.Site.Key, map[string]string{"format": format, "from": from, "to": to}); err != nil {
		return err
	}
	name := "register-" + page.Site.Key
	for _, part := range []string{from, to} {
		if part != "" {
			name += "-" + part
		}
	}
	download(w, contentType, name+"."+format)
	_, err = c.Register.Export(r.Context(), &patient{w: w}, register.ExportQuery{SiteID: page.Site.ID, Format: format, From: first, To: after})
	if err != nil {
		// The answer has begun: breaking the connection off is the only way to
		// tell the reader that the file is not whole.
		c.logBroken(r, err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// patient writes a long download: as long as the reader takes some of it every
// minute the server's time limit for an answer moves on.
type patient struct {
	w        http.ResponseWriter
	extended time.Time
}

func (p *patient) Write(b []byte) (int, error) {
	if now := time.Now(); now.Sub(p.extended) > 10*time.Second {
		p.extended = now
		// A writer that knows no deadline has none to extend.
		_ = http.NewResponseController(p.w).SetWriteDeadline(now.Add(time.Minute))
	}
	return p.w.Write(b)
}
