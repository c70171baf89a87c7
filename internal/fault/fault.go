// Package fault names the few kinds of failure that Assent tells people about.
// An error of this package carries a sentence that is safe to show and says
// what to do; every other error is internal, is logged, and is never shown.
package fault

import (
	"errors"
	"fmt"
)

// Kind says which answer an error deserves.
type Kind int

// The kinds; each face maps them once (HTTP status, exit code).
const (
	Internal     Kind = iota // a bug or a surprise; details go to the log only
	Invalid                  // the input cannot be read: 400
	Unprocessed              // the input is readable and wrong: 422
	Unauthorized             // nobody is signed in: 401
	Forbidden                // known, and not allowed: 403
	NotFound                 // 404
	Conflict                 // contradicts what is stored: 409
	TooLarge                 // 413
	Unsupported              // a media type that is not read here: 415
	TooMany                  // 429
	Unavailable              // try again later: 503
	Gone                     // was here and was erased: 410
)

// Error is a failure with a sentence for the person who caused or meets it.
type Error struct {
	Kind    Kind
	Message string // one or two sentences, safe to show, saying what to do
	Err     error  // the cause, for the log; may be nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + " (" + e.Err.Error() + ")"
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind from a format.
func New(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives a cause the sentence that people see.
func Wrap(kind Kind, cause error, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Err: cause}
}

// KindOf returns the kind of err, Internal when it has none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Message returns the sentence that may be shown for err.
func Message(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Message
	}
	return "Something went wrong on this server. It has been logged; please try again."
}
