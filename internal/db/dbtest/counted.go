package dbtest

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"assent/internal/db"
)

// Statements counts what is asked of a database.
type Statements struct{ asked atomic.Int64 }

// Asked is how many statements were run so far, without those that only begin
// and end transactions.
func (s *Statements) Asked() int64 { return s.asked.Load() }

// Counted opens a fresh PostgreSQL database through a relay that counts the
// statements which pass: exact, whatever layer sends them.
func Counted(t testing.TB) (*db.DB, *Statements) {
	t.Helper()
	u, err := url.Parse(PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	u.Host = l.Addr().String()
	query := u.Query()
	query.Set("sslmode", "disable") // what is encrypted could not be counted
	u.RawQuery = query.Encode()
	s := new(Statements)
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", server)
			if err != nil {
				from.Close()
				return
			}
			go func() {
				defer from.Close()
				io.Copy(from, to)
			}()
			go func() {
				defer to.Close()
				s.relay(to, from)
			}()
		}
	}()
	return Open(t, db.Options{URL: u.String()}), s
}

// relay passes on what a client sends: one message without a type, then messages
// of a type, a length that counts itself, and a body (PostgreSQL documentation,
// section "Message Formats"). Execute and Query run a statement.
func (s *Statements) relay(to io.Writer, from io.Reader) {
	head := make([]byte, 5)
	for first := true; ; first = false {
		at := 0
		if first {
			at = 1
		}
		if _, err := io.ReadFull(from, head[at:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(from, body); err != nil {
			return
		}
		if !first && (head[0] == 'E' || head[0] == 'Q' && counts(string(body))) {
			s.asked.Add(1)
		}
		if _, err := to.Write(append(head[at:len(head):len(head)], body...)); err != nil {
			return
		}
	}
}

// counts tells whether the text of a simple query asks for something.
func counts(query string) bool {
	for _, word := range []string{"begin", "commit", "rollback", "--", ";"} {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(query)), word) {
			return false
		}
	}
	return true
}
