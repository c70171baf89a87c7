package register

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Shape of the log (C2SP tlog-tiles): tiles of height 8, and entry bundles of
// one 32-byte commitment each with a length of two bytes before it.
const (
	tileHeight  = 8
	tileWidth   = 1 << tileHeight
	bundleLevel = -1

	commitmentSize = 32
	entrySize      = 2 + commitmentSize
)

// tile is a hash tile or an entry bundle. Bundles and tiles of level 0 are stored
// when they are full; until then the log's tail, the commitments that no full
// bundle holds, says the same in fewer bytes for each batch. Tiles above change
// once in 256 records, and are stored as wide as they are.
type tile struct {
	level int64 // bundleLevel, or 0 and up
	n     int64 // from the left
	data  []byte
}

// edge is the right side of a log's tree: all that growing needs, and nothing
// that depends on the log's length but for its logarithm.
type edge struct {
	size   int64
	last   [64]tlog.Hash // by level: the newest complete subtree; right where size has a bit
	bundle tile          // the entry bundle that grows
	tiles  []tile        // by level: the hash tile that grows, perhaps still empty
	filled []tile        // became full since changed was called
	grown  int64         // size when changed was last called
}

// append grows the tree by one commitment.
func (e *edge) append(commitment [32]byte, leaf tlog.Hash) error {
	hashes, err := tlog.StoredHashesForRecordHash(e.size, leaf, e)
	if err != nil {
		return err
	}
	for level, h := range hashes {
		e.last[level] = h
		if level%tileHeight != 0 {
			continue
		}
		if level/tileHeight == len(e.tiles) {
			e.tiles = append(e.tiles, tile{level: int64(level / tileHeight)})
		}
		t := &e.tiles[level/tileHeight]
		e.widen(t, h[:], tileWidth*tlog.HashSize)
	}
	var entry [entrySize]byte
	binary.BigEndian.PutUint16(entry[:], uint16(len(commitment)))
	copy(entry[2:], commitment[:])
	e.widen(&e.bundle, entry[:], tileWidth*entrySize)
	e.size++
	return nil
}

func (e *edge) widen(t *tile, more []byte, full int) {
	if t.data == nil {
		t.data = make([]byte, 0, full)
	}
	t.data = append(t.data, more...)
	if len(t.data) == full {
		e.filled = append(e.filled, *t)
		*t = tile{level: t.level, n: t.n + 1}
	}
}

// root is the hash of the whole tree.
func (e *edge) root() (tlog.Hash, error) { return tlog.TreeHash(e.size, e) }

// changed returns the tiles to be stored since the last call. They are to be
// written before the edge grows again.
func (e *edge) changed() []tile {
	list := e.filled
	e.filled = nil
	for level, t := range e.tiles {
		if level > 0 && len(t.data) > 0 && e.size>>(level*tileHeight) != e.grown>>(level*tileHeight) {
			list = append(list, t)
		}
	}
	e.grown = e.size
	return list
}

// tailSince returns the commitments of the records from an index on, or from the
// end of the last full bundle where that is later, and the index of the first.
func (e *edge) tailSince(index int64) (tail []byte, from int64) {
	begin := e.size >> tileHeight << tileHeight
	from = max(index, begin)
	tail = make([]byte, 0, int(e.size-from)*commitmentSize)
	for rest := e.bundle.data[int(from-begin)*entrySize:]; len(rest) > 0; rest = rest[entrySize:] {
		tail = append(tail, rest[2:entrySize]...)
	}
	return tail, from
}

// bundleOf writes commitments as an entry bundle has them.
func bundleOf(tail []byte) []byte {
	bundle := make([]byte, 0, tileWidth*entrySize)
	for ; len(tail) >= commitmentSize; tail = tail[commitmentSize:] {
		bundle = append(binary.BigEndian.AppendUint16(bundle, commitmentSize), tail[:commitmentSize]...)
	}
	return bundle
}

// hashesOf are the leaves of commitments, as a tile of level 0 has them.
func hashesOf(tail []byte) []byte {
	hashes := make([]byte, 0, tileWidth*tlog.HashSize)
	for ; len(tail) >= commitmentSize; tail = tail[commitmentSize:] {
		h := tlog.RecordHash(tail[:commitmentSize])
		hashes = append(hashes, h[:]...)
	}
	return hashes
}

// ReadHashes gives tlog the complete subtrees that touch the right edge, which
// are the only ones that growing and the root ask for.
func (e *edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if n != e.size>>level-1 {
			return nil, fmt.Errorf("register: node %d of level %d is not at the edge of a tree of %d", n, level, e.size)
		}
		hashes[i] = e.last[level]
	}
	return hashes, nil
}

// loadEdge rebuilds the edge of a tree of size leaves from its tail and its
// stored tiles. One that is missing or has not the width that the size gives it
// is an errDamaged.
func loadEdge(size int64, tail []byte, read func(level, n int64) ([]byte, error)) (*edge, error) {
	e := &edge{size: size, grown: size, bundle: tile{level: bundleLevel, n: size >> tileHeight}}
	if want := int(size % tileWidth); len(tail) != want*commitmentSize {
		return nil, fmt.Errorf("%w: the tail holds %d bytes, not the %d commitments that are in no full bundle", errDamaged, len(tail), want)
	}
	e.bundle.data = bundleOf(tail)
	for level := int64(0); size>>(level*tileHeight) > 0; level++ {
		count := size >> (level * tileHeight)
		t := tile{level: level, n: count >> tileHeight}
		w := int(count % tileWidth)
		switch {
		case level == 0:
			t.data = hashesOf(tail)
		case w > 0:
			data, err := readWidth(read, level, t.n, w*tlog.HashSize)
			if err != nil {
				return nil, err
			}
			t.data = append(make([]byte, 0, tileWidth*tlog.HashSize), data...)
		}
		for bit := range tileHeight {
			at := int(level)*tileHeight + bit
			if w>>bit&1 == 0 {
				continue
			}
			h, err := tlog.HashFromTile(tlog.Tile{H: tileHeight, L: int(level), N: t.n, W: w}, t.data, tlog.StoredHashIndex(at, size>>at-1))
			if err != nil {
				return nil, err
			}
			e.last[at] = h
		}
		e.tiles = append(e.tiles, t)
	}
	return e, nil
}

func readWidth(read func(level, n int64) ([]byte, error), level, n int64, want int) ([]byte, error) {
	data, err := read(level, n)
	if err != nil {
		return nil, err
	}
	if len(data) != want {
		return nil, fmt.Errorf("%w: tile %d of level %d holds %d bytes, not %d", errDamaged, n, level, len(data), want)
	}
	return data, nil
}
