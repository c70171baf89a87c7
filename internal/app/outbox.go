package app

import (
	"time"

	"assent/internal/jobs"
	"assent/internal/mail"
	"assent/internal/webhook"
	"assent/internal/webhook/wire"
)

// openOutbox opens what tells others: the queue, letters, webhooks. Commands promise
// with it as the server does; only the server carries it out.
func (p *Parts) openOutbox(c Config, secret []byte) error {
	server, err := mail.ParseServer(c.SMTPURL, c.MailFrom)
	if err != nil {
		return err
	}
	p.Jobs = jobs.New(p.DB, time.Now)
	p.Jobs.Sole = c.URL == "" // one server to a data directory
	if p.Mail, err = mail.NewDesk(p.DB, p.Jobs, secret, server, time.Now); err != nil {
		return err
	}
	sender := wire.NewSender(Version, c.AllowPrivate, nil)
	p.Webhooks, err = webhook.NewStore(webhook.Config{
		DB: p.DB, Queue: p.Jobs, Secret: secret, Register: p.Register, SiteKey: p.Sites.KeyOf, Keep: c.WebhookKeep, Now: time.Now,
		Receipt: func(recordID string) string { return p.PublicURL() + "/r/" + recordID },
		Send:    sender.Send, CheckURL: sender.CheckURL,
	})
	p.Sites.OnPublish(p.Webhooks.TellPublished)
	return err
}
