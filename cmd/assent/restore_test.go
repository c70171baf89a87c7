package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"assent/internal/app"
	"assent/internal/register"

	"github.com/google/uuid"
)

// said runs a command and returns its exit status and all that it wrote.
func said(args ...string) (code int, text string) {
	var out bytes.Buffer
	code = run(context.Background(), args, streams{strings.NewReader(""), &out, &out})
	return code, out.String()
}

func eraseIn(t *testing.T, dir, record string) {
	t.Helper()
	parts, err := app.Open(context.Background(), app.Config{Dir: dir, Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	defer parts.Close()
	if _, err := parts.Register.EraseRecord(context.Background(), uuid.MustParse(record), register.OnRequest); err != nil {
		t.Fatal(err)
	}
}

// Erasures that came after a backup cost no decision: no loss has to be accepted.
// But a ledger that is older than the backup's own erasures cannot tell of later
// ones, and says so; so does the replaced database.
func TestRestoreHoldsLedgerAgainstErasures(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	record := fillRegister(t, data)
	file := func(name string) string { return filepath.Join(dir, name) }
	must := func(args ...string) string {
		t.Helper()
		code, text := said(args...)
		if code != 0 {
			t.Fatalf("%s: exit %d\n%s", args, code, text)
		}
		return text
	}
	refused := func(sentence string, args ...string) {
		t.Helper()
		if code, text := said(args...); code != 2 || !strings.Contains(text, sentence) {
			t.Errorf("%s: exit %d, want 2 and %q\n%s", args, code, sentence, text)
		}
	}
	must("backup", file("before"), "--unencrypted", "--data", data)
	must("backup", file("ledger-before"), "--unencrypted", "--only-ledger", "--data", data)
	eraseIn(t, data, record)
	must("backup", file("after"), "--unencrypted", "--data", data)
	must("backup", file("ledger-after"), "--unencrypted", "--only-ledger", "--data", data)

	refused("nothing was recorded or erased after this backup, but", "restore", file("before"), "--replace", "--moved", "--data", data)
	text := must("restore", file("before"), "--ledger", file("ledger-after"), "--data", file("two"))
	if !strings.Contains(text, "Erased again: 1 record.") || strings.Contains(text, "missing") {
		t.Errorf("only an erasure came later:\n%s", text)
	}
	must("fsck", "--data", file("two"))

	refused("so it cannot tell what was erased since", "restore", file("after"), "--ledger", file("ledger-before"), "--data", file("three"))
	must("restore", file("after"), "--ledger", file("ledger-after"), "--data", file("three"))
	refused("it does not know of 1 erased record", "restore", "--recovered", "--ledger", file("ledger-before"), "--data", file("three"))
	must("restore", "--recovered", "--ledger", file("ledger-after"), "--data", file("three"))

	must("restore", file("before"), "--moved", "--data", file("old"))
	refused("The database that is there is older than this backup", "restore", file("after"), "--replace", "--data", file("old"))
	must("restore", file("after"), "--replace", "--no-ledger", "--data", file("old"))
}

// What was put back by other means and is damaged is not called whole, and is
// refused before its logs get new names.
func TestRecoveredIsChecked(t *testing.T) {
	data := t.TempDir()
	fillRegister(t, data)
	if _, text := said("restore", "--recovered", "--no-ledger", "--data", data); !strings.Contains(text, "Restored: 1 register, 10 records, checked with fsck.") {
		t.Errorf("a whole one:\n%s", text)
	}
	_, before := said("site", "list", "--json", "--data", data)
	alter(t, data, "update record set payload = replace(payload, '\"de\"', '\"fr\"') where place & 255 = 3")
	code, text := said("restore", "--recovered", "--no-ledger", "--data", data)
	if code != 2 || !strings.Contains(text, "What was put back is not as it was signed (1 finding)") {
		t.Errorf("a damaged one: exit %d\n%s", code, text)
	}
	if _, after := said("site", "list", "--json", "--data", data); after != before {
		t.Errorf("a refusal changed the logs:\n%s\n%s", before, after)
	}
	code, text = said("restore", "--recovered", "--no-ledger", "--damaged", "--data", data)
	if code != 0 || strings.Contains(text, "checked") || !strings.Contains(text, "fsck finds what is not as it was signed: 1") {
		t.Errorf("a damaged one that is wanted all the same: exit %d\n%s", code, text)
	}
}
