package register

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"assent/internal/fault"
	"assent/receipt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// Reason is why records are erased: a class, and no free text, because what is
// written into a log stays there and must name nobody.
type Reason string

// The reasons.
const (
	OnRequest Reason = "request"   // the person asked (Art. 17 GDPR)
	Retention Reason = "retention" // a retention rule
	Unlawful  Reason = "unlawful"  // should not have been recorded
	Closed    Reason = "closed"    // the site or its organisation is given up
	Test      Reason = "test"      // records of trials
	Restored  Reason = "restored"  // erased before, and back from a backup
)

// Reasons are those that a person can give, in the order in which they are shown.
var Reasons = []Reason{OnRequest, Unlawful, Closed, Test}

// Erasure is one act of erasing: a row of the ledger.
type Erasure struct {
	SiteID    int64
	Index     int64 // of its leaf in the site's log
	Time      time.Time
	Reason    Reason
	Count     int64
	Salt      []byte // 32 bytes
	Statement []byte // canonical JSON of receipt.Statement, to which the leaf commits
}

// Erased is what is left of a record.
type Erased struct {
	SiteID int64
	Index  int64 // the record's
	Mark   Mark
	Act    int64 // index of the erasure leaf
}

// Mark stands for the ID of a record that was erased: the first 3 bytes of the
// ID and 13 of its HMAC-SHA256 with a key of the installation. An ID that the
// browser made from the time begins with it, about 5 hours to each value of those
// 3 bytes, so the marks of new decisions lie together and are quickly looked for.
type Mark [16]byte

// MarkOf is the mark of a record ID.
func (r *Register) MarkOf(recordID uuid.UUID) Mark { return markOf(r.writer.marking, recordID) }

func markOf(key []byte, recordID uuid.UUID) (m Mark) {
	sum := receipt.Commit(key, recordID[:]) // HMAC-SHA256, without preparing the key for a second use
	copy(m[:3], recordID[:3])
	copy(m[3:], sum[:])
	return m
}

// markingSetting is where the key of the marks is, in hex.
const markingSetting = "register.erasure_key"

// loadMarking reads the key of the marks, and makes it the first time. It is in
// the database and not beside the signing key: it has to outlive that one, and
// who holds the database but not a record ID has nothing to try, because IDs are
// random.
func (r *Register) loadMarking(ctx context.Context) error {
	text, err := r.db.Setting(ctx, markingSetting)
	if err == nil && text == "" {
		draft := make([]byte, 32)
		rand.Read(draft)
		text, err = r.db.FirstSetting(ctx, markingSetting, hex.EncodeToString(draft))
	}
	if err != nil {
		return err
	}
	if r.writer.marking, err = hex.DecodeString(text); err != nil || len(r.writer.marking) != 32 {
		return fault.New(fault.Unavailable, "The setting %s in the database is not a key. Put it back from your backup.", markingSetting)
	}
	return nil
}

// gone explains why there is no record with an ID: it was erased (fault.Gone),
// or there was none (fault.NotFound).
func (r *Register) gone(ctx context.Context, recordID uuid.UUID) error {
	mark := r.MarkOf(recordID)
	var millis int64
	err := r.db.Read().QueryRowContext(ctx, `select time from erased join erasure on site_id = place >> 40 and idx = act where mark = $1`, mark[:]).Scan(&millis)
	if errors.Is(err, sql.ErrNoRows) {
		return errNoRecord
	}
	if err != nil {
		return r.db.Explain(err)
	}
	return erasedOn(millis)
}

func erasedOn(millis int64) error {
	return fault.New(fault.Gone, "This record was erased on %s. Nothing of it is kept here; a receipt that was downloaded before still verifies.", time.UnixMilli(millis).UTC().Format("2 January 2006"))
}

// Erasures lists a site's acts of erasing by the index of their leaves, those
// after an index (-1 from the beginning), at most 1000 or limit.
func (r *Register) Erasures(ctx context.Context, siteID, after int64, limit int) (list []Erasure, err error) {
	rows, err := r.db.Read().QueryContext(ctx, `select idx, time, reason, count, salt, statement from erasure
		where site_id = $1 and idx > $2 order by idx limit $3`, siteID, after, min(max(limit, 1), 1000))
	if err != nil {
		return nil, r.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		e := Erasure{SiteID: siteID}
		var millis int64
		if err := rows.Scan(&e.Index, &millis, &e.Reason, &e.Count, &e.Salt, &e.Statement); err != nil {
			return nil, r.db.Explain(err)
		}
		e.Time = time.UnixMilli(millis).UTC()
		list = append(list, e)
	}
	return list, r.db.Explain(rows.Err())
}

// EachErased calls do with what is left of every erased record of a site, by the
// records' indexes.
func (r *Register) EachErased(ctx context.Context, siteID int64, do func(Erased) error) error {
	first, last := allOf(siteID)
	rows, err := r.db.Read().QueryContext(ctx, "select place, mark, act from erased where place >= $1 and place <= $2 order by place", first, last)
	if err != nil {
		return r.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		e := Erased{SiteID: siteID}
		var place int64
		var mark []byte
		if err := rows.Scan(&place, &mark, &e.Act); err != nil {
			return r.db.Explain(err)
		}
		e.Index = place & maxIndex
		copy(e.Mark[:], mark)
		if err := do(e); err != nil {
			return err
		}
	}
	return r.db.Explain(rows.Err())
}

// certificateRoom is how large a certificate may become, in bytes: VerifyCertificate
// reads 1 MiB.
const certificateRoom = 900 << 10

// Certificates makes deletion certificates over acts of erasing, given by the
// indexes of their leaves: as few as can be, because one may not be larger than
// 1 MiB. See receipt.Certificate.
func (r *Register) Certificates(ctx context.Context, siteID int64, acts []int64) (files [][]byte, err error) {
	state, err := r.State(ctx, siteID)
	if err != nil {
		return nil, err
	}
	acts = slices.Sorted(slices.Values(acts))
	tiles := r.tiles(ctx, siteID, state.Size)
	c, size := receipt.Certificate{Key: state.Key, Checkpoint: state.Checkpoint}, 0
	for _, index := range acts {
		a := receipt.Act{Index: index}
		err := r.db.Read().QueryRowContext(ctx, "select salt, statement from erasure where site_id = $1 and idx = $2", siteID, index).Scan(&a.Salt, &a.Statement)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fault.New(fault.NotFound, "There is no act of erasing at index %d of this register.", index)
		}
		if err != nil {
			return nil, r.db.Explain(err)
		}
		if a.Proof, err = tlog.ProveRecord(state.Size, index, &tiles); err != nil {
			return nil, r.unproved(err)
		}
		if size += a.ActSize(); size > certificateRoom && len(c.Acts) > 0 {
			files, c.Acts, size = append(files, c.Marshal()), nil, a.ActSize()
		}
		c.Acts = append(c.Acts, a)
	}
	if len(c.Acts) > 0 {
		files = append(files, c.Marshal())
	}
	return files, nil
}
