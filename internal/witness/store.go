package witness

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/receipt"

	tlogfmt "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// KeyName is what the witness's signing key is called: a file in the data
// directory, or a setting. It is another key than that of the logs, because a
// cosigner's key may make cosignatures only.
const KeyName = "witness.key"

// nameSetting is where the witness's name is kept: it is part of its identity.
const nameSetting = "witness.name"

// ConflictError says that the caller knows another size than the witness: HTTP
// status 409, with the size.
type ConflictError struct{ Size int64 }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the last cosigned checkpoint has the size %d", e.Size)
}

// Log is a log of somebody that this witness follows.
type Log struct {
	Origin string `json:"origin"`
	Key    string `json:"key"`
	Size   int64  `json:"size"` // last cosigned; 0 also when never
	Root   string `json:"root,omitempty"`
}

// Asked is a witness that is asked to cosign this installation's logs.
type Asked struct {
	Key string `json:"key"`
	URL string `json:"url"` // submission prefix, without a closing slash
}

// Store is the memory of a witness. It is safe for concurrent use, and by
// several processes on one database.
type Store struct {
	db  *db.DB
	now func() time.Time
}

// NewStore returns the store of a database.
func NewStore(d *db.DB, now func() time.Time) *Store { return &Store{d, now} }

// Used refuses to go on with a new key where the witness has cosigned already:
// whoever trusts it knows the old one.
func (s *Store) Used(ctx context.Context, where string) error {
	var n int
	if err := s.db.Read().QueryRowContext(ctx, "select count(*) from witnessed where size > 0").Scan(&n); err != nil {
		return s.db.Explain(err)
	}
	if n > 0 {
		return fault.New(fault.Unavailable, "The witness's key is missing (%s), but it has cosigned %d logs. Put the key back from your backup; nobody knows a new one.", where, n)
	}
	return nil
}

// Name returns the witness's name, and fixes it the first time. An empty wish
// takes what was fixed, or the fallback.
func (s *Store) Name(ctx context.Context, wish, fallback string) (string, error) {
	first := wish
	if first == "" {
		first = fallback
	}
	if _, err := receipt.WitnessKey(first, make(ed25519.PublicKey, ed25519.PublicKeySize)); err != nil {
		return "", fault.New(fault.Invalid, "The name %q cannot be used: %v. Write it like witness.example/w1.", first, err)
	}
	name, err := s.db.FirstSetting(ctx, nameSetting, first)
	if err != nil {
		return "", err
	}
	if wish != "" && wish != name {
		return "", fault.New(fault.Conflict, "This witness is named %s already, and its name is a part of its key. Use another --data for another witness.", name)
	}
	return name, nil
}

// AddLog makes the witness follow the log of a verifier key.
func (s *Store) AddLog(ctx context.Context, vkey string) (origin string, err error) {
	if _, err := note.NewVerifier(vkey); err != nil {
		return "", fault.New(fault.Invalid, "%q is not the verifier key of a log. It looks like consent.shop.example/log/KEY+1a2b3c4d+AbCd…; assent site show prints it, and so does the log's page.", vkey)
	}
	origin, _, _ = strings.Cut(vkey, "+")
	return origin, s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "insert into witnessed (origin, vkey, size, root, checkpoint) values ($1, $2, 0, '', '') on conflict (origin) do nothing", origin, vkey); err != nil {
			return err
		}
		var known string
		if err := tx.QueryRowContext(ctx, "select vkey from witnessed where origin = $1", origin).Scan(&known); err != nil {
			return err
		}
		if known != vkey {
			return fault.New(fault.Conflict, "The log %s is followed with another key, %s. Ask its operator why the key changed; assent witness remove %s forgets what this witness saw.", origin, known, origin)
		}
		return s.db.Record(ctx, tx, db.Change{Action: Changed, Target: vkey, Detail: map[string]string{"what": "follows"}})
	})
}

// Follow lets the witness go on with a log whose key was replaced, by its key history
// (receipt.ParseHistory): what it saw under the old name is what the new one has to
// continue, and the old one is followed no more. Naming the key is the witness's word
// that it is the log's, whatever the history says of the old one.
func (s *Store) Follow(ctx context.Context, vkey string, history *receipt.History) (origin string, err error) {
	for _, rotation := range history.Rotations {
		former, _, _ := strings.Cut(rotation.Old, "+")
		next, _, _ := strings.Cut(rotation.New, "+")
		done := false
		err := s.db.Write(ctx, func(tx *sql.Tx) error {
			var size int64
			var root string
			err := tx.QueryRowContext(ctx, "select size, root from witnessed where origin = $1 and vkey = $2", former, rotation.Old).Scan(&size, &root)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			if size > rotation.Size || size == rotation.Size && size > 0 && root != rotation.Root.String() {
				return fault.New(fault.Conflict, "This witness has cosigned %d records of %s, and the key history says that it ended with %d, or with others. Keep what you have, and ask the operator.", size, former, rotation.Size)
			}
			_, err = tx.ExecContext(ctx, "update witnessed set origin = $1, vkey = $2, checkpoint = '' where origin = $3", next, rotation.New, former)
			if done = err == nil; !done {
				return err
			}
			return s.db.Record(ctx, tx, db.Change{Action: Changed, Target: next, Detail: map[string]string{"what": "follows"}, Fields: db.Fields(map[string]string{"key": rotation.Old}, map[string]string{"key": rotation.New})})
		})
		if err != nil {
			return "", err
		}
		if done {
			origin = next
		}
		if rotation.New == vkey {
			break
		}
	}
	known := ""
	if origin != "" {
		if err := s.db.Read().QueryRowContext(ctx, "select vkey from witnessed where origin = $1", origin).Scan(&known); err != nil {
			return "", s.db.Explain(err)
		}
	}
	if known != vkey {
		return "", fault.New(fault.NotFound, "This key history does not lead from a log that this witness follows to the key %s; assent witness list shows which it does.", vkey)
	}
	return origin, nil
}

// RemoveLog forgets a log, and with it what was seen of it.
func (s *Store) RemoveLog(ctx context.Context, origin string) error {
	return s.delete(ctx, "delete from witnessed where origin = $1", origin, "This witness does not follow the log %s; assent witness list shows which it does.")
}

// Logs lists the logs that the witness follows, by origin.
func (s *Store) Logs(ctx context.Context) ([]Log, error) {
	list := []Log{}
	err := s.each(ctx, "select origin, vkey, size, root from witnessed order by origin", func(scan func(...any) error) error {
		var l Log
		if err := scan(&l.Origin, &l.Key, &l.Size, &l.Root); err != nil {
			return err
		}
		list = append(list, l)
		return nil
	})
	return list, err
}

// Seen returns the last cosigned checkpoint of the log whose origin has this
// SHA-256, in lower-case hexadecimal, or fault.NotFound.
func (s *Store) Seen(ctx context.Context, originHash string) (checkpoint []byte, err error) {
	err = s.each(ctx, "select origin, checkpoint from witnessed where size > 0 or checkpoint <> ''", func(scan func(...any) error) error {
		var origin, text string
		if err := scan(&origin, &text); err != nil {
			return err
		}
		if sum := sha256.Sum256([]byte(origin)); hex.EncodeToString(sum[:]) == originHash {
			checkpoint = []byte(text)
		}
		return nil
	})
	if err == nil && checkpoint == nil {
		err = fault.New(fault.NotFound, "This witness has cosigned no checkpoint of such a log.")
	}
	return checkpoint, err
}

// Ask adds a witness that is asked to cosign this installation's logs.
func (s *Store) Ask(ctx context.Context, address, vkey string) error {
	if _, err := receipt.NewWitnessVerifier(vkey); err != nil {
		return fault.New(fault.Invalid, "%q is not the key of a witness: %v. assent witness key prints one.", vkey, err)
	}
	address = strings.TrimRight(address, "/")
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fault.New(fault.Invalid, "%q is not the address of a witness. Write it like https://witness.example/w1.", address)
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "insert into witness (vkey, url, added_at) values ($1, $2, $3) on conflict (vkey) do update set url = excluded.url", vkey, address, s.now().UnixMilli()); err != nil {
			return err
		}
		return s.db.Record(ctx, tx, db.Change{Action: Changed, Target: vkey, Detail: map[string]string{"what": "asked", "address": address}})
	})
}

// Drop asks a witness no more. What it cosigned stays.
func (s *Store) Drop(ctx context.Context, vkey string) error {
	return s.delete(ctx, "delete from witness where vkey = $1", vkey, "No witness has the key %s; assent witness list shows which are asked.")
}

// Asked lists the witnesses of this installation's logs, oldest first.
func (s *Store) Asked(ctx context.Context) ([]Asked, error) {
	list := []Asked{}
	err := s.each(ctx, "select vkey, url from witness order by added_at, vkey", func(scan func(...any) error) error {
		var a Asked
		if err := scan(&a.Key, &a.URL); err != nil {
			return err
		}
		list = append(list, a)
		return nil
	})
	return list, err
}

// Changed is the action of the audit log for witnesses, asked or served.
const Changed = "witness.change"

func (s *Store) delete(ctx context.Context, query, arg, missing string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, query, arg)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fault.New(fault.NotFound, missing, arg))
		}
		return s.db.Record(ctx, tx, db.Change{Action: Changed, Target: arg, Detail: map[string]string{"what": "removed"}})
	})
}

func (s *Store) each(ctx context.Context, query string, fn func(scan func(...any) error) error) error {
	rows, err := s.db.Read().QueryContext(ctx, query)
	if err != nil {
		return s.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return s.db.Explain(err)
		}
	}
	return s.db.Explain(rows.Err())
}

// Witness is a store with the name and the key that it signs with.
type Witness struct {
	*Store
	Name string
	Key  ed25519.PrivateKey
}

// VerifierKey is what others name this witness by.
func (w *Witness) VerifierKey() (string, error) {
	return receipt.WitnessKey(w.Name, w.Key.Public().(ed25519.PublicKey))
}

// AddCheckpoint cosigns a checkpoint that continues what the witness saw of its
// log, and returns the signature line once what it saw is on disk. Else it is
// a ConflictError; fault.NotFound for a log that it does not follow;
// fault.Forbidden for a signature that does not hold; fault.Unprocessed for a
// checkpoint that contradicts what it saw; or fault.Invalid.
func (w *Witness) AddCheckpoint(ctx context.Context, r Request) (line []byte, err error) {
	origin, _, _ := strings.Cut(string(r.Checkpoint), "\n")
	err = w.db.Write(ctx, func(tx *sql.Tx) error {
		query := "select vkey, size, root from witnessed where origin = $1"
		if w.db.Engine == db.Postgres {
			query += " for update" // two requests may not both continue from one size
		}
		var known Log
		err := tx.QueryRowContext(ctx, query, origin).Scan(&known.Key, &known.Size, &known.Root)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.New(fault.NotFound, "This witness does not follow that log.")
		}
		if err != nil {
			return err
		}
		text, c, err := open(r.Checkpoint, known.Key)
		if err != nil {
			return err
		}
		if err := consistent(r, c, known); err != nil {
			return err
		}
		if line, err = receipt.Cosign(text, w.Name, w.Key, w.now()); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "update witnessed set size = $1, root = $2, checkpoint = $3 where origin = $4", c.Size, c.Root.String(), logOnly(r.Checkpoint, text, known.Key)+string(line), origin)
		return err
	})
	if err != nil {
		return nil, err
	}
	return line, nil
}

// open checks the log's signature, and ignores those of others.
func open(checkpoint []byte, vkey string) (text string, c receipt.Checkpoint, err error) {
	bad := fault.New(fault.Invalid, "This is no checkpoint (C2SP tlog-checkpoint).")
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return "", c, err
	}
	n, err := note.Open(checkpoint, note.VerifierList(verifier))
	if _, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return "", c, fault.New(fault.Forbidden, "The checkpoint is not signed by the log's key.")
	}
	if _, ok := errors.AsType[*note.InvalidSignatureError](err); ok {
		return "", c, fault.New(fault.Forbidden, "The log's signature does not hold.")
	}
	if err != nil {
		return "", c, bad
	}
	var parsed tlogfmt.Checkpoint
	if _, err := parsed.Unmarshal([]byte(n.Text)); err != nil || len(parsed.Hash) != tlog.HashSize || parsed.Size > maxSize || !strings.HasPrefix(n.Text, string(parsed.Marshal())) {
		return "", c, bad
	}
	return n.Text, receipt.Checkpoint{Origin: parsed.Origin, Size: int64(parsed.Size), Root: tlog.Hash(parsed.Hash)}, nil
}

// consistent holds a signed checkpoint against what was seen before, in the
// order of the specification.
func consistent(r Request, c receipt.Checkpoint, known Log) error {
	switch {
	case r.Old > c.Size:
		return fault.New(fault.Invalid, "The old size is larger than that of the checkpoint.")
	case r.Old != known.Size:
		return &ConflictError{known.Size}
	case c.Size == 0 && c.Root != sha256.Sum256(nil):
		return fault.New(fault.Unprocessed, "A checkpoint of nothing has the root of the empty tree.")
	case r.Old == 0 && len(r.Proof) > 0:
		return fault.New(fault.Unprocessed, "From nothing no proof is needed, so none may be there.")
	case r.Old == 0:
		return nil
	}
	root, err := tlog.ParseHash(known.Root)
	if err != nil {
		return err
	}
	if r.Old == c.Size && root != c.Root {
		return fault.New(fault.Unprocessed, "This witness cosigned another root for this size.")
	}
	if err := tlog.CheckTree(r.Proof, c.Size, c.Root, r.Old, root); err != nil {
		return fault.New(fault.Unprocessed, "The consistency proof does not hold.")
	}
	return nil
}

// logOnly is a checkpoint with the signature of its log and no other.
func logOnly(checkpoint []byte, text, vkey string) string {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return string(checkpoint)
	}
	n, err := note.Open(checkpoint, note.VerifierList(verifier))
	if err != nil {
		return string(checkpoint)
	}
	out := text + "\n"
	for _, s := range n.Sigs {
		out += "— " + s.Name + " " + s.Base64 + "\n"
	}
	return out
}
