package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"assent/internal/app"
	"assent/internal/fault"
	"assent/internal/mail"

	"github.com/google/uuid"
)

// mailFlags declares the mail server.
func (c *call) mailFlags(cfg *app.Config) {
	c.flags.StringVar(&cfg.SMTPURL, "smtp-url", "", "mail server for invitations and password links: smtp://user:password@mail.example:587 (STARTTLS) or smtps://…:465 (TLS); better in the environment, where no list of processes shows it")
	c.flags.StringVar(&cfg.MailFrom, "mail-from", "", "address that letters come from, for example 'Assent <consent@shop.example>'")
}

func runMail(ctx context.Context, c *call) error {
	cfg := new(app.Config)
	to := c.flags.String("to", "", "address that the letter goes to")
	lang := c.flags.String("language", "en", "language of the letter: en, de, et, fi, da or fr")
	c.flags.StringVar(&cfg.PublicURL, "public-url", "", "address of this server, whose host the letter names")
	c.mailFlags(cfg)
	if err := c.parse(1); err != nil {
		return err
	}
	if c.flags.Arg(0) != "test" || *to == "" {
		return fault.New(fault.Invalid, "usage: assent mail test --to ADDRESS")
	}
	server, err := mail.ParseServer(cfg.SMTPURL, cfg.MailFrom)
	if err != nil {
		return err
	}
	place := ""
	if u, err := url.Parse(cfg.PublicURL); err == nil {
		place = u.Host
	}
	if err := mail.SendNow(ctx, server, mail.Test, *to, *lang, mail.Data{Place: place}, time.Now(), uuid.NewString()); err != nil {
		return err
	}
	fmt.Fprintln(c.out, "The mail server took the letter. Look whether it arrives, and not among the junk.")
	return nil
}
