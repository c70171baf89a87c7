package site

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"assent/internal/db"
)

// The actions of the audit log that are about sites.
const (
	Added      = "site.add"
	Renamed    = "site.domains" // name or domains
	DraftSaved = "site.draft"
	Published  = "site.publish"

	Planned    = "site.schedule" // a version, for a day
	Cancelled  = "site.unschedule"
	RolledBack = "site.rollback"
)

// recordDraft enters what a draft changes.
func (s *Store) recordDraft(ctx context.Context, tx *sql.Tx, key, before, after string) error {
	fields := db.JSONFields([]byte(before), []byte(after))
	if len(fields) == 0 {
		return nil // saved as it was
	}
	return s.db.Record(ctx, tx, db.Change{Action: DraftSaved, Site: key, Fields: fields})
}

// recordNames enters a site's names before and after; nil for one that was not there.
func (s *Store) recordNames(ctx context.Context, tx *sql.Tx, action, key string, before *Site, name string, domains []string) error {
	was := map[string]string{}
	if before != nil {
		was = map[string]string{"name": before.Name, "domains": strings.Join(before.Domains, " ")}
	}
	return s.db.Record(ctx, tx, db.Change{Action: action, Site: key, Fields: db.Fields(was, map[string]string{"name": name, "domains": strings.Join(domains, " ")})})
}

// recordVersion enters which version is in force now, and how that came about.
func (s *Store) recordVersion(ctx context.Context, tx *sql.Tx, action, key, before string, v *Version) error {
	return s.db.Record(ctx, tx, db.Change{Action: action, Site: key, Target: v.Version, Detail: map[string]string{"number": strconv.Itoa(v.Number)},
		Fields: db.Fields(map[string]string{"version": before}, map[string]string{"version": v.Version})})
}
