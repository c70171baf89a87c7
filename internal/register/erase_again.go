package register

import (
	"context"
	"encoding/hex"

	"assent/internal/db"
	"assent/internal/fault"

	"github.com/google/uuid"
)

// MarkingSetting is the setting that holds the key of the marks (see Mark).
const MarkingSetting = markingSetting

// ErasedAt is a row of an erasure ledger that was kept apart from the database.
type ErasedAt struct {
	Place int64 // site << PlaceShift | index
	Mark  []byte
}

// EraseAgain erases those records of one site that a ledger says were erased and
// a backup brought back. A record that has another mark than the one erased at
// its place is another record, and stays. Marking is the key of the ledger's
// marks, in hex. The list is ascending by place.
func (r *Register) EraseAgain(ctx context.Context, marking string, list []ErasedAt) (int64, error) {
	key, err := hex.DecodeString(marking)
	if err != nil || len(key) != 32 {
		return 0, fault.New(fault.Invalid, "The ledger has no key for its marks, so what it says cannot be told from other records. Give another ledger, or a newer backup.")
	}
	if len(list) == 0 {
		return 0, nil
	}
	marks := make(map[int64]Mark, len(list))
	for _, e := range list {
		var m Mark
		if copy(m[:], e.Mark) == len(m) {
			marks[e.Place] = m
		}
	}
	rows, err := r.db.Read().QueryContext(ctx, "select place, record_id from record where place >= $1 and place <= $2 order by place",
		list[0].Place, list[len(list)-1].Place)
	if err != nil {
		return 0, r.db.Explain(err)
	}
	defer rows.Close()
	var indexes []int64
	for rows.Next() {
		var place int64
		var id []byte
		if err := rows.Scan(&place, &id); err != nil {
			return 0, r.db.Explain(err)
		}
		if m, there := marks[place]; there && len(id) == 16 && m == markOf(key, uuid.UUID(id)) {
			indexes = append(indexes, place&maxIndex)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, r.db.Explain(err)
	}
	rows.Close() // nothing reads while the writer writes
	done, err := r.Erase(ctx, Erasing{SiteID: list[0].Place >> indexBits, Reason: Restored, Next: once(indexes)})
	return done.Records, err
}

// AdoptMarking gives a database that has no key for its marks yet that of its
// ledger, so that the marks of both say the same.
func AdoptMarking(ctx context.Context, d *db.DB, marking string) error {
	_, err := d.FirstSetting(ctx, markingSetting, marking)
	return err
}

// Unlisted counts, by site, the erased records that a ledger kept apart does not
// know of. Each call takes the next part of the ledger, in the order of places
// over all sites: what this database says was erased between after and last and
// the part does not list is counted.
func (r *Register) Unlisted(ctx context.Context, part []ErasedAt, after, last int64, counts map[int64]int64) error {
	listed := make(map[int64]bool, len(part))
	for _, e := range part {
		listed[e.Place] = true
	}
	rows, err := r.db.Read().QueryContext(ctx, "select place from erased where place > $1 and place <= $2", after, last)
	if err != nil {
		return r.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var place int64
		if err := rows.Scan(&place); err != nil {
			return r.db.Explain(err)
		}
		if !listed[place] {
			counts[place>>indexBits]++
		}
	}
	return r.db.Explain(rows.Err())
}
