package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// Header names as net/http keeps them, so that maps can be asked directly.
const (
	headerRequestID = "X-Request-Id"
	headerFeedV2    = "X-Ff-Feed-V2"
)

// around is the way of every request, and the only middleware. Echo builds its chain
// anew for each request, so that every link would cost them all an allocation.
//
// The name comes first, for everybody to use. The observer stands outside the recovery,
// so that a panic is answered, logged and counted like any other failure. Limits come
// before identity: what is too large is not worth a signature check.
func (s *Server) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		p := &passage{Context: c, began: time.Now()}
		p.name()
		if r := c.Request(); r.Method != http.MethodGet && r.Method != http.MethodHead {
			defer s.change(c)()
		}
		s.observe(p, next)
		return nil // it has been answered
	}
}

// answer is what is observed.
func (s *Server) answer(p *passage, next echo.HandlerFunc) (err error) {
	defer recoverTo(&err)
	if err := limit(p.Context); err != nil {
		return err
	}
	if err := s.identify(p); err != nil {
		return err
	}
	if !matches(p) {
		return echo.ErrNotFound
	}
	return next(p)
}

// name gives the request its id: the client's own if it is a sane one, so that
// a request can be followed through several services, else a new one. It stands
// in the response from here on; requestID reads it there.
func (p *passage) name() {
	r, _ := p.Asked()
	if sent := r.Header[headerRequestID]; len(sent) > 0 && saneID(sent[0]) {
		p.id[0] = sent[0]
	} else {
		p.id[0] = mintID()
	}
	p.Response().Header()[headerRequestID] = p.id[:]
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

// mintID returns 24 letters from a to p, four random bits each. They are unlikely to
// repeat, not hard to guess: an id names a request and opens nothing.
func mintID() string {
	const low, letters = 0x0f0f0f0f0f0f0f0f, 0x6161616161616161 // in each of eight bytes
	var id [24]byte
	for i := 0; i < len(id); i += 8 {
		binary.NativeEndian.PutUint64(id[i:], rand.Uint64()&low+letters)
	}
	return string(id[:])
}

// change is for requests that may change something: it bounds their time, and has
// the answer announce what they have invalidated. A read's time is bounded by the cache.
// The deadline outlasts the answer, so that fail can tell a deadline that has passed
// from a client that has left; it is lifted by what is returned.
func (s *Server) change(c echo.Context) (lift func()) {
	r := c.Request()
	ctx, cancel := context.WithTimeout(r.Context(), s.o.RequestTimeout)
	c.SetRequest(r.WithContext(ctx))
	announce(c)
	return cancel
}

// panicError is a panic on its way to fail and to the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// recoverTo makes a panic an error. http.ErrAbortHandler goes on: it is how a
// handler asks net/http to drop the connection.
func recoverTo(err *error) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		*err = &panicError{p, debug.Stack()}
	}
}

// maxBody is the most that a request's body may hold, in bytes.
const maxBody = 64 << 10

// limit bounds the size of a body. One that says it is larger is not read.
func limit(c echo.Context) error {
	r := c.Request()
	if r.ContentLength > maxBody {
		return tooLarge()
	}
	if r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(c.Response().Writer, r.Body, maxBody)
	}
	return nil
}

// matches undoes a kindness of the router: to it, a parameter at the end of a
// pattern is the whole rest of the path, and /posts/7/likes a post with the id
// "7/likes".
func matches(c echo.Context) bool {
	names := c.ParamNames()
	for i, value := range c.ParamValues() {
		if names[i] != "*" && strings.Contains(value, "/") {
			return false
		}
	}
	return true
}

func tooLarge() error {
	return problem.TooLarge(fmt.Sprintf("the body is larger than %d bytes", maxBody))
}

// identify finds out who asks. It holds for everything below /api and /admin, paths
// that do not exist included: a token that cannot be trusted is refused wherever it is
// shown, and never read as "nobody".
func (s *Server) identify(p *passage) (err error) {
	r, _ := p.Asked()
	if strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/admin/") {
		p.caller, err = s.caller(r.Header, p.began)
	}
	return err
}

func (s *Server) caller(h http.Header, at time.Time) (identity.Caller, error) {
	var user identity.UserID
	var role identity.Role
	if credentials, sent := h["Authorization"]; sent {
		token, ok := bearer(credentials)
		if !ok {
			return identity.Caller{}, problem.Unauthorized("the Authorization header is not one bearer token")
		}
		var err error
		switch user, role, err = s.verifier.Verify(token, at); {
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
