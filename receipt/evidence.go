package receipt

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// EvidenceType names the format of an evidence pack.
const EvidenceType = "assent/evidence/v1"

// The files of an evidence pack, a ZIP archive. README.txt and verify.html are
// for people and prove nothing; no signature covers them (see Beside).
const (
	EvidenceManifest   = "manifest.json"
	EvidenceCheckpoint = "checkpoint"
	EvidenceRecords    = "records.ndjson"
	EvidenceNotices    = "notices/" // VERSION.json each
	EvidenceReadme     = "README.txt"
	EvidencePage       = "verify.html"
)

const (
	maxManifest = 1 << 20
	maxNotice   = 16 << 20
	maxLine     = 1 << 20
)

// Manifest says what is in an evidence pack. Everything in it is checked against
// the checkpoint, but for the times, which say what was asked for, and the writer.
type Manifest struct {
	Type      string      `json:"type"`
	Writer    string      `json:"writer,omitempty"` // program and version that wrote the pack; covered by no signature
	Site      string      `json:"site"`
	Key       string      `json:"key"`                 // note verifier key of the log
	Witnesses []string    `json:"witnesses,omitempty"` // of the checkpoint's cosignatures, in their order
	From      string      `json:"from,omitempty"`      // first instant asked for (RFC 3339)
	To        string      `json:"to,omitempty"`        // first instant after
	Created   string      `json:"created"`
	First     int64       `json:"first"`   // index of the first leaf in records.ndjson
	Leaves    int64       `json:"leaves"`  // how many follow, without gaps
	Records   int64       `json:"records"` // those of them whose record is there; the others were erased, or are statements about erasures
	Left      []tlog.Hash `json:"left"`    // subtrees before the first leaf, from the left
	Right     []tlog.Hash `json:"right"`   // subtrees after the last one
}

// Subtrees lists the complete subtrees that cover the leaves from lo up to hi in
// a tree, from the left, as levels and numbers: what a range of leaves lacks to
// the root. lo is 0, or hi the size of the tree.
func Subtrees(lo, hi int64) (list [][2]int64) {
	for lo < hi {
		level := bits.Len64(uint64(hi-lo)) - 1
		if lo > 0 {
			level = min(level, bits.TrailingZeros64(uint64(lo)))
		}
		list = append(list, [2]int64{int64(level), lo >> level})
		lo += 1 << level
	}
	return list
}

// rightEdge is a tree while its leaves come in, from the left: complete subtrees
// of falling levels.
type rightEdge struct {
	levels []int64
	hashes []tlog.Hash
}

func (e *rightEdge) push(level int64, h tlog.Hash) {
	for n := len(e.levels); n > 0 && e.levels[n-1] == level; n-- {
		h, level = tlog.NodeHash(e.hashes[n-1], h), level+1
		e.levels, e.hashes = e.levels[:n-1], e.hashes[:n-1]
	}
	e.levels, e.hashes = append(e.levels, level), append(e.hashes, h)
}

func (e *rightEdge) root() tlog.Hash {
	if len(e.hashes) == 0 {
		return sha256.Sum256(nil)
	}
	h := e.hashes[len(e.hashes)-1]
	for i := len(e.hashes) - 2; i >= 0; i-- {
		h = tlog.NodeHash(e.hashes[i], h)
	}
	return h
}

// EvidenceResult says what VerifyEvidence found.
type EvidenceResult struct {
	Valid        bool          `json:"valid"`
	KeyTrusted   bool          `json:"key_trusted"`
	PolicyMet    bool          `json:"policy_met,omitempty"`
	Steps        []Step        `json:"steps"`
	Key          string        `json:"key"`
	Origin       string        `json:"origin"`
	Size         int64         `json:"size"`
	Root         tlog.Hash     `json:"root"`
	First        int64         `json:"first"`
	Leaves       int64         `json:"leaves"`
	Records      int64         `json:"records"`
	Versions     int           `json:"versions"` // notice versions, each the one that its name says
	Cosignatures []Cosignature `json:"cosignatures,omitempty"`
	// Uncovered are the files for people of which it could not be told whether they
	// are as they were written: another version wrote them.
	Uncovered []string `json:"uncovered,omitempty"`
}

// Beside are the files for people that a program writes into its packs, by name.
// No log signs them, so a verifier holds them against its own copies: a page that
// was exchanged on the way could say "valid" of anything.
type Beside struct {
	Writer string // program and version, as the manifests of its packs name it
	Files  map[string][]byte
}

// StepBeside is the name of the step that holds the files for people against the
// verifier's own; where only it fails, the records themselves hold.
const StepBeside = "beside"

// IsArchive tells a ZIP archive by its first bytes.
func IsArchive(head []byte) bool { return bytes.HasPrefix(head, []byte("PK\x03\x04")) }

// VerifyEvidence checks an evidence pack offline: each record with its salt is the
// leaf that it says, without gaps; the leaves and the hashes beside them give
// the root that the checkpoint signs; each notice version that a record names
// is there and is the one of that name, and no other; the files for people are
// those of beside, if the pack is of the same writer. Without beside, or of
// another writer, they are Uncovered. Memory does not depend on the number
// of records. What cannot be read as such a pack is ErrUnreadable.
func VerifyEvidence(data io.ReaderAt, size int64, trustedKey string, policy *Policy, beside *Beside) (*EvidenceResult, error) {
	return VerifyEvidenceWith(data, size, Trust{Key: trustedKey, Policy: policy}, beside)
}

// VerifyEvidenceWith is VerifyEvidence with all that the caller relies on, as in
// VerifyWith.
func VerifyEvidenceWith(data io.ReaderAt, size int64, t Trust, beside *Beside) (*EvidenceResult, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(data, size)
	if err != nil {
		return nil, fmt.Errorf("%w: it is no ZIP archive", ErrUnreadable)
	}
	e := &evidence{files: map[string]*zip.File{}, versions: map[string]bool{}, result: new(EvidenceResult)}
	for _, f := range archive.File {
		if _, twice := e.files[f.Name]; twice {
			return nil, fmt.Errorf("%w: the archive holds %q twice", ErrUnreadable, f.Name)
		}
		e.files[f.Name] = f
	}
	text, err := e.read(EvidenceManifest, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e.manifest); err != nil || e.manifest.Type != EvidenceType {
		return nil, fmt.Errorf("%w: its manifest is not that of %s", ErrUnreadable, EvidenceType)
	}
	for _, step := range []func() (name, said string, err error){e.form, e.checkpoint, e.records, e.notices, func() (name, said string, err error) { return e.beside(beside) }} {
		name, said, err := step()
		if err != nil {
			e.say(name, false, "%s.", err)
			return e.result, nil
		}
		e.say(name, true, "%s", said)
	}
	e.trust(t)
	return e.result, nil
}

type evidence struct {
	files    map[string]*zip.File
	manifest Manifest
	head     Checkpoint
	versions map[string]bool // that records name
	result   *EvidenceResult
}

func (e *evidence) say(name string, ok bool, format string, args ...any) {
	e.result.Steps = append(e.result.Steps, Step{name, ok, fmt.Sprintf(format, args...)})
}

func (e *evidence) read(name string, limit int64) ([]byte, error) {
	f := e.files[name]
	if f == nil {
		return nil, fmt.Errorf("the archive holds no %s", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read", name)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil || int64(len(data)) > limit {
		return nil, fmt.Errorf("%s cannot be read, or is larger than it can be", name)
	}
	return data, nil
}

func (e *evidence) form() (name, said string, err error) {
	for file := range e.files {
		switch {
		case file == EvidenceManifest, file == EvidenceCheckpoint, file == EvidenceRecords, file == EvidenceReadme, file == EvidencePage, strings.HasPrefix(file, EvidenceNotices):
		default:
			return "form", "", fmt.Errorf("the archive holds %q, which is no part of an evidence pack", file)
		}
	}
	m := &e.manifest
	if m.First < 0 || m.Leaves < 1 || m.First > maxSize || m.Leaves > maxSize {
		return "form", "", errors.New("the manifest's numbers are impossible")
	}
	return "form", "The archive is an evidence pack, and holds nothing else.", nil
}

func (e *evidence) checkpoint() (name, said string, err error) {
	data, err := e.read(EvidenceCheckpoint, maxManifest)
	if err != nil {
		return "checkpoint", "", err
	}
	c, cosignatures, err := OpenCosigned(data, e.manifest.Key, e.manifest.Witnesses)
	if err != nil {
		return "checkpoint", "", fmt.Errorf("the checkpoint does not hold: %w", err)
	}
	if site := e.manifest.Site; site == "" || strings.Contains(site, "/") || !strings.HasSuffix(c.Origin, "/log/"+site) {
		return "checkpoint", "", fmt.Errorf("the pack is of the site %q and the log %s is of another", e.manifest.Site, c.Origin)
	}
	e.head = c
	r := e.result
	r.Key, r.Origin, r.Size, r.Root, r.Cosignatures = e.manifest.Key, c.Origin, c.Size, c.Root, cosignatures
	return "checkpoint", fmt.Sprintf("The checkpoint of the log %s, %s, root %s, is signed by the key%s.", c.Origin, entries(c.Size), c.Root, by(cosignatures)), nil
}

func (e *evidence) records() (name, said string, err error) {
	name = "records"
	m := &e.manifest
	left, right := Subtrees(0, m.First), Subtrees(m.First+m.Leaves, e.head.Size)
	if m.First+m.Leaves > e.head.Size || len(left) != len(m.Left) || len(right) != len(m.Right) {
		return name, "", errors.New("the hashes beside the records are not those that a tree of this size needs")
	}
	var edge rightEdge
	for i, at := range left {
		edge.push(at[0], m.Left[i])
	}
	if err := e.lines(&edge); err != nil {
		return name, "", err
	}
	for i, at := range right {
		edge.push(at[0], m.Right[i])
	}
	if edge.root() != e.head.Root {
		return name, "", errors.New("the records, with their salts, are not those of the checkpoint: one of them was changed, or a hash beside them")
	}
	r := e.result
	r.First, r.Leaves, r.Records = m.First, m.Leaves, m.Records
	return name, fmt.Sprintf("From index %d on, %s: those of the log, and none is missing between them. Records: %d. Erased, or about an erasure: %d.", m.First, entries(m.Leaves), m.Records, m.Leaves-m.Records), nil
}

// lines reads records.ndjson: {"index":…,"record":{…},"salt":"…"} as the export
// has it, or {"commitment":"…","index":…} where there is no record.
func (e *evidence) lines(edge *rightEdge) error {
	f := e.files[EvidenceRecords]
	if f == nil {
		return errors.New("the archive holds no " + EvidenceRecords)
	}
	r, err := f.Open()
	if err != nil {
		return errors.New(EvidenceRecords + " cannot be read")
	}
	defer r.Close()
	in := bufio.NewReaderSize(r, maxLine)
	var record Record
	index, records, last := e.manifest.First, int64(0), e.manifest.First+e.manifest.Leaves
	for ; index < last; index++ {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("%s ends before index %d, or a line is too long", EvidenceRecords, index)
		}
		leaf, version, err := evidenceLine(line, index, e.manifest.Site, &record)
		if err != nil {
			return fmt.Errorf("the line of index %d is not valid: %w", index, err)
		}
		if version != "" {
			records++
			if !e.versions[version] {
				e.versions[strings.Clone(version)] = true
			}
		}
		edge.push(0, leaf)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) || records != e.manifest.Records {
		return errors.New("there are not as many records as the manifest says")
	}
	return nil
}

// evidenceLine reads a line and returns its leaf, and the record's notice version.
func evidenceLine(line []byte, index int64, site string, record *Record) (leaf tlog.Hash, version string, err error) {
	errLine := errors.New("it is not written as an evidence pack has it")
	before := fmt.Appendf(nil, `{"index":%d,"record":`, index)
	rest, found := bytes.CutPrefix(line, before)
	if !found {
		encoded := bytes.TrimSuffix(bytes.TrimPrefix(line, []byte(`{"commitment":"`)), fmt.Appendf(nil, `","index":%d}`+"\n", index))
		commitment, err := base64.StdEncoding.Strict().DecodeString(string(encoded))
		if err != nil || len(commitment) != sha256.Size {
			return leaf, "", errLine
		}
		return tlog.RecordHash(commitment), "", nil
	}
	at := bytes.LastIndex(rest, []byte(`,"salt":"`))
	if at < 0 || !bytes.HasSuffix(rest, []byte("\"}\n")) {
		return leaf, "", errLine
	}
	salt, err := base64.StdEncoding.Strict().DecodeString(string(rest[at+len(`,"salt":"`) : len(rest)-3]))
	if err != nil || len(salt) != SaltSize {
		return leaf, "", errLine
	}
	if err := record.Parse(rest[:at]); err != nil {
		return leaf, "", err
	}
	if record.Site != site {
		return leaf, "", errors.New("it is of another site")
	}
	commitment := Commit(salt, rest[:at])
	return tlog.RecordHash(commitment[:]), record.Version, nil
}

func (e *evidence) notices() (name, said string, err error) {
	name = "notices"
	for file := range e.files {
		version, ok := strings.CutPrefix(file, EvidenceNotices)
		if !ok {
			continue
		}
		version, ok = strings.CutSuffix(version, ".json")
		content, err := e.read(file, maxNotice)
		if err != nil {
			return name, "", err
		}
		if sum := sha256.Sum256(content); !ok || hex.EncodeToString(sum[:]) != version {
			return name, "", fmt.Errorf("%s is not the notice version of that name", file)
		}
		if !e.versions[version] {
			return name, "", fmt.Errorf("%s is a notice version that no record names", file)
		}
		e.result.Versions++
	}
	for version := range e.versions {
		if e.files[EvidenceNotices+version+".json"] == nil {
			return name, "", fmt.Errorf("the notice version %s, which a record names, is not there", version)
		}
	}
	return name, fmt.Sprintf("The notice versions are those that the records name, as they were shown: %d.", len(e.versions)), nil
}

// beside holds the files for people against the verifier's own.
func (e *evidence) beside(own *Beside) (name, said string, err error) {
	name = StepBeside
	var there []string
	for _, file := range []string{EvidenceReadme, EvidencePage} {
		if e.files[file] != nil {
			there = append(there, file)
		}
	}
	list := strings.Join(there, " and ")
	switch {
	case len(there) == 0:
		return name, "There is no file for people in it.", nil
	case own == nil || e.manifest.Writer != own.Writer:
		e.result.Uncovered = there
		return name, fmt.Sprintf("Not compared: %s, which no signature covers. The pack says that %s wrote it. Rely on neither text nor page unless you know where they are from.", list, cmp.Or(e.manifest.Writer, "another version")), nil
	}
	for _, file := range there {
		data, err := e.read(file, maxNotice)
		if err != nil {
			return name, "", err
		}
		if !bytes.Equal(data, own.Files[file]) {
			return name, "", fmt.Errorf("%s is not the one that %s ships: it was altered; do not open it", file, own.Writer)
		}
	}
	return name, fmt.Sprintf("%s, which no signature covers: the same that %s ships.", list, own.Writer), nil
}

// trust holds the key and the cosignatures against what the caller trusts.
func (e *evidence) trust(t Trust) {
	r := e.result
	listed, met, sentence := false, false, ""
	if t.Policy != nil {
		listed, met, sentence = t.Policy.judge(r.Key, r.Cosignatures)
	}
	if ok, why := t.judge("pack", r.Key, Checkpoint{Origin: r.Origin, Size: r.Size, Root: r.Root}, met); why != "" {
		e.say("trust", ok, "%s", why)
		if r.KeyTrusted = ok; !ok {
			return
		}
	}
	if t.Policy != nil {
		e.say("policy", met, "%s", sentence)
		if r.PolicyMet = met; !met {
			return
		}
		r.KeyTrusted = r.KeyTrusted || listed
	}
	r.Valid = true
}
