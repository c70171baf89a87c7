package demo

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// View is one page view of the shop and what every third party received in it.
type View struct {
	ID      int       `json:"id"` // from 1 on
	Time    time.Time `json:"time"`
	Page    string    `json:"page"`    // path
	Without bool      `json:"without"` // the page was served without the tag
	// Received is by third party (analytics, advertising, video, fonts), in
	// order of arrival. A request belongs to the page view that was newest when
	// it arrived, unless it names a page load that was seen before: the beacon
	// that a page sends when it is left comes after the next page was asked for.
	Received map[string][]Request `json:"received"`
}

// Request is one request that a third party received.
type Request struct {
	Time   time.Time `json:"time"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Told   []string  `json:"told"`   // names of the values in query and body
	Cookie []string  `json:"cookie"` // names of its own cookies that the browser sent

	load string // the third party's own ID of the page load, or ""
}

// What the journal keeps at most, so that a demo left open stays small.
const (
	viewsKept    = 30
	requestsKept = 100 // of one third party in one page view
	bodyRead     = 16 << 10
)

// journal notes what third parties receive and wakes those who follow it.
type journal struct {
	mu        sync.Mutex
	views     []*View // oldest first
	lastID    int
	followers map[chan struct{}]bool
}

func newJournal() *journal { return &journal{followers: map[chan struct{}]bool{}} }

// Views returns the page views so far, newest first.
func (d *Demo) Views() []View { return d.journal.snapshot() }

func (j *journal) snapshot() []View {
	j.mu.Lock()
	defer j.mu.Unlock()
	views := make([]View, 0, len(j.views))
	for _, v := range slices.Backward(j.views) {
		c := *v
		c.Received = make(map[string][]Request, len(v.Received))
		for key, requests := range v.Received {
			c.Received[key] = slices.Clone(requests)
		}
		views = append(views, c)
	}
	return views
}

// open begins a page view.
func (j *journal) open(page string, without bool) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lastID++
	j.views = append(j.views, &View{ID: j.lastID, Time: time.Now(), Page: page, Without: without, Received: map[string][]Request{}})
	if len(j.views) > viewsKept {
		j.views = slices.Delete(j.views, 0, len(j.views)-viewsKept)
	}
	j.wake()
	return j.lastID
}

func (j *journal) note(party string, r Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.views) == 0 {
		return // somebody called a third party by hand
	}
	v := j.viewOf(party, r.load)
	if len(v.Received[party]) < requestsKept {
		v.Received[party] = append(v.Received[party], r)
	}
	j.wake()
}

// viewOf must be called with mu held and at least one view.
func (j *journal) viewOf(party, load string) *View {
	for _, v := range slices.Backward(j.views) {
		if load != "" && slices.ContainsFunc(v.Received[party], func(r Request) bool { return r.load == load }) {
			return v
		}
	}
	return j.views[len(j.views)-1]
}

// wake must be called with mu held.
func (j *journal) wake() {
	for f := range j.followers {
		select {
		case f <- struct{}{}:
		default: // it is awake already and will read everything
		}
	}
}

// follow returns a channel that is written to after changes, and its end.
func (j *journal) follow() (changed <-chan struct{}, end func()) {
	f := make(chan struct{}, 1)
	f <- struct{}{} // the first look
	j.mu.Lock()
	j.followers[f] = true
	j.mu.Unlock()
	return f, func() {
		j.mu.Lock()
		delete(j.followers, f)
		j.mu.Unlock()
	}
}

// watch notes every request before the third party answers it.
func (j *journal) watch(p party) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodOptions { // a preflight carries nothing
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyRead))
			if err != nil {
				http.Error(w, "The body is larger than 16 KB.", http.StatusRequestEntityTooLarge)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			names, load := told(r, body)
			j.note(p.key, Request{
				Time: time.Now(), Method: r.Method, Path: r.URL.Path,
				Told: names, Cookie: p.own(r.Cookies()), load: load,
			})
		}
		p.handler.ServeHTTP(w, r)
	})
}

// own leaves the names of the third party's own cookies: a cookie belongs to a
// host and not to a port, so here the browser sends those of its neighbours too.
func (p party) own(cookies []*http.Cookie) []string {
	names := []string{}
	for _, c := range cookies {
		if slices.Contains(p.cookies, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// told lists the names of what a request carries, sorted and without repeats,
// and the page load that it names.
func told(r *http.Request, body []byte) (names []string, load string) {
	names = []string{}
	query := r.URL.Query()
	for name := range query {
		names = append(names, name)
	}
	load = query.Get("load")
	var fields map[string]any
	if strings.HasPrefix(strings.TrimSpace(string(body)), "{") && json.Unmarshal(body, &fields) == nil {
		for name, v := range fields {
			names = append(names, name)
			if s, ok := v.(string); ok && name == "load" {
				load = s
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), load
}
