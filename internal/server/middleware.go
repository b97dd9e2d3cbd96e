package server

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// Header names as net/http keeps them, so that maps can be asked directly.
const (
	headerRequestID = "X-Request-Id"
	headerFeedV2    = "X-Ff-Feed-V2"
)

// named gives the request its id: the client's own if it is a sane one, so that
// a request can be followed through several services, else a new one. It stands
// in the response from here on; requestID reads it there.
func named(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(headerRequestID)
		if !saneID(id) {
			id = mintID()
		}
		c.Response().Header()[headerRequestID] = []string{id}
		return next(c)
	}
}

func requestID(c echo.Context) string { return c.Response().Header().Get(headerRequestID) }

// saneID keeps what goes into logs and documents short and free of surprises.
func saneID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, b := range []byte(id) {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '_', b == '.':
		default:
			return false
		}
	}
	return true
}

// mintID returns 26 letters and digits. They are unlikely to repeat, not hard to
// guess: an id names a request and opens nothing.
func mintID() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64())
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
}

// changing is for requests that may change something: it bounds their time, and has
// the answer announce what they have moved. A read's time is bounded by the cache.
// The deadline outlasts the answer, so that fail can tell a deadline that has passed
// from a client that has left.
//
// It is one middleware, since each costs every request an allocation.
func (s *Server) changing(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return next(c)
		}
		ctx, cancel := context.WithTimeout(r.Context(), s.o.RequestTimeout)
		defer cancel()
		c.SetRequest(r.WithContext(ctx))
		announce(c)
		return next(c)
	}
}

// panicError is a panic on its way to fail and to the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// recovered makes a panic an error. http.ErrAbortHandler goes on: it is how a
// handler asks net/http to drop the connection.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				err = &panicError{p, debug.Stack()}
			}
		}()
		return next(c)
	}
}

// maxBody is the most that a request's body may hold, in bytes.
const maxBody = 64 << 10

// limited bounds the size of a body. One that says it is larger is not read.
func limited(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.ContentLength > maxBody {
			return tooLarge()
		}
		if r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(c.Response().Writer, r.Body, maxBody)
		}
		return next(c)
	}
}

// matched undoes a kindness of the router: to it, a parameter at the end of a
// pattern is the whole rest of the path, and /posts/7/likes a post with the id
// "7/likes".
func matched(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		names := c.ParamNames()
		for i, value := range c.ParamValues() {
			if names[i] != "*" && strings.Contains(value, "/") {
				return echo.ErrNotFound
			}
		}
		return next(c)
	}
}

func tooLarge() error {
	return problem.TooLarge(fmt.Sprintf("the body is larger than %d bytes", maxBody))
}

// identified puts the caller on the request's context. It holds for everything
// below /api and /admin, paths that do not exist included: a token that cannot be
// trusted is refused wherever it is shown, and never read as "nobody".
func (s *Server) identified(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if !strings.HasPrefix(r.URL.Path, "/api/") && !strings.HasPrefix(r.URL.Path, "/admin/") {
			return next(c)
		}
		caller, err := s.caller(r.Header)
		if err != nil {
			return err
		}
		c.SetRequest(r.WithContext(identity.With(r.Context(), caller)))
		return next(c)
	}
}

func (s *Server) caller(h http.Header) (identity.Caller, error) {
	var user identity.UserID
	var role identity.Role
	if credentials, sent := h["Authorization"]; sent {
		token, ok := bearer(credentials)
		if !ok {
			return identity.Caller{}, problem.Unauthorized("the Authorization header is not one bearer token")
		}
		var err error
		switch user, role, err = s.verifier.Verify(token); {
		case errors.Is(err, identity.ErrExpired):
			return identity.Caller{}, problem.Unauthorized("the token has expired")
		case err != nil:
			// Why not is for the log of whoever issues tokens, not for who forges them.
			return identity.Caller{}, problem.Unauthorized("the token is not valid")
		}
	}
	flag := h[headerFeedV2]
	feedV2 := len(flag) == 1 && flag[0] == "1"
	return identity.NewCaller(user, role, s.locales.Match(joined(h["Accept-Language"])), feedV2), nil
}

// bearer returns the token of RFC 6750, 2.1: one header, a scheme in any case.
func bearer(credentials []string) (token string, ok bool) {
	if len(credentials) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(credentials[0], " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// joined is the one value of a list header that was sent in several lines.
func joined(lines []string) string {
	if len(lines) == 1 {
		return lines[0]
	}
	return strings.Join(lines, ",")
}
