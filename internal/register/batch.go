package register

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/receipt"

	"github.com/google/uuid"
)

// openLog is a log as a transaction of this process left it. The database is
// the truth: an openLog serves again only while the stored row is the same.
type openLog struct {
	siteID     int64
	origin     string
	size       int64
	checkpoint []byte
	edge       *edge // ahead of size while a transaction runs
	refused    error // why nothing may be appended

	// PostgreSQL only.
	before      edge // as it was before the batch
	shared      int  // batches for which other nodes are expected to grow it too
	spell       int  // for how many that was when it was seen last
	undisturbed int  // batches since
}

// batch is one transaction. It has two ways. Nearly always the logs are as this
// process left them and no record is a repeat: then it writes at once, and the
// writing itself tells whether that was right (trust on SQLite, swift on
// PostgreSQL, see nodes.go). Where it was not, nothing is stored, and the batch
// starts again by reading first (run; locked).
type batch struct {
	writer  *writer
	ctx     context.Context
	calls   []*call
	answers []outcome          // by call
	logs    map[int64]*openLog // of the sites in this batch that have one
	fresh   []*call            // to be inserted, in the order of arrival
	marked  bool               // the edges' marks are those of this batch
	looked  bool               // for records that are stored or were erased
	erased  map[Mark]int64     // when records with IDs of this batch were erased, Unix milliseconds
}

func (b *batch) run(tx *sql.Tx) error {
	if err := b.openLogs(tx, b.sites()); err != nil {
		return err
	}
	stored, err := b.writer.sql.repeats(b.ctx, tx, b.calls)
	if err != nil {
		return err
	}
	if b.erased, err = b.writer.sql.erasedAmong(b.ctx, tx, b.calls); err != nil {
		return err
	}
	b.writer.wary = len(stored)+len(b.erased) > 0
	return b.write(tx, stored)
}

// trust writes with what is in memory. A record that is stored already is not
// inserted again, which the count of rows tells.
func (b *batch) trust(tx *sql.Tx) error {
	if erased, err := b.writer.sql.erasedAmong(b.ctx, tx, b.calls); err != nil {
		return err
	} else if erased != nil {
		return errRepeated
	}
	return b.write(tx, nil)
}

func (b *batch) write(tx *sql.Tx, stored map[uuid.UUID]Stored) error {
	if b.sort(stored); len(b.fresh) == 0 {
		return b.touch(tx)
	}
	if n, err := b.writer.sql.insert(b.ctx, tx, b.fresh); err != nil {
		return err
	} else if n != int64(len(b.fresh)) {
		return errRepeated
	}
	grown, err := b.grow()
	if err != nil {
		return err
	}
	if err := b.store(tx, grown); err != nil {
		return err
	}
	b.keep(grown)
	return nil
}

// store writes the grown trees.
func (b *batch) store(tx *sql.Tx, grown []grown) error {
	for _, g := range grown {
		if err := b.writer.sql.putTiles(b.ctx, tx, g.log.siteID, g.tiles); err != nil {
			return err
		}
		if err := b.writer.sql.putTail(b.ctx, tx, g); err != nil {
			return err
		}
		if err := b.writer.sql.swapLog(b.ctx, tx, g); err != nil {
			return err
		}
		if err := b.writer.sql.enter(b.ctx, tx, g); err != nil {
			return err
		}
	}
	return nil
}

// remembers tells whether the batch's logs are in memory, as the last
// transaction left them.
func (b *batch) remembers() bool {
	b.logs = make(map[int64]*openLog, 1)
	for _, c := range b.calls {
		log := b.writer.logs[c.entry.SiteID]
		if log == nil || log.refused != nil {
			return false
		}
		b.logs[log.siteID] = log
	}
	return true
}

// openLogs reads the rows of sites' logs, in the order of their site IDs, so that two processes never wait for each other in a circle, and brings
// their edges into memory where they are not yet, or not any more, right.
func (b *batch) openLogs(tx *sql.Tx, sites []int64) error {
	b.logs = make(map[int64]*openLog, 1)
	for _, id := range sites {
		row, err := b.writer.sql.log(b.ctx, tx, id)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		if row.refused = b.writer.shortened(row); row.refused != nil {
			b.logs[id] = row
			continue
		}
		known := b.writer.logs[id]
		if known == nil || known.size != row.size || known.origin != row.origin || !bytes.Equal(known.checkpoint, row.checkpoint) {
			known = row
			err := b.load(tx, known)
			switch {
			case errors.Is(err, errDamaged):
				known.refused = damagedLog(err)
			case err != nil:
				return err
			}
			b.writer.keep(known)
		}
		b.logs[id] = known
	}
	return nil
}

// sites are the numbers of the batch's sites, in order.
func (b *batch) sites() []int64 {
	sites := make([]int64, 0, 4)
	for _, c := range b.calls {
		if len(sites) == 0 || sites[len(sites)-1] != c.entry.SiteID {
			sites = append(sites, c.entry.SiteID)
		}
	}
	slices.Sort(sites)
	return slices.Compact(sites)
}

// keep caches a log; some other goes when there are many.
func (w *writer) keep(l *openLog) {
	if len(w.logs) >= openLogs {
		for id := range w.logs {
			delete(w.logs, id)
			break
		}
	}
	w.logs[l.siteID] = l
}

// load reads the edge of a log and holds it against the signed checkpoint:
// nothing is ever signed on top of a tree that is not the one signed before.
func (b *batch) load(tx *sql.Tx, l *openLog) error {
	tail, err := b.writer.sql.tail(b.ctx, tx, l.siteID, l.size>>tileHeight<<tileHeight)
	if err != nil {
		return err
	}
	edge, err := loadEdge(l.size, tail, func(level, n int64) ([]byte, error) {
		data, err := b.writer.sql.tile(b.ctx, tx, l.siteID, level, n)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("%w: tile %d of level %d is missing", errDamaged, n, level)
		}
		return data, err
	})
	if err != nil {
		return err
	}
	l.edge = edge
	return b.writer.matches(b.ctx, l)
}

func damagedLog(err error) error {
	return fault.Wrap(fault.Unavailable, err, "The register of this site is damaged, so nothing is added to it. The operator runs assent fsck, which says what is wrong.")
}

// matches holds a log's edge against its signed checkpoint.
func (w *writer) matches(ctx context.Context, l *openLog) error {
	c, err := w.open(ctx, l.origin, l.checkpoint)
	if err != nil {
		return err
	}
	root, err := l.edge.Root()
	if err != nil {
		return err
	}
	if c.Origin != l.origin || c.Size != l.size || c.Root != root {
		return fmt.Errorf("%w: the checkpoint is not that of the stored tiles", errDamaged)
	}
	return nil
}

// sort answers the calls that need no insertion and gives the others their
// places. Stored are the records that the database has with the calls' IDs.
func (b *batch) sort(stored map[uuid.UUID]Stored) {
	if stored == nil {
		stored = make(map[uuid.UUID]Stored, len(b.calls))
	}
	given := make(map[int64]int64, len(b.logs))
	for i, c := range b.calls {
		log := b.logs[c.entry.SiteID]
		first, repeated := stored[c.entry.RecordID]
		switch {
		case log == nil:
			b.answers[i].err = fault.New(fault.NotFound, "There is no register for this site. Check the site key.")
		case !strings.HasSuffix(log.origin, "/log/"+c.site):
			b.answers[i].err = fmt.Errorf("register: a record of another site was sent to the log %s", log.origin)
		case repeated && (first.SiteID != c.entry.SiteID || !b.writer.same(first.Payload, c.entry.Payload)):
			b.answers[i].err = fault.New(fault.Conflict, "This record ID was used before for another decision. Make a new record ID for each decision.")
		case b.erased[c.mark] != 0: // nothing of it is kept to compare with
			b.answers[i].err = erasedOn(b.erased[c.mark])
		case repeated:
			b.answers[i] = outcome{stored: first, repeated: true}
		case log.size+given[log.siteID] > maxIndex:
			b.answers[i].err = fault.New(fault.Unavailable, "The register of this site is full: it holds %d records.", int64(maxIndex)+1)
		case log.refused != nil:
			b.answers[i].err = log.refused
		default:
			c.index = log.size + given[log.siteID]
			given[log.siteID]++
			s := Stored{c.entry.SiteID, c.index, c.entry.Time, c.entry.RecordID, c.entry.ConsentID, c.entry.Payload}
			b.answers[i].stored = s
			stored[s.RecordID] = s
			b.fresh = append(b.fresh, c)
		}
	}
}

// grown is a log with its tree as it is after the batch.
type grown struct {
	log        *openLog // as it is before
	tiles      []tile   // full ones, and what grew above level 0
	tail       []byte   // commitments of this batch that no full bundle holds
	tailFrom   int64    // index of the first of them
	checkpoint []byte
}

// runs are the records, from and up to, whose consent IDs are now to be entered.
func (g grown) runs() (from, to int64) {
	return g.log.size >> runBits << runBits, g.log.edge.Size >> runBits << runBits
}

// grow extends the trees over the new records, and signs them.
func (b *batch) grow() (list []grown, err error) {
	for _, c := range b.fresh {
		if err := b.logs[c.entry.SiteID].edge.Append(c.commitment, c.leaf); err != nil {
			return nil, err
		}
	}
	for _, l := range b.logs {
		if l.edge == nil || l.edge.Size == l.size {
			continue
		}
		root, err := l.edge.Root()
		if err != nil {
			return nil, err
		}
		checkpoint, err := receipt.Checkpoint{Origin: l.origin, Size: l.edge.Size, Root: root}.Sign(b.writer.keys.get())
		if err != nil {
			return nil, err
		}
		g := grown{log: l, tiles: l.edge.Changed(), checkpoint: checkpoint}
		g.tail, g.tailFrom = l.edge.TailSince(l.size)
		list = append(list, g)
	}
	return list, nil
}

// touch makes sure, on PostgreSQL, that a repeat's first commit has reached the
// synchronous standby (see touchQuery).
func (b *batch) touch(tx *sql.Tx) error {
	if b.writer.db.Engine != db.Postgres {
		return nil
	}
	for id := range b.logs {
		if _, err := tx.ExecContext(b.ctx, touchQuery, id); err != nil {
			return err
		}
	}
	return nil
}

// keep makes the logs in memory what was written. They are dropped again when
// the transaction fails.
func (b *batch) keep(list []grown) {
	for _, g := range list {
		g.log.size, g.log.checkpoint = g.log.edge.Size, g.checkpoint
	}
}
