package receipt

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ClosingType names the format of a closing certificate: an operator's signed
// statement that an organisation, or the account of a person, was erased for good.
const ClosingType = "assent/closing-certificate/v1"

// ClosingName is how the name of the key that signs closings ends, after the
// installation's host.
const ClosingName = "/closing"

// The kinds of a closing.
const (
	ClosedOrganisation = "organisation"
	ClosedAccount      = "account"
)

// Closing says what was erased. It holds random IDs and numbers, nothing that says
// whose they were. Fields stand in the order of their JSON names.
type Closing struct {
	Accounts int64        `json:"accounts"` // of people, that belonged to nothing else
	Asked    string       `json:"asked"`    // TimeLayout
	Closed   string       `json:"closed"`   // TimeLayout
	ID       string       `json:"id"`       // of the organisation or account
	Kind     string       `json:"kind"`     // ClosedOrganisation or ClosedAccount
	Sites    []ClosedSite `json:"sites"`    // by key
}

// ClosedSite is a site whose register was erased. Files are the deletion
// certificates that show it (Certificate): every leaf of the log up to Size is a
// record that was erased, or the statement of an erasing.
type ClosedSite struct {
	Files   []ClosedFile `json:"files"`
	Origin  string       `json:"origin"`
	Records int64        `json:"records"` // that were erased, in its whole life
	Root    string       `json:"root"`    // base64, of Size
	Site    string       `json:"site"`    // its key
	Size    int64        `json:"size"`    // leaves of the log at its end
}

// ClosedFile names a deletion certificate that goes with a closing.
type ClosedFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // hex
}

// Canonical is the statement as canonical JSON (RFC 8785).
func (c *Closing) Canonical() []byte {
	again := *c
	again.Sites = append([]ClosedSite{}, c.Sites...)
	for i := range again.Sites {
		again.Sites[i].Files = append([]ClosedFile{}, again.Sites[i].Files...)
	}
	text, err := json.Marshal(again) // plain values in the order of their names
	if err != nil {
		panic(err) // no type in it can fail
	}
	return text
}

func (c *Closing) check() error {
	for _, text := range []string{c.Asked, c.Closed} {
		if at, err := time.Parse(TimeLayout, text); err != nil || at.Format(TimeLayout) != text {
			return errors.New("a time of it is not one")
		}
	}
	switch {
	case c.Kind != ClosedOrganisation && c.Kind != ClosedAccount:
		return errors.New("it is of no kind of closing that is known")
	case !plain(c.ID) || c.Accounts < 0:
		return errors.New("its ID or a number is not one")
	}
	before := ""
	for _, s := range c.Sites {
		root, err := base64.StdEncoding.Strict().DecodeString(s.Root)
		if !plain(s.Site) || s.Site <= before || !strings.HasSuffix(s.Origin, "/log/"+s.Site) || err != nil || len(root) != tlog.HashSize || s.Records < 0 || s.Size < s.Records || s.Size > maxSize {
			return errors.New("a site of it is not described as it has to be, or out of order")
		}
		before = s.Site
		for _, f := range s.Files {
			if !plain(f.Name) || len(f.SHA256) != 64 || strings.Trim(f.SHA256, "0123456789abcdef") != "" {
				return errors.New("a file of it is not named as it has to be")
			}
		}
	}
	return nil
}

// text is what is signed (C2SP signed-note).
func (c *Closing) text() string { return ClosingType + "\n" + string(c.Canonical()) + "\n" }

// Certificate signs the closing with the key of an installation, named after its
// host, and writes the certificate: canonical JSON (RFC 8785) with the members key,
// note and type. The note (C2SP signed-note) holds the statement.
func (c *Closing) Certificate(host string, key ed25519.PrivateKey) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	vkey, err := VerifierKey(host+ClosingName, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	signed, err := signNote(c.text(), host+ClosingName, key)
	if err != nil {
		return nil, err
	}
	return marshalClosing(vkey, string(signed)), nil
}

func marshalClosing(vkey, signed string) []byte {
	dst := appendMember(nil, `{"key":`, vkey)
	dst = appendMember(dst, `,"note":`, signed)
	return append(appendMember(dst, `,"type":`, ClosingType), '}')
}

// ClosingResult says what VerifyClosing found.
type ClosingResult struct {
	Valid      bool     `json:"valid"`
	KeyTrusted bool     `json:"key_trusted"` // checked against the key that the caller named
	Steps      []Step   `json:"steps"`       // form, key, signature or trust; the last one failed unless Valid
	Key        string   `json:"key"`
	Closing    *Closing `json:"closing,omitempty"`
}

func (r *ClosingResult) step(ok bool, name, format string, args ...any) *ClosingResult {
	r.Steps = append(r.Steps, Step{name, ok, fmt.Sprintf(format, args...)})
	return r
}

// maxClosing is how large a closing certificate may be, in bytes.
const maxClosing = 16 << 20

// IsClosing tells a closing certificate, however damaged, from everything else.
func IsClosing(data []byte) bool {
	var header struct {
		Type string `json:"type"`
	}
	return len(data) <= maxClosing && json.Unmarshal(data, &header) == nil && header.Type == ClosingType
}

// VerifyClosing checks a closing certificate offline, strictly, with what the caller
// relies on: a key of any log of the installation, or none. It shows what the
// operator has signed; that no copy is left is a thing that no file can show. The
// deletion certificates that it names are checked by themselves.
func VerifyClosing(data []byte, t Trust) (*ClosingResult, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	r := new(ClosingResult)
	var text struct {
		Key  string `json:"key"`
		Note string `json:"note"`
		Type string `json:"type"`
	}
	if err := strict(data, &text); err != nil || len(data) > maxClosing || string(marshalClosing(text.Key, text.Note)) != string(data) {
		return r.step(false, "form", "The form is wrong: it is not canonical JSON (RFC 8785) with exactly the members key, note and type."), nil
	}
	if _, err := parseKey(text.Key); err != nil {
		return r.step(false, "key", "The certificate's key is wrong: %s.", err), nil
	}
	name, _, _ := strings.Cut(text.Key, "+")
	if !strings.HasSuffix(name, ClosingName) {
		return r.step(false, "key", "The certificate's key is not named for closings."), nil
	}
	r.Key = text.Key
	r.step(true, "key", "The key is a well-formed Ed25519 key.")
	c, err := openClosing(text.Note, text.Key)
	if err != nil {
		return r.step(false, "signature", "The statement does not hold: %s.", err), nil
	}
	r.step(true, "signature", "The statement is in its one permitted form, and signed by the key.")
	if t.Key != "" {
		if !samePublic(t.Key, text.Key) && (t.History == nil || t.History.at(t.Key) < 0 || t.History.at(text.Key) < 0) {
			return r.step(false, "trust", "The certificate was signed by another key than the one that you trust."), nil
		}
		r.KeyTrusted = true
		r.step(true, "trust", "The key is the one that you trust, or the key history leads from one to the other.")
	}
	r.Closing, r.Valid = c, true
	return r, nil
}

func openClosing(signed, vkey string) (*Closing, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil || len(opened.Sigs) != 1 || len(opened.UnverifiedSigs) != 0 {
		return nil, errors.New("it is not signed by the key alone")
	}
	body, found := strings.CutPrefix(opened.Text, ClosingType+"\n")
	body, ended := strings.CutSuffix(body, "\n")
	c := new(Closing)
	if !found || !ended || strict([]byte(body), c) != nil || c.text() != opened.Text || c.check() != nil {
		return nil, errors.New("it is not in its one permitted form")
	}
	if again := opened.Text + "\n— " + opened.Sigs[0].Name + " " + opened.Sigs[0].Base64 + "\n"; again != signed {
		return nil, errors.New("its signature is loosely written")
	}
	return c, nil
}
