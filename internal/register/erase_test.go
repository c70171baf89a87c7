package register

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/receipt"

	"github.com/google/uuid"
)

// eraseIndexes erases the records at some indexes of a site.
func eraseIndexes(t *testing.T, r *Register, siteID int64, reason Reason, indexes ...int64) Removed {
	t.Helper()
	done, err := r.Erase(t.Context(), Erasing{SiteID: siteID, Reason: reason, Next: once(indexes)})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestErasingARecord(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		w := &watcher{r: r, site: 1}
		var entries []Entry
		for range 5 {
			e := entry(1)
			mustAppend(t, r, e)
			entries = append(entries, e)
		}
		w.check(t, 5)
		kept, err := r.Receipt(t.Context(), entries[2].RecordID)
		if err != nil {
			t.Fatal(err)
		}
		done, err := r.EraseRecord(t.Context(), entries[2].RecordID, OnRequest)
		if err != nil || done.Records != 1 || len(done.Acts) != 1 || done.Acts[0] != 5 {
			t.Fatalf("EraseRecord = %+v, %v; want one record and a leaf at 5", done, err)
		}
		w.check(t, 6)

		_, err = r.Find(t.Context(), entries[2].RecordID)
		wantKind(t, err, fault.Gone)
		_, err = r.Receipt(t.Context(), entries[2].RecordID)
		wantKind(t, err, fault.Gone)
		if !strings.Contains(fault.Message(err), "erased on ") {
			t.Errorf("the sentence says no day: %s", fault.Message(err))
		}
		_, err = r.EraseRecord(t.Context(), entries[2].RecordID, OnRequest)
		wantKind(t, err, fault.Gone)
		_, err = r.EraseRecord(t.Context(), uuid.New(), OnRequest)
		wantKind(t, err, fault.NotFound)
		for range 2 { // the first makes the writer wary, the second is met by a wary one
			_, _, err = r.Append(t.Context(), entries[2])
			wantKind(t, err, fault.Gone)
		}
		mustAppend(t, r, entry(1))
		_, _, err = r.Append(t.Context(), entries[2])
		wantKind(t, err, fault.Gone)
		mustAppend(t, r, entry(1))
		w.check(t, 8)

		if result, err := receipt.Verify(kept, ""); err != nil || !result.Valid {
			t.Errorf("the receipt that the visitor kept: %v %+v", err, result)
		}
		mustVerify(t, r, mustFind(t, r, entries[3].RecordID))
		report := mustFsck(t, r)
		if !report.OK() || report.Records != 6 || report.Erased != 1 || report.Erasures != 1 {
			t.Errorf("fsck: %+v", report)
		}
		wantIndexes(t, r, Query{SiteID: 1}, "[7 6 4 3 1 0]")
	})
}

func mustFind(t *testing.T, r *Register, id uuid.UUID) Stored {
	t.Helper()
	s, err := r.Find(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestErasingAConsentIDAndASite(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		addSite(t, d, r, 2)
		visitor := uuid.New()
		mine := func(r *receipt.Record) { r.ConsentID = visitor.String() }
		load(t, r, 1500, 64)
		for range 3 {
			mustAppend(t, r, entry(1, mine))
		}
		mustAppend(t, r, entry(2, mine))
		load(t, r, 600, 64)
		if done, err := r.EraseConsent(t.Context(), 1, visitor, OnRequest); err != nil || done.Records != 3 || len(done.Acts) != 1 {
			t.Fatalf("EraseConsent = %+v, %v", done, err)
		}
		wantIndexes(t, r, Query{SiteID: 1, ConsentID: visitor}, "[]")
		wantIndexes(t, r, Query{SiteID: 2, ConsentID: visitor}, "[0]")
		mustSound(t, r)

		// Whole runs go, and one that is not full yet.
		done, err := r.EraseSite(t.Context(), 1, Closed)
		if err != nil || done.Records != 2100 || len(done.Acts) != 3 {
			t.Fatalf("EraseSite = %+v, %v", done, err)
		}
		mustSound(t, r)
		load(t, r, 1200, 64) // the run of the erasure leaves is filled and entered
		report := mustFsck(t, r)
		if !report.OK() || report.Records != 1201 || report.Erased != 2103 || report.Erasures != 4 {
			t.Errorf("fsck: %+v", report)
		}
		mustVerify(t, r, mustFind(t, r, mustAppend(t, r, entry(1)).RecordID))
		if found, err := r.Search(t.Context(), Query{SiteID: 1, From: testTime.AddDate(-1, 0, 0), Limit: 1000}); err != nil || len(found) != 1000 {
			t.Errorf("by time: %d, %v", len(found), err)
		}
	})
}

// A run of which nothing is left has a span that no search finds.
func TestErasedBeforeItsRunIsFull(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		load(t, r, 1020, 64)
		if _, err := r.EraseSite(t.Context(), 1, Test); err != nil {
			t.Fatal(err)
		}
		for range 8 {
			e := entry(1)
			s := mustAppend(t, r, e)
			if s.Index >= 1<<runBits {
				break
			}
			eraseIndexes(t, r, 1, Test, s.Index)
		}
		mustSound(t, r)
	})
}

// An erased record that comes again where it would fill a run is refused, and
// leaves nothing of the run behind.
func TestErasedOneThatWouldFillARun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		e := entry(1)
		mustAppend(t, r, e)
		load(t, r, 1<<runBits-3, 64)
		if _, err := r.EraseRecord(t.Context(), e.RecordID, OnRequest); err != nil {
			t.Fatal(err)
		}
		_, _, err := r.Append(t.Context(), e)
		wantKind(t, err, fault.Gone)
		if s := mustAppend(t, r, entry(1)); s.Index != 1<<runBits-1 {
			t.Errorf("the record is at %d", s.Index)
		}
		if report := mustFsck(t, r); !report.OK() || report.Records != 1<<runBits-2 || report.Erased != 1 {
			t.Errorf("fsck: %+v", report)
		}
	})
}

func TestCertificates(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		load(t, r, 300, 64)
		done, err := r.Erase(t.Context(), Erasing{SiteID: 1, Reason: Retention, Rule: "eu: 24 months", Next: once([]int64{1, 2, 3, 9, 200})})
		if err != nil {
			t.Fatal(err)
		}
		done2 := eraseIndexes(t, r, 1, OnRequest, 299)
		files, err := r.Certificates(t.Context(), 1, append(done2.Acts, done.Acts...))
		if err != nil || len(files) != 1 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		state, err := r.State(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		result, err := receipt.VerifyCertificate(files[0], state.Key)
		if err != nil || !result.Valid || !result.KeyTrusted || result.Erased != 6 || len(result.Statements) != 2 {
			t.Fatalf("%v %+v", err, result)
		}
		if s := result.Statements[0]; s.Rule != "eu: 24 months" || fmt.Sprint(s.Erased) != "[[1 3] [9 9] [200 200]]" {
			t.Errorf("%+v", s)
		}
		_, err = r.Certificates(t.Context(), 1, []int64{5})
		wantKind(t, err, fault.NotFound)
	})
}

func TestFsckHoldsTheLedgerAgainstTheLog(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		load(t, r, 600, 64)
		eraseIndexes(t, r, 1, OnRequest, 3, 4, 5, 300, 599)
		mustSound(t, r)
		const row = "erasure where site_id = 1 and idx = 600"
		set := func(change, undo string) func(t *testing.T) func() {
			return func(t *testing.T) func() {
				exec(t, d, change)
				return func() { exec(t, d, undo) }
			}
		}
		for name, c := range map[string]struct {
			damage func(t *testing.T) (undo func())
			want   string
		}{
			"the salt of an erasure":       {func(t *testing.T) func() { return flip(t, d, "salt", row, 3) }, "index 600: the statement of the erasure, or its salt, was changed"},
			"a count in the ledger":        {set("update erasure set count = count + 1", "update erasure set count = count - 1"), "statement and its row in the ledger differ"},
			"a time in the ledger":         {set("update erasure set time = time + 1", "update erasure set time = time - 1"), "statement and its row in the ledger differ"},
			"an erasure without its row":   {set("update erasure set site_id = 9", "update erasure set site_id = 1"), "the record at index 600 is missing"},
			"a record without its row":     {set("update erased set place = place + 100 where place = "+fmt.Sprint(placeOf(1, 300)), "update erased set place = place - 100 where place = "+fmt.Sprint(placeOf(1, 400))), "the record at index 300 is missing"},
			"a record that is still there": {set("update erased set place = place + 100 where place = "+fmt.Sprint(placeOf(1, 300)), "update erased set place = place - 100 where place = "+fmt.Sprint(placeOf(1, 400))), "at index 400: the erasure at index 600 says that it is gone"},
			"another act":                  {set("update erased set act = 7", "update erased set act = 600"), "5 records are said to be erased by a leaf here"},
			"a record that only vanished":  {func(t *testing.T) func() { return remove(t, d, 44) }, "the record at index 44 is missing"},
		} {
			t.Run(name, func(t *testing.T) {
				undo := c.damage(t)
				if report := mustFsck(t, r); report.OK() || !strings.Contains(fmt.Sprint(report.Findings), c.want) {
					t.Errorf("nothing says %q in %v", c.want, report.Findings)
				}
				undo()
				mustSound(t, r)
			})
		}
	})
}

// Two processes on one database: one takes decisions, the other erases.
func TestErasingBesideAnotherProcess(t *testing.T) {
	eachAddress(t, func(t *testing.T, o db.Options) {
		server := open(t, dbtest.Open(t, o))
		addSite(t, server.db, server, 1)
		load(t, server, 2000, 64)
		command := open(t, dbtest.Open(t, o))
		ctx, stop := context.WithCancel(t.Context())
		var work sync.WaitGroup
		for range 8 {
			work.Go(func() {
				for ctx.Err() == nil {
					e := entry(1)
					if _, _, err := server.Append(t.Context(), e); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		done, err := command.EraseSite(t.Context(), 1, Closed)
		if err != nil || done.Records < 2000 {
			t.Errorf("EraseSite = %+v, %v", done, err)
		}
		if err := command.Seal(t.Context()); err != nil {
			t.Error(err)
		}
		stop()
		work.Wait()
		report := mustFsck(t, server)
		if !report.OK() || report.Erased != done.Records {
			t.Errorf("%d erased; fsck: %+v", done.Records, report)
		}
	})
}

// An act is there whole or not at all: what a full disk or a crash left is
// erased by the same call again.
func TestErasingIsWholeOrNotAtAll(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		load(t, r, 100, 64)
		// The ledger cannot take the last of them.
		exec(t, d, "insert into erased (place, mark, act) values ($1, $2, 0)", placeOf(1, 50), make([]byte, 16))
		_, err := r.Erase(t.Context(), Erasing{SiteID: 1, Reason: OnRequest, Next: once([]int64{48, 49, 50})})
		if err == nil {
			t.Fatal("it was erased although the ledger could not say so")
		}
		exec(t, d, "delete from erased")
		mustSound(t, r)
		if done := eraseIndexes(t, r, 1, OnRequest, 48, 49, 50); done.Records != 3 {
			t.Errorf("%+v", done)
		}
		if done := eraseIndexes(t, r, 1, OnRequest, 48, 49, 50); done.Records != 0 || len(done.Acts) != 0 {
			t.Errorf("again: %+v", done)
		}
		mustSound(t, r)
	})
}

// What was erased is in no file, although it was moved from page to page before:
// the logs of two sites grow by turns, so that pages split in the middle of the
// table, and records go here and there, so that pages are joined.
func TestErasedBytesAreInNoFile(t *testing.T) {
	dir := t.TempDir()
	d := dbtest.Open(t, db.Options{Dir: dir})
	r := open(t, d)
	for id := range int64(3) {
		addSite(t, d, r, id+1)
	}
	const records = 2400
	var work sync.WaitGroup
	for i := range records {
		work.Go(func() {
			if _, _, err := r.Append(t.Context(), entry(int64(i%3+1))); err != nil {
				t.Error(err)
			}
		})
		if i%300 == 0 {
			work.Wait()
		}
	}
	work.Wait()
	// A quarter of the records stays, so that pages stay in use.
	shuffled := rand.New(rand.NewPCG(1, 2)).Perm(records / 3)[:records/4]
	var places []string
	for _, i := range shuffled {
		places = append(places, fmt.Sprint(placeOf(1, int64(i))), fmt.Sprint(placeOf(2, int64(i))))
	}
	secrets := secretsOf(t, d, "place in ("+strings.Join(places, ",")+")")
	if found := inFiles(t, dir, secrets); found < len(secrets)/2 {
		t.Fatalf("only %d of %d pieces are found before erasing: the search does not work", found, len(secrets))
	}
	for len(shuffled) > 0 { // in small parts, each of which leaves its neighbours to be moved
		var part []int64
		for _, i := range shuffled[:min(100, len(shuffled))] {
			part = append(part, int64(i))
		}
		shuffled = shuffled[len(part):]
		for site := int64(1); site < 3; site++ {
			eraseIndexes(t, r, site, OnRequest, slices.Sorted(slices.Values(part))...)
		}
	}
	t.Logf("%d of %d pieces are found before sealing", inFiles(t, dir, secrets), len(secrets))
	if err := r.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := inFiles(t, dir, secrets); found != 0 {
		t.Errorf("%d of %d pieces are still in the files", found, len(secrets))
	}
	var check string
	if err := d.Read().QueryRow("pragma integrity_check").Scan(&check); err != nil || check != "ok" {
		t.Errorf("integrity_check: %s, %v", check, err)
	}
	mustSound(t, r)
}

// secretsOf are the salts, the IDs and pieces of the payloads of records.
func secretsOf(t *testing.T, d *db.DB, where string) map[uint64]string {
	t.Helper()
	rows, err := d.Read().Query("select record_id, consent_id, salt, payload from record where " + where)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	secrets := map[uint64]string{}
	for rows.Next() {
		var record, consent, salt, payload []byte
		if err := rows.Scan(&record, &consent, &salt, &payload); err != nil {
			t.Fatal(err)
		}
		id, visitor := uuid.UUID(record).String(), uuid.UUID(consent).String()
		for what, piece := range map[string][]byte{"record ID": record[8:], "consent ID": consent[8:], "salt": salt[:8], "end of salt": salt[24:],
			"record ID in the payload": []byte(id[24:32]), "consent ID in the payload": []byte(visitor[24:32])} {
			secrets[binary.LittleEndian.Uint64(piece)] = what
		}
	}
	return secrets
}

// inFiles counts the secrets, 8 bytes each, that are in a file of the folder.
func inFiles(t *testing.T, dir string, secrets map[uint64]string) int {
	t.Helper()
	found := map[uint64]bool{}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+8 <= len(data); i++ {
			piece := binary.LittleEndian.Uint64(data[i:])
			if what, ok := secrets[piece]; ok && !found[piece] {
				found[piece] = true
				if len(found) < 4 {
					t.Logf("%s: %s at %d", filepath.Base(file), what, i)
				}
			}
		}
	}
	return len(found)
}
