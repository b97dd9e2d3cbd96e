package cachehttp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// Cached mounts cached routes, and answers writes with what those would show.
type Cached struct {
	echo       *echo.Echo
	cache      *cache.Cache
	compressor *compressor
	statuses   *statuses
}

// New mounts routes on e that are cached in c.
func New(e *echo.Echo, c *cache.Cache) *Cached {
	return &Cached{echo: e, cache: c, compressor: newCompressor(), statuses: newStatuses()}
}

// GET mounts h on path for GET and HEAD, cached as r declares. h answers 200, or
// returns an error, which goes to the callers and is not stored. It panics when r
// does not fit path, declares no body or is declared twice: mistakes in the program,
// found at start.
func (c *Cached) GET(g *echo.Group, path string, r Route, h echo.HandlerFunc) {
	m := c.newMounted(r, r.cacheControl(false), r.cacheControl(true))
	m.tags, m.handler = r.tags(), h
	m.source = cache.NewSource(c.cache, r.spec(), codec{}, m.load)
	m.mount(g, path)
}

// newMounted prepares what all answers of a route have in common.
func (c *Cached) newMounted(r Route, cacheControl, staleControl string) *mounted {
	m := &mounted{
		Cached:       c,
		route:        r,
		cacheControl: header(cacheControl),
		staleControl: header(staleControl),
		vary:         header(r.vary()),
	}
	for d := identity.Dimensions(1); d != 0; d <<= 1 {
		if r.Identity&d != 0 {
			m.identity = append(m.identity, d)
		}
	}
	return m
}

// mount serves the route for GET and HEAD.
func (m *mounted) mount(g *echo.Group, path string) {
	m.path = g.GET(path, m.serve).Path
	g.HEAD(path, m.serve)
	if err := m.route.checkPath(m.path); err != nil {
		panic(err)
	}
}

// mounted is a route at its place.
type mounted struct {
	*Cached
	route    Route
	identity []identity.Dimensions  // of route.Identity, one by one
	path     string                 // with its prefix: "/api/posts/:id"
	page     *cache.Page[*response] // nil: it is a response

	// Of a response, which is one handler's answer:
	source  *cache.Source[*response]
	tags    func(cache.Key) []cache.Tag
	handler echo.HandlerFunc

	cacheControl, staleControl, vary []string
}

// serve answers a request: its key, the cache, the answer's headers, the body.
func (m *mounted) serve(c echo.Context) error {
	req, who := asked(c)
	var room [8]string // keeps the values of most keys off the heap
	values, err := m.values(room[:0], c, req, who)
	if err != nil {
		return err
	}
	r, err := m.fetch(req.Context(), values)
	if err != nil {
		return err
	}
	return m.write(req, c.Response(), r)
}

// fetch calls what it calls by name, not by a stored function: that would move a key's
// values to the heap.
func (m *mounted) fetch(ctx context.Context, values []string) (cache.Result[*response], error) {
	if m.page != nil {
		return m.page.Fetch(ctx, values...)
	}
	return m.source.Fetch(ctx, values...)
}

// Asked may be an echo.Context that knows who asks without the request's context:
// passing that by spares a hit the copy of the request.
type Asked interface {
	Asked() (*http.Request, identity.Caller)
}

func asked(c echo.Context) (*http.Request, identity.Caller) {
	if a, ok := c.(Asked); ok {
		return a.Asked()
	}
	r := c.Request()
	return r, identity.From(r.Context())
}

// values appends the value of every dimension of the key, in its order.
func (m *mounted) values(to []string, c echo.Context, req *http.Request, who identity.Caller) ([]string, error) {
	var wrong problem.Fields
	add := func(p Param, raw string) {
		v, err := p.Parse(raw)
		if err != nil {
			wrong.Check(false, p.Name, err.Error())
		}
		to = append(to, v)
	}
	for _, p := range m.route.Path {
		add(p, c.Param(p.Name))
	}
	for _, d := range m.identity {
		to = append(to, who.Value(d))
	}
	var query url.Values
	if raw := req.URL.RawQuery; raw != "" {
		var err error
		if query, err = url.ParseQuery(raw); err != nil {
			return nil, problem.BadRequest("the query string is malformed")
		}
	}
	for _, p := range m.route.Query {
		if raw := query.Get(p.Name); raw != "" {
			add(p, raw)
		} else {
			to = append(to, p.Default)
		}
	}
	return to, wrong.Err()
}

// load runs the handler on a request made of the key and nothing else.
func (m *mounted) load(ctx context.Context, k cache.Key) (*response, error) {
	who, err := identity.FromKey(m.route.Name, m.route.Identity, k.Get)
	if err != nil {
		return nil, err
	}
	u := &url.URL{Path: m.path}
	names, values := make([]string, 0, len(m.route.Path)), make([]string, 0, len(m.route.Path))
	for _, p := range m.route.Path {
		v := k.Get(p.Name)
		names, values = append(names, p.Name), append(values, v)
		u.Path = strings.Replace(u.Path, ":"+p.Name, v, 1)
	}
	query := make(url.Values, len(m.route.Query))
	for _, p := range m.route.Query {
		query.Set(p.Name, k.Get(p.Name))
	}
	u.RawQuery = query.Encode()

	req := &http.Request{
		Method: http.MethodGet, URL: u, RequestURI: u.RequestURI(), Body: http.NoBody, Header: make(http.Header),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	rec := &recorder{header: make(http.Header)}
	// The context is the fill's, not the caller's: it carries this identity and
	// ends with the load.
	c := m.echo.NewContext(req.WithContext(identity.With(ctx, who)), rec)
	c.SetPath(m.path)
	c.SetParamNames(names...)
	c.SetParamValues(values...)
	if err := m.handler(c); err != nil {
		return nil, fmt.Errorf("%s: %w", k, err) // for the log, where operators find keys
	}
	var tags []cache.Tag
	if m.tags != nil {
		tags = m.tags(k)
	}
	return rec.response(Groups(tags))
}

// write sends a response, or 304 when the client has it already. The header values
// are shared slices: nothing is built at a hit.
//
// The preconditions come in the order of RFC 9110, 13.2.2. Those with a date are
// not looked at: no response has a Last-Modified.
func (m *mounted) write(req *http.Request, w *echo.Response, r cache.Result[*response]) error {
	coding := r.Value.choose(req.Header["Accept-Encoding"])
	v := &r.Value.variants[coding]
	if sent, ok := req.Header["If-Match"]; ok && !match(sent, v.etag[0]) {
		return problem.PreconditionFailed("If-Match does not name what would be sent")
	}
	h := w.Header()
	h["Cache-Control"] = m.cacheControl
	if r.Outcome == cache.Stale {
		h["Cache-Control"] = m.staleControl
	}
	h["Etag"] = v.etag
	h["Vary"] = m.vary
	h[HeaderCache] = outcomes[r.Outcome]
	h["Cache-Status"] = m.statuses.of(r.Outcome, r.TTL)
	if groups := r.Value.groups; groups != nil {
		h["Cache-Groups"] = groups
	}
	if sent := req.Header["If-None-Match"]; len(sent) > 0 && noneMatch(sent, v.etag[0]) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if req.Method == http.MethodHead {
		r.Value.describe(h, coding, v.content.Load())
		w.WriteHeader(http.StatusOK)
		return nil
	}
	content := r.Value.in(coding, m.compressor)
	r.Value.describe(h, coding, content)
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(content.body)
	return err
}

// describe says what the bytes of a variant are. To HEAD they need not be there: nothing
// is compressed only to be measured, and RFC 9110 lets Content-Length out then (8.6,
// 9.3.2).
func (r *response) describe(h http.Header, c coding, content *content) {
	h["Content-Type"] = r.contentType
	if content != nil {
		h["Content-Length"] = content.length
	}
	if encoding := r.variants[c].encoding; encoding != nil {
		h["Content-Encoding"] = encoding
	}
}
