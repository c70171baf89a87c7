// Package webhook tells the systems of a site's operator what happened there: a
// decision was recorded, a notice version was published, records were erased.
// Messages are signed as Standard Webhooks describes (standardwebhooks.com), wait in
// the outbox (internal/jobs) and are told again until they are taken.
//
// For decisions and erasures the register's log is the outbox: Pump reads on where it
// stopped. Recording a decision writes nothing here, whether there are webhooks or
// not.
package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/fault"
)

// The events.
const (
	Given     = "consent.given"     // the first decision of a visitor, a refusal too: data.status says which
	Changed   = "consent.changed"   // a later one
	Withdrawn = "consent.withdrawn" // the visitor withdrew what they had given
	Published = "version.published" // another notice version is in force
	Erased    = "record.erased"     // records were erased: forget them too
	Ping      = "webhook.test"      // somebody tries the endpoint
)

// Events are those that an endpoint can be told of; Ping it always is.
var Events = []string{Given, Changed, Withdrawn, Published, Erased}

// Endpoint is an address that is told what happens on a site.
type Endpoint struct {
	ID       string // UUIDv7
	SiteID   int64
	URL      string
	Events   []string // a part of Events
	Created  time.Time
	Disabled time.Time // zero: it is told
	Problem  string    // why it is not told
}

// Delivery is a message to an endpoint.
type Delivery struct {
	ID       string // webhook-id, on each attempt the same
	Endpoint string // ID
	Event    string
	Index    int64  // of the record or the erasure in the site's log; -1: of neither
	Version  string // of the notice; "": of none
	Created  time.Time
	State    string // Waiting, Delivered, Failed or Dropped
	Attempts int
	Status   int           // HTTP status of the last answer; 0: there was none
	Took     time.Duration // of the last attempt
	Ended    time.Time     // of the last attempt; zero: there was none
	Problem  string        // what went wrong last
}

// The states of a delivery.
const (
	Waiting   = "waiting"
	Delivered = "delivered"
	Failed    = "failed"  // given up; it can be replayed
	Dropped   = "dropped" // there is nothing to tell any more: the record was erased
)

// secretPrefix marks a secret of Standard Webhooks; base64 follows.
const secretPrefix = "whsec_"

// secret is one that messages to an endpoint are signed with.
type secret struct {
	Secret string `json:"secret"`          // with its prefix
	Until  int64  `json:"until,omitempty"` // Unix milliseconds; 0: it is the one in use
}

func newSecret() string {
	b := make([]byte, 24)
	rand.Read(b)
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}

// sign makes the header webhook-signature: "v1," and the base64 of HMAC-SHA256 over
// ID, timestamp and body, for each secret that holds now.
func sign(secrets []secret, id string, at time.Time, body []byte) (string, error) {
	var list []string
	for _, s := range secrets {
		if s.Until != 0 && at.UnixMilli() >= s.Until {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Secret, secretPrefix))
		if err != nil {
			return "", err
		}
		m := hmac.New(sha256.New, key)
		m.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		m.Write(body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
	}
	return strings.Join(list, " "), nil
}

// Message is a signed message on its way to an endpoint.
type Message struct {
	URL       string
	ID        string
	Timestamp time.Time
	Signature string
	Body      []byte
}

// body is what a message says.
func body(event string, at time.Time, data any) ([]byte, error) {
	return json.Marshal(struct {
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"` // when it happened
		Data      any    `json:"data"`
	}{event, at.UTC().Format("2006-01-02T15:04:05.000Z"), data})
}

// checkEvents reads a list of events; none is all of them.
func checkEvents(list []string) ([]string, error) {
	if len(list) == 0 {
		return Events, nil
	}
	var events []string
	for _, e := range Events { // in this order, each once
		if slices.Contains(list, e) {
			events = append(events, e)
		}
	}
	for _, e := range list {
		if !slices.Contains(Events, e) {
			return nil, fault.New(fault.Unprocessed, "There is no event %q. Use %s.", e, strings.Join(Events, ", "))
		}
	}
	return events, nil
}
