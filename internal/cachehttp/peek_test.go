package cachehttp_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
)

// secret is what a request carries in a place that its key does not contain.
const secret = "s3cret"

// A peek is one undeclared input of a request, and a handler's way to it.
type peek struct {
	name    string
	request func(*http.Request)       // sent with the input, which is
	before  func(echo.Context)        // there, or put there by a middleware
	look    func(echo.Context) string // what the handler finds
	bare    string                    // is in what an uncached handler finds; secret when empty
	want    string                    // is all that a cached one finds
}

// peeked declares one path and one query parameter.
var peeked = cachehttp.Route{
	Name: "peeked", Version: 1, Body: "",
	Path:   []cachehttp.Param{cachehttp.ID("id")},
	Query:  []cachehttp.Param{cachehttp.OneOf("limit", "20", "10", "20")},
	Policy: cache.Policy{TTL: time.Minute},
}

// The ways of mounting a handler: in a cache, in one that is off, and bare.
var (
	inCache = &cache.Options{}
	off     = &cache.Options{Off: true}
	bare    = (*cache.Options)(nil)
)

// mount serves h as r on /api/things/:id, behind a middleware.
func mount(t *testing.T, how *cache.Options, r cachehttp.Route, before func(echo.Context), h echo.HandlerFunc) *echo.Echo {
	t.Helper()
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if before != nil {
				before(c)
			}
			return next(c)
		}
	})
	api := e.Group("/api")
	if how == bare {
		api.GET("/things/:id", h)
		api.HEAD("/things/:id", h)
		return e
	}
	c := cache.New(nil, *how)
	t.Cleanup(c.Close)
	cachehttp.New(e, c).GET(api, "/things/:id", r, h)
	return e
}

const target = "/api/things/12"

// sent is a request for the target with an input in it.
func sent(put func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if put != nil {
		put(r)
	}
	return r
}

// find has a handler that is mounted in one way look for the input.
func (p peek) find(t *testing.T, how *cache.Options) (found string) {
	t.Helper()
	ran := false
	e := mount(t, how, peeked, p.before, func(c echo.Context) error {
		ran, found = true, p.look(c)
		return c.String(http.StatusOK, found)
	})
	e.ServeHTTP(httptest.NewRecorder(), sent(p.request))
	if !ran {
		t.Fatal("the handler was not asked")
	}
	return found
}

// The idea of the package, input by input. That an uncached handler finds the input
// shows that the request carries it, and that the handler looks in the right place.
func TestACachedHandlerCannotPeek(t *testing.T) {
	for _, p := range peeks() {
		t.Run(p.name, func(t *testing.T) {
			if p.bare == "" {
				p.bare = secret
			}
			if found := p.find(t, bare); !strings.Contains(found, p.bare) {
				t.Fatalf("this row shows nothing: an uncached handler finds %q, without %q", found, p.bare)
			}
			for name, how := range map[string]*cache.Options{"in the cache": inCache, "with the cache off": off} {
				if found := p.find(t, how); found != p.want {
					t.Errorf("%s, the handler finds %q, want %q", name, found, p.want)
				}
			}
		})
	}
}

// What no row thinks of: a request with all inputs at once and one with none have
// the same key, so the handler must be given the same request, field by field.
func TestRequestsWithOneKeyAreTheSameRequestToTheHandler(t *testing.T) {
	type view struct {
		Request       *http.Request
		Path          string
		Names, Values []string
		Response      http.Header
	}
	see := func(put func(*http.Request), before func(echo.Context)) (v view) {
		e := mount(t, inCache, peeked, before, func(c echo.Context) error {
			v = view{c.Request(), c.Path(), c.ParamNames(), c.ParamValues(), c.Response().Header().Clone()}
			return c.NoContent(http.StatusOK) // refused, and all the same seen
		})
		e.ServeHTTP(httptest.NewRecorder(), sent(put))
		return v
	}
	plain := see(nil, nil)
	laden := see(func(r *http.Request) {
		for _, p := range peeks() {
			if p.request != nil {
				p.request(r)
			}
		}
	}, func(c echo.Context) {
		for _, p := range peeks() {
			if p.before != nil {
				p.before(c)
			}
		}
	})
	if plain.Request == nil || laden.Request == nil {
		t.Fatal("the handler was not asked")
	}
	if diff := cmp.Diff(plain, laden, cmpopts.IgnoreUnexported(http.Request{})); diff != "" {
		t.Errorf("the handler can tell the requests apart (-plain +laden):\n%s", diff)
	}
}

// A cached handler's response is a recording: it has no connection to take over, to
// flush or to slow down.
func TestACachedHandlerHasNoConnection(t *testing.T) {
	control := func(c echo.Context) *http.ResponseController { return http.NewResponseController(c.Response().Writer) }
	for name, try := range map[string]func(echo.Context) error{
		"flush":          func(c echo.Context) error { return control(c).Flush() },
		"read deadline":  func(c echo.Context) error { return control(c).SetReadDeadline(time.Time{}) },
		"write deadline": func(c echo.Context) error { return control(c).SetWriteDeadline(time.Time{}) },
		"full duplex":    func(c echo.Context) error { return control(c).EnableFullDuplex() },
		"hijack": func(c echo.Context) error {
			conn, _, err := c.Response().Hijack()
			if err == nil {
				err = conn.Close()
			}
			return err
		},
		"Echo's flush, which panics": func(c echo.Context) (err error) {
			defer func() {
				if recover() != nil {
					err = http.ErrNotSupported
				}
			}()
			c.Response().Flush()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, tried := tryOnServer(t, bare, try); tried != nil {
				t.Fatalf("this row shows nothing: an uncached handler gets %v", tried)
			}
			for _, how := range []*cache.Options{inCache, off} {
				body, tried := tryOnServer(t, how, try)
				if !errors.Is(tried, http.ErrNotSupported) || body != "the page" {
					t.Errorf("the handler gets %v, the client %q", tried, body)
				}
			}
		})
	}
}

// tryOnServer has a handler behind a real connection try something and answer with
// "the page" if it cannot. It returns what the client and what the handler got.
func tryOnServer(t *testing.T, how *cache.Options, try func(echo.Context) error) (body string, tried error) {
	t.Helper()
	ran := make(chan error, 1)
	server := httptest.NewServer(mount(t, how, peeked, nil, func(c echo.Context) error {
		err := try(c)
		ran <- err
		if err == nil {
			return nil // the connection may be gone
		}
		return c.String(http.StatusOK, "the page")
	}))
	defer server.Close()
	answer, err := server.Client().Get(server.URL + target)
	if err != nil {
		return err.Error(), <-ran
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b), <-ran
}
