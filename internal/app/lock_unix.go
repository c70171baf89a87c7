//go:build unix

package app

import (
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
