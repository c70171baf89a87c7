package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"assent/internal/fault"
)

// The argon2id parameters that OWASP's password storage guidance gives as
// the balanced choice: 19 MiB, two passes, one lane.
const (
	argonMemory  = 19456 // KiB
	argonTime    = 2     // passes
	argonThreads = 1
	argonSalt    = 16 // bytes
	argonKey     = 32 // bytes
)

// A sign-in flood must not take the machine's memory: at most hashesAtOnce
// hashes run (19 MiB each), and at most hashesWaiting callers queue for them.
const (
	hashesAtOnce  = 2
	hashesWaiting = 32
)

type hasher struct {
	running chan struct{}
	waiting chan struct{}
	// nobody is the hash that is checked for an unknown address, so that the
	// answer takes as long as for a known one.
	nobody string
}

func newHasher() *hasher {
	h := &hasher{running: make(chan struct{}, hashesAtOnce), waiting: make(chan struct{}, hashesWaiting)}
	salt, key := make([]byte, argonSalt), make([]byte, argonKey)
	rand.Read(salt)
	rand.Read(key)
	h.nobody = phc(argonMemory, argonTime, argonThreads, salt, key)
	return h
}

// slot waits for the right to compute one hash.
func (h *hasher) slot(ctx context.Context) (release func(), err error) {
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, fault.New(fault.Unavailable, "Too many people are signing in at this moment. Try again in a few seconds.")
	}
	defer func() { <-h.waiting }()
	select {
	case h.running <- struct{}{}:
		return func() { <-h.running }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hash returns the PHC string of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	release, err := h.slot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	salt := make([]byte, argonSalt)
	rand.Read(salt)
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	return phc(argonMemory, argonTime, argonThreads, salt, key), nil
}

// matches tells whether stored is the hash of password. An empty stored hash
// costs the same time and never matches.
func (h *hasher) matches(ctx context.Context, stored, password string) (bool, error) {
	known := stored != ""
	if !known {
		stored = h.nobody
	}
	p, err := parsePHC(stored)
	if err != nil {
		return false, err
	}
	release, err := h.slot(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	key := argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(key, p.key) == 1 && known, nil
}

type phcString struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

// phc writes the PHC string format: $argon2id$v=19$m=19456,t=2,p=1$salt$key.
func phc(memory, time uint32, threads uint8, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, time, threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

func parsePHC(s string) (phcString, error) {
	var p phcString
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, fmt.Errorf("account: the stored password hash is not argon2id version %d", argon2.Version)
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil || p.time < 1 || p.threads < 1 || p.memory > 1<<20 {
		return p, fmt.Errorf("account: the stored password hash has wrong parameters")
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil {
		return p, fmt.Errorf("account: stored salt: %w", err)
	}
	if p.key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(p.key) < 16 {
		return p, fmt.Errorf("account: the stored password hash has a wrong key")
	}
	return p, nil
}

// Passwords have a length in characters and no composition rules (NIST
// SP 800-63B-4, 3.1.1.2). The upper bound keeps a request small.
const (
	MinPassword = 12
	MaxPassword = 256
)

// CheckPassword refuses a password that is too short or that everybody would
// try first: one of the commonest, the member's address, its first part, or one of names (the
// product's, the site's), alone or repeated. The error is a FieldError.
func CheckPassword(password, email string, names ...string) error {
	wrong := func(format string, args ...any) error {
		return &FieldError{Field: "password", Err: fault.New(fault.Unprocessed, format, args...)}
	}
	n := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return wrong("The password holds bytes that are not text. Type it again.")
	case n < MinPassword:
		return wrong("The password has %d characters; it needs at least %d. Three or four unrelated words are easy to remember.", n, MinPassword)
	case n > MaxPassword:
		return wrong("The password is longer than %d characters. Choose a shorter one.", MaxPassword)
	}
	local, domain, _ := strings.Cut(email, "@")
	folded := plain(password)
	for _, name := range append([]string{email, local, domain, "assent", "password"}, names...) {
		if isRepeat(folded, plain(name)) {
			return wrong("The password is a name that others know: your address, the site or this product. Choose something that cannot be guessed.")
		}
	}
	if first, _ := utf8.DecodeRuneInString(password); isRepeat(password, string(first)) {
		return wrong("The password is one character repeated. Choose something that cannot be guessed.")
	}
	if isCommon(password) {
		return errCommon
	}
	return nil
}

// plain folds case and drops what people put between and after words.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" .-_!?0123456789", r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// isRepeat tells whether s is one or more copies of part.
func isRepeat(s, part string) bool {
	return s != "" && part != "" && strings.ReplaceAll(s, part, "") == ""
}
