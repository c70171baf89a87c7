package public

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/web"
	"assent/receipt"
)

// logPage shows a site's register to people: how large it is, what it signed, who
// cosigned that, and how to check it without this server.
func (p *public) logPage(w http.ResponseWriter, r *http.Request) (int, error) {
	live, state, err := p.stateOf(w, r)
	if err != nil {
		return 0, err
	}
	cosigned, found, err := p.Register.Cosigned(r.Context(), live.ID)
	if err != nil {
		return 0, err
	}
	counts, err := p.Register.Counts(r.Context(), live.ID)
	if err != nil {
		return 0, err
	}
	pg := &page{Heading: "The register", Site: live.Key, Path: live.Key}
	if v, err := p.Cache.Version(r.Context(), live.Key, live.Version); err == nil {
		pg.Site = nameOf(v.Notice, live)
	}
	pg.Log = &logState{LogState: state, Counts: counts, URL: p.PublicURL() + "/log/" + live.Key}
	if found {
		pg.Log.Cosigned, pg.Log.Behind = &cosigned, state.Size-cosigned.Size
		for _, c := range cosigned.Cosignatures {
			pg.Log.Cosigners = append(pg.Log.Cosigners, cosigner{c, age(p.Now().Sub(c.Time))})
		}
	}
	return p.show(w, r, http.StatusOK, "log", pg)
}

// logState is what the template of /log/{site} shows.
type logState struct {
	register.LogState
	register.Counts
	URL       string
	Cosigned  *register.Cosigned // nil: no witness cosigned yet
	Behind    int64              // entries since then
	Cosigners []cosigner
}

type cosigner struct {
	receipt.Cosignature
	Age string
}

func nameOf(n *site.Notice, live *site.Live) string {
	if n.Controller.Name != "" {
		return n.Controller.Name
	}
	return strings.Join(live.Domains, ", ")
}

// age is a span of time in words, in its largest unit.
func age(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / u.of); n > 1 {
			return strconv.Itoa(n) + " " + u.name + "s ago"
		} else if n == 1 {
			return "1 " + u.name + " ago"
		}
	}
	return "less than a minute ago"
}

// verifyPage serves the page that checks a receipt without sending it.
func (p *public) verifyPage(w http.ResponseWriter, r *http.Request) (int, error) {
	if p.VerifyPage == nil {
		return 0, fault.New(fault.NotFound, "This server has no page that checks receipts.")
	}
	text, policy := p.VerifyPage()
	web.SecureHeaders(w.Header(), policy+"; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	return send(w, r, text)
}
