package receipt

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	tlogfmt "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// HistoryType names the format of a key history.
const HistoryType = "assent/key-history/v1"

// rotationLine is the first extension line of a rotation.
const rotationLine = "assent key-rotation v1"

// Reasons of a rotation, as its note has them.
const (
	planned = "planned"
	stolen  = "stolen"
)

// maxRotations bounds how many rotations a history may have.
const maxRotations = 1000

// Rotation is the statement by which a log goes on under another key, and so under
// another name: a key is a part of what a log is known by (C2SP tlog-checkpoint,
// tlog-witness). It is the first checkpoint under the new name, with extension lines
// that name both keys, and both keys sign it: the old one says what follows it, the
// new one what it takes over.
type Rotation struct {
	Old         string    `json:"old"`  // note verifier key: former name of the log, former key
	New         string    `json:"new"`  // its name and key from then on
	Size        int64     `json:"size"` // leaves that the new name takes over; the old name signs no larger tree
	Root        tlog.Hash `json:"root"` // of their tree, which is the same under both names
	Time        time.Time `json:"time"` // UTC, to the second
	Compromised bool      `json:"compromised,omitempty"`
}

func (r *Rotation) text() string {
	reason := planned
	if r.Compromised {
		reason = stolen
	}
	name, _, _ := strings.Cut(r.New, "+")
	return Checkpoint{Origin: name, Size: r.Size, Root: r.Root}.text() +
		strings.Join([]string{rotationLine, r.Old, r.New, r.Time.UTC().Format(time.RFC3339), reason}, "\n") + "\n"
}

// Sign writes the rotation as a signed note. Both keys have to be those that Old and
// New name.
func (r *Rotation) Sign(old, next ed25519.PrivateKey) ([]byte, error) {
	var signers []note.Signer
	for _, s := range []struct {
		vkey string
		key  ed25519.PrivateKey
	}{{r.New, next}, {r.Old, old}} {
		name, _, _ := strings.Cut(s.vkey, "+")
		if vkey, err := VerifierKey(name, s.key.Public().(ed25519.PublicKey)); err != nil || vkey != s.vkey {
			return nil, errors.Join(err, fmt.Errorf("the key is not that of %s", s.vkey))
		}
		verifier, err := note.NewVerifier(s.vkey)
		if err != nil {
			return nil, err
		}
		signers = append(signers, &noteSigner{name, verifier.KeyHash(), s.key})
	}
	return note.Sign(&note.Note{Text: r.text()}, signers...)
}

// OpenRotation reads a rotation in its one permitted form, and checks both
// signatures. That the old key signed it tells nothing where that was stolen, which
// Compromised says.
func OpenRotation(data []byte) (*Rotation, error) {
	errForm := errors.New("it is not a rotation: a checkpoint with the lines of " + rotationLine + ", signed by the new key and the old one")
	var parsed tlogfmt.Checkpoint
	rest, err := parsed.Unmarshal(data)
	if err != nil || len(parsed.Hash) != tlog.HashSize || parsed.Size > maxSize {
		return nil, errForm
	}
	lines := strings.SplitN(string(rest), "\n", 7)
	if len(lines) != 7 || lines[0] != rotationLine || lines[5] != "" || lines[4] != planned && lines[4] != stolen {
		return nil, errForm
	}
	r := &Rotation{Old: lines[1], New: lines[2], Size: int64(parsed.Size), Root: tlog.Hash(parsed.Hash), Compromised: lines[4] == stolen}
	if r.Time, err = time.Parse(time.RFC3339, lines[3]); err != nil {
		return nil, errForm
	}
	r.Time = r.Time.UTC()
	var verifiers []note.Verifier
	for _, vkey := range []string{r.New, r.Old} {
		if _, err := parseKey(vkey); err != nil {
			return nil, err
		}
		v, err := note.NewVerifier(vkey)
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, v)
	}
	if r.site() == "" || r.Old == r.New || verifiers[0].Name() != parsed.Origin || !strings.HasSuffix(verifiers[1].Name(), "/log/"+r.site()) {
		return nil, errors.New("the rotation's keys are not those of one log")
	}
	opened, err := note.Open(data, note.VerifierList(verifiers...))
	if err != nil || len(opened.Sigs) != 2 || len(opened.UnverifiedSigs) != 0 || opened.Text != r.text() {
		return nil, errors.New("the rotation is not signed by the new key and the old one over these values")
	}
	again := opened.Text + "\n"
	for i, s := range opened.Sigs {
		if s.Hash != verifiers[i].KeyHash() {
			return nil, errForm
		}
		again += "— " + s.Name + " " + s.Base64 + "\n"
	}
	if again != string(data) {
		return nil, errForm
	}
	return r, nil
}

// site is the key of the site whose log it is.
func (r *Rotation) site() string {
	name, _, _ := strings.Cut(r.New, "+")
	if at := strings.LastIndex(name, "/log/"); at >= 0 {
		return name[at+len("/log/"):]
	}
	return ""
}

// History is the rotations of one log, the oldest first.
type History struct{ Rotations []*Rotation }

// historyJSON has its members in canonical order.
type historyJSON struct {
	Rotations []string `json:"rotations"`
	Type      string   `json:"type"`
}

// MarshalHistory writes a key history of rotations as Sign wrote them.
func MarshalHistory(notes []string) []byte {
	dst := []byte(`{"rotations":[`)
	for i, n := range notes {
		before := ","
		if i == 0 {
			before = ""
		}
		dst = appendMember(dst, before, n)
	}
	return append(appendMember(dst, `],"type":`, HistoryType), '}')
}

// IsHistory tells a key history, however damaged, from everything else.
func IsHistory(data []byte) bool {
	var header struct {
		Type string `json:"type"`
	}
	return len(data) <= maxReceipt && json.Unmarshal(data, &header) == nil && header.Type == HistoryType
}

// ParseHistory reads a key history and checks every signature in it, and that each
// rotation goes on with the key to which the one before it went.
func ParseHistory(data []byte) (*History, error) {
	if !IsHistory(data) {
		return nil, errors.New("this is not a key history of at most 1 MiB (assent key history prints one)")
	}
	var text historyJSON
	if err := strict(data, &text); err != nil {
		return nil, fmt.Errorf("the key history cannot be read: %w", err)
	}
	if len(text.Rotations) > maxRotations || string(MarshalHistory(text.Rotations)) != string(data) {
		return nil, errors.New("the key history is not canonical JSON (RFC 8785) with exactly the members rotations and type; it was changed, reformatted or cut")
	}
	h := new(History)
	for i, n := range text.Rotations {
		r, err := OpenRotation([]byte(n))
		if err != nil {
			return nil, fmt.Errorf("rotation %d of the key history: %w", i+1, err)
		}
		if i > 0 {
			before := h.Rotations[i-1]
			if !samePublic(before.New, r.Old) || before.site() != r.site() {
				return nil, fmt.Errorf("rotation %d of the key history does not go on where the one before it ended", i+1)
			}
		}
		h.Rotations = append(h.Rotations, r)
	}
	return h, nil
}

// samePublic tells whether two verifier keys have one public key, whatever their names.
func samePublic(a, b string) bool {
	one, err := parseKey(a)
	if err != nil {
		return false
	}
	other, err := parseKey(b)
	return err == nil && string(one) == string(other)
}

// RenamedKey is the verifier key of the same public key under another log's name.
func RenamedKey(origin, vkey string) (string, error) {
	pub, err := parseKey(vkey)
	if err != nil {
		return "", err
	}
	return VerifierKey(origin, pub)
}

// at is the number of a public key in the history: 0 for the oldest, -1 when it is
// not there.
func (h *History) at(vkey string) int {
	for i, r := range h.Rotations {
		if samePublic(r.Old, vkey) {
			return i
		}
	}
	if n := len(h.Rotations); n > 0 && samePublic(h.Rotations[n-1].New, vkey) {
		return n
	}
	return -1
}

// Way is the rotations by which the log of a key went on, and the newest key: the key
// itself where the history tells of none. Whether to follow one that says that a key
// was stolen is the caller's decision.
func (h *History) Way(vkey string) (way []*Rotation, newest string) {
	at := h.at(vkey)
	if at < 0 || at == len(h.Rotations) {
		return nil, vkey
	}
	way = h.Rotations[at:]
	return way, way[len(way)-1].New
}

func thief(r *Rotation) string {
	return fmt.Sprintf("The key history says that the key before %s was stolen, so its signature introduces no other key. Find out the new key by another way, and name that with --key", r.Time.Format(time.DateOnly))
}

// judge tells whether a file (of a kind: receipt, pack, certificate) whose checkpoint
// the key vkey signed may be relied upon by who trusts the key trusted, by the
// history, in a sentence. It is called on a nil history, too.
func (h *History) judge(kind, trusted, vkey string, c Checkpoint, policyMet bool) (ok bool, sentence string) {
	if h == nil {
		if !samePublic(trusted, vkey) {
			return false, "The " + kind + " was signed by another key than the one that you trust."
		}
		return true, "The key is the one that you trust."
	}
	site := ""
	if len(h.Rotations) > 0 {
		site = h.Rotations[0].site()
	}
	if site != "" && !strings.HasSuffix(c.Origin, "/log/"+site) {
		return false, "The key history is that of another register."
	}
	from, to := h.at(trusted), h.at(vkey)
	same := samePublic(trusted, vkey)
	switch {
	case !same && (from < 0 || to < 0):
		return false, "The " + kind + " was signed by another key than the one that you trust, and the key history does not lead from one to the other."
	case same && to < 0:
		return true, "The key is the one that you trust."
	}
	for _, r := range h.Rotations[min(from, to):max(from, to)] {
		if to > from && r.Compromised {
			return false, thief(r) + "."
		}
	}
	if to < len(h.Rotations) { // it was replaced
		r := h.Rotations[to]
		if name, _, _ := strings.Cut(r.Old, "+"); name == c.Origin && c.Size > r.Size {
			return false, fmt.Sprintf("The %s's key was replaced when the register had %d records, and this checkpoint tells of %d: the register never signed it.", kind, r.Size, c.Size)
		}
		if r.Compromised && !policyMet {
			return false, "The " + kind + "'s key was stolen, as the key history says: whoever has it can make such a file. Only a checkpoint that witnesses cosigned can be relied upon; name those whom you trust with --policy."
		}
	}
	switch {
	case same:
		return true, "The key is the one that you trust."
	case to > from:
		return true, "The key follows the one that you trust, as the key history says, signed by both."
	}
	return true, "The key went before the one that you trust, as the key history says, signed by both."
}

// Trust is what whoever checks a file relies on.
type Trust struct {
	Key     string   // note verifier key; "": none, and then it is the reader's decision whether to trust that of the file
	Policy  *Policy  // logs, and witnesses whose cosignatures are demanded; nil demands nothing
	History *History // how the log's key changed (ParseHistory); nil: not known
}

// check tells whether the key can be read.
func (t Trust) check() error {
	if t.Key == "" {
		return nil
	}
	if _, err := parseKey(t.Key); err != nil {
		return fmt.Errorf("%w: %w", ErrTrustedKey, err)
	}
	return nil
}

// judge is History.judge for the key that is trusted, or that of the file itself
// where none is named: then nothing is said unless the history speaks against it.
func (t Trust) judge(kind, vkey string, c Checkpoint, policyMet bool) (ok bool, sentence string) {
	if t.Key != "" {
		return t.History.judge(kind, t.Key, vkey, c, policyMet)
	}
	if ok, sentence = t.History.judge(kind, vkey, vkey, c, policyMet); ok {
		return true, ""
	}
	return false, sentence
}
