// Package web holds what the HTTP faces share: handlers that return errors,
// the one place that maps an error to an answer, and limits.
package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"assent/internal/fault"
)

// Handler is an http.Handler whose failures are returned, not written.
type Handler func(w http.ResponseWriter, r *http.Request) error

// JSON adapts a handler for machines: failures become problem+json (RFC 9457).
func JSON(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			Problem(w, r, err)
		}
	})
}

var statusOf = map[fault.Kind]int{
	fault.Internal:     http.StatusInternalServerError,
	fault.Invalid:      http.StatusBadRequest,
	fault.Unprocessed:  http.StatusUnprocessableEntity,
	fault.Unauthorized: http.StatusUnauthorized,
	fault.Forbidden:    http.StatusForbidden,
	fault.NotFound:     http.StatusNotFound,
	fault.Conflict:     http.StatusConflict,
	fault.TooLarge:     http.StatusRequestEntityTooLarge,
	fault.Unsupported:  http.StatusUnsupportedMediaType,
	fault.TooMany:      http.StatusTooManyRequests,
	fault.Unavailable:  http.StatusServiceUnavailable,
	fault.Gone:         http.StatusGone,
}

// Status is the HTTP status that err deserves.
func Status(err error) int { return statusOf[fault.KindOf(err)] }

// retryAfter is what 429 and 503 answers ask a client to wait, in seconds.
const retryAfter = 5

type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// Problem writes err as application/problem+json (RFC 9457) and logs it when
// it is ours: never a body, an address or an ID of a person.
func Problem(w http.ResponseWriter, r *http.Request, err error) {
	ProblemSaying(w, r, err, fault.Message(err))
}

// ProblemSaying is Problem with another sentence than the error's own.
func ProblemSaying(w http.ResponseWriter, r *http.Request, err error, detail string) {
	status := Status(err)
	Log(r, status, err)
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	body, _ := json.Marshal(problem{"about:blank", http.StatusText(status), status, detail})
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

// Log writes one line for a failure that is the server's; the pattern of the
// route stands for the path, which can hold an ID. While a route goes on failing
// (a database that is away), there is one line a second, which counts the rest.
func Log(r *http.Request, status int, err error) {
	if status < 500 {
		return
	}
	known, _ := failures.LoadOrStore(r.Pattern, new(failure))
	f := known.(*failure)
	now := time.Now().Unix()
	if last := f.second.Load(); last == now || !f.second.CompareAndSwap(last, now) {
		f.unsaid.Add(1)
		return
	}
	slog.Error("request failed", "method", r.Method, "route", r.Pattern, "status", status, "error", err, "more_like_it", f.unsaid.Swap(0))
}

// failures holds one failure for each pattern of the program's routes.
var failures sync.Map

type failure struct {
	second atomic.Int64 // Unix time of the last line
	unsaid atomic.Int64 // failures since then
}
