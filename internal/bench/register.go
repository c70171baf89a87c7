package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"assent/internal/app"
	"assent/internal/db"
	"assent/internal/register"

	"github.com/google/uuid"
)

// lookups is how many records are looked for, each at a random place.
const lookups = 2000

// measureRegister measures what a full register takes on the disk and how long
// it takes to find one record in it, by either of its IDs.
func (b *bench) measureRegister(ctx context.Context) error {
	for _, e := range []db.Engine{db.SQLite, db.Postgres} {
		st, err := b.stores.fullOf(ctx, e)
		if err != nil {
			return err
		}
		parts, err := app.Open(ctx, st.config())
		if err != nil {
			return err
		}
		err = b.measureOpenRegister(ctx, e, st, parts)
		parts.Close()
		if err != nil {
			return fmt.Errorf("register on %s: %w", engineName(e), err)
		}
	}
	return nil
}

func (b *bench) measureOpenRegister(ctx context.Context, e db.Engine, st *store, parts *app.Parts) error {
	state, err := parts.Register.State(ctx, st.SiteID)
	if err != nil {
		return err
	}
	records := thousands(float64(state.Size))
	bytes, err := diskBytes(ctx, st, parts.DB)
	if err != nil {
		return err
	}
	each := float64(bytes) / float64(state.Size)
	b.report.add(line{what: "bytes on disk per record, " + engineName(e), figure: fmt.Sprintf("%.0f bytes", each), beside: fmt.Sprintf("%s for %s records, with indexes, salts and tiles", mb(bytes), records),
		ratio: percent(each / limitBytes), limit: fmt.Sprintf("≤ %d bytes", limitBytes), ok: each <= limitBytes})
	var byRecord, byConsent []time.Duration
	for range lookups {
		record, consent, err := anyRecord(ctx, parts.DB, st.SiteID, state.Size)
		if err != nil {
			return err
		}
		begin := time.Now()
		if _, err := parts.Register.Find(ctx, record); err != nil {
			return err
		}
		byRecord = append(byRecord, time.Since(begin))
		begin = time.Now()
		found, err := parts.Register.Search(ctx, register.Query{SiteID: st.SiteID, ConsentID: consent, Limit: 50})
		if err != nil {
			return err
		}
		byConsent = append(byConsent, time.Since(begin))
		if !slices.ContainsFunc(found, func(s register.Stored) bool { return s.RecordID == record }) {
			return fmt.Errorf("a search by consent ID finds %d records, and not the one that has it", len(found))
		}
	}
	for _, row := range []struct {
		what  string
		times []time.Duration
	}{{"record ID", byRecord}, {"consent ID", byConsent}} {
		slices.Sort(row.times)
		p99 := row.times[len(row.times)*99/100]
		b.report.add(line{what: fmt.Sprintf("look-up by %s among %s, %s, p99", row.what, records, engineName(e)), figure: us(p99), beside: us(row.times[len(row.times)/2]) + " median",
			ratio: percent(float64(p99) / float64(limitLookup)), limit: "< " + ms(limitLookup), ok: p99 < limitLookup})
	}
	return nil
}

// anyRecord is the record at a random place, or the next one where that was erased.
func anyRecord(ctx context.Context, d *db.DB, site, size int64) (record, consent uuid.UUID, err error) {
	var r, c []byte
	err = d.Read().QueryRowContext(ctx, "select record_id, consent_id from record where place >= $1 order by place limit 1", site<<40|rand.Int64N(size)).Scan(&r, &c)
	copy(record[:], r)
	copy(consent[:], c)
	return record, consent, err
}

// diskBytes is what the database takes on the disk.
func diskBytes(ctx context.Context, st *store, d *db.DB) (total int64, err error) {
	if st.URL != "" {
		return total, d.Read().QueryRowContext(ctx, "select pg_database_size(current_database())").Scan(&total)
	}
	for _, name := range []string{"assent.db", "assent.db-wal"} {
		info, err := os.Stat(filepath.Join(st.Dir, name))
		if err != nil {
			return 0, err
		}
		total += info.Size()
	}
	return total, nil
}
