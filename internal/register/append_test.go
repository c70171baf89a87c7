package register

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/receipt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
)

// watcher checks after every step what must always hold: the log only grows,
// each checkpoint covers the one before, and its tiles hash to its root.
type watcher struct {
	r    *Register
	site int64
	last LogState
}

func (w *watcher) check(t *testing.T, wantSize int64) {
	t.Helper()
	ctx := t.Context()
	state, err := w.r.State(ctx, w.site)
	if err != nil {
		t.Fatal(err)
	}
	if state.Size != wantSize {
		t.Fatalf("the log has %d records, want %d", state.Size, wantSize)
	}
	var reader tlog.HashReader = tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) { return nil, nil })
	if state.Size > 0 {
		// TileHashReader authenticates every tile against the root.
		reader = tlog.TileHashReader(tlog.Tree{N: state.Size, Hash: state.Root}, &tileFetcher{ctx, w.r, w.site})
	}
	root, err := tlog.TreeHash(state.Size, reader)
	if err != nil || root != state.Root {
		t.Fatalf("the tiles hash to %s, the checkpoint says %s (%v)", root, tlog.Hash(state.Root), err)
	}
	if w.last.Size > 0 {
		proof, err := tlog.ProveTree(state.Size, w.last.Size, reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckTree(proof, state.Size, state.Root, w.last.Size, w.last.Root); err != nil {
			t.Fatalf("the tree of %d does not continue the tree of %d: %v", state.Size, w.last.Size, err)
		}
	}
	w.last = state
}

// tileFetcher reads tiles as a stranger does, through Tile.
type tileFetcher struct {
	ctx  context.Context
	r    *Register
	site int64
}

func (f *tileFetcher) Height() int { return tileHeight }
func (f *tileFetcher) ReadTiles(tiles []tlog.Tile) (list [][]byte, err error) {
	for _, t := range tiles {
		data, err := f.r.Tile(f.ctx, f.site, int64(t.L), t.N, t.W)
		if err != nil {
			return nil, err
		}
		list = append(list, data)
	}
	return list, nil
}
func (f *tileFetcher) SaveTiles([]tlog.Tile, [][]byte) {}

// verify checks a record's receipt as its holder does.
func verify(r *Register, s Stored) error {
	ctx := context.Background()
	data, err := r.Receipt(ctx, s.RecordID)
	if err != nil {
		return err
	}
	state, err := r.State(ctx, s.SiteID)
	if err != nil {
		return err
	}
	result, err := receipt.Verify(data, state.Key)
	if err != nil || !result.Valid || result.Index != s.Index || string(result.RecordJSON) != string(s.Payload) {
		return fmt.Errorf("the receipt of record %d does not verify: %+v, %v", s.Index, result, err)
	}
	return nil
}

func mustVerify(t *testing.T, r *Register, s Stored) {
	t.Helper()
	if err := verify(r, s); err != nil {
		t.Fatal(err)
	}
}

func TestEveryRecordHasAPlaceAndAReceipt(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		w := watcher{r: r, site: 1}
		w.check(t, 0)
		var all []Stored
		for i := range int64(520) { // past two full tiles
			s := mustAppend(t, r, entry(1))
			if s.Index != i || s.SiteID != 1 || !s.Time.Equal(testTime) {
				t.Fatalf("record %d was stored as %+v", i, s)
			}
			all = append(all, s)
			if i < 10 || i%37 == 0 || i > 250 && i < 260 || i > 508 {
				w.check(t, i+1)
				mustVerify(t, r, s)
				mustVerify(t, r, all[i/2])
			}
		}
		for _, i := range []int{0, 1, 255, 256, 257, 511, 512, 519} {
			mustVerify(t, r, all[i])
		}
		found, err := r.Find(t.Context(), all[300].RecordID)
		if err != nil || found.Index != 300 || string(found.Payload) != string(all[300].Payload) || found.ConsentID != all[300].ConsentID {
			t.Errorf("Find = %+v, %v; want record 300", found, err)
		}
		_, err = r.Find(t.Context(), uuid.New())
		wantKind(t, err, fault.NotFound)
		_, err = r.Receipt(t.Context(), uuid.New())
		wantKind(t, err, fault.NotFound)
		_, err = r.State(t.Context(), 7)
		wantKind(t, err, fault.NotFound)
		_, _, err = r.Append(t.Context(), entry(7))
		wantKind(t, err, fault.NotFound)
	})
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if fault.KindOf(err) != kind || err == nil {
		t.Errorf("error = %v, want a fault of kind %d", err, kind)
	}
}

func TestEntryBundlesAndPartialTiles(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		load(t, r, 300, 300)
		full, err := r.Tile(t.Context(), 1, bundleLevel, 0, 256)
		if err != nil {
			t.Fatal(err)
		}
		hashes, err := r.Tile(t.Context(), 1, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 256 {
			e := full[i*entrySize : (i+1)*entrySize]
			if n := binary.BigEndian.Uint16(e); n != 32 {
				t.Fatalf("entry %d has %d bytes, want 32", i, n)
			}
			if h := tlog.RecordHash(e[2:]); h != tlog.Hash(hashes[i*32:(i+1)*32]) {
				t.Fatalf("leaf %d in the tile is not the hash of the entry", i)
			}
		}
		for name, c := range map[string]struct {
			level, n int64
			width    int
			bytes    int // -1: not found
		}{
			"a full tile":                  {0, 0, 256, 256 * 32},
			"a part of a full tile":        {0, 0, 3, 3 * 32},
			"the partial tile":             {0, 1, 44, 44 * 32},
			"a part of the partial tile":   {0, 1, 43, 43 * 32},
			"the partial entry bundle":     {bundleLevel, 1, 44, 44 * entrySize},
			"the tile above":               {1, 0, 1, 32},
			"wider than it is yet":         {0, 1, 45, -1},
			"full, and it is not yet":      {0, 1, 256, -1},
			"a tile that is not there yet": {0, 2, 1, -1},
			"a level that is not there":    {2, 0, 1, -1},
			"a width beyond any":           {0, 0, 257, -1},
			"a negative width":             {0, 0, -1, -1},
		} {
			t.Run(name, func(t *testing.T) {
				data, err := r.Tile(t.Context(), 1, c.level, c.n, c.width)
				if c.bytes < 0 {
					wantKind(t, err, fault.NotFound)
				} else if err != nil || len(data) != c.bytes {
					t.Errorf("%d bytes, %v; want %d", len(data), err, c.bytes)
				}
			})
		}
	})
}

func TestRepeatsAndConflicts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		addSite(t, d, r, 2)
		first := mustAppend(t, r, entry(1))
		again := func(site int64, change func(*receipt.Record)) Entry {
			return entry(site, func(rec *receipt.Record) {
				rec.RecordID, rec.ConsentID = first.RecordID.String(), first.ConsentID.String()
				change(rec)
			})
		}
		later := again(1, func(rec *receipt.Record) { rec.Time = "2026-11-21T20:12:00.000Z" })
		s, repeated, err := r.Append(t.Context(), later)
		if err != nil || !repeated || s.Index != first.Index || !s.Time.Equal(first.Time) || string(s.Payload) != string(first.Payload) {
			t.Errorf("a repeat = %+v, repeated %v, %v; want the first answer", s, repeated, err)
		}
		_, _, err = r.Append(t.Context(), again(1, func(rec *receipt.Record) { rec.Action = "withdraw" }))
		wantKind(t, err, fault.Conflict)
		sentence := fault.Message(err)
		_, _, err = r.Append(t.Context(), again(2, func(rec *receipt.Record) {}))
		wantKind(t, err, fault.Conflict)
		if fault.Message(err) != sentence {
			t.Errorf("a record of another site is told apart: %q, %q", fault.Message(err), sentence)
		}
		(&watcher{r: r, site: 1}).check(t, 1)
		(&watcher{r: r, site: 2}).check(t, 0)
	})
}

// All callers send one decision at once, others the same ID for another one:
// exactly one is stored, whichever comes first.
func TestRepeatsInOneBatch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		one := entry(1)
		other := entry(1, func(rec *receipt.Record) {
			rec.RecordID, rec.ConsentID, rec.Action = one.RecordID.String(), one.ConsentID.String(), "withdraw"
		})
		var stored, repeats, conflicts int
		var lock sync.Mutex
		var wg sync.WaitGroup
		for i := range 60 {
			e := one
			if i%3 == 2 {
				e = other
			}
			wg.Go(func() {
				s, repeated, err := r.Append(context.Background(), e)
				lock.Lock()
				defer lock.Unlock()
				switch {
				case fault.KindOf(err) == fault.Conflict:
					conflicts++
				case err != nil || s.Index != 0 || string(s.Payload) != string(e.Payload):
					t.Errorf("Append = %+v, %v", s, err)
				case repeated:
					repeats++
				default:
					stored++
				}
			})
		}
		wg.Wait()
		if stored != 1 || repeats+conflicts != 59 || conflicts != 20 && conflicts != 40 {
			t.Errorf("%d stored, %d repeats, %d conflicts", stored, repeats, conflicts)
		}
		(&watcher{r: r, site: 1}).check(t, 1)
	})
}

// eachAddress runs fn on a new database of each engine that can be opened more
// than once, as several processes do.
func eachAddress(t *testing.T, fn func(t *testing.T, o db.Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, db.Options{Dir: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) { fn(t, db.Options{URL: dbtest.PostgresURL(t)}) })
}

// Two registers write to one database, as two processes do: the logs never
// fork and have no gap, and a record that both get is stored once.
func TestTwoRegistersNeverFork(t *testing.T) {
	eachAddress(t, func(t *testing.T, o db.Options) {
		registers := []*Register{open(t, dbtest.Open(t, o)), open(t, dbtest.Open(t, o))}
		for site := int64(1); site <= 3; site++ {
			addSite(t, registers[0].db, registers[0], site)
		}
		watchers := []watcher{{r: registers[0], site: 1}, {r: registers[1], site: 2}, {r: registers[0], site: 3}}
		for round := range int64(5) {
			both := entry(1)
			var wg sync.WaitGroup
			for _, r := range registers {
				wg.Go(func() { appendOne(t, r, both) })
				for range 10 {
					for site := range int64(3) {
						wg.Go(func() { appendOne(t, r, entry(site+1)) })
					}
				}
			}
			wg.Wait()
			watchers[0].check(t, (round+1)*21)
			watchers[1].check(t, (round+1)*20)
			watchers[2].check(t, (round+1)*20)
		}
	})
}

func appendOne(t *testing.T, r *Register, e Entry) {
	s, _, err := r.Append(context.Background(), e)
	if err == nil {
		err = verify(r, s)
	}
	if err != nil {
		t.Error(err)
	}
}

// An empty log takes the address that was made known later; one with records
// keeps its name, because receipts carry it.
func TestOnlyEmptyLogsAreRenamed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		for i, c := range []struct{ host, want string }{
			{"first.example", "first.example"}, {"second.example", "second.example"}, {"late.example", "second.example"},
		} {
			if i == 2 {
				appendOne(t, r, entry(1))
			}
			err := d.Write(t.Context(), func(tx *sql.Tx) error {
				return r.RenameEmpty(t.Context(), tx, 1, c.host+"/log/"+siteKey(1))
			})
			if err != nil {
				t.Fatal(err)
			}
			state, err := r.State(t.Context(), 1)
			if err != nil || state.Origin != c.want+"/log/"+siteKey(1) {
				t.Errorf("renamed to %s: origin %s, %v; want %s", c.host, state.Origin, err, c.want)
			}
		}
		appendOne(t, r, entry(1))
		mustFsck(t, r)
	})
}
