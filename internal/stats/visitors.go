package stats

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"time"

	"assent/internal/db"
)

// Visitors are counted without anything that could tell who they are: a random
// salt is made for each day (UTC), a visitor is the first 16 bytes of a SHA-256 of
// salt, site, metric, address and User-Agent, and the salt is deleted when the day is
// over, and the hashes after it. While the day lasts, whoever has the database and
// guesses an address could tell whether it was there, which is why neither is in a backup.

// visitor is a visitor of a site on one day.
type visitor [16]byte

// visit is where a visitor was first seen.
type visit struct {
	day, slot int64
	metric    Metric
	about     About
}

// oncePerDay are the metrics that count a visitor of another one once a day.
var oncePerDay = map[Metric]Metric{Views: Visitors, Shown: Asked}

type salt [32]byte

func (s *salt) visitor(siteID int64, metric Metric, addr netip.Addr, agent string) visitor {
	if len(agent) > 1000 {
		agent = agent[:1000]
	}
	at := addr.Unmap().WithZone("").As16()
	b := make([]byte, 0, 96+len(agent))
	b = append(b, s[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(siteID))
	b = append(b, byte(metric))
	b = append(b, at[:]...)
	b = append(b, agent...)
	sum := sha256.Sum256(b)
	return visitor(sum[:16])
}

// maxKnown is how many visitors of the day are remembered in memory, so that they need
// not be looked up: about 10 MB. The database knows them all.
const maxKnown = 200_000

const wholeDay = 24 * hour

// salts holds the day's salt.
type salts struct {
	db *db.DB

	mu      sync.Mutex
	day     int64 // UTC, Unix milliseconds
	salt    *salt
	retry   time.Time
	visited map[visitor]struct{}
}

// of is the salt of the day that now is in; nil while it cannot be had.
func (s *salts) of(now time.Time) (*salt, int64) {
	day := now.UnixMilli() / wholeDay * wholeDay
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.day == day && s.salt != nil {
		return s.salt, day
	}
	if s.day != day {
		s.day, s.salt, s.visited, s.retry = day, nil, map[visitor]struct{}{}, time.Time{}
	}
	if now.Before(s.retry) {
		return nil, day
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	got, err := s.load(ctx, day)
	if err != nil {
		s.retry = now.Add(5 * time.Second)
		return nil, day
	}
	s.salt = got
	return got, day
}

// load finds the day's salt, or makes it: every process has the same.
func (s *salts) load(ctx context.Context, day int64) (*salt, error) {
	read := func(row *sql.Row) (*salt, error) {
		var data []byte
		if err := row.Scan(&data); err != nil {
			return nil, err
		}
		if len(data) != len(salt{}) {
			return nil, errPack
		}
		return (*salt)(data), nil
	}
	const query = "select salt from visitor_salt where day = $1"
	got, err := read(s.db.Read().QueryRowContext(ctx, query, day))
	if !errors.Is(err, sql.ErrNoRows) {
		return got, s.db.Explain(err)
	}
	var made salt
	rand.Read(made[:])
	err = s.db.Write(ctx, func(tx *sql.Tx) (err error) {
		if _, err = tx.ExecContext(ctx, "insert into visitor_salt (day, salt) values ($1, $2) on conflict (day) do nothing", day, made[:]); err != nil {
			return err
		}
		got, err = read(tx.QueryRowContext(ctx, query, day))
		return err
	})
	return got, err
}

// known tells whether a visitor was written before.
func (s *salts) known(day int64, v visitor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.visited[v]
	return known && s.day == day
}

// remember keeps visitors that were written.
func (s *salts) remember(fresh map[visitor]*visit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v, visit := range fresh {
		if visit.day != s.day {
			continue
		}
		if len(s.visited) >= maxKnown {
			s.visited = map[visitor]struct{}{}
		}
		s.visited[v] = struct{}{}
	}
}

// forget removes the salts of the days before, and then what was hashed with them.
func (s *salts) forget(ctx context.Context, now time.Time) error {
	today := now.UnixMilli() / wholeDay * wholeDay
	var before int
	if err := s.db.Read().QueryRowContext(ctx, `select (select count(*) from visitor_salt where day < $1)
		+ (select count(*) from (select 1 from visitor_seen where day < $1 limit 1) as one)`, today).Scan(&before); err != nil || before == 0 {
		return s.db.Explain(err)
	}
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "delete from visitor_salt where day < $1", today)
		return err
	})
	// The register's writer waits behind no long transaction.
	for removed := int64(1); err == nil && removed > 0; {
		err = s.db.WriteBetween(ctx, func(tx *sql.Tx) error {
			done, err := tx.ExecContext(ctx, `delete from visitor_seen where day < $1 and hash in (
				select hash from visitor_seen where day < $1 order by day, hash limit 2000)`, today)
			if err != nil {
				return err
			}
			removed, err = done.RowsAffected()
			return err
		})
	}
	// SQLite has overwritten what it deleted (secure_delete).
	if err == nil && s.db.Engine == db.Postgres {
		err = s.db.Purge(ctx, "visitor_salt", "visitor_seen")
	}
	return err
}
