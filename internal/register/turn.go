package register

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"assent/receipt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"
)

// Turns at a log that several nodes grow. Its row is locked first, where the
// nodes queue; what they added is added to the edge in memory, and everything
// that waits meanwhile is written at once (locked). A node waits for the lock of
// the log whose turn it is, and of those that it could not have the last time, in
// the order of their numbers; further logs join its transaction if they are free.
// So no two nodes wait for each other, and a busy site does not hold up the others.

// sharedFor is how many batches a log stays shared, at most, after another node
// grew it.
const sharedFor = 64

// lateAgain is after how many batches of this node another's counts as one of its
// own kind, and not as a part of taking turns: an act of erasing, for example.
const lateAgain = 16

// pace is the least time between two batches of a node for shared logs, while
// fewer wait than a batch holds: each costs about a millisecond of the database's
// time, whatever it holds. Who comes after a quiet moment is not delayed.
const pace = 6 * time.Millisecond

// turnClass is the first key of the advisory locks, whose second is the site's
// number: "Ass" in ASCII.
const turnClass = 0x417373

const (
	// Nodes queue for a log by an advisory lock, first come, first served. Waiters
	// for a row's lock run after its newest version instead, and some never get it.
	turnQuery = "select pg_advisory_xact_lock($1::int, id::int) from unnest($2::bigint[]) as id"
	lockQuery = "select site_id, origin, size, checkpoint from log where site_id = any($1::bigint[]) order by site_id for update"
	joinQuery = "select site_id, origin, size, checkpoint from log where site_id = any($1::bigint[]) order by site_id for update skip locked"
	// What others added since a size, read after the lock was granted, in a snapshot
	// of its own. A log that is more than 16 full bundles away is loaded anew.
	// The order is that of the tree: full bundles, then the tail.
	addedQuery = `select t.site_id, true, t.n, t.data from unnest($1::bigint[], $2::bigint[]) as k (site_id, size)
		join tile t on t.site_id = k.site_id and t.level = -1 and t.n >= k.size >> 8 and t.n < (k.size >> 8) + 17
		union all select t.site_id, false, t.idx, t.data from unnest($1::bigint[], $2::bigint[]) as k (site_id, size)
		join tail t on t.site_id = k.site_id and t.idx >= k.size order by 1, 2 desc, 3`
)

// await lets a while pass between batches for shared logs.
func (w *writer) await() {
	if d := time.Until(w.next); d > 0 && w.queue.length() < w.limit {
		time.Sleep(d)
	}
}

// moved notes that another node grew the log. One that is grown by turns stays
// shared for longer with each of them; one to which a leaf comes now and then, as
// from erasing, is soon written in one statement again.
func (l *openLog) moved() {
	if l.spell = min(2*l.spell, sharedFor); l.spell == 0 || l.undisturbed > lateAgain {
		l.spell = 1
	}
	l.shared, l.undisturbed = l.spell, 0
}

// unmoved notes a batch before which no other node came.
func (l *openLog) unmoved() {
	l.shared = max(0, l.shared-1)
	l.undisturbed++
}

// locked takes the locks, catches up, and writes.
func (b *batch) locked() (left []*call, err error) {
	w := b.writer
	w.next = time.Now().Add(pace)
	rows, added, stored, err := b.lock()
	if err != nil {
		return nil, err
	}
	b.logs = make(map[int64]*openLog, len(rows))
	for _, row := range rows {
		log := w.logs[row.siteID]
		switch {
		case log == nil: // not one of this batch's
			continue
		case log.size == row.size && log.origin == row.origin && bytes.Equal(log.checkpoint, row.checkpoint):
			log.unmoved()
		case w.follow(log, row, added[row.siteID]):
			log.moved()
		default:
			delete(w.logs, row.siteID) // loaded and checked as a whole, next time
			continue
		}
		b.logs[row.siteID] = log
	}
	first := b.calls[0].entry.SiteID
	if b.logs[first] == nil {
		delete(w.logs, first) // its row is gone, or it is far away
	}
	calls := b.calls
	b.calls = nil
	for _, c := range calls {
		if b.logs[c.entry.SiteID] == nil {
			c.left = true
			left = append(left, c)
		} else {
			b.calls = append(b.calls, c)
		}
	}
	if len(b.calls) == 0 {
		return left, w.rollback(b.ctx)
	}
	if !b.looked { // else the latecomers would not have been looked for
		w.late = w.queue.takeOf(nil, w.limit-len(calls), func(site int64) bool { return b.logs[site] != nil })
		w.late = slices.DeleteFunc(w.late, (*call).gone)
		b.calls = append(b.calls, w.late...)
	}
	b.answers = make([]outcome, len(b.calls))
	return left, b.writeLocked(stored)
}

// lock begins a transaction, waits for the locks on the first call's log and on
// those that calls were left for, takes the others' that are free, and reads what
// other nodes added. In a wary batch it reads the records that are stored already.
func (b *batch) lock() (rows []*openLog, added map[int64][]byte, stored map[uuid.UUID]Stored, err error) {
	w := b.writer
	first := b.calls[0].entry.SiteID
	var others, sites, sizes []int64
	urgent := []int64{first}
	for _, c := range b.calls {
		id := c.entry.SiteID
		if !slices.Contains(sites, id) {
			sites, sizes = append(sites, id), append(sizes, w.logs[id].size)
		}
		if c.left && !slices.Contains(urgent, id) {
			urgent = append(urgent, id)
		}
	}
	for _, id := range sites {
		if !slices.Contains(urgent, id) {
			others = append(others, id)
		}
	}
	list := new(pgx.Batch)
	list.Queue("begin")
	slices.Sort(urgent)
	list.Queue(turnQuery, turnClass, urgent)
	list.Queue(lockQuery, urgent)
	if len(others) > 0 {
		list.Queue(joinQuery, others)
	}
	list.Queue(addedQuery, sites, sizes)
	if w.wary {
		ids := make([][]byte, len(b.calls))
		for i, c := range b.calls {
			ids[i] = c.entry.RecordID[:]
		}
		list.Queue(repeatColumns+"= any($1::bytea[])", ids)
		list.Queue(erasedColumns+"= any($1::bytea[])", marksOf(b.calls))
	}
	answers := w.conn.SendBatch(b.ctx, list)
	defer func() { err = w.db.Explain(errors.Join(err, answers.Close())) }()
	for range 2 {
		if _, err = answers.Exec(); err != nil {
			return
		}
	}
	for range 1 + min(1, len(others)) {
		if rows, err = readLogs(answers, rows); err != nil {
			return
		}
	}
	if added, err = readAdded(answers, sites, sizes); err != nil || !w.wary {
		return
	}
	if stored, err = readStored(answers); err != nil {
		return
	}
	b.erased, err = readErased(answers)
	b.looked, w.wary = true, len(stored)+len(b.erased) > 0
	return
}

// follow adds what another node added to an edge, and holds the result against
// the signed checkpoint: nothing is ever signed on top of a tree that is not the
// one signed before. An installation has one key and Ed25519 has one signature
// for a text, so signing again tells as much as checking does, in half the time.
func (w *writer) follow(log, row *openLog, added []byte) bool {
	if row.origin != log.origin || row.size < log.size || int64(len(added)) != (row.size-log.size)*commitmentSize {
		return false
	}
	for rest := added; len(rest) > 0; rest = rest[commitmentSize:] {
		if err := log.edge.Append([commitmentSize]byte(rest), tlog.RecordHash(rest[:commitmentSize])); err != nil {
			return false
		}
	}
	log.edge.Changed() // stored already
	root, err := log.edge.Root()
	if err != nil {
		return false
	}
	signed, err := receipt.Checkpoint{Origin: row.origin, Size: row.size, Root: root}.Sign(w.keys.get())
	if err != nil || !bytes.Equal(signed, row.checkpoint) {
		return false
	}
	log.size, log.checkpoint = row.size, row.checkpoint
	return true
}

// writeLocked ends the transaction that lock began.
func (b *batch) writeLocked(stored map[uuid.UUID]Stored) error {
	w := b.writer
	b.mark()
	b.sort(stored)
	list := new(pgx.Batch)
	if len(b.fresh) == 0 {
		for id := range b.logs {
			list.Queue(touchQuery, id)
		}
		list.Queue("commit")
		if err := w.db.Explain(w.conn.SendBatch(b.ctx, list).Close()); err != nil {
			return err
		}
		b.answer()
		return nil
	}
	grown, err := b.grow()
	if err != nil {
		return err
	}
	query, args := storing(grown, b.fresh)
	list.Queue(query, args...)
	full := b.enterRuns(grown)
	if full == nil {
		list.Queue("commit")
	}
	answers := w.conn.SendBatch(b.ctx, list)
	rows, err := answers.Query()
	if err != nil {
		answers.Close()
		return w.db.Explain(err)
	}
	count, swapped, err := readSwapped(rows, grown)
	if err = errors.Join(err, answers.Close()); err != nil {
		return w.db.Explain(err)
	}
	if count != int64(len(b.fresh)) || len(swapped) != len(grown) {
		// A record of the batch was erased before, which the next try finds; else what
		// was stored is found then as a repeat.
		w.wary = true
		return errMoved
	}
	if full != nil {
		if err := w.db.Explain(w.conn.SendBatch(b.ctx, full).Close()); err != nil {
			return err
		}
	}
	b.keep(grown)
	b.answer()
	return nil
}

// enterRuns enters the runs that the grown logs filled, and commits; nil where
// there is none. It is sent only when the records are known to be stored: a run
// is entered once, and whole.
func (b *batch) enterRuns(list []grown) *pgx.Batch {
	full := new(pgx.Batch)
	for _, g := range list {
		queueRuns(full, g)
	}
	if full.Len() == 0 {
		return nil
	}
	full.Queue("commit")
	return full
}

func queueRuns(list *pgx.Batch, g grown) {
	from, to := g.runs()
	if from == to {
		return
	}
	from, to = placeOf(g.log.siteID, from), placeOf(g.log.siteID, to)
	list.Queue(enterRun, from, to)
	for ; from < to; from += 1 << runBits {
		list.Queue(enterSpan, from, from+1<<runBits, g.log.siteID, from&maxIndex>>runBits)
	}
}

func readLogs(answers pgx.BatchResults, list []*openLog) ([]*openLog, error) {
	rows, err := answers.Query()
	if err != nil {
		return list, err
	}
	defer rows.Close()
	for rows.Next() {
		l := new(openLog)
		if err := rows.Scan(&l.siteID, &l.origin, &l.size, &l.checkpoint); err != nil {
			return list, err
		}
		list = append(list, l)
	}
	return list, rows.Err()
}

// readAdded reads the commitments from each log's size on, as far as they go on
// without a gap: from full bundles first, then from the tail.
func readAdded(answers pgx.BatchResults, sites, sizes []int64) (map[int64][]byte, error) {
	known := make(map[int64]int64, len(sites))
	for i, id := range sites {
		known[id] = sizes[i]
	}
	added := make(map[int64][]byte, len(sites))
	rows, err := answers.Query()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, at int64
		var bundle bool
		var data []byte
		if err := rows.Scan(&id, &bundle, &at, &data); err != nil {
			return nil, err
		}
		next := known[id] + int64(len(added[id])/commitmentSize)
		switch {
		case bundle && next>>tileHeight == at && len(data) == tileWidth*entrySize:
			for rest := data[next%tileWidth*entrySize:]; len(rest) > 0; rest = rest[entrySize:] {
				added[id] = append(added[id], rest[2:entrySize]...)
			}
		case !bundle && next == at:
			added[id] = append(added[id], data...)
		}
	}
	return added, rows.Err()
}

func readStored(answers pgx.BatchResults) (map[uuid.UUID]Stored, error) {
	rows, err := answers.Query()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[uuid.UUID]Stored{}
	for rows.Next() {
		s, err := scanStored(rows)
		if err != nil {
			return nil, err
		}
		found[s.RecordID] = s
	}
	return found, rows.Err()
}

func readErased(answers pgx.BatchResults) (found map[Mark]int64, err error) {
	rows, err := answers.Query()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var mark []byte
		var millis int64
		if err := rows.Scan(&mark, &millis); err != nil {
			return nil, err
		}
		if found == nil {
			found = map[Mark]int64{}
		}
		found[Mark(mark)] = millis
	}
	return found, rows.Err()
}
