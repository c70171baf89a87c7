// Package web holds what the HTTP faces share: handlers that return errors,
// the one place that maps an error to an answer, and limits.
package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"

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
	status := Status(err)
	Log(r, status, err)
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	body, _ := json.Marshal(problem{"about:blank", http.StatusText(status), status, fault.Message(err)})
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

// Log writes one line for a failure that is the server's; the pattern of the
// route stands for the path, which can hold an ID.
func Log(r *http.Request, status int, err error) {
	if status < 500 {
		return
	}
	slog.Error("request failed", "method", r.Method, "route", r.Pattern, "status", status, "error", err)
}
