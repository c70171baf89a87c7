// Package wire speaks the protocols between logs, witnesses and monitors: C2SP
// tlog-witness as server and client, and tlog-tiles as a client.
package wire

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"assent/internal/fault"
	"assent/internal/web"
	"assent/internal/witness"
)

// NewServer returns a witness's submission and monitoring prefix, and a page
// in plain text that says whose key this is and what it follows.
func NewServer(w *witness.Witness) http.Handler {
	s := &server{w}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", s.addCheckpoint)
	mux.HandleFunc("GET /{hash}/checkpoint", s.checkpoint)
	mux.HandleFunc("GET /{$}", s.about)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ready\n") })
	return mux
}

type server struct{ w *witness.Witness }

func (s *server) addCheckpoint(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, witness.MaxRequest))
	if err != nil {
		status := http.StatusBadRequest
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			status = http.StatusRequestEntityTooLarge
		}
		text(w, status, "The request cannot be read, or is larger than 64 KiB.\n")
		return
	}
	request, err := witness.ParseRequest(body)
	if err != nil {
		fail(w, r, err)
		return
	}
	line, err := s.w.AddCheckpoint(r.Context(), request)
	if conflict, ok := errors.AsType[*witness.ConflictError](err); ok {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, "%d\n", conflict.Size)
		return
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	text(w, http.StatusOK, string(line))
}

func (s *server) checkpoint(w http.ResponseWriter, r *http.Request) {
	checkpoint, err := s.w.Seen(r.Context(), r.PathValue("hash"))
	if err != nil {
		fail(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	text(w, http.StatusOK, string(checkpoint))
}

func (s *server) about(w http.ResponseWriter, r *http.Request) {
	key, err := s.w.VerifierKey()
	if err != nil {
		fail(w, r, err)
		return
	}
	logs, err := s.w.Logs(r.Context())
	if err != nil {
		fail(w, r, err)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "A witness of transparency logs (C2SP tlog-witness).\n\nkey  %s\n", key)
	for _, l := range logs {
		fmt.Fprintf(&b, "\nlog  %s\nsize %d\nroot %s\n", l.Origin, l.Size, l.Root)
	}
	text(w, http.StatusOK, b.String())
}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	status := web.Status(err)
	web.Log(r, status, err)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	text(w, status, fault.Message(err)+"\n")
}

func text(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	w.WriteHeader(status)
	io.WriteString(w, body)
}
