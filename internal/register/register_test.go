package register

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/receipt"

	"github.com/google/uuid"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))

// open opens a register that the test closes.
func open(t testing.TB, d *db.DB) *Register {
	t.Helper()
	r, err := Open(t.Context(), Config{DB: d, Key: testKey, Same: sameDecision})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

// sameDecision compares what a visitor chose and leaves out when it arrived.
func sameDecision(stored, again []byte) bool {
	a, errA := receipt.ParseRecord(stored)
	b, errB := receipt.ParseRecord(again)
	if errA != nil || errB != nil {
		return false
	}
	a.Time, b.Time = "", ""
	return bytes.Equal(a.Canonical(), b.Canonical())
}

// addSite makes a site and its empty log, as site.Store does.
func addSite(t testing.TB, d *db.DB, r *Register, id int64) {
	t.Helper()
	err := d.Write(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.Exec("insert into site (id, site, name, draft, created_at, changed_at) values ($1, $2, '', '', 0, 0)", id, siteKey(id))
		if err != nil {
			return err
		}
		return r.CreateLog(context.Background(), tx, id, "consent.shop.example/log/"+siteKey(id))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func siteKey(id int64) string { return fmt.Sprintf("site%d", id) }

var testTime = time.Date(2026, 11, 21, 20, 11, 33, 42_000_000, time.UTC)

// entry makes an entry with new IDs; change edits the record before.
func entry(siteID int64, change ...func(*receipt.Record)) Entry {
	e := Entry{SiteID: siteID, RecordID: uuid.Must(uuid.NewV7()), ConsentID: uuid.New(), Time: testTime}
	record := receipt.Record{
		Action: "save", Browser: "firefox", ConsentID: e.ConsentID.String(), Country: "DE", Device: "mobile",
		Categories: map[string]bool{"functional": true, "analytics": false, "advertising": false},
		Language:   "de", Network: "203.0.113.0/24", Page: "shop.example/grüße", RecordID: e.RecordID.String(),
		Services: map[string]bool{"example-video": true, "example-analytics": false},
		Site:     siteKey(siteID), Source: "banner", Status: "accepted_partially", Time: testTime.Format(receipt.TimeLayout),
		Type: receipt.RecordType, Version: strings.Repeat("ab", 32),
	}
	for _, c := range change {
		c(&record)
	}
	e.RecordID, e.ConsentID = uuid.MustParse(record.RecordID), uuid.MustParse(record.ConsentID)
	e.Time, _ = time.Parse(receipt.TimeLayout, record.Time)
	e.Payload = record.Canonical()
	return e
}

func mustAppend(t testing.TB, r *Register, e Entry) Stored {
	t.Helper()
	s, repeated, err := r.Append(t.Context(), e)
	if err != nil || repeated {
		t.Fatalf("Append = %+v, repeated %v, %v; want a new record", s, repeated, err)
	}
	return s
}
