package register

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/receipt"
)

// publicSetting names the public half of the key that is in use, in base64. It is
// written with the first checkpoint and by Rotate, in the transaction that signs
// every log anew: whoever holds another key then may sign nothing.
const publicSetting = "register.public_key"

// keyring holds the key that signs, which another process may replace (Rotate).
type keyring struct {
	current atomic.Pointer[ed25519.PrivateKey]
	mu      sync.Mutex
	load    func(ctx context.Context) (ed25519.PrivateKey, error) // nil: the key never changes
	renewed func(ed25519.PrivateKey)                              // told of a new one; may be nil
}

// get is the key, nil when there is none.
func (k *keyring) get() ed25519.PrivateKey {
	if p := k.current.Load(); p != nil {
		return *p
	}
	return nil
}

func (k *keyring) set(key ed25519.PrivateKey) {
	if key != nil {
		k.current.Store(&key)
	}
}

// renew reads the key again, after a checkpoint was met that the one in memory did
// not sign, and tells whether there is another one now.
func (k *keyring) renew(ctx context.Context, met ed25519.PrivateKey) (changed bool, err error) {
	if k.load == nil || met == nil {
		return false, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.get().Equal(met) { // somebody else just did
		return true, nil
	}
	key, err := k.load(ctx)
	if err != nil || key.Equal(met) {
		return false, err
	}
	k.set(key)
	slog.Info("the signing key was replaced by assent key rotate; the new one is used from now on")
	if k.renewed != nil {
		k.renewed(key)
	}
	return true, nil
}

func publicOf(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

// fenced makes sure, in a transaction that signs something new, that this process
// has the key that is in use: a rotation at the same time waits for the transaction,
// or the transaction for the rotation.
func (r *Register) fenced(ctx context.Context, tx *sql.Tx) (ed25519.PrivateKey, error) {
	key := r.writer.keys.get()
	if key == nil {
		return nil, errReadOnly
	}
	for {
		query := "select value from setting where name = $1"
		if r.db.Engine == db.Postgres {
			query += " for share"
		}
		var used string
		err := tx.QueryRowContext(ctx, query, publicSetting).Scan(&used)
		if errors.Is(err, sql.ErrNoRows) || err == nil && used == publicOf(key) {
			return key, nil
		}
		if err != nil {
			return nil, err
		}
		changed, err := r.writer.keys.renew(ctx, key)
		if err != nil {
			return nil, err
		}
		if !changed {
			return nil, errReplaced
		}
		key = r.writer.keys.get()
	}
}

// Signer is the key with which another log of this installation signs, in a transaction
// that signs something new (see fenced).
func (r *Register) Signer(ctx context.Context, tx *sql.Tx) (ed25519.PrivateKey, error) {
	return r.fenced(ctx, tx)
}

// OpenHead opens the checkpoint of another log of this installation, and returns the
// verifier key that it was checked with.
func (r *Register) OpenHead(ctx context.Context, origin string, checkpoint []byte) (receipt.Checkpoint, string, error) {
	if r.writer.keys.get() == nil {
		return receipt.Checkpoint{}, "", errReadOnly
	}
	c, err := r.writer.open(ctx, origin, checkpoint)
	if err != nil {
		return c, "", err
	}
	vkey, err := r.vkey(origin)
	return c, vkey, err
}

var errReplaced = fault.New(fault.Unavailable, "The signing key was replaced (assent key rotate), and this process has the old one. Give it the new %s, then start it again.", KeyFile)

// agree writes down which key is in use, the first time. The caller has checked
// that it signed what is there.
func (r *Register) agree(ctx context.Context, key ed25519.PrivateKey) error {
	used, err := r.db.Setting(ctx, publicSetting)
	if err != nil {
		return err
	}
	if used == "" {
		if used, err = r.db.FirstSetting(ctx, publicSetting, publicOf(key)); err != nil {
			return err
		}
	}
	if used != publicOf(key) {
		return errReplaced
	}
	return nil
}

// open opens a checkpoint of a log of this installation. One that the key in memory
// did not sign is looked at again with the key that is in use now; errDamaged when
// that did not sign it either.
func (w *writer) open(ctx context.Context, origin string, checkpoint []byte) (receipt.Checkpoint, error) {
	for {
		key := w.keys.get()
		vkey, err := verifierKey(origin, key)
		if err != nil {
			return receipt.Checkpoint{}, fmt.Errorf("%w: %w", errDamaged, err)
		}
		c, err := receipt.OpenCheckpoint(checkpoint, vkey)
		if err == nil {
			return c, nil
		}
		changed, failed := w.keys.renew(ctx, key)
		if failed != nil {
			return receipt.Checkpoint{}, failed
		}
		if !changed {
			return receipt.Checkpoint{}, fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
}
