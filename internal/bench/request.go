package main

import (
	crand "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Placeholders in a request's body. Every request carries fresh IDs there: a
// UUIDv7 (RFC 9562) for the record and a UUIDv4 for the consent, or the random
// base58 text that c15t wants.
const (
	recordSlot  = "{{record_id}}"
	consentSlot = "{{consent_id}}"
	base58Slot  = "{{base58}}"
)

const (
	idLength     = 36
	base58Length = 22
)

// requestSpec is a request as the bench describes it to the load generator.
type requestSpec struct {
	Method  string
	Path    string
	Headers [][2]string // besides Host and Content-Length
	Body    string      // with placeholders
	Status  string      // consent status that the answer has to name
}

// request is one whole HTTP/1.1 request in memory; only the IDs in it change.
type request struct {
	bytes  []byte
	slots  []slot
	status string
}

type slot struct {
	kind string // placeholder
	at   int    // offset in the request
}

func newRequest(host string, s requestSpec) (*request, error) {
	zero := strings.Repeat("0", idLength)
	fill := strings.NewReplacer(recordSlot, zero, consentSlot, zero, base58Slot, zero[:base58Length])
	filled := fill.Replace(s.Body)
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n", s.Method, s.Path, host)
	for _, h := range s.Headers {
		if strings.ContainsAny(h[0]+h[1], "\r\n") {
			return nil, fmt.Errorf("the header %q holds a line break", h[0])
		}
		fmt.Fprintf(&head, "%s: %s\r\n", h[0], h[1])
	}
	if s.Method != "GET" {
		head.WriteString("Content-Length: " + strconv.Itoa(len(filled)) + "\r\n")
	}
	head.WriteString("\r\n")
	r := &request{bytes: []byte(head.String() + filled), status: s.Status}
	for i := 0; i < len(s.Body); i++ {
		for _, kind := range []string{recordSlot, consentSlot, base58Slot} {
			if strings.HasPrefix(s.Body[i:], kind) {
				r.slots = append(r.slots, slot{kind, head.Len() + len(fill.Replace(s.Body[:i]))})
			}
		}
	}
	return r, nil
}

// renew puts fresh IDs in and returns the record ID, a slice of the request.
func (r *request) renew(ids *idSource, now time.Time) (record []byte) {
	for _, s := range r.slots {
		switch at := r.bytes[s.at:]; s.kind {
		case recordSlot:
			ids.write(at, uint64(now.UnixMilli()))
			record = at[:idLength]
		case consentSlot:
			ids.write(at, 0)
		case base58Slot:
			ids.writeBase58(at[:base58Length])
		}
	}
	return record
}

// idSource makes UUIDs at the price of a few nanoseconds, so that the load
// generator takes little of the cores that it shares with the server.
type idSource struct{ random *rand.ChaCha8 }

func newIDSource() *idSource {
	var seed [32]byte
	crand.Read(seed[:])
	return &idSource{rand.NewChaCha8(seed)}
}

// uuid is of version 7 with a Unix time in milliseconds, else of version 4.
func (s *idSource) uuid(milli uint64) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], s.random.Uint64())
	binary.BigEndian.PutUint64(id[8:], s.random.Uint64())
	version := byte(0x40)
	if milli != 0 {
		low := binary.BigEndian.Uint16(id[6:8])
		binary.BigEndian.PutUint64(id[:8], milli<<16|uint64(low))
		version = 0x70
	}
	id[6] = id[6]&0x0f | version
	id[8] = id[8]&0x3f | 0x80
	return id
}

func (s *idSource) write(dst []byte, milli uint64) {
	id := s.uuid(milli)
	hex.Encode(dst[0:8], id[0:4])
	dst[8] = '-'
	hex.Encode(dst[9:13], id[4:6])
	dst[13] = '-'
	hex.Encode(dst[14:18], id[6:8])
	dst[18] = '-'
	hex.Encode(dst[19:23], id[8:10])
	dst[23] = '-'
	hex.Encode(dst[24:36], id[10:16])
}

func (s *idSource) writeBase58(dst []byte) {
	const digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	for i := range dst {
		dst[i] = digits[s.random.Uint64()%uint64(len(digits))]
	}
}
