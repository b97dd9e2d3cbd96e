package cachehttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
)

var cursors = cachehttp.NewCursors("a secret")

// declared declares all that a route can.
func declared() cachehttp.Route {
	r := peeked
	r.Name = "declared"
	r.Query = append(slices.Clone(r.Query), cachehttp.Text("q", 50), cachehttp.PageNumber("page"), cachehttp.Cursor("after", cursors))
	r.Identity = identity.User | identity.Locale | identity.FeedV2
	return r
}

// as puts a caller on the request, the way a server's middleware does.
func as(who identity.Caller) func(echo.Context) {
	return func(c echo.Context) {
		c.SetRequest(c.Request().WithContext(identity.With(c.Request().Context(), who)))
	}
}

func caller(c echo.Context) identity.Caller { return identity.From(c.Request().Context()) }

// found is the body of a page: what it looks at.
type found struct{ It any }

// asPage declares a page with a route's key.
func asPage(r cachehttp.Route) cachehttp.Page {
	return cachehttp.Page{Name: r.Name, Version: r.Version, Body: found{}, Path: r.Path, Query: r.Query, Identity: r.Identity, CacheControl: "private"}
}

// mountPage is mount for a page that is composed of one fragment.
func mountPage(t *testing.T, how *cache.Options, r cachehttp.Route, before func(echo.Context), look func(*cachehttp.Composing) any) *echo.Echo {
	t.Helper()
	c, e := cache.New(nil, *how), echo.New()
	t.Cleanup(c.Close)
	part := cache.NewSource(c, cache.Spec{Name: "part", Version: 1, Policy: cache.Policy{TTL: time.Minute}}, cache.JSON[int]{},
		func(context.Context, cache.Key) (int, error) { return 1, nil })
	api := e.Group("/api", func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			before(c)
			return next(c)
		}
	})
	cachehttp.New(e, c).Page(api, "/things/:id", asPage(r), func(p *cachehttp.Composing) (any, error) {
		if _, err := part.Want(p.Composition).Get(); err != nil {
			return nil, err
		}
		return found{look(p)}, nil
	})
	return e
}

// A page's function sees nothing but its key: that is all that it is handed.
func TestAPageIsHandedItsKeyAndNothingElse(t *testing.T) {
	var has []string
	for i := range reflect.TypeFor[*cachehttp.Composing]().NumMethod() {
		has = append(has, reflect.TypeFor[*cachehttp.Composing]().Method(i).Name)
	}
	if want := []string{"Caller", "Int", "Key", "Param", "Tags", "Version"}; !slices.Equal(has, want) {
		t.Errorf("a page may call %q, want %q: what else does it see of the request?", has, want)
	}
}

// What is declared is seen, in the one form that it has in the key.
func TestACachedHandlerSeesWhatItsKeyDeclares(t *testing.T) {
	german := identity.NewCaller(42, identity.Admin, "de", true)
	param := func(name string) func(echo.Context) any {
		return func(c echo.Context) any { return c.QueryParam(name) }
	}
	composed := func(name string) func(*cachehttp.Composing) any {
		return func(p *cachehttp.Composing) any { return p.Param(name) }
	}
	composedFor := func(look func(identity.Caller) any) func(*cachehttp.Composing) any {
		return func(p *cachehttp.Composing) any { return look(p.Caller()) }
	}
	for _, row := range []struct {
		name  string
		query string
		who   identity.Caller
		look  func(echo.Context) any
		page  func(*cachehttp.Composing) any // nil: a page has no such thing
		want  any
	}{
		{name: "path parameter", look: func(c echo.Context) any { return c.Param("id") }, page: composed("id"), want: "12"},
		{name: "path", look: func(c echo.Context) any { return c.Request().URL.Path }, want: target},
		{name: "pattern", look: func(c echo.Context) any { return c.Path() }, want: "/api/things/:id"},

		{name: "query parameter", query: "limit=10", look: param("limit"), page: composed("limit"), want: "10"},
		{name: "default of one that is absent", look: param("limit"), page: composed("limit"), want: "20"},
		{name: "default of one that is empty", query: "limit=", look: param("limit"), page: composed("limit"), want: "20"},
		{name: "first of two values", query: "limit=10&limit=20", look: param("limit"), page: composed("limit"), want: "10"},
		{name: "text, decoded", query: "q=a%26b%3Dc+d%7C%25", look: param("q"), page: composed("q"), want: "a&b=c d|%"},
		{name: "text in a form", query: "q=a%26b", look: func(c echo.Context) any { return c.FormValue("q") }, want: "a&b"},
		{name: "page", query: "page=3", look: param("page"), page: composed("page"), want: "3"},
		{name: "cursor, opened", query: "after=" + cursors.Seal("newest,991"), look: param("after"), page: composed("after"), want: "newest,991"},
		{name: "all of the query, in order", query: "page=2&limit=10&q=%C3%A9", look: func(c echo.Context) any { return c.QueryString() },
			want: "after=&limit=10&page=2&q=%C3%A9"},

		{name: "user", who: german, look: func(c echo.Context) any { return caller(c).User() },
			page: composedFor(func(who identity.Caller) any { return who.User() }), want: identity.UserID(42)},
		{name: "nobody", look: func(c echo.Context) any { return caller(c).User() },
			page: composedFor(func(who identity.Caller) any { return who.User() }), want: identity.UserID(0)},
		{name: "locale", who: german, look: func(c echo.Context) any { return caller(c).Locale() },
			page: composedFor(func(who identity.Caller) any { return who.Locale() }), want: "de"},
		{name: "default locale", look: func(c echo.Context) any { return caller(c).Locale() },
			page: composedFor(func(who identity.Caller) any { return who.Locale() }), want: "en"},
		{name: "flag", who: german, look: func(c echo.Context) any { return caller(c).FeedV2() },
			page: composedFor(func(who identity.Caller) any { return who.FeedV2() }), want: true},
		{name: "flag that is off", look: func(c echo.Context) any { return caller(c).FeedV2() },
			page: composedFor(func(who identity.Caller) any { return who.FeedV2() }), want: false},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, how := range []*cache.Options{inCache, off} {
				var saw any
				e := mount(t, how, declared(), as(row.who), func(c echo.Context) error {
					saw = row.look(c)
					return c.String(http.StatusOK, "")
				})
				e.ServeHTTP(httptest.NewRecorder(), sent(func(r *http.Request) { r.URL.RawQuery = row.query }))
				if saw != row.want {
					t.Errorf("the handler sees %v, want %v", saw, row.want)
				}
				if row.page == nil {
					continue
				}
				saw = nil
				e = mountPage(t, how, declared(), as(row.who), func(p *cachehttp.Composing) any {
					saw = row.page(p)
					return saw
				})
				e.ServeHTTP(httptest.NewRecorder(), sent(func(r *http.Request) { r.URL.RawQuery = row.query }))
				if saw != row.want {
					t.Errorf("the page sees %v, want %v", saw, row.want)
				}
			}
		})
	}
}

// A declared dimension is not the header behind it, nor anything else beside it.
func TestACachedHandlerThatDeclaresAllStillCannotPeek(t *testing.T) {
	for _, p := range peeks() {
		if p.want != "" || p.name == "the caller, printed" {
			continue // shows what is declared
		}
		t.Run(p.name, func(t *testing.T) {
			saw := "the handler was not asked"
			e := mount(t, inCache, declared(), p.before, func(c echo.Context) error {
				saw = p.look(c)
				return c.String(http.StatusOK, saw)
			})
			e.ServeHTTP(httptest.NewRecorder(), sent(p.request))
			if saw != "" {
				t.Errorf("the handler finds %q", saw)
			}
		})
	}
}

// Looking at a part of the caller that the key does not declare fails, and says what
// is missing where.
func TestACachedHandlerThatLooksAtAnUndeclaredPartOfTheCallerFails(t *testing.T) {
	const all = identity.User | identity.Locale | identity.FeedV2
	for _, row := range []struct {
		name     string
		declared identity.Dimensions
		look     func(identity.Caller) any
	}{
		{"user", all &^ identity.User, func(who identity.Caller) any { return who.User() }},
		{"user", all &^ identity.User, func(who identity.Caller) any { return who.Value(identity.User) }},
		{"locale", all &^ identity.Locale, func(who identity.Caller) any { return who.Locale() }},
		{"locale", all &^ identity.Locale, func(who identity.Caller) any { return who.Value(identity.Locale) }},
		{"feed_v2", all &^ identity.FeedV2, func(who identity.Caller) any { return who.FeedV2() }},
		{"feed_v2", all &^ identity.FeedV2, func(who identity.Caller) any { return who.Value(identity.FeedV2) }},
		{"admin", all, func(who identity.Caller) any { return who.Admin() }}, // which no key can declare
	} {
		for who, caller := range map[string]identity.Caller{"nobody": {}, "ada": identity.NewCaller(42, identity.Admin, "de", true)} {
			for _, how := range []*cache.Options{inCache, off} {
				r := declared()
				r.Identity = row.declared
				for kind, e := range map[string]*echo.Echo{
					"response": mount(t, how, r, as(caller), func(c echo.Context) error {
						return c.JSON(http.StatusOK, row.look(identity.From(c.Request().Context())))
					}),
					"page": mountPage(t, how, r, as(caller), func(p *cachehttp.Composing) any { return row.look(p.Caller()) }),
				} {
					var failed error
					e.HTTPErrorHandler = func(err error, c echo.Context) { failed = err; _ = c.NoContent(http.StatusTeapot) }
					answer := httptest.NewRecorder()
					e.ServeHTTP(answer, sent(nil))
					want := fmt.Sprintf("cache: load panicked: the handler behind key declared read the caller's %s, which the key does not declare", row.name)
					var panicked *cache.PanicError
					if !errors.As(failed, &panicked) || panicked.Error() != want {
						t.Errorf("%s of a %s, asked by %s: %v, want %s", row.name, kind, who, failed, want)
					}
					if answer.Code != http.StatusTeapot || answer.Body.Len() > 0 {
						t.Errorf("%s of a %s, asked by %s: answered %d %s", row.name, kind, who, answer.Code, answer.Body)
					}
				}
			}
		}
	}
}

// A path parameter that is in the path and not in the key would be the same page for
// all its values. That is found when the route is mounted.
func TestARouteWithAnUndeclaredPathParameterIsRefused(t *testing.T) {
	for path, params := range map[string][]cachehttp.Param{
		"/things/:id":       nil,
		"/things/:id/:part": {cachehttp.ID("id")},
		"/things/:other":    {cachehttp.ID("id")},
		"/things/no-:id":    nil, // for Echo, a colon need not begin a part
		"/things/*":         nil,
		"/things*":          nil,
		"/things/:id/*":     {cachehttp.ID("id")},
		"/things":           {cachehttp.ID("id")},
	} {
		r := peeked
		r.Path = params
		for name, mount := range map[string]func(*cachehttp.Cached, *echo.Group){
			"response": func(c *cachehttp.Cached, g *echo.Group) {
				c.GET(g, path, r, func(c echo.Context) error { return c.String(http.StatusOK, "") })
			},
			"page": func(c *cachehttp.Cached, g *echo.Group) {
				c.Page(g, path, asPage(r), func(*cachehttp.Composing) (any, error) { return found{}, nil })
			},
		} {
			c, e := cache.New(nil, cache.Options{}), echo.New()
			refused := func() (refused bool) {
				defer func() { refused = recover() != nil }()
				mount(cachehttp.New(e, c), e.Group("/api"))
				return false
			}()
			c.Close()
			if !refused {
				t.Errorf("a %s at %s with %d declared path parameters was mounted", name, path, len(params))
			}
		}
	}
}
