package webhook

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/jobs"
	"assent/internal/register"
	"assent/internal/site"

	"github.com/google/uuid"
)

// Config says what a Store works with.
type Config struct {
	DB       *db.DB
	Queue    *jobs.Queue
	Secret   func() ([]byte, error) // the installation's
	Register *register.Register
	SiteKey  func(ctx context.Context, siteID int64) (string, error)
	Receipt  func(recordID string) string // address of a receipt
	// Send sends a message and returns the HTTP status of the answer, 0 for none, and how
	// long the receiver asks to wait. A status below 300 has no error.
	Send func(ctx context.Context, m Message) (status int, after time.Duration, err error)
	// CheckURL says what is wrong with an endpoint's address; nil: nothing.
	CheckURL func(url string) error
	Keep     time.Duration // of deliveries that are over; 0: DefaultKeep
	Now      func() time.Time
}

// DefaultKeep is how long a delivery can be seen and replayed.
const DefaultKeep = 30 * 24 * time.Hour

// Store keeps endpoints and deliveries. It is safe for concurrent use, also by
// several processes on one database.
type Store struct {
	Config
	box *jobs.Box
}

// JobKind is the kind of the jobs that tell endpoints.
const JobKind = "webhook"

const (
	tries       = 12               // the last about two days after the first
	within      = 20 * time.Second // of one attempt
	mostOfASite = 20               // endpoints
	// overlap is how long the secret before is signed with too.
	overlap = 24 * time.Hour
)

// NewStore makes a store and registers it with the queue.
func NewStore(c Config) *Store {
	if c.Keep <= 0 {
		c.Keep = DefaultKeep
	}
	s := &Store{c, jobs.NewBox(c.Secret, JobKind)}
	c.Queue.Handle(JobKind, jobs.Handler{Do: s.deliver, Tries: tries, Within: within})
	return s
}

// Add makes an endpoint for what happens on a site from now on, and returns the
// secret with which the receiver checks signatures. It is shown once. Errors:
// fault.Unprocessed for an address or an event that cannot be used.
func (s *Store) Add(ctx context.Context, siteID int64, address string, events []string) (e Endpoint, secretText string, err error) {
	if events, err = checkEvents(events); err != nil {
		return e, "", err
	}
	if err := s.CheckURL(address); err != nil {
		return e, "", err
	}
	state, err := s.Register.State(ctx, siteID)
	if err != nil {
		return e, "", err
	}
	secretText = newSecret()
	sealed, err := s.sealSecrets([]secret{{Secret: secretText}})
	if err != nil {
		return e, "", err
	}
	now := s.Now().UTC().Truncate(time.Millisecond)
	e = Endpoint{ID: uuid.Must(uuid.NewV7()).String(), SiteID: siteID, URL: address, Events: events, Created: now}
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "select count(*) from webhook where site_id = $1", siteID).Scan(&n); err != nil {
			return err
		}
		if n >= mostOfASite {
			return fault.New(fault.Unprocessed, "The site has %d webhooks, which is as many as it can have. Remove one first.", n)
		}
		if _, err := tx.ExecContext(ctx, `insert into webhook (id, site_id, url, events, secrets, next, created_at, disabled_at, problem)
			values ($1, $2, $3, $4, $5, $6, $7, 0, '')`, e.ID, siteID, address, strings.Join(events, " "), sealed, state.Size, now.UnixMilli()); err != nil {
			return err
		}
		return s.record(ctx, tx, siteID, e.ID, "added", db.Fields(nil, map[string]string{"events": strings.Join(events, " "), "host": hostOf(address)}))
	})
	return e, secretText, err
}

func (s *Store) sealSecrets(list []secret) (string, error) {
	plain, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	return s.box.Seal(plain)
}

func (s *Store) openSecrets(sealed string) (list []secret, err error) {
	plain, err := s.box.Open(sealed)
	if err != nil {
		return nil, err
	}
	return list, json.Unmarshal(plain, &list)
}

var errNoEndpoint = fault.New(fault.NotFound, "There is no such webhook. assent webhook list shows them.")

// Rotate gives an endpoint another secret and returns it. For a day messages are
// signed with both, so that the receiver can change when it suits.
func (s *Store) Rotate(ctx context.Context, siteID int64, id string) (secretText string, err error) {
	secretText = newSecret()
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		var sealed string
		err := tx.QueryRowContext(ctx, "select secrets from webhook where id = $1 and site_id = $2", id, siteID).Scan(&sealed)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoEndpoint
		}
		if err != nil {
			return err
		}
		before, err := s.openSecrets(sealed)
		if err != nil && !errors.Is(err, jobs.ErrSealed) { // what cannot be opened any more is replaced
			return err
		}
		list := []secret{{Secret: secretText}}
		for _, b := range before {
			if b.Until == 0 { // the one in use
				list = append(list, secret{b.Secret, s.Now().Add(overlap).UnixMilli()})
			}
		}
		if sealed, err = s.sealSecrets(list); err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, "update webhook set secrets = $1 where id = $2", sealed, id); err != nil {
			return err
		}
		return s.record(ctx, tx, siteID, id, "changed the secret of", nil)
	})
	return secretText, err
}

// Remove removes an endpoint with its deliveries. Errors: fault.NotFound.
func (s *Store) Remove(ctx context.Context, siteID int64, id string) error {
	return s.one(ctx, "removed", "delete from webhook where id = $1 and site_id = $2", id, siteID)
}

// Enable tells an endpoint again that was given up, from where it stopped. Errors:
// fault.NotFound.
func (s *Store) Enable(ctx context.Context, siteID int64, id string) error {
	return s.one(ctx, "enabled", "update webhook set disabled_at = 0, problem = '' where id = $1 and site_id = $2", id, siteID)
}

func (s *Store) one(ctx context.Context, what, query, id string, siteID int64) error {
	return s.DB.Write(ctx, func(tx *sql.Tx) error {
		var address, events string
		err := tx.QueryRowContext(ctx, "select url, events from webhook where id = $1 and site_id = $2", id, siteID).Scan(&address, &events)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoEndpoint
		}
		if err != nil {
			return err
		}
		fields := []db.Field(nil)
		if what == "removed" {
			fields = db.Fields(map[string]string{"events": events, "host": hostOf(address)}, nil)
		}
		if err := s.record(ctx, tx, siteID, id, what, fields); err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, query, id, siteID)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return orElse(err, errNoEndpoint)
		}
		return nil
	})
}

// EndpointChanged is the action of the audit log for whatever is done to an endpoint.
const EndpointChanged = "webhook.change"

// record enters what was done to an endpoint.
func (s *Store) record(ctx context.Context, tx *sql.Tx, siteID int64, id, what string, fields []db.Field) error {
	return s.DB.Record(ctx, tx, db.Change{Action: EndpointChanged, SiteID: siteID, Target: id, Detail: map[string]string{"what": what}, Fields: fields})
}

// hostOf is what the audit log says of an address, which may hold a secret.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

const endpointQuery = "select id, site_id, url, events, created_at, disabled_at, problem from webhook "

// List returns the endpoints of a site, the oldest first.
func (s *Store) List(ctx context.Context, siteID int64) (list []Endpoint, err error) {
	rows, err := s.DB.Read().QueryContext(ctx, endpointQuery+"where site_id = $1 order by id", siteID)
	if err != nil {
		return nil, s.DB.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEndpoint(rows)
		if err != nil {
			return nil, s.DB.Explain(err)
		}
		list = append(list, e)
	}
	return list, s.DB.Explain(rows.Err())
}

// Get returns one endpoint. siteID 0 is any site. Errors: fault.NotFound.
func (s *Store) Get(ctx context.Context, siteID int64, id string) (Endpoint, error) {
	e, err := scanEndpoint(s.DB.Read().QueryRowContext(ctx, endpointQuery+"where id = $1 and (site_id = $2 or $2 = 0)", id, siteID))
	if errors.Is(err, sql.ErrNoRows) {
		return e, errNoEndpoint
	}
	return e, s.DB.Explain(err)
}

func scanEndpoint(row interface{ Scan(...any) error }) (e Endpoint, err error) {
	var created, disabled int64
	var events string
	if err := row.Scan(&e.ID, &e.SiteID, &e.URL, &events, &created, &disabled, &e.Problem); err != nil {
		return e, err
	}
	e.Events, e.Created, e.Disabled = strings.Fields(events), time.UnixMilli(created).UTC(), instant(disabled)
	return e, nil
}

// instant is a time that is zero where the column is 0.
func instant(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

// promise writes a delivery and its job.
func (s *Store) promise(ctx context.Context, tx *sql.Tx, endpoint, event string, index int64, version string, at time.Time) (id string, err error) {
	id = "msg_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")
	_, err = tx.ExecContext(ctx, `insert into webhook_delivery (id, webhook_id, event, idx, version, created_at, state, attempts, status, took, ended_at, problem)
		values ($1, $2, $3, $4, $5, $6, 'waiting', 0, 0, 0, 0, '')`, id, endpoint, event, index, version, at.UnixMilli())
	if err != nil {
		return "", err
	}
	_, err = s.Queue.Add(ctx, tx, jobs.Job{Kind: JobKind, Lane: endpoint, Payload: id})
	return id, err
}

// TellPublished promises the endpoints of a site, in the transaction that publishes,
// that another notice version is in force. The caller wakes the queue.
func (s *Store) TellPublished(ctx context.Context, tx *sql.Tx, v *site.Version) error {
	rows, err := tx.QueryContext(ctx, "select id, events from webhook where site_id = $1 and disabled_at = 0", v.SiteID)
	if err != nil {
		return err
	}
	defer rows.Close()
	var told []string
	for rows.Next() {
		var id, events string
		if err := rows.Scan(&id, &events); err != nil {
			return err
		}
		if slices.Contains(strings.Fields(events), Published) {
			told = append(told, id)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	for _, id := range told {
		if _, err := s.promise(ctx, tx, id, Published, -1, v.Version, s.Now()); err != nil {
			return err
		}
	}
	return nil
}

// Test promises a message with which an endpoint is tried, and returns its ID. It
// reaches one that was disabled, too.
func (s *Store) Test(ctx context.Context, siteID int64, id string) (delivery string, err error) {
	if _, err := s.Get(ctx, siteID, id); err != nil {
		return "", err
	}
	err = s.DB.Write(ctx, func(tx *sql.Tx) (err error) {
		if delivery, err = s.promise(ctx, tx, id, Ping, -1, "", s.Now()); err != nil {
			return err
		}
		return s.record(ctx, tx, siteID, id, "tried", nil)
	})
	s.Queue.Wake()
	return delivery, err
}
