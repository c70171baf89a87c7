package main

import (
	"context"
	"io"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/closing"
)

// closeUser is user close, keep and export.
func (c *call) closeUser(ctx context.Context, parts *app.Parts, verb, email string, days int, out string, asJSON bool) error {
	m, err := parts.Accounts.MemberByEmail(ctx, email)
	if err != nil {
		return err
	}
	switch verb {
	case "close":
		return c.closeFor(ctx, parts, closing.Account, m.ID, days, asJSON)
	case "keep":
		return c.orNo(parts.Closing.Keep(ctx, m.ID, ""))
	}
	if err := parts.Accounts.Log(ctx, account.Activity{MemberID: m.ID, Action: account.AccountTaken}); err != nil {
		return err
	}
	write := func(w io.Writer) error { return parts.Closing.WriteAccount(ctx, w, m.ID) }
	if out == "" || out == "-" {
		return write(c.out)
	}
	return writeWhole(out, write)
}
