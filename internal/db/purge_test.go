package db

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// SQLite leaves a copy of each row that it moves to another page; Purge finds
// them all, and harms nothing.
func TestPurgeOverwritesWhatBelongsToNoRow(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	d, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write := func(query string, args ...any) {
		t.Helper()
		if err := d.Write(ctx, func(tx *sql.Tx) error { _, err := tx.ExecContext(ctx, query, args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
	write("create table moved (id integer primary key, text text not null)")
	text := func(i int) string { return fmt.Sprintf("<secret %04d>%s", i, strings.Repeat("x", 500)) }
	for i := range 400 { // from both ends, so that pages split in the middle
		id := 2 * i
		if i >= 200 {
			id = 2*(400-i) + 1
		}
		write("insert into moved (id, text) values ($1, $2)", id, text(id))
	}
	left := func() int {
		t.Helper()
		dirty, err := d.dirty(ctx, 2, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return len(dirty)
	}
	if left() == 0 {
		t.Fatal("no page holds anything beside its rows: the test does not test")
	}
	write("delete from moved where id % 3 > 0")
	if err := d.Purge(ctx); err != nil {
		t.Fatal(err)
	}
	if n := left(); n != 0 {
		t.Errorf("%d pages hold something beside their rows", n)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for id := range 400 {
			if found := bytes.Contains(data, []byte(text(id)[:13])); found && id%3 > 0 {
				t.Errorf("row %d is still in %s", id, filepath.Base(file))
			}
		}
	}
	var kept int
	var check string
	if err := d.read.QueryRowContext(ctx, "select count(*) from moved where length(text) = 513").Scan(&kept); err != nil || kept == 0 {
		t.Errorf("%d rows are left, %v", kept, err)
	}
	if err := d.read.QueryRowContext(ctx, "pragma integrity_check").Scan(&check); err != nil || check != "ok" {
		t.Errorf("integrity_check: %s, %v", check, err)
	}
}

// What reads a page takes any bytes.
func FuzzGap(f *testing.F) {
	leaf := make([]byte, 512)
	copy(leaf, []byte{13, 0, 0, 0, 1, 1, 0xf0, 0, 1, 0xf0})
	f.Add(leaf)
	f.Add(bytes.Repeat([]byte{255}, 600))
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, page []byte) {
		before := bytes.Clone(page)
		gap := gapOf(page)
		clear(gap)
		if len(gap) > 0 && !bytes.Equal(before[:8], page[:8]) {
			t.Fatalf("the header of a page is in its gap: %x", before[:16])
		}
		if again := gapOf(page); len(again) != len(gap) {
			t.Fatal("a page with an empty gap is read otherwise")
		}
	})
}
