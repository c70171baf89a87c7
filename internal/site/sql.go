package site

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
)

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (s *Store) explain(err error, key string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "There is no site %q. assent site list shows the keys.", key)
	}
	return s.db.Explain(err)
}

// sitesQuery lists domains as a newline-separated string: one statement for any
// number of sites.
const sitesQuery = `select s.id, s.site, s.name, coalesce(s.version, ''), s.created_at, s.changed_at, s.organisation_id, d.domain
	from site s join site_domain d on d.site_id = s.id`

// List returns every site, in the order in which they were made.
func (s *Store) List(ctx context.Context) ([]Site, error) {
	list, err := scanSites(s.db.Read().QueryContext(ctx, sitesQuery+" order by s.id, d.position"))
	return list, s.db.Explain(err)
}

// ListOf returns the sites of some organisations, in the order in which they were
// made.
func (s *Store) ListOf(ctx context.Context, organisations ...string) ([]Site, error) {
	if len(organisations) == 0 {
		return nil, nil
	}
	var marks []string
	var args []any
	for i, o := range organisations {
		marks, args = append(marks, "$"+strconv.Itoa(i+1)), append(args, o)
	}
	list, err := scanSites(s.db.Read().QueryContext(ctx, sitesQuery+" where s.organisation_id in ("+strings.Join(marks, ", ")+") order by s.id, d.position", args...))
	return list, s.db.Explain(err)
}

// Get returns one site, or a fault of kind NotFound.
func (s *Store) Get(ctx context.Context, key string) (*Site, error) {
	site, err := getSite(ctx, s.db.Read(), key)
	return site, s.db.Explain(err)
}

func getSite(ctx context.Context, q querier, key string) (*Site, error) {
	list, err := scanSites(q.QueryContext(ctx, sitesQuery+" where s.site = $1 order by d.position", key))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fault.New(fault.NotFound, "There is no site %q. assent site list shows the keys.", key)
	}
	return &list[0], nil
}

func scanSites(rows *sql.Rows, err error) ([]Site, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Site
	for rows.Next() {
		var s Site
		var created, changed int64
		var domain string
		if err := rows.Scan(&s.ID, &s.Key, &s.Name, &s.Version, &created, &changed, &s.Organisation, &domain); err != nil {
			return nil, err
		}
		if n := len(list); n == 0 || list[n-1].ID != s.ID {
			s.CreatedAt, s.ChangedAt = time.UnixMilli(created).UTC(), time.UnixMilli(changed).UTC()
			list = append(list, s)
		}
		last := &list[len(list)-1]
		last.Domains = append(last.Domains, domain)
	}
	return list, rows.Err()
}

func insertSite(ctx context.Context, tx *sql.Tx, organisation, key, name, draft string, now time.Time) (id int64, err error) {
	// No foreign key: SQLite cannot add one to a table that is there.
	var there int
	if err := tx.QueryRowContext(ctx, "select count(*) from organisation where id = $1", organisation).Scan(&there); err != nil {
		return 0, err
	}
	if there == 0 {
		return 0, fault.New(fault.NotFound, "There is no organisation %q. assent org list shows them.", organisation)
	}
	// A collision of two concurrent adds fails on the primary key and is rolled back.
	// The number of a site that was erased is never another's: ledgers of erasures know it.
	if err := tx.QueryRowContext(ctx, `select coalesce(max(id), 0) + 1 from
		(select max(id) as id from site union all select max(number) from forgotten) as numbers`).Scan(&id); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `insert into site (id, site, name, draft, version, created_at, changed_at, organisation_id)
		values ($1, $2, $3, $4, null, $5, $6, $7)`, id, key, name, draft, now.UnixMilli(), now.UnixMilli(), organisation)
	return id, err
}

func replaceDomains(ctx context.Context, tx *sql.Tx, id int64, domains []string) error {
	if _, err := tx.ExecContext(ctx, "delete from site_domain where site_id = $1", id); err != nil {
		return err
	}
	for i, d := range domains {
		if _, err := tx.ExecContext(ctx, "insert into site_domain (site_id, position, domain) values ($1, $2, $3)", id, i, d); err != nil {
			return err
		}
	}
	return nil
}

func insertVersion(ctx context.Context, tx *sql.Tx, v *Version, b *Bundle) error {
	_, err := tx.ExecContext(ctx, `insert into notice_version (version, site_id, number, content, published_at, published_by)
		values ($1, $2, $3, $4, $5, $6)`, v.Version, v.SiteID, v.Number, string(v.Content), v.PublishedAt.UnixMilli(), v.PublishedBy)
	if err != nil {
		return err
	}
	if err := upsertBundle(ctx, tx, v.Version, b); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "update site set version = $1 where id = $2", v.Version, v.SiteID)
	return err
}

func upsertBundle(ctx context.Context, tx *sql.Tx, version string, b *Bundle) error {
	_, err := tx.ExecContext(ctx, `insert into bundle (version, build, etag, plain, brotli, gzip) values ($1, $2, $3, $4, $5, $6)
		on conflict (version) do update set build = excluded.build, etag = excluded.etag,
			plain = excluded.plain, brotli = excluded.brotli, gzip = excluded.gzip`,
		version, b.Build, b.ETag, b.Plain, b.Brotli, b.Gzip)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "delete from bundle_part where version = $1", version); err != nil {
		return err
	}
	for name, p := range b.Parts {
		if _, err := tx.ExecContext(ctx, `insert into bundle_part (version, name, etag, plain, brotli, gzip) values ($1, $2, $3, $4, $5, $6)`,
			version, name, p.ETag, p.Plain, p.Brotli, p.Gzip); err != nil {
			return err
		}
	}
	return nil
}

// touch marks a change that other processes notice within a second.
func touch(ctx context.Context, tx *sql.Tx, key string, now time.Time) error {
	if _, err := tx.ExecContext(ctx, "update site set changed_at = $1 where site = $2", now.UnixMilli(), key); err != nil {
		return err
	}
	return bumpRevision(ctx, tx)
}

const revisionSetting = "sites_revision"

func bumpRevision(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `insert into setting (name, value) values ($1, '1')
		on conflict (name) do update set value = cast(cast(setting.value as bigint) + 1 as text)`, revisionSetting)
	return err
}

func revision(ctx context.Context, d *db.DB) (string, error) { return d.Setting(ctx, revisionSetting) }

// Versions lists a site's published versions, newest first, without content.
func (s *Store) Versions(ctx context.Context, key string) ([]Version, error) {
	if _, err := s.Get(ctx, key); err != nil {
		return nil, err
	}
	rows, err := s.db.Read().QueryContext(ctx, versionQuery+" where s.site = $1 order by v.number desc", key)
	if err != nil {
		return nil, s.db.Explain(err)
	}
	defer rows.Close()
	var list []Version
	for rows.Next() {
		v, err := scanVersion(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, *v)
	}
	return list, s.db.Explain(rows.Err())
}

const (
	versionSelect = "select v.version, s.site, v.site_id, v.number, v.published_at, v.published_by"
	versionFrom   = " from notice_version v join site s on s.id = v.site_id"
	versionQuery  = versionSelect + versionFrom
)

// scanVersion reads the columns of versionSelect, and more after them.
func scanVersion(row interface{ Scan(...any) error }, more ...any) (*Version, error) {
	var v Version
	var published int64
	if err := row.Scan(append([]any{&v.Version, &v.Site, &v.SiteID, &v.Number, &published, &v.PublishedBy}, more...)...); err != nil {
		return nil, err
	}
	v.PublishedAt = time.UnixMilli(published).UTC()
	return &v, nil
}

func versionHead(ctx context.Context, q querier, hash string) (*Version, error) {
	return scanVersion(q.QueryRowContext(ctx, versionQuery+" where v.version = $1", hash))
}

// Version returns one published version whole, or a fault of kind NotFound.
func (s *Store) Version(ctx context.Context, hash string) (*Version, error) {
	return loadVersion(ctx, s.db, hash)
}

func loadVersion(ctx context.Context, d *db.DB, hash string) (*Version, error) {
	var content string
	v, err := scanVersion(d.Read().QueryRowContext(ctx, versionSelect+", v.content"+versionFrom+" where v.version = $1", hash), &content)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "There is no notice version %.16s….", hash)
	}
	if err != nil {
		return nil, d.Explain(err)
	}
	if sum := sha256.Sum256([]byte(content)); hex.EncodeToString(sum[:]) != hash {
		return nil, fault.New(fault.Unavailable, "The notice version %.16s… was changed in the database: its content has another SHA-256, so it is not used. The operator runs assent fsck.", hash)
	}
	v.Content, v.Notice = []byte(content), new(Notice)
	return v, json.Unmarshal(v.Content, v.Notice)
}

func (s *Store) staleVersions(ctx context.Context, build string) ([]string, error) {
	rows, err := s.db.Read().QueryContext(ctx, `select s.version from site s join bundle b on b.version = s.version where b.build <> $1`, build)
	if err != nil {
		return nil, s.db.Explain(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var hash string
		if err := rows.Scan(&hash); err != nil {
			return nil, err
		}
		list = append(list, hash)
	}
	return list, s.db.Explain(rows.Err())
}

func loadBundle(ctx context.Context, d *db.DB, version string) (*Bundle, error) {
	b := &Bundle{Parts: map[string]*Script{}}
	rows, err := d.Read().QueryContext(ctx, `select build, '', etag, plain, brotli, gzip from bundle where version = $1
		union all select '', name, etag, plain, brotli, gzip from bundle_part where version = $1`, version)
	if err != nil {
		return nil, d.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var build, name string
		p := new(Script)
		if err := rows.Scan(&build, &name, &p.ETag, &p.Plain, &p.Brotli, &p.Gzip); err != nil {
			return nil, d.Explain(err)
		}
		if name == "" {
			b.Build, b.Script = build, *p
		} else {
			b.Parts[name] = p
		}
	}
	if err := rows.Err(); err != nil || b.Build != "" {
		return b, d.Explain(err)
	}
	return nil, d.Explain(sql.ErrNoRows)
}

// ScriptsInForce names the scripts that a version was compiled to (BundleID).
func (s *Store) ScriptsInForce(ctx context.Context, version string) (string, error) {
	var build string
	err := s.db.Read().QueryRowContext(ctx, "select build from bundle where version = $1", version).Scan(&build)
	return BundleID(version, build), s.db.Explain(err)
}

// bundleETags maps every site key to the build and the ETag of its script in force.
func bundleETags(ctx context.Context, d *db.DB) (map[string]string, error) {
	rows, err := d.Read().QueryContext(ctx, "select s.site, b.build, b.etag from site s join bundle b on b.version = s.version")
	if err != nil {
		return nil, d.Explain(err)
	}
	defer rows.Close()
	etags := map[string]string{}
	for rows.Next() {
		var key, build, etag string
		if err := rows.Scan(&key, &build, &etag); err != nil {
			return nil, err
		}
		etags[key] = build + etag
	}
	return etags, d.Explain(rows.Err())
}

// Fsck recomputes the name of every notice version from its content and looks
// for the versions that are in force or that records name (by version, with the
// number of the site). It returns how many versions it read and a sentence for
// each thing that is wrong.
func (s *Store) Fsck(ctx context.Context, named map[string]int64) (checked int, problems []string, err error) {
	rows, err := s.db.Read().QueryContext(ctx, "select version, site_id, number, content from notice_version order by site_id, number")
	if err != nil {
		return 0, nil, s.db.Explain(err)
	}
	defer rows.Close()
	siteOf := map[string]int64{}
	for rows.Next() {
		var version, content string
		var siteID, number int64
		if err := rows.Scan(&version, &siteID, &number, &content); err != nil {
			return checked, problems, s.db.Explain(err)
		}
		checked++
		siteOf[version] = siteID
		if hash := sha256.Sum256([]byte(content)); hex.EncodeToString(hash[:]) != version {
			problems = append(problems, fmt.Sprintf("The notice version %s (number %d of the site with the number %d) was changed: its content has another SHA-256.", version, number, siteID))
		}
	}
	if err := rows.Err(); err != nil {
		return checked, problems, s.db.Explain(err)
	}
	for version, siteID := range named {
		if siteOf[version] != siteID {
			problems = append(problems, fmt.Sprintf("The notice version %s, which records of the site with the number %d name, is gone.", version, siteID))
		}
	}
	sites, err := s.List(ctx)
	if err != nil {
		return checked, problems, err
	}
	for i := range sites {
		if v := sites[i].Version; v != "" && siteOf[v] != sites[i].ID {
			problems = append(problems, fmt.Sprintf("The notice version %s, which is in force on the site %s, is gone.", v, sites[i].Key))
		}
	}
	sort.Strings(problems)
	return checked, problems, nil
}
