// Package backup writes a database as one portable stream and reads it back,
// into SQLite or PostgreSQL alike. It knows tables, columns and files; what a
// register or a site is, it does not.
//
// An archive is one line that names the format, and then, compressed (RFC 1951),
// a sequence of frames: one byte for the kind, the length as a varint, and the
// content. In the order of their appearance:
//
//	H  Header, JSON
//	K  the signing key, PEM; not in a ledger
//	T  a table, JSON of db.Table; followed by
//	R  rows of that table, values in the order of its columns
//	E  Totals, JSON: rows of each table, and the SHA-256 of every frame before
//
// The whole is encrypted with age (age-encryption.org/v1), which authenticates
// every byte and the end. An archive that is not encrypted has only the digest:
// it shows damage, not forgery.
package backup

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
)

// magic is the first line of an archive.
const magic = "assent backup 1\n"

// Limits of the format. A frame of rows ends when it is larger than rowsTarget;
// one row may be larger than that.
const (
	maxFrame   = 64 << 20
	rowsTarget = 64 << 10
)

// Contents of an archive.
const (
	Whole  = "backup" // everything
	Ledger = "ledger" // only what says which records were erased, and how long the logs are
)

// Header says what an archive is. It is the first thing in it, so that what may
// not be restored is refused before anything is touched.
type Header struct {
	Content      string    `json:"content"` // Whole or Ledger
	Created      time.Time `json:"created"` // of the snapshot, UTC
	Expires      time.Time `json:"expires,omitzero"`
	Installation string    `json:"installation"` // SHA-256 of the public key that signs its logs, hex
	Engine       db.Engine `json:"engine"`       // that it was read from
	Schema       int       `json:"schema"`
	Assent       string    `json:"assent"` // version of the binary
}

// Totals are the last thing in an archive.
type Totals struct {
	Rows   map[string]int64 `json:"rows"` // by table
	SHA256 string           `json:"sha256"`
}

const (
	headerFrame = 'H'
	keyFrame    = 'K'
	tableFrame  = 'T'
	rowsFrame   = 'R'
	endFrame    = 'E'
)

// Tags of values.
const (
	tagNull  = 0
	tagInt   = 1 // varint, zigzag
	tagText  = 2 // length as a varint, bytes
	tagBytes = 3
	tagFalse = 4
	tagTrue  = 5
)

// Writer writes an archive.
type Writer struct {
	out    *flate.Writer
	digest hash.Hash
	table  *db.Table
	rows   []byte
	count  int64
	totals Totals
}

// NewWriter begins an archive on w.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	if _, err := io.WriteString(w, magic); err != nil {
		return nil, err
	}
	out, err := flate.NewWriter(w, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	a := &Writer{out: out, digest: sha256.New(), totals: Totals{Rows: map[string]int64{}}}
	return a, a.object(headerFrame, h)
}

func (a *Writer) object(kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.frame(kind, text)
}

func (a *Writer) frame(kind byte, content []byte) error {
	if len(content) > maxFrame {
		return fmt.Errorf("backup: a row of %d bytes is larger than the format takes", len(content))
	}
	head := binary.AppendUvarint([]byte{kind}, uint64(len(content)))
	for _, part := range [][]byte{head, content} {
		a.digest.Write(part)
		if _, err := a.out.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Key writes the signing key.
func (a *Writer) Key(pem []byte) error { return a.frame(keyFrame, pem) }

// Table begins a table; rows follow.
func (a *Writer) Table(t db.Table) error {
	if err := a.flush(); err != nil {
		return err
	}
	a.table, a.count = &t, 0
	a.totals.Rows[t.Name] = 0
	return a.object(tableFrame, t)
}

// Row adds a row of the table that was begun last: a value for each column, as
// a database driver gives them.
func (a *Writer) Row(values []any) error {
	for i, column := range a.table.Columns {
		var err error
		if a.rows, err = appendValue(a.rows, column.Kind, values[i]); err != nil {
			return fmt.Errorf("backup: %s.%s: %w", a.table.Name, column.Name, err)
		}
	}
	a.totals.Rows[a.table.Name]++
	if len(a.rows) >= rowsTarget {
		return a.flush()
	}
	return nil
}

func (a *Writer) flush() error {
	if len(a.rows) == 0 {
		return nil
	}
	err := a.frame(rowsFrame, a.rows)
	a.rows = a.rows[:0]
	return err
}

// Close ends the archive. It does not close what it was written to.
func (a *Writer) Close() (Totals, error) {
	if err := a.flush(); err != nil {
		return Totals{}, err
	}
	a.totals.SHA256 = hex.EncodeToString(a.digest.Sum(nil))
	if err := a.object(endFrame, a.totals); err != nil {
		return Totals{}, err
	}
	return a.totals, a.out.Close()
}

func appendValue(to []byte, kind db.Kind, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(to, tagNull), nil
	case int64:
		if kind == db.Bool {
			return appendBool(to, v != 0), nil
		}
		if kind == db.Int {
			return binary.AppendVarint(append(to, tagInt), v), nil
		}
	case bool:
		if kind == db.Bool {
			return appendBool(to, v), nil
		}
	case string:
		return appendString(to, kind, v)
	case []byte:
		return appendString(to, kind, v)
	}
	return nil, fmt.Errorf("a %T where the column is %s", value, kind)
}

func appendBool(to []byte, v bool) []byte {
	if v {
		return append(to, tagTrue)
	}
	return append(to, tagFalse)
}

func appendString[S string | []byte](to []byte, kind db.Kind, s S) ([]byte, error) {
	switch kind {
	case db.Text:
		to = append(to, tagText)
	case db.Bytes:
		to = append(to, tagBytes)
	default:
		return nil, fmt.Errorf("text where the column is %s", kind)
	}
	return append(binary.AppendUvarint(to, uint64(len(s))), s...), nil
}

// Faults of archives.
var (
	errAltered   = fault.New(fault.Invalid, "This backup is damaged, cut off or was altered: it cannot be used. Take another copy of it, or an older backup.")
	errTruncated = fault.New(fault.Invalid, "This backup is cut off: its end is missing. Take another copy of it, or an older backup.")
	errForeign   = fault.New(fault.Invalid, "This is not an Assent backup. Give the file that assent backup wrote.")
	errFormat    = fault.New(fault.Invalid, "This backup was made by a newer Assent, in a format that this binary does not know. Install the newer binary.")
)

// Reader reads an archive. Everything it returns is authentic only once Next
// has returned the Totals.
type Reader struct {
	Header Header
	Key    []byte // PEM; nil in a ledger

	raw     *bufio.Reader
	in      *bufio.Reader
	digest  hash.Hash
	table   *db.Table
	rows    []byte // of the current frame, not yet read
	pending *db.Table
	count   map[string]int64
	frame   bytes.Buffer
	ended   bool
}

// NewReader reads the beginning of an archive: header and key.
func NewReader(r io.Reader) (*Reader, error) {
	a := &Reader{raw: bufio.NewReaderSize(r, 64<<10), digest: sha256.New(), count: map[string]int64{}}
	head, err := a.raw.Peek(len(magic))
	switch {
	case err == nil && string(head) == magic:
	case err == nil && bytes.HasPrefix(head, []byte("assent backup ")):
		return nil, errFormat
	case err == nil || err == io.EOF && len(head) == 0:
		return nil, errForeign
	default:
		return nil, explainRead(err)
	}
	a.raw.Discard(len(magic))
	a.in = bufio.NewReaderSize(flate.NewReader(a.raw), 64<<10)
	kind, content, err := a.next()
	if err != nil {
		return nil, err
	}
	if kind != headerFrame || strict(content, &a.Header) != nil || a.Header.Content != Whole && a.Header.Content != Ledger {
		return nil, errAltered
	}
	if a.Header.Content == Whole {
		if kind, content, err = a.next(); err != nil {
			return nil, err
		}
		if kind != keyFrame {
			return nil, errAltered
		}
		a.Key = bytes.Clone(content)
	}
	return a, nil
}

func strict(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}

// next reads a frame. The content is good until the next call.
func (a *Reader) next() (kind byte, content []byte, err error) {
	before := a.digest // the digest of the end is that of what is before it
	if kind, err = a.in.ReadByte(); err != nil {
		return 0, nil, explainRead(err)
	}
	size, err := binary.ReadUvarint(a.in)
	if err != nil {
		return 0, nil, explainRead(err)
	}
	if size > maxFrame {
		return 0, nil, errAltered
	}
	a.frame.Reset()
	// CopyN grows the buffer by what is really there, whatever the length says.
	if _, err := io.CopyN(&a.frame, a.in, int64(size)); err != nil {
		return 0, nil, explainRead(err)
	}
	if kind != endFrame {
		before.Write(binary.AppendUvarint([]byte{kind}, size))
		before.Write(a.frame.Bytes())
	}
	return kind, a.frame.Bytes(), nil
}

// explainRead tells a file that ends too soon, and damage, from a disk that
// cannot be read.
func explainRead(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case fault.KindOf(err) != fault.Internal:
		return err
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errTruncated
	case errors.As(err, &corrupt) || err.Error() == "binary: varint overflows a 64-bit integer":
		return errAltered
	}
	return fault.Wrap(fault.Unavailable, err, "The backup cannot be read: %v.", err)
}

// Next returns the next table, or the totals after the last one. Rows that were
// not read are skipped.
func (a *Reader) Next() (*db.Table, *Totals, error) {
	for {
		if a.pending == nil {
			if _, err := a.Row(nil); err == nil {
				continue // skips
			} else if err != errNoRow {
				return nil, nil, err
			}
		}
		if a.ended {
			totals, err := a.end()
			return nil, totals, err
		}
		if a.pending != nil {
			a.table, a.pending = a.pending, nil
			return a.table, nil, nil
		}
	}
}

// errNoRow means that a table has no more rows.
var errNoRow = errors.New("no more rows")

// Row reads the next row of the current table into values and returns it, or
// errNoRow. Texts and bytes are copies.
func (a *Reader) Row(values []any) ([]any, error) {
	for len(a.rows) == 0 {
		if a.ended || a.pending != nil {
			return nil, errNoRow
		}
		kind, content, err := a.next()
		if err != nil {
			return nil, err
		}
		switch {
		case kind == rowsFrame && a.table != nil && len(content) > 0:
			a.rows = content
		case kind == tableFrame:
			t := new(db.Table)
			if strict(content, t) != nil || !plausible(t) {
				return nil, errAltered
			}
			if _, twice := a.count[t.Name]; twice {
				return nil, errAltered
			}
			a.count[t.Name], a.pending = 0, t
			return nil, errNoRow
		case kind == endFrame:
			a.ended = true
			return nil, errNoRow
		default:
			return nil, errAltered
		}
	}
	a.count[a.table.Name]++
	return a.row(values[:0])
}

func (a *Reader) row(values []any) ([]any, error) {
	for _, column := range a.table.Columns {
		value, rest, ok := readValue(a.rows, column.Kind)
		if !ok {
			return nil, errAltered
		}
		values, a.rows = append(values, value), rest
	}
	return values, nil
}

func readValue(from []byte, kind db.Kind) (value any, rest []byte, ok bool) {
	if len(from) == 0 {
		return nil, nil, false
	}
	tag, from := from[0], from[1:]
	switch {
	case tag == tagNull:
		return nil, from, true
	case tag == tagFalse && kind == db.Bool:
		return false, from, true
	case tag == tagTrue && kind == db.Bool:
		return true, from, true
	case tag == tagInt && kind == db.Int:
		v, n := binary.Varint(from)
		if n <= 0 {
			return nil, nil, false
		}
		return v, from[n:], true
	case tag == tagText && kind == db.Text || tag == tagBytes && kind == db.Bytes:
		size, n := binary.Uvarint(from)
		if n <= 0 || size > uint64(len(from)-n) {
			return nil, nil, false
		}
		data := from[n : n+int(size)]
		if tag == tagText {
			return string(data), from[n+int(size):], true
		}
		return append(make([]byte, 0, size), data...), from[n+int(size):], true
	}
	return nil, nil, false
}

// plausible bounds what a description of a table may hold.
func plausible(t *db.Table) bool {
	if t.Name == "" || len(t.Columns) == 0 || len(t.Columns) > 1000 {
		return false
	}
	for _, c := range t.Columns {
		switch c.Kind {
		case db.Int, db.Text, db.Bytes, db.Bool:
		default:
			return false
		}
	}
	return true
}

// end checks the totals, and that nothing comes after them.
func (a *Reader) end() (*Totals, error) {
	totals := new(Totals)
	if strict(a.frame.Bytes(), totals) != nil || totals.SHA256 != hex.EncodeToString(a.digest.Sum(nil)) || len(totals.Rows) != len(a.count) {
		return nil, errAltered
	}
	for table, rows := range a.count {
		if said, there := totals.Rows[table]; !there || said != rows {
			return nil, errAltered
		}
	}
	for _, rest := range []*bufio.Reader{a.in, a.raw} {
		switch _, err := rest.ReadByte(); {
		case err == nil:
			return nil, errAltered
		case err != io.EOF:
			return nil, explainRead(err)
		}
	}
	return totals, nil
}
