// Package audit keeps the audit log of each organisation: who changed what, what it was
// before, and when. An entry is written in the transaction of the change that it is
// about. The log is a tree of salted commitments, as the register of a site is, so that
// an entry can be erased when its time is over, and nothing can be changed unnoticed.
package audit

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/tilelog"
	"assent/receipt"

	"golang.org/x/mod/sumdb/tlog"
)

// Actions of the audit log itself.
const (
	Exported = "audit.export"
	Expired  = "audit.expire" // entries were removed because their time was over
	Erased   = "audit.erase"  // one entry was removed by hand
	Keeping  = "audit.keep"   // for how long entries are kept was changed
	Signed   = "audit.sign"   // the log goes on under another key or name
)

// How long entries are kept, in days.
const (
	DefaultDays = 1096 // three years: the usual time after which claims are barred
	LeastDays   = 30
	MostDays    = 3660
)

// Config is what a store works on.
type Config struct {
	DB *db.DB
	// Signer is the key that is in use, asked in each transaction that signs.
	Signer func(ctx context.Context, tx *sql.Tx) (ed25519.PrivateKey, error)
	// OpenHead opens a checkpoint, and returns the verifier key that it was checked with.
	OpenHead func(ctx context.Context, origin string, checkpoint []byte) (receipt.Checkpoint, string, error)
	Host     func() string // of the installation, for the names of new logs; perhaps with an epoch
	Now      func() time.Time
}

// Store keeps the audit logs. It is safe for concurrent use.
type Store struct {
	c  Config
	db *db.DB
}

// NewStore returns a store, and has the database write its changes here.
func NewStore(c Config) *Store {
	s := &Store{c: c, db: c.DB}
	s.Attach()
	return s
}

// Attach has the database write its changes here; NewStore does so once.
func (s *Store) Attach() { s.db.OnChange(s.write) }

// head is the log of an organisation, locked by a transaction.
type head struct {
	organisation, origin, checkpoint string
	size                             int64
	edge                             *tilelog.Edge
}

// write enters changes, in the transaction in which they are made.
func (s *Store) write(ctx context.Context, tx *sql.Tx, list []db.Change) error {
	now := s.c.Now().UTC().Truncate(time.Millisecond)
	byLog := map[string][]*receipt.AuditEntry{}
	for _, c := range list {
		whose, site, err := s.whose(ctx, tx, c)
		if err != nil {
			return err
		}
		for _, organisation := range whose {
			byLog[organisation] = append(byLog[organisation], entryOf(ctx, c, organisation, site, now))
		}
	}
	// Always in the same order, so that no two transactions wait for each other.
	for _, organisation := range slices.Sorted(maps.Keys(byLog)) {
		if _, err := s.append(ctx, tx, organisation, byLog[organisation]); err != nil {
			return err
		}
	}
	return nil
}

func entryOf(ctx context.Context, c db.Change, organisation, site string, now time.Time) *receipt.AuditEntry {
	actor := db.ActorOf(ctx)
	if c.Member != "" && c.Member != actor.ID {
		actor = db.Actor{Kind: db.Person, ID: c.Member}
	}
	e := &receipt.AuditEntry{Action: c.Action, Actor: string(actor.Kind), ActorID: actor.ID, Detail: c.Detail, Organisation: organisation, Site: site, Target: cmp.Or(c.Target, c.About),
		Time: now.Format(receipt.TimeLayout), Type: receipt.AuditType}
	for _, f := range c.Fields {
		e.Changes = append(e.Changes, receipt.AuditChange{Field: f.Name, Before: f.Before, After: f.After})
	}
	return e
}

// whose tells in which logs a change stands, and the key of its site.
func (s *Store) whose(ctx context.Context, tx *sql.Tx, c db.Change) (organisations []string, site string, err error) {
	if site = c.Site; c.SiteID != 0 {
		if err := tx.QueryRowContext(ctx, "select site from site where id = $1", c.SiteID).Scan(&site); err != nil {
			return nil, "", err
		}
	}
	switch {
	case c.Organisation != "":
		return []string{c.Organisation}, site, nil
	case site != "":
		organisations, err = db.Strings(tx.QueryContext(ctx, "select organisation_id from site where site = $1", site))
	case c.Member+c.About != "":
		organisations, err = db.Strings(tx.QueryContext(ctx, "select organisation_id from membership where member_id = $1 and reason = '' and (expires_at = 0 or expires_at > $2) order by 1", cmp.Or(c.Member, c.About), s.c.Now().UnixMilli()))
	case db.ActorOf(ctx).Kind != db.Nobody:
		organisations, err = db.Strings(tx.QueryContext(ctx, "select id from organisation order by 1"))
	}
	if len(organisations) == 0 {
		organisations = []string{""}
	}
	return organisations, site, err
}

// open locks the log of an organisation, makes it when there is none, and reads its
// right edge, which has to be the one that was signed.
func (s *Store) open(ctx context.Context, tx *sql.Tx, organisation string) (*head, error) {
	h := &head{organisation: organisation}
	if _, err := tx.ExecContext(ctx, `insert into audit_log (organisation_id, origin, size, checkpoint, days) values ($1, $2, 0, '', $3)
		on conflict (organisation_id) do nothing`, organisation, receipt.AuditOrigin(s.c.Host(), organisation), DefaultDays); err != nil {
		return nil, err
	}
	query := "select origin, size, checkpoint from audit_log where organisation_id = $1"
	if s.db.Engine == db.Postgres {
		query += " for update"
	}
	if err := tx.QueryRowContext(ctx, query, organisation).Scan(&h.origin, &h.size, &h.checkpoint); err != nil {
		return nil, err
	}
	tail, err := tailOf(ctx, tx, organisation, h.size)
	if err != nil {
		return nil, err
	}
	h.edge, err = tilelog.LoadEdge(h.size, tail, func(level, n int64) ([]byte, error) { return readTile(ctx, tx, organisation, level, n) })
	if err != nil {
		return nil, damaged(h.origin, err)
	}
	return h, nil
}

func damaged(origin string, err error) error {
	return fault.Wrap(fault.Unavailable, err, "The audit log %s is damaged, and nothing is changed before it is known why. assent fsck says what is wrong.", origin)
}

// append enters entries into the log of an organisation, and signs it. It returns the
// index of the first.
func (s *Store) append(ctx context.Context, tx *sql.Tx, organisation string, list []*receipt.AuditEntry) (first int64, err error) {
	h, err := s.open(ctx, tx, organisation)
	if err != nil {
		return 0, err
	}
	if h.size > 0 { // who could change the tiles could have them signed by the next change
		root, err := h.edge.Root()
		if err != nil {
			return 0, damaged(h.origin, err)
		}
		signed, _, err := s.c.OpenHead(ctx, h.origin, []byte(h.checkpoint))
		if err == nil && (signed.Size != h.size || signed.Root != root) {
			err = fmt.Errorf("%w: the checkpoint is not that of the stored tiles", tilelog.ErrDamaged)
		}
		if err != nil {
			return 0, damaged(h.origin, err)
		}
	}
	key, err := s.c.Signer(ctx, tx)
	if err != nil {
		return 0, err
	}
	return h.size, s.extend(ctx, tx, h, list, key)
}

// extend adds entries to an open log and signs it with a key.
func (s *Store) extend(ctx context.Context, tx *sql.Tx, h *head, list []*receipt.AuditEntry, key ed25519.PrivateKey) error {
	for _, e := range list {
		salt := make([]byte, receipt.SaltSize)
		rand.Read(salt)
		text := e.Canonical()
		if _, err := receipt.ParseAuditEntry(text); err != nil {
			return err
		}
		commitment := receipt.Commit(salt, text)
		at, err := time.Parse(receipt.TimeLayout, e.Time)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `insert into audit_entry (organisation_id, idx, time, actor, action, site, commitment, salt, entry, erased_by)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, -1)`, h.organisation, h.edge.Size, at.UnixMilli(), actorColumn(e), e.Action, e.Site,
			hex.EncodeToString(commitment[:]), hex.EncodeToString(salt), string(text)); err != nil {
			return err
		}
		if err := h.edge.Append(commitment, tlog.RecordHash(commitment[:])); err != nil {
			return err
		}
	}
	root, err := h.edge.Root()
	if err != nil {
		return err
	}
	checkpoint, err := receipt.Checkpoint{Origin: h.origin, Size: h.edge.Size, Root: root}.Sign(key)
	if err != nil {
		return err
	}
	if err := writeTiles(ctx, tx, h.organisation, h.edge.Changed()); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "update audit_log set origin = $1, size = $2, checkpoint = $3 where organisation_id = $4", h.origin, h.edge.Size, string(checkpoint), h.organisation)
	return err
}

// actorColumn is by what entries are found: the kind, and behind a space the ID.
func actorColumn(e *receipt.AuditEntry) string {
	if e.ActorID == "" {
		return e.Actor
	}
	return e.Actor + " " + e.ActorID
}

// Resign lets every log go on under another key, or another name, in the transaction
// that decides it. sign is the key from now on; known tells whether a checkpoint was
// signed by the one before. epoch, unless it is "", stands in the names from now on.
func (s *Store) Resign(ctx context.Context, tx *sql.Tx, former ed25519.PublicKey, sign ed25519.PrivateKey, host string, why map[string]string) error {
	query := "select organisation_id from audit_log where size > 0 order by organisation_id"
	organisations, err := db.Strings(tx.QueryContext(ctx, query))
	if err != nil {
		return err
	}
	now := s.c.Now().UTC().Truncate(time.Millisecond)
	for _, organisation := range organisations {
		h, err := s.open(ctx, tx, organisation)
		if err != nil {
			return err
		}
		vkey, err := receipt.VerifierKey(h.origin, former)
		if err != nil {
			return err
		}
		root, err := h.edge.Root()
		if err != nil {
			return damaged(h.origin, err)
		}
		signed, err := receipt.OpenCheckpoint([]byte(h.checkpoint), vkey)
		if err != nil || signed.Size != h.size || signed.Root != root {
			return damaged(h.origin, cmp.Or(err, tilelog.ErrDamaged))
		}
		before := map[string]string{"log": h.origin, "key": vkey, "size": strconv.FormatInt(h.size, 10), "root": root.String()}
		h.origin = receipt.AuditOrigin(host, organisation)
		if vkey, err = receipt.VerifierKey(h.origin, sign.Public().(ed25519.PublicKey)); err != nil {
			return err
		}
		c := db.Change{Action: Signed, Detail: why, Fields: db.Fields(before, map[string]string{"log": h.origin, "key": vkey, "size": before["size"], "root": before["root"]})}
		if err := s.extend(ctx, tx, h, []*receipt.AuditEntry{entryOf(ctx, c, organisation, "", now)}, sign); err != nil {
			return err
		}
	}
	return nil
}
