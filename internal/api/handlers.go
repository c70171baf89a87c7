package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/web"

	"github.com/google/uuid"
)

// page is a part of a list. Next is the cursor of the page that follows, "" at the
// end.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

type siteAnswer struct {
	Site      string    `json:"site"` // site key
	Name      string    `json:"name"`
	Domains   []string  `json:"domains"`
	Version   string    `json:"version"` // notice version in force
	CreatedAt time.Time `json:"created_at"`
	ChangedAt time.Time `json:"changed_at"`
}

type versionAnswer struct {
	Version     string    `json:"version"` // SHA-256 of the content, hex
	Number      int       `json:"number"`
	PublishedAt time.Time `json:"published_at"`
}

type wholeVersion struct {
	versionAnswer
	Content json.RawMessage `json:"content"` // canonical JSON of the notice
}

type recordAnswer struct {
	Index   int64           `json:"index"` // in the site's log
	Record  json.RawMessage `json:"record"`
	Receipt string          `json:"receipt"` // address for people
}

type erasureRequest struct {
	RecordID  string `json:"record_id,omitempty"`  // this record
	ConsentID string `json:"consent_id,omitempty"` // or all of this visitor's
	Reason    string `json:"reason"`               // request, unlawful, closed or test
}

type erasureAnswer struct {
	Records int64   `json:"records"` // that were erased
	Acts    []int64 `json:"acts"`    // indexes of the leaves that say so
}

// maxLimit is how many items a page may have.
const maxLimit = 500

// span reads limit and cursor. A cursor of another list is refused.
func span(c *call, kind string) (limit int, cursor int64, err error) {
	limit = 50
	query := c.URL.Query()
	if text := query.Get("limit"); query.Has("limit") {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxLimit {
			return 0, 0, fault.New(fault.Invalid, "limit is a number from 1 to %d.", maxLimit)
		}
	}
	if text := query.Get("cursor"); query.Has("cursor") {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
		number, ok := strings.CutPrefix(string(raw), kind+":")
		if err == nil && ok {
			cursor, err = strconv.ParseInt(number, 10, 64)
		}
		if err != nil || !ok || cursor < 0 {
			return 0, 0, fault.New(fault.Invalid, "This cursor is not one of this list. Take what the page before gave as next.")
		}
	}
	return limit, cursor, nil
}

func cursorOf(kind string, at int64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d", kind, at))
}

// paged cuts a list that was read with one item more than fits.
func paged[T any](list []T, limit int, kind string, at func(T) int64) page[T] {
	p := page[T]{Items: list}
	if len(list) > limit {
		p.Items = list[:limit]
		p.Next = cursorOf(kind, at(p.Items[limit-1]))
	}
	if p.Items == nil {
		p.Items = []T{}
	}
	return p
}

func describe(s *site.Site) siteAnswer {
	return siteAnswer{s.Key, s.Name, s.Domains, s.Version, s.CreatedAt, s.ChangedAt}
}

func (a *api) listSites(c *call) (any, error) {
	limit, after, err := span(c, "s")
	if err != nil {
		return nil, err
	}
	list, err := a.Sites.List(c.Context())
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(s site.Site) bool { return s.ID <= after || !c.token.For(s.Organisation, s.Key) })
	p := paged(list, limit, "s", func(s site.Site) int64 { return s.ID })
	out := page[siteAnswer]{Items: []siteAnswer{}, Next: p.Next}
	for i := range p.Items {
		out.Items = append(out.Items, describe(&p.Items[i]))
	}
	return out, nil
}

func (a *api) getSite(c *call) (any, error) { return describe(c.site), nil }

func (a *api) listVersions(c *call) (any, error) {
	limit, before, err := span(c, "v")
	if err != nil {
		return nil, err
	}
	list, err := a.Sites.Versions(c.Context(), c.site.Key)
	if err != nil {
		return nil, err
	}
	out := []versionAnswer{}
	for _, v := range list {
		if before == 0 || int64(v.Number) < before {
			out = append(out, versionAnswer{v.Version, v.Number, v.PublishedAt})
		}
	}
	return paged(out, limit, "v", func(v versionAnswer) int64 { return int64(v.Number) }), nil
}

func (a *api) getVersion(c *call) (any, error) {
	v, err := a.Sites.Version(c.Context(), c.PathValue("version"))
	if err != nil {
		return nil, err
	}
	if v.SiteID != c.site.ID {
		return nil, fault.New(fault.NotFound, "There is no notice version with this name on this site.")
	}
	return wholeVersion{versionAnswer{v.Version, v.Number, v.PublishedAt}, v.Content}, nil
}

func (a *api) record(s *register.Stored) recordAnswer {
	return recordAnswer{s.Index, s.Payload, a.PublicURL() + "/r/" + s.RecordID.String()}
}

func (a *api) listRecords(c *call) (any, error) {
	limit, before, err := span(c, "r")
	if err != nil {
		return nil, err
	}
	q := register.Query{SiteID: c.site.ID, Limit: limit + 1}
	if c.URL.Query().Has("cursor") {
		if before == 0 { // the page before ended with the first record
			return page[recordAnswer]{Items: []recordAnswer{}}, nil
		}
		q.Before = before
	}
	if text := c.URL.Query().Get("consent_id"); text != "" {
		if q.ConsentID, err = parseID(text); err != nil {
			return nil, fault.New(fault.Invalid, "consent_id is a UUID.")
		}
	}
	for name, t := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		if text := c.URL.Query().Get(name); text != "" {
			if *t, err = time.Parse(time.RFC3339, text); err != nil {
				return nil, fault.New(fault.Invalid, "%s is a time like 2026-11-30T18:00:00Z.", name)
			}
		}
	}
	list, err := a.Register.Search(c.Context(), q)
	if err != nil {
		return nil, err
	}
	out := []recordAnswer{}
	for i := range list {
		out = append(out, a.record(&list[i]))
	}
	return paged(out, limit, "r", func(r recordAnswer) int64 { return r.Index }), nil
}

// parseID reads a UUID in its one usual spelling.
func parseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err == nil && id.String() != strings.ToLower(text) {
		err = fmt.Errorf("another spelling")
	}
	return id, err
}

var errNoRecord = fault.New(fault.NotFound, "There is no record with this ID on this site.")

// find is a record of the site in the path.
func (a *api) find(c *call, text string) (*register.Stored, error) {
	id, err := parseID(text)
	if err != nil {
		return nil, errNoRecord
	}
	s, err := a.Register.Find(c.Context(), id)
	if err != nil {
		return nil, err
	}
	if s.SiteID != c.site.ID {
		return nil, errNoRecord
	}
	return &s, nil
}

func (a *api) getRecord(c *call) (any, error) {
	s, err := a.find(c, c.PathValue("record"))
	if err != nil {
		return nil, err
	}
	return a.record(s), nil
}

func (a *api) getReceipt(c *call) (any, error) {
	s, err := a.find(c, c.PathValue("record"))
	if err != nil {
		return nil, err
	}
	data, err := a.Register.Receipt(c.Context(), s.RecordID)
	return rawJSON(data), err
}

// maxBody bounds a request's body, in bytes.
const maxBody = 4 << 10

func (a *api) erase(c *call) (any, error) {
	key := c.Request.Header.Get("Idempotency-Key")
	if key == "" || len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fault.New(fault.Invalid, "Send an Idempotency-Key of up to 200 characters, a new UUID for each request: then sending it again does no harm.")
	}
	if media, _, _ := strings.Cut(c.Request.Header.Get("Content-Type"), ";"); strings.TrimSpace(media) != "application/json" {
		return nil, fault.New(fault.Unsupported, "Send JSON, with the Content-Type application/json.")
	}
	text, err := web.ReadBody(c.Request, nil, maxBody)
	if err != nil {
		return nil, err
	}
	q, err := readErasure(text)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte(c.Method+" "+c.URL.Path+"\x00"), text...))
	answer, _, err := a.Accounts.Once(c.Context(), c.token.ID, key, hex.EncodeToString(sum[:]), func() (account.Answer, error) {
		// Written before: the register erases in transactions of its own.
		asked := account.Activity{Action: account.RegisterErasing, Organisation: c.site.Organisation, Site: c.site.Key, Detail: map[string]string{"what": q.Reason}}
		if err := a.Accounts.Log(c.Context(), asked); err != nil {
			return account.Answer{}, err
		}
		done, err := a.eraseOnce(c, q)
		if done.Records > 0 {
			if e := a.erased(c.Context(), c, done.Records, register.Reason(q.Reason)); err == nil {
				err = e
			}
		}
		if err != nil {
			return account.Answer{}, err
		}
		body, err := json.Marshal(erasureAnswer{done.Records, append([]int64{}, done.Acts...)})
		return account.Answer{Status: http.StatusOK, Body: string(body)}, err
	})
	return rawJSON(answer.Body), err
}

// readErasure reads the body strictly: what is misspelt must not erase something
// else.
func readErasure(text []byte) (q erasureRequest, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&q); err != nil {
		return q, fault.Wrap(fault.Invalid, err, `The body is not one of this request. Write it like {"record_id":"…","reason":"request"}.`)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return q, fault.New(fault.Invalid, "The body holds more than one JSON value.")
	}
	if (q.RecordID == "") == (q.ConsentID == "") {
		return q, fault.New(fault.Unprocessed, "Say either record_id or consent_id.")
	}
	if _, err := parseID(q.RecordID + q.ConsentID); err != nil {
		return q, fault.New(fault.Unprocessed, "record_id and consent_id are UUIDs.")
	}
	if !slices.Contains(register.Reasons, register.Reason(q.Reason)) {
		return q, fault.New(fault.Unprocessed, "Say why, because the register keeps the reason: request, unlawful, closed or test.")
	}
	return q, nil
}

func (a *api) eraseOnce(c *call, q erasureRequest) (register.Removed, error) {
	reason := register.Reason(q.Reason)
	if q.ConsentID != "" {
		id, err := parseID(q.ConsentID)
		if err != nil {
			return register.Removed{}, err
		}
		return a.Register.EraseConsent(c.Context(), c.site.ID, id, reason)
	}
	s, err := a.find(c, q.RecordID)
	if err != nil {
		return register.Removed{}, err
	}
	return a.Register.EraseRecord(c.Context(), s.RecordID, reason)
}
