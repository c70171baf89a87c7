package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"

	"filippo.io/age"
)

var sample = db.Table{Name: "sample", Key: []string{"a"}, Columns: []db.Column{
	{Name: "a", Kind: db.Int}, {Name: "b", Kind: db.Text}, {Name: "c", Kind: db.Bytes}, {Name: "d", Kind: db.Bool}}}

var sampleRows = [][]any{
	{int64(0), "", []byte{}, false},
	{int64(-1 << 63), "täxt\n", []byte{0, 1, 255}, true},
	{int64(1<<63 - 1), nil, nil, nil},
	{int64(7), strings.Repeat("long ", 40_000), bytes.Repeat([]byte{7}, 200_000), true},
}

// small is an archive with a table, an empty table and a key.
func small(t testing.TB, rows [][]any) []byte {
	t.Helper()
	var out bytes.Buffer
	a, err := NewWriter(&out, Header{Content: Whole, Created: time.Unix(1_800_000_000, 0).UTC(), Installation: "i", Engine: db.SQLite, Schema: 1, Assent: "test"})
	if err == nil {
		err = a.Key([]byte("a key"))
	}
	if err == nil {
		err = a.Table(sample)
	}
	for _, row := range rows {
		if err == nil {
			err = a.Row(row)
		}
	}
	if err == nil {
		err = a.Table(db.Table{Name: "nothing", Columns: sample.Columns[:1]})
	}
	if err == nil {
		_, err = a.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestArchiveComesBackAsItWas(t *testing.T) {
	r, err := NewReader(bytes.NewReader(small(t, sampleRows)))
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Key) != "a key" || r.Header.Schema != 1 || !r.Header.Expires.IsZero() {
		t.Errorf("%+v, key %q", r.Header, r.Key)
	}
	table, _, err := r.Next()
	if err != nil || !reflect.DeepEqual(*table, sample) {
		t.Fatalf("%+v, %v", table, err)
	}
	for i, want := range sampleRows {
		got, err := r.Row(nil)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("row %d: %v\n%.100v\n%.100v", i, err, got, want)
		}
	}
	if _, err := r.Row(nil); !errors.Is(err, errNoRow) {
		t.Fatalf("after the last row: %v", err)
	}
	if table, _, err = r.Next(); err != nil || table.Name != "nothing" {
		t.Fatalf("%+v, %v", table, err)
	}
	_, totals, err := r.Next()
	if err != nil || totals.Rows["sample"] != 4 || totals.Rows["nothing"] != 0 {
		t.Fatalf("%+v, %v", totals, err)
	}
}

// readAll reads an archive to its end.
func readAll(k Keys, data []byte) error {
	r, err := k.Open(bytes.NewReader(data))
	if err != nil {
		return err
	}
	_, err = Verify(r)
	return err
}

// Every place at which an archive can be cut, and every byte that can change, is
// found; with a sentence, and before its end.
func TestDamageIsFound(t *testing.T) {
	plain := small(t, sampleRows[:3])
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(file, []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := Keys{Identities: []string{file}}
	var sealed bytes.Buffer
	w, err := Lock{Recipients: []string{identity.Recipient().String()}}.seal(&sealed)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, whole := range map[string][]byte{"open": plain, "sealed": sealed.Bytes()} {
		if err := readAll(keys, whole); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wrong := func(what string, at int, data []byte) {
			if err := readAll(keys, data); err == nil || fault.KindOf(err) == fault.Internal {
				t.Errorf("%s, %s at %d of %d: %v", name, what, at, len(whole), err)
			}
		}
		for at := range whole {
			wrong("cut", at, whole[:at])
			wrong("changed", at, append(append(bytes.Clone(whole[:at]), whole[at]^0x10), whole[at+1:]...))
		}
		wrong("more", len(whole), append(bytes.Clone(whole), 0))
	}
}

// The reader takes whatever a stranger gives it: it never panics, and what it
// takes as whole can be read again.
func FuzzReader(f *testing.F) {
	f.Add(small(f, sampleRows[:3]))
	f.Add(small(f, nil))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := NewReader(bytes.NewReader(data))
		for err == nil {
			var totals *Totals
			var table *db.Table
			table, totals, err = r.Next()
			if totals != nil {
				if err := readAll(Keys{}, data); err != nil {
					t.Errorf("whole, and then: %v", err)
				}
				return
			}
			if err == nil {
				err = r.Each(func(row Row) error {
					if len(row.values) != len(table.Columns) {
						t.Errorf("%d values in %d columns", len(row.values), len(table.Columns))
					}
					return nil
				})
			}
		}
		if fault.KindOf(err) == fault.Internal {
			t.Errorf("no sentence: %v", err)
		}
	})
}

// What is not compressed is what a fuzzer can change and still be understood.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("T\x02{}"), []byte{tagInt, 2, tagNull})
	f.Add([]byte("R\x01\x00E\x02{}"), []byte{tagText, 200, 1})
	f.Fuzz(func(t *testing.T, frames, values []byte) {
		for _, kind := range []db.Kind{db.Int, db.Text, db.Bytes, db.Bool} {
			for rest, ok := values, true; ok; {
				var value any
				before := len(rest)
				if value, rest, ok = readValue(rest, kind); ok && len(rest) >= before {
					t.Fatal("nothing was read")
				}
				if ok {
					if again, err := appendValue(nil, kind, value); err != nil || len(again) == 0 {
						t.Fatalf("%v cannot be written: %v", value, err)
					}
				}
			}
		}
		var out bytes.Buffer
		a, err := NewWriter(&out, Header{Content: Ledger})
		if err == nil {
			_, err = a.out.Write(frames)
		}
		if err == nil {
			err = a.out.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(&out)
		if err == nil {
			_, err = Verify(r)
		}
		if fault.KindOf(err) == fault.Internal {
			t.Errorf("no sentence, or taken as whole: %v", err)
		}
	})
}

// Every table of either engine goes into an archive and out of it into the other,
// unchanged.
func TestEveryTableCrosses(t *testing.T) {
	ctx := context.Background()
	dbtest.Each(t, func(t *testing.T, from *db.DB) {
		fill(t, from)
		var first bytes.Buffer
		source := Source{DB: from, Key: []byte("a key"), KeySetting: "secret", Installation: "i"}
		_, totals, err := Write(ctx, &first, source, Whole, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if totals.Rows["setting"] != 2 || totals.Rows["site"] != 2 || totals.Rows["record"] != 1 {
			t.Errorf("%v", totals.Rows)
		}
		if _, there := totals.Rows["session"]; there {
			t.Error("sessions are in the backup")
		}
		dbtest.Each(t, func(t *testing.T, to *db.DB) {
			exec(t, to, "insert into setting (name, value) values ('left', 'over')")
			r, err := NewReader(bytes.NewReader(first.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Load(ctx, to, r); err != nil {
				t.Fatal(err)
			}
			var second bytes.Buffer
			_, again, err := Write(ctx, &second, Source{DB: to, Key: []byte("a key"), KeySetting: "secret", Installation: "i"}, Whole, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(totals.Rows, again.Rows) {
				t.Errorf("%v\n%v", totals.Rows, again.Rows)
			}
			if a, b := dump(t, first.Bytes()), dump(t, second.Bytes()); a != b {
				t.Errorf("the second archive differs:\n%s\n%s", a, b)
			}
		})
	})
}

// dump is what an archive holds, without its header.
func dump(t *testing.T, archive []byte) string {
	t.Helper()
	r, err := NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r.in)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw[:bytes.LastIndexByte(raw, endFrame)])
}

func exec(t *testing.T, d *db.DB, query string, args ...any) {
	t.Helper()
	if _, err := d.Writer().Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func fill(t *testing.T, d *db.DB) {
	t.Helper()
	exec(t, d, "insert into setting (name, value) values ('secret', 'key'), ('empty', ''), ('quote', '''\"')")
	exec(t, d, "insert into site (id, site, name, draft, version, created_at, changed_at) values (1, 'one', 'Ü', '{}', null, 1, 2), (2, 'two', '', '{}', 'v', 1, 2)")
	exec(t, d, "insert into record (place, time, record_id, consent_id, salt, payload) values ($1, 1, $2, $3, $4, '{}')",
		int64(1)<<40, make([]byte, 16), make([]byte, 16), make([]byte, 32))
	exec(t, d, "insert into seen (site_id, kind, name, directive, allowed, page, first_at, last_at, count) values (1, 'request', 'a', '', true, '', 1, 2, 3), (1, 'request', 'b', '', false, '', 1, 2, 3)")
	exec(t, d, "insert into member (id, email, name, password, created_at, changed_at) values ('m', 'e', 'n', 'p', 1, 2)")
	exec(t, d, "insert into session (token_hash, member_id, created_at, last_seen_at, expires_at) values ($1, 'm', 1, 2, 3)", []byte("hash"))
}

// A file is there whole, or not at all, and never takes another's place unasked.
func TestSaveIsWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	to := Target{Path: filepath.Join(dir, "b.age"), Lock: Lock{Open: true}}
	files := func() string {
		t.Helper()
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range list {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			info, err := e.Info()
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
			names = append(names, e.Name()+"="+string(data))
		}
		return strings.Join(names, " ")
	}
	write := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			io.WriteString(w, text)
			return err
		}
	}
	if _, err := Save(to, write("half", errors.New("the database is gone"))); err == nil || files() != "" {
		t.Errorf("%v, left: %q", err, files())
	}
	if n, err := Save(to, write("first", nil)); err != nil || n != 5 || files() != "b.age=first" {
		t.Errorf("%d, %v, %q", n, err, files())
	}
	if _, err := Save(to, write("second", nil)); err == nil || files() != "b.age=first" {
		t.Errorf("%v, %q", err, files())
	}
	to.Overwrite = true
	if _, err := Save(to, write("half", errors.New("the database is gone"))); err == nil || files() != "b.age=first" {
		t.Errorf("%v, %q", err, files())
	}
	if _, err := Save(to, write("second", nil)); err != nil || files() != "b.age=second" {
		t.Errorf("%v, %q", err, files())
	}
	named := &file{path: to.Path, replace: true, named: true} // as on other file systems
	var err error
	if named.File, err = os.CreateTemp(dir, ".b.age.*"); err != nil {
		t.Fatal(err)
	}
	named.WriteString("third")
	if err := named.commit(); err != nil || files() != "b.age=third" {
		t.Errorf("%v, %q", err, files())
	}
}
