package register

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
	"assent/receipt"
)

var (
	testNotice  = []byte(`{"notice":"as it was shown"}`)
	testVersion = func() string { sum := sha256.Sum256(testNotice); return hex.EncodeToString(sum[:]) }()
	// otherVersion is the name of "{}".
	otherVersion = func() string { sum := sha256.Sum256([]byte("{}")); return hex.EncodeToString(sum[:]) }()
)

var testBeside = receipt.Beside{Writer: "Test 1", Files: map[string][]byte{receipt.EvidencePage: []byte("page"), receipt.EvidenceReadme: []byte("text")}}

func pack(t *testing.T, r *Register, q EvidenceQuery) []byte {
	t.Helper()
	q.Now, q.Beside = testTime, testBeside
	q.Notice = func(context.Context, string) ([]byte, error) { return testNotice, nil }
	var out bytes.Buffer
	if _, err := r.Evidence(t.Context(), &out, q); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestEvidence(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d)
		addSite(t, d, r, 1)
		var all []Stored
		for i := range 300 {
			all = append(all, mustAppend(t, r, entry(1, func(rec *receipt.Record) {
				rec.Version, rec.Time = testVersion, testTime.Add(time.Duration(i)*time.Hour).Format(receipt.TimeLayout)
			})))
		}
		if _, err := r.EraseRecord(t.Context(), all[7].RecordID, OnRequest); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct{ from, to, records, leaves int64 }{
			"everything": {0, 300, 299, 300}, "the beginning": {0, 5, 5, 5}, "the middle": {5, 270, 264, 265}, "one": {256, 257, 1, 1}, "the end": {299, 300, 1, 1},
		} {
			data := pack(t, r, EvidenceQuery{SiteID: 1, From: testTime.Add(time.Duration(c.from) * time.Hour), To: testTime.Add(time.Duration(c.to) * time.Hour)})
			got, err := receipt.VerifyEvidence(bytes.NewReader(data), int64(len(data)), "", nil, &testBeside)
			if err != nil || !got.Valid || got.Records != c.records || got.Leaves != c.leaves || got.First != c.from || got.Versions != 1 {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		if _, err := r.Evidence(t.Context(), io.Discard, EvidenceQuery{SiteID: 1, From: testTime.AddDate(1, 0, 0)}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("an empty period: %v", err)
		}
	})
}

// The files for people are nobody's word: those of another version are not called
// checked.
func TestEvidenceOfAnotherVersion(t *testing.T) {
	d := dbtest.SQLite(t)
	r := open(t, d)
	addSite(t, d, r, 1)
	mustAppend(t, r, entry(1, func(rec *receipt.Record) { rec.Version = testVersion }))
	data := pack(t, r, EvidenceQuery{SiteID: 1})
	newer := testBeside
	newer.Writer = "Test 2"
	for name, own := range map[string]*receipt.Beside{"a newer verifier": &newer, "a verifier without": nil} {
		got, err := receipt.VerifyEvidence(bytes.NewReader(data), int64(len(data)), "", nil, own)
		if err != nil || !got.Valid || len(got.Uncovered) != 2 || !strings.Contains(got.Steps[len(got.Steps)-1].Detail, "Not compared: README.txt and verify.html") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// A pack of which anything is changed is not valid.
func TestSpoiltEvidence(t *testing.T) {
	d := dbtest.SQLite(t)
	r := open(t, d)
	addSite(t, d, r, 1)
	for range 9 {
		mustAppend(t, r, entry(1, func(rec *receipt.Record) { rec.Version = testVersion }))
	}
	good := unpack(t, pack(t, r, EvidenceQuery{SiteID: 1}))
	edit := func(file, old, new string) func(map[string]string) {
		return func(files map[string]string) {
			if !strings.Contains(files[file], old) {
				t.Fatalf("%s holds no %q", file, old)
			}
			files[file] = strings.Replace(files[file], old, new, 1)
		}
	}
	for name, change := range map[string]func(map[string]string){
		"a choice": edit(receipt.EvidenceRecords, "false", "true"),
		"a salt":   func(f map[string]string) { f[receipt.EvidenceRecords] = swapSalts(f[receipt.EvidenceRecords]) },
		"a record left out": func(f map[string]string) {
			f[receipt.EvidenceRecords] = f[receipt.EvidenceRecords][strings.Index(f[receipt.EvidenceRecords], "\n")+1:]
		},
		"a record more":      func(f map[string]string) { f[receipt.EvidenceRecords] += "{}\n" },
		"an index":           edit(receipt.EvidenceRecords, `{"index":3`, `{"index":4`),
		"the number":         edit(receipt.EvidenceManifest, `"records": 9`, `"records": 8`),
		"the leaves":         edit(receipt.EvidenceManifest, `"leaves": 9`, `"leaves": 8`),
		"the first":          edit(receipt.EvidenceManifest, `"first": 0`, `"first": 1`),
		"the site":           edit(receipt.EvidenceManifest, `"site": "site1"`, `"site": "site2"`),
		"the key":            edit(receipt.EvidenceManifest, `+`, `+0`),
		"a huge number":      edit(receipt.EvidenceManifest, `"leaves": 9`, `"leaves": 9007199254740993`),
		"the checkpoint":     edit(receipt.EvidenceCheckpoint, "\n9\n", "\n8\n"),
		"a notice":           edit(receipt.EvidenceNotices+testVersion+".json", "shown", "shewn"),
		"no notice":          func(f map[string]string) { delete(f, receipt.EvidenceNotices+testVersion+".json") },
		"no records":         func(f map[string]string) { delete(f, receipt.EvidenceRecords) },
		"no checkpoint":      func(f map[string]string) { delete(f, receipt.EvidenceCheckpoint) },
		"the page":           edit(receipt.EvidencePage, "page", "pace"),
		"the text":           edit(receipt.EvidenceReadme, "text", "test"),
		"a notice more":      func(f map[string]string) { f[receipt.EvidenceNotices+otherVersion+".json"] = "{}" },
		"something smuggled": func(f map[string]string) { f["more.txt"] = "more" },
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{}
			for k, v := range good {
				files[k] = v
			}
			change(files)
			var out bytes.Buffer
			z := zip.NewWriter(&out)
			for k, v := range files {
				w, err := z.Create(k)
				if err == nil {
					_, err = io.WriteString(w, v)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			z.Close()
			got, err := receipt.VerifyEvidence(bytes.NewReader(out.Bytes()), int64(out.Len()), "", nil, &testBeside)
			if err != nil || got.Valid {
				t.Errorf("%+v, %v; want not valid", got, err)
			}
		})
	}
}

func swapSalts(text string) string {
	at, end := strings.Index(text, `"salt":"`)+8, strings.Index(text, "\"}\n")
	return text[:at] + strings.Repeat("A", end-at-1) + "=" + text[end:]
}

func unpack(t *testing.T, data []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	return files
}

func FuzzVerifyEvidence(f *testing.F) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create(receipt.EvidenceManifest)
	if err != nil {
		f.Fatal(err)
	}
	io.WriteString(w, `{"type":"assent/evidence/v1","leaves":1}`)
	z.Close()
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := receipt.VerifyEvidence(bytes.NewReader(data), int64(len(data)), "", nil, &testBeside); err == nil && got.Valid {
			t.Error("a forged pack is valid")
		}
	})
}
