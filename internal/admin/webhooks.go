package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/webhook"
)

// webhookRoutes are the pages about who is told what happens on a site.
func (c *console) webhookRoutes() []route {
	return []route{
		{"GET /console/sites/{site}/webhooks", account.ManageIntegrations, c.listWebhooks},
		{"POST /console/sites/{site}/webhooks", account.ManageIntegrations, c.addWebhook},
		{"GET /console/sites/{site}/webhooks/{webhook}", account.ManageIntegrations, c.showWebhook},
		{"POST /console/sites/{site}/webhooks/{webhook}", account.ManageIntegrations, c.editWebhook},
	}
}

// eventWords say what an event is.
var eventWords = map[string]string{
	webhook.Given: "A visitor decides for the first time", webhook.Changed: "A visitor changes a decision", webhook.Withdrawn: "A visitor withdraws",
	webhook.Published: "A notice version is published", webhook.Erased: "Records are erased", webhook.Ping: "A trial",
}

// eventChoice is a box of the form.
type eventChoice struct {
	Value, Label string
	Chosen       bool
}

type webhooksPage struct {
	Page
	Webhooks []webhook.Endpoint
	URL      string
	Choices  []eventChoice
	Errors   problems
}

func (c *console) webhooksPage(r *request) (p webhooksPage, err error) {
	if p.Page, err = c.sitePage(r, "webhooks", "Webhooks"); err != nil {
		return p, err
	}
	p.Webhooks, err = c.Webhooks.List(r.Context(), p.Site.ID)
	return p, err
}

func eventChoices(chosen []string) (list []eventChoice) {
	for _, e := range webhook.Events {
		list = append(list, eventChoice{e, eventWords[e], slices.Contains(chosen, e)})
	}
	return list
}

func (c *console) listWebhooks(w http.ResponseWriter, r *request) error {
	p, err := c.webhooksPage(r)
	if err != nil {
		return err
	}
	p.Choices = eventChoices(webhook.Events)
	return c.render(w, http.StatusOK, "webhooks", p)
}

func (c *console) addWebhook(w http.ResponseWriter, r *request) error {
	p, err := c.webhooksPage(r)
	if err != nil {
		return err
	}
	chosen := r.PostForm["event"]
	p.URL, p.Choices = strings.TrimSpace(r.PostForm.Get("url")), eventChoices(chosen)
	if len(chosen) == 0 {
		p.Errors = problems{"event": "Choose at least one event."}
		return c.render(w, http.StatusUnprocessableEntity, "webhooks", p)
	}
	e, secret, err := c.Webhooks.Add(r.Context(), p.Site.ID, p.URL, chosen)
	if kind := fault.KindOf(err); kind == fault.Unprocessed || kind == fault.Forbidden {
		p.Errors = problems{"url": fault.Message(err)}
		return c.render(w, http.StatusUnprocessableEntity, "webhooks", p)
	}
	if err != nil {
		return err
	}
	// Not a redirect: the secret is shown once, and kept nowhere on the way.
	return c.renderWebhook(w, r, p.Page, e, secret)
}

type webhookPage struct {
	Page
	Webhook    webhook.Endpoint
	Secret     string // shown once, after it was made
	Events     []string
	Deliveries []deliveryLine
	Older      string // cursor of the next page
}

type deliveryLine struct {
	webhook.Delivery
	What, Tone string
	Over       bool // it can be replayed
}

// deliveriesPerPage is how many lines one page shows.
const deliveriesPerPage = 50

var stateTones = map[string]string{webhook.Waiting: "warn", webhook.Delivered: "good", webhook.Failed: "bad"}

func (c *console) renderWebhook(w http.ResponseWriter, r *request, page Page, e webhook.Endpoint, secret string) error {
	page.Title = "Webhook"
	p := webhookPage{Page: page, Webhook: e, Secret: secret}
	for _, event := range e.Events {
		p.Events = append(p.Events, eventWords[event])
	}
	list, err := c.Webhooks.Deliveries(r.Context(), webhook.Query{Endpoint: e.ID, Before: r.URL.Query().Get("before"), Limit: deliveriesPerPage + 1})
	if err != nil {
		return err
	}
	if len(list) > deliveriesPerPage {
		list = list[:deliveriesPerPage]
		p.Older = list[deliveriesPerPage-1].ID
	}
	for _, d := range list {
		p.Deliveries = append(p.Deliveries, deliveryLine{d, eventWords[d.Event], stateTones[d.State], d.State != webhook.Waiting})
	}
	return c.render(w, http.StatusOK, "webhook", p)
}

// webhookOf is the webhook that the address names, and the page around it.
func (c *console) webhookOf(r *request) (p Page, e webhook.Endpoint, err error) {
	if p, err = c.sitePage(r, "webhooks", "Webhook"); err != nil {
		return
	}
	e, err = c.Webhooks.Get(r.Context(), p.Site.ID, r.PathValue("webhook"))
	return
}

func (c *console) showWebhook(w http.ResponseWriter, r *request) error {
	p, e, err := c.webhookOf(r)
	if err != nil {
		return err
	}
	return c.renderWebhook(w, r, p, e, "")
}

func (c *console) editWebhook(w http.ResponseWriter, r *request) error {
	p, e, err := c.webhookOf(r)
	if err != nil {
		return err
	}
	ctx, done, what := r.Context(), "tried", ""
	switch r.PostForm.Get("do") {
	case "test":
		_, err = c.Webhooks.Test(ctx, p.Site.ID, e.ID)
	case "replay":
		done, err = "replayed", c.Webhooks.Replay(ctx, p.Site.ID, r.PostForm.Get("delivery"))
	case "replay-failed":
		done = "replayed"
		_, err = c.Webhooks.ReplaySpan(ctx, p.Site.ID, e.ID, webhook.Failed, time.Time{}, time.Time{})
	case "enable":
		what, done, err = "enabled", "saved", c.Webhooks.Enable(ctx, p.Site.ID, e.ID)
	case "rotate":
		secret, err := c.Webhooks.Rotate(ctx, p.Site.ID, e.ID)
		if err != nil {
			return err
		}
		return c.renderWebhook(w, r, p, e, secret)
	case "remove":
		what, done, err = "removed", "saved", c.Webhooks.Remove(ctx, p.Site.ID, e.ID)
	default:
		return fault.New(fault.Invalid, "The form does not say what to do. Go back, reload the page and try again.")
	}
	if err != nil {
		return err
	}
	to := "/console/sites/" + p.Site.Key + "/webhooks"
	if what != "removed" {
		to += "/" + e.ID
	}
	http.Redirect(w, r.Request, to+"?done="+done, http.StatusSeeOther)
	return nil
}
