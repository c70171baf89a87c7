package backup

import (
	"fmt"
	"io"
	"time"

	"assent/internal/fault"
)

// Target says where a backup goes and for whom it is.
type Target struct {
	Path      string // "-": Out
	Out       io.Writer
	Overwrite bool
	Lock      Lock
}

// Save writes a backup to a file that is there whole or not at all, and returns
// its size in bytes. Fill writes the archive.
func Save(t Target, fill func(w io.Writer) error) (size int64, err error) {
	if err := t.Lock.Check(); err != nil {
		return 0, err
	}
	count := &counter{w: t.Out}
	var f *file
	if t.Path != "-" {
		if f, err = createFile(t.Path, t.Overwrite); err != nil {
			return 0, err
		}
		defer f.drop()
		count.w = f
	}
	sealed, err := t.Lock.seal(count)
	if err != nil {
		return 0, err
	}
	err = fill(sealed)
	if err == nil {
		err = sealed.Close()
	}
	if err == nil && f != nil {
		err = f.commit()
	}
	if err != nil && count.failed != nil {
		return 0, fault.Wrap(fault.Unavailable, err, "The backup could not be written: %s. Nothing is left of it.", reason(count.failed))
	}
	return count.n, err
}

// counter counts what is written, and keeps the error of the file apart from
// those of the database.
type counter struct {
	w      io.Writer
	n      int64
	failed error
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	if err != nil {
		c.failed = err
	}
	return n, err
}

// Checked is what a whole archive was found to hold.
type Checked struct {
	Header Header
	Totals Totals
}

// Verify reads an archive to its end and touches nothing.
func Verify(r *Reader) (Checked, error) {
	for {
		_, totals, err := r.Next()
		if err != nil {
			return Checked{}, err
		}
		if totals != nil {
			return Checked{r.Header, *totals}, nil
		}
	}
}

// Expired is the reason not to restore an archive, nil while it may be.
func (h Header) Expired(now time.Time) error {
	if h.Expires.IsZero() || now.Before(h.Expires) {
		return nil
	}
	return fault.New(fault.Invalid, "This backup expired on %s: a backup that outlives the retention of its data brings back what had to be deleted. Take a newer one, or say --expired if you have a reason.", h.Expires.Format(time.DateOnly))
}

// Fits tells whether this binary, with an engine whose newest schema is given,
// can restore an archive.
func (h Header) Fits(newest int) error {
	if h.Schema > newest {
		return fault.New(fault.Invalid, "This backup was made by a newer Assent (%s, schema %d; this binary knows %d). Install the newer binary.", h.Assent, h.Schema, newest)
	}
	if h.Schema < 1 {
		return errAltered
	}
	return nil
}

// String is a line for people.
func (h Header) String() string {
	until := "does not expire"
	if !h.Expires.IsZero() {
		until = "expires " + h.Expires.Format(time.DateOnly)
	}
	return fmt.Sprintf("%s of %s, %s; installation %.16s, Assent %s, schema %d, from %s", h.Content, h.Created.Format(time.RFC3339), until, h.Installation, h.Assent, h.Schema, h.Engine)
}
