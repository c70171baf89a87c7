package app

import (
	"context"
	"time"

	"assent/internal/closing"
	"assent/internal/jobs"
	"assent/internal/mail"
	"assent/internal/register"
	"assent/internal/webhook"
	"assent/internal/webhook/wire"
)

// sealingFile is the key under which letters that wait and the secrets of webhooks
// are sealed. It is not the signing key, which may be replaced.
const sealingFile = "sealing.key"

// sealingKey reads the key when something is to be sealed or opened for the first
// time, and makes it the first time of all: in the data directory of SQLite; in the
// settings of PostgreSQL, where every node has to have the same.
func (p *Parts) sealingKey(c Config) func() ([]byte, error) {
	return func() ([]byte, error) {
		dir := c.Dir
		if c.URL != "" {
			dir = ""
		}
		key, err := register.LoadKeyNamed(context.Background(), p.DB, dir, sealingFile, func(context.Context, string) error { return nil })
		if err != nil {
			return nil, err
		}
		return key.Seed(), nil
	}
}

// openOutbox opens what tells others: the queue, letters, webhooks. Commands promise
// with it as the server does; only the server carries it out.
func (p *Parts) openOutbox(c Config) error {
	server, err := mail.ParseServer(c.SMTPURL, c.MailFrom)
	if err != nil {
		return err
	}
	secret := p.sealingKey(c)
	p.Jobs = jobs.New(p.DB, time.Now)
	p.Jobs.Sole = c.URL == "" // one server to a data directory
	p.Mail = mail.NewDesk(p.DB, p.Jobs, secret, server, time.Now)
	sender := wire.NewSender(Version, c.AllowPrivate, nil)
	p.Webhooks = webhook.NewStore(webhook.Config{
		DB: p.DB, Queue: p.Jobs, Secret: secret, Register: p.Register, SiteKey: p.Sites.KeyOf, Keep: c.WebhookKeep, Now: time.Now,
		Receipt: func(recordID string) string { return p.PublicURL() + "/r/" + recordID },
		Send:    sender.Send, CheckURL: sender.CheckURL,
	})
	p.Sites.OnPublish(p.Webhooks.TellPublished)
	p.Jobs.Handle(retentionJob, jobs.Handler{Do: p.retainSite, Tries: 10, Within: time.Hour})
	p.Closing = closing.NewStore(closing.Config{DB: p.DB, Queue: p.Jobs, Register: p.Register, Sites: p.Sites, Accounts: p.Accounts, Mail: p.Mail, PublicURL: p.PublicURL, Now: time.Now})
	p.openSchedule()
	return nil
}
