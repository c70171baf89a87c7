package site

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/i18n"
)

// Site is a web property with its domains.
type Site struct {
	ID        int64  // short number that the register's tables use
	Key       string // public, part of the tag
	Name      string
	Domains   []string // hosts; each covers its subdomains; the first is the main one
	Version   string   // notice version in force
	CreatedAt time.Time
	ChangedAt time.Time

	Organisation string // ID of whose it is
}

// Owns tells whether host (lower case, no port) belongs to the site.
func (s *Site) Owns(host string) bool { return ownsHost(s.Domains, host) }

// Bundle is what one notice version was compiled to: the whole script, which
// the tag loads, and its parts by name ("boot", "ask.de"), for pages that hold the
// boot themselves.
type Bundle struct {
	Build string // what it was compiled from and how; see banner.BuildID
	Script
	Parts map[string]*Script
}

// OriginMark stands in a compiled boot for the consent server's scheme and host,
// which are known when it is printed or served.
const OriginMark = "https://consent.invalid"

// BundleID names a version's scripts as one compiler made them:
// those with the same one fit together.
func BundleID(version, build string) string {
	return version + build[:min(8, len(build))]
}

// Boot is the JavaScript that a page holds itself, for a server at origin; nil
// when the bundle was compiled without.
func (b *Bundle) Boot(origin string) []byte {
	if b.Parts["boot"] == nil {
		return nil
	}
	return bytes.ReplaceAll(b.Parts["boot"].Plain, []byte(OriginMark), []byte(origin))
}

// BootElement is what a page holds as the first element of its head to enforce by
// itself, for a consent server at origin; "" when the version was compiled without.
func (s *Store) BootElement(ctx context.Context, version, origin string) (string, error) {
	b, err := loadBundle(ctx, s.db, version)
	if err != nil || b.Parts["boot"] == nil {
		return "", err
	}
	return "<script>" + strings.TrimSpace(string(b.Boot(origin))) + "</script>", nil
}

// Script is a compiled script in the forms in which it is sent.
type Script struct {
	ETag                string // quoted, as the header has it
	Plain, Brotli, Gzip []byte
}

// Version is a published, immutable notice.
type Version struct {
	Version     string // SHA-256 of Content, hex
	Site        string
	SiteID      int64
	Number      int // 1, 2, 3 … within the site
	PublishedAt time.Time
	PublishedBy string
	Notice      *Notice // nil in lists
	Content     []byte  // canonical JSON; nil in lists

	variants *Variants // of a notice in a Cache, worked out once; see Variants
}

// Variants are those of the version's notice.
func (v *Version) Variants() *Variants {
	if v.variants != nil {
		return v.variants
	}
	return v.Notice.Variants()
}

// Store reads and writes sites. It is safe for concurrent use, also by several
// processes on one database.
type Store struct {
	db        *db.DB
	compile   func(n *Notice, version string) (*Bundle, error)
	createLog func(ctx context.Context, tx *sql.Tx, siteID int64, key string) error
	now       func() time.Time
	published func(ctx context.Context, tx *sql.Tx, v *Version) error              // see OnPublish; nil: nobody is told
	promise   func(ctx context.Context, tx *sql.Tx, id string, at time.Time) error // see OnSchedule; nil: nothing can be scheduled
	wake      func()
}

// NewStore makes a store. compile turns a version into its script when it is
// published; createLog gives a new site its empty register in the same
// transaction.
func NewStore(d *db.DB, compile func(*Notice, string) (*Bundle, error),
	createLog func(ctx context.Context, tx *sql.Tx, siteID int64, key string) error) *Store {
	return &Store{db: d, compile: compile, createLog: createLog, now: time.Now}
}

// Add creates a site of the first organisation: Create without settings.
func (s *Store) Add(ctx context.Context, domains []string, name, by string, languages ...string) (*Site, error) {
	return s.AddTo(ctx, db.FirstOrganisation, domains, name, by, languages...)
}

// AddTo creates a site of an organisation: Create without settings.
func (s *Store) AddTo(ctx context.Context, organisation string, domains []string, name, by string, languages ...string) (*Site, error) {
	return s.Create(ctx, New{Organisation: organisation, Domains: domains, Name: name, By: by, Languages: languages})
}

// New says what a new site is like.
type New struct {
	Organisation string // whose it is
	Domains      []string
	Name         string   // "": the first domain stands in
	By           string   // who adds it
	Languages    []string // the first one stands in for every other; none: English
	Apart        bool     // see Notice
}

// Create creates a site with a default notice and publishes its first version.
func (s *Store) Create(ctx context.Context, wish New) (*Site, error) {
	domains, err := normaliseDomains(wish.Domains)
	if err != nil {
		return nil, err
	}
	if err := knownLanguages(wish.Languages); err != nil {
		return nil, err
	}
	name, by := strings.TrimSpace(wish.Name), wish.By
	if name == "" {
		name = domains[0]
	}
	key := strings.ToLower(rand.Text()[:12])
	n := DefaultNotice(key, name, wish.Languages...)
	n.Apart = wish.Apart
	v, bundle, err := s.seal(n, domains)
	if err != nil {
		return nil, err
	}
	draft, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	now := s.now()
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		id, err := insertSite(ctx, tx, wish.Organisation, key, name, string(draft), now)
		if err != nil {
			return err
		}
		if err := replaceDomains(ctx, tx, id, domains); err != nil {
			return err
		}
		if err := s.createLog(ctx, tx, id, key); err != nil {
			return err
		}
		v.SiteID, v.Number, v.PublishedAt, v.PublishedBy = id, 1, now, by
		if err := insertVersion(ctx, tx, v, bundle); err != nil {
			return err
		}
		if err := s.recordNames(ctx, tx, Added, key, nil, name, domains); err != nil {
			return err
		}
		return touch(ctx, tx, key, now)
	})
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, key)
}

// knownLanguages refuses one that there are no default words in.
func knownLanguages(languages []string) error {
	for i, language := range languages {
		if _, ok := i18n.Default(language); !ok {
			var tags []string
			for _, l := range i18n.Languages() {
				tags = append(tags, l.Tag)
			}
			slices.Sort(tags)
			return fault.New(fault.Invalid, "There are no default texts in %q. Use one of %s; any other language can be added and written in the console.", language, strings.Join(tags, ", "))
		}
		if slices.Contains(languages[:i], language) {
			return fault.New(fault.Invalid, "The language %s is there twice.", language)
		}
	}
	return nil
}

// SetDomains replaces a site's domains and, unless it is empty, its name, and
// compiles the script in force for them.
func (s *Store) SetDomains(ctx context.Context, key string, domains []string, name string) error {
	domains, err := normaliseDomains(domains)
	if err != nil {
		return err
	}
	before, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	v, err := s.Version(ctx, before.Version)
	if err != nil {
		return err
	}
	bundle, err := s.compileFor(v, domains)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		site, err := getSite(ctx, tx, key)
		if err != nil {
			return err
		}
		if site.Version != before.Version {
			return fault.New(fault.Conflict, "A new version of %s was published just now. Try again.", key)
		}
		if name = strings.TrimSpace(name); name == "" {
			name = site.Name
		} else {
			if _, err := tx.ExecContext(ctx, "update site set name = $1 where id = $2", name, site.ID); err != nil {
				return err
			}
		}
		if err := replaceDomains(ctx, tx, site.ID, domains); err != nil {
			return err
		}
		if err := upsertBundle(ctx, tx, v.Version, bundle); err != nil {
			return err
		}
		if err := s.recordNames(ctx, tx, Renamed, key, site, name, domains); err != nil {
			return err
		}
		return touch(ctx, tx, key, s.now())
	})
}

// Draft is the notice as it is being edited.
func (s *Store) Draft(ctx context.Context, key string) (*Notice, error) {
	var draft string
	err := s.db.Read().QueryRowContext(ctx, "select draft from site where site = $1", key).Scan(&draft)
	if err != nil {
		return nil, s.explain(err, key)
	}
	n := new(Notice)
	if err := json.Unmarshal([]byte(draft), n); err != nil {
		return nil, err
	}
	return n, nil
}

// SaveDraft validates and keeps a draft; nothing reaches visitors before Publish.
func (s *Store) SaveDraft(ctx context.Context, key string, n *Notice) error {
	c := *n
	c.Schema, c.Site = 1, key
	if err := c.Validate(); err != nil {
		return err
	}
	draft, err := json.Marshal(&c)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var id int64
		var was string
		if err := tx.QueryRowContext(ctx, "select id, draft from site where site = $1", key).Scan(&id, &was); err != nil {
			return s.explain(err, key)
		}
		before := new(Notice)
		if err := json.Unmarshal([]byte(was), before); err != nil {
			return err
		}
		if err := noteStale(ctx, tx, id, before, &c); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "update site set draft = $1, changed_at = $2 where site = $3", string(draft), s.now().UnixMilli(), key); err != nil {
			return err
		}
		return s.recordDraft(ctx, tx, key, was, string(draft))
	})
}

// Publish seals the draft as a new version and puts it in force. A draft equal
// to the version in force is a Conflict; a draft equal to an older version puts
// that one in force again.
func (s *Store) Publish(ctx context.Context, key, by string) (*Version, error) {
	n, err := s.Draft(ctx, key)
	if err != nil {
		return nil, err
	}
	return s.publish(ctx, key, n, by, nil)
}

// publish seals a notice and puts it in force; also runs in the same transaction.
func (s *Store) publish(ctx context.Context, key string, n *Notice, by string, also func(tx *sql.Tx) error) (*Version, error) {
	before, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	v, bundle, err := s.seal(n, before.Domains)
	if err != nil {
		return nil, err
	}
	return s.enforce(ctx, Published, key, v, bundle, by, also)
}

// enforce puts a sealed version in force, a new one or one that was there before;
// action is what the audit log calls it.
func (s *Store) enforce(ctx context.Context, action, key string, v *Version, bundle *Bundle, by string, also func(tx *sql.Tx) error) (*Version, error) {
	now := s.now()
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		site, err := getSite(ctx, tx, key)
		if err != nil {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		if site.Version == v.Version {
			return fault.New(fault.Conflict, "The draft is the same as the version in force. Change something before you publish.")
		}
		old, err := versionHead(ctx, tx, v.Version)
		if err == nil { // rolled back to an older version
			old.Notice, old.Content, v = v.Notice, v.Content, old
			if err := upsertBundle(ctx, tx, v.Version, bundle); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, "update site set version = $1 where id = $2", v.Version, site.ID)
		} else {
			v.SiteID, v.PublishedAt, v.PublishedBy = site.ID, now, by
			if err = tx.QueryRowContext(ctx, "select coalesce(max(number), 0) + 1 from notice_version where site_id = $1", site.ID).Scan(&v.Number); err != nil {
				return err
			}
			err = insertVersion(ctx, tx, v, bundle)
		}
		if err == nil && s.published != nil {
			err = s.published(ctx, tx, v)
		}
		if err != nil {
			return err
		}
		if err := s.recordVersion(ctx, tx, action, key, site.Version, v); err != nil {
			return err
		}
		return touch(ctx, tx, key, now)
	})
	if err != nil {
		return nil, err
	}
	return v, nil
}

// seal validates a notice, names its version and compiles its script.
func (s *Store) seal(n *Notice, domains []string) (*Version, *Bundle, error) {
	if err := n.Validate(); err != nil {
		return nil, nil, err
	}
	content, err := n.Canonical()
	if err != nil {
		return nil, nil, err
	}
	hash := sha256.Sum256(content)
	v := &Version{Version: hex.EncodeToString(hash[:]), Site: n.Site, Notice: n, Content: content}
	bundle, err := s.compileFor(v, domains)
	return v, bundle, err
}

func (s *Store) compileFor(v *Version, domains []string) (*Bundle, error) {
	n := *v.Notice
	n.Domains = domains
	return s.compile(&n, v.Version)
}

// Recompile compiles the scripts in force that another build made, after an
// upgrade of the binary. It returns how many it made.
func (s *Store) Recompile(ctx context.Context, build string) (int, error) {
	versions, err := s.staleVersions(ctx, build)
	if err != nil {
		return 0, err
	}
	for i, hash := range versions {
		v, err := s.Version(ctx, hash)
		if err != nil {
			return i, err
		}
		of, err := s.Get(ctx, v.Site)
		if err != nil {
			return i, err
		}
		bundle, err := s.compileFor(v, of.Domains)
		if err != nil {
			return i, err
		}
		err = s.db.Write(ctx, func(tx *sql.Tx) error {
			if err := upsertBundle(ctx, tx, hash, bundle); err != nil {
				return err
			}
			return touch(ctx, tx, v.Site, s.now())
		})
		if err != nil {
			return i, err
		}
	}
	return len(versions), nil
}
