package register

import (
	"crypto/ed25519"
	"database/sql"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/receipt"
)

// A log that goes on under another name is sound, also where witnesses had
// cosigned the old name's checkpoint.
func TestRenamedLogIsSound(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		load(t, r, 30, 3)
		state, err := r.State(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		key := ed25519.NewKeyFromSeed([]byte(strings.Repeat("w", 32)))
		vkey, err := receipt.WitnessKey("witness.example/w1", key.Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		body, _, _ := strings.Cut(string(state.Checkpoint), "\n\n")
		line, err := receipt.Cosign(body+"\n", "witness.example/w1", key, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.PutCosigned(t.Context(), 1, append(state.Checkpoint, line...), []string{vkey}, time.Now()); err != nil {
			t.Fatal(err)
		}
		mustSound(t, r)
		err = d.Write(t.Context(), func(tx *sql.Tx) error {
			return r.Rename(t.Context(), tx, 1, Renamed(state.Origin, "2026-11-30-abcdef"), nil, time.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
		mustSound(t, r)
		if _, found, err := r.Cosigned(t.Context(), 1); err != nil || found {
			t.Errorf("the cosignatures of the old name are shown for the new one (%v)", err)
		}
	})
}
