package public

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"assent/internal/fault"
	"assent/internal/site"
	"assent/internal/stats"
	"assent/internal/web"
)

// batch is the body of POST /v1/events: what happened on pages of a site,
// without any ID of a visitor.
type batch struct {
	Site   string  `json:"site"`
	Events []event `json:"events"`

	// What page_view and the events of the banner are counted by (stats.About); each may
	// be missing. The host is the Origin's, the rest is the server's own knowledge.
	Version  string `json:"version"`  // of the notice in the page
	Language string `json:"language"` // in which the page shows it
	Page     string `json:"page"`     // path; its class is kept
	// Referrer is the host of the page before; "" for none.
	Referrer string `json:"referrer"`
	Source   string `json:"utm_source"`
	Medium   string `json:"utm_medium"`
	Campaign string `json:"utm_campaign"`
}

type event struct {
	// Type is lower-case letters, digits and _, for example page_view or
	// banner_shown. "blocked" and "allowed" tell of a host or a name that pages
	// wanted; the members below are theirs alone.
	Type  string `json:"type"`
	Count int    `json:"count"` // how often; 0 stands for once

	Kind      string `json:"kind"`      // request, cookie, local_storage, session_storage or indexed_db
	Name      string `json:"name"`      // host with its port unless it is the scheme's own; or what was stored under
	Directive string `json:"directive"` // of requests: effective directive (CSP Level 3) or initiator type (Resource Timing)
	Page      string `json:"page"`      // path; its class is kept
}

// Limits of one batch.
const (
	maxEvents     = 64
	maxEventBody  = 16 << 10
	maxEventCount = 1000
	maxEventText  = 2000 // bytes of each text
)

// events counts what pages wanted and no service declares (stats.Seen), and, where the
// notice in force says so, views and the banner (count). Other events are checked and
// forgotten: a client may be newer than this server.
func (p *public) events(w http.ResponseWriter, r *http.Request) (int, error) {
	allowOrigin(w, r)
	if _, err := p.admit(r, p.eventsByNetwork); err != nil {
		return 0, err
	}
	buffer := p.buffers.Get().(*[]byte)
	defer p.buffers.Put(buffer)
	body, err := web.ReadBody(r, (*buffer)[:0], maxEventBody)
	*buffer = body[:0]
	if err != nil {
		return 0, err
	}
	b, err := readBatch(body)
	if err != nil {
		return 0, err
	}
	live, err := p.owner(w, r, b.Site)
	if err != nil {
		return 0, err
	}
	p.ran(r, live, b)
	if err := p.seen(r.Context(), live, b.Events); err != nil {
		return 0, err
	}
	if err := p.count(r, live, b); err != nil {
		return 0, err
	}
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent, nil
}

// seen counts the hosts and names of a batch. Nothing of it is believed: it is
// put into classes again, and what belongs to the site, to this server or to a
// service of the notice in force is dropped.
func (p *public) seen(ctx context.Context, live *site.Live, events []event) error {
	if p.Stats == nil {
		return nil
	}
	var notice *site.Notice
	for _, e := range events {
		if !e.reports() {
			continue
		}
		if notice == nil {
			version, err := p.Cache.Version(ctx, live.Key, live.Version)
			if err != nil {
				return err
			}
			notice = version.Notice
		}
		// The whole name may be declared where its class is not.
		if e.Kind == "request" && p.ours(live, e.Name) || notice.Declares(e.Kind, e.Name) != nil {
			continue
		}
		if class, ok := stats.Class(e.Kind, e.Name, e.Directive, e.Page, e.Type == "allowed"); ok && stats.DeclaredBy(notice, stats.Name{Kind: class.Kind, Name: class.Name}) == nil {
			p.Stats.Add(live.ID, class, max(e.Count, 1))
		}
	}
	return nil
}

// ours tells whether a host, with or without a port, is the site's or this server's.
func (p *public) ours(live *site.Live, host string) bool {
	host = strings.ToLower(host)
	if _, own, _ := strings.Cut(p.PublicURL(), "://"); host == own {
		return true
	}
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return live.Owns(host)
}

// reports tells whether the event is about a host or a name.
func (e *event) reports() bool { return e.Type == "blocked" || e.Type == "allowed" }

func readBatch(body []byte) (*batch, error) {
	in := json.NewDecoder(bytes.NewReader(body))
	in.DisallowUnknownFields()
	b := new(batch)
	if err := in.Decode(b); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The body is not a batch of events. Send {\"site\":\"…\",\"events\":[{\"type\":\"page_view\"}]}.")
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "The body holds more than one JSON value. Send one batch.")
	}
	if len(b.Events) == 0 || len(b.Events) > maxEvents {
		return nil, fault.New(fault.Invalid, "A batch holds 1 to %d events, not %d.", maxEvents, len(b.Events))
	}
	if max(len(b.Version), len(b.Language), len(b.Page), len(b.Referrer), len(b.Source), len(b.Medium), len(b.Campaign)) > maxEventText {
		return nil, fault.New(fault.Invalid, "A text of the batch is longer than %d bytes. Shorten it.", maxEventText)
	}
	for i := range b.Events {
		e := &b.Events[i]
		if e.reports() { // a busy page's count is no reason to refuse the others
			e.Count = min(e.Count, maxEventCount)
		}
		if !isWord(e.Type) || e.Count < 0 || e.Count > maxEventCount {
			return nil, fault.New(fault.Invalid, "An event needs a type of at most 32 lower-case letters, digits and _, and a count of at most %d.", maxEventCount)
		}
		if about := e.Kind + e.Name + e.Directive + e.Page; !e.reports() && about != "" {
			return nil, fault.New(fault.Invalid, "Only events of the types blocked and allowed have a kind, a name, a directive or a page.")
		}
		if max(len(e.Kind), len(e.Name), len(e.Directive), len(e.Page)) > maxEventText {
			return nil, fault.New(fault.Invalid, "A text of an event is longer than %d bytes. Shorten it.", maxEventText)
		}
	}
	return b, nil
}

func isWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 32
}
