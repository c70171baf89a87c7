package app

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"assent/internal/backup"
	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/register"
)

// LedgerSource opens a ledger, or a whole backup as one, from its beginning. It
// is called more than once.
type LedgerSource func(ctx context.Context) (r *backup.Reader, closer func(), err error)

// RestoreOptions say what may be done, and what is known of what came after the
// backup.
type RestoreOptions struct {
	Archive *backup.Reader // nil: the database was put back by other means
	Ledger  LedgerSource   // nil: none was given

	Replace    bool // a database that is there goes aside
	Moved      bool // nothing was recorded after the backup: logs keep their names
	AcceptLoss bool // records are known to be lost, and that is accepted
	NoLedger   bool // there is none
	Expired    bool // an expired backup is wanted all the same
	Damaged    bool // one that fsck finds faults in is wanted all the same
}

// Restored says what was done.
type Restored struct {
	Created time.Time        `json:"created,omitzero"` // of the backup
	Rows    map[string]int64 `json:"rows,omitempty"`   // by table
	Records int64            `json:"records"`          // read by fsck
	Logs    []RestoredLog    `json:"logs"`
	Erased  int64            `json:"erased"` // erased again from the ledger
	// Forgotten counts organisations and accounts that were erased for good after the
	// backup, and now again.
	Forgotten int64 `json:"forgotten,omitempty"`
	// Findings is what fsck found wrong; not 0 only with Damaged.
	Findings int64    `json:"findings,omitempty"`
	Dropped  []string `json:"dropped,omitempty"` // sites that were deleted after the backup
	Aside    string   `json:"aside,omitempty"`   // where the replaced database is
}

// RestoredLog is what became of a log.
type RestoredLog struct {
	Origin string `json:"log"`
	Former string `json:"former,omitempty"` // name under which nothing is signed any more
	Size   int64  `json:"size"`
	Lost   int64  `json:"lost"` // decisions known to have been recorded after the backup, and not erased
}

// Restore puts a backup in the place of the database that the configuration
// names. Until all of it was read, found authentic and checked, nothing that is
// there is touched.
func Restore(ctx context.Context, c Config, o RestoreOptions) (*Restored, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Archive == nil {
		return settleInPlace(ctx, c, o)
	}
	t, err := beginRestore(ctx, c, o)
	if err != nil {
		return nil, err
	}
	defer t.end()
	out := &Restored{Created: o.Archive.Header.Created}
	if err := t.load(ctx, out); err != nil {
		return nil, err
	}
	if err := t.settle(ctx, out); err != nil {
		return nil, err
	}
	t.closeOld()
	out.Aside, err = t.place.Switch(ctx, time.Now())
	t.done = err == nil
	return out, err
}

func (o *RestoreOptions) check() error {
	switch {
	case o.Moved && (o.NoLedger || o.AcceptLoss):
		return fault.New(fault.Invalid, "--moved says that nothing was recorded or erased after the backup; --no-ledger and --accept-loss say the opposite. Give one or the other.")
	case o.Ledger != nil && o.NoLedger:
		return fault.New(fault.Invalid, "Give either --ledger FILE or --no-ledger.")
	case o.Archive == nil && (o.Replace || o.Moved):
		return fault.New(fault.Invalid, "--recovered is about the database that is there; --replace and --moved are about a backup file.")
	case o.Archive == nil:
		return nil
	case o.Archive.Header.Content != backup.Whole:
		return fault.New(fault.Invalid, "This file is an erasure ledger, not a backup. Give it with --ledger, and name the backup.")
	case !o.Expired:
		return o.Archive.Header.Expired(time.Now())
	}
	return nil
}

// restoring is a restoration on its way.
type restoring struct {
	c       Config
	o       RestoreOptions
	public  ed25519.PublicKey
	old     *db.DB // the database that is being replaced; nil when there is none, or it cannot be read
	place   *backup.Place
	release func()
	madeDir bool
	madeKey bool // beside PostgreSQL
	done    bool
}

func (t *restoring) closeOld() {
	if t.old != nil {
		t.old.Close()
		t.old = nil
	}
}

// end leaves everything as it was, unless the restored database took its place.
func (t *restoring) end() {
	t.closeOld()
	if t.place != nil && !t.done {
		t.place.Drop()
	}
	if t.madeKey && !t.done {
		os.Remove(filepath.Join(t.c.Dir, register.KeyFile))
	}
	if t.release != nil {
		t.release()
	}
	if t.madeDir && !t.done {
		os.Remove(filepath.Join(t.c.Dir, "serve.lock"))
		os.Remove(t.c.Dir)
	}
}

func beginRestore(ctx context.Context, c Config, o RestoreOptions) (t *restoring, err error) {
	t = &restoring{c: c, o: o}
	defer func() {
		if err != nil {
			t.end()
		}
	}()
	engine := db.SQLite
	if c.URL != "" {
		engine = db.Postgres
	}
	if err := o.Archive.Header.Fits(db.SchemaNumber(engine)); err != nil {
		return t, err
	}
	if t.public, err = register.PublicKey(o.Archive.Key); err != nil {
		return t, err
	}
	if backup.InstallationOf(t.public) != o.Archive.Header.Installation {
		return t, fault.New(fault.Invalid, "This backup contradicts itself: its signing key is not the one it names. It was altered.")
	}
	if engine == db.SQLite {
		if _, err := os.Lstat(c.Dir); errors.Is(err, fs.ErrNotExist) {
			t.madeDir = true
		}
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			return t, fault.Wrap(fault.Unavailable, err, "The data directory %s cannot be made. Check --data and the permissions of its parent.", c.Dir)
		}
		if t.release, err = lockDir(c.Dir); err != nil {
			return t, err
		}
	}
	if err := t.lookAtOld(ctx); err != nil {
		return t, err
	}
	if !o.Moved && !o.NoLedger && o.Ledger == nil && t.old == nil {
		return t, fault.New(fault.Invalid, "What was erased after this backup was made (%s) would come back with it. Give the newest ledger, or a newer backup, with --ledger FILE; say --no-ledger if there is none, and erase again what was erased since; or say --moved if the old server was stopped before this backup was made and does not run any more.", o.Archive.Header.Created.Format(time.RFC3339))
	}
	t.place, err = backup.NewPlace(ctx, databaseOptions(c))
	return t, err
}

// lookAtOld finds out about the database and the key that are there.
func (t *restoring) lookAtOld(ctx context.Context) error {
	options := databaseOptions(t.c)
	occupied, err := backup.Occupied(ctx, options)
	if err != nil {
		return err
	}
	if occupied && !t.o.Replace {
		return fault.New(fault.Invalid, "There is a database already. Say --replace to put it aside, or restore into an empty directory or database.")
	}
	another := fault.New(fault.Invalid, "The backup is of another installation than the one that is there: their signing keys differ. Restore it into an empty directory or database.")
	var logs int
	if occupied {
		options.Existing, options.ReadOnly, options.AnyOlder = true, true, true
		if t.old, err = db.Open(ctx, options); err != nil {
			t.old = nil
			if t.o.Ledger == nil && !t.o.NoLedger && !t.o.Moved {
				return fault.Wrap(fault.Unavailable, err, "The database that is to be replaced cannot be read (%s), so what was erased after the backup is not known. Give --ledger FILE, or say --no-ledger.", fault.Message(err))
			}
		} else if list, err := register.Logs(ctx, t.old); err == nil {
			logs = len(list)
		} else {
			return err
		}
	}
	d := t.old
	if t.c.Dir == "" && d == nil {
		return nil
	}
	_, public, err := register.ReadKey(ctx, d, t.c.Dir)
	switch {
	case err != nil && logs > 0:
		return err
	case err != nil: // there is none
		return nil
	case !public.Equal(t.public) && (logs > 0 || t.old == nil || t.c.URL != "" && t.c.Dir != ""):
		return another
	}
	return nil
}

// load builds the restored database in its place.
func (t *restoring) load(ctx context.Context, out *Restored) error {
	options := t.place.Options()
	options.Schema = t.o.Archive.Header.Schema
	d, err := db.Open(ctx, options)
	if err != nil {
		return err
	}
	defer d.Close()
	if d.Engine == db.SQLite { // synced as a whole before it takes its place
		for _, pragma := range []string{"pragma synchronous = off", "pragma cache_size = -64000"} {
			if _, err := d.Writer().ExecContext(ctx, pragma); err != nil {
				return d.Explain(err)
			}
		}
	}
	totals, err := backup.Load(ctx, d, t.o.Archive)
	if err != nil {
		return err
	}
	out.Rows = totals.Rows
	keyDir := t.place.Dir()
	if t.c.URL != "" && t.c.Dir != "" {
		keyDir = t.c.Dir
		if _, err := os.Lstat(filepath.Join(keyDir, register.KeyFile)); err == nil {
			return nil // it is the same
		}
		if err := os.MkdirAll(keyDir, 0o700); err != nil {
			return fault.Wrap(fault.Unavailable, err, "The directory %s cannot be made. Check --data.", keyDir)
		}
		t.madeKey = true
	}
	return register.PutKey(ctx, d, keyDir, t.o.Archive.Key)
}

// settle opens the restored database as this binary has it, brings it to where it
// may go on, and checks it.
func (t *restoring) settle(ctx context.Context, out *Restored) error {
	s := &settling{o: t.o, marks: t.c.highwater(), public: t.public, created: t.o.Archive.Header.Created}
	if t.o.Ledger != nil {
		s.sources = append(s.sources, &source{open: t.o.Ledger})
	}
	if t.old != nil {
		s.sources = append(s.sources, &source{open: t.fromOld, replaced: true})
	}
	if err := s.learn(ctx); err != nil {
		return err
	}
	options := t.place.Options()
	if err := t.adopt(ctx, options, s.sources); err != nil {
		return err
	}
	dir := t.place.Dir()
	if t.c.URL != "" {
		dir = t.c.Dir
	}
	parts, err := Open(ctx, Config{Dir: dir, URL: options.URL, Existing: true, Inspect: true})
	if err != nil {
		return err
	}
	defer parts.Close()
	s.Parts = parts
	return s.run(ctx, out)
}

// adopt gives the restored database the key of its ledger's marks, where it is
// older than they are, before it is opened and makes one.
func (t *restoring) adopt(ctx context.Context, options db.Options, sources []*source) error {
	options.Schema = t.o.Archive.Header.Schema
	d, err := db.Open(ctx, options)
	if err != nil {
		return err
	}
	defer d.Close()
	for _, from := range sources {
		if from.marking == "" {
			continue
		}
		if err := register.AdoptMarking(ctx, d, from.marking); err != nil {
			return err
		}
	}
	return nil
}

// fromOld reads the ledger of the database that is being replaced.
func (t *restoring) fromOld(ctx context.Context) (*backup.Reader, func(), error) {
	return backup.Pipe(ctx, backup.Source{DB: t.old, LedgerSettings: ledgerSettings, Installation: backup.InstallationOf(t.public), Assent: Version}, backup.Ledger)
}

// settleInPlace is for a database that was put back by other means: by
// point-in-time recovery, or with a copy of its files.
func settleInPlace(ctx context.Context, c Config, o RestoreOptions) (*Restored, error) {
	if o.Ledger == nil && !o.NoLedger {
		return nil, fault.New(fault.Invalid, "What was erased after the point to which this database was put back is there again. Give the newest ledger, or a newer backup, with --ledger FILE; or say --no-ledger if there is none, and erase again what was erased since.")
	}
	if c.URL == "" {
		if _, err := os.Stat(filepath.Join(c.Dir, db.FileName)); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "There is no database in %s. Check --data.", c.Dir)
		}
		release, err := lockDir(c.Dir)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	c.Existing, c.Inspect = true, true
	parts, err := Open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer parts.Close()
	_, public, err := register.ReadKey(ctx, parts.DB, c.Dir)
	if err != nil {
		return nil, err
	}
	s := &settling{Parts: parts, o: o, marks: c.highwater(), public: public}
	if o.Ledger != nil {
		s.sources = append(s.sources, &source{open: o.Ledger})
	}
	if err := s.learn(ctx); err != nil {
		return nil, err
	}
	out := new(Restored)
	return out, s.run(ctx, out)
}
