package app

import (
	"context"
	"time"

	"assent/internal/jobs"
	"assent/internal/mail"
	"assent/internal/register"
	"assent/internal/webhook"
	"assent/internal/webhook/wire"
)

// sealing is the file of the key that seals what waits in the outbox and the secrets
// of webhooks. It is not the signing key: that one is replaced, and what was
// sealed has to be opened all the same.
const sealing = "sealing.key"

// openOutbox opens what tells others: the queue, letters, webhooks. Commands promise
// with it as the server does; only the server carries it out.
func (p *Parts) openOutbox(ctx context.Context, c Config) error {
	key, err := register.LoadKeyNamed(ctx, p.DB, c.Dir, sealing, func(context.Context, string) error { return nil })
	if err != nil {
		return err
	}
	secret := key.Seed()
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
