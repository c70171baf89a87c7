package receipt

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// AuditType names the format of an entry of an audit log, and AuditFileType that of a
// file of them.
const (
	AuditType     = "assent/audit/v1"
	AuditFileType = "assent/audit-file/v1"
)

// AuditEntry says who changed what. Its canonical JSON (RFC 8785) is what the audit log
// of an organisation commits to, as a register does to records. It names members by
// their IDs alone, holds no secret and names no visitor.
type AuditEntry struct {
	Action       string            `json:"action"`       // for example site.publish
	Actor        string            `json:"actor"`        // person, operator, token, command line, job or nobody
	ActorID      string            `json:"actor_id"`     // of the member or the token; "" for the others
	Changes      []AuditChange     `json:"changes"`      // field by field, where fields were changed
	Detail       map[string]string `json:"detail"`       // what else there is to say
	Organisation string            `json:"organisation"` // ID; "" for what belongs to none
	Site         string            `json:"site"`         // site key, or ""
	Target       string            `json:"target"`       // ID of what was changed where it is neither site nor organisation, or ""
	Time         string            `json:"time"`         // RFC 3339, UTC, milliseconds; the server's clock
	Type         string            `json:"type"`         // AuditType
}

// AuditChange is a field and its values; "" for one that was not there, or was empty.
type AuditChange struct {
	After  string `json:"after"`
	Before string `json:"before"`
	Field  string `json:"field"`
}

// Canonical writes the entry as its log commits to it.
func (e *AuditEntry) Canonical() []byte {
	dst := appendMember(make([]byte, 0, 512), `{"action":`, e.Action)
	dst = appendMember(dst, `,"actor":`, e.Actor)
	dst = appendMember(dst, `,"actor_id":`, e.ActorID)
	dst = append(dst, `,"changes":[`...)
	for i, c := range e.Changes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, `{"after":`, c.After)
		dst = appendMember(dst, `,"before":`, c.Before)
		dst = append(appendMember(dst, `,"field":`, c.Field), '}')
	}
	dst = append(dst, `],"detail":{`...)
	for i, name := range slices.SortedFunc(maps.Keys(e.Detail), compareUTF16) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(appendString(dst, name), ':'), e.Detail[name])
	}
	dst = appendMember(dst, `},"organisation":`, e.Organisation)
	dst = appendMember(dst, `,"site":`, e.Site)
	dst = appendMember(dst, `,"target":`, e.Target)
	dst = appendMember(dst, `,"time":`, e.Time)
	return append(appendMember(dst, `,"type":`, e.Type), '}')
}

// ParseAuditEntry reads an entry in canonical form and nothing else.
func ParseAuditEntry(data []byte) (*AuditEntry, error) {
	e := new(AuditEntry)
	if err := strict(data, e); err != nil || e.Type != AuditType || !bytes.Equal(e.Canonical(), data) {
		return nil, errors.New("the entry is not canonical JSON (RFC 8785) with exactly the members of " + AuditType)
	}
	return e, nil
}

// AuditHead is the first line of a file of audit entries. A line for each leaf follows,
// without gaps: {"entry":{…},"index":…,"salt":"…"}, or {"commitment":"…","index":…}
// where the entry was erased, or is not part of what was asked for.
type AuditHead struct {
	Checkpoint   string      `json:"checkpoint"` // signed (C2SP tlog-checkpoint)
	Created      string      `json:"created"`    // RFC 3339; covered by no signature
	Entries      int64       `json:"entries"`    // lines with an entry
	First        int64       `json:"first"`      // index of the first line's leaf
	Key          string      `json:"key"`        // note verifier key of the log
	Leaves       int64       `json:"leaves"`     // lines
	Left         []tlog.Hash `json:"left"`       // subtrees before the first leaf, from the left (Subtrees)
	Organisation string      `json:"organisation"`
	Right        []tlog.Hash `json:"right"` // subtrees after the last one
	Type         string      `json:"type"`
}

// Line writes the head as the first line of a file.
func (h *AuditHead) Line() []byte {
	line, err := json.Marshal(h)
	if err != nil {
		panic(err) // strings, numbers and hashes
	}
	return append(line, '\n')
}

// auditName is how an audit log's name ends: an organisation's, or that of what belongs
// to none.
func auditName(organisation string) string {
	if organisation == "" {
		organisation = "installation"
	}
	return "/audit/" + organisation
}

// AuditOrigin is the name of an organisation's audit log: host is that of the
// installation, with an epoch behind it where there is one.
func AuditOrigin(host, organisation string) string { return host + auditName(organisation) }

// AppendAuditLine writes the line of an entry; without an entry, of its commitment.
func AppendAuditLine(dst []byte, index int64, entry, salt []byte, commitment []byte) []byte {
	if len(entry) == 0 {
		return fmt.Appendf(dst, `{"commitment":"%s","index":%d}`+"\n", base64.StdEncoding.EncodeToString(commitment), index)
	}
	return fmt.Appendf(dst, `{"entry":%s,"index":%d,"salt":"%s"}`+"\n", entry, index, base64.StdEncoding.EncodeToString(salt))
}

// AuditResult says what VerifyAudit found.
type AuditResult struct {
	Valid        bool      `json:"valid"`
	KeyTrusted   bool      `json:"key_trusted"`
	Steps        []Step    `json:"steps"`
	Key          string    `json:"key"`
	Origin       string    `json:"origin"`
	Organisation string    `json:"organisation"`
	Size         int64     `json:"size"`
	Root         tlog.Hash `json:"root"`
	First        int64     `json:"first"`
	Leaves       int64     `json:"leaves"`
	Entries      int64     `json:"entries"`
}

func (r *AuditResult) say(name string, ok bool, format string, args ...any) {
	r.Steps = append(r.Steps, Step{name, ok, fmt.Sprintf(format, args...)})
}

// IsAuditFile tells a file of audit entries by its first bytes, however damaged the rest.
func IsAuditFile(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return bytes.HasPrefix(line, []byte(`{"checkpoint":`)) && bytes.Contains(line, []byte(`"`+AuditFileType+`"`))
}

// maxAuditLine is more than any line needs, in bytes.
const maxAuditLine = 1 << 20

// VerifyAudit checks a file of audit entries offline: each entry with its salt is the
// leaf that it says, none is missing between them, and the leaves give the root that
// the checkpoint signs. Memory does not depend on their number. What is no such file
// is ErrUnreadable.
func VerifyAudit(data io.Reader, t Trust) (*AuditResult, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(data, maxAuditLine)
	line, err := in.ReadSlice('\n')
	if err != nil || !IsAuditFile(line) {
		return nil, fmt.Errorf("%w: its first line is not that of %s", ErrUnreadable, AuditFileType)
	}
	r, head := new(AuditResult), new(AuditHead)
	err = strict(bytes.TrimSuffix(line, []byte("\n")), head)
	if err == nil && !bytes.Equal(head.Line(), line) {
		err = errors.New("it is loosely written")
	}
	if err != nil || head.First < 0 || head.Leaves < 1 || head.First > maxSize || head.Leaves > maxSize {
		r.say("form", false, "The first line cannot be read, or its numbers are impossible.")
		return r, nil
	}
	r.Key, r.Organisation = head.Key, head.Organisation
	r.say("form", true, "The file is one of audit entries.")
	c, err := OpenCheckpoint([]byte(head.Checkpoint), head.Key)
	if err == nil && !strings.HasSuffix(c.Origin, auditName(head.Organisation)) {
		err = fmt.Errorf("the log %s is that of another organisation", c.Origin)
	}
	if err != nil {
		r.say("checkpoint", false, "The checkpoint does not hold: %s.", err)
		return r, nil
	}
	r.Origin, r.Size, r.Root = c.Origin, c.Size, c.Root
	r.say("checkpoint", true, "The checkpoint of the log %s, %s, root %s, is signed by the key.", c.Origin, entries(c.Size), c.Root)
	if err := auditLines(in, head, c, r); err != nil {
		r.say("entries", false, "%s.", err)
		return r, nil
	}
	r.say("entries", true, "From index %d on, %s: those of the log, and none is missing between them. Shown: %d. Erased, or left out: %d.", r.First, entries(r.Leaves), r.Entries, r.Leaves-r.Entries)
	if ok, why := t.judge("file", r.Key, c, false); !ok {
		r.say("trust", false, "%s", why)
		return r, nil
	} else if why != "" {
		r.KeyTrusted = true
		r.say("trust", true, "%s", why)
	}
	r.Valid = true
	return r, nil
}

func auditLines(in *bufio.Reader, head *AuditHead, c Checkpoint, r *AuditResult) error {
	last := head.First + head.Leaves
	left, right := Subtrees(0, head.First), Subtrees(last, c.Size)
	if last > c.Size || len(left) != len(head.Left) || len(right) != len(head.Right) {
		return errors.New("the hashes beside the entries are not those that a tree of this size needs")
	}
	var edge rightEdge
	for i, at := range left {
		edge.push(at[0], head.Left[i])
	}
	for index := head.First; index < last; index++ {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("the file ends before index %d, or a line is too long", index)
		}
		commitment, shown, err := auditLine(line, index, head.Organisation)
		if err != nil {
			return fmt.Errorf("the line of index %d is not valid: %w", index, err)
		}
		if shown {
			r.Entries++
		}
		edge.push(0, tlog.RecordHash(commitment))
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) || r.Entries != head.Entries {
		return errors.New("there are not as many entries as the first line says")
	}
	for i, at := range right {
		edge.push(at[0], head.Right[i])
	}
	if edge.root() != c.Root {
		return errors.New("the entries, with their salts, are not those of the checkpoint: one of them was changed, or a hash beside them")
	}
	r.First, r.Leaves = head.First, head.Leaves
	return nil
}

// auditLine reads a line, in the one form in which AppendAuditLine writes it.
func auditLine(line []byte, index int64, organisation string) (commitment []byte, shown bool, err error) {
	errLine := errors.New("it is not written as an audit file has it")
	var l struct {
		Commitment string          `json:"commitment"`
		Entry      json.RawMessage `json:"entry"`
		Index      int64           `json:"index"`
		Salt       string          `json:"salt"`
	}
	if err := strict(bytes.TrimSuffix(line, []byte("\n")), &l); err != nil {
		return nil, false, errLine
	}
	salt, err := base64.StdEncoding.Strict().DecodeString(l.Salt)
	if err != nil {
		return nil, false, errLine
	}
	if commitment, err = base64.StdEncoding.Strict().DecodeString(l.Commitment); err != nil {
		return nil, false, errLine
	}
	if l.Index != index || !bytes.Equal(AppendAuditLine(nil, index, l.Entry, salt, commitment), line) {
		return nil, false, errLine
	}
	if len(l.Entry) == 0 {
		if len(commitment) != tlog.HashSize {
			return nil, false, errLine
		}
		return commitment, false, nil
	}
	e, err := ParseAuditEntry(l.Entry)
	if err != nil {
		return nil, false, err
	}
	if e.Organisation != organisation || len(salt) != SaltSize {
		return nil, false, errors.New("it is of another organisation, or has no salt")
	}
	sum := Commit(salt, l.Entry)
	return sum[:], true, nil
}
