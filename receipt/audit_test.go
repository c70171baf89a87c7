package receipt

import (
	"bytes"
	"testing"
)

func TestAuditEntryHasOneForm(t *testing.T) {
	e := &AuditEntry{Action: "site.draft", Actor: "person", ActorID: "0190", Changes: []AuditChange{{After: "<b>\u2028", Before: "\"", Field: "texts.en.title"}},
		Detail: map[string]string{"why": "x", "a": ""}, Organisation: "first", Site: "k", Time: "2026-03-02T12:00:00.000Z", Type: AuditType}
	text := e.Canonical()
	again, err := ParseAuditEntry(text)
	if err != nil || !bytes.Equal(again.Canonical(), text) {
		t.Fatalf("%s: %v", text, err)
	}
	for _, bad := range [][]byte{append([]byte(" "), text...), bytes.Replace(text, []byte(`{"action"`), []byte(`{"more":1,"action"`), 1),
		bytes.Replace(text, []byte(AuditType), []byte("assent/audit/v2"), 1), text[:len(text)-1], nil} {
		if _, err := ParseAuditEntry(bad); err == nil {
			t.Errorf("taken: %s", bad)
		}
	}
}

// No file makes the verifier fall over, and what is valid is in its one form.
func FuzzVerifyAudit(f *testing.F) {
	head := &AuditHead{Checkpoint: "x", Key: "k", Leaves: 1, Type: AuditFileType}
	f.Add(head.Line())
	f.Add(append(head.Line(), AppendAuditLine(nil, 0, nil, nil, make([]byte, 32))...))
	f.Add(append(head.Line(), AppendAuditLine(nil, 0, (&AuditEntry{Type: AuditType}).Canonical(), make([]byte, 32), nil)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := VerifyAudit(bytes.NewReader(data), Trust{})
		if err == nil && r.Valid {
			t.Errorf("a file without a signature is valid: %q", data)
		}
	})
}
