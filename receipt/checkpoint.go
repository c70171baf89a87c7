package receipt

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	tlogfmt "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxSize bounds tree sizes: what every JSON reader holds exactly, and far from
// where the arithmetic of tree positions would overflow.
const maxSize = 1 << 53

// algEd25519 is the algorithm byte of a plain Ed25519 key (C2SP signed-note).
const algEd25519 = 1

// Checkpoint is a log's signed statement of its size and root (C2SP
// tlog-checkpoint).
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

// Sign returns the checkpoint as a signed note with one Ed25519 signature whose
// key name is the origin.
func (c Checkpoint) Sign(key ed25519.PrivateKey) ([]byte, error) {
	return signNote(c.text(), c.Origin, key)
}

func signNote(text, name string, key ed25519.PrivateKey) ([]byte, error) {
	vkey, err := VerifierKey(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: text}, &noteSigner{name, verifier.KeyHash(), key})
}

func (c Checkpoint) text() string {
	return string(tlogfmt.Checkpoint{Origin: c.Origin, Size: uint64(c.Size), Hash: c.Root[:]}.Marshal())
}

// OpenCheckpoint reads a checkpoint and checks its signature against vkey, whose
// name must be the checkpoint's origin. It is stricter than the format: no
// extension lines, exactly one signature, every value in its one canonical
// form, so that no byte can change unnoticed.
func OpenCheckpoint(data []byte, vkey string) (Checkpoint, error) {
	if _, err := parseKey(vkey); err != nil {
		return Checkpoint{}, err
	}
	c, err := parseCheckpoint(data)
	if err != nil {
		return Checkpoint{}, err
	}
	if name, _, _ := strings.Cut(vkey, "+"); name != c.Origin {
		return Checkpoint{}, fmt.Errorf("the key is named %q and the checkpoint is of the log %q", name, c.Origin)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return Checkpoint{}, err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil || len(opened.Sigs) != 1 || len(opened.UnverifiedSigs) != 0 || opened.Text != c.text() {
		return Checkpoint{}, errors.New("the checkpoint's signature is not by this key over these values")
	}
	return c, nil
}

// parseCheckpoint reads the one permitted form, by writing what was understood
// again and comparing. The signature is not checked.
func parseCheckpoint(data []byte) (Checkpoint, error) {
	errForm := errors.New("the checkpoint is not a signed note of three lines and one signature (C2SP tlog-checkpoint)")
	var parsed tlogfmt.Checkpoint
	rest, err := parsed.Unmarshal(data)
	if err != nil || len(parsed.Hash) != tlog.HashSize || parsed.Size > maxSize {
		return Checkpoint{}, errForm
	}
	c := Checkpoint{Origin: parsed.Origin, Size: int64(parsed.Size), Root: tlog.Hash(parsed.Hash)}
	line, found := strings.CutPrefix(string(rest), "\n— "+c.Origin+" ")
	if !found {
		return Checkpoint{}, errForm
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(line, "\n"))
	if err != nil || len(sig) != 4+ed25519.SignatureSize {
		return Checkpoint{}, errForm
	}
	again := c.text() + "\n— " + c.Origin + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
	if again != string(data) {
		return Checkpoint{}, errForm
	}
	return c, nil
}

// VerifierKey writes a public key as a note verifier key (C2SP signed-note).
func VerifierKey(origin string, pub ed25519.PublicKey) (string, error) {
	vkey, err := note.NewEd25519VerifierKey(origin, pub)
	if err != nil {
		return "", err
	}
	if _, err := note.NewVerifier(vkey); err != nil {
		return "", fmt.Errorf("the log's origin %q may hold no space and no plus sign", origin)
	}
	return vkey, nil
}

// parseKey returns the public key of a verifier key in its one canonical form.
func parseKey(vkey string) (ed25519.PublicKey, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, encoded, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algEd25519 {
		return nil, errors.New("the key is not an Ed25519 note verifier key (name+hash+base64)")
	}
	pub := ed25519.PublicKey(raw[1:])
	if again, err := VerifierKey(name, pub); err != nil || again != vkey {
		return nil, errors.New("the key's hash does not belong to its name and value, or it is loosely written")
	}
	return pub, nil
}

// noteSigner lets note.Sign use an installation's key under a log's name.
type noteSigner struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

func (s *noteSigner) Name() string    { return s.name }
func (s *noteSigner) KeyHash() uint32 { return s.hash }
func (s *noteSigner) Sign(msg []byte) ([]byte, error) {
	return ed25519.Sign(s.key, msg), nil
}
