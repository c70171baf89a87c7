package webhook

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"assent/internal/fault"
	"assent/internal/jobs"
	"assent/receipt"
)

// gone is the HTTP status with which a receiver says that it wants no more.
const gone = 410

// deliver makes one attempt. Its payload is the delivery's ID.
func (s *Store) deliver(ctx context.Context, j jobs.Job) jobs.Outcome {
	d, err := s.Delivery(ctx, j.Payload)
	if fault.KindOf(err) == fault.NotFound { // removed with its endpoint
		return jobs.Outcome{}
	}
	if err != nil {
		return jobs.Outcome{Err: err}
	}
	var sealed, url string
	var siteID, disabled int64
	err = s.DB.Read().QueryRowContext(ctx, "select url, site_id, secrets, disabled_at from webhook where id = $1", d.Endpoint).Scan(&url, &siteID, &sealed, &disabled)
	if errors.Is(err, sql.ErrNoRows) {
		return jobs.Outcome{}
	}
	if err != nil {
		return jobs.Outcome{Err: s.DB.Explain(err)}
	}
	if disabled != 0 && d.Event != Ping {
		return s.ended(d, result{state: Failed, problem: "The endpoint was disabled before this was told."})
	}
	text, err := s.say(ctx, siteID, d)
	if fault.KindOf(err) == fault.Gone {
		return s.ended(d, result{state: Dropped, problem: fault.Message(err)})
	}
	if err != nil {
		return jobs.Outcome{Err: err}
	}
	secrets, err := s.openSecrets(sealed)
	if err != nil {
		return jobs.Outcome{Err: err}
	}
	begin := s.Now()
	m := Message{URL: url, ID: d.ID, Timestamp: begin, Body: text}
	if m.Signature, err = sign(secrets, d.ID, begin, text); err != nil {
		return jobs.Outcome{Err: err}
	}
	status, after, err := s.Send(ctx, m)
	r := result{status: status, took: s.Now().Sub(begin)}
	if err == nil {
		r.state = Delivered
		return s.ended(d, r)
	}
	r.problem = fault.Message(err)
	out := s.ended(d, r)
	out.Err, out.After = err, after
	if status == gone { // Standard Webhooks: the receiver wants no more
		r.state = Failed
		out = s.ended(d, r)
		out.Note = s.disable(d.Endpoint, "The receiver answered 410 Gone: it wants no more messages.", out.Note)
	}
	return out
}

// result is how an attempt ended. Without a state the delivery waits for another, if
// there is one.
type result struct {
	state   string
	status  int
	took    time.Duration
	problem string
}

// ended writes a result when the job's end is written.
func (s *Store) ended(d Delivery, r result) jobs.Outcome {
	return jobs.Outcome{Note: func(ctx context.Context, tx *sql.Tx, next time.Time) error {
		state := r.state
		if state == "" {
			if state = Waiting; next.IsZero() {
				state = Failed
			}
		}
		_, err := tx.ExecContext(ctx, `update webhook_delivery set state = $1, attempts = attempts + 1, status = $2, took = $3, ended_at = $4, problem = $5 where id = $6`,
			state, r.status, r.took.Milliseconds(), s.Now().UnixMilli(), r.problem, d.ID)
		return err
	}}
}

func (s *Store) disable(endpoint, why string, note func(context.Context, *sql.Tx, time.Time) error) func(context.Context, *sql.Tx, time.Time) error {
	return func(ctx context.Context, tx *sql.Tx, next time.Time) error {
		if _, err := tx.ExecContext(ctx, "update webhook set disabled_at = $1, problem = $2 where id = $3", s.Now().UnixMilli(), why, endpoint); err != nil {
			return err
		}
		return note(ctx, tx, next)
	}
}

// consentData is what a message says of a record: its IDs and the decision, and not
// where the visitor was or what they used.
type consentData struct {
	Site       string          `json:"site"`
	Index      int64           `json:"index"` // in the site's log: the order of decisions
	RecordID   string          `json:"record_id"`
	ConsentID  string          `json:"consent_id"`
	Time       string          `json:"time"`
	Version    string          `json:"version"`
	Action     string          `json:"action"`
	Source     string          `json:"source"`
	Status     string          `json:"status"`
	Categories map[string]bool `json:"categories"`
	Services   map[string]bool `json:"services"`
	GPC        bool            `json:"gpc"`
	Receipt    string          `json:"receipt"`
}

type versionData struct {
	Site    string `json:"site"`
	Version string `json:"version"`
}

// erasedData names records by their places in the log, as the register itself does:
// nothing else of them is left.
type erasedData struct {
	Site   string     `json:"site"`
	Index  int64      `json:"index"`  // of the erasure in the site's log
	Erased [][2]int64 `json:"erased"` // first and last index of each range of records
	Count  int64      `json:"count"`
	Reason string     `json:"reason"`
	Rule   string     `json:"rule"`
}

// say writes a message's body from what is stored now. Errors: fault.Gone when there
// is nothing to say any more.
func (s *Store) say(ctx context.Context, siteID int64, d Delivery) ([]byte, error) {
	key, err := s.SiteKey(ctx, siteID)
	if err != nil {
		return nil, err
	}
	switch d.Event {
	case Ping:
		return body(d.Event, d.Created, map[string]string{"site": key})
	case Published:
		return body(d.Event, d.Created, versionData{key, d.Version})
	}
	leaf, err := s.Register.At(ctx, siteID, d.Index)
	switch {
	case err != nil:
		return nil, err
	case leaf.Erasure != nil:
		var statement receipt.Statement
		if err := json.Unmarshal(leaf.Erasure.Statement, &statement); err != nil {
			return nil, err
		}
		return body(d.Event, d.Created, erasedData{key, d.Index, statement.Erased, statement.Count, statement.Reason, statement.Rule})
	case leaf.Record == nil:
		return nil, fault.New(fault.Gone, "The record was erased before this was told.")
	}
	r, err := receipt.ParseRecord(leaf.Record.Payload)
	if err != nil {
		return nil, err
	}
	return body(d.Event, d.Created, consentData{key, d.Index, r.RecordID, r.ConsentID, r.Time, r.Version, r.Action, r.Source, r.Status,
		r.Categories, r.Services, r.GPC, s.Receipt(r.RecordID)})
}
