package receipt

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// CertificateType names the format of a deletion certificate.
const CertificateType = "assent/deletion-certificate/v1"

// StatementKind is the kind of an erasure statement.
const StatementKind = "erasure"

// Statement says which records of a site were erased, when and why. An erasure
// leaf commits to its canonical JSON as a record's leaf commits to the record:
// Commit(salt, statement). It names nobody. Fields stand in the order of their
// JSON names.
type Statement struct {
	Count  int64      `json:"count"`  // of indexes in Erased
	Erased [][2]int64 `json:"erased"` // first and last index of each range, ascending, apart from each other
	Kind   string     `json:"kind"`   // StatementKind
	Reason string     `json:"reason"` // request, retention, unlawful, closed, test or restored
	Rule   string     `json:"rule"`   // retention rule, for example "eu: 24 months"; "" without one
	Site   string     `json:"site"`   // site key
	Time   string     `json:"time"`   // TimeLayout
}

// Canonical is the statement as canonical JSON (RFC 8785).
func (s *Statement) Canonical() []byte {
	c := *s
	if c.Erased == nil {
		c.Erased = [][2]int64{}
	}
	text, err := json.Marshal(c) // plain values in the order of their names
	if err != nil {
		panic(err) // no type in it can fail
	}
	return text
}

// ParseStatement reads a statement in its one permitted form.
func ParseStatement(data []byte) (*Statement, error) {
	s := new(Statement)
	if err := strict(data, s); err != nil {
		return nil, err
	}
	if string(s.Canonical()) != string(data) {
		return nil, errors.New("it is not canonical JSON (RFC 8785)")
	}
	return s, s.check()
}

func (s *Statement) check() error {
	at, err := time.Parse(TimeLayout, s.Time)
	switch {
	case s.Kind != StatementKind:
		return fmt.Errorf("its kind is not %s", StatementKind)
	case err != nil || at.Format(TimeLayout) != s.Time:
		return errors.New("its time is not one")
	case !plain(s.Reason) || !plain(s.Site) || s.Rule != "" && !plain(s.Rule):
		return errors.New("its reason, rule or site is not plain text")
	case strings.Contains(s.Site, "/"):
		return errors.New("its site is no site key")
	case len(s.Erased) == 0:
		return errors.New("it names no record")
	}
	count, before := int64(0), int64(-2)
	for _, r := range s.Erased {
		if r[0] < 0 || r[0] <= before+1 || r[1] < r[0] || r[1] > maxSize {
			return errors.New("its ranges are not in order, or touch each other")
		}
		count, before = count+r[1]-r[0]+1, r[1]
	}
	if count != s.Count {
		return fmt.Errorf("it counts %d records and names %d", s.Count, count)
	}
	return nil
}

// plain is text that every JSON writer writes in the same way.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			return false
		}
	}
	return s != "" && len(s) <= 100
}

// strict reads JSON without unknown members or anything after it.
func strict(data []byte, into any) error {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("there is more than one value")
	}
	return nil
}

// Act is one erasure leaf with all that it takes to find it in its log.
type Act struct {
	Index     int64            // of the leaf
	Proof     tlog.RecordProof // of the leaf in the checkpoint's tree
	Salt      []byte           // SaltSize bytes
	Statement []byte           // Statement.Canonical()
}

// Certificate shows that a site's log says of itself that records were erased:
// which places they had, when, why and under which rule. As JSON it has the
// members acts, checkpoint, key and type, in canonical form (RFC 8785) and
// without a final newline. Every one of them is authenticated, as in a Receipt.
//
// It shows what the holder of the key has committed to for good. That the bytes
// are gone from every copy is a thing that no file can show.
type Certificate struct {
	Key        string // note verifier key, named like the log's origin
	Checkpoint []byte // signed (C2SP tlog-checkpoint)
	Acts       []Act  // by index
}

type certificateJSON struct {
	Acts       []actJSON `json:"acts"`
	Checkpoint string    `json:"checkpoint"`
	Key        string    `json:"key"`
	Type       string    `json:"type"`
}

type actJSON struct {
	Index     int64           `json:"index"`
	Proof     []string        `json:"proof"`
	Salt      string          `json:"salt"`
	Statement json.RawMessage `json:"statement"`
}

// Marshal writes the certificate. It does not verify it.
func (c *Certificate) Marshal() []byte {
	dst := []byte(`{"acts":[`)
	for i, a := range c.Acts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fmt.Appendf(dst, `{"index":%d,"proof":[`, a.Index)
		for j, h := range a.Proof {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `"`+h.String()+`"`...)
		}
		dst = fmt.Appendf(dst, `],"salt":"%s","statement":%s}`, base64.StdEncoding.EncodeToString(a.Salt), a.Statement)
	}
	dst = appendMember(dst, `],"checkpoint":`, string(c.Checkpoint))
	dst = appendMember(dst, `,"key":`, c.Key)
	dst = appendMember(dst, `,"type":`, CertificateType)
	return append(dst, '}')
}

// ActSize is about what an act adds to a certificate in a log of a size, in
// bytes, so that one can be kept below the 1 MiB that VerifyCertificate reads.
func (a *Act) ActSize() int { return 120 + len(a.Statement) + 47*len(a.Proof) }

// CertificateResult says what VerifyCertificate found. Fields beyond the first
// failed step are empty.
type CertificateResult struct {
	Valid      bool        `json:"valid"`
	KeyTrusted bool        `json:"key_trusted"` // checked against the key that the caller named
	Steps      []Step      `json:"steps"`       // form, key, checkpoint, site, inclusion or trust; the last one failed unless Valid
	Key        string      `json:"key"`
	Origin     string      `json:"origin"`
	Size       int64       `json:"size"` // leaves in the log at the checkpoint
	Root       tlog.Hash   `json:"root"`
	Erased     int64       `json:"erased"` // records, all acts together
	Statements []Statement `json:"statements"`
}

func (r *CertificateResult) passed(name, format string, args ...any) {
	r.Steps = append(r.Steps, Step{name, true, fmt.Sprintf(format, args...)})
}

func (r *CertificateResult) fail(name, format string, args ...any) (*CertificateResult, error) {
	r.Steps = append(r.Steps, Step{name, false, fmt.Sprintf(format, args...)})
	return r, nil
}

// IsCertificate tells a deletion certificate, however damaged, from everything
// else.
func IsCertificate(data []byte) bool {
	var header struct {
		Type string `json:"type"`
	}
	return len(data) <= maxReceipt && json.Unmarshal(data, &header) == nil && header.Type == CertificateType
}

// VerifyCertificate checks a deletion certificate offline, as Verify checks a
// receipt: strictly, with trustedKey as there.
func VerifyCertificate(data []byte, trustedKey string) (*CertificateResult, error) {
	return VerifyCertificateWith(data, Trust{Key: trustedKey})
}

// VerifyCertificateWith is VerifyCertificate with all that the caller relies on, as in
// VerifyWith. A certificate carries no cosignatures, so its policy is not looked at.
func VerifyCertificateWith(data []byte, t Trust) (*CertificateResult, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if !IsCertificate(data) {
		return nil, fmt.Errorf("%w, and no deletion certificate of at most 1 MiB either", ErrUnreadable)
	}
	r := new(CertificateResult)
	cert, statements, err := parseCertificate(data)
	if err != nil {
		return r.fail("form", "The form is wrong: %s.", err)
	}
	r.passed("form", "The certificate is in its one permitted form: nothing unknown, repeated, reordered or loosely written.")
	if _, err := parseKey(cert.Key); err != nil {
		return r.fail("key", "The certificate's key is wrong: %s.", err)
	}
	r.Key = cert.Key
	r.passed("key", "The key is a well-formed Ed25519 key.")
	c, err := OpenCheckpoint(cert.Checkpoint, cert.Key)
	if err != nil {
		return r.fail("checkpoint", "The checkpoint does not hold: %s.", err)
	}
	r.Origin, r.Size, r.Root = c.Origin, c.Size, c.Root
	r.passed("checkpoint", "The checkpoint of the log %s, %d leaves, root %s, is signed by the key.", c.Origin, c.Size, c.Root)
	for i := range statements {
		if site := statements[i].Site; !strings.HasSuffix(c.Origin, "/log/"+site) {
			return r.fail("site", "The statement at index %d is of the site %q and the log %s is of another.", cert.Acts[i].Index, site, c.Origin)
		}
	}
	r.passed("site", "The log is that of the site that the statements name.")
	if problem := cert.notIncluded(c, statements); problem != "" {
		return r.fail("inclusion", "%s", problem)
	}
	r.Statements = statements
	for i := range statements {
		r.Erased += statements[i].Count
	}
	r.passed("inclusion", "Each of the %d statements, with its salt, is a leaf of that log; together they name %d records.", len(statements), r.Erased)
	if ok, why := t.judge("certificate", cert.Key, c, false); !ok {
		return r.fail("trust", "%s", why)
	} else if why != "" {
		r.KeyTrusted = true
		r.passed("trust", "%s", why)
	}
	r.Valid = true
	return r, nil
}

// notIncluded holds each act against the tree, and returns a sentence about the
// first that does not fit, or "". A record can be erased once, by a leaf that
// comes after it.
func (c *Certificate) notIncluded(signed Checkpoint, statements []Statement) string {
	for i, a := range c.Acts {
		if ranges := statements[i].Erased; ranges[len(ranges)-1][1] >= a.Index {
			return fmt.Sprintf("The statement at index %d names records that come after it.", a.Index)
		}
		if a.Index >= signed.Size {
			return fmt.Sprintf("The checkpoint's tree has no leaf %d.", a.Index)
		}
		commitment := Commit(a.Salt, a.Statement)
		if err := tlog.CheckRecord(a.Proof, signed.Size, signed.Root, a.Index, tlog.RecordHash(commitment[:])); err != nil {
			return fmt.Sprintf("The statement, with this salt, is not leaf %d of that log: it or the proof was changed.", a.Index)
		}
	}
	return ""
}

// parseCertificate reads the one permitted form: what was understood is written
// again and must give the same bytes.
func parseCertificate(data []byte) (*Certificate, []Statement, error) {
	var text certificateJSON
	if err := strict(data, &text); err != nil {
		return nil, nil, err
	}
	c := &Certificate{Key: text.Key, Checkpoint: []byte(text.Checkpoint)}
	var statements []Statement
	before := int64(-1)
	for _, a := range text.Acts {
		s, err := ParseStatement(a.Statement)
		if err != nil {
			return nil, nil, fmt.Errorf("a statement cannot be used: %w", err)
		}
		if a.Index <= before || a.Index > maxSize || len(a.Proof) > 64 {
			return nil, nil, errors.New("the acts are not in the order of their leaves")
		}
		before = a.Index
		act := Act{Index: a.Index, Statement: a.Statement}
		if act.Salt, err = base64.StdEncoding.Strict().DecodeString(a.Salt); err != nil || len(act.Salt) != SaltSize {
			return nil, nil, fmt.Errorf("a salt is not %d bytes in base64", SaltSize)
		}
		for _, p := range a.Proof {
			h, err := tlog.ParseHash(p)
			if err != nil {
				return nil, nil, errors.New("a proof is not made of hashes")
			}
			act.Proof = append(act.Proof, h)
		}
		c.Acts, statements = append(c.Acts, act), append(statements, *s)
	}
	if len(c.Acts) == 0 {
		return nil, nil, errors.New("it holds no act of erasing")
	}
	if string(c.Marshal()) != string(data) {
		return nil, nil, errors.New("it is not canonical JSON (RFC 8785) with exactly the members acts, checkpoint, key and type; it was changed, reformatted or cut")
	}
	return c, statements, nil
}
