package backup

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"assent/internal/fault"
)

// file is a file that is there whole or not at all.
type file struct {
	*os.File
	path    string // what it will be called
	replace bool
	named   bool // it has a temporary name, beside path
}

// createFile makes a file that has no name yet, or on file systems that cannot do
// that a temporary one beside it, which only its owner may read.
func createFile(path string, replace bool) (*file, error) {
	if _, err := os.Lstat(path); err == nil && !replace {
		return nil, exists(path)
	}
	f := &file{path: path, replace: replace}
	var err error
	if f.File, err = unnamed(filepath.Dir(path)); err == nil {
		return f, nil
	}
	f.named = true
	if f.File, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"); err != nil { // mode 0600
		return nil, fault.New(fault.Invalid, "The backup cannot be written to %s: %s. Check the directory and its permissions.", path, reason(err))
	}
	return f, nil
}

func exists(path string) error {
	return fault.New(fault.Invalid, "%s is there already. Give another name, or say --overwrite; the old one stays until the new one is whole.", path)
}

// commit puts what was written on disk and gives it its name.
func (f *file) commit() error {
	if err := f.Sync(); err != nil {
		return err
	}
	if !f.named {
		draft := filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+"."+strings.ToLower(rand.Text()[:10]))
		if !f.replace {
			draft = f.path // a link never replaces
		}
		if err := nameIt(f.File, draft); err != nil {
			if errors.Is(err, fs.ErrExist) {
				return exists(f.path)
			}
			return err
		}
		if !f.replace {
			return errors.Join(f.Close(), syncDir(f.path))
		}
		if err := os.Rename(draft, f.path); err != nil {
			os.Remove(draft)
			return err
		}
		return errors.Join(f.Close(), syncDir(f.path))
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return err
	}
	if f.replace {
		return errors.Join(os.Rename(f.Name(), f.path), syncDir(f.path))
	}
	if err := os.Link(f.Name(), f.path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return exists(f.path)
		}
		return err
	}
	return syncDir(f.path)
}

// drop removes what was written.
func (f *file) drop() {
	f.Close()
	if f.named {
		os.Remove(f.Name())
	}
}

// syncDir makes the name of a file durable.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
