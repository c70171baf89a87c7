package public

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/internal/web"

	"github.com/google/uuid"
)

// A visitor finds a record by what the banner's preferences show: the record ID and
// the date. Both have to fit, and what does not is told in one sentence whatever it
// was, so that a guess about one of them tells nothing about the other.

// maxLookup bounds the form; an ID and a date are 60 bytes.
const maxLookup = 2048

// lookupPolicy lets the form be sent to this server, and nothing else.
var lookupPolicy = strings.Replace(pagePolicy, "form-action 'none'", "form-action 'self'", 1)

const notFoundByDate = "There is no record with this record ID and this date. Compare both with your preferences on the site, or with the receipt. A record that was erased cannot be shown either."

// lookup is what the page of the form shows.
type lookup struct {
	page
	ID, Day   string
	About     string // the input that is wrong: "id" or "day"; "" when both may be
	Latest    string // no decision has a later date
	Checkable bool   // there is a page that checks receipts
}

func (p *public) lookupPage(w http.ResponseWriter, r *http.Request) (int, error) {
	return p.showLookup(w, r, http.StatusOK, &lookup{})
}

// lookUp leads to the record's page.
func (p *public) lookUp(w http.ResponseWriter, r *http.Request) (int, error) {
	if _, err := p.spare(r, p.lookupsByNetwork); err != nil {
		return 0, err
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
		return 0, fault.New(fault.Unsupported, "Send the form of this page.")
	}
	body, err := web.ReadBody(r, nil, maxLookup)
	if err != nil {
		return 0, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return 0, fault.New(fault.Invalid, "This is not a form. Fill in the page and send it again.")
	}
	l := &lookup{ID: strings.TrimSpace(form.Get("id")), Day: strings.TrimSpace(form.Get("day"))}
	id, ok := quotedID(l.ID)
	if !ok {
		l.About, l.Failure = "id", "A record ID has 32 letters and digits, mostly in five groups. Copy it whole from your preferences on the site."
		return p.showLookup(w, r, http.StatusUnprocessableEntity, l)
	}
	day, err := time.Parse(time.DateOnly, l.Day)
	if err != nil {
		l.About, l.Failure = "day", "Give the day of the decision as year, month and day, for example 2026-03-01."
		return p.showLookup(w, r, http.StatusUnprocessableEntity, l)
	}
	found, err := p.Register.Find(r.Context(), id)
	switch kind := fault.KindOf(err); {
	case err == nil && within(found.Time, day):
		w.Header().Set("Location", "/r/"+id.String())
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusSeeOther)
		return http.StatusSeeOther, nil
	case err != nil && kind != fault.NotFound && kind != fault.Gone:
		return 0, err
	}
	l.Failure = notFoundByDate
	return p.showLookup(w, r, http.StatusNotFound, l)
}

// within tells whether a moment is of a day somewhere on Earth: people quote the
// date of where they are, which is up to 14 hours ahead of UTC and 12 behind it.
func within(t, day time.Time) bool {
	return !t.Before(day.Add(-14*time.Hour)) && t.Before(day.Add(36*time.Hour))
}

// quotedID reads a record ID as people quote it: with spaces, in capitals, without
// hyphens, or as the address of the record's page.
func quotedID(text string) (uuid.UUID, bool) {
	text = text[strings.LastIndexByte(text, '/')+1:]
	text = strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u00a0' {
			return -1
		}
		return r
	}, text)
	if len(text) != 32 {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(text)
	return id, err == nil
}

func (p *public) showLookup(w http.ResponseWriter, r *http.Request, status int, l *lookup) (int, error) {
	l.Style, l.Heading = pageInline, "Find your consent record"
	l.Latest, l.Checkable = p.Now().Add(14*time.Hour).UTC().Format(time.DateOnly), p.VerifyPage != nil
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "lookup", l); err != nil {
		return 0, err
	}
	writePageUnder(w, r, status, b.Bytes(), lookupPolicy)
	return status, nil
}
