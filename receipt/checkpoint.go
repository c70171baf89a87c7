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
	c, _, err := OpenCosigned(data, vkey, nil)
	return c, err
}

// parseCheckpoint reads the one permitted form, by writing what was understood
// again and comparing: the log's signature, and after it those of so many
// witnesses. No signature is checked.
func parseCheckpoint(data []byte, witnesses int) (Checkpoint, error) {
	errForm := errors.New("the checkpoint is not a signed note of three lines and one signature for the log and each witness (C2SP tlog-checkpoint)")
	var parsed tlogfmt.Checkpoint
	rest, err := parsed.Unmarshal(data)
	if err != nil || len(parsed.Hash) != tlog.HashSize || parsed.Size > maxSize {
		return Checkpoint{}, errForm
	}
	c := Checkpoint{Origin: parsed.Origin, Size: int64(parsed.Size), Root: tlog.Hash(parsed.Hash)}
	lines, found := strings.CutPrefix(string(rest), "\n")
	if !found {
		return Checkpoint{}, errForm
	}
	again := c.text() + "\n"
	for i := range 1 + witnesses {
		line, more, ended := strings.Cut(lines, "\n")
		lines = more
		signer, found := strings.CutPrefix(line, "— ")
		name, encoded, ok := strings.Cut(signer, " ")
		size := 4 + ed25519.SignatureSize
		if i > 0 {
			size += timestampSize
		}
		sig, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if !ended || !found || !ok || err != nil || len(sig) != size || i == 0 && name != c.Origin {
			return Checkpoint{}, errForm
		}
		again += "— " + name + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
	}
	if lines != "" || again != string(data) {
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
