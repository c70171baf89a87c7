package faultfs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// SectorSize is what a disk writes whole, in bytes: a write is torn between
// sectors and never within one.
const SectorSize = 512

// Kind says what an operation does.
type Kind string

// The kinds of operations that change something.
const (
	Write    Kind = "write"
	Truncate Kind = "truncate"
	Sync     Kind = "sync"
	Create   Kind = "create" // files and directories
	Link     Kind = "link"
	Remove   Kind = "remove"
	Rename   Kind = "rename"
	SyncDir  Kind = "syncdir"
)

// Op is an operation that is about to happen. Name is the last element of the
// path that the file had when it was made.
type Op struct {
	Kind Kind
	Name string
}

// Verdict is what Before says about an operation; the zero Verdict lets it
// happen.
type Verdict struct {
	Err syscall.Errno // what the program is told instead

	// Off ends the disk: this operation and all after it are EIO and change
	// nothing, as when the power is gone.
	Off bool
}

// Disk is a file system in memory. It is safe for concurrent use.
type Disk struct {
	// Before, if set, is asked before each operation that changes something. It
	// runs under the disk's lock and may call Image and nothing else of it. A
	// Sync that it refuses loses what was to be synced: it stays readable and
	// will never be durable, as after a failed fsync on Linux.
	Before func(Op) Verdict

	// Space limits the bytes of all files together, 0 for no limit. Beyond it
	// writes are ENOSPC.
	Space int64

	lock  sync.Mutex
	root  *inode
	nodes map[uint64]*inode
	meta  []entryOp // directory changes that are not durable, in order
	used  int64
	off   bool
}

// inode is a file or a directory, twice: as it is seen and as it is on disk.
type inode struct {
	ino  uint64
	name string
	dir  bool
	mode uint32

	live, durable []byte
	pending       []write

	names, kept map[string]*inode
}

// write is a change of a file's data that is not durable; data is never changed.
type write struct {
	at   int64
	data []byte
	size bool // truncates, or extends with zeros, to at
}

// entryOp is a change of directories that happens whole or not at all.
type entryOp []entry

type entry struct {
	dir  *inode
	name string
	node *inode // nil: the name goes
}

// NewDisk makes an empty disk.
func NewDisk() *Disk {
	d := &Disk{nodes: map[uint64]*inode{}}
	d.root = d.node("/", true, 0o700)
	return d
}

func (d *Disk) node(name string, dir bool, mode uint32) *inode {
	n := &inode{ino: uint64(len(d.nodes)) + 1, name: name, dir: dir, mode: mode & 0o777}
	if dir {
		n.names, n.kept = map[string]*inode{}, map[string]*inode{}
	}
	d.nodes[n.ino] = n
	return n
}

func (d *Disk) ask(kind Kind, name string) syscall.Errno {
	if d.off {
		return syscall.EIO
	}
	if d.Before == nil {
		return 0
	}
	v := d.Before(Op{kind, name})
	if v.Off {
		d.off = true
		return syscall.EIO
	}
	return v.Err
}

// Off tells whether the disk was ended by a Verdict.
func (d *Disk) Off() bool {
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.off
}

// Set changes Before and Space while the disk is in use.
func (d *Disk) Set(before func(Op) Verdict, space int64) {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.Before, d.Space = before, space
}

// Used is how many bytes all files have together.
func (d *Disk) Used() int64 {
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.used
}

// change makes a directory change that is not durable yet.
func (d *Disk) change(op entryOp) {
	for _, e := range op {
		apply(e.dir.names, e)
	}
	d.meta = append(d.meta, op)
}

func apply(names map[string]*inode, e entry) {
	if e.node == nil {
		delete(names, e.name)
		return
	}
	names[e.name] = e.node
}

func (d *Disk) create(dir *inode, name string, isDir bool, mode uint32) (*inode, syscall.Errno) {
	if err := d.ask(Create, name); err != 0 {
		return nil, err
	}
	n := d.node(name, isDir, mode)
	d.change(entryOp{{dir, name, n}})
	return n, 0
}

func (d *Disk) write(n *inode, data []byte, at int64) syscall.Errno {
	if err := d.ask(Write, n.name); err != 0 {
		return err
	}
	more := max(0, at+int64(len(data))-int64(len(n.live)))
	if d.Space > 0 && d.used+more > d.Space {
		return syscall.ENOSPC
	}
	d.used += more
	w := write{at: at, data: slices.Clone(data)}
	n.live = w.apply(n.live)
	n.pending = append(n.pending, w)
	return 0
}

func (d *Disk) truncate(n *inode, size int64) syscall.Errno {
	if err := d.ask(Truncate, n.name); err != 0 {
		return err
	}
	more := size - int64(len(n.live))
	if d.Space > 0 && d.used+more > d.Space && more > 0 {
		return syscall.ENOSPC
	}
	d.used += more
	w := write{at: size, size: true}
	n.live = w.apply(n.live)
	n.pending = append(n.pending, w)
	return 0
}

// apply returns content with the change made.
func (w write) apply(content []byte) []byte {
	if w.size {
		return resize(content, w.at)
	}
	content = resize(content, max(int64(len(content)), w.at+int64(len(w.data))))
	copy(content[w.at:], w.data)
	return content
}

func resize(content []byte, size int64) []byte {
	if have := int64(len(content)); size <= have {
		return content[:size]
	} else if int64(cap(content)) < size {
		content = append(make([]byte, 0, size+size/2), content...)
	}
	have := len(content)
	content = content[:size]
	clear(content[have:])
	return content
}

// sync makes a file's data durable. Its name is its directory's.
func (d *Disk) sync(n *inode) syscall.Errno {
	if err := d.ask(Sync, n.name); err != 0 {
		if !d.off {
			n.pending = nil
		}
		return err
	}
	for _, w := range n.pending {
		n.durable = w.apply(n.durable)
	}
	n.pending = nil
	return 0
}

// syncDir makes a directory's entries durable.
func (d *Disk) syncDir(n *inode) syscall.Errno {
	if err := d.ask(SyncDir, n.name); err != 0 {
		return err
	}
	rest := d.meta[:0:0]
	for _, op := range d.meta {
		if !slices.ContainsFunc(op, func(e entry) bool { return e.dir == n }) {
			rest = append(rest, op)
			continue
		}
		for _, e := range op {
			apply(e.dir.kept, e)
		}
	}
	d.meta = rest
	return 0
}

// Image is a disk at one moment: what is durable, and what is not.
type Image struct {
	root  *inode
	nodes map[uint64]*inode
	meta  []entryOp
}

// Image copies the disk as it is. Only Before may call it; others use Now.
func (d *Disk) Image() *Image {
	i := &Image{nodes: make(map[uint64]*inode, len(d.nodes))}
	for ino, n := range d.nodes {
		i.nodes[ino] = &inode{ino: ino, name: n.name, dir: n.dir, mode: n.mode, durable: slices.Clone(n.durable), pending: slices.Clone(n.pending), kept: map[string]*inode{}}
	}
	for ino, n := range d.nodes {
		for name, child := range n.kept {
			i.nodes[ino].kept[name] = i.nodes[child.ino]
		}
	}
	for _, op := range d.meta {
		mine := make(entryOp, len(op))
		for at, e := range op {
			mine[at] = entry{dir: i.nodes[e.dir.ino], name: e.name}
			if e.node != nil {
				mine[at].node = i.nodes[e.node.ino]
			}
		}
		i.meta = append(i.meta, mine)
	}
	i.root = i.nodes[d.root.ino]
	return i
}

// Now copies the disk as it is.
func (d *Disk) Now() *Image {
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.Image()
}

// Cut is the disk that a machine finds when the power is back. Each sector and
// each directory change that was not durable is there with probability keep: 0
// for nothing, 1 for everything. Equal seeds give equal disks.
func (i *Image) Cut(random *rand.Rand, keep float64) *Disk {
	d := NewDisk()
	kept := map[*inode]map[string]*inode{}
	for _, n := range i.nodes {
		kept[n] = maps.Clone(n.kept)
	}
	for _, op := range i.meta {
		if random.Float64() >= keep {
			continue
		}
		for _, e := range op {
			apply(kept[e.dir], e)
		}
	}
	done := map[*inode]*inode{i.root: d.root} // a file may have two names
	var copyDir func(from, to *inode)
	copyDir = func(from, to *inode) {
		for _, name := range slices.Sorted(maps.Keys(kept[from])) {
			node := kept[from][name]
			n := done[node]
			if n == nil {
				n = d.node(node.name, node.dir, node.mode)
				done[node] = n
				if node.dir {
					copyDir(node, n)
				} else {
					n.durable = node.survives(random, keep)
					n.live = slices.Clone(n.durable)
					d.used += int64(len(n.live))
				}
			}
			to.names[name], to.kept[name] = n, n
		}
	}
	copyDir(i.root, d.root)
	return d
}

// survives is a file's data with a part of what was not synced.
func (n *inode) survives(random *rand.Rand, keep float64) []byte {
	content := slices.Clone(n.durable)
	for _, w := range n.pending {
		if w.size {
			if random.Float64() < keep {
				content = w.apply(content)
			}
			continue
		}
		for len(w.data) > 0 {
			sector := min(int64(len(w.data)), SectorSize-w.at%SectorSize)
			if random.Float64() < keep {
				content = write{at: w.at, data: w.data[:sector]}.apply(content)
			}
			w.at, w.data = w.at+sector, w.data[sector:]
		}
	}
	return content
}

// Extract writes what is on the disk into a directory of the real file system.
func (d *Disk) Extract(dir string) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	return extract(d.root, dir)
}

func extract(from *inode, dir string) error {
	for name, n := range from.names {
		path := filepath.Join(dir, name)
		var err error
		if n.dir {
			if err = os.Mkdir(path, os.FileMode(n.mode)); err == nil {
				err = extract(n, path)
			}
		} else {
			err = os.WriteFile(path, n.live, os.FileMode(n.mode))
		}
		if err != nil {
			return fmt.Errorf("faultfs: extract: %w", err)
		}
	}
	return nil
}
