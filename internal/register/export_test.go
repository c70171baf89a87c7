package register

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/receipt"

	"github.com/gowebpki/jcs"
)

func TestExportNDJSON(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		addSite(t, d, r, 2)
		var all []Stored
		for day := range 3 {
			all = append(all, mustAppend(t, r, entry(1, func(rec *receipt.Record) {
				rec.Time = testTime.AddDate(0, 0, day).Format(receipt.TimeLayout)
			})))
		}
		mustAppend(t, r, entry(2))
		var out bytes.Buffer
		n, err := r.Export(t.Context(), &out, ExportQuery{SiteID: 1, Format: "ndjson"})
		if err != nil || n != 3 {
			t.Fatal(n, err)
		}
		bundle, err := r.Tile(t.Context(), 1, bundleLevel, 0, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
			if canonical, err := jcs.Transform([]byte(line)); err != nil || string(canonical) != line {
				t.Errorf("line %d is not canonical: %s", i, line)
			}
			var got struct {
				Index  int64
				Record json.RawMessage
				Salt   string
			}
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatal(err)
			}
			if got.Index != int64(i) || string(got.Record) != string(all[i].Payload) {
				t.Errorf("line %d is %s", i, line)
			}
			salt, _ := base64.StdEncoding.DecodeString(got.Salt)
			if c := receipt.Commit(salt, got.Record); !bytes.Equal(c[:], slot(bundle, i, entrySize)[2:]) {
				t.Errorf("line %d does not give the commitment that is in the log", i)
			}
		}
		for name, c := range map[string]struct {
			from, to time.Time
			want     int64
		}{
			"the second day":  {testTime.AddDate(0, 0, 1), testTime.AddDate(0, 0, 2), 1},
			"from the second": {testTime.AddDate(0, 0, 1), time.Time{}, 2},
			"a later year":    {testTime.AddDate(1, 0, 0), time.Time{}, 0},
		} {
			n, err := r.Export(t.Context(), new(bytes.Buffer), ExportQuery{SiteID: 1, Format: "ndjson", From: c.from, To: c.to})
			if err != nil || n != c.want {
				t.Errorf("%s: %d records, %v; want %d", name, n, err, c.want)
			}
		}
		_, err = r.Export(t.Context(), new(bytes.Buffer), ExportQuery{SiteID: 1, Format: "xml"})
		wantKind(t, err, fault.Invalid)
	})
}

func TestExportCSVDefusesFormulas(t *testing.T) {
	r := open(t, dbtest.SQLite(t))
	addSite(t, r.db, r, 1)
	mustAppend(t, r, entry(1, func(rec *receipt.Record) {
		rec.Page, rec.Language, rec.Browser, rec.Device = `=HYPERLINK("http://evil.example","a, b")`, "+1", "-1", "@SUM(A1)"
		rec.TC, rec.GPP, rec.Country = "\tx", "\rx", "D=E"
	}))
	var out bytes.Buffer
	if n, err := r.Export(t.Context(), &out, ExportQuery{SiteID: 1, Format: "csv"}); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if !strings.HasSuffix(out.String(), "\r\n") {
		t.Errorf("a line does not end as RFC 4180 wants: %q", out.String())
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[1]) != len(rows[0]) {
		t.Fatal(rows, err)
	}
	for i, name := range rows[0] {
		want, checked := map[string]string{
			"page": `'=HYPERLINK("http://evil.example","a, b")`, "language": "'+1", "browser": "'-1", "device": "'@SUM(A1)",
			"tc": "'\tx", "gpp": "'x", // encoding/csv writes no bare carriage return "country": "D=E", "index": "0", "gpc": "false",
			"categories": "advertising=denied analytics=denied functional=granted",
			"services":   "example-analytics=denied example-video=granted",
		}[name]
		if checked && rows[1][i] != want {
			t.Errorf("%s is %q, want %q", name, rows[1][i], want)
		}
	}
}

func TestEmptyCSVHasAHeader(t *testing.T) {
	r := open(t, dbtest.SQLite(t))
	addSite(t, r.db, r, 1)
	var out bytes.Buffer
	n, err := r.Export(t.Context(), &out, ExportQuery{SiteID: 1, Format: "csv", From: testTime})
	if err != nil || n != 0 || !strings.HasPrefix(out.String(), "index,time,record_id,") {
		t.Errorf("%d records, %v, %q", n, err, out.String())
	}
}

// A format of another room is asked record by record, in order, and each line is
// written before the next is asked for, so that none has to be kept; an erased record
// is not among them.
func TestExportOfAnotherFormat(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		var all []Stored
		for range 4 {
			all = append(all, mustAppend(t, r, entry(1)))
		}
		if _, err := r.Erase(t.Context(), Erasing{SiteID: 1, Reason: OnRequest, Next: once([]int64{all[1].Index})}); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		var line []byte // one for all, as an encoder has it
		n, err := r.Export(t.Context(), &out, ExportQuery{SiteID: 1, Line: func(_ context.Context, rec *receipt.Record) ([]byte, error) {
			line = append(append(line[:0], rec.RecordID...), '\n')
			return line, nil
		}})
		want := all[0].RecordID.String() + "\n" + all[2].RecordID.String() + "\n" + all[3].RecordID.String() + "\n"
		if err != nil || n != 3 || out.String() != want {
			t.Errorf("%d records, %v, %q; want %q", n, err, &out, want)
		}
		refused := errors.New("no notice")
		if _, err := r.Export(t.Context(), &out, ExportQuery{SiteID: 1, Line: func(context.Context, *receipt.Record) ([]byte, error) { return nil, refused }}); !errors.Is(err, refused) {
			t.Errorf("a line that cannot be made: %v", err)
		}
	})
}

// Memory does not grow with the records: what is written leaves while it is made.
func TestExportStreams(t *testing.T) {
	r := open(t, dbtest.SQLite(t))
	addSite(t, r.db, r, 1)
	for range 20 {
		mustAppend(t, r, entry(1))
	}
	made, behind := 0, 0
	line := bytes.Repeat([]byte{'x'}, 32<<10)
	out := writes(func(p []byte) (int, error) { behind -= len(p); return len(p), nil })
	_, err := r.Export(t.Context(), out, ExportQuery{SiteID: 1, Line: func(context.Context, *receipt.Record) ([]byte, error) {
		if behind > 3*len(line) {
			t.Errorf("%d bytes are kept after %d lines", behind, made)
		}
		made++
		behind += len(line)
		return line, nil
	}})
	if err != nil || made != 20 || behind != 0 {
		t.Errorf("%d lines, %d bytes missing, %v", made, behind, err)
	}
}

type writes func(p []byte) (int, error)

func (w writes) Write(p []byte) (int, error) { return w(p) }
