package gate

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
)

// writer is the http.ResponseWriter that a handler behind the gate gets. The
// header is made to fit when the first byte is known; a page then runs through
//
//	decoder → injector → gzip
//
// of which only the injector is always there.
type writer struct {
	http.ResponseWriter
	gate  *Gate
	visit *visit

	status   int  // as the handler set it; 0: not yet
	sent     bool // the header is
	hijacked bool
	body     io.Writer // where the handler's bytes go; nil: to the client as they are
	decoder  *decoder
	injector *injector
	gzip     *gzip.Writer
}

// Unwrap serves http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	if w.sent || w.status != 0 {
		w.ResponseWriter.WriteHeader(status) // net/http says what is wrong
		return
	}
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.gate.filter(w.Header(), w.visit)
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.status = status
	if _, typed := w.Header()["Content-Type"]; typed || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified {
		w.send(nil)
	} // else the first bytes tell the type, as in net/http
}

// send makes the header final. begin is the beginning of the body, if known.
func (w *writer) send(begin []byte) {
	if w.sent {
		return
	}
	w.sent = true
	if w.status == 0 {
		w.status = http.StatusOK
	}
	h := w.Header()
	if _, typed := h["Content-Type"]; !typed && len(begin) > 0 && h.Get("Content-Encoding") == "" && h.Get("Transfer-Encoding") == "" {
		h.Set("Content-Type", http.DetectContentType(begin))
	}
	if w.status != http.StatusSwitchingProtocols && w.gate.head(h, w.visit, w.status) {
		w.open(h)
	}
	w.ResponseWriter.WriteHeader(w.status)
}

// open puts the parts in a row that a page's body needs.
func (w *writer) open(h http.Header) {
	from := coding(h)
	var to io.Writer = w.ResponseWriter
	if from != "" {
		vary(h, "Accept-Encoding")
		h.Del("Content-Encoding")
		if w.visit.gzip {
			h.Set("Content-Encoding", "gzip")
		}
	}
	if w.visit.method == http.MethodHead {
		w.body = io.Discard // net/http would count what the handler wrote
		return
	}
	if from != "" && w.visit.gzip {
		w.gzip = gzipWriters.Get().(*gzip.Writer)
		w.gzip.Reset(w.ResponseWriter)
		to = w.gzip
	}
	w.injector = &injector{to: to, element: w.visit.element, page: w.visit.page}
	w.body = w.injector
	if from != "" {
		w.decoder = newDecoder(from, w.injector)
		w.body = w.decoder
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.send(p)
	if w.body == nil {
		return w.ResponseWriter.Write(p)
	}
	return w.body.Write(p)
}

// ReadFrom keeps sendfile for files that pass as they are.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 {
		if _, typed := w.Header()["Content-Type"]; typed {
			w.send(nil)
		}
	}
	if w.sent && w.body == nil {
		return io.Copy(w.ResponseWriter, r)
	}
	return io.Copy(struct{ io.Writer }{w}, r)
}

// Flush is FlushError for those who do not ask.
func (w *writer) Flush() { w.FlushError() }

// FlushError sends what was written, up to a few bytes that may become <head>.
func (w *writer) FlushError() error {
	w.send(nil)
	if w.gzip != nil {
		if err := w.gzip.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack takes the connection over, for websockets.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.hijacked = err == nil
	return conn, buffered, err
}

// finish sends what is left of the page. A coded body that was broken off is
// broken off for the client as well.
func (w *writer) finish() {
	if w.hijacked {
		return
	}
	w.send(nil)
	var err error
	if w.decoder != nil {
		err = w.decoder.Close()
	}
	if w.injector != nil {
		err = errors.Join(err, w.injector.Close())
	}
	if w.gzip != nil && err == nil {
		err = w.gzip.Close()
	}
	w.release()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// abandon gives up in the middle of a page.
func (w *writer) abandon() {
	if w.decoder != nil {
		w.decoder.stop()
	}
	w.release()
}

func (w *writer) release() {
	if w.gzip != nil {
		w.gzip.Reset(io.Discard)
		gzipWriters.Put(w.gzip)
		w.gzip = nil
	}
}
