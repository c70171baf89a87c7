package public

import (
	"bytes"
	_ "embed"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/internal/site"
	"assent/internal/web"
	"assent/receipt"

	"github.com/google/uuid"
)

var errNoRecord = fault.New(fault.NotFound, "There is no record with this ID. Compare it with the one that the banner shows; a record that was erased cannot be shown either.")

// recordID reads the ID in the path; people may have copied it in capitals.
func recordID(r *http.Request) (uuid.UUID, error) {
	text := r.PathValue("record_id")
	id, err := uuid.Parse(text)
	if err != nil || id.String() != strings.ToLower(text) {
		return uuid.Nil, errNoRecord
	}
	return id, nil
}

// receipt serves a record's receipt as JSON. Who knows the record ID, a random
// number, may have it; it is not for caches.
func (p *public) receipt(w http.ResponseWriter, r *http.Request) (int, error) {
	w.Header()["Access-Control-Allow-Origin"] = anyOrigin
	id, err := recordID(r)
	if err != nil {
		return 0, err
	}
	data, err := p.Register.Receipt(r.Context(), id)
	if err != nil {
		return 0, err
	}
	h := w.Header()
	h["Content-Type"] = typeJSON
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["X-Robots-Tag"] = []string{"noindex"}
	if r.URL.Query().Get("download") == "1" {
		h.Set("Content-Disposition", `attachment; filename="receipt-`+id.String()+`.json"`)
	}
	return send(w, r, data)
}

//go:embed receipt.css
var pageStyle string

//go:embed receipt.html
var pageText string

var (
	pages      = template.Must(template.New("pages").Parse(pageText))
	pageInline = template.CSS("\n" + pageStyle)
	pagePolicy = "default-src 'none'; style-src " + web.InlineHash(string(pageInline)) + "; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

// page is what the template of /r/{record_id} shows.
type page struct {
	Style    template.CSS
	Heading  string
	Valid    bool
	Failure  string
	Record   *receipt.Record
	Decision string
	How      string
	Time     time.Time
	Site     string
	Number   int    // of the notice version within its site; 0 when unknown
	Language string // of the names below, for the lang attribute
	Groups   []group
	Kept     []kept
	Steps    []receipt.Step
	Result   *receipt.Result
	Download string
	File     string
	Log      *logState // of /log/{site}
	Path     string    // site key, for addresses
}

// group is a category with its services.
type group struct {
	answer
	Services []answer
}

type answer struct {
	Name    string
	Granted bool
}

// kept is one thing that was kept of the circumstances.
type kept struct{ Name, Value string }

// receiptPage shows a record to people, and checks its receipt as anybody could.
func (p *public) receiptPage(w http.ResponseWriter, r *http.Request) (int, error) {
	id, err := recordID(r)
	if err != nil {
		return 0, err
	}
	data, err := p.Register.Receipt(r.Context(), id)
	if err != nil {
		return 0, err
	}
	result, err := receipt.Verify(data, "")
	if err != nil {
		return 0, err
	}
	pg := &page{
		Heading: "Your consent record", Valid: result.Valid, Failure: result.Failure(), Record: result.Record, Steps: result.Steps, Result: result,
		Download: "/v1/receipts/" + id.String() + "?download=1", File: "receipt-" + id.String() + ".json",
	}
	if rec := result.Record; rec != nil {
		pg.Decision, pg.How, pg.Kept = decided[rec.Status], happened[rec.Action], keptOf(rec)
		if pg.Time, err = time.Parse(time.RFC3339, rec.Time); err != nil {
			return 0, err
		}
		p.name(r, pg)
	}
	return p.show(w, r, http.StatusOK, "receipt", pg)
}

// name fills in what things were called in the notice that was shown. Where
// that version is gone the keys have to do.
func (p *public) name(r *http.Request, pg *page) {
	rec := pg.Record
	pg.Site, pg.Language = rec.Site, rec.Language
	n := &site.Notice{}
	if v, err := p.Cache.Version(r.Context(), rec.Site, rec.Version); err == nil {
		n, pg.Number = v.Notice, v.Number
	}
	if n.Controller.Name != "" {
		pg.Site = n.Controller.Name
	}
	names := n.Texts[rec.Language].CategoryName
	for _, key := range categoryOrder(n, rec) {
		g := group{answer: answer{names[key], rec.Categories[key]}}
		if g.Name == "" {
			g.Name, pg.Language = key, ""
		}
		for i := range n.Services {
			s := &n.Services[i]
			if granted, asked := rec.Services[s.Key]; asked && s.Category == key {
				g.Services = append(g.Services, answer{s.Name, granted})
			}
		}
		pg.Groups = append(pg.Groups, g)
	}
}

// categoryOrder lists the record's categories as the notice showed them, and
// those that it does not know by name.
func categoryOrder(n *site.Notice, rec *receipt.Record) []string {
	var order []string
	for _, c := range n.Categories {
		if _, asked := rec.Categories[c.Key]; asked {
			order = append(order, c.Key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rec.Categories)) {
		if !slices.Contains(order, key) {
			order = append(order, key)
		}
	}
	return order
}

var decided = map[string]string{
	"accepted_all":       "Everything was accepted",
	"accepted_partially": "A part was accepted",
	"accepted_necessary": "Only the necessary was accepted",
}

var happened = map[string]string{
	"accept_all":       "by accepting all",
	"accept_necessary": "by refusing all",
	"save":             "by choosing one by one",
	"withdraw":         "by withdrawing consent",
	"signal":           "by a signal of the browser",
}

// keptOf lists what was kept besides the decision, in words.
func keptOf(r *receipt.Record) []kept {
	var list []kept
	for _, k := range []kept{
		{"Page", r.Page}, {"Language of the notice", r.Language}, {"Kind of device", r.Device}, {"Browser family", r.Browser},
		{"Country", r.Country}, {"Network, shortened", r.Network}, {"Rule by which was asked", r.Regime},
	} {
		if k.Value != "" {
			list = append(list, k)
		}
	}
	if r.GPC {
		list = append(list, kept{"Global Privacy Control", "was on"})
	}
	return list
}

func (p *public) show(w http.ResponseWriter, r *http.Request, status int, name string, pg *page) (int, error) {
	pg.Style = pageInline
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, pg); err != nil {
		return 0, err
	}
	writePage(w, r, status, b.Bytes())
	return status, nil
}

func writePage(w http.ResponseWriter, r *http.Request, status int, text []byte) {
	writePageUnder(w, r, status, text, pagePolicy)
}

func writePageUnder(w http.ResponseWriter, r *http.Request, status int, text []byte, policy string) {
	h := w.Header()
	web.SecureHeaders(h, policy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(text)
	}
}

// errorPage is an error for people; programs that do not ask for HTML get the
// problem that the other addresses give.
func errorPage(w http.ResponseWriter, r *http.Request, err error) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		problem(w, r, err)
		return
	}
	status := web.Status(err)
	web.Log(r, status, err)
	heading := "This cannot be shown"
	if status == http.StatusNotFound {
		heading = "Not found"
	}
	var b bytes.Buffer
	if pages.ExecuteTemplate(&b, "failure", &page{Style: pageInline, Heading: heading, Failure: visitorSentence(err)}) != nil {
		web.Problem(w, r, err)
		return
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	writePage(w, r, status, b.Bytes())
}
