package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/problem"
)

// statusClientGone is what logs and metrics call an answer that nobody waits for
// (nginx's number). It goes out without a body, in case somebody does.
const statusClientGone = 499

// retryAfter is when a client may try again what could not be done now.
const retryAfter = time.Second

// fail answers a request that has failed and returns the status. It is the only
// place that turns errors into responses.
func (s *Server) fail(c echo.Context, err error) (status int) {
	r, w := c.Request(), c.Response()
	if w.Committed { // too late: the answer broke off
		return w.Status
	}
	if errors.Is(r.Context().Err(), context.Canceled) {
		w.WriteHeader(statusClientGone)
		return statusClientGone
	}
	p := *problemOf(err, r.Method) // a copy: the reads that joined a fill share its error
	p.Instance = "urn:request:" + requestID(c)

	h := w.Header()
	h.Del("Etag")
	h.Del("Content-Encoding")
	h.Del("Content-Length")
	h.Set("Content-Type", problem.ContentType)
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", challenge(r))
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	}
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		// Whether the client has got it is no longer ours to answer.
		_ = json.NewEncoder(w).Encode(&p)
	}
	return p.Status
}

// challenge is RFC 6750, 3: a client that has shown no token is told to, and not
// that something is wrong with it.
func challenge(r *http.Request) string {
	const scheme = `Bearer realm="communityfeed"`
	if _, sent := r.Header["Authorization"]; !sent {
		return scheme
	}
	return scheme + `, error="invalid_token"`
}

// problemOf says what the client may know of an error. What is not listed here
// is a fault of ours, and its text stays inside.
func problemOf(err error, method string) *problem.Problem {
	var shown *problem.Problem
	var routing *echo.HTTPError
	var body *http.MaxBytesError
	switch {
	case errors.As(err, &shown):
		return shown
	case errors.As(err, &body):
		err = tooLarge()
	case errors.As(err, &routing) && routing.Code == http.StatusNotFound:
		err = problem.NotFound("the path")
	case errors.As(err, &routing) && routing.Code == http.StatusMethodNotAllowed:
		return problem.New(routing.Code, fmt.Sprintf("the path does not take %s", method))
	case errors.As(err, &routing) && routing.Code < 500:
		return problem.New(routing.Code, fmt.Sprint(routing.Message))
	case errors.Is(err, cache.ErrUnavailable),
		errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, context.Canceled), // not by the client: something of ours is closing
		postgres.Unavailable(err):
		err = problem.Unavailable("the service cannot answer this now", retryAfter)
	default:
		return problem.New(http.StatusInternalServerError, "")
	}
	errors.As(err, &shown)
	return shown
}
