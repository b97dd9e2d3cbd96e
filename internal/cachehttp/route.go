// Package cachehttp puts the cache in front of HTTP routes.
//
// The idea: a cached handler sees only what its key contains. The package turns a
// request into a key (path and query parameters that the route declares, and the
// declared dimensions of who is asking), and when a load is needed, it rebuilds a
// request from that key and runs the handler on it. There is no header, no cookie,
// no other parameter, and no identity but the declared one. A response that depends
// on something outside its key cannot be made, so it cannot be stored and shown to
// somebody else.
//
// route.go and param.go declare; cached.go is the way of a request; response.go is
// what is kept, with its validator, in the codings of coding.go. What the answer to
// one client is, is found without touching it: negotiate.go picks the coding,
// conditional.go tells who has it already, status.go and groups.go say to caches on
// the way what ours knows. precondition.go and written.go are the other half, for
// writes: what they may rely on, and what they answer with.
package cachehttp

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
)

// A Route declares how one GET route is cached. Its key has the path parameters,
// then the identity, then the query parameters as dimensions, in the order given.
type Route struct {
	Name    string // of the key; see cache.Spec
	Version int    // of the key; a new one whenever the dimensions or the body's shape change
	Body    any    // a zero value of what the handler writes as JSON: listBody{}

	Path     []Param             // one for each ":name" in the path
	Query    []Param             // the only query parameters that exist for the handler
	Identity identity.Dimensions // what the handler may know of who is asking

	Policy cache.Policy
	Tags   func(cache.Key) []cache.Tag // besides the user's own, which Identity implies
}

// UserTag is the tag of everything that was made for one user. Every page with a
// user dimension carries it.
func UserTag(u identity.UserID) cache.Tag { return UserTagOf(u.String()) }

// UserTagOf is UserTag of a user as keys have them, as text.
func UserTagOf(value string) cache.Tag { return cache.Tag("user:" + value) }

// spec compiles the route to the key that the cache knows.
func (r Route) spec() cache.Spec {
	return cache.Spec{Name: r.Name, Version: r.Version, Dims: r.dims(), Policy: r.Policy, Tags: r.tags(), Value: r.body(), Response: true}
}

// body is the type of the body. A route without one panics: nobody would notice that its
// shape changes.
func (r Route) body() reflect.Type {
	if r.Body == nil {
		panic(fmt.Errorf("cachehttp: route %s/%d declares no Body", r.Name, r.Version))
	}
	return reflect.TypeOf(r.Body)
}

// dims are the dimensions of the route's key.
func (r Route) dims() (dims []string) {
	for _, p := range r.Path {
		dims = append(dims, p.Name)
	}
	dims = append(dims, r.Identity.Names()...)
	for _, p := range r.Query {
		dims = append(dims, p.Name)
	}
	return dims
}

// tags adds the user's tag to those that the route declares.
func (r Route) tags() func(cache.Key) []cache.Tag {
	if r.Identity&identity.User == 0 {
		return r.Tags
	}
	dim := identity.User.Names()[0]
	return func(k cache.Key) []cache.Tag {
		var tags []cache.Tag
		if r.Tags != nil {
			tags = append(tags, r.Tags(k)...)
		}
		return append(tags, UserTagOf(k.Get(dim)))
	}
}

// browserAge is the longest that a browser or proxy may keep an answer without
// asking. No invalidation reaches it there, so it is short however long the service itself
// may keep the answer; and asking again is cheap, since it is mostly a 304.
const browserAge = 15 * time.Second

// cacheControl is what browsers and proxies may do with an answer. What was made
// for one user is private to their browser. What is stale here already is not fresh
// anywhere else.
func (r Route) cacheControl(stale bool) string {
	who := "public"
	if r.Identity&identity.User != 0 {
		who = "private"
	}
	if stale {
		return who + ", max-age=0"
	}
	b := fmt.Appendf(nil, "%s, max-age=%d", who, seconds(min(r.Policy.TTL/2, browserAge)))
	if r.Policy.StaleWhileRevalidate > 0 {
		b = fmt.Appendf(b, ", stale-while-revalidate=%d", seconds(r.Policy.StaleWhileRevalidate))
	}
	if r.Policy.StaleIfError > 0 && who == "public" {
		b = fmt.Appendf(b, ", stale-if-error=%d", seconds(r.Policy.StaleIfError))
	}
	return string(b)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// vary names the request headers that the answer depends on, and no others.
func (r Route) vary() string {
	return strings.Join(append(r.Identity.Headers(), "Accept-Encoding"), ", ")
}

// inPath finds the parameters of a path where Echo finds them: from a colon, which may
// stand within a part, to the next slash; and the star, which no key can declare.
var inPath = regexp.MustCompile(`:[^/]*|\*`)

// checkPath refuses a route whose declared path parameters are not those of its
// path, in their order.
func (r Route) checkPath(path string) error {
	var in []string
	for _, found := range inPath.FindAllString(path, -1) {
		in = append(in, strings.TrimPrefix(found, ":"))
	}
	declared := make([]string, 0, len(r.Path))
	for _, p := range r.Path {
		declared = append(declared, p.Name)
	}
	if !slices.Equal(in, declared) {
		return fmt.Errorf("cachehttp: route %s/%d declares path parameters %q, its path %s has %q",
			r.Name, r.Version, declared, path, in)
	}
	return nil
}

// header makes the value that net/http keeps for a header, once instead of at
// every request. It is shared by all of them and never changed.
func header(value string) []string { return []string{value} }
