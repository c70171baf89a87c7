package register

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/receipt"

	"golang.org/x/mod/sumdb/tlog"
)

// act is one act of erasing on its way to the writer.
type act struct {
	ctx     context.Context
	siteID  int64
	reason  Reason
	rule    string
	indexes []int64 // ascending
	answer  chan acted
}

type acted struct {
	count int64         // records that were there and are gone
	index int64         // of the erasure leaf, when there were any
	took  time.Duration // of the transaction, without the wait for its turn
	err   error
}

// eraseTime is batchTime for an act, which may remove thousands of records.
const eraseTime = 20 * time.Second

// erase does an act and answers, whatever happens.
func (w *writer) erase(a *act) {
	done, err := w.attemptErase(a)
	for try := 1; err != nil && try < 4 && w.again(err); try++ {
		done, err = w.attemptErase(a)
	}
	if errors.Is(err, errGone) {
		done, err = acted{}, nil
	}
	done.err = err
	a.answer <- done
}

func (w *writer) attemptErase(a *act) (done acted, err error) {
	begin := time.Now()
	err = w.guarded(eraseTime, func(ctx context.Context) error {
		b := &batch{writer: w, ctx: ctx}
		if w.db.Engine == db.Postgres {
			done, err = b.eraseByTurn(a)
			return err
		}
		return w.db.WriteBetween(ctx, func(tx *sql.Tx) error {
			begin = time.Now()
			done, err = b.erase(tx, a)
			return err
		})
	})
	if err != nil {
		w.leave()
	}
	done.took = time.Since(begin)
	return done, err
}

// erase removes the records in the caller's transaction, and grows the log by
// the leaf that says so.
func (b *batch) erase(tx *sql.Tx, a *act) (acted, error) {
	if err := b.openLogs(tx, []int64{a.siteID}); err != nil {
		return acted{}, err
	}
	log := b.logs[a.siteID]
	switch {
	case log == nil:
		return acted{}, errNoLog
	case log.refused != nil:
		return acted{}, log.refused
	case log.size > maxIndex:
		return acted{}, errFullLog
	}
	removed, err := b.writer.sql.remove(b.ctx, tx, a.siteID, a.indexes)
	if err != nil {
		return acted{}, err
	}
	if len(removed) == 0 {
		return acted{}, errGone
	}
	act, err := b.declare(log, a, removed)
	if err != nil {
		return acted{}, err
	}
	if err := b.writer.sql.enterErasure(b.ctx, tx, act, removed, b.writer.marking); err != nil {
		return acted{}, err
	}
	if err := b.writer.sql.unplace(b.ctx, tx, log, removed); err != nil {
		return acted{}, err
	}
	grown, err := b.grow()
	if err != nil {
		return acted{}, err
	}
	if err := b.store(tx, grown); err != nil {
		return acted{}, err
	}
	if err := db.SetSetting(b.ctx, tx, unsealedSetting, unsealedBy(log, act.Time)); err != nil {
		return acted{}, err
	}
	b.keep(grown)
	return acted{count: act.Count, index: act.Index}, nil
}

// declare writes the statement and appends its commitment to the log.
func (b *batch) declare(log *openLog, a *act, removed []removedRow) (Erasure, error) {
	now := time.UnixMilli(time.Now().UnixMilli()).UTC()
	s := receipt.Statement{Kind: receipt.StatementKind, Count: int64(len(removed)), Reason: string(a.reason), Rule: a.rule,
		Site: siteOf(log.origin), Time: now.Format(receipt.TimeLayout)}
	for _, r := range removed {
		index := r.place & maxIndex
		if n := len(s.Erased); n > 0 && s.Erased[n-1][1]+1 == index {
			s.Erased[n-1][1] = index
			continue
		}
		s.Erased = append(s.Erased, [2]int64{index, index})
	}
	e := Erasure{SiteID: a.siteID, Index: log.size, Time: now, Reason: a.reason, Count: s.Count, Salt: make([]byte, receipt.SaltSize), Statement: s.Canonical()}
	if _, err := receipt.ParseStatement(e.Statement); err != nil {
		return e, fault.Wrap(fault.Invalid, err, "The reason or the rule of the erasure cannot be used. Use letters, digits and spaces.")
	}
	rand.Read(e.Salt)
	commitment := receipt.Commit(e.Salt, e.Statement)
	return e, log.edge.Append(commitment, tlog.RecordHash(commitment[:]))
}

// unsealedBy is the value of unsealedSetting after an act.
func unsealedBy(log *openLog, at time.Time) string {
	return log.origin + " " + at.Format(receipt.TimeLayout)
}

// removedRow is what the ledger and the indexes need of a record that is gone.
type removedRow struct {
	place           int64
	record, consent []byte
}

func sortRemoved(list []removedRow) {
	slices.SortFunc(list, func(a, b removedRow) int { return int(a.place - b.place) })
}

// ranges joins indexes, ascending, that follow each other.
func ranges(indexes []int64) (list [][2]int64) {
	for _, i := range indexes {
		if n := len(list); n > 0 && list[n-1][1]+1 >= i {
			list[n-1][1] = i
			continue
		}
		list = append(list, [2]int64{i, i})
	}
	return list
}

const (
	// What an act takes away on SQLite, a range at a time.
	removeRange = "delete from record where place >= $1 and place <= $2 returning place, record_id, consent_id"
	unplaceOne  = "delete from consent_place where site_id = $1 and stretch = $2 and prefix = $3 and idx = $4"
	// The span of a run is that of the records it has left, and of none 0.
	narrowSpan = `update span set earliest = (select coalesce(min(time), 0) from record where place >= $1 and place < $2),
		latest = (select coalesce(max(time), 0) from record where place >= $1 and place < $2) where site_id = $3 and run = $4`
	putErased = "insert into erased (place, mark, act) values "
)

// remove deletes records and returns what was there, by place.
func (s *statements) remove(ctx context.Context, tx *sql.Tx, siteID int64, indexes []int64) (list []removedRow, err error) {
	for _, r := range ranges(indexes) {
		part, err := collectRemoved(s.query(ctx, tx, removeRange, placeOf(siteID, r[0]), placeOf(siteID, r[1])))
		if err != nil {
			return nil, err
		}
		list = append(list, part...)
	}
	sortRemoved(list)
	return list, nil
}

func collectRemoved(rows *sql.Rows, err error) (list []removedRow, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r removedRow
		if err := rows.Scan(&r.place, &r.record, &r.consent); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// enterErasure writes the act and what is left of its records into the ledger.
func (s *statements) enterErasure(ctx context.Context, tx *sql.Tx, e Erasure, removed []removedRow, marking []byte) error {
	_, err := tx.ExecContext(ctx, putErasureQuery,
		e.SiteID, e.Index, e.Time.UnixMilli(), string(e.Reason), e.Count, e.Salt, string(e.Statement))
	if err != nil {
		return err
	}
	marks := make([][]byte, len(removed))
	places := make([]int64, len(removed))
	for i, r := range removed {
		m := markOf(marking, [16]byte(r.record))
		marks[i], places[i] = m[:], r.place
	}
	for len(places) > 0 {
		n := chunk(len(places))
		args := make([]any, 0, 3*n)
		for i := range n {
			args = append(args, places[i], marks[i], e.Index)
		}
		if _, err := tx.ExecContext(ctx, putErased+strings.Repeat(", (?, ?, ?)", n)[2:], args...); err != nil {
			return err
		}
		places, marks = places[n:], marks[n:]
	}
	return nil
}

// unplace takes the records out of the indexes by consent ID and by time.
func (s *statements) unplace(ctx context.Context, tx *sql.Tx, log *openLog, removed []removedRow) error {
	stretches, prefixes, indexes, runs := entriesOf(removed, 0, log.size>>runBits)
	for i := range indexes {
		if _, err := s.exec(ctx, tx, unplaceOne, log.siteID, stretches[i], prefixes[i], indexes[i]); err != nil {
			return err
		}
	}
	for _, run := range runs {
		from := placeOf(log.siteID, run<<runBits)
		if _, err := s.exec(ctx, tx, narrowSpan, from, from+1<<runBits, log.siteID, run); err != nil {
			return err
		}
	}
	return nil
}

// entriesOf are the entries of records by consent ID, and the numbers of their
// runs, for those in the runs from one up to another.
func entriesOf(removed []removedRow, from, upto int64) (stretches []int64, prefixes [][]byte, indexes, runs []int64) {
	for _, r := range removed {
		index := r.place & maxIndex
		if run := index >> runBits; run < from || run >= upto || len(r.consent) < prefixSize {
			continue
		}
		stretches, indexes, prefixes = append(stretches, index>>stretchBits), append(indexes, index), append(prefixes, r.consent[:prefixSize])
		if n := len(runs); n == 0 || runs[n-1] != index>>runBits {
			runs = append(runs, index>>runBits)
		}
	}
	return stretches, prefixes, indexes, runs
}

const anyErased = "select 1 from erased limit 1"

const erasedColumns = "select mark, time from erased join erasure on site_id = place >> 40 and idx = act where mark "

// erasedAmong finds those of the calls whose record IDs are those of erased
// records; nil when there are none, which is nearly always.
func (s *statements) erasedAmong(ctx context.Context, tx *sql.Tx, calls []*call) (found map[Mark]int64, err error) {
	if s.db.Engine == db.Postgres {
		return collectMarks(tx.QueryContext(ctx, erasedColumns+"= any($1)", marksOf(calls)))
	}
	var one int
	if err := s.one(ctx, tx, anyErased, nil, &one); errors.Is(err, sql.ErrNoRows) {
		return nil, nil // a register that never forgot anything
	} else if err != nil {
		return nil, err
	}
	args := make([]any, 0, widest)
	for len(calls) > 0 {
		n := chunk(len(calls))
		args = args[:0]
		for _, c := range calls[:n] {
			args = append(args, c.mark[:])
		}
		part, err := collectMarks(s.query(ctx, tx, erasedQuery(n), args...))
		if err != nil {
			return nil, err
		}
		if len(part) > 0 {
			if found == nil {
				found = make(map[Mark]int64)
			}
			for m, millis := range part {
				found[m] = millis
			}
		}
		calls = calls[n:]
	}
	return found, nil
}

func marksOf(calls []*call) [][]byte {
	marks := make([][]byte, len(calls))
	for i, c := range calls {
		marks[i] = c.mark[:]
	}
	return marks
}

func collectMarks(rows *sql.Rows, err error) (found map[Mark]int64, _ error) {
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
			found = make(map[Mark]int64)
		}
		found[Mark(mark)] = millis
	}
	return found, rows.Err()
}

var erasedQueries = func() map[int]string {
	queries := map[int]string{}
	for n := 1; n <= widest; n *= 2 {
		queries[n] = "select mark, time from erased join erasure on site_id = place >> 40 and idx = act where mark in (" + strings.Repeat(", ?", n)[2:] + ")"
	}
	return queries
}()

func erasedQuery(n int) string { return erasedQueries[n] }
