package register

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"assent/internal/fault"
	"assent/receipt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/mod/sumdb/tlog"
)

// On PostgreSQL any number of nodes grow the same logs (docs/decisions/0012).
// A log that nobody else grows is written in one statement, on what is in memory
// (swift). A log that others grow too is shared: its row is locked first, where
// the nodes queue; what they added is added to the edge in memory, and everything
// that waits meanwhile is written at once (locked). A node waits for the lock of
// the log whose turn it is, and of those that it could not have the last time, in
// the order of their numbers; further logs join its transaction if they are free.
// So no two nodes wait for each other, and a busy site does not hold up the others.

// sharedFor is how many batches a log stays shared after another node grew it.
const sharedFor = 64

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

	// stateQuery for several logs: those whose row is as it was, and not in another
	// node's hands, are written, the others are left out altogether. Records are
	// inserted in the order of their IDs by every node, so that none waits for
	// another in a circle.
	statesQuery = `with g as (
			select * from unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bytea[])
				as g (site_id, size, checkpoint, old_size, old_checkpoint, tail_from, tail)
		), mine as materialized (
			select l.site_id from g join log l on l.site_id = g.site_id and l.size = g.old_size and l.checkpoint = g.old_checkpoint
			where not exists (select 1 from erased where mark = any($20::bytea[]))
			order by l.site_id for update of l skip locked
		), swapped as (
			update log set size = g.size, checkpoint = g.checkpoint from mine join g on g.site_id = mine.site_id
			where log.site_id = mine.site_id and log.size = g.old_size and log.checkpoint = g.old_checkpoint returning log.site_id
		), tiles as (
			insert into tile (site_id, level, n, data)
			select t.* from unnest($8::bigint[], $9::bigint[], $10::bigint[], $11::bytea[]) as t (site_id, level, n, data)
			join swapped on swapped.site_id = t.site_id
			on conflict (site_id, level, n) do update set data = excluded.data
		), dropped as (
			delete from tail using unnest($12::bigint[], $13::bigint[]) as d (site_id, upto)
			where d.site_id in (select site_id from swapped) and tail.site_id = d.site_id and tail.idx < d.upto
		), added as (
			insert into tail (site_id, idx, data) select g.site_id, g.tail_from, g.tail from g join swapped on swapped.site_id = g.site_id where length(g.tail) > 0
		), stored as (
			insert into record (place, time, record_id, consent_id, salt, payload)
			select r.* from unnest($14::bigint[], $15::bigint[], $16::bytea[], $17::bytea[], $18::bytea[], $19::text[])
				as r (place, time, record_id, consent_id, salt, payload)
			join swapped on swapped.site_id = r.place >> 40 order by r.record_id returning 1
		) select site_id, (select count(*) from stored) from swapped`

	// touchQuery writes a log's row as it is. A repeat is answered only after a
	// commit that comes after the first one's, which a synchronous standby may not
	// have had when its connection was lost.
	touchQuery = "update log set size = size where site_id = $1"
)

// await lets a while pass between batches for shared logs.
func (w *writer) await() {
	if d := time.Until(w.next); d > 0 && w.queue.length() < w.limit {
		time.Sleep(d)
	}
}

// share writes what it can of the calls and answers them. The others are left,
// to be tried again: their logs are in another node's hands, or were moved by it.
// With an error nobody was answered, and all are left.
func (w *writer) share(ctx context.Context, calls []*call) (left []*call, err error) {
	known := make([]*call, 0, len(calls))
	var strange []*call
	for _, c := range calls {
		if log := w.logs[c.entry.SiteID]; log == nil || log.refused != nil {
			strange = append(strange, c)
		} else {
			known = append(known, c)
		}
	}
	if err := w.db.FailedWith(); err != nil {
		return calls, err
	}
	b := w.newBatch(ctx, strange)
	if len(strange) > 0 {
		if err := w.db.Write(ctx, b.run); err != nil {
			return calls, err
		}
		b.answer()
		return known, nil
	}
	if err := w.connect(ctx); err != nil {
		return calls, err
	}
	b = w.newBatch(ctx, known)
	if w.wary || !b.alone() {
		left, err = b.locked()
	} else {
		left, err = b.swift()
	}
	if err != nil {
		b.undo()
		w.leave()
		left = append(left, b.calls...)
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "23505" { // unique_violation
			w.wary, err = true, errRepeated
		} else if fault.KindOf(err) == fault.Internal && w.conn.IsClosed() {
			err = fault.Wrap(fault.Unavailable, err, "The connection to the PostgreSQL server was lost. Send the decision again with the same record ID; a repeat does no harm.")
		}
	}
	return left, err
}

// writeShared stores a batch and answers every caller but those whose turn comes
// later, who go back to the queue.
func (w *writer) writeShared(calls []*call) {
	begin := time.Now()
	for try := 1; ; try++ {
		left, err := w.tryShare(calls)
		if err == nil {
			w.queue.back(left)
			return
		}
		_, unconnected := errors.AsType[*pgconn.ConnectError](err) // nothing was sent
		if again := w.again(err) || unconnected && time.Since(begin) < 2*batchTime; try == maxTries || !again {
			for _, c := range left {
				c.reply(outcome{err: err})
			}
			return
		}
		calls = left
	}
}

// tryShare is share within its time. After an error, but for a repeat, which
// changed nothing, the logs are read again.
func (w *writer) tryShare(calls []*call) (left []*call, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTime)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			slog.Error("register: panic while writing", "panic", p, "stack", string(debug.Stack()))
			left, err = calls, fmt.Errorf("register: panic: %v", p)
			for _, c := range w.late {
				c.reply(outcome{err: err})
			}
			w.leave()
		}
		w.late = nil
		if err != nil && !errors.Is(err, errRepeated) && !errors.Is(err, errMoved) {
			clear(w.logs)
		}
	}()
	return w.share(ctx, calls)
}

// connect opens the writer's connection where there is none.
func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil && !w.conn.IsClosed() {
		return nil
	}
	conn, err := w.db.Connect(ctx)
	w.conn = conn
	return err
}

func (w *writer) rollback(ctx context.Context) error {
	_, err := w.conn.Exec(ctx, "rollback")
	return w.db.Explain(err)
}

// maxTries bounds how often a batch is tried at once. Each connection of the pool
// that ended with its server costs one.
const maxTries = 20

// leaveTime is how long the end of a failed transaction may take.
const leaveTime = 2 * time.Second

// leave brings the connection back to where no transaction is open, or drops it.
func (w *writer) leave() {
	if w.conn == nil || w.conn.IsClosed() || w.conn.PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	if w.rollback(ctx) != nil {
		w.conn.Close(ctx)
	}
}

func (w *writer) newBatch(ctx context.Context, calls []*call) *batch {
	return &batch{writer: w, ctx: ctx, calls: calls, answers: make([]outcome, len(calls))}
}

func (b *batch) answer() {
	for i, c := range b.calls {
		b.writer.acknowledged(b.answers[i])
		c.reply(b.answers[i])
	}
}

// alone opens the batch's logs from memory, and tells whether each may be
// written as it is there: no other node grew it lately, and no run gets full.
func (b *batch) alone() bool {
	b.logs = make(map[int64]*openLog, 4)
	alone := true
	count := make(map[int64]int64, 4)
	for _, c := range b.calls {
		log := b.writer.logs[c.entry.SiteID]
		b.logs[log.siteID] = log
		count[log.siteID]++
	}
	for site, log := range b.logs {
		if log.shared > 0 || (log.size+count[site])>>runBits != log.size>>runBits {
			alone = false
		}
	}
	return alone
}

// swift writes the batch in one statement, without having looked.
func (b *batch) swift() (left []*call, err error) {
	b.mark()
	if b.sort(nil); len(b.fresh) == 0 {
		b.answer()
		return nil, nil
	}
	grown, err := b.grow()
	if err != nil {
		return nil, err
	}
	query, args := storing(grown, b.fresh)
	rows, err := b.writer.conn.Query(b.ctx, query, args...)
	if err != nil {
		return nil, b.writer.db.Explain(err)
	}
	stored, swapped, err := readSwapped(rows, grown)
	if err != nil {
		return nil, b.writer.db.Explain(err)
	}
	return b.settle(grown, stored, swapped)
}

// storing is what writes the grown logs with their records.
func storing(list []grown, fresh []*call) (query string, args []any) {
	r := recordArrays(byRecordID(fresh))
	if len(list) == 1 {
		g := list[0]
		levels, numbers, data := tileArrays(g.tiles)
		return stateQuery(g.tailFrom > g.log.size), []any{g.log.edge.size, g.checkpoint, g.log.siteID, g.log.size, g.log.checkpoint,
			levels, numbers, data, g.log.edge.size >> tileHeight << tileHeight, g.tailFrom, g.tail, r.places, r.times, r.records, r.consents, r.salts, r.payloads, marksOf(fresh)}
	}
	var sites, sizes, before, from, tileSites, levels, numbers, full, upto []int64
	var checkpoints, former, tails, data [][]byte
	for _, g := range list {
		id := g.log.siteID
		sites, sizes, before, from = append(sites, id), append(sizes, g.log.edge.size), append(before, g.log.size), append(from, g.tailFrom)
		checkpoints, former, tails = append(checkpoints, g.checkpoint), append(former, g.log.checkpoint), append(tails, g.tail)
		for _, t := range g.tiles {
			tileSites, levels, numbers, data = append(tileSites, id), append(levels, t.level), append(numbers, t.n), append(data, t.data)
		}
		if g.tailFrom > g.log.size {
			full, upto = append(full, id), append(upto, g.tailFrom)
		}
	}
	return statesQuery, []any{sites, sizes, checkpoints, before, former, from, tails, tileSites, levels, numbers, data, full, upto,
		r.places, r.times, r.records, r.consents, r.salts, r.payloads, marksOf(fresh)}
}

// byRecordID sorts a copy in the order in which every node inserts.
func byRecordID(calls []*call) []*call {
	calls = slices.Clone(calls)
	slices.SortFunc(calls, func(a, b *call) int { return bytes.Compare(a.entry.RecordID[:], b.entry.RecordID[:]) })
	return calls
}

// readSwapped reads the answer to storing: how many records were stored, and
// in which logs.
func readSwapped(rows pgx.Rows, list []grown) (stored int64, swapped []int64, err error) {
	defer rows.Close()
	for rows.Next() {
		var site int64
		if err := rows.Scan(&site, &stored); err != nil {
			return 0, nil, err
		}
		swapped = append(swapped, site)
	}
	if len(list) == 1 && rows.Err() == nil {
		if stored = rows.CommandTag().RowsAffected(); stored > 0 {
			swapped = []int64{list[0].log.siteID}
		}
	}
	return stored, swapped, rows.Err()
}

// mark remembers the edges as they are before the batch.
func (b *batch) mark() {
	for _, l := range b.logs {
		l.before = *l.edge
		l.before.tiles = slices.Clone(l.edge.tiles)
	}
	b.marked = true
}

// restore takes an edge back to its mark.
func (l *openLog) restore() { *l.edge = l.before }

func (b *batch) undo() {
	if b.marked {
		for _, l := range b.logs {
			l.restore()
		}
	}
}

// settle keeps the logs that were swapped, answers their callers, and takes the
// others back to where they were.
func (b *batch) settle(list []grown, stored int64, swapped []int64) (left []*call, err error) {
	want := int64(0)
	for _, c := range b.fresh {
		if slices.Contains(swapped, c.entry.SiteID) {
			want++
		}
	}
	if stored != want {
		return nil, fmt.Errorf("register: %d records were stored instead of %d", stored, want)
	}
	moved := map[int64]bool{}
	for _, g := range list {
		if slices.Contains(swapped, g.log.siteID) {
			b.keep([]grown{g})
			continue
		}
		moved[g.log.siteID] = true
		g.log.restore()
		g.log.shared = sharedFor
	}
	for i, c := range b.calls {
		if moved[c.entry.SiteID] {
			c.left = true
			left = append(left, c)
			continue
		}
		b.writer.acknowledged(b.answers[i])
		c.reply(b.answers[i])
	}
	return left, nil
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
			log.shared = max(0, log.shared-1)
		case w.follow(log, row, added[row.siteID]):
			log.shared = sharedFor
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
		if err := log.edge.append([commitmentSize]byte(rest), tlog.RecordHash(rest[:commitmentSize])); err != nil {
			return false
		}
	}
	log.edge.changed() // stored already
	root, err := log.edge.root()
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
		from, to := g.runs()
		if from == to {
			continue
		}
		from, to = placeOf(g.log.siteID, from), placeOf(g.log.siteID, to)
		full.Queue(enterRun, from, to)
		for ; from < to; from += 1 << runBits {
			full.Queue(enterSpan, from, from+1<<runBits, g.log.siteID, from&maxIndex>>runBits)
		}
	}
	if full.Len() == 0 {
		return nil
	}
	full.Queue("commit")
	return full
}

// gone answers a caller who has left before anything was written.
func (c *call) gone() bool {
	err := c.ctx.Err()
	if err != nil {
		c.reply(outcome{err: fault.Wrap(fault.Unavailable, err, "The request ended before the decision was recorded. Send it again with the same record ID.")})
	}
	return err != nil
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
