package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxAnswer bounds what the load generator reads of one answer, in bytes.
const maxAnswer = 4 << 20

// answerReader reads HTTP/1.1 answers with a Content-Length off one connection,
// usually with one read each, and allocates nothing.
type answerReader struct {
	from       io.Reader
	buf        []byte
	start, end int // what is read and not yet used
}

// next returns the status and the body, which is valid until the next call.
func (r *answerReader) next() (status int, body []byte, err error) {
	head := -1
	for {
		if head = bytes.Index(r.buf[r.start:r.end], []byte("\r\n\r\n")); head >= 0 {
			break
		}
		if err := r.fill(); err != nil {
			return 0, nil, err
		}
	}
	status, length, err := parseHead(r.buf[r.start : r.start+head+2])
	if err != nil {
		return 0, nil, err
	}
	for r.end-r.start < head+4+length {
		if err := r.fill(); err != nil {
			return 0, nil, err
		}
	}
	from := r.start + head + 4
	r.start = from + length
	return status, r.buf[from : from+length], nil
}

func (r *answerReader) fill() error {
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		if len(r.buf) >= maxAnswer {
			return errors.New("an answer is larger than 4 MB")
		}
		r.buf = append(r.buf, make([]byte, max(len(r.buf), 8<<10))...)
	}
	n, err := r.from.Read(r.buf[r.end:])
	r.end += n
	if n > 0 {
		return nil
	}
	return err
}

// parseHead reads the status and the length of the body (RFC 9112).
func parseHead(head []byte) (status, length int, err error) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, fmt.Errorf("the answer starts with %q, not with HTTP/1.1", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, fmt.Errorf("the answer has the status %q", line[9:12])
	}
	if status == 204 || status == 304 {
		return status, 0, nil
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		const name = "content-length:"
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):])))
			if err != nil || length < 0 || length > maxAnswer {
				return 0, 0, fmt.Errorf("the answer has the Content-Length %q", line[len(name):])
			}
			return status, length, nil
		}
	}
	return 0, 0, fmt.Errorf("the answer with status %d has no Content-Length", status)
}

// member finds a string member of a flat JSON object of strings, the shape of
// a consent's answer, and checks that the whole of it is JSON on the way. It
// returns nil when the object has no such member or anything but strings.
func member(object []byte, name string) []byte {
	var value []byte
	s := bytes.Trim(object, " \t\r\n")
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return nil
	}
	for s = bytes.Trim(s[1:len(s)-1], " "); len(s) > 0; {
		key, rest, ok := quoted(s)
		if rest = bytes.TrimLeft(rest, " "); !ok || len(rest) == 0 || rest[0] != ':' {
			return nil
		}
		text, rest, ok := quoted(bytes.TrimLeft(rest[1:], " "))
		if !ok {
			return nil
		}
		if string(key) == name {
			value = text
		}
		if rest = bytes.TrimLeft(rest, " "); len(rest) == 0 {
			return value
		}
		if rest[0] != ',' {
			return nil
		}
		s = bytes.TrimLeft(rest[1:], " ")
	}
	return nil
}

// quoted cuts a JSON string off the front of s.
func quoted(s []byte) (text, rest []byte, ok bool) {
	if len(s) < 2 || s[0] != '"' {
		return nil, nil, false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[1:i], s[i+1:], true
		case c == '\\':
			return quotedSlowly(s)
		case c < 0x20:
			return nil, nil, false
		}
	}
	return nil, nil, false
}

func quotedSlowly(s []byte) (text, rest []byte, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(s))
	var v string
	if dec.Decode(&v) != nil {
		return nil, nil, false
	}
	return []byte(v), s[dec.InputOffset():], true
}
