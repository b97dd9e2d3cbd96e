package cachehttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
)

// A Page declares a GET route whose answer is composed of fragments. Its key is made as a
// [Route]'s. It declares neither policy nor tags: those are its fragments'. What caches on
// the way may do with it, it says itself.
type Page struct {
	Name    string // of the key; see cache.PageSpec
	Version int    // of the key; a new one whenever the dimensions or the body's shape change
	Body    any    // a zero value of what the page's function returns: feedBody{}

	Path     []Param
	Query    []Param
	Identity identity.Dimensions

	CacheControl string // of a fresh answer: "private, max-age=15"
}

// route is the part of the declaration that a Page shares with a Route.
func (p Page) route() Route {
	return Route{Name: p.Name, Version: p.Version, Body: p.Body, Path: p.Path, Query: p.Query, Identity: p.Identity}
}

// Composing is what a page's function sees: the page's key, and the fragments that it
// names by [cache.Fragments.Want]. It reaches nothing of the request and nothing of the
// caller but what the page declares.
type Composing struct {
	*cache.Composition
	who     identity.Caller
	version int64
}

// Param returns a parameter of the path or the query, in its canonical form.
func (p *Composing) Param(name string) string { return p.Key().Get(name) }

// Int returns a parameter that the route declares as a number. One that is not is a mistake
// in the program and panics, naming it.
func (p *Composing) Int(name string) int64 {
	n, err := strconv.ParseInt(p.Param(name), 10, 64)
	if err != nil {
		panic(fmt.Sprintf("cachehttp: %s of key %s is not a number", name, p.Key()))
	}
	return n
}

// Caller is who asks, as far as the page declares it.
func (p *Composing) Caller() identity.Caller { return p.who }

// Version is [Version] of a page: of which version of its row it is made.
func (p *Composing) Version(version int64) { p.version = version }

// Page mounts compose on path for GET and HEAD. It returns the body, which is sent as
// JSON, or an error, which goes to the callers and is not kept. A body of another type than
// p declares is an error. Page panics when p does not fit path, declares no body or is
// declared twice.
func (c *Cached) Page(g *echo.Group, path string, p Page, compose func(*Composing) (any, error)) {
	c.newPage(p, compose).mount(g, path)
}

// newPage prepares a page that is not mounted yet.
func (c *Cached) newPage(p Page, compose func(*Composing) (any, error)) *mounted {
	r := p.route()
	who := "public"
	if p.Identity&identity.User != 0 {
		who = "private"
	}
	declared := r.body()
	m := c.newMounted(r, p.CacheControl, who+", max-age=0")
	m.page = cache.NewPage(c.cache, cache.PageSpec{Name: p.Name, Version: p.Version, Dims: r.dims(), Value: declared},
		func(*response) int { return 0 }, // it says so itself: see Size
		func(m *cache.Composition) (*response, error) {
			who, err := identity.FromKey(p.Name, p.Identity, m.Key().Get)
			if err != nil {
				return nil, err
			}
			composing := &Composing{Composition: m, who: who}
			body, err := compose(composing)
			if err != nil {
				return nil, err
			}
			if got := reflect.TypeOf(body); got != declared {
				return nil, fmt.Errorf("cachehttp: page %s/%d returns %v and declares %v", p.Name, p.Version, got, declared)
			}
			var buffer bytes.Buffer
			if err := json.NewEncoder(&buffer).Encode(body); err != nil {
				return nil, fmt.Errorf("what the page returns is not JSON: %w", err)
			}
			return newResponse(echo.MIMEApplicationJSON, Groups(m.Tags()), composing.version, buffer.Bytes()), nil
		})
	return m
}
