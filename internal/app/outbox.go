package app

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"assent/internal/account"
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
	if p.Mail.Configured() {
		p.Accounts.OnLetter(p.promiseLetter)
	}
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

// letterPaths are the addresses behind which the secrets of letters are used.
var letterPaths = map[string]string{account.LetterJoin: "/console/join", account.LetterForgot: "/console/setup", account.LetterConfirm: "/console/confirm"}

// promiseLetter puts a letter of the accounts into the outbox.
func (p *Parts) promiseLetter(ctx context.Context, tx *sql.Tx, l account.Letter) error {
	data := mail.Data{Name: l.Name, By: l.By, Place: l.Place}
	if data.Place == "" {
		_, data.Place, _ = strings.Cut(p.PublicURL(), "://")
	}
	if path := letterPaths[l.Kind]; path != "" {
		data.Link = p.PublicURL() + path + "?token=" + l.Token
	}
	return p.Mail.Add(ctx, tx, mail.Kind(l.Kind), l.To, l.Language, data)
}
