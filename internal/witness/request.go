// Package witness keeps what a witness of other installations' logs has to
// remember, and the rules by which it cosigns (C2SP tlog-witness,
// tlog-cosignature). A witness that remembers cannot be shown two histories:
// that is what makes a rewritten log evident. It also keeps which witnesses
// cosign the logs of this installation.
package witness

import (
	"encoding/base64"
	"strconv"
	"strings"

	"assent/internal/fault"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxRequest bounds an add-checkpoint request, in bytes.
const MaxRequest = 64 << 10

// maxProof is how many hashes a consistency proof may have.
const maxProof = 63

// maxSize bounds tree sizes, as receipts do.
const maxSize = 1 << 53

// Request is the body of an add-checkpoint call.
type Request struct {
	Old        int64 // size that the witness cosigned last, by what the caller knows
	Proof      tlog.TreeProof
	Checkpoint []byte // signed note
}

// ParseRequest reads the body of an add-checkpoint call, or is fault.Invalid.
func ParseRequest(body []byte) (Request, error) {
	head, checkpoint, found := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	size, first := strings.CutPrefix(lines[0], "old ")
	if !found || !first {
		return Request{}, fault.New(fault.Invalid, "The body is not that of add-checkpoint (C2SP tlog-witness): an old size line, proof lines, an empty line, a checkpoint.")
	}
	old, err := strconv.ParseInt(size, 10, 64)
	if err != nil || old < 0 || old > maxSize || strconv.FormatInt(old, 10) != size {
		return Request{}, fault.New(fault.Invalid, "The old size is not a decimal number without leading zeroes.")
	}
	if len(lines)-1 > maxProof {
		return Request{}, fault.New(fault.Invalid, "A consistency proof has %d lines at most.", maxProof)
	}
	r := Request{Old: old, Checkpoint: []byte(checkpoint)}
	for _, line := range lines[1:] {
		raw, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize || len(line) != 44 {
			return Request{}, fault.New(fault.Invalid, "A line of the consistency proof is not a hash in base64.")
		}
		r.Proof = append(r.Proof, tlog.Hash(raw))
	}
	return r, nil
}

// Marshal writes the body of the call.
func (r Request) Marshal() []byte {
	b := strconv.AppendInt([]byte("old "), r.Old, 10)
	for _, h := range r.Proof {
		b = append(append(b, '\n'), h.String()...)
	}
	return append(append(b, "\n\n"...), r.Checkpoint...)
}
