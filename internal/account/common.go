package account

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"

	"assent/internal/fault"
)

// common is a Bloom filter of the passwords that people choose most often, as
// CommonForms writes them: see gen. It is wrong about one in 10,000 others.
//
//go:embed common.bloom
var common []byte

const (
	commonSize   = 39_000 // bytes
	commonProbes = 13     // bits of a word
)

// probe calls each with the places of a word's bits, until it says no.
func probe(word string, each func(bit uint64) bool) bool {
	sum := sha256.Sum256([]byte(word))
	a, b := binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])|1
	for i := range uint64(commonProbes) {
		if !each((a + i*b) % (commonSize * 8)) {
			return false
		}
	}
	return true
}

// CommonFilter writes the filter of words.
func CommonFilter(words map[string]bool) []byte {
	filter := make([]byte, commonSize)
	for word := range words {
		probe(word, func(bit uint64) bool { filter[bit/8] |= 1 << (bit % 8); return true })
	}
	return filter
}

// CommonForms are what a password is looked up as: as it is, in small letters; without
// the digits and marks that people put between and after words; and, where it is one
// part repeated, that part.
func CommonForms(password string) (forms []string) {
	lower := strings.ToLower(password)
	for _, form := range []string{lower, plain(lower), repeated(lower), repeated(plain(lower))} {
		if len(form) >= 4 {
			forms = append(forms, form)
		}
	}
	return forms
}

// repeated is the shortest part that a text is copies of, "" for none.
func repeated(s string) string {
	for n := 1; n <= len(s)/2; n++ {
		if len(s)%n == 0 && strings.Repeat(s[:n], len(s)/n) == s {
			return s[:n]
		}
	}
	return ""
}

func isCommon(password string) bool {
	for _, form := range CommonForms(password) {
		if probe(form, func(bit uint64) bool { return common[bit/8]>>(bit%8)&1 == 1 }) {
			return true
		}
	}
	return false
}

// Breached is an operator's own list of passwords that are known from breaches: a line
// for each, the SHA-1 of the password in hexadecimal, and behind a colon whatever there
// is, in the order of the hashes. So the downloads of Have I Been Pwned are written. It
// stays on disk, and is searched there.
type Breached struct{ path string }

// OpenBreached checks that a file is such a list. "" is none. Errors: fault.Invalid.
func OpenBreached(path string) (*Breached, error) {
	if path == "" {
		return nil, nil
	}
	b := &Breached{path}
	if _, err := b.Has("a password that is looked for to see whether it can be"); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The list of breached passwords %s cannot be used. It holds a line for each: the SHA-1 of the password in hexadecimal, and perhaps a colon and a number; in the order of the hashes.", path)
	}
	return b, nil
}

// lineMost is more than a line of the list has, in bytes.
const lineMost = 128

// Has tells whether a password is in the list. It reads some 30 lines.
func (b *Breached) Has(password string) (bool, error) {
	f, err := os.Open(b.path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	sum := sha1.Sum([]byte(password))
	want := strings.ToUpper(hex.EncodeToString(sum[:]))
	// The first line at or behind lo is not above want, or lo is 0; that at or behind hi is.
	lo, hi := int64(0), info.Size()
	for lo < hi {
		mid := lo + (hi-lo)/2
		hash, next, err := lineAt(f, mid)
		switch {
		case errors.Is(err, io.EOF): // mid is in the last line
			hi = mid
			continue
		case err != nil:
			return false, err
		case hash == want:
			return true, nil
		case hash < want:
			if next <= mid {
				return false, errors.New("a line does not end")
			}
			lo = mid + 1
		default:
			hi = mid
		}
	}
	// What begins at 0 is behind no line break.
	for _, at := range []int64{-1, lo - 1} {
		hash, _, err := lineAt(f, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if hash == want {
			return true, nil
		}
	}
	return false, nil
}

// lineAt is the hash of the first line that begins behind a place, and where it ends.
// For a place before the file it is the first line. io.EOF: none begins there.
func lineAt(f *os.File, at int64) (hash string, end int64, err error) {
	buf := make([]byte, 2*lineMost)
	from := max(at, 0)
	n, err := f.ReadAt(buf, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", 0, err
	}
	buf = buf[:n]
	if at >= 0 {
		skip := bytes.IndexByte(buf, '\n')
		if skip < 0 {
			if n < 2*lineMost {
				return "", 0, io.EOF
			}
			return "", 0, errors.New("a line is too long")
		}
		buf = buf[skip+1:]
		from += int64(skip) + 1
	}
	if len(bytes.TrimSpace(buf)) == 0 {
		return "", 0, io.EOF
	}
	line, _, found := bytes.Cut(buf, []byte("\n"))
	if !found && n == 2*lineMost {
		return "", 0, errors.New("a line is too long")
	}
	text, _, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
	if raw, err := hex.DecodeString(text); err != nil || len(raw) != sha1.Size {
		return "", 0, errors.New("a line does not begin with a SHA-1")
	}
	return strings.ToUpper(text), from + int64(len(line)), nil
}

// CheckPassword is the function of that name, with the operator's own list.
func (s *Store) CheckPassword(password, email string, names ...string) error {
	if err := CheckPassword(password, email, names...); err != nil || s.breached == nil {
		return err
	}
	known, err := s.breached.Has(password)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The list of breached passwords cannot be read, so no password can be set. Tell whoever runs this server.")
	}
	if known {
		return errCommon
	}
	return nil
}

// UseBreached sets the operator's own list; nil is none. It is called once, before the
// store is used.
func (s *Store) UseBreached(b *Breached) { s.breached = b }

var errCommon = &FieldError{Field: "password", Err: fault.New(fault.Unprocessed, "This password, or what is left of it without digits, stands in lists of passwords that others have used, which attackers try first. Choose another; three or four unrelated words are easy to remember.")}
