package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"assent/internal/app"
	"assent/internal/fault"
	"assent/internal/webhook"
)

const webhookUsage = "usage: assent webhook --site KEY add --url URL [--event E] | list | remove ID | rotate ID | enable ID | test ID | deliveries ID | replay ID [--from DAY] [--to DAY] [--state failed]"

// webhookFlags are what assent webhook takes besides storage.
type webhookFlags struct {
	site, url, state string
	events           []string
	from, to         string
	limit            int
	json             bool
}

func runWebhook(ctx context.Context, c *call) error {
	cfg := c.storage()
	var f webhookFlags
	c.flags.StringVar(&f.site, "site", "", "site key")
	c.flags.StringVar(&f.url, "url", "", "with add: address that is told")
	c.flags.StringSliceVar(&f.events, "event", nil, "with add: event that it is told of, repeat for more (default all: "+strings.Join(webhook.Events, ", ")+")")
	c.flags.StringVar(&f.state, "state", "", "with deliveries and replay: only waiting, delivered, failed or dropped ones")
	c.flags.StringVar(&f.from, "from", "", "with deliveries and replay: what happened from this day or time on, for example 2026-11-30 or 2026-11-30T18:00:00Z")
	c.flags.StringVar(&f.to, "to", "", "with deliveries and replay: what happened before this day or time")
	c.flags.IntVar(&f.limit, "limit", 50, "with deliveries: how many at most, up to 1000")
	c.flags.BoolVar(&cfg.AllowPrivate, "allow-private", false, "with add: take a private address or plain http; serve needs it too")
	c.flags.BoolVar(&f.json, "json", false, "print JSON")
	if err := c.parse(-1); err != nil {
		return err
	}
	verb, id := c.flags.Arg(0), c.flags.Arg(1)
	want := map[string]int{"add": 1, "list": 1, "remove": 2, "rotate": 2, "enable": 2, "test": 2, "deliveries": 2, "replay": 2}[verb]
	if want == 0 || c.flags.NArg() != want || f.site == "" || (verb == "add") != (f.url != "") {
		return fault.New(fault.Invalid, webhookUsage)
	}
	cfg.Existing = true
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	s, err := parts.Sites.Get(ctx, f.site)
	if err != nil {
		return err
	}
	return c.webhook(ctx, parts, s.ID, verb, id, &f)
}

func (c *call) webhook(ctx context.Context, parts *app.Parts, site int64, verb, id string, f *webhookFlags) error {
	switch verb {
	case "add":
		e, secret, err := parts.Webhooks.Add(ctx, site, f.url, f.events)
		if err != nil {
			return err
		}
		return c.printSecret(e.ID, secret, f.json)
	case "list":
		return c.listWebhooks(ctx, parts, site, f.json)
	case "remove":
		return c.orNo(parts.Webhooks.Remove(ctx, site, id))
	case "enable":
		return c.orNo(parts.Webhooks.Enable(ctx, site, id))
	case "rotate":
		secret, err := parts.Webhooks.Rotate(ctx, site, id)
		if err != nil {
			return c.orNo(err)
		}
		return c.printSecret(id, secret, f.json)
	case "test":
		delivery, err := parts.Webhooks.Test(ctx, site, id)
		if err != nil {
			return c.orNo(err)
		}
		fmt.Fprintln(c.err, "The server sends it within seconds; assent webhook deliveries says how it went.")
		fmt.Fprintln(c.out, delivery)
		return nil
	case "replay":
		return c.replay(ctx, parts, site, id, f)
	}
	return c.listDeliveries(ctx, parts, site, id, f)
}

func (c *call) printSecret(id, secret string, asJSON bool) error {
	if asJSON {
		return c.printJSON(map[string]string{"id": id, "secret": secret})
	}
	fmt.Fprintln(c.err, "The receiver checks signatures with this secret. It is shown once:")
	fmt.Fprintf(c.out, "%s  %s\n", id, secret)
	return nil
}

// endpointAnswer is a webhook as list --json prints it.
type endpointAnswer struct {
	ID       string    `json:"id"`
	URL      string    `json:"url"`
	Events   []string  `json:"events"`
	Created  time.Time `json:"created"`
	Disabled time.Time `json:"disabled,omitzero"`
	Problem  string    `json:"problem,omitempty"`
}

func (c *call) listWebhooks(ctx context.Context, parts *app.Parts, site int64, asJSON bool) error {
	list, err := parts.Webhooks.List(ctx, site)
	if err != nil {
		return err
	}
	answers := []endpointAnswer{}
	for _, e := range list {
		answers = append(answers, endpointAnswer{e.ID, e.URL, e.Events, e.Created, e.Disabled, e.Problem})
	}
	if asJSON {
		return c.printJSON(answers)
	}
	for _, a := range answers {
		fmt.Fprintf(c.out, "%s  %s  %s\n", a.ID, a.URL, strings.Join(a.Events, " "))
		if !a.Disabled.IsZero() {
			fmt.Fprintf(c.out, "  disabled %s: %s\n", a.Disabled.Format(time.RFC3339), a.Problem)
		}
	}
	if len(answers) == 0 {
		fmt.Fprintln(c.err, "The site has no webhook: assent webhook --site KEY add --url https://shop.example/hooks/consent")
	}
	return nil
}

// deliveryAnswer is a delivery as deliveries --json prints it.
type deliveryAnswer struct {
	ID       string    `json:"id"` // webhook-id
	Event    string    `json:"event"`
	Index    int64     `json:"index"` // in the site's log; -1: no record
	Created  time.Time `json:"created"`
	State    string    `json:"state"`
	Attempts int       `json:"attempts"`
	Status   int       `json:"status"`
	TookMS   int64     `json:"took_ms"`
	Ended    time.Time `json:"ended,omitzero"`
	Problem  string    `json:"problem,omitempty"`
}

func (c *call) listDeliveries(ctx context.Context, parts *app.Parts, site int64, id string, f *webhookFlags) error {
	from, to, err := span(f)
	if err != nil {
		return err
	}
	if _, err := parts.Webhooks.Get(ctx, site, id); err != nil {
		return c.orNo(err)
	}
	list, err := parts.Webhooks.Deliveries(ctx, webhook.Query{Endpoint: id, State: f.state, From: from, To: to, Limit: f.limit})
	if err != nil {
		return err
	}
	answers := []deliveryAnswer{}
	for _, d := range list {
		answers = append(answers, deliveryAnswer{d.ID, d.Event, d.Index, d.Created, d.State, d.Attempts, d.Status, d.Took.Milliseconds(), d.Ended, d.Problem})
	}
	if f.json {
		return c.printJSON(answers)
	}
	for _, a := range answers {
		fmt.Fprintf(c.out, "%s  %s  %s  %s, %d attempts, status %d  %s\n", a.Created.Format(time.RFC3339), a.ID, a.Event, a.State, a.Attempts, a.Status, a.Problem)
	}
	if len(answers) == 0 {
		fmt.Fprintln(c.err, "There are no such deliveries.")
	}
	return nil
}

func (c *call) replay(ctx context.Context, parts *app.Parts, site int64, id string, f *webhookFlags) error {
	if strings.HasPrefix(id, "msg_") {
		return c.orNo(parts.Webhooks.Replay(ctx, site, id))
	}
	from, to, err := span(f)
	if err != nil {
		return err
	}
	n, err := parts.Webhooks.ReplaySpan(ctx, site, id, f.state, from, to)
	if err != nil {
		return c.orNo(err)
	}
	fmt.Fprintf(c.out, "%d deliveries are made again, each with the webhook-id that it had.\n", n)
	return nil
}

func span(f *webhookFlags) (from, to time.Time, err error) {
	if from, err = instant(f.from); err == nil {
		to, err = instant(f.to)
	}
	return from, to, err
}

// instant reads a day or a time.
func instant(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "%q is neither a day like 2026-11-30 nor a time like 2026-11-30T18:00:00Z.", text)
}
