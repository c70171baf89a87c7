package register

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/receipt"

	"golang.org/x/mod/sumdb/tlog"
)

// Rotating says how to replace the signing key.
type Rotating struct {
	DataDir     string // where the key's file is; "": it is in the database
	Epoch       string // stands in the logs' new names, see Renamed
	Compromised bool   // the old key was stolen
	Now         time.Time
	Also        func(tx *sql.Tx, old, next ed25519.PrivateKey) error // done in the same transaction; may be nil
}

// RotatedLog is a log that went on under the new key.
type RotatedLog struct {
	SiteID   int64    `json:"-"`
	Former   string   `json:"former"` // verifier key until then
	Key      string   `json:"key"`    // and from then on
	Size     int64    `json:"size"`
	Root     string   `json:"root"`
	Cosigned int64    `json:"cosigned"` // size of the newest checkpoint that witnesses cosigned under the old key; 0 for none
	By       []string `json:"by,omitempty"`
}

// Rotate replaces the installation's signing key. Every log goes on under a new name,
// because a key is a part of what a log is known by: a statement that the old and the
// new key sign joins the two (receipt.Rotation), and the old name never signs again.
//
// What decides is one transaction. Before it the new key is on disk beside the old
// one, after it the file takes its place; a crash in between is made good by the next
// process that opens the data. Whoever still has the old key in memory cannot store
// what it signs: every log's row has changed under it, and new logs are fenced.
func (r *Register) Rotate(ctx context.Context, o Rotating) (list []RotatedLog, err error) {
	text, err := encodeKey()
	if err != nil {
		return nil, err
	}
	next, err := decodeKey(text)
	if err != nil {
		return nil, err
	}
	if o.DataDir != "" {
		if err := writeNext(nextFile(o.DataDir, publicOf(next)), text); err != nil {
			return nil, err
		}
	}
	err = r.db.Write(ctx, func(tx *sql.Tx) error {
		list = nil
		old, err := r.exclusive(ctx, tx)
		if err != nil {
			return err
		}
		logs, err := r.allLogs(ctx, tx)
		if err != nil {
			return err
		}
		for _, l := range logs {
			done, err := r.rotate(ctx, tx, l, old, next, o)
			if err != nil {
				return err
			}
			list = append(list, *done)
		}
		if err := db.SetSetting(ctx, tx, publicSetting, publicOf(next)); err != nil {
			return err
		}
		if o.DataDir == "" {
			if err := db.SetSetting(ctx, tx, keySetting, string(text)); err != nil {
				return err
			}
		}
		if o.Also != nil {
			return o.Also(tx, old, next)
		}
		return nil
	})
	if err != nil {
		if used, unknown := r.db.Setting(context.WithoutCancel(ctx), publicSetting); o.DataDir != "" && unknown == nil && used != publicOf(next) {
			os.Remove(nextFile(o.DataDir, publicOf(next))) // it is sure that it was not decided
		}
		return nil, err
	}
	r.writer.keys.set(next)
	if o.DataDir == "" {
		return list, nil
	}
	return list, finishRotation(o.DataDir, publicOf(next))
}

// writeNext puts the key that is to come beside the one in use.
func writeNext(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.Write(text)
		err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The new signing key %s cannot be made. Check that this user may write there.", path)
	}
	return nil
}

// exclusive waits for those who sign something new, keeps others out until the
// transaction ends, and returns the key that is in use.
func (r *Register) exclusive(ctx context.Context, tx *sql.Tx) (ed25519.PrivateKey, error) {
	key := r.writer.keys.get()
	if key == nil {
		return nil, errReadOnly
	}
	result, err := tx.ExecContext(ctx, "update setting set value = value where name = $1 and value = $2", publicSetting, publicOf(key))
	if err != nil {
		return nil, err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return nil, errors.Join(err, errReplaced)
	}
	return key, nil
}

func (r *Register) allLogs(ctx context.Context, tx *sql.Tx) (list []*openLog, err error) {
	query := "select site_id, origin, size, checkpoint from log order by site_id"
	if r.db.Engine == db.Postgres {
		query += " for update"
	}
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		l := new(openLog)
		if err := rows.Scan(&l.siteID, &l.origin, &l.size, &l.checkpoint); err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, rows.Err()
}

// rotate lets one log go on under the next key.
func (r *Register) rotate(ctx context.Context, tx *sql.Tx, l *openLog, old, next ed25519.PrivateKey, o Rotating) (*RotatedLog, error) {
	former, err := verifierKey(l.origin, old)
	if err != nil {
		return nil, err
	}
	signed, err := receipt.OpenCheckpoint(l.checkpoint, former)
	if err != nil || signed.Size != l.size {
		return nil, fault.Wrap(fault.Unavailable, errors.Join(errDamaged, err), "The checkpoint of the log %s does not hold, so nothing can go on from it. assent fsck says more.", l.origin)
	}
	origin := Renamed(l.origin, o.Epoch)
	key, err := verifierKey(origin, next)
	if err != nil {
		return nil, err
	}
	rotation := receipt.Rotation{Old: former, New: key, Size: l.size, Root: signed.Root, Time: o.Now, Compromised: o.Compromised}
	note, err := rotation.Sign(old, next)
	if err != nil {
		return nil, err
	}
	done := &RotatedLog{SiteID: l.siteID, Former: former, Key: key, Size: l.size, Root: signed.Root.String()}
	checkpoint, err := receipt.Checkpoint{Origin: origin, Size: l.size, Root: signed.Root}.Sign(next)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, "update log set origin = $1, checkpoint = $2 where site_id = $3", origin, checkpoint, l.siteID); err != nil {
		return nil, err
	}
	if l.size == 0 { // nobody relies on it yet, and its name may change again
		return done, nil
	}
	var cosigned, witnesses string
	err = tx.QueryRowContext(ctx, "select size, checkpoint, witnesses from cosigned where site_id = $1", l.siteID).Scan(&done.Cosigned, &cosigned, &witnesses)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if witnesses != "" {
		done.By = strings.Split(witnesses, "\n")
	}
	if _, err := tx.ExecContext(ctx, `insert into predecessor (site_id, number, origin, size, checkpoint, restored_at, rotation, cosigned, witnesses)
		select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8 from predecessor where site_id = $9`,
		l.siteID, l.origin, l.size, l.checkpoint, o.Now.UnixMilli(), string(note), cosigned, witnesses, l.siteID); err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, "delete from cosigned where site_id = $1", l.siteID)
	return done, err
}

// KeyHistory is how the key of a site's log changed (receipt.ParseHistory), or
// fault.NotFound when it never did.
func (r *Register) KeyHistory(ctx context.Context, siteID int64) ([]byte, error) {
	list, err := r.Predecessors(ctx, siteID)
	if err != nil {
		return nil, err
	}
	var notes []string
	for _, p := range list {
		if p.Note != "" {
			notes = append(notes, p.Note)
		}
	}
	if notes == nil {
		return nil, fault.New(fault.NotFound, "The key of this register was never replaced.")
	}
	return receipt.MarshalHistory(notes), nil
}

// KeyPeriod is a signing key and when it was in use.
type KeyPeriod struct {
	Key         string    `json:"key"` // public half, base64
	Until       time.Time `json:"until,omitzero"`
	Compromised bool      `json:"compromised,omitempty"`
	Used        bool      `json:"used"` // it is the one in use
}

// Keys lists the installation's signing keys, the oldest first, as far as a log of
// one of them is still there.
func (r *Register) Keys(ctx context.Context) (list []KeyPeriod, err error) {
	key := r.writer.keys.get()
	if key == nil {
		return nil, errReadOnly
	}
	rows, err := r.db.Read().QueryContext(ctx, "select rotation from predecessor where rotation <> '' order by restored_at, site_id")
	if err != nil {
		return nil, r.db.Explain(err)
	}
	defer rows.Close()
	seen := map[string]bool{}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, r.db.Explain(err)
		}
		rotation, err := receipt.OpenRotation([]byte(text))
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, err, "A statement about a former key was changed. assent fsck says which.")
		}
		public := publicPart(rotation.Old)
		if !seen[public] {
			seen[public] = true
			list = append(list, KeyPeriod{Key: public, Until: rotation.Time, Compromised: rotation.Compromised})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, r.db.Explain(err)
	}
	vkey, err := verifierKey("a", key)
	if err != nil {
		return nil, err
	}
	return append(list, KeyPeriod{Key: publicPart(vkey), Used: true}), nil
}

// continues holds the log against the names that it had: the tree that each of them
// signed last must be the beginning of this one, and where the key was replaced, both
// keys have to say so.
func (c *check) continues(ctx context.Context, q queryer) error {
	list, err := c.r.predecessors(ctx, q, c.site)
	if err != nil {
		return err
	}
	vkey := c.vkey
	for i := len(list) - 1; i >= 0; i-- { // from the newest, whose successor is known
		p := list[i]
		if p.Note == "" {
			if vkey, err = receipt.RenamedKey(p.Origin, vkey); err != nil {
				return err
			}
		} else {
			rotation, err := receipt.OpenRotation([]byte(p.Note))
			name := ""
			if err == nil {
				name, _, _ = strings.Cut(rotation.Old, "+")
			}
			if err != nil || rotation.New != vkey || name != p.Origin || rotation.Size != p.Size {
				c.foundInLog("what the old and the new key said of each other when %s was replaced was changed, so older names cannot be checked.", p.Origin)
				return nil
			}
			vkey = rotation.Old
		}
		signed, err := receipt.OpenCheckpoint(p.Checkpoint, vkey)
		if err != nil || signed.Origin != p.Origin || signed.Size != p.Size || p.Size > c.size {
			c.foundInLog("the checkpoint of its former name %s does not hold.", p.Origin)
			continue
		}
		if p.Cosigned != "" {
			if head, _, err := receipt.OpenCosigned([]byte(p.Cosigned), vkey, p.Witnesses); err != nil || head.Size > p.Size {
				c.foundInLog("the cosigned checkpoint of its former name %s does not hold.", p.Origin)
			}
		}
		if p.Size == 0 {
			continue
		}
		tiles := c.r.tiles(ctx, c.site, c.size)
		root, err := tlog.TreeHash(p.Size, &tiles)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err != nil || root != signed.Root {
			c.foundInLog("it does not begin with what was signed under its former name %s, %d records.", p.Origin, p.Size)
		}
	}
	return nil
}

// publicPart is the key in a verifier key (name+hash+base64); base64 may hold a plus.
func publicPart(vkey string) string {
	_, rest, _ := strings.Cut(vkey, "+")
	_, public, _ := strings.Cut(rest, "+")
	return public
}
