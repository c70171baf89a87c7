package public

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"assent/internal/fault"
	"assent/internal/web"
)

// batch is the body of POST /v1/events: what happened on pages of a site,
// without any ID of a visitor.
type batch struct {
	Site   string  `json:"site"`
	Events []event `json:"events"`
}

type event struct {
	Type  string `json:"type"`  // lower-case letters, digits and _, for example page_view or banner_shown
	Count int    `json:"count"` // how often; 0 stands for once
}

// Limits of one batch.
const (
	maxEvents     = 64
	maxEventBody  = 16 << 10
	maxEventCount = 1000
)

// events checks a batch and forgets it: the counters come with the statistics.
// Until then it promises nothing but that well-formed batches are taken, so
// that clients need no change later.
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
	if _, err := p.owner(w, r, b.Site); err != nil {
		return 0, err
	}
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent, nil
}

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
	for _, e := range b.Events {
		if !isWord(e.Type) || e.Count < 0 || e.Count > maxEventCount {
			return nil, fault.New(fault.Invalid, "An event needs a type of at most 32 lower-case letters, digits and _, and a count of at most %d.", maxEventCount)
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
