package jobs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"sync"

	"assent/internal/fault"
)

// Box seals what may not be readable in a copy of the database: addresses, links
// that let somebody in, secrets shared with receivers. AES-256-GCM with a random
// nonce, under a key that is derived from the installation's secret (HKDF, RFC
// 5869), so that every node can open what any other has sealed.
type Box struct {
	secret  func() ([]byte, error)
	purpose string

	mu   sync.Mutex
	aead cipher.AEAD // nil until it is needed
}

// NewBox makes a box; purpose keeps the keys of different uses apart. secret is
// asked when something is to be sealed or opened for the first time.
func NewBox(secret func() ([]byte, error), purpose string) *Box {
	return &Box{secret: secret, purpose: purpose}
}

func (b *Box) cipher() (cipher.AEAD, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.aead != nil {
		return b.aead, nil
	}
	secret, err := b.secret()
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "assent box "+b.purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	b.aead, err = cipher.NewGCMWithRandomNonce(block)
	return b.aead, err
}

// Seal returns text that Open turns back.
func (b *Box) Seal(plain []byte) (string, error) {
	aead, err := b.cipher()
	if err != nil {
		return "", err
	}
	return base64.RawStdEncoding.EncodeToString(aead.Seal(nil, nil, plain, nil)), nil
}

// ErrSealed is the fault.Unavailable for what this installation's key has not sealed.
var ErrSealed = fault.New(fault.Unavailable, "What is stored here was sealed with another key than this installation's sealing.key. Put that file back, or make it anew: another secret for a webhook (assent webhook rotate), another link for a person.")

// Open returns what was sealed. Errors: ErrSealed.
func (b *Box) Open(sealed string) ([]byte, error) {
	aead, err := b.cipher()
	if err != nil {
		return nil, err
	}
	raw, err := base64.RawStdEncoding.DecodeString(sealed)
	if err == nil {
		raw, err = aead.Open(nil, nil, raw, nil)
	}
	if err != nil {
		return nil, ErrSealed
	}
	return raw, nil
}
