package receipt

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/tlog"
)

// Type names the format of a receipt whose checkpoint only the log signed.
const Type = "assent/receipt/v1"

// TypeCosigned names the format of a receipt whose checkpoint witnesses
// cosigned. It has one more member, witnesses.
const TypeCosigned = "assent/receipt/v2"

// maxWitnesses bounds how many cosignatures a receipt may carry.
const maxWitnesses = 64

// SaltSize is the length of a record's salt in bytes.
const SaltSize = 32

// maxReceipt bounds what Verify reads, in bytes.
const maxReceipt = 1 << 20

// ErrUnreadable means that the input is no receipt at all: not JSON, larger than
// 1 MiB, or JSON of another type. The error that wraps it says which.
var ErrUnreadable = errors.New("this is not a receipt")

// ErrTrustedKey means that the key which Verify was told to trust is no note
// verifier key, so nothing could be checked against it.
var ErrTrustedKey = errors.New("the key to trust cannot be read; it looks like consent.shop.example/log/KEY+1a2b3c4d+AbCd…")

// Commit is what a log holds of a record: HMAC-SHA256 with the salt as the key
// over the record's canonical JSON. Without the salt it tells nothing about
// the record; its leaf hash is tlog.RecordHash of these 32 bytes.
func Commit(salt, record []byte) [32]byte {
	if len(salt) > sha256.BlockSize {
		sum := sha256.Sum256(salt)
		salt = sum[:]
	}
	// crypto/hmac prepares a key for being used again, which costs as much as hashing
	// a record; here every key is used once (RFC 2104).
	h := hashes.Get().(*hashing)
	defer hashes.Put(h)
	h.padded(0x36, salt, record, h.inner[:0])
	h.padded(0x5c, salt, h.inner[:], h.outer[:0])
	return h.outer
}

// hashing is what Commit needs, and does not allocate again.
type hashing struct {
	hash.Hash
	block        [sha256.BlockSize]byte
	inner, outer [sha256.Size]byte
}

var hashes = sync.Pool{New: func() any { return &hashing{Hash: sha256.New()} }}

// padded appends to sum the hash of the key, filled up to a block and changed by pad,
// and a text.
func (h *hashing) padded(pad byte, key, text, sum []byte) {
	for i := range h.block {
		h.block[i] = pad
	}
	for i, b := range key {
		h.block[i] ^= b
	}
	h.Reset()
	h.Write(h.block[:])
	h.Write(text)
	h.Sum(sum)
}

// Receipt is what proves that a record is in a site's register. As JSON it has
// the members key, proof, record, salt and type, in canonical form (RFC 8785)
// and without a final newline. Every one of them is authenticated: the record
// and the salt by the leaf, the proof by the root, the checkpoint by the
// signature, and the key by being the key of that signature. One whose checkpoint
// witnesses cosigned has the member witnesses at the end, their verifier keys in
// the order of their signatures, and each of those signatures is checked.
type Receipt struct {
	Key        string           // note verifier key, named like the log's origin
	Index      int64            // of the leaf
	Proof      tlog.RecordProof // of the leaf in the checkpoint's tree
	Checkpoint []byte           // signed (C2SP tlog-checkpoint)
	Record     []byte           // Record.Canonical()
	Salt       []byte           // SaltSize bytes
	Witnesses  []string         // verifier keys of those who cosigned the checkpoint, in the order of their signatures
}

// Marshal writes the receipt. It does not verify it.
func (r *Receipt) Marshal() []byte {
	dst := appendMember(make([]byte, 0, 2048), `{"key":`, r.Key)
	dst = appendMember(dst, `,"proof":`, string(r.proof()))
	dst = append(append(dst, `,"record":`...), r.Record...)
	dst = appendMember(dst, `,"salt":`, base64.StdEncoding.EncodeToString(r.Salt))
	if len(r.Witnesses) == 0 {
		return append(appendMember(dst, `,"type":`, Type), '}')
	}
	dst = appendMember(dst, `,"type":`, TypeCosigned)
	for i, w := range r.Witnesses {
		before := ","
		if i == 0 {
			before = `,"witnesses":[`
		}
		dst = appendMember(dst, before, w)
	}
	return append(dst, "]}"...)
}

func (r *Receipt) proof() []byte {
	p := proof.TLogProof{Index: uint64(r.Index), Checkpoint: r.Checkpoint}
	for _, h := range r.Proof {
		p.Hashes = append(p.Hashes, h)
	}
	return p.Marshal()
}

// Step is one thing that Verify checked.
type Step struct {
	Name   string `json:"name"`   // form, key, checkpoint, site, inclusion, trust or policy
	OK     bool   `json:"ok"`     // the step succeeded
	Detail string `json:"detail"` // a sentence for people
}

// Result says what Verify found. Fields beyond the first failed step are empty.
type Result struct {
	Valid      bool      `json:"valid"`       // every step succeeded
	KeyTrusted bool      `json:"key_trusted"` // checked against the key that the caller named
	Steps      []Step    `json:"steps"`       // in order; the last one failed unless Valid
	Key        string    `json:"key"`         // note verifier key that signed the checkpoint
	Origin     string    `json:"origin"`      // name of the log
	Index      int64     `json:"index"`       // of the record's leaf
	Size       int64     `json:"size"`        // entries in the log at the checkpoint
	Root       tlog.Hash `json:"root"`        // of the tree at the checkpoint
	Record     *Record   `json:"record"`
	RecordJSON []byte    `json:"-"` // the record as it was committed to

	Cosignatures []Cosignature `json:"cosignatures,omitempty"` // of the checkpoint; each was checked against the key that it names
	PolicyMet    bool          `json:"policy_met,omitempty"`   // those that the caller's policy asks for are among them
}

// Failure is the sentence of the step that failed, "" for a valid receipt.
func (r *Result) Failure() string {
	for _, s := range r.Steps {
		if !s.OK {
			return s.Detail
		}
	}
	return ""
}

func (r *Result) passed(name, format string, args ...any) {
	r.Steps = append(r.Steps, Step{name, true, fmt.Sprintf(format, args...)})
}

func (r *Result) fail(name, format string, args ...any) (*Result, error) {
	r.Steps = append(r.Steps, Step{name, false, fmt.Sprintf(format, args...)})
	return r, nil
}

// Verify checks a receipt offline, and strictly: a receipt of which any byte
// was changed is not valid. An input that is no receipt at all is
// ErrUnreadable; everything else is told step by step in the Result.
//
// trustedKey is a note verifier key, or "". With one, the checkpoint must be
// signed by the same algorithm and public key. The key's name is not compared,
// because an installation has one key for all of its sites: who trusts it
// trusts it for each log that it names, and the log's name is itself signed.
// Without one, a valid receipt shows only that the holder of Result.Key made
// it; whether to trust that key is the reader's decision.
func Verify(data []byte, trustedKey string) (*Result, error) {
	return VerifyPolicy(data, trustedKey, nil)
}

// VerifyPolicy is Verify, and demands that the checkpoint meets a policy too: it
// is signed by a log that the policy lists, if it lists any, and cosigned by
// witnesses as its quorum says. Nil demands nothing.
func VerifyPolicy(data []byte, trustedKey string, policy *Policy) (*Result, error) {
	return VerifyWith(data, Trust{Key: trustedKey, Policy: policy})
}

// VerifyWith is Verify with all that the caller relies on. With a history a receipt
// under a former or a later key than the trusted one is valid, too, as far as the
// rotations between them say so; one under a key that was replaced or stolen is not
// where the log never signed it, or anybody could have.
func VerifyWith(data []byte, t Trust) (*Result, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if err := readable(data); err != nil {
		return nil, err
	}
	r := new(Result)
	rec, err := parse(data)
	if err != nil {
		return r.fail("form", "The form is wrong: %s.", err)
	}
	r.Record, r.RecordJSON = rec.record, rec.Record
	r.passed("form", "The receipt is in its one permitted form: nothing unknown, repeated, reordered or loosely written.")

	if _, err := parseKey(rec.Key); err != nil {
		return r.fail("key", "The receipt's key is wrong: %s.", err)
	}
	r.Key = rec.Key
	r.passed("key", "The key is a well-formed Ed25519 key.")

	c, cosignatures, err := OpenCosigned(rec.Checkpoint, rec.Key, rec.Witnesses)
	if err != nil {
		return r.fail("checkpoint", "The checkpoint does not hold: %s.", err)
	}
	r.Origin, r.Size, r.Root, r.Cosignatures = c.Origin, c.Size, c.Root, cosignatures
	r.passed("checkpoint", "The checkpoint of the log %s, %s, root %s, is signed by the key%s.", c.Origin, entries(c.Size), c.Root, by(cosignatures))

	if site := rec.record.Site; site == "" || strings.Contains(site, "/") || !strings.HasSuffix(c.Origin, "/log/"+site) {
		return r.fail("site", "The record is of the site %q and the log %s is of another.", site, c.Origin)
	}
	r.passed("site", "The log is that of the record's site, %s.", rec.record.Site)

	commitment := Commit(rec.Salt, rec.Record)
	if err := tlog.CheckRecord(rec.Proof, c.Size, c.Root, rec.Index, tlog.RecordHash(commitment[:])); err != nil {
		return r.fail("inclusion", "The record, with this salt, is not entry %d of that log: it or the proof was changed.", rec.Index)
	}
	r.Index = rec.Index
	r.passed("inclusion", "The record, with its salt, is entry %d of that log.", rec.Index)

	listed, met, sentence := false, false, ""
	if t.Policy != nil {
		listed, met, sentence = t.Policy.judge(rec.Key, cosignatures)
	}
	if ok, why := t.judge("receipt", rec.Key, c, met); !ok {
		return r.fail("trust", "%s", why)
	} else if why != "" {
		r.KeyTrusted = true
		r.passed("trust", "%s", why)
	}
	if t.Policy != nil {
		if !met {
			return r.fail("policy", "%s", sentence)
		}
		r.KeyTrusted = r.KeyTrusted || listed
		r.PolicyMet = true
		r.passed("policy", "%s", sentence)
	}
	r.Valid = true
	return r, nil
}

// by names those who cosigned, for a sentence.
func by(list []Cosignature) string {
	if len(list) == 0 {
		return ""
	}
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Name
	}
	return ", and cosigned by " + strings.Join(names, ", ")
}

// readable tells a receipt, however damaged, from everything else.
func readable(data []byte) error {
	if len(data) > maxReceipt {
		return fmt.Errorf("%w: it is larger than 1 MiB", ErrUnreadable)
	}
	var header struct {
		Type string `json:"type"`
	}
	if !json.Valid(data) {
		return fmt.Errorf("%w: it is not JSON", ErrUnreadable)
	}
	if err := json.Unmarshal(data, &header); err != nil || header.Type != Type && header.Type != TypeCosigned {
		return fmt.Errorf("%w: its type is neither %s nor %s", ErrUnreadable, Type, TypeCosigned)
	}
	return nil
}

type parsed struct {
	Receipt
	record *Record
}

// parse reads the one permitted form of a receipt. What was understood is
// written again at the end and must give the same bytes.
func parse(data []byte) (*parsed, error) {
	errForm := errors.New("the receipt is not canonical JSON (RFC 8785) with exactly the members key, proof, record, salt and type, and witnesses where there are some; it was changed, reformatted or cut")
	s := scanner{text: string(data)}
	p := new(parsed)
	p.Key = s.member(`{"key":`)
	text := s.member(`,"proof":`)
	s.expect(`,"record":`)
	from := s.at
	p.record = new(Record)
	s.record(p.record)
	p.Record = data[from:s.at]
	salt := s.member(`,"salt":`)
	switch s.member(`,"type":`) {
	case Type:
	case TypeCosigned:
		s.expect(`,"witnesses":[`)
		for !s.failed && len(p.Witnesses) < maxWitnesses {
			p.Witnesses = append(p.Witnesses, s.string())
			if !s.accept(",") {
				break
			}
		}
		s.expect("]")
	default:
		s.failed = true
	}
	s.expect("}")
	if s.failed || s.at != len(data) || p.record.Type != RecordType {
		return nil, errForm
	}
	var err error
	if p.Salt, err = base64.StdEncoding.Strict().DecodeString(salt); err != nil || len(p.Salt) != SaltSize {
		return nil, fmt.Errorf("the salt is not %d bytes in base64", SaltSize)
	}
	var tp proof.TLogProof
	if err := tp.Unmarshal([]byte(text)); err != nil || tp.Index > maxSize || len(tp.Hashes) > 64 {
		return nil, errors.New("the proof is not a C2SP tlog-proof")
	}
	p.Index, p.Checkpoint = int64(tp.Index), tp.Checkpoint
	for _, h := range tp.Hashes {
		p.Proof = append(p.Proof, h)
	}
	if string(p.proof()) != text {
		return nil, errors.New("the proof holds more than a C2SP tlog-proof needs, or is loosely written")
	}
	if string(p.Marshal()) != string(data) {
		return nil, errForm
	}
	return p, nil
}

// entries writes a number of entries in words.
func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
