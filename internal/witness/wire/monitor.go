package wire

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/receipt"

	tlogfmt "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// What a monitor finds.
const (
	Inconsistent = "inconsistent" // two histories: the log's operator has to explain
	Rollback     = "rollback"     // a smaller tree than before
	Signature    = "signature"    // a checkpoint that the log's key did not sign
	Gap          = "gap"          // tiles or entries that are missing, or are not those of the tree
	Stale        = "stale"        // nothing new for too long
	Policy       = "policy"       // too few witnesses
)

// Finding is one thing that is wrong with a log.
type Finding struct {
	Kind     string   `json:"kind"`
	Message  string   `json:"message"`
	Evidence []string `json:"evidence,omitempty"` // files that prove it
}

// Report is what one look at a log gave.
type Report struct {
	URL      string    `json:"url"`
	Origin   string    `json:"origin"`
	Key      string    `json:"key"`
	FirstUse bool      `json:"first_use"` // the key was taken from the log's own server
	Before   int64     `json:"before"`    // entries when it was last found right
	Size     int64     `json:"size"`
	Root     string    `json:"root"`
	Checked  time.Time `json:"checked"`
	Findings []Finding `json:"findings"`

	Rotations []*receipt.Rotation `json:"rotations,omitempty"` // by which the log's key came to be another one than before
}

// Grave tells whether the log contradicts itself: nothing that it says may be
// relied upon until that is explained.
func (r *Report) Grave() bool {
	for _, f := range r.Findings {
		if f.Kind == Inconsistent || f.Kind == Rollback {
			return true
		}
	}
	return false
}

// Monitor follows one log by its public address (C2SP tlog-tiles).
type Monitor struct {
	URL    string          // prefix: https://consent.example/log/KEY
	Key    string          // verifier key; "" takes what was stored, then what the server says
	Dir    string          // where its state and the evidence are kept; made when missing
	MaxAge time.Duration   // how long a log may be without news; 0: for ever
	Policy *receipt.Policy // demanded of the cosigned checkpoint; may be nil
	Now    func() time.Time
	Client *http.Client
}

// NewMonitorClient returns the client of a monitor: redirections are not followed.
func NewMonitorClient() *http.Client { return NewClient(30 * time.Second).http }

// memory is what a monitor keeps between two looks.
type memory struct {
	URL        string    `json:"url"`
	Key        string    `json:"key"`
	Checkpoint string    `json:"checkpoint"` // the newest that was found right
	Grew       time.Time `json:"grew"`       // when it was first seen
}

// Check looks at the log once. What is wrong with the log is in the report; an
// error means that it could not be told.
func (m *Monitor) Check(ctx context.Context) (*Report, error) {
	now := m.Now().UTC()
	r := &Report{URL: m.URL, Checked: now, Findings: []Finding{}}
	known, err := m.load()
	if err != nil {
		return nil, err
	}
	if err := m.key(ctx, r, known); err != nil {
		return nil, err
	}
	data, err := m.get(ctx, "checkpoint", maxAnswer)
	if err != nil {
		return nil, m.noLog(err)
	}
	formerKey := cmp.Or(known.Key, r.Key) // that signed the remembered checkpoint
	c, err := openLoose(data, r.Key)
	if err != nil || formerKey != r.Key {
		if said := m.rotated(ctx, r, formerKey, data); said != "" {
			m.find(r, Signature, said, known.Checkpoint, string(data))
			return r, nil
		}
		c, err = openLoose(data, r.Key)
	}
	if err != nil {
		m.find(r, Signature, "The checkpoint at "+m.URL+" is not signed by the log's key: "+err.Error()+".", known.Checkpoint, string(data))
		return r, nil
	}
	r.Size, r.Root = c.Size, c.Root.String()
	before := receipt.Checkpoint{Origin: c.Origin}
	if known.Checkpoint != "" {
		if before, err = openLoose([]byte(known.Checkpoint), formerKey); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "The monitor's state in %s does not belong to this key. Give the right --key, or another --state.", m.Dir)
		}
	}
	r.Before = before.Size
	tiles := &remoteTiles{ctx: ctx, m: m}
	if done, err := m.follow(r, tiles, before, c, known.Checkpoint, string(data)); done || err != nil {
		return r, err
	}
	if done, err := m.takenOver(r, tiles, before, c, known.Checkpoint, string(data)); done || err != nil {
		return r, err
	}
	if err := m.cosigned(ctx, r, tiles, c, string(data)); err != nil {
		return r, err
	}
	if c.Size > before.Size || known.Checkpoint == "" {
		known.Grew = now
	}
	if m.MaxAge > 0 && now.Sub(known.Grew) > m.MaxAge {
		m.find(r, Stale, fmt.Sprintf("The log has had no new entry since %s.", known.Grew.Format(time.RFC3339)))
	}
	for _, f := range r.Findings {
		if f.Kind != Stale && f.Kind != Policy {
			return r, nil // what is not right is looked at again
		}
	}
	known.URL, known.Key, known.Checkpoint = m.URL, r.Key, string(data)
	return r, m.save(known)
}

// key decides which key the log is held against.
func (m *Monitor) key(ctx context.Context, r *Report, known *memory) error {
	switch {
	case m.Key != "":
		r.Key = m.Key
	case known.Key != "":
		r.Key = known.Key
	default:
		data, err := m.get(ctx, "key", 4096)
		if err != nil {
			return m.noLog(err)
		}
		r.Key, r.FirstUse = strings.TrimSpace(string(data)), true
	}
	if _, err := note.NewVerifier(r.Key); err != nil {
		return fault.New(fault.Invalid, "%q is not the verifier key of a log.", r.Key)
	}
	r.Origin, _, _ = strings.Cut(r.Key, "+")
	return nil
}

// follow holds a checkpoint against the one before, and reads what is between
// them; done says that the log contradicts itself.
func (m *Monitor) follow(r *Report, tiles *remoteTiles, before, c receipt.Checkpoint, old, text string) (done bool, err error) {
	switch {
	case c.Size < before.Size:
		m.find(r, Rollback, fmt.Sprintf("The log has %d entries, and had %d: it was set back.", c.Size, before.Size), old, text)
		return true, nil
	case c.Size == before.Size && old != "" && c.Root != before.Root:
		m.find(r, Inconsistent, fmt.Sprintf("The log signed two different roots for %d entries.", c.Size), old, text)
		return true, nil
	case c.Size == 0:
		return false, nil
	}
	reader := tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, tiles)
	if before.Size > 0 && before.Size < c.Size {
		root, err := tlog.TreeHash(before.Size, reader)
		if err != nil {
			return true, m.gap(r, tiles, "The log's tiles do not give its root", err)
		}
		if root != before.Root {
			m.find(r, Inconsistent, fmt.Sprintf("The log's %d entries do not begin with the %d that it had: history was rewritten.", c.Size, before.Size), old, text)
			return true, nil
		}
	}
	for from := before.Size; from < c.Size; from = from>>8<<8 + 256 {
		if err := m.bundle(tiles, reader, from>>8, c.Size); err != nil {
			return true, m.gap(r, tiles, fmt.Sprintf("Entries from %d on", from), err)
		}
	}
	return false, nil
}

// gap reports missing or wrong tiles, or returns the error when the network is
// what failed.
func (m *Monitor) gap(r *Report, tiles *remoteTiles, what string, err error) error {
	if tiles.failed != nil && !errors.Is(tiles.failed, errMissing) {
		return tiles.failed
	}
	m.find(r, Gap, what+": "+err.Error()+".")
	return nil
}

// bundle reads one entry bundle and holds its entries against the tree.
func (m *Monitor) bundle(tiles *remoteTiles, reader tlog.HashReader, n, size int64) error {
	width := min(256, size-n<<8)
	data, err := tiles.get(tlog.Tile{H: 8, L: -1, N: n, W: int(width)})
	if err != nil {
		return err
	}
	indexes := make([]int64, width)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, n<<8+int64(i))
	}
	hashes, err := reader.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i, h := range hashes {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return fmt.Errorf("the entry bundle %d ends early", n)
		}
		entry := data[2 : 2+int(binary.BigEndian.Uint16(data))]
		if data = data[2+len(entry):]; tlog.RecordHash(entry) != h {
			return fmt.Errorf("entry %d is not the one of the tree", n<<8+int64(i))
		}
	}
	return nil
}

// cosigned holds what the witnesses signed against the log, and asks whether
// they are enough and recent.
func (m *Monitor) cosigned(ctx context.Context, r *Report, tiles *remoteTiles, c receipt.Checkpoint, text string) error {
	data, err := m.get(ctx, "cosigned", maxAnswer)
	if errors.Is(err, errMissing) {
		if m.Policy != nil {
			if met, sentence := m.Policy.Judge(r.Key, nil); !met {
				m.find(r, Policy, sentence)
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	signed, err := openLoose(data, r.Key)
	if err != nil {
		m.find(r, Signature, "The cosigned checkpoint is not signed by the log's key: "+err.Error()+".", text, string(data))
		return nil
	}
	if signed.Size > 0 && signed.Size <= c.Size {
		root, err := tlog.TreeHash(signed.Size, tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, tiles))
		if err != nil {
			return m.gap(r, tiles, "The log's tiles do not give its root", err)
		}
		if root != signed.Root {
			m.find(r, Inconsistent, "What the witnesses cosigned is not the log that is served.", text, string(data))
			return nil
		}
	}
	if m.Policy == nil {
		return nil
	}
	list, newest := cosignaturesOf(data, m.Policy.Witnesses())
	if met, sentence := m.Policy.Judge(r.Key, list); !met {
		m.find(r, Policy, sentence)
	} else if m.MaxAge > 0 && len(list) > 0 && signed.Size < c.Size && m.Now().Sub(newest) > m.MaxAge {
		m.find(r, Stale, fmt.Sprintf("The witnesses last cosigned on %s, and the log has grown by %d entries since.", newest.Format(time.RFC3339), c.Size-signed.Size))
	}
	return nil
}

// cosignaturesOf are those of the witnesses with these keys, verified.
func cosignaturesOf(data []byte, keys []string) (list []receipt.Cosignature, newest time.Time) {
	for _, key := range keys {
		v, err := receipt.NewWitnessVerifier(key)
		if err != nil {
			continue
		}
		n, err := note.Open(data, note.VerifierList(v))
		if err != nil || len(n.Sigs) != 1 {
			continue
		}
		at, err := receipt.CosignatureTime(n.Sigs[0])
		if err != nil {
			continue
		}
		list = append(list, receipt.Cosignature{Witness: key, Name: v.Name(), Time: at})
		if at.After(newest) {
			newest = at
		}
	}
	return list, newest
}

// openLoose opens a checkpoint of a log that may carry signatures of anybody.
func openLoose(data []byte, vkey string) (receipt.Checkpoint, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return receipt.Checkpoint{}, err
	}
	n, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return receipt.Checkpoint{}, err
	}
	var c tlogfmt.Checkpoint
	if _, err := c.Unmarshal([]byte(n.Text)); err != nil || len(c.Hash) != tlog.HashSize || c.Size > 1<<53 || c.Origin != verifier.Name() {
		return receipt.Checkpoint{}, errors.New("it is no checkpoint of this log")
	}
	return receipt.Checkpoint{Origin: c.Origin, Size: int64(c.Size), Root: tlog.Hash(c.Hash)}, nil
}

// find adds a finding, and keeps the checkpoints that prove it.
func (m *Monitor) find(r *Report, kind, message string, checkpoints ...string) {
	f := Finding{Kind: kind, Message: message}
	for i, text := range checkpoints {
		name := filepath.Join(m.Dir, fmt.Sprintf("%s-%s-%d.checkpoint", kind, r.Checked.Format("20060102T150405.000Z"), i+1))
		if text == "" {
			continue
		}
		if err := writeFile(name, []byte(text)); err != nil {
			f.Message += " (Evidence could not be kept: " + err.Error() + ")"
			continue
		}
		f.Evidence = append(f.Evidence, name)
	}
	r.Findings = append(r.Findings, f)
}

func (m *Monitor) load() (*memory, error) {
	known := new(memory)
	data, err := os.ReadFile(filepath.Join(m.Dir, "state.json"))
	if errors.Is(err, os.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(data, known)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The monitor's state in %s cannot be read.", m.Dir)
	}
	return known, nil
}

func (m *Monitor) save(known *memory) error {
	data, err := json.MarshalIndent(known, "", "  ")
	if err == nil {
		err = writeFile(filepath.Join(m.Dir, "state.json"), data)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The monitor's state in %s cannot be kept.", m.Dir)
	}
	return nil
}

// writeFile writes a file that is whole and on disk, or not there. Its folder is made
// with the first one, so that a mistyped address leaves nothing behind.
func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(name), ".draft-*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(data)
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// noLog says what it means that the server does not have what every log has.
func (m *Monitor) noLog(err error) error {
	if errors.Is(err, errMissing) {
		return fault.Wrap(fault.NotFound, err, "There is no log at %s. Check the address: it is the server's, then /log/ and the site key.", m.URL)
	}
	return err
}

// errMissing is 404.
var errMissing = errors.New("the log's server does not have it")

func (m *Monitor) get(ctx context.Context, path string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.URL+"/"+path, nil)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%q is not the address of a log.", m.URL)
	}
	res, err := m.Client.Do(req)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "%s/%s cannot be reached (%v), so nothing can be told.", m.URL, path, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.Unavailable, err, "%s/%s cannot be read to its end.", m.URL, path)
	case res.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w", path, errMissing)
	case res.StatusCode != http.StatusOK:
		return nil, fault.New(fault.Unavailable, "%s/%s answers %d, so nothing can be told.", m.URL, path, res.StatusCode)
	case int64(len(data)) > limit:
		return nil, fault.New(fault.Unavailable, "%s/%s is larger than such a file can be.", m.URL, path)
	}
	return data, nil
}

// remoteTiles reads tiles from the log's server; tlog checks them against the root.
type remoteTiles struct {
	ctx    context.Context
	m      *Monitor
	known  map[tlog.Tile][]byte
	failed error
}

// tilesKept bounds the tiles in memory: 8 KiB each.
const tilesKept = 256

func (t *remoteTiles) Height() int                     { return 8 }
func (t *remoteTiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (t *remoteTiles) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		one, ok := t.known[tile]
		if !ok {
			if one, err = t.get(tile); err != nil {
				return nil, err
			}
			if len(t.known) >= tilesKept || t.known == nil {
				t.known = map[tlog.Tile][]byte{}
			}
			t.known[tile] = one
		}
		data = append(data, one)
	}
	return data, nil
}

func (t *remoteTiles) get(tile tlog.Tile) ([]byte, error) {
	data, err := t.m.get(t.ctx, tilePath(tile), 256*(2+1<<16))
	if err != nil {
		t.failed = err
		return nil, err
	}
	if tile.L >= 0 && len(data) != tile.W*tlog.HashSize {
		return nil, fmt.Errorf("%s has %d bytes, not %d", tilePath(tile), len(data), tile.W*tlog.HashSize)
	}
	return data, nil
}

// tilePath is the path of a tile under the log's prefix (C2SP tlog-tiles).
func tilePath(t tlog.Tile) string {
	level := "entries"
	if t.L >= 0 {
		level = strconv.Itoa(t.L)
	}
	n, number := t.N, fmt.Sprintf("%03d", t.N%1000)
	for n >= 1000 {
		n /= 1000
		number = fmt.Sprintf("x%03d/%s", n%1000, number)
	}
	if t.W < 256 {
		number += fmt.Sprintf(".p/%d", t.W)
	}
	return "tile/" + level + "/" + number
}
