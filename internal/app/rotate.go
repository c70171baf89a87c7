package app

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/db"
	"assent/internal/register"
)

// newEpoch is what stands between host and "/log/" in the names of logs from a day on.
func newEpoch(now time.Time) string {
	return now.UTC().Format(time.DateOnly) + "-" + strings.ToLower(rand.Text()[:6])
}

// RotateKey replaces the installation's signing key, beside running servers: they go
// on with the new one, or, where they have it in a file of their own, refuse to record
// until they are given it.
func (p *Parts) RotateKey(ctx context.Context, c Config, compromised bool) ([]register.RotatedLog, error) {
	now := time.Now().UTC().Truncate(time.Second)
	epoch := newEpoch(now)
	list, err := p.Register.Rotate(ctx, register.Rotating{DataDir: c.Dir, Epoch: epoch, Compromised: compromised, Now: now,
		Also: func(tx *sql.Tx, old, next ed25519.PrivateKey) error {
			host := hostAlone(p.host()) + "/" + epoch
			if err := p.Audit.Resign(ctx, tx, old.Public().(ed25519.PublicKey), next, host, map[string]string{"why": "key replaced", "stolen": strconv.FormatBool(compromised)}); err != nil {
				return err
			}
			return db.SetSetting(ctx, tx, epochSetting, epoch)
		}})
	if err != nil {
		return list, err
	}
	p.epoch = epoch
	detail := map[string]string{"registers": strconv.Itoa(len(list)), "stolen": strconv.FormatBool(compromised)}
	return list, p.Accounts.Log(ctx, account.Activity{Action: account.KeyRotated, Detail: detail})
}

// hostAlone is a name of a log without what follows the host.
func hostAlone(name string) string {
	host, _, _ := strings.Cut(name, "/")
	return host
}
