package jobs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"

	"assent/internal/fault"
)

// Box seals what may not be readable in a copy of the database: addresses, links
// that let somebody in, secrets shared with receivers. AES-256-GCM with a random
// nonce, under a key that is derived from the installation's secret (HKDF, RFC
// 5869), so that every node can open what any other has sealed.
type Box struct{ aead cipher.AEAD }

// NewBox makes a box; purpose keeps the keys of different uses apart.
func NewBox(secret []byte, purpose string) (*Box, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "assent box "+purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Box{aead}, err
}

// Seal returns text that Open turns back.
func (b *Box) Seal(plain []byte) string {
	return base64.RawStdEncoding.EncodeToString(b.aead.Seal(nil, nil, plain, nil))
}

// Open returns what was sealed. Errors: fault.Unavailable for what this
// installation's key has not sealed.
func (b *Box) Open(sealed string) ([]byte, error) {
	raw, err := base64.RawStdEncoding.DecodeString(sealed)
	if err == nil {
		raw, err = b.aead.Open(nil, nil, raw, nil)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "What is stored here was sealed with another signing key than this installation's. Put the key back from your backup.")
	}
	return raw, nil
}
