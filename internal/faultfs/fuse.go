//go:build linux

package faultfs

import (
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Mounted is a Disk that processes see at a path.
type Mounted struct{ server *fuse.Server }

// Mount shows a disk at an existing, empty directory. It needs /dev/fuse, and
// root or fusermount.
func Mount(d *Disk, dir string) (*Mounted, error) {
	server, err := fuse.NewServer(&face{RawFileSystem: fuse.NewDefaultRawFileSystem(), d: d}, dir,
		&fuse.MountOptions{FsName: "faultfs", Name: "faultfs", DirectMount: true, DisableXAttrs: true, DisableReadDirPlus: true, MaxWrite: 1 << 17})
	if err != nil {
		return nil, err
	}
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		server.Unmount()
		return nil, err
	}
	return &Mounted{server}, nil
}

// Unmount takes the disk away. It fails while a process has a file open.
func (m *Mounted) Unmount() error {
	var err error
	for range 600 { // a process that was just killed lets go a moment later
		if err = m.server.Unmount(); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// face answers the kernel from a Disk. Locks, of POSIX and BSD kind, are the
// kernel's own. It caches what was read or written, and writes through.
type face struct {
	fuse.RawFileSystem
	d *Disk
}

// forever is how long the kernel may believe what it knows, in seconds: every
// change comes through it.
const forever = 3600

func (f *face) enter(n *inode, out *fuse.EntryOut) {
	out.NodeId, out.Generation = n.ino, 1
	out.EntryValid, out.AttrValid = forever, forever
	f.attr(n, &out.Attr)
}

func (f *face) attr(n *inode, out *fuse.Attr) {
	*out = fuse.Attr{Ino: n.ino, Size: uint64(len(n.live)), Blocks: uint64(len(n.live)+SectorSize-1) / SectorSize, Blksize: 4096,
		Mode: syscall.S_IFREG | n.mode, Nlink: 1, Owner: fuse.Owner{Uid: uint32(syscall.Geteuid()), Gid: uint32(syscall.Getegid())}}
	if n.dir {
		out.Mode = syscall.S_IFDIR | n.mode
		out.Nlink = 2
	}
}

func (f *face) String() string { return "faultfs" }

func (f *face) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	n := f.d.nodes[h.NodeId].names[name]
	if n == nil {
		return fuse.ENOENT
	}
	f.enter(n, out)
	return fuse.OK
}

func (f *face) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	f.attr(f.d.nodes[in.NodeId], &out.Attr)
	out.AttrValid = forever
	return fuse.OK
}

func (f *face) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	n := f.d.nodes[in.NodeId]
	if size, ok := in.GetSize(); ok {
		if err := f.d.truncate(n, int64(size)); err != 0 {
			return fuse.Status(err)
		}
	}
	if mode, ok := in.GetMode(); ok {
		n.mode = mode & 0o777
	}
	f.attr(n, &out.Attr)
	out.AttrValid = forever
	return fuse.OK
}

func (f *face) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return f.make(in.NodeId, name, true, in.Mode, out)
}

func (f *face) make(parent uint64, name string, dir bool, mode uint32, out *fuse.EntryOut) fuse.Status {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	n, err := f.d.create(f.d.nodes[parent], name, dir, mode)
	if err != 0 {
		return fuse.Status(err)
	}
	f.enter(n, out)
	return fuse.OK
}

func (f *face) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return f.make(in.NodeId, name, false, in.Mode, &out.EntryOut)
}

func (f *face) remove(parent uint64, name string) fuse.Status {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	dir := f.d.nodes[parent]
	n := dir.names[name]
	if n == nil {
		return fuse.ENOENT
	}
	if n.dir && len(n.names) > 0 {
		return fuse.Status(syscall.ENOTEMPTY)
	}
	if err := f.d.ask(Remove, name); err != 0 {
		return fuse.Status(err)
	}
	f.d.used -= int64(len(n.live))
	f.d.change(entryOp{{dir, name, nil}})
	return fuse.OK
}

func (f *face) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return f.remove(h.NodeId, name)
}

func (f *face) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return f.remove(h.NodeId, name)
}

func (f *face) Rename(_ <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	a, b := f.d.nodes[in.NodeId], f.d.nodes[in.Newdir]
	if err := f.d.ask(Rename, to); err != 0 {
		return fuse.Status(err)
	}
	if old := b.names[to]; old != nil {
		f.d.used -= int64(len(old.live))
	}
	f.d.change(entryOp{{a, from, nil}, {b, to, a.names[from]}})
	return fuse.OK
}

func (f *face) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	dir, n := f.d.nodes[in.NodeId], f.d.nodes[in.Oldnodeid]
	if dir.names[name] != nil {
		return fuse.Status(syscall.EEXIST)
	}
	if err := f.d.ask(Link, name); err != 0 {
		return fuse.Status(err)
	}
	f.d.used += int64(len(n.live)) // removing either name takes it off again
	f.d.change(entryOp{{dir, name, n}})
	f.enter(n, out)
	return fuse.OK
}

func (f *face) Open(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return fuse.OK
}

func (f *face) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	content := f.d.nodes[in.NodeId].live
	if in.Offset >= uint64(len(content)) {
		return fuse.ReadResultData(nil), fuse.OK
	}
	return fuse.ReadResultData(buf[:copy(buf, content[in.Offset:])]), fuse.OK
}

func (f *face) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	if err := f.d.write(f.d.nodes[in.NodeId], data, int64(in.Offset)); err != 0 {
		return 0, fuse.Status(err)
	}
	return uint32(len(data)), fuse.OK
}

func (f *face) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

func (f *face) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	return fuse.Status(f.d.sync(f.d.nodes[in.NodeId]))
}

func (f *face) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status { return fuse.OK }

func (f *face) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	return fuse.Status(f.d.syncDir(f.d.nodes[in.NodeId]))
}

func (f *face) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	f.d.lock.Lock()
	defer f.d.lock.Unlock()
	dir := f.d.nodes[in.NodeId]
	for i, name := range slices.Sorted(maps.Keys(dir.names)) {
		n := dir.names[name]
		mode := uint32(syscall.S_IFREG)
		if n.dir {
			mode = syscall.S_IFDIR
		}
		if uint64(i) >= in.Offset && !out.AddDirEntry(fuse.DirEntry{Mode: mode, Name: name, Ino: n.ino, Off: uint64(i) + 1}) {
			break
		}
	}
	return fuse.OK
}

func (f *face) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{Bsize: 4096, Frsize: 4096, Blocks: 1 << 20, Bfree: 1 << 19, Bavail: 1 << 19, Files: 1 << 20, Ffree: 1 << 19, NameLen: 255}
	return fuse.OK
}
