package register

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/receipt"
)

// KeySetting is the setting that holds the signing key where no file does.
const KeySetting = keySetting

// PlaceShift is how far the number of a site stands above the index in a place.
const PlaceShift = indexBits

// ReadKey returns the installation's signing key as PEM, and its public key. It
// never makes one: see LoadKey for where it is.
func ReadKey(ctx context.Context, d *db.DB, dataDir string) (text []byte, public ed25519.PublicKey, err error) {
	if dataDir == "" {
		stored, err := d.Setting(ctx, keySetting)
		if err != nil {
			return nil, nil, err
		}
		text = []byte(stored)
	} else {
		path, used := filepath.Join(dataDir, KeyFile), ""
		if d != nil {
			if used, err = d.Setting(ctx, publicSetting); err != nil {
				return nil, nil, err
			}
		}
		if used != "" {
			if path, err = usedFile(dataDir, used); err != nil {
				return nil, nil, err
			}
		}
		if _, err = readKey(path); err == nil { // with the sentences that belong to it
			text, err = os.ReadFile(path)
		}
	}
	if errors.Is(err, os.ErrNotExist) || err == nil && len(text) == 0 {
		return nil, nil, fault.New(fault.Unavailable, "There is no signing key. Give the --data DIR that holds %s beside --database, or put the key back.", KeyFile)
	}
	if err != nil {
		return nil, nil, err
	}
	public, err = PublicKey(text)
	return text, public, err
}

// PublicKey is the public half of a signing key in PEM.
func PublicKey(text []byte) (ed25519.PublicKey, error) {
	key, err := decodeKey(text)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The signing key is not an Ed25519 key.")
	}
	return key.Public().(ed25519.PublicKey), nil
}

// PutKey gives a restored database its signing key: in a file of dataDir, or in
// its settings when that is "".
func PutKey(ctx context.Context, d *db.DB, dataDir string, text []byte) error {
	if block, rest := pem.Decode(text); block == nil || len(rest) > 0 {
		return fault.New(fault.Invalid, "The signing key is not an Ed25519 key.")
	}
	if dataDir == "" {
		return d.Write(ctx, func(tx *sql.Tx) error { return db.SetSetting(ctx, tx, keySetting, string(text)) })
	}
	f, err := os.OpenFile(filepath.Join(dataDir, KeyFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The signing key cannot be written to %s. Check its permissions.", dataDir)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// Predecessor is a name that a log had before it was restored.
type Predecessor struct {
	Origin         string
	Size           int64             // leaves that the new name took over
	Checkpoint     []byte            // of that size, under the old name
	LastCheckpoint []byte            // newest one known of the old name; nil for none
	RestoredAt     time.Time         // or when the key was replaced
	Rotation       *receipt.Rotation // why it has another name: the key was replaced; nil: it was restored
	Note           string            // the rotation as it was signed
	Cosigned       string            // newest checkpoint of the name that witnesses cosigned; "" for none
	Witnesses      []string          // who did
}

// Rename lets a restored log go on under another name, in the caller's
// transaction. Its leaves stay as they are, so the new log provably holds all
// that the old one held at that size; what the old one held after it is lost,
// and the old name never signs again. Last is the newest checkpoint known of the
// old name, or nil.
//
// Nobody can then hold two checkpoints of one log and one size that differ,
// whatever was published before the loss.
func (r *Register) Rename(ctx context.Context, tx *sql.Tx, siteID int64, origin string, last []byte, now time.Time) error {
	key, err := r.fenced(ctx, tx)
	if err != nil {
		return err
	}
	var old openLog
	if err := tx.QueryRowContext(ctx, logQuery, siteID).Scan(&old.origin, &old.size, &old.checkpoint); err != nil {
		return err
	}
	vkey, err := r.vkey(old.origin)
	if err != nil {
		return err
	}
	signed, err := receipt.OpenCheckpoint(old.checkpoint, vkey)
	if err != nil || signed.Origin != old.origin || signed.Size != old.size {
		return fault.Wrap(fault.Unavailable, errors.Join(errDamaged, err), "The checkpoint of the log %s does not hold, so nothing can go on from it. assent fsck says more.", old.origin)
	}
	checkpoint, err := receipt.Checkpoint{Origin: origin, Size: old.size, Root: signed.Root}.Sign(key)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `insert into predecessor (site_id, number, origin, size, checkpoint, last_checkpoint, restored_at)
		select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6 from predecessor where site_id = $7`,
		siteID, old.origin, old.size, old.checkpoint, last, now.UnixMilli(), siteID); err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, "update log set origin = $1, checkpoint = $2 where site_id = $3 and checkpoint = $4", origin, checkpoint, siteID, old.checkpoint)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("%w (%d rows, %v)", errMoved, n, err)
	}
	// Witnesses cosigned the old name's checkpoint; the new one's they have not seen yet.
	_, err = tx.ExecContext(ctx, "delete from cosigned where site_id = $1", siteID)
	return err
}

// Renamed is the name of a log in an epoch: the epoch stands between the host and
// "/log/", in the place of an earlier one.
func Renamed(origin, epoch string) string {
	host, _, _ := strings.Cut(origin, "/")
	return host + "/" + epoch + "/log/" + siteOf(origin)
}

// Predecessors are the former names of a site's log, the oldest first.
func (r *Register) Predecessors(ctx context.Context, siteID int64) ([]Predecessor, error) {
	return r.predecessors(ctx, r.db.Read(), siteID)
}

func (r *Register) predecessors(ctx context.Context, q queryer, siteID int64) (list []Predecessor, err error) {
	rows, err := q.QueryContext(ctx, "select origin, size, checkpoint, last_checkpoint, restored_at, rotation, cosigned, witnesses from predecessor where site_id = $1 order by number", siteID)
	if err != nil {
		return nil, r.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var p Predecessor
		var at int64
		var witnesses string
		if err := rows.Scan(&p.Origin, &p.Size, &p.Checkpoint, &p.LastCheckpoint, &at, &p.Note, &p.Cosigned, &witnesses); err != nil {
			return nil, r.db.Explain(err)
		}
		p.RestoredAt = time.UnixMilli(at).UTC()
		p.Witnesses = strings.FieldsFunc(witnesses, func(c rune) bool { return c == '\n' })
		list = append(list, p)
	}
	return list, r.db.Explain(rows.Err())
}

// Named is a log's row.
type Named struct {
	SiteID     int64
	Origin     string
	Size       int64
	Checkpoint []byte
}

// Logs lists the logs of a database, whether they are whole or not.
func Logs(ctx context.Context, d *db.DB) (list []Named, err error) {
	rows, err := d.Read().QueryContext(ctx, "select site_id, origin, size, checkpoint from log order by site_id")
	if err != nil {
		return nil, d.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var l Named
		if err := rows.Scan(&l.SiteID, &l.Origin, &l.Size, &l.Checkpoint); err != nil {
			return nil, d.Explain(err)
		}
		list = append(list, l)
	}
	return list, d.Explain(rows.Err())
}

// SameTree tells whether two checkpoints of one name and size have the same root.
// One that the key did not sign has none.
func SameTree(public ed25519.PublicKey, origin string, a, b []byte) bool {
	vkey, err := receipt.VerifierKey(origin, public)
	if err != nil {
		return false
	}
	one, err := receipt.OpenCheckpoint(a, vkey)
	if err != nil {
		return false
	}
	other, err := receipt.OpenCheckpoint(b, vkey)
	return err == nil && one.Size == other.Size && one.Root == other.Root
}
