package register

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"assent/internal/db"
	"assent/internal/fault"

	"github.com/google/uuid"
)

// eraseChunk is how many records one act of erasing takes: one transaction, and
// one leaf of the log.
const eraseChunk = 1000

// restBetween is how long erasing rests after an act, as a multiple of what the
// act took: the decisions of visitors come first.
const restBetween = 3

// besideDecisions is how many records a second are erased while the same log takes
// decisions, or may do so on PostgreSQL: more would slow those down by more than
// 30 % (make bench, row erasure).
const besideDecisions = 2300

// Erasing says what to erase of one site.
type Erasing struct {
	SiteID int64
	Reason Reason
	Rule   string // retention rule, as receipt.Statement has it; else ""

	// Next returns at most limit indexes of records to erase, ascending, and none
	// when there are no more. It is called again after those were erased.
	Next func(ctx context.Context, limit int) ([]int64, error)
}

// Removed is what was erased of one site.
type Removed struct {
	SiteID  int64
	Records int64
	Acts    []int64 // indexes of the erasure leaves, ascending
}

// Erase removes records with their salts, and all that leads to them, and
// appends to the log a leaf that names their places (receipt.Statement). It goes
// in acts of up to 1000 records, each of which is done whole or not at all, and
// lets the writing of decisions go on between them; where it was interrupted it
// may be called again. Commitments stay in the tree, so that checkpoints, and
// the receipts that visitors kept, hold as before; without the salt a
// commitment tells nothing.
//
// What it removed is out of reach of any query when it returns. Seal makes sure
// that the bytes are gone from the database's files too.
//
// fault.Unavailable: the database is busy or failed, or the log is damaged and
// nothing is added to it before fsck says what is wrong.
func (r *Register) Erase(ctx context.Context, e Erasing) (done Removed, err error) {
	done.SiteID = e.SiteID
	if r.writer.keys.get() == nil {
		return done, errReadOnly
	}
	for last := int64(-1); ; {
		begin := time.Now()
		indexes, err := e.Next(ctx, eraseChunk)
		if err != nil || len(indexes) == 0 {
			return done, err
		}
		answer, err := r.act(ctx, &act{ctx: ctx, siteID: e.SiteID, reason: e.Reason, rule: e.Rule, indexes: indexes, answer: make(chan acted, 1)})
		if err != nil {
			return done, err
		}
		if answer.count > 0 {
			done.Records += answer.count
			done.Acts = append(done.Acts, answer.index)
			if n := len(done.Acts); r.db.Engine == db.Postgres && n&(n-1) == 0 {
				// Each decision looks into this table; by the statistics of an empty one it would be read whole.
				if _, err := r.db.Writer().ExecContext(ctx, "analyze erased"); err != nil {
					return done, r.db.Explain(err)
				}
			}
		}
		next := begin.Add((1 + restBetween) * answer.took)
		if slow := begin.Add(time.Duration(answer.count) * time.Second / besideDecisions); slow.After(next) &&
			(r.db.Engine == db.Postgres || last >= 0 && answer.index > last+1) {
			next = slow
		}
		last = answer.index
		if len(indexes) < eraseChunk { // most probably the last
			continue
		}
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
			return done, interrupted(ctx.Err())
		}
	}
}

func interrupted(cause error) error {
	return fault.Wrap(fault.Unavailable, cause, "Erasing was interrupted between two batches. Start it again; what is erased already stays so.")
}

// act hands an act to the writer and waits. A database that is busy all the time
// (on SQLite another process may be writing) is asked again for a minute.
func (r *Register) act(ctx context.Context, a *act) (acted, error) {
	for until := time.Now().Add(time.Minute); ; {
		select {
		case r.writer.acts <- a:
		case <-r.writer.done:
			return acted{}, fault.New(fault.Unavailable, "This server is shutting down. Start the erasing again; what is erased already stays so.")
		case <-ctx.Done():
			return acted{}, interrupted(ctx.Err())
		}
		done := <-a.answer // the writer answers always
		if done.err == nil || !db.Busy(done.err) || time.Now().After(until) {
			return done, done.err
		}
	}
}

// EraseRecord erases one record, or says with fault.NotFound or fault.Gone that
// there is none.
func (r *Register) EraseRecord(ctx context.Context, recordID uuid.UUID, reason Reason) (Removed, error) {
	s, err := r.Find(ctx, recordID)
	if err != nil {
		return Removed{}, err
	}
	done, err := r.Erase(ctx, Erasing{SiteID: s.SiteID, Reason: reason, Next: once([]int64{s.Index})})
	if err == nil && done.Records == 0 {
		err = r.gone(ctx, recordID) // another was faster
	}
	return done, err
}

// once gives these indexes, and then none.
func once(indexes []int64) func(context.Context, int) ([]int64, error) {
	return func(_ context.Context, limit int) ([]int64, error) {
		part := indexes[:min(limit, len(indexes))]
		indexes = indexes[len(part):]
		return part, nil
	}
}

// EraseConsent erases every record of a consent ID at one site; none is no
// error.
func (r *Register) EraseConsent(ctx context.Context, siteID int64, consentID uuid.UUID, reason Reason) (Removed, error) {
	return r.Erase(ctx, Erasing{SiteID: siteID, Reason: reason, Next: func(ctx context.Context, limit int) (indexes []int64, err error) {
		found, err := r.Search(ctx, Query{SiteID: siteID, ConsentID: consentID, Limit: limit})
		for _, s := range slices.Backward(found) {
			indexes = append(indexes, s.Index)
		}
		return indexes, err
	}})
}

// EraseSite erases every record that a site has when it is called.
func (r *Register) EraseSite(ctx context.Context, siteID int64, reason Reason) (Removed, error) {
	state, err := r.State(ctx, siteID)
	if err != nil {
		return Removed{}, err
	}
	next := int64(0)
	return r.Erase(ctx, Erasing{SiteID: siteID, Reason: reason, Next: func(ctx context.Context, limit int) (indexes []int64, err error) {
		rows, err := r.db.Read().QueryContext(ctx, "select place from record where place >= $1 and place < $2 order by place limit $3",
			placeOf(siteID, next), placeOf(siteID, 0)+state.Size, limit)
		if err != nil {
			return nil, r.db.Explain(err)
		}
		defer rows.Close()
		for rows.Next() {
			var place int64
			if err := rows.Scan(&place); err != nil {
				return nil, r.db.Explain(err)
			}
			indexes = append(indexes, place&maxIndex)
			next = place&maxIndex + 1
		}
		return indexes, r.db.Explain(rows.Err())
	}})
}

// unsealedSetting is there from the first act of erasing until the bytes are
// gone from the files.
const unsealedSetting = "register.unsealed"

// Unsealed names the newest act of erasing that no Seal has followed yet; "" when
// there is none.
func (r *Register) Unsealed(ctx context.Context) (string, error) {
	return r.db.Setting(ctx, unsealedSetting)
}

// Seal makes sure that what was erased is in no file of the database any more
// (see db.Purge), and returns when it is so. It may take as long as reading the
// whole database.
func (r *Register) Seal(ctx context.Context) error {
	before, err := r.Unsealed(ctx)
	if err != nil || before == "" {
		return err
	}
	if err := r.db.Purge(ctx, "record", "consent_place", "span"); err != nil {
		return err
	}
	return r.db.Write(ctx, func(tx *sql.Tx) error {
		// Another act may have come in between; its own Seal removes the setting.
		_, err := tx.ExecContext(ctx, "delete from setting where name = $1 and value = $2", unsealedSetting, before)
		return err
	})
}

// unproved explains why tlog.ProveRecord failed.
func (r *Register) unproved(err error) error {
	if explained := r.db.Explain(err); fault.KindOf(explained) != fault.Internal {
		return explained
	}
	return fault.Wrap(fault.Unavailable, err, "The register of this site is damaged, so this record cannot be proved. The operator runs assent fsck, which says what is wrong.")
}

// errGone ends an act whose records are not there any more.
var errGone = errors.New("register: nothing of it is there")
