// Package audittest gives tests of stores an audit log with a key of its own.
package audittest

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"testing"
	"time"

	"assent/internal/audit"
	"assent/internal/db"
	"assent/internal/tilelog"
	"assent/receipt"
)

// New returns the audit logs of a database, signed with a new key.
func New(t testing.TB, d *db.DB, now func() time.Time) *audit.Store {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return audit.NewStore(audit.Config{DB: d, Now: now, Host: func() string { return "consent.test" },
		Signer: func(context.Context, *sql.Tx) (ed25519.PrivateKey, error) { return key, nil },
		OpenHead: func(_ context.Context, origin string, checkpoint []byte) (receipt.Checkpoint, string, error) {
			vkey, err := receipt.VerifierKey(origin, public)
			if err != nil {
				return receipt.Checkpoint{}, "", err
			}
			c, err := receipt.OpenCheckpoint(checkpoint, vkey)
			if err != nil {
				err = errors.Join(tilelog.ErrDamaged, err)
			}
			return c, vkey, err
		}})
}
