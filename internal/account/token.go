package account

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"

	"github.com/google/uuid"
)

// The scopes of API tokens.
const (
	ScopeSitesRead    = "sites:read"    // sites and their notice versions
	ScopeRecordsRead  = "records:read"  // consent records and receipts
	ScopeRecordsErase = "records:erase" // erasing them
)

// Scopes are all of them.
var Scopes = []string{ScopeSitesRead, ScopeRecordsRead, ScopeRecordsErase}

// ScopeRule says what a scope lets a token do, and what a member has to be allowed
// to do to give it: nobody makes a token that may more than its maker.
type ScopeRule struct {
	Scope string
	Words string // goes on after "may"
	Needs Capability
}

// ScopeRules is the one table of it, in the order of Scopes.
var ScopeRules = []ScopeRule{
	{ScopeSitesRead, "read sites and the versions of their notices", ViewSites},
	{ScopeRecordsRead, "read consent records and their receipts", ExportRegister},
	{ScopeRecordsErase, "erase consent records for good", EraseRecords},
}

// The actions of tokens in the activity log.
const (
	TokenAdded   = "token.add"
	TokenRevoked = "token.revoke"
)

const (
	// TokenPrefix begins every token, so that scanners for leaked secrets know it.
	TokenPrefix = "assent_"
	// MaxTokenDays is how long a token can live.
	MaxTokenDays = 366
	// mostTokens is how many may be valid at a time.
	mostTokens = 200 // of an organisation
	// hintLength is how much of a token is kept readable.
	hintLength = len(TokenPrefix) + 6
	// usedEvery is how exactly the last use is kept.
	usedEvery = time.Hour
)

// Token is an API token as it is kept: without what lets one in.
type Token struct {
	ID   string // UUIDv7
	Hint string // how it begins
	Name string // what it is for
	// Organisation is whose sites it is for, "" for those of every organisation; Site
	// is the key of the only one, or "".
	Organisation, Site string
	Scopes             []string
	By                 string // member ID; "" for the command line
	Created            time.Time
	Expires            time.Time
	Used               time.Time // to the hour; zero: never
	Revoked            time.Time // zero: it was not

	role  Role      // of By in the organisation; "" where it is none of its members
	until time.Time // when that ends; zero: it does not
}

// Over tells whether the token was revoked or is out of date.
func (t *Token) Over(now time.Time) bool { return !t.Revoked.IsZero() || !now.Before(t.Expires) }

// Able are the scopes that the token has just now: those of its own that its maker
// could still give. Who leaves, or may less, takes the token's rights along.
func (t *Token) Able(now time.Time) (scopes []string) {
	if t.By != "" && !t.until.IsZero() && !now.Before(t.until) {
		return nil
	}
	for _, rule := range ScopeRules {
		if slices.Contains(t.Scopes, rule.Scope) && (t.By == "" || t.role.Can(rule.Needs)) {
			scopes = append(scopes, rule.Scope)
		}
	}
	return scopes
}

// May tells whether the token has a scope.
func (t *Token) May(scope string) bool { return slices.Contains(t.Scopes, scope) }

// For tells whether the token is for a site of an organisation.
func (t *Token) For(organisation, site string) bool {
	return (t.Organisation == "" || t.Organisation == organisation) && (t.Site == "" || t.Site == site)
}

// NewToken says what a token is to be. Organisation and Site are as in Token; who
// calls has made sure that they are there and belong together.
type NewToken struct {
	Name, Organisation, Site string
	Scopes                   []string
	Days                     int    // for how long it is valid, up to MaxTokenDays
	By                       string // member ID; "" for the command line
}

// AddToken makes a token and returns it; only its hash is stored, so it is shown
// once. Errors: a FieldError for "name", "days" or "scopes", fault.Unprocessed.
func (s *Store) AddToken(ctx context.Context, n NewToken) (secret string, t *Token, err error) {
	name := strings.TrimSpace(n.Name)
	if name == "" || checkName(name) != nil {
		return "", nil, &FieldError{Field: "name", Err: fault.New(fault.Unprocessed, "Say what the token is for, in at most %d characters.", maxName)}
	}
	if n.Days < 1 || n.Days > MaxTokenDays {
		return "", nil, &FieldError{Field: "days", Err: fault.New(fault.Unprocessed, "A token lives for 1 to %d days.", MaxTokenDays)}
	}
	var chosen []string
	for _, scope := range Scopes {
		if slices.Contains(n.Scopes, scope) {
			chosen = append(chosen, scope)
		}
	}
	for _, scope := range n.Scopes {
		if !slices.Contains(Scopes, scope) {
			return "", nil, &FieldError{Field: "scopes", Err: fault.New(fault.Unprocessed, "There is no scope %q. Use %s.", scope, strings.Join(Scopes, ", "))}
		}
	}
	if len(chosen) == 0 {
		return "", nil, &FieldError{Field: "scopes", Err: fault.New(fault.Unprocessed, "Say what the token may do: %s.", strings.Join(Scopes, ", "))}
	}
	secret = newAPIToken()
	now := s.now().UTC().Truncate(time.Millisecond)
	t = &Token{ID: uuid.Must(uuid.NewV7()).String(), Hint: secret[:hintLength], Name: name, Organisation: n.Organisation, Site: n.Site, Scopes: chosen, By: n.By, Created: now, Expires: now.AddDate(0, 0, n.Days)}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		var valid int
		if err := tx.QueryRowContext(ctx, "select count(*) from api_token where revoked_at = 0 and expires_at > $1 and organisation_id = $2", now.UnixMilli(), n.Organisation).Scan(&valid); err != nil {
			return err
		}
		if valid >= mostTokens {
			return fault.New(fault.Unprocessed, "There are %d valid tokens, which is as many as an organisation can have. Revoke those that nobody uses.", valid)
		}
		_, err := tx.ExecContext(ctx, `insert into api_token (id, token_hash, hint, name, organisation_id, site, scopes, created_by, created_at, expires_at, used_at, revoked_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0)`, t.ID, hex.EncodeToString(hashToken(secret)), t.Hint, name, n.Organisation, n.Site, strings.Join(chosen, " "), n.By, now.UnixMilli(), t.Expires.UnixMilli())
		if err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: n.By, Action: TokenAdded, Organisation: n.Organisation, Site: n.Site, Target: t.ID, Detail: map[string]string{"rule": t.Hint + "…"},
			Fields: db.Fields(nil, map[string]string{"name": name, "scopes": strings.Join(chosen, " "), "expires": t.Expires.UTC().Format(time.RFC3339)})})
	})
	if err != nil {
		return "", nil, err
	}
	return secret, t, nil
}

func newAPIToken() string {
	b := make([]byte, 32)
	rand.Read(b)
	return TokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

const tokenColumns = `select t.id, t.hint, t.name, t.organisation_id, t.site, t.scopes, t.created_by, t.created_at, t.expires_at, t.used_at, t.revoked_at, coalesce(m.role, ''), coalesce(m.expires_at, 0)
	from api_token t left join membership m on m.member_id = t.created_by and m.organisation_id = t.organisation_id `

func scanToken(row interface{ Scan(...any) error }) (*Token, error) {
	var t Token
	var scopes string
	var created, expires, used, revoked, until int64
	if err := row.Scan(&t.ID, &t.Hint, &t.Name, &t.Organisation, &t.Site, &scopes, &t.By, &created, &expires, &used, &revoked, &t.role, &until); err != nil {
		return nil, err
	}
	t.Scopes, t.Created, t.Expires = strings.Fields(scopes), millis(created), millis(expires)
	if used != 0 {
		t.Used = millis(used)
	}
	if until != 0 {
		t.until = millis(until)
	}
	if revoked != 0 {
		t.Revoked = millis(revoked)
	}
	return &t, nil
}

// Tokens lists every token, the newest first, those that are over too.
func (s *Store) Tokens(ctx context.Context) (list []Token, err error) {
	return s.tokens(s.db.Read().QueryContext(ctx, tokenColumns+"order by t.id desc limit 1000"))
}

// TokensOf lists an organisation's tokens as Tokens does.
func (s *Store) TokensOf(ctx context.Context, organisation string) ([]Token, error) {
	return s.tokens(s.db.Read().QueryContext(ctx, tokenColumns+"where t.organisation_id = $1 order by t.id desc limit 1000", organisation))
}

func (s *Store) tokens(rows *sql.Rows, err error) (list []Token, _ error) {
	if err != nil {
		return nil, s.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		t, err := scanToken(rows)
		if err != nil {
			return nil, s.db.Explain(err)
		}
		list = append(list, *t)
	}
	return list, s.db.Explain(rows.Err())
}

// RevokeToken ends a token at once. Errors: fault.NotFound.
func (s *Store) RevokeToken(ctx context.Context, id, by string) error {
	return s.revokeToken(ctx, id, by, "")
}

// RevokeTokenOf is RevokeToken for an organisation's tokens only.
func (s *Store) RevokeTokenOf(ctx context.Context, organisation, id, by string) error {
	return s.revokeToken(ctx, id, by, " and organisation_id = $3", organisation)
}

func (s *Store) revokeToken(ctx context.Context, id, by, of string, args ...any) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "update api_token set revoked_at = $1 where id = $2 and revoked_at = 0"+of, append([]any{s.now().UnixMilli(), id}, args...)...)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return orElse(err, fault.New(fault.NotFound, "There is no valid token with this ID. assent token list shows them."))
		}
		var organisation, hint string
		if err := tx.QueryRowContext(ctx, "select organisation_id, hint from api_token where id = $1", id).Scan(&organisation, &hint); err != nil {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: by, Action: TokenRevoked, Organisation: organisation, Target: id, Detail: map[string]string{"rule": hint + "…"}})
	})
}

// errToken is one answer for all tokens that let nobody in.
var errToken = fault.New(fault.Unauthorized, "The API token is missing, unknown, out of date or revoked. Send a valid one: Authorization: Bearer assent_…")

// Token finds the token that a request carries. Errors: fault.Unauthorized.
func (s *Store) Token(ctx context.Context, secret string) (*Token, error) {
	if !strings.HasPrefix(secret, TokenPrefix) || len(secret) > 100 {
		return nil, errToken
	}
	t, err := scanToken(s.db.Read().QueryRowContext(ctx, tokenColumns+"where t.token_hash = $1", hex.EncodeToString(hashToken(secret))))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errToken
	}
	if err != nil {
		return nil, s.db.Explain(err)
	}
	now := s.now()
	if t.Scopes = t.Able(now); t.Over(now) || len(t.Scopes) == 0 {
		return nil, errToken
	}
	if now.Sub(t.Used) >= usedEvery {
		err := s.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "update api_token set used_at = $1 where id = $2", now.UnixMilli(), t.ID)
			return err
		})
		if err != nil && fault.KindOf(err) != fault.Unavailable { // a full disk does not hinder reading
			return nil, err
		}
	}
	return t, nil
}
