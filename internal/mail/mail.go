// Package mail sends Assent's letters to its own members: invitations and links
// with which a password is set. Visitors get none. A letter waits in the outbox
// (internal/jobs), sealed, until a mail server has taken it.
package mail

import (
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net/mail"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/jobs"
)

// JobKind is the kind of the jobs that send letters.
const JobKind = "mail"

const (
	tries  = 8              // the last some 8 hours after the first
	within = time.Minute    // of one conversation with the mail server
	most   = 5000           // letters that may wait
	stale  = 24 * time.Hour // after which a letter's link leads nowhere; see account.LinkLifetime
)

// Kind is what a letter is about.
type Kind string

// The kinds.
const (
	Invitation Kind = "invitation" // somebody was made a member, and sets a password
	Reset      Kind = "reset"      // a member asked for a new password
	Test       Kind = "test"       // assent mail test
	Closing    Kind = "closing"    // an organisation or an account is to be erased
	Closed     Kind = "closed"     // it was, and here is the certificate
	Inactive   Kind = "inactive"   // nobody signed in for long: the account is to be erased
	// Those of internal/account, letter.go.
	Join     Kind = "join"
	Forgot   Kind = "forgot"
	Confirm  Kind = "confirm"
	Device   Kind = "device"
	Password Kind = "password"
	Factor   Kind = "factor"
)

// Data is what a letter says beside its texts. Nothing of it is trusted: names are
// shown as text, the link has to be http or https.
type Data struct {
	Name  string `json:"name,omitempty"`  // of whom the letter is for; "" for none
	By    string `json:"by,omitempty"`    // who invites; "" for none
	Place string `json:"place,omitempty"` // what they are invited to: an organisation, or the host of this installation
	Link  string `json:"link,omitempty"`  // to follow; it works once
	Date  string `json:"date,omitempty"`  // when it happens
	Files []File `json:"files,omitempty"`
}

// Desk sends letters through one mail server.
type Desk struct {
	db    *db.DB
	queue *jobs.Queue
	box   *jobs.Box
	out   Server // zero: none is set
	now   func() time.Time
}

// NewDesk makes a desk and registers it with the queue. secret is the
// installation's. Without a server nothing is sent; Configured tells.
func NewDesk(d *db.DB, queue *jobs.Queue, secret func() ([]byte, error), server Server, now func() time.Time) *Desk {
	desk := &Desk{db: d, queue: queue, box: jobs.NewBox(secret, JobKind), out: server, now: now}
	if server.Set() { // another node may have one
		queue.Handle(JobKind, jobs.Handler{Do: desk.do, Tries: tries, Within: within, Most: most})
	}
	return desk
}

// Configured tells whether there is a mail server. Without one, people are handed
// their links (assent user add).
func (d *Desk) Configured() bool { return d.out.Set() }

// letter is what waits in the outbox, sealed.
type letter struct {
	Kind Kind   `json:"kind"`
	To   string `json:"to"`
	Lang string `json:"lang"`
	Data Data   `json:"data"`
}

// Send promises a letter, on its own. See Add.
func (d *Desk) Send(ctx context.Context, kind Kind, to, lang string, data Data) error {
	err := d.db.Write(ctx, func(tx *sql.Tx) error { return d.Add(ctx, tx, kind, to, lang, data) })
	d.queue.Wake()
	return err
}

// Add promises a letter in the caller's transaction, which wakes the queue
// afterwards (jobs.Queue.Wake). lang is a BCP 47 tag; where there are no texts in it
// the letter is in English. Errors: fault.Unavailable without a mail server,
// fault.Unprocessed for what is no address or no link.
func (d *Desk) Add(ctx context.Context, tx *sql.Tx, kind Kind, to, lang string, data Data) error {
	if !d.out.Set() {
		return errNoServer
	}
	if _, err := compose(d.out.From, kind, to, lang, data, d.now(), "check"); err != nil {
		return err
	}
	plain, err := json.Marshal(letter{kind, to, lang, data})
	if err != nil {
		return err
	}
	sealed, err := d.box.Seal(plain)
	if err != nil {
		return err
	}
	_, err = d.queue.Add(ctx, tx, jobs.Job{Kind: JobKind, Lane: JobKind, Payload: sealed})
	return err
}

var errNoServer = fault.New(fault.Unavailable, "No mail server is set, so nothing can be sent. Start the server with --smtp-url and --mail-from; assent mail test tries them.")

// do sends a letter that waited.
func (d *Desk) do(ctx context.Context, j jobs.Job) jobs.Outcome {
	plain, err := d.box.Open(j.Payload)
	if err != nil {
		return jobs.Outcome{Err: err, Final: true}
	}
	var l letter
	if err := json.Unmarshal(plain, &l); err != nil {
		return jobs.Outcome{Err: err, Final: true}
	}
	if l.Data.Link != "" && d.now().Sub(j.Created) > stale {
		slog.Warn("a letter was not sent in time, and its link leads nowhere any more", "letter", l.Kind, "job", j.ID)
		return jobs.Outcome{} // nothing is kept of it
	}
	// The same Message-ID on each attempt: who gets the letter twice sees it once.
	message, err := compose(d.out.From, l.Kind, l.To, l.Lang, l.Data, j.Created, j.ID)
	if err != nil {
		return jobs.Outcome{Err: err, Final: true}
	}
	err = d.out.send(ctx, l.To, message)
	return jobs.Outcome{Err: err, Final: fault.KindOf(err) == fault.Unprocessed}
}

// SendNow sends a letter at once, for assent mail test.
func SendNow(ctx context.Context, server Server, kind Kind, to, lang string, data Data, now time.Time, id string) error {
	if !server.Set() {
		return errNoServer
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	message, err := compose(server.From, kind, to, lang, data, now, id)
	if err != nil {
		return err
	}
	return server.send(ctx, to, message)
}

// address reads an address that may stand in a header and in the envelope.
func address(text string) (*mail.Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || len(a.Address) > 254 || strings.ContainsAny(text, "\r\n\x00") || strings.ContainsAny(a.Address, "\r\n\x00 <>") {
		return nil, fault.New(fault.Unprocessed, "That is not an e-mail address. Write it like name@example.com.")
	}
	return a, nil
}
