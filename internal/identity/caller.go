// Package identity says who is asking: which user, in which language, with
// which flags. It knows neither HTTP frameworks nor caches nor databases.
//
// Its invariant: a response may depend on the caller only through dimensions
// that its cache key declares. A Caller taken from a request answers every
// question. A Caller rebuilt from a key answers only the declared ones and
// panics with an *UndeclaredError on any other, so that a page which would
// leak from one person to another cannot be made, and the mistake is loud on
// its first request.
package identity

import (
	"context"
	"fmt"
	"strconv"
)

// UserID is a user's number. Zero is nobody: a request without a token.
type UserID int64

// String renders the id as it stands in cache keys and logs: "42", or "anon".
func (u UserID) String() string {
	if u == 0 {
		return anonymous
	}
	return strconv.FormatInt(int64(u), 10)
}

// ParseUserID reads the canonical decimal form of a positive id: no sign, no
// leading zero, no spaces, so that one user has exactly one spelling.
func ParseUserID(s string) (UserID, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != s {
		return 0, fmt.Errorf("%q is not a user id: want a positive decimal number", s)
	}
	return UserID(id), nil
}

// Role is what a token says its bearer may do beyond an ordinary user's rights.
type Role string

// Admin may edit anybody's posts and write products.
const Admin Role = "admin"

const (
	anonymous = "anon"
	flagOn    = "1"
	flagOff   = "0"
)

// Caller is who is asking. The zero value is an anonymous caller who reads
// English and has no flag on. A Caller is immutable.
type Caller struct {
	user   UserID
	role   Role
	locale string // empty is the default locale
	feedV2 bool
	scope  *scope // nil: taken from a request, everything may be read
}

// scope is what a key lets its handler see.
type scope struct {
	key      string
	declared Dimensions
}

// NewCaller describes who is behind a request. A user below one is nobody; a
// locale that is not supported is the default one.
func NewCaller(user UserID, role Role, locale string, feedV2 bool) Caller {
	if user < 0 {
		user = 0
	}
	if !Supported(locale) {
		locale = ""
	}
	return Caller{user: user, role: role, locale: locale, feedV2: feedV2}
}

// User is the verified user, or 0.
func (c Caller) User() UserID {
	c.need(User)
	return c.user
}

// Locale is the supported locale that fits the caller best, such as "pt-BR".
func (c Caller) Locale() string {
	c.need(Locale)
	if c.locale == "" {
		return DefaultLocale
	}
	return c.locale
}

// FeedV2 tells whether the caller asked for the second version of the feed.
func (c Caller) FeedV2() bool {
	c.need(FeedV2)
	return c.feedV2
}

// Admin tells whether the caller is an administrator. No key can declare it:
// what only administrators may see is not cached.
func (c Caller) Admin() bool {
	if c.scope != nil {
		panic(&UndeclaredError{Key: c.scope.key, Dimension: "admin"})
	}
	return c.user != 0 && c.role == Admin
}

// Value renders one dimension as it stands in a key: "42" or "anon", "de",
// "1" or "0". It panics when d is not exactly one dimension.
func (c Caller) Value(d Dimensions) string {
	switch d {
	case User:
		return c.User().String()
	case Locale:
		return c.Locale()
	case FeedV2:
		if c.FeedV2() {
			return flagOn
		}
		return flagOff
	}
	panic(fmt.Sprintf("identity: Value wants one dimension, got %08b", uint8(d)))
}

func (c Caller) need(d Dimensions) {
	if c.scope != nil && c.scope.declared&d == 0 {
		panic(&UndeclaredError{Key: c.scope.key, Dimension: d.Names()[0]})
	}
}

// UndeclaredError is the panic value of a handler that looked at something of
// the caller which its cache key does not contain.
type UndeclaredError struct {
	Key       string // the key's name, as declared by its route
	Dimension string
}

func (e *UndeclaredError) Error() string {
	return fmt.Sprintf("the handler behind key %s read the caller's %s, which the key does not declare", e.Key, e.Dimension)
}

// callerContext is a context that carries a caller. It is made for every load and every
// write, and in one piece; that of context.WithValue would be two.
type callerContext struct {
	context.Context
	caller Caller
}

type contextKey struct{}

func (c *callerContext) Value(key any) any {
	if key == (contextKey{}) {
		return &c.caller
	}
	return c.Context.Value(key)
}

// With returns a context that carries the caller.
func With(ctx context.Context, c Caller) context.Context { return &callerContext{ctx, c} }

// From returns the context's caller; a context without one belongs to nobody
// and gives the zero Caller.
func From(ctx context.Context) Caller {
	if c, ok := ctx.Value(contextKey{}).(*Caller); ok {
		return *c
	}
	return Caller{}
}
