package register

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"assent/internal/fault"

	"golang.org/x/mod/sumdb/tlog"
)

// MarksFile is the name of the file of Marks in the data directory.
const MarksFile = "highwater"

// marksPause is how often Marks are brought up to date.
const marksPause = time.Second

// Marks is a file that remembers, apart from the database, how far each log was
// signed. A database that holds less, or another history up to there, is an
// older copy or another node's: going on from it would sign two checkpoints for
// one size. What was signed in the last second before a crash may not be in it.
type Marks struct {
	path string

	lock  sync.Mutex
	known map[string]mark // by origin
}

type mark struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"` // base64
}

type marksFile struct {
	Type string `json:"type"`
	Logs []mark `json:"logs"`
}

const marksType = "assent/highwater/1"

// OpenMarks reads a file of marks; one that does not exist has none. A file that
// cannot be read is fault.Unavailable: it is never taken for an empty one.
func OpenMarks(path string) (*Marks, error) {
	m := &Marks{path: path, known: map[string]mark{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The file %s cannot be read. Give this user permission to read and write it.", path)
	}
	var file marksFile
	if err := json.Unmarshal(text, &file); err != nil || file.Type != marksType {
		return nil, fault.Wrap(fault.Unavailable, errors.Join(errDamaged, err), "The file %s, which remembers how far each log was signed, is damaged. If you are sure that this database is the newest one, move the file away.", path)
	}
	for _, k := range file.Logs {
		m.known[k.Origin] = k
	}
	return m, nil
}

// CheckMarks holds every log against its mark. A log that lost records, or has
// another past, is fault.Unavailable: nothing may be signed. Marks of logs that
// are gone say nothing: nothing can be signed in their name.
func (r *Register) CheckMarks(ctx context.Context, m *Marks) error {
	_, err := r.compare(ctx, m, func(mark) bool { return true })
	return err
}

// compare checks the logs whose mark is wanted, and returns where they are now.
func (r *Register) compare(ctx context.Context, m *Marks, wanted func(now mark) bool) (moved []mark, err error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	sizes, err := r.sizes(ctx)
	if err != nil {
		return nil, r.db.Explain(err)
	}
	for site, now := range sizes {
		before, ok := m.known[now.Origin]
		if now.Size < before.Size {
			return nil, lostRecords(now.Origin, before.Size, now.Size)
		}
		if !wanted(now) {
			continue
		}
		state, err := r.State(ctx, site)
		if fault.KindOf(err) == fault.NotFound || errors.Is(err, errDamaged) {
			continue // gone meanwhile; or nothing is signed over it, and fsck says what is wrong
		}
		if err != nil {
			return nil, err
		}
		if ok && before.Size > 0 {
			tiles := r.tiles(ctx, site, state.Size)
			root, err := tlog.TreeHash(before.Size, &tiles)
			if err != nil {
				slog.Error("register: a log cannot be held against its high-water mark; assent fsck says what is wrong", "log", now.Origin, "error", err)
				continue
			}
			if base64.StdEncoding.EncodeToString(root[:]) != before.Root {
				return nil, fault.New(fault.Unavailable, "The log %s has another past than the one that was signed with %d records (%s remembers it), so nothing is signed over it. Put the database back that it was signed from; a log that lost records goes on under a new name only.", now.Origin, before.Size, m.path)
			}
		}
		moved = append(moved, mark{state.Origin, state.Size, base64.StdEncoding.EncodeToString(state.Root[:])})
	}
	return moved, nil
}

func (r *Register) sizes(ctx context.Context) (map[int64]mark, error) {
	rows, err := r.db.Read().QueryContext(ctx, "select site_id, origin, size from log")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := map[int64]mark{}
	for rows.Next() {
		var site int64
		var k mark
		if err := rows.Scan(&site, &k.Origin, &k.Size); err != nil {
			return nil, err
		}
		list[site] = k
	}
	return list, rows.Err()
}

// lostRecords is the sentence for a log that is shorter than it was.
func lostRecords(origin string, before, now int64) error {
	return fault.New(fault.Unavailable, "The log %s was signed with %d records, and this database holds %d: an older copy took its place. Nothing is signed over it, because two histories under one name are what a forger would make. Put the newer database back; a log that lost records goes on under a new name only.", origin, before, now)
}

// FollowMarks keeps the marks up to date until ctx ends, and once more then. It
// calls failed, once, and returns, when a log lost records while it ran.
func (r *Register) FollowMarks(ctx context.Context, m *Marks, failed func(error)) {
	for {
		last := false
		select {
		case <-ctx.Done():
			last = true
		case <-time.After(marksPause):
		}
		err := r.advance(context.WithoutCancel(ctx), m)
		if fault.KindOf(err) == fault.Unavailable && errors.Unwrap(err) == nil { // a verdict, not a database that is away
			failed(err)
			return
		}
		if err != nil {
			slog.Error("register: the high-water marks cannot be kept", "error", err)
		}
		if last {
			return
		}
	}
}

// advance moves the marks of the logs that grew.
func (r *Register) advance(ctx context.Context, m *Marks) error {
	moved, err := r.compare(ctx, m, func(now mark) bool { return now.Size > m.known[now.Origin].Size })
	if err != nil || len(moved) == 0 {
		return err
	}
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, k := range moved {
		m.known[k.Origin] = k
	}
	file := marksFile{Type: marksType}
	for _, k := range m.known {
		file.Logs = append(file.Logs, k)
	}
	text, err := json.Marshal(file)
	if err != nil {
		return err
	}
	return replaceFile(m.path, append(text, '\n'))
}

// replaceFile puts a whole file in the place of another.
func replaceFile(path string, text []byte) error {
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(text)
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	return os.Rename(draft.Name(), path)
}

// acknowledged remembers how long a log was when a caller was answered.
func (w *writer) acknowledged(o outcome) {
	if o.err == nil && !o.repeated {
		w.high.raise(o.stored.SiteID, o.stored.Index+1)
	}
}

// shortened tells that a log is shorter than this process has acknowledged: the
// database went back in time under it, for example to a standby that had not
// received all.
func (w *writer) shortened(l *openLog) error {
	if before := w.high.of(l.siteID); l.size < before {
		return lostRecords(l.origin, before, l.size)
	}
	return nil
}

// highs remember, by site, how many records of its log callers know of.
type highs struct {
	mu    sync.Mutex
	known map[int64]int64
}

func (h *highs) raise(site, size int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known[site] = max(h.known[site], size)
}

func (h *highs) of(site int64) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known[site]
}
