//go:build unix

package app

import (
	"math"
	"os"
	"path/filepath"
	"syscall"

	"assent/internal/fault"
)

// lockDir makes sure that one server at a time works on a data directory: two
// on one embedded database would sign two histories after a copy went wrong.
// The lock goes with the process, however it ends.
func lockDir(dir string) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "serve.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The data directory %s cannot be written. Check its permissions.", dir)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fault.Wrap(fault.Unavailable, err, "Another assent serve already works on %s. Stop it first, or give this one another --data directory.", dir)
	}
	return func() { f.Close() }, nil
}

// maxFiles is how many files this process may have open (RLIMIT_NOFILE; Go raises
// the limit to the highest that is allowed when a program starts).
func maxFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}
