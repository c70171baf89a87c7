package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
)

// The parameters of RFC 6238 that every authenticator knows: HMAC-SHA-1, 30
// seconds, 6 digits. A code of the step before or after is taken too (section 5.2).
const (
	totpStep   = 30 * time.Second
	totpDigits = 6
	totpDrift  = 1
	totpSecret = 20 // bytes, the length of SHA-1's output (RFC 4226, section 4, R6)
)

// recoveryCodes is how many a member gets, each for one use.
const recoveryCodes = 10

// stepLifetime is how long the code may take after the password.
const stepLifetime = 5 * time.Minute

// ErrCodeWanted is SignIn's answer where a second factor is on: the token is for
// FinishSignIn.
var ErrCodeWanted = fault.New(fault.Unauthorized, "Enter the code that your authenticator shows.")

var (
	errCode = fault.New(fault.Unauthorized, "That code is not right, or was used already. Wait for the next one, or use a recovery code.")
	errStep = fault.New(fault.Unauthorized, "That took too long. Sign in again.")
)

var base32Plain = base32.StdEncoding.WithPadding(base32.NoPadding)

// totp is the code of a time step (RFC 4226, section 5.3), in digits.
func totp(secret []byte, step int64, digits int) string {
	mac := hmac.New(sha1.New, secret)
	binary.Write(mac, binary.BigEndian, step)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	number := binary.BigEndian.Uint32(sum[at:at+4]) & 0x7fffffff
	modulus := uint32(1)
	for range digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", digits, number%modulus)
}

// totpStepOf finds the step around now whose code it is; a step up to last was used
// already. It is 0 when there is none.
func totpStepOf(secret []byte, code string, now time.Time, last int64) int64 {
	at, found := now.Unix()/int64(totpStep.Seconds()), int64(0)
	for step := at - totpDrift; step <= at+totpDrift; step++ {
		if subtle.ConstantTimeCompare([]byte(totp(secret, step, totpDigits)), []byte(code)) == 1 && step > last {
			found = step
		}
	}
	return found
}

// SecondFactor is what a member has besides the password.
type SecondFactor struct {
	On     bool
	Secret string // base32, for the authenticator; only until it is confirmed
	Codes  int    // recovery codes that are left
}

// URL is what an authenticator takes instead of the typed secret (otpauth, as
// Google Authenticator's Key URI Format has it).
func (f SecondFactor) URL(email string) string {
	return "otpauth://totp/" + url.PathEscape("Assent:"+email) + "?" + url.Values{"secret": {f.Secret}, "issuer": {"Assent"}}.Encode()
}

// SecondFactor tells what a member has.
func (s *Store) SecondFactor(ctx context.Context, memberID string) (SecondFactor, error) {
	secret, confirmed, _, err := selectTOTP(ctx, s.db.Read(), memberID)
	if errors.Is(err, sql.ErrNoRows) {
		return SecondFactor{}, nil
	}
	if err != nil {
		return SecondFactor{}, s.db.Explain(err)
	}
	if !confirmed {
		return SecondFactor{Secret: secret}, nil
	}
	n, err := countRecovery(ctx, s.db.Read(), memberID)
	return SecondFactor{On: true, Codes: n}, s.db.Explain(err)
}

// StartSecondFactor makes a secret, which counts for nothing until it is
// confirmed. Errors: fault.Conflict when there is a confirmed one.
func (s *Store) StartSecondFactor(ctx context.Context, memberID string) error {
	secret := make([]byte, totpSecret)
	rand.Read(secret)
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, confirmed, _, err := selectTOTP(ctx, tx, memberID)
		if err == nil && confirmed {
			return fault.New(fault.Conflict, "A second factor is on already. Switch it off first.")
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := replaceTOTP(ctx, tx, memberID, base32Plain.EncodeToString(secret)); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: memberID, Action: SecondFactorBegun})
	})
}

// ConfirmSecondFactor switches it on with a first code, and returns the recovery
// codes, which are shown once. Errors: a FieldError for "code".
func (s *Store) ConfirmSecondFactor(ctx context.Context, memberID, code string) (recovery []string, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		secret, confirmed, _, err := selectTOTP(ctx, tx, memberID)
		if errors.Is(err, sql.ErrNoRows) || err == nil && confirmed {
			return fault.New(fault.Conflict, "There is nothing to confirm. Reload the page.")
		}
		if err != nil {
			return err
		}
		key, err := base32Plain.DecodeString(secret)
		if err != nil {
			return err
		}
		step := totpStepOf(key, plainCode(code), s.now(), 0)
		if step == 0 {
			return &FieldError{Field: "code", Err: fault.New(fault.Unprocessed, "That is not the code of this moment. Check the clock of your phone, and type the code that it shows now.")}
		}
		if err := confirmTOTP(ctx, tx, memberID, s.now(), step); err != nil {
			return err
		}
		recovery = recovery[:0]
		var hashes []string
		for range recoveryCodes {
			c := strings.ToLower(rand.Text()[:16]) // 80 bits
			recovery = append(recovery, c[:4]+"-"+c[4:8]+"-"+c[8:12]+"-"+c[12:])
			hashes = append(hashes, hexHash(c))
		}
		if err := replaceRecovery(ctx, tx, memberID, hashes); err != nil {
			return err
		}
		if err := s.tell(ctx, tx, memberID, LetterFactor, ""); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: memberID, Action: SecondFactorOn, Fields: []db.Field{{Name: "second_factor", Before: "off", After: "on"}}})
	})
	if err != nil {
		return nil, err
	}
	return recovery, nil
}

// DropSecondFactor switches it off; by is the acting member's ID, "" for the
// command line. One that is not there is no error.
func (s *Store) DropSecondFactor(ctx context.Context, memberID, by string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		was, err := deleteTOTP(ctx, tx, memberID)
		if err != nil || !was {
			return err
		}
		if err := s.tell(ctx, tx, memberID, LetterFactor, ""); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: by, About: memberID, Action: SecondFactorOff, Fields: []db.Field{{Name: "second_factor", Before: "on", After: "off"}}})
	})
}

// plainCode drops what people type between the parts of a code.
func plainCode(code string) string {
	return strings.TrimSpace(strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(code)))
}

// usesCode tells whether a code is right for a member whose second factor is on,
// and uses it up: a code of a time step, or a recovery code, counts once.
func (s *Store) usesCode(ctx context.Context, memberID, code string) (ok bool, err error) {
	if code = plainCode(code); len(code) != totpDigits && len(code) != 16 {
		return false, nil
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		ok = false
		secret, confirmed, last, err := selectTOTP(ctx, tx, memberID)
		if errors.Is(err, sql.ErrNoRows) || err == nil && !confirmed {
			return nil
		}
		if err != nil {
			return err
		}
		if len(code) == 16 {
			if ok, err = deleteRecovery(ctx, tx, memberID, hexHash(code)); err == nil && ok {
				err = s.log(ctx, tx, Activity{MemberID: memberID, Action: RecoveryUsed})
			}
			return err
		}
		key, err := base32Plain.DecodeString(secret)
		if err != nil {
			return err
		}
		if step := totpStepOf(key, code, s.now(), last); step > 0 {
			ok, err = useTOTPStep(ctx, tx, memberID, step)
		}
		return err
	})
	return ok, err
}

// FinishSignIn opens the session after the code. token is SignIn's. Errors:
// fault.Unauthorized.
func (s *Store) FinishSignIn(ctx context.Context, token, code string) (session string, m *Member, err error) {
	m, err = s.SignInStep(ctx, token)
	if err != nil {
		return "", nil, err
	}
	ok, err := s.usesCode(ctx, m.ID, code)
	if err != nil {
		return "", nil, err
	}
	if !ok {
		s.noteFailure(ctx, m.ID)
		return "", nil, errCode
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		used, err := deleteStep(ctx, tx, hexHash(token))
		if err != nil || !used {
			return orElse(err, errStep)
		}
		return nil
	})
	if err != nil {
		return "", nil, err
	}
	session, err = s.open(ctx, m, SignedIn)
	return session, m, err
}

// SignInStep tells whose password was right. Errors: fault.Unauthorized when that
// is too long ago.
func (s *Store) SignInStep(ctx context.Context, token string) (*Member, error) {
	memberID, err := selectStep(ctx, s.db.Read(), hexHash(token), s.now())
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errStep
	}
	if err != nil {
		return nil, s.db.Explain(err)
	}
	m, _, err := selectMember(ctx, s.db.Read(), "id", memberID)
	return m, s.db.Explain(err)
}

// step remembers that the password was right.
func (s *Store) step(ctx context.Context, m *Member) (token string, err error) {
	token = newToken()
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		return insertStep(ctx, tx, hexHash(token), m.ID, s.now(), s.now().Add(stepLifetime))
	})
	if err != nil {
		return "", err
	}
	return token, ErrCodeWanted
}
