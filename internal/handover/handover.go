// Package handover carries a visitor's choice from one domain of a site to another,
// where no cookie reaches: a sealed, short-lived token for one use, which travels
// in the address of the page that the visitor goes to.
package handover

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"assent/internal/choice"
	"assent/internal/db"
	"assent/internal/fault"
)

// Lifetime is how long a token can be redeemed.
const Lifetime = time.Minute

// skew is how far the clocks of two nodes may differ.
const skew = 10 * time.Second

// MaxToken is the length of a token in bytes beyond which none is read.
const MaxToken = 8 << 10

// Passage is a choice on its way between two domains of a site.
type Passage struct {
	Site string // site key
	From string // host of the page that the visitor leaves, lower case, no port
	To   string // the site's domain that the visitor goes to (choice.Covering); its subdomains share its cookie
	// Choice is the stored choice as the cookie has it (choice.Cookie).
	Choice string
}

// Visitor is what of a request tells whether both ends are the same browser: it
// is kept nowhere, and stands in the token as a hash that only this installation can make.
type Visitor struct {
	Network netip.Prefix // masked
	Agent   string       // User-Agent
}

// Desk makes tokens and takes them back. It is safe for concurrent use, also by
// several processes on one database with the same secret.
type Desk struct {
	db    *db.DB
	root  atomic.Pointer[[]byte]
	now   func() time.Time
	swept atomic.Int64 // Unix milliseconds of the last sweep
}

// NewDesk makes a desk. secret is the installation's: every node has the same one,
// and the desk's key is derived from it (HKDF, RFC 5869).
func NewDesk(d *db.DB, secret []byte, now func() time.Time) (*Desk, error) {
	desk := &Desk{db: d, now: now}
	return desk, desk.Rekey(secret)
}

// Rekey gives the desk another secret. Tokens that were made with the former one are
// not taken any more: the visitor is asked again.
func (d *Desk) Rekey(secret []byte) error {
	root, err := hkdf.Key(sha256.New, secret, nil, "assent handover", 32)
	if err == nil {
		d.root.Store(&root)
	}
	return err
}

// sealed is what stands in a token.
type sealed struct {
	Site    string `json:"s"`
	From    string `json:"f"`
	To      string `json:"t"`
	Choice  string `json:"c"`
	Visitor []byte `json:"v"`
	At      int64  `json:"a"` // Unix milliseconds
}

const idLength = 16

// Issue makes a token:
//
//	base64url(ID ‖ AES-256-GCM(passage))
//
// The ID is random. Each token has a key of its own, HMAC-SHA256(root, ID), so that
// a nonce is never used twice. Whoever sees the address learns nothing from it, the
// consent ID least of all. A choice that is not one is a fault of kind Unprocessed.
func (d *Desk) Issue(p Passage, v Visitor) (string, error) {
	if _, ok := choice.ReadCookie(p.Choice); !ok {
		return "", fault.New(fault.Unprocessed, "The choice is not one that this server's script has stored. Load the page again.")
	}
	id := make([]byte, idLength)
	rand.Read(id)
	plain, err := json.Marshal(sealed{p.Site, p.From, p.To, p.Choice, d.hash(v), d.now().UnixMilli()})
	if err != nil {
		return "", err
	}
	box, err := d.box(id)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(box.Seal(id, make([]byte, box.NonceSize()), plain, nil)), nil
}

func (d *Desk) box(id []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(d.mac("token", id))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (d *Desk) mac(purpose string, of []byte) []byte {
	m := hmac.New(sha256.New, *d.root.Load())
	m.Write([]byte(purpose + "\x00"))
	m.Write(of)
	return m.Sum(nil)
}

func (d *Desk) hash(v Visitor) []byte {
	return d.mac("visitor", []byte(v.Network.String()+"\x00"+v.Agent))[:idLength]
}

var (
	errForged  = fault.New(fault.Forbidden, "This is no hand-over of this server. The visitor is asked on this page instead.")
	errForeign = fault.New(fault.Forbidden, "This hand-over is for another page or another visitor. The visitor is asked on this page instead.")
	errLate    = fault.New(fault.Conflict, "This hand-over is out of date. The visitor is asked on this page instead.")
	errUsed    = fault.New(fault.Conflict, "This hand-over was used before. The visitor is asked on this page instead.")
)

// open reads a token. Only what Issue has made can be opened: a fault of kind
// Forbidden otherwise, and one of kind Conflict when it is out of date.
func (d *Desk) open(token string) (id string, s *sealed, err error) {
	// A token has one spelling: strict, and without the line ends that the decoder skips.
	if len(token) > MaxToken || strings.ContainsAny(token, "\r\n") {
		return "", nil, errForged
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < idLength {
		return "", nil, errForged
	}
	box, err := d.box(raw[:idLength])
	if err != nil {
		return "", nil, err
	}
	plain, err := box.Open(nil, make([]byte, box.NonceSize()), raw[idLength:], nil)
	if err != nil {
		return "", nil, errForged
	}
	s = new(sealed)
	if err := json.Unmarshal(plain, s); err != nil {
		return "", nil, errForged
	}
	if age := d.now().Sub(time.UnixMilli(s.At)); age > Lifetime || age < -skew {
		return "", nil, errLate
	}
	return hex.EncodeToString(raw[:idLength]), s, nil
}

// check tells whether a token is for this site, these pages and this visitor.
func (d *Desk) check(s *sealed, site, from, at string, v Visitor) error {
	if s.Site != site || s.From != from || !choice.Within(at, s.To) || !hmac.Equal(s.Visitor, d.hash(v)) {
		return errForeign
	}
	return nil
}
