package register

import (
	"time"

	"github.com/google/uuid"
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

// Statement is what an erasure leaf commits to, as canonical JSON (RFC 8785).
// The leaf is receipt.Commit(salt, statement), as that of a record is.
type Statement struct {
	Count  int64      `json:"count"`  // of indexes in Erased
	Erased [][2]int64 `json:"erased"` // first and last index of each range, ascending, without overlap
	Kind   string     `json:"kind"`   // "erasure"
	Reason Reason     `json:"reason"`
	Site   string     `json:"site"` // site key
	Time   string     `json:"time"` // receipt.TimeLayout
}

// Erasure is one act of erasing: a row of the ledger.
type Erasure struct {
	SiteID    int64
	Index     int64 // of its leaf in the site's log
	Time      time.Time
	Reason    Reason
	Count     int64
	Salt      []byte // 32 bytes
	Statement []byte // canonical JSON
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
func (r *Register) MarkOf(recordID uuid.UUID) Mark { panic("not yet") }
