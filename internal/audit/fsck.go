package audit

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"assent/internal/db"
	"assent/internal/tilelog"
	"assent/receipt"

	"golang.org/x/mod/sumdb/tlog"
)

// Report says what Fsck checked and what is wrong.
type Report struct {
	Logs     int64    `json:"logs"`
	Entries  int64    `json:"entries"`
	Erased   int64    `json:"erased"`
	Problems int64    `json:"problems"`
	Findings []string `json:"findings"` // sentences; the first thousand
}

// Fsck reads every audit log again: each entry is held against its commitment and its
// columns, the tree is built anew from the first leaf, and tiles and root are held
// against what is stored and signed. What was erased needs an entry that says so.
func (s *Store) Fsck(ctx context.Context) (*Report, error) {
	report := &Report{Findings: []string{}}
	tx, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	organisations, err := db.Strings(tx.QueryContext(ctx, "select organisation_id from audit_log union select organisation_id from audit_entry order by 1"))
	if err != nil {
		return nil, s.db.Explain(err)
	}
	for _, organisation := range organisations {
		edge, err := tilelog.LoadEdge(0, nil, nil)
		if err != nil {
			return nil, err
		}
		c := &check{s: s, tx: tx, organisation: organisation, report: report, edge: edge, says: map[int64]*receipt.AuditEntry{}, name: organisation}
		if err := c.log(ctx); err != nil {
			return report, s.db.Explain(err)
		}
	}
	return report, nil
}

type check struct {
	s            *Store
	tx           *sql.Tx
	organisation string
	name         string // origin
	report       *Report
	edge         *tilelog.Edge
	full         []tilelog.Tile // to be held against what is stored
	says         map[int64]*receipt.AuditEntry
}

func (c *check) found(format string, args ...any) {
	if c.report.Problems++; len(c.report.Findings) < 1000 {
		c.report.Findings = append(c.report.Findings, fmt.Sprintf("The audit log %s: ", c.name)+fmt.Sprintf(format, args...))
	}
}

// row is an entry as it is stored.
type row struct {
	index, time, erasedBy                        int64
	actor, action, site, commitment, salt, entry string
}

func (c *check) log(ctx context.Context) error {
	var size int64
	var checkpoint string
	err := c.tx.QueryRowContext(ctx, "select origin, size, checkpoint from audit_log where organisation_id = $1", c.organisation).Scan(&c.name, &size, &checkpoint)
	if errors.Is(err, sql.ErrNoRows) {
		c.found("there are entries of it, but no log.")
		return nil
	}
	if err != nil {
		return err
	}
	c.report.Logs++
	if err := c.statements(ctx); err != nil {
		return err
	}
	for whole := true; whole && c.edge.Size < size; {
		if whole, err = c.entries(ctx, c.edge.Size+atOnce); err != nil {
			return err
		}
		for _, t := range c.full {
			if err := c.tile(ctx, t); err != nil {
				return err
			}
		}
		c.full = c.full[:0]
	}
	for _, t := range c.partial() {
		if err := c.tile(ctx, t); err != nil {
			return err
		}
	}
	if c.edge.Size != size {
		c.found("it holds %d entries and says that it has %d.", c.edge.Size, size)
	}
	if size == 0 {
		return nil
	}
	root, err := c.edge.Root()
	if err != nil {
		return err
	}
	signed, _, err := c.s.c.OpenHead(ctx, c.name, []byte(checkpoint))
	switch {
	case err != nil && !errors.Is(err, tilelog.ErrDamaged):
		return err
	case err != nil:
		c.found("its checkpoint does not hold: %v.", err)
	case signed.Size != size || signed.Root != root:
		c.found("the entries are not those that were signed: one was changed, added or removed.")
	}
	return nil
}

// statements reads the entries that say what was erased.
func (c *check) statements(ctx context.Context) error {
	rows, err := c.tx.QueryContext(ctx, "select idx, entry from audit_entry where organisation_id = $1 and action in ($2, $3)", c.organisation, Expired, Erased)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var index int64
		var text string
		if err := rows.Scan(&index, &text); err != nil {
			return err
		}
		if e, err := receipt.ParseAuditEntry([]byte(text)); err == nil {
			c.says[index] = e
		}
	}
	return rows.Err()
}

// atOnce is how many entries are read before their tiles are.
const atOnce = 16 * tilelog.Width

// entries builds the tree on, up to an index, and tells whether none was missing.
func (c *check) entries(ctx context.Context, upto int64) (whole bool, err error) {
	rows, err := c.tx.QueryContext(ctx, "select idx, time, actor, action, site, commitment, salt, entry, erased_by from audit_entry where organisation_id = $1 and idx >= $2 and idx < $3 order by idx", c.organisation, c.edge.Size, upto)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	begin := c.edge.Size
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.index, &r.time, &r.actor, &r.action, &r.site, &r.commitment, &r.salt, &r.entry, &r.erasedBy); err != nil {
			return false, err
		}
		if r.index != c.edge.Size {
			c.found("entry %d is missing.", c.edge.Size)
			return false, nil // the tree cannot be built on
		}
		commitment, err := hex.DecodeString(r.commitment)
		if err != nil || len(commitment) != tilelog.CommitmentSize {
			c.found("entry %d has no commitment.", r.index)
			return false, nil
		}
		c.entry(r, commitment)
		if err := c.edge.Append([tilelog.CommitmentSize]byte(commitment), tlog.RecordHash(commitment)); err != nil {
			return false, err
		}
		if c.edge.Size%tilelog.Width == 0 {
			for _, t := range c.edge.Changed() {
				if t.Level <= 0 || len(t.Data) == tilelog.Width*tlog.HashSize {
					c.full = append(c.full, t)
				}
			}
		}
	}
	return c.edge.Size > begin, rows.Err()
}

func (c *check) entry(r row, commitment []byte) {
	if r.erasedBy != -1 || r.entry == "" {
		c.report.Erased++
		says := c.says[r.erasedBy]
		said := says != nil && r.erasedBy > r.index && (says.Action == Erased && says.Target == strconv.FormatInt(r.index, 10) || says.Action == Expired && before(says) > r.index)
		if !said || r.entry != "" || r.salt != "" || r.actor != "" {
			c.found("entry %d was removed, or is half there, and no entry says so.", r.index)
		}
		return
	}
	c.report.Entries++
	salt, err := hex.DecodeString(r.salt)
	if err != nil || len(salt) != receipt.SaltSize {
		c.found("entry %d has no salt.", r.index)
		return
	}
	if sum := receipt.Commit(salt, []byte(r.entry)); !bytes.Equal(sum[:], commitment) {
		c.found("entry %d was changed after it was written.", r.index)
		return
	}
	e, err := receipt.ParseAuditEntry([]byte(r.entry))
	if err != nil {
		c.found("entry %d cannot be read.", r.index)
		return
	}
	if e.Organisation != c.organisation || e.Action != r.action || e.Site != r.site || actorColumn(e) != r.actor || e.Time != stamp(r.time) {
		c.found("entry %d is filed under other words than its own.", r.index)
	}
}

// stamp is a time as entries have it.
func stamp(millis int64) string { return time.UnixMilli(millis).UTC().Format(receipt.TimeLayout) }

func before(e *receipt.AuditEntry) int64 {
	n, _ := strconv.ParseInt(e.Detail["before"], 10, 64)
	return n
}

// partial are the tiles above level 0 that are stored before they are full.
func (c *check) partial() (list []tilelog.Tile) {
	for _, t := range c.edge.Tiles {
		if t.Level > 0 && len(t.Data) > 0 {
			list = append(list, t)
		}
	}
	return list
}

// tile holds a tile of the tree that was built against the stored one.
func (c *check) tile(ctx context.Context, t tilelog.Tile) error {
	stored, err := readTile(ctx, c.tx, c.organisation, t.Level, t.N)
	if err != nil && !errors.Is(err, tilelog.ErrDamaged) {
		return err
	}
	if err != nil || !bytes.Equal(stored, t.Data) {
		c.found("tile %d of level %d is missing, or was changed.", t.N, t.Level)
	}
	return nil
}
