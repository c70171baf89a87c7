// Package tilelog is the growing side of a log that is a tree of commitments (C2SP
// tlog-tiles): what the registers of sites and the audit logs of organisations share.
// It knows neither what is committed to nor where tiles are kept.
package tilelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Shape of the log (C2SP tlog-tiles): tiles of height 8, and entry bundles of
// one 32-byte commitment each with a length of two bytes before it.
const (
	Height      = 8
	Width       = 1 << Height
	BundleLevel = -1

	CommitmentSize = 32
	EntrySize      = 2 + CommitmentSize
)

// ErrDamaged marks stored tiles or checkpoints that contradict each other.
var ErrDamaged = errors.New("register: damaged")

// Tile is a hash tile or an entry bundle. Bundles and tiles of level 0 are stored
// when they are full; until then the log's tail, the commitments that no full
// bundle holds, says the same in fewer bytes for each batch. Tiles above change
// once in 256 records, and are stored as wide as they are.
type Tile struct {
	Level int64 // BundleLevel, or 0 and up
	N     int64 // from the left
	Data  []byte
}

// Edge is the right side of a log's tree: all that growing needs, and nothing
// that depends on the log's length but for its logarithm.
type Edge struct {
	Size   int64
	last   [64]tlog.Hash // by level: the newest complete subtree; right where size has a bit
	bundle Tile          // the entry bundle that grows
	Tiles  []Tile        // by level: the hash tile that grows, perhaps still empty
	filled []Tile        // became full since Changed was called
	grown  int64         // size when Changed was last called
}

// Append grows the tree by one commitment.
func (e *Edge) Append(commitment [32]byte, leaf tlog.Hash) error {
	hashes, err := tlog.StoredHashesForRecordHash(e.Size, leaf, e)
	if err != nil {
		return err
	}
	for level, h := range hashes {
		e.last[level] = h
		if level%Height != 0 {
			continue
		}
		if level/Height == len(e.Tiles) {
			e.Tiles = append(e.Tiles, Tile{Level: int64(level / Height)})
		}
		t := &e.Tiles[level/Height]
		e.widen(t, h[:], Width*tlog.HashSize)
	}
	var entry [EntrySize]byte
	binary.BigEndian.PutUint16(entry[:], uint16(len(commitment)))
	copy(entry[2:], commitment[:])
	e.widen(&e.bundle, entry[:], Width*EntrySize)
	e.Size++
	return nil
}

func (e *Edge) widen(t *Tile, more []byte, full int) {
	if t.Data == nil {
		t.Data = make([]byte, 0, full)
	}
	t.Data = append(t.Data, more...)
	if len(t.Data) == full {
		e.filled = append(e.filled, *t)
		*t = Tile{Level: t.Level, N: t.N + 1}
	}
}

// Root is the hash of the whole tree.
func (e *Edge) Root() (tlog.Hash, error) { return tlog.TreeHash(e.Size, e) }

// Changed returns the tiles to be stored since the last call. They are to be
// written before the edge grows again.
func (e *Edge) Changed() []Tile {
	list := e.filled
	e.filled = nil
	for level, t := range e.Tiles {
		if level > 0 && len(t.Data) > 0 && e.Size>>(level*Height) != e.grown>>(level*Height) {
			list = append(list, t)
		}
	}
	e.grown = e.Size
	return list
}

// TailSince returns the commitments of the records from an index on, or from the
// end of the last full bundle where that is later, and the index of the first.
func (e *Edge) TailSince(index int64) (tail []byte, from int64) {
	begin := e.Size >> Height << Height
	from = max(index, begin)
	tail = make([]byte, 0, int(e.Size-from)*CommitmentSize)
	for rest := e.bundle.Data[int(from-begin)*EntrySize:]; len(rest) > 0; rest = rest[EntrySize:] {
		tail = append(tail, rest[2:EntrySize]...)
	}
	return tail, from
}

// BundleOf writes commitments as an entry bundle has them.
func BundleOf(tail []byte) []byte {
	bundle := make([]byte, 0, Width*EntrySize)
	for ; len(tail) >= CommitmentSize; tail = tail[CommitmentSize:] {
		bundle = append(binary.BigEndian.AppendUint16(bundle, CommitmentSize), tail[:CommitmentSize]...)
	}
	return bundle
}

// HashesOf are the leaves of commitments, as a tile of level 0 has them.
func HashesOf(tail []byte) []byte {
	hashes := make([]byte, 0, Width*tlog.HashSize)
	for ; len(tail) >= CommitmentSize; tail = tail[CommitmentSize:] {
		h := tlog.RecordHash(tail[:CommitmentSize])
		hashes = append(hashes, h[:]...)
	}
	return hashes
}

// ReadHashes gives tlog the complete subtrees that touch the right edge, which
// are the only ones that growing and the root ask for.
func (e *Edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if n != e.Size>>level-1 {
			return nil, fmt.Errorf("tilelog: node %d of level %d is not at the edge of a tree of %d", n, level, e.Size)
		}
		hashes[i] = e.last[level]
	}
	return hashes, nil
}

// LoadEdge rebuilds the edge of a tree of size leaves from its tail and its
// stored tiles. One that is missing or has not the width that the size gives it
// is an ErrDamaged.
func LoadEdge(size int64, tail []byte, read func(level, n int64) ([]byte, error)) (*Edge, error) {
	e := &Edge{Size: size, grown: size, bundle: Tile{Level: BundleLevel, N: size >> Height}}
	if want := int(size % Width); len(tail) != want*CommitmentSize {
		return nil, fmt.Errorf("%w: the tail holds %d bytes, not the %d commitments that are in no full bundle", ErrDamaged, len(tail), want)
	}
	e.bundle.Data = BundleOf(tail)
	for level := int64(0); size>>(level*Height) > 0; level++ {
		count := size >> (level * Height)
		t := Tile{Level: level, N: count >> Height}
		w := int(count % Width)
		switch {
		case level == 0:
			t.Data = HashesOf(tail)
		case w > 0:
			data, err := readWidth(read, level, t.N, w*tlog.HashSize)
			if err != nil {
				return nil, err
			}
			t.Data = append(make([]byte, 0, Width*tlog.HashSize), data...)
		}
		for bit := range Height {
			at := int(level)*Height + bit
			if w>>bit&1 == 0 {
				continue
			}
			h, err := tlog.HashFromTile(tlog.Tile{H: Height, L: int(level), N: t.N, W: w}, t.Data, tlog.StoredHashIndex(at, size>>at-1))
			if err != nil {
				return nil, err
			}
			e.last[at] = h
		}
		e.Tiles = append(e.Tiles, t)
	}
	return e, nil
}

func readWidth(read func(level, n int64) ([]byte, error), level, n int64, want int) ([]byte, error) {
	data, err := read(level, n)
	if err != nil {
		return nil, err
	}
	if len(data) != want {
		return nil, fmt.Errorf("%w: tile %d of level %d holds %d bytes, not %d", ErrDamaged, n, level, len(data), want)
	}
	return data, nil
}

// Reader reads a log's hashes from its stored tiles, each once.
type Reader struct {
	Size int64
	Read func(level, n int64) ([]byte, error)
	// Ahead, where it is set, reads several tiles at once and leaves out what it does
	// not find; Read is asked for that.
	Ahead func(tiles [][2]int64) (map[[2]int64][]byte, error)
	known map[[2]int64][]byte
}

func (t *Reader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	if t.known == nil {
		t.known = make(map[[2]int64][]byte)
	}
	if err := t.readAhead(indexes); err != nil {
		return nil, err
	}
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		at := tlog.TileForIndex(Height, index)
		id := [2]int64{int64(at.L), at.N}
		data, ok := t.known[id]
		if !ok {
			var err error
			if data, err = t.Read(id[0], id[1]); err != nil {
				return nil, fmt.Errorf("tile %d of level %d: %w", at.N, at.L, err)
			}
			t.known[id] = data
		}
		h, err := tlog.HashFromTile(at, data, index)
		if err != nil {
			return nil, err
		}
		hashes[i] = h
	}
	return hashes, nil
}

// readAhead reads the tiles of several hashes that are not known yet.
func (t *Reader) readAhead(indexes []int64) error {
	if t.Ahead == nil {
		return nil
	}
	var wanted [][2]int64
	for _, index := range indexes {
		at := tlog.TileForIndex(Height, index)
		id := [2]int64{int64(at.L), at.N}
		if _, ok := t.known[id]; !ok && !slices.Contains(wanted, id) {
			wanted = append(wanted, id)
		}
	}
	if len(wanted) < 2 {
		return nil
	}
	found, err := t.Ahead(wanted)
	maps.Copy(t.known, found)
	return err
}
