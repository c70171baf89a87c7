package backup

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// unnamed makes a file without a name: whatever ends the process, nothing is
// left of it (open(2), O_TMPFILE).
func unnamed(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// nameIt gives an unnamed file a name that is not taken.
func nameIt(f *os.File, path string) error {
	err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: "a backup", New: path, Err: err}
	}
	return nil
}
