package receipt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// algCosignature is the algorithm byte of an Ed25519 cosigner (C2SP
// tlog-cosignature, cosignature/v1).
const algCosignature = 4

// timestampSize is what precedes the Ed25519 signature in a cosignature, in bytes.
const timestampSize = 8

// Cosignature says that a witness saw a checkpoint, and never one that
// contradicts it (C2SP tlog-cosignature).
type Cosignature struct {
	Witness string    `json:"witness"` // verifier key
	Name    string    `json:"name"`    // of that key
	Time    time.Time `json:"time"`    // when the witness signed, by its own clock; UTC, to the second
}

// WitnessKey writes a witness's public key as a verifier key: signature type
// 0x04, so that nobody can take a cosignature for a checkpoint of a log.
func WitnessKey(name string, pub ed25519.PublicKey) (string, error) {
	if name == "" || !utf8.ValidString(name) || strings.Contains(name, "+") || strings.IndexFunc(name, unicode.IsSpace) >= 0 {
		return "", fmt.Errorf("a witness's name may hold no space and no plus sign, and %q does", name)
	}
	if len(pub) != ed25519.PublicKeySize {
		return "", errors.New("an Ed25519 public key has 32 bytes")
	}
	raw := append([]byte{algCosignature}, pub...)
	return fmt.Sprintf("%s+%08x+%s", name, keyID(name, raw), base64.StdEncoding.EncodeToString(raw)), nil
}

func keyID(name string, raw []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), raw...))
	return binary.BigEndian.Uint32(sum[:])
}

// NewWitnessVerifier returns what verifies the cosignatures of a witness. Its
// verifier key has signature type 0x04 and is written in its one canonical form.
func NewWitnessVerifier(vkey string) (note.Verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, encoded, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algCosignature {
		return nil, errors.New("the key is not that of an Ed25519 witness (name+hash+base64, signature type 4)")
	}
	v := &witnessVerifier{name, keyID(name, raw), ed25519.PublicKey(raw[1:])}
	if again, err := WitnessKey(name, v.pub); err != nil || again != vkey {
		return nil, errors.New("the witness key's hash does not belong to its name and value, or it is loosely written")
	}
	return v, nil
}

type witnessVerifier struct {
	name string
	hash uint32
	pub  ed25519.PublicKey
}

func (v *witnessVerifier) Name() string    { return v.name }
func (v *witnessVerifier) KeyHash() uint32 { return v.hash }
func (v *witnessVerifier) Verify(msg, sig []byte) bool {
	if len(sig) != timestampSize+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	return at <= math.MaxInt64 && ed25519.Verify(v.pub, cosigned(at, msg), sig[timestampSize:])
}

// cosigned is the message that a witness signs.
func cosigned(at uint64, text []byte) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text)
}

// Cosign returns the signature line of a witness over a checkpoint's text, with
// its newline. The caller has checked that the checkpoint is consistent with
// all that the witness cosigned before.
func Cosign(text, name string, key ed25519.PrivateKey, now time.Time) ([]byte, error) {
	vkey, err := WitnessKey(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	v, err := NewWitnessVerifier(vkey)
	if err != nil {
		return nil, err
	}
	at := uint64(max(now.Unix(), 0))
	sig := binary.BigEndian.AppendUint32(nil, v.KeyHash())
	sig = binary.BigEndian.AppendUint64(sig, at)
	sig = append(sig, ed25519.Sign(key, cosigned(at, []byte(text)))...)
	return []byte("— " + name + " " + base64.StdEncoding.EncodeToString(sig) + "\n"), nil
}

// CosignatureTime is the time inside a cosignature that note.Open verified.
func CosignatureTime(s note.Signature) (time.Time, error) {
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(raw) < 4+timestampSize {
		return time.Time{}, errors.New("the cosignature holds no time")
	}
	at := binary.BigEndian.Uint64(raw[4:])
	if at > math.MaxInt64 {
		return time.Time{}, errors.New("the cosignature's time is beyond every calendar")
	}
	return time.Unix(int64(at), 0).UTC(), nil
}

// OpenCosigned is OpenCheckpoint for a checkpoint that witnesses have cosigned:
// after the log's signature come exactly those of the named witnesses, in
// their order, and each holds. With no witness it is OpenCheckpoint.
func OpenCosigned(data []byte, vkey string, witnesses []string) (Checkpoint, []Cosignature, error) {
	if _, err := parseKey(vkey); err != nil {
		return Checkpoint{}, nil, err
	}
	c, err := parseCheckpoint(data, len(witnesses))
	if err != nil {
		return Checkpoint{}, nil, err
	}
	if name, _, _ := strings.Cut(vkey, "+"); name != c.Origin {
		return Checkpoint{}, nil, fmt.Errorf("the key is named %q and the checkpoint is of the log %q", name, c.Origin)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	list := []note.Verifier{verifier}
	for _, w := range witnesses {
		v, err := NewWitnessVerifier(w)
		if err != nil {
			return Checkpoint{}, nil, fmt.Errorf("the witness %q: %w", w, err)
		}
		list = append(list, v)
	}
	opened, err := note.Open(data, note.VerifierList(list...))
	if err != nil || len(opened.Sigs) != len(list) || len(opened.UnverifiedSigs) != 0 || opened.Text != c.text() {
		if len(witnesses) > 0 {
			return Checkpoint{}, nil, errors.New("the checkpoint's signatures are not by this key and these witnesses over these values")
		}
		return Checkpoint{}, nil, errors.New("the checkpoint's signature is not by this key over these values")
	}
	cosignatures := make([]Cosignature, 0, len(witnesses))
	for i, s := range opened.Sigs[1:] {
		at, err := CosignatureTime(s)
		if err != nil || s.Name != list[i+1].Name() || s.Hash != list[i+1].KeyHash() {
			return Checkpoint{}, nil, errors.New("the cosignatures are not in the order of the witnesses")
		}
		cosignatures = append(cosignatures, Cosignature{witnesses[i], s.Name, at})
	}
	return c, cosignatures, nil
}
