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

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// On PostgreSQL any number of nodes grow the same logs (docs/decisions/0012).
// A log that nobody else grows is written in one statement, on what is in memory
// (swift). A log that others grow too is shared, and written by turns (turn.go).

const (
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
		return stateQuery(g.tailFrom > g.log.size), []any{g.log.edge.Size, g.checkpoint, g.log.siteID, g.log.size, g.log.checkpoint,
			levels, numbers, data, g.log.edge.Size >> tileHeight << tileHeight, g.tailFrom, g.tail, r.places, r.times, r.records, r.consents, r.salts, r.payloads, marksOf(fresh)}
	}
	var sites, sizes, before, from, tileSites, levels, numbers, full, upto []int64
	var checkpoints, former, tails, data [][]byte
	for _, g := range list {
		id := g.log.siteID
		sites, sizes, before, from = append(sites, id), append(sizes, g.log.edge.Size), append(before, g.log.size), append(from, g.tailFrom)
		checkpoints, former, tails = append(checkpoints, g.checkpoint), append(former, g.log.checkpoint), append(tails, g.tail)
		for _, t := range g.tiles {
			tileSites, levels, numbers, data = append(tileSites, id), append(levels, t.Level), append(numbers, t.N), append(data, t.Data)
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
		l.before.Tiles = slices.Clone(l.edge.Tiles)
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
			g.log.unmoved()
			continue
		}
		moved[g.log.siteID] = true
		g.log.restore()
		g.log.shared = max(1, g.log.shared) // what moved it is seen in the next batch
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

// gone answers a caller who has left before anything was written.
func (c *call) gone() bool {
	err := c.ctx.Err()
	if err != nil {
		c.reply(outcome{err: fault.Wrap(fault.Unavailable, err, "The request ended before the decision was recorded. Send it again with the same record ID.")})
	}
	return err != nil
}
