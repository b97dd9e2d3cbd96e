// Package problem is how a request fails on purpose: an error value that says
// what a client may know, in the terms of RFC 9457.
//
// Its invariant: everything in a Problem is meant for the client. What happened
// inside stays in other errors, which the server answers with a bare 500.
package problem

import (
	"fmt"
	"net/http"
	"time"
)

// ContentType is the media type of an encoded Problem.
const ContentType = "application/problem+json"

// Problem is an error to be shown. Its fields are the members of RFC 9457, 3.1,
// with the extension member "errors".
type Problem struct {
	Type     string  `json:"type"`
	Title    string  `json:"title"`
	Status   int     `json:"status"`
	Detail   string  `json:"detail,omitempty"`
	Instance string  `json:"instance,omitempty"`
	Errors   []Field `json:"errors,omitempty"`

	// RetryAfter goes into the response's header of that name, in whole seconds.
	RetryAfter time.Duration `json:"-"`
}

// Field is what is wrong with one part of the request.
type Field struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func (p *Problem) Error() string {
	text := fmt.Sprintf("%d %s", p.Status, p.Title)
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	for _, f := range p.Errors {
		text += fmt.Sprintf("; %s %s", f.Field, f.Message)
	}
	return text
}

// New returns a problem of the type that RFC 9457, 4.2.1 keeps for those which
// a status code says all about.
func New(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// NotFound says that what ("post 7") is not there, or not for this caller:
// the two look the same from outside.
func NotFound(what string) error {
	return New(http.StatusNotFound, what+" was not found")
}

// Unauthorized says that the request needs a (better) token.
func Unauthorized(detail string) error { return New(http.StatusUnauthorized, detail) }

// Forbidden says that this caller may not do it.
func Forbidden(detail string) error { return New(http.StatusForbidden, detail) }

// Conflict says that the state of things does not allow it.
func Conflict(detail string) error { return New(http.StatusConflict, detail) }

// PreconditionFailed says that what the request wants to be true before it is done
// is not: RFC 9110, 15.5.13.
func PreconditionFailed(detail string) error { return New(http.StatusPreconditionFailed, detail) }

// BadRequest says that the request makes no sense. What is wrong with single
// fields is better said with Fields.
func BadRequest(detail string) error { return New(http.StatusBadRequest, detail) }

// UnsupportedMediaType says that the body is in a form that is not taken.
func UnsupportedMediaType(detail string) error {
	return New(http.StatusUnsupportedMediaType, detail)
}

// TooLarge says that the body is longer than is taken.
func TooLarge(detail string) error { return New(http.StatusRequestEntityTooLarge, detail) }

// Unavailable says that it cannot be done now, and when to try again.
func Unavailable(detail string, retryAfter time.Duration) error {
	p := New(http.StatusServiceUnavailable, detail)
	p.RetryAfter = retryAfter
	return p
}
