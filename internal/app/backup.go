package app

import (
	"context"
	"io"
	"time"

	"assent/internal/account"
	"assent/internal/backup"
	"assent/internal/db"
	"assent/internal/register"
)

// BackUp writes a backup, or only the erasure ledger, to w, beside a running
// server. The database may have an older schema than this binary's.
func BackUp(ctx context.Context, c Config, w io.Writer, content string, expires time.Time) (backup.Header, backup.Totals, error) {
	o := databaseOptions(c)
	o.ReadOnly, o.AnyOlder = true, true
	d, err := db.Open(ctx, o)
	if err != nil {
		return backup.Header{}, backup.Totals{}, err
	}
	defer d.Close()
	s, err := backupSource(ctx, d, c.Dir)
	if err != nil {
		return backup.Header{}, backup.Totals{}, err
	}
	return backup.Write(ctx, w, s, content, expires)
}

// LogBackup notes in the activity log that a backup was made. It leaves the schema as
// it is: of an older one, before an upgrade, nothing is noted.
func LogBackup(ctx context.Context, c Config, h backup.Header) error {
	if h.Schema < db.SchemaNumber(h.Engine) {
		return nil
	}
	c.Existing = true
	p, err := Open(ctx, c)
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Accounts.Log(ctx, account.Activity{Action: account.BackedUp, Detail: map[string]string{"what": h.Content}})
}

func backupSource(ctx context.Context, d *db.DB, dir string) (backup.Source, error) {
	key, public, err := register.ReadKey(ctx, d, dir)
	if err != nil {
		return backup.Source{}, err
	}
	return backup.Source{DB: d, Key: key, KeySetting: register.KeySetting, LedgerSettings: ledgerSettings,
		Installation: backup.InstallationOf(public), Assent: Version}, nil
}

// ledgerSettings are the settings without which a ledger cannot be read.
var ledgerSettings = []string{register.MarkingSetting}
