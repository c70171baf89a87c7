package gate

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"iter"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
)

// decodes lists the content codings that can be read. zstd is not among them: a
// handler is never asked for it.
func decodes(coding string) bool {
	switch coding {
	case "gzip", "x-gzip", "br", "deflate":
		return true
	}
	return false
}

// decoder writes to another writer what a coded stream that is written to it
// says. After each Write everything that can be known has been passed on, so that
// a flush comes through. The reading side runs as a coroutine: nothing happens at
// the same time.
type decoder struct {
	in   []byte
	fed  bool // anything at all came
	eof  bool
	next func() (struct{}, bool)
	stop func()
	err  error // io.EOF at the proper end
}

var errStopped = errors.New("the page was given up")

func newDecoder(coding string, to io.Writer) *decoder {
	d := new(decoder)
	d.next, d.stop = iter.Pull(func(yield func(struct{}) bool) {
		d.err = d.run(coding, to, func() bool { return yield(struct{}{}) })
	})
	return d
}

func (d *decoder) run(coding string, to io.Writer, more func() bool) error {
	in := bufio.NewReaderSize(source(func(p []byte) (int, error) {
		for len(d.in) == 0 {
			if d.eof {
				return 0, io.EOF
			}
			if !more() {
				return 0, errStopped
			}
		}
		n := copy(p, d.in)
		d.in = d.in[n:]
		return n, nil
	}), 4<<10)
	r, err := opened(coding, in)
	if err != nil {
		return err
	}
	buffer := make([]byte, 8<<10)
	for {
		n, err := r.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

func opened(coding string, in *bufio.Reader) (io.Reader, error) {
	switch coding {
	case "br":
		return brotli.NewReader(in), nil
	case "deflate":
		// Meant is zlib (RFC 9110 section 8.4.1.2); some send the bare stream.
		head, err := in.Peek(2)
		if err == nil && (head[0]&0x0f != 8 || (int(head[0])<<8|int(head[1]))%31 != 0) {
			return flate.NewReader(in), nil
		}
		return zlib.NewReader(in)
	}
	return gzip.NewReader(in)
}

type source func([]byte) (int, error)

func (s source) Read(p []byte) (int, error) { return s(p) }

func (d *decoder) Write(p []byte) (int, error) {
	d.fed = d.fed || len(p) > 0
	d.in = p
	for len(d.in) > 0 && d.err == nil {
		d.next()
	}
	d.in = nil
	if d.err != nil && d.err != io.EOF {
		return 0, d.err
	}
	return len(p), nil // what follows the end of the stream is dropped
}

// Close passes the rest on and says whether the stream was whole.
func (d *decoder) Close() error {
	d.eof = true
	for d.fed && d.err == nil {
		d.next()
	}
	d.stop()
	if d.err != nil && d.err != io.EOF {
		return d.err
	}
	return nil
}

// gzipLevel is a compromise: two thirds of the time of the default level and a
// few per cent larger.
const gzipLevel = 5

var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(io.Discard, gzipLevel)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3).
func acceptsGzip(header []string) bool {
	star := false
	for item := range strings.SplitSeq(strings.Join(header, ","), ",") {
		name, weight, _ := strings.Cut(item, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		_, q, _ := strings.Cut(weight, "=")
		q = strings.TrimSpace(q)
		refused := q != "" && strings.Trim(q, "0.") == ""
		switch name {
		case "gzip", "x-gzip":
			return !refused
		case "*":
			star = !refused
		}
	}
	return star
}
