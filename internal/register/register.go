// Package register keeps every site's consent records in order and makes any
// later change of them evident: one C2SP tile log per site, whose leaves are
// salted commitments, and a checkpoint that is signed with every batch.
//
// A record passes two stages, in writer.go: it is inserted, and its log's tree
// grows over it (tree.go), both in one transaction. Callers see only Append,
// which answers once the record is on disk. Several nodes on one PostgreSQL grow
// the same logs, one after the other (nodes.go).
package register

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/receipt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// Entry is a record on its way into the register. Payload is
// receipt.Record.Canonical of the record that the other fields are taken from.
type Entry struct {
	SiteID    int64
	RecordID  uuid.UUID
	ConsentID uuid.UUID
	Time      time.Time // to the millisecond, as in the payload
	Payload   []byte
}

// Stored is a record that is in the register.
type Stored struct {
	SiteID    int64
	Index     int64     // place in the site's log, from 0, without gaps
	Time      time.Time // UTC, to the millisecond
	RecordID  uuid.UUID
	ConsentID uuid.UUID
	Payload   []byte // canonical JSON
}

// Config says what a Register works with.
type Config struct {
	DB *db.DB

	// Key signs checkpoints. Without one the register can only be read.
	Key ed25519.PrivateKey

	// Renew reads the key again when another process may have replaced it (Rotate),
	// and Renewed is told of a new one. Nil: the key never changes.
	Renew   func(ctx context.Context) (ed25519.PrivateKey, error)
	Renewed func(ed25519.PrivateKey)

	// Same tells whether two payloads with one record ID are the same decision,
	// so that a repeat is harmless. Nil: the same bytes.
	Same func(stored, again []byte) bool

	// Inspect opens a damaged register too: a checkpoint that the key did not
	// sign is then Fsck's to report, not a reason to refuse.
	Inspect bool

	QueueLimit int // entries that wait for the writer before Append says no; 4096 when 0
	BatchLimit int // entries in one transaction; 512 when 0
}

// Register is the register of every site in one database. It is safe for
// concurrent use; several may write to one database at the same time.
type Register struct {
	db     *db.DB
	writer *writer
}

// Open starts the register's writer. The caller closes the register before the
// database.
func Open(ctx context.Context, c Config) (*Register, error) {
	if c.QueueLimit <= 0 {
		c.QueueLimit = 4096
	}
	if c.BatchLimit <= 0 {
		c.BatchLimit = 512
	}
	if c.Same == nil {
		c.Same = func(a, b []byte) bool { return string(a) == string(b) }
	}
	r := &Register{db: c.DB, writer: newWriter(c)}
	if c.Key != nil && !c.Inspect {
		if err := r.checkKey(ctx, c.Key); err != nil {
			return nil, err
		}
		if err := r.agree(ctx, c.Key); err != nil {
			return nil, err
		}
	}
	if err := r.loadMarking(ctx); err != nil {
		return nil, err
	}
	go r.writer.run()
	return r, nil
}

// Close refuses further entries, lets the writer finish those that wait, and
// returns when it has, or with the context's error.
func (r *Register) Close(ctx context.Context) error {
	r.writer.queue.close()
	select {
	case <-r.writer.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CreateLog makes a site's empty log, with a signed checkpoint, in the
// caller's transaction. The origin is the log's name for ever; it ends with
// "/log/" and the site key, because receipts are bound to their site by it.
func (r *Register) CreateLog(ctx context.Context, tx *sql.Tx, siteID int64, origin string) error {
	key, err := r.fenced(ctx, tx)
	if err != nil {
		return err
	}
	checkpoint, err := emptyCheckpoint(origin, key)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "insert into log (site_id, origin, size, checkpoint) values ($1, $2, 0, $3)", siteID, origin, checkpoint)
	return err
}

// RenameEmpty gives a log that holds no record another origin, with a fresh
// checkpoint, in the caller's transaction. A log with records keeps its name.
func (r *Register) RenameEmpty(ctx context.Context, tx *sql.Tx, siteID int64, origin string) error {
	key, err := r.fenced(ctx, tx)
	if err != nil {
		return err
	}
	checkpoint, err := emptyCheckpoint(origin, key)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "update log set origin = $1, checkpoint = $2 where site_id = $3 and size = 0 and origin <> $4", origin, checkpoint, siteID, origin)
	return err
}

func emptyCheckpoint(origin string, key ed25519.PrivateKey) ([]byte, error) {
	root, err := tlog.TreeHash(0, nil)
	if err != nil {
		return nil, err
	}
	checkpoint, err := receipt.Checkpoint{Origin: origin, Size: 0, Root: root}.Sign(key)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The log's name %q cannot be used: it may hold no space and no plus sign. Check --public-url.", origin)
	}
	return checkpoint, nil
}

// Append stores an entry and returns when it is on disk, with its place in the
// log. An entry whose record ID is stored already is a repeat when it is the
// same decision (then the first answer is returned) and fault.Conflict when it
// is not, or belongs to another site; fault.Gone when that record was erased. fault.Unavailable means that nothing was
// stored and that the same entry may be sent again: the queue is full, the
// disk or the database failed, or ctx ended first; in that last case the entry
// may be stored all the same.
func (r *Register) Append(ctx context.Context, e Entry) (s Stored, repeated bool, err error) {
	if r.writer.keys.get() == nil {
		return Stored{}, false, errReadOnly
	}
	c, err := newCall(ctx, e)
	if err != nil {
		return Stored{}, false, err
	}
	c.mark = r.MarkOf(e.RecordID)
	if err := r.enqueue(c); err != nil {
		return Stored{}, false, err
	}
	select {
	case o := <-c.answer:
		return o.stored, o.repeated, o.err
	case <-ctx.Done():
		return Stored{}, false, fault.Wrap(fault.Unavailable, ctx.Err(), "The request ended before the answer. Send the decision again with the same record ID; a repeat does no harm.")
	}
}

func (r *Register) enqueue(c *call) error {
	switch r.writer.queue.put(c) {
	case shutQueue:
		return fault.New(fault.Unavailable, "This server is shutting down. Nothing was recorded; send the decision again.")
	case siteFull:
		return fault.New(fault.Unavailable, "More decisions are arriving for this site than can be written. Nothing was recorded; send the decision again in a few seconds.")
	case full:
		return fault.New(fault.Unavailable, "More decisions are arriving than can be written. Nothing was recorded; send the decision again in a few seconds.")
	}
	return nil
}

var errReadOnly = fault.New(fault.Unavailable, "The register was opened without a signing key, for reading only.")

// checkKey refuses a key that is not the one that signed what is there. One log
// tells, because an installation has one key.
func (r *Register) checkKey(ctx context.Context, key ed25519.PrivateKey) error {
	var origin string
	var checkpoint []byte
	err := r.db.Read().QueryRowContext(ctx, "select origin, checkpoint from log order by site_id limit 1").Scan(&origin, &checkpoint)
	if err == sql.ErrNoRows {
		return nil
	}
	if err != nil {
		return r.db.Explain(err)
	}
	vkey, err := verifierKey(origin, key)
	if err != nil {
		return err
	}
	if _, err := receipt.OpenCheckpoint(checkpoint, vkey); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The signing key is not the one that signed the log %s, or its checkpoint was changed. Put the installation's own signing key back; assent fsck says more.", origin)
	}
	return nil
}

func verifierKey(origin string, key ed25519.PrivateKey) (string, error) {
	return receipt.VerifierKey(origin, key.Public().(ed25519.PublicKey))
}
