package register

import (
	"context"
	"errors"
	"fmt"

	"assent/internal/db"
	"assent/internal/fault"

	"github.com/jackc/pgx/v5"
)

// On PostgreSQL an act of erasing is another node's work, even in the process
// that takes decisions: it has a connection of its own, and decisions go on while
// it deletes. It queues for the log (turn.go) only for what depends on the log's
// size: the leaf, the ledger, and the runs that were entered meanwhile.

// eraseClass is turnClass of those who erase at a site; one after the other, so
// that no two of them wait for each other's records. "Ers" in ASCII.
const eraseClass = 0x457273

const (
	removeQuery = "delete from record where place = any($1::bigint[]) returning place, record_id, consent_id"
	sizeQuery   = "select size from log where site_id = $1"

	unplaceQuery = `delete from consent_place p using unnest($2::bigint[], $3::bytea[], $4::bigint[]) as r (stretch, prefix, idx)
		where p.site_id = $1 and p.stretch = r.stretch and p.prefix = r.prefix and p.idx = r.idx`

	// The right edge of a log, read after its row was locked: the commitments that
	// no full bundle holds, and the tiles above level 0 that are not full.
	edgeTailQuery  = "select idx, data from tail where site_id = $1 and idx >= (select size >> 8 << 8 from log where site_id = $1) order by idx"
	edgeTilesQuery = `select t.level, t.n, t.data from log l cross join generate_series(1, 4) as k
		join tile t on t.site_id = l.site_id and t.level = k and t.n = l.size >> (8 * k + 8) where l.site_id = $1`

	putTilesQuery = `insert into tile (site_id, level, n, data) select $1, * from unnest($2::bigint[], $3::bigint[], $4::bytea[])
		on conflict (site_id, level, n) do update set data = excluded.data`
	putErasureQuery = "insert into erasure (site_id, idx, time, reason, count, salt, statement) values ($1, $2, $3, $4, $5, $6, $7)"
	putErasedQuery  = "insert into erased (place, mark, act) select *, $3::bigint from unnest($1::bigint[], $2::bytea[])"
)

// eraser does the acts of a process, one after the other.
type eraser struct {
	turn   chan struct{} // holds one while an act is done
	writer *writer       // its goroutine does not run
	closed bool          // owned by who has the turn
}

func newEraser(c Config, of *writer) *eraser {
	e := &eraser{turn: make(chan struct{}, 1), writer: newWriter(c)}
	e.writer.high, e.writer.keys = of.high, of.keys // a rotation counts for both
	return e
}

// act does an act, or says that the process ends.
func (e *eraser) act(a *act) error {
	select {
	case e.turn <- struct{}{}:
	case <-a.ctx.Done():
		return interrupted(a.ctx.Err())
	}
	defer func() { <-e.turn }()
	if e.closed {
		return errShutting
	}
	e.writer.erase(a)
	return nil
}

// close waits for the act in hand and refuses others.
func (e *eraser) close(ctx context.Context) error {
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-e.turn }()
	e.closed = true
	if e.writer.conn != nil {
		e.writer.conn.Close(ctx)
	}
	return nil
}

// eraseByTurn is erase on PostgreSQL.
func (b *batch) eraseByTurn(a *act) (acted, error) {
	w := b.writer
	if err := w.connect(b.ctx); err != nil {
		return acted{}, err
	}
	removed, entered, err := b.remove(a)
	if err == nil && len(removed) == 0 {
		err = errGone
	}
	if err != nil {
		return acted{}, err
	}
	log, err := b.await(a.siteID, removed, entered)
	if err != nil {
		return acted{}, err
	}
	switch {
	case log == nil:
		return acted{}, errNoLog
	case log.refused != nil:
		return acted{}, log.refused
	case log.size > maxIndex:
		return acted{}, errFullLog
	}
	b.logs = map[int64]*openLog{log.siteID: log}
	e, err := b.declare(log, a, removed)
	if err != nil {
		return acted{}, err
	}
	grown, err := b.grow()
	if err != nil {
		return acted{}, err
	}
	if err := b.enterAct(e, removed, grown[0], entered); err != nil {
		return acted{}, err
	}
	if _, err := w.conn.Exec(b.ctx, "commit"); err != nil {
		return acted{}, w.db.Explain(err)
	}
	return acted{count: e.Count, index: e.Index}, nil
}

// remove begins the transaction and deletes the records. Entered is how many runs
// of the log are known to be entered.
func (b *batch) remove(a *act) (removed []removedRow, entered int64, err error) {
	places := make([]int64, len(a.indexes))
	for i, index := range a.indexes {
		places[i] = placeOf(a.siteID, index)
	}
	list := new(pgx.Batch)
	list.Queue("begin")
	list.Queue(turnQuery, eraseClass, []int64{a.siteID})
	list.Queue(removeQuery, places)
	list.Queue(sizeQuery, a.siteID)
	answers := b.writer.conn.SendBatch(b.ctx, list)
	defer func() { err = b.writer.db.Explain(errors.Join(err, answers.Close())) }()
	for range 2 {
		if _, err = answers.Exec(); err != nil {
			return
		}
	}
	rows, err := answers.Query()
	if err != nil {
		return
	}
	removed, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r removedRow, err error) {
		return r, row.Scan(&r.place, &r.record, &r.consent)
	})
	if err != nil {
		return
	}
	sortRemoved(removed)
	if err = answers.QueryRow().Scan(&entered); errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	entered >>= runBits
	return
}

// await takes the records out of the runs that are entered, waits for its turn at
// the log, and reads its edge; nil where there is no log.
func (b *batch) await(siteID int64, removed []removedRow, entered int64) (log *openLog, err error) {
	w := b.writer
	list := new(pgx.Batch)
	queueUnplace(list, siteID, removed, 0, entered)
	before := list.Len()
	list.Queue(turnQuery, turnClass, []int64{siteID})
	list.Queue(lockQuery, []int64{siteID})
	list.Queue(edgeTailQuery, siteID)
	list.Queue(edgeTilesQuery, siteID)
	answers := w.conn.SendBatch(b.ctx, list)
	defer func() { err = w.db.Explain(errors.Join(err, answers.Close())) }()
	for range before + 1 {
		if _, err = answers.Exec(); err != nil {
			return
		}
	}
	logs, err := readLogs(answers, nil)
	if err != nil || len(logs) == 0 {
		return nil, err
	}
	log = logs[0]
	if log.refused = w.shortened(log); log.refused != nil {
		return
	}
	tail, tiles, err := readEdge(answers, log.size)
	if err != nil {
		return nil, err
	}
	log.edge, err = loadEdge(log.size, tail, func(level, n int64) ([]byte, error) {
		for _, t := range tiles {
			if t.Level == level && t.N == n {
				return t.Data, nil
			}
		}
		return nil, fmt.Errorf("%w: tile %d of level %d is missing", errDamaged, n, level)
	})
	if err == nil {
		err = w.matches(b.ctx, log)
	}
	if errors.Is(err, errDamaged) {
		log.refused, err = damagedLog(err), nil
	}
	return
}

func readEdge(answers pgx.BatchResults, size int64) (tail []byte, tiles []tile, err error) {
	rows, err := answers.Query()
	if err != nil {
		return nil, nil, err
	}
	begin := size >> tileHeight << tileHeight
	var index int64
	var data []byte
	_, err = pgx.ForEachRow(rows, []any{&index, &data}, func() error {
		if index == begin+int64(len(tail)/commitmentSize) {
			tail = append(tail, data...)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if rows, err = answers.Query(); err != nil {
		return nil, nil, err
	}
	tiles, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t tile, err error) {
		return t, row.Scan(&t.Level, &t.N, &t.Data)
	})
	return tail, tiles, err
}

// queueUnplace takes records out of the indexes by consent ID and by time, as far
// as their runs are entered: those from one run up to another.
func queueUnplace(list *pgx.Batch, siteID int64, removed []removedRow, from, upto int64) {
	stretches, prefixes, indexes, runs := entriesOf(removed, from, upto)
	if len(runs) == 0 {
		return
	}
	list.Queue(unplaceQuery, siteID, stretches, prefixes, indexes)
	for _, run := range runs {
		begin := placeOf(siteID, run<<runBits)
		list.Queue(narrowSpan, begin, begin+1<<runBits, siteID, run)
	}
}

// enterAct writes all that depends on the log's size.
func (b *batch) enterAct(e Erasure, removed []removedRow, g grown, entered int64) (err error) {
	w := b.writer
	marks, places := make([][]byte, len(removed)), make([]int64, len(removed))
	for i, r := range removed {
		m := markOf(w.marking, [16]byte(r.record))
		marks[i], places[i] = m[:], r.place
	}
	list := new(pgx.Batch)
	list.Queue(swapLog, g.log.edge.Size, g.checkpoint, g.log.siteID, g.log.size, g.log.checkpoint)
	queueUnplace(list, e.SiteID, removed, entered, g.log.size>>runBits)
	list.Queue(putErasureQuery, e.SiteID, e.Index, e.Time.UnixMilli(), string(e.Reason), e.Count, e.Salt, string(e.Statement))
	list.Queue(putErasedQuery, places, marks, e.Index)
	if len(g.tiles) > 0 {
		levels, numbers, data := tileArrays(g.tiles)
		list.Queue(putTilesQuery, g.log.siteID, levels, numbers, data)
	}
	if g.tailFrom > g.log.size {
		list.Queue(dropTail, g.log.siteID, g.tailFrom)
	}
	if len(g.tail) > 0 {
		list.Queue(putTail, g.log.siteID, g.tailFrom, g.tail)
	}
	queueRuns(list, g)
	list.Queue(db.PutSetting, unsealedSetting, unsealedBy(g.log, e.Time))
	answers := w.conn.SendBatch(b.ctx, list)
	defer func() { err = w.db.Explain(errors.Join(err, answers.Close())) }()
	done, err := answers.Exec()
	if err == nil && done.RowsAffected() != 1 {
		err = errMoved
	}
	return err
}

var (
	errShutting = fault.New(fault.Unavailable, "This server is shutting down. Start the erasing again; what is erased already stays so.")
	errNoLog    = fault.New(fault.NotFound, "There is no register for this site. Check the site key.")
	errFullLog  = fault.New(fault.Unavailable, "The register of this site is full, and has no room for the leaf that says what was erased.")
)
