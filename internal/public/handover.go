package public

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"assent/internal/choice"
	"assent/internal/consent"
	"assent/internal/fault"
	"assent/internal/handover"
	"assent/internal/site"
	"assent/internal/web"
)

// crossing is the body of the two requests below.
type crossing struct {
	Site string `json:"site"`
	// Of POST /v1/handovers: the host that the visitor goes to, and the stored choice.
	To     string `json:"to"`
	Choice string `json:"choice"`
	// Of POST /v1/handovers/redeem: what stood in the address, and the host of the
	// page that led here (document.referrer).
	Token string `json:"token"`
	From  string `json:"from"`
}

// maxCrossing bounds a body: a choice and a token have bounds of their own.
const maxCrossing = handover.MaxToken + 2048

// handOver serves POST /v1/handovers: a page of the site asks for a token that
// takes the visitor's choice to another domain of the same site.
func (p *public) handOver(w http.ResponseWriter, r *http.Request) (int, error) {
	live, c, host, visitor, err := p.cross(w, r)
	if err != nil {
		return 0, err
	}
	to := choice.Covering(live.Domains, c.To)
	if to == "" {
		return 0, fault.New(fault.Forbidden, "The choice can only be handed over to another domain of the site. Add the domain to the site in the console.")
	}
	token, err := p.Handovers.Issue(handover.Passage{Site: live.Key, From: host, To: to, Choice: c.Choice}, visitor)
	if err != nil {
		return 0, err
	}
	return answerCrossing(w, http.StatusCreated, "token", token)
}

// takeOver serves POST /v1/handovers/redeem: the page that the visitor came to
// takes the choice, once. Nothing is recorded: consent ID and record stay those of the
// decision that was made.
func (p *public) takeOver(w http.ResponseWriter, r *http.Request) (int, error) {
	live, c, host, visitor, err := p.cross(w, r)
	if err != nil {
		return 0, err
	}
	stored, err := p.Handovers.Redeem(r.Context(), c.Token, live.Key, c.From, host, visitor)
	if err != nil {
		return 0, err
	}
	return answerCrossing(w, http.StatusOK, "choice", stored)
}

// cross reads what both have in common: the site, the host of its page that asks,
// which only a browser's Origin tells, and what is known of the visitor.
func (p *public) cross(w http.ResponseWriter, r *http.Request) (live *site.Live, c *crossing, host string, v handover.Visitor, err error) {
	allowOrigin(w, r)
	if p.Handovers == nil {
		return nil, nil, "", v, fault.New(fault.NotFound, "There is nothing at this address. Check its spelling.")
	}
	network, err := p.admit(r, p.handoversByNetwork)
	if err != nil {
		return nil, nil, "", v, err
	}
	body, err := web.ReadBody(r, nil, maxCrossing)
	if err != nil {
		return nil, nil, "", v, err
	}
	if c, err = readCrossing(body); err != nil {
		return nil, nil, "", v, err
	}
	if live, err = p.owner(w, r, c.Site); err != nil {
		return nil, nil, "", v, err
	}
	if host = consent.HostOf(r.Header.Get("Origin")); host == "" {
		return nil, nil, "", v, fault.New(fault.Forbidden, "A choice is handed over between pages only, whose browser sends an Origin.")
	}
	return live, c, host, handover.Visitor{Network: network, Agent: r.UserAgent()}, nil
}

func readCrossing(body []byte) (*crossing, error) {
	in := json.NewDecoder(bytes.NewReader(body))
	in.DisallowUnknownFields()
	c := new(crossing)
	if err := in.Decode(c); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The body is no hand-over. Send {\"site\":\"…\",\"to\":\"…\",\"choice\":\"…\"}, or {\"site\":\"…\",\"token\":\"…\",\"from\":\"…\"}.")
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "The body holds more than one JSON value. Send one hand-over.")
	}
	return c, nil
}

// answerCrossing writes one member; tokens and choices are plain ASCII without quotes.
func answerCrossing(w http.ResponseWriter, status int, name, value string) (int, error) {
	h := w.Header()
	h["Content-Type"] = typeJSON
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	w.WriteHeader(status)
	io.WriteString(w, `{"`+name+`":"`+value+`"}`)
	return status, nil
}
