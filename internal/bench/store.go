package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"assent/internal/app"
	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/site"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that copies databases
)

// domain of the site that is loaded.
const domain = "shop.example"

// store is a database with one site, published. Exactly one of Dir and URL is
// set.
type store struct {
	Dir, URL string
	SiteID   int64
	Site     string // key
	Version  string // in force
}

func (s store) flags() []string {
	if s.URL != "" {
		return []string{"--database", s.URL}
	}
	return []string{"--data", s.Dir}
}

func (s store) config() app.Config { return app.Config{Dir: s.Dir, URL: s.URL} }

// stores makes databases: a site is set up once for each engine and copied.
type stores struct {
	dir      string // temporary folder of the bench
	records  int    // in a full register
	log      func(format string, args ...any)
	cluster  string // PostgreSQL, without the database's name; "" until it runs
	sqlite   *store // template, and what is full
	postgres *store
	full     map[db.Engine]*store
	count    int
}

// empty copies the template: a store with the site and an empty register.
func (s *stores) empty(ctx context.Context, e db.Engine) (*store, error) {
	s.count++
	if e == db.SQLite {
		t, err := s.sqliteTemplate(ctx)
		if err != nil {
			return nil, err
		}
		c := *t
		c.Dir = filepath.Join(s.dir, fmt.Sprintf("data%d", s.count))
		return &c, copyFolder(c.Dir, t.Dir)
	}
	t, err := s.postgresTemplate(ctx)
	if err != nil {
		return nil, err
	}
	c := *t
	name := fmt.Sprintf("bench%d", s.count)
	c.URL = s.cluster + "/" + name
	return &c, s.administer(ctx, "create database "+name+" template bench_template")
}

// copyFolder copies files with their modes: the signing key has to stay private.
func copyFolder(to, from string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), data, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a store that empty made.
func (s *stores) remove(ctx context.Context, st *store) error {
	if st.Dir != "" {
		return os.RemoveAll(st.Dir)
	}
	u, err := url.Parse(st.URL)
	if err != nil {
		return err
	}
	return s.administer(ctx, "drop database "+u.Path[1:]+" with (force)")
}

func (s *stores) sqliteTemplate(ctx context.Context) (*store, error) {
	if s.sqlite != nil {
		return s.sqlite, nil
	}
	t := store{Dir: filepath.Join(s.dir, "template")}
	if err := setUp(ctx, &t); err != nil {
		return nil, err
	}
	s.sqlite = &t
	return s.sqlite, nil
}

func (s *stores) postgresTemplate(ctx context.Context) (*store, error) {
	if s.postgres != nil {
		return s.postgres, nil
	}
	s.log("starting PostgreSQL with fsync on")
	address, err := dbtest.StartPostgres()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	u.Path = ""
	s.cluster = u.String()
	if err := s.administer(ctx, "create database bench_template"); err != nil {
		return nil, err
	}
	t := store{URL: s.cluster + "/bench_template"}
	if err := setUp(ctx, &t); err != nil {
		return nil, err
	}
	s.postgres = &t
	return s.postgres, nil
}

func (s *stores) administer(ctx context.Context, statements ...string) error {
	return execute(ctx, s.cluster+"/postgres", statements...)
}

func execute(ctx context.Context, address string, statements ...string) error {
	pool, err := sql.Open("pgx", address)
	if err != nil {
		return err
	}
	defer pool.Close()
	for _, q := range statements {
		if _, err := pool.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// postgresVersion is what the server says it is.
func (s *stores) postgresVersion(ctx context.Context) (v string) {
	if s.cluster == "" {
		return ""
	}
	pool, err := sql.Open("pgx", s.cluster+"/postgres")
	if err != nil {
		return ""
	}
	defer pool.Close()
	pool.QueryRowContext(ctx, "select current_setting('server_version') || ', fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit')").Scan(&v)
	return v
}

// setUp creates the schema, the site, and a notice with a service in each
// optional category, as a shop has them.
func setUp(ctx context.Context, s *store) error {
	parts, err := app.Open(ctx, s.config())
	if err != nil {
		return err
	}
	defer parts.Close()
	added, err := parts.Sites.Add(ctx, []string{domain}, "Benchmark shop", app.CommandLine)
	if err != nil {
		return err
	}
	n, err := parts.Sites.Draft(ctx, added.Key)
	if err != nil {
		return err
	}
	for _, category := range []string{"functional", "analytics", "advertising"} {
		n.Services = append(n.Services, site.Service{
			Key: "example-" + category, Name: "Example " + category, Category: category, Provider: "Example Ltd", Country: "DE",
			Purpose: map[string]string{"en": "Example of a service for " + category + "."}, PolicyURL: "https://example.com/privacy",
			Hosts:    []string{category + ".example.com"},
			Trackers: []site.Tracker{{Kind: "cookie", Name: "_ex_" + category, Lifetime: "13 months"}},
		})
	}
	if err := parts.Sites.SaveDraft(ctx, added.Key, n); err != nil {
		return err
	}
	v, err := parts.Sites.Publish(ctx, added.Key, app.CommandLine)
	if err != nil {
		return err
	}
	s.SiteID, s.Site, s.Version = added.ID, added.Key, v.Version
	return nil
}

// fullOf is the store with many records, filled when it is first asked for.
func (s *stores) fullOf(ctx context.Context, e db.Engine) (*store, error) {
	if st := s.full[e]; st != nil {
		return st, nil
	}
	st, err := s.empty(ctx, e)
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx, st, e, s.records); err != nil {
		return nil, err
	}
	if s.full == nil {
		s.full = map[db.Engine]*store{}
	}
	s.full[e] = st
	return st, nil
}

// fill puts records into a store's register.
func (s *stores) fill(ctx context.Context, st *store, e db.Engine, records int) error {
	cmd, err := role("fill")
	if err != nil {
		return err
	}
	spec, err := json.Marshal(fillSpec{*st, records})
	if err != nil {
		return err
	}
	if st.URL != "" { // made durable by the checkpoint below
		name := st.URL[strings.LastIndex(st.URL, "/")+1:]
		if err := s.administer(ctx, "alter database "+name+" set synchronous_commit = off"); err != nil {
			return err
		}
		defer s.administer(ctx, "alter database "+name+" reset synchronous_commit")
	}
	s.log("filling a register on %s with %d records", e, records)
	begin := time.Now()
	if _, err := output(ctx, cmd, spec, 40*time.Minute); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	s.log("filled in %s", time.Since(begin).Round(time.Second))
	if st.URL == "" {
		return nil
	}
	// What autovacuum and the checkpointer would do some minutes later.
	return execute(ctx, st.URL, "vacuum analyze", "checkpoint")
}

// size is how many records the store's register has.
func (s store) size(ctx context.Context) (int64, error) {
	parts, err := app.Open(ctx, s.config())
	if err != nil {
		return 0, err
	}
	defer parts.Close()
	state, err := parts.Register.State(ctx, s.SiteID)
	return state.Size, err
}
