package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"assent/internal/consent"
	"assent/internal/db"
	"assent/internal/register"
	"assent/receipt"

	"github.com/google/uuid"
)

// fillSpec says how many records to put into a store's register.
type fillSpec struct {
	Store   store
	Records int
}

// writers is how many callers fill the register at the same time: each waits
// for the commit that holds its record, so many share one.
const writers = 8192

// fillPeriod is the time that the records are spread over, up to now.
const fillPeriod = 90 * 24 * time.Hour

// fill appends records through the register's own Append, so that what is
// measured on top of them is what years of use would have left.
func fill(ctx context.Context, s fillSpec) error {
	d, err := db.Open(ctx, db.Options{Dir: s.Store.Dir, URL: s.Store.URL})
	if err != nil {
		return err
	}
	defer d.Close()
	key, err := register.LoadKey(ctx, d, s.Store.Dir)
	if err != nil {
		return err
	}
	r, err := register.Open(ctx, register.Config{DB: d, Key: key, QueueLimit: 2 * writers, BatchLimit: writers})
	if err != nil {
		return err
	}
	if d.Engine == db.SQLite { // nothing is lost by a crash but time: the copy is made durable below
		for _, pragma := range []string{"pragma synchronous = off", "pragma cache_size = -262144", "pragma wal_autocheckpoint = 20000"} {
			if _, err := d.Writer().ExecContext(ctx, pragma); err != nil {
				return err
			}
		}
	}
	var next atomic.Int64
	var work sync.WaitGroup
	failed := make(chan error, writers)
	begin := time.Now().Add(-fillPeriod)
	for range min(writers, s.Records) {
		work.Go(func() {
			ids := newIDSource()
			for {
				i := next.Add(1)
				if i > int64(s.Records) {
					return
				}
				at := begin.Add(time.Duration(float64(fillPeriod) * float64(i) / float64(s.Records)))
				if _, _, err := r.Append(ctx, fillEntry(&s.Store, ids, at, i)); err != nil {
					failed <- fmt.Errorf("record %d: %w", i, err)
					return
				}
			}
		})
	}
	work.Wait()
	close(failed)
	if err := errors.Join(<-failed, r.Close(ctx)); err != nil || d.Engine != db.SQLite {
		return err
	}
	for _, pragma := range []string{"pragma synchronous = full", "pragma wal_checkpoint(truncate)"} {
		if _, err := d.Writer().ExecContext(ctx, pragma); err != nil {
			return err
		}
	}
	return nil
}

func fillEntry(s *store, ids *idSource, at time.Time, i int64) register.Entry {
	at = at.UTC().Truncate(time.Millisecond)
	record, visitor := uuid.UUID(ids.uuid(uint64(at.UnixMilli()))), uuid.UUID(ids.uuid(0))
	all := i%2 == 0
	action, status := consent.Save, consent.AcceptedPartially
	if all {
		action, status = consent.AcceptAll, consent.AcceptedAll
	}
	r := receipt.Record{
		Type: receipt.RecordType, Time: at.Format(receipt.TimeLayout), RecordID: record.String(), ConsentID: visitor.String(),
		Site: s.Site, Version: s.Version, Action: action, Source: "banner", Status: status,
		Categories: map[string]bool{"functional": true, "analytics": all, "advertising": all},
		Services:   map[string]bool{"example-functional": true, "example-analytics": all, "example-advertising": all},
		Language:   "en", Page: domain + "/products/blue-kettle", Device: "desktop", Browser: "chrome",
		Network: fmt.Sprintf("198.51.%d.0/24", i%256), Country: "DE",
	}
	return register.Entry{SiteID: s.SiteID, RecordID: record, ConsentID: visitor, Time: at, Payload: r.Canonical()}
}
