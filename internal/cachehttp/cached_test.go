package cachehttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
)

// A site is one cached route on an Echo of its own.
type site struct {
	t     *testing.T
	echo  *echo.Echo
	cache *cache.Cache
	err   error // the last one that reached the error handler
	loads int
}

var things = Route{
	Name: "things", Version: 1, Body: "",
	Path:     []Param{ID("id")},
	Query:    []Param{OneOf("limit", "20", "10", "20"), Text("q", 5)},
	Identity: identity.User | identity.Locale,
	Policy:   cache.Policy{TTL: 30 * time.Second, StaleWhileRevalidate: time.Minute, StaleIfError: time.Hour},
	Tags:     func(k cache.Key) []cache.Tag { return []cache.Tag{cache.Tag("thing:" + k.Get("id"))} },
}

// newSite mounts h as r on /api/things/:id.
func newSite(t *testing.T, r Route, o cache.Options, h echo.HandlerFunc) *site {
	t.Helper()
	s, mounted := bareSite(t, o)
	mounted.GET(s.echo.Group("/api"), "/things/:id", r, func(c echo.Context) error {
		s.loads++
		return h(c)
	})
	return s
}

// bareSite mounts nothing yet.
func bareSite(t *testing.T, o cache.Options) (*site, *Cached) {
	t.Helper()
	s := &site{t: t, echo: echo.New(), cache: cache.New(nil, o)}
	s.echo.HTTPErrorHandler = func(err error, c echo.Context) {
		s.err = err
		_ = c.NoContent(http.StatusTeapot)
	}
	t.Cleanup(s.cache.Close)
	return s, New(s.echo, s.cache)
}

// get asks as the given user, with "Header: value" lines.
func (s *site) get(method, target string, who identity.Caller, headers ...string) *httptest.ResponseRecorder {
	s.err = nil
	req := httptest.NewRequest(method, target, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	rec := httptest.NewRecorder()
	s.echo.ServeHTTP(rec, req.WithContext(identity.With(req.Context(), who)))
	return rec
}

var (
	ada = identity.NewCaller(42, "", "de", false)
	bob = identity.NewCaller(7, "", "en", false)
)

// describe answers with all that the handler can see.
func describe(c echo.Context) error {
	who := identity.From(c.Request().Context())
	return c.JSON(http.StatusOK, fmt.Sprint(c.Path(), " id=", c.Param("id"), " limit=", c.QueryParam("limit"), " q=", c.QueryParam("q"),
		" other=", c.QueryParam("other"), " user=", who.User(), " locale=", who.Locale(), " headers=", len(c.Request().Header)))
}

func TestHandlerSeesItsKeyAndNothingElse(t *testing.T) {
	eachKind(t, func(t *testing.T, newSite kind) {
		s := newSite(t, cache.Options{}, identity.User|identity.Locale, succeeds)
		rec := s.get(http.MethodGet, "/api/things/12?other=1&q=a%26b&limit=10", ada, "Cookie: session=1", "X-Debug: 1")
		want := `"/api/things/:id id=12 limit=10 q=a\u0026b other= user=42 locale=de headers=0"` + "\n"
		if rec.Body.String() != want {
			t.Errorf("got  %s\nwant %s", rec.Body, want)
		}
	})
}

func TestHandlerThatReadsAnUndeclaredDimensionFailsLoudly(t *testing.T) {
	s := newSite(t, things, cache.Options{}, func(c echo.Context) error {
		return c.JSON(http.StatusOK, identity.From(c.Request().Context()).FeedV2())
	})
	s.get(http.MethodGet, "/api/things/12", ada)
	var panicked *cache.PanicError
	if !errors.As(s.err, &panicked) || !strings.Contains(fmt.Sprint(panicked.Value), "things") || !strings.Contains(fmt.Sprint(panicked.Value), "feed_v2") {
		t.Errorf("got %v; want the names of key and dimension", s.err)
	}
}

func TestEachDimensionHasItsOwnCopy(t *testing.T) {
	eachKind(t, func(t *testing.T, newSite kind) {
		s := newSite(t, cache.Options{}, identity.User|identity.Locale, succeeds)
		seen := map[string]bool{}
		for _, who := range []identity.Caller{{}, ada, bob} {
			for _, target := range []string{"/api/things/1", "/api/things/2", "/api/things/1?limit=10", "/api/things/1?q=x"} {
				for i := range 2 { // a page's fragments may be there, the page is not
					rec := s.get(http.MethodGet, target, who)
					status := rec.Header().Get("Cache-Status")
					if got, want := strings.HasSuffix(status, "detail=l1"), i == 1; got != want {
						t.Errorf("%s, read %d: %s", target, i, status)
					}
					if i == 0 && seen[rec.Body.String()] {
						t.Errorf("%s: somebody else's body %s", target, rec.Body)
					}
					seen[rec.Body.String()] = true
				}
			}
		}
		if s.get(http.MethodGet, "/api/things/1?limit=20&q=&nonsense=1", ada).Header().Get(HeaderCache) != "HIT" {
			t.Error("defaults spelled out, or parameters that do not exist, must not make another key")
		}
	})
}

func TestBadParametersAreListedTogether(t *testing.T) {
	eachKind(t, func(t *testing.T, newSite kind) {
		s := newSite(t, cache.Options{}, identity.User|identity.Locale, succeeds)
		s.get(http.MethodGet, "/api/things/0x1?limit=11&q=toolong", ada)
		var p *problem.Problem
		if !errors.As(s.err, &p) || p.Status != http.StatusBadRequest || len(p.Errors) != 3 {
			t.Fatalf("got %v", s.err)
		}
		if s.loads != 0 {
			t.Error("a bad request reached the handler")
		}
		if s.get(http.MethodGet, "/api/things/1?q=%zz", ada); !errors.As(s.err, &p) || p.Status != http.StatusBadRequest {
			t.Errorf("malformed query: %v", s.err)
		}
	})
}

func TestResponseHeaders(t *testing.T) {
	eachKind(t, func(t *testing.T, newSite kind) {
		s := newSite(t, cache.Options{}, identity.User|identity.Locale, succeeds)
		for _, want := range []string{"MISS", "HIT"} {
			rec := s.get(http.MethodGet, "/api/things/1", ada)
			for name, value := range map[string]string{
				"X-Cache":        want,
				"Cache-Control":  "private, max-age=15, stale-while-revalidate=60",
				"Vary":           "Authorization, Accept-Language, Accept-Encoding",
				"Cache-Groups":   `"thing:1", "user:42"`,
				"Content-Type":   "application/json",
				"Content-Length": fmt.Sprint(rec.Body.Len()),
				"Etag":           `"` + hash(rec.Body.Bytes()) + `"`,
			} {
				if got := rec.Header().Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
		}
		s = newSite(t, cache.Options{}, identity.Locale, succeeds)
		h := s.get(http.MethodGet, "/api/things/1", ada).Header()
		if got, want := h.Get("Cache-Control"), "public, max-age=15, stale-while-revalidate=60, stale-if-error=3600"; got != want {
			t.Errorf("Cache-Control of a shared page: %q, want %q", got, want)
		}
		if got := h.Get("Vary"); got != "Accept-Language, Accept-Encoding" {
			t.Errorf("Vary of a shared page: %q", got)
		}
	})
}

func TestConditionalGetAndHead(t *testing.T) {
	eachKind(t, func(t *testing.T, newSite kind) {
		s := newSite(t, cache.Options{}, identity.User|identity.Locale, succeeds)
		full := s.get(http.MethodGet, "/api/things/1", ada)
		etag := full.Header().Get("Etag")
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			rec := s.get(method, "/api/things/1", ada, "If-None-Match: "+etag)
			if rec.Code != http.StatusNotModified || rec.Body.Len() != 0 {
				t.Errorf("%s: %d with %d bytes", method, rec.Code, rec.Body.Len())
			}
			for _, name := range []string{"Etag", "Cache-Control", "Vary", "X-Cache"} {
				if rec.Header().Get(name) == "" {
					t.Errorf("%s: a 304 lacks %s", method, name)
				}
			}
		}
		rec := s.get(http.MethodGet, "/api/things/1", bob, "If-None-Match: "+etag)
		if rec.Code != http.StatusOK {
			t.Errorf("somebody else's validator: %d", rec.Code)
		}
		rec = s.get(http.MethodHead, "/api/things/1", ada)
		if rec.Code != http.StatusOK || rec.Body.Len() != 0 || rec.Header().Get("Content-Length") != full.Header().Get("Content-Length") {
			t.Errorf("HEAD: %d, %d bytes, Content-Length %s", rec.Code, rec.Body.Len(), rec.Header().Get("Content-Length"))
		}
		if rec := s.get(http.MethodPost, "/api/things/1", ada); rec.Code == http.StatusOK {
			t.Error("POST was answered from the cache")
		}
	})
}

func TestErrorsAreNotStored(t *testing.T) {
	eachKind(t, func(t *testing.T, newSite kind) {
		fail := true
		s := newSite(t, cache.Options{Answer: func(error) bool { return true }}, identity.User|identity.Locale, func() error {
			if fail {
				return problem.NotFound("thing")
			}
			return nil
		})
		s.get(http.MethodGet, "/api/things/1", ada)
		var p *problem.Problem
		if !errors.As(s.err, &p) || p.Status != http.StatusNotFound {
			t.Fatalf("got %v", s.err)
		}
		fail = false
		if rec := s.get(http.MethodGet, "/api/things/1", ada); rec.Code != http.StatusOK {
			t.Errorf("got %d", rec.Code)
		}
	})
}

func TestHandlerThatAnswersWhatIsNotKeptIsToldSo(t *testing.T) {
	for name, h := range map[string]echo.HandlerFunc{
		"another status": func(c echo.Context) error { return c.JSON(http.StatusCreated, 1) },
		"another header": func(c echo.Context) error {
			c.Response().Header().Set("Set-Cookie", "a=b")
			return c.JSON(http.StatusOK, 1)
		},
		"nothing":         func(echo.Context) error { return nil },
		"no content type": func(c echo.Context) error { _, err := c.Response().Write([]byte("x")); return err },
	} {
		s := newSite(t, things, cache.Options{}, h)
		if s.get(http.MethodGet, "/api/things/1", ada); s.err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCacheOffAnswersTheSameAndSaysSo(t *testing.T) {
	eachKind(t, func(t *testing.T, newSite kind) {
		s := newSite(t, cache.Options{Off: true}, identity.User|identity.Locale, succeeds)
		for range 2 {
			rec := s.get(http.MethodGet, "/api/things/1?limit=10", ada)
			if rec.Code != http.StatusOK || rec.Header().Get(HeaderCache) != "BYPASS" || rec.Header().Get("Etag") == "" {
				t.Errorf("got %d, %s", rec.Code, rec.Header().Get(HeaderCache))
			}
		}
		if s.loads != 2 {
			t.Errorf("%d loads, want 2", s.loads)
		}
	})
}

func TestCallerWhoDisconnectsDoesNotEndTheLoad(t *testing.T) {
	ended := make(chan error, 1)
	started, release := make(chan struct{}), make(chan struct{})
	s := newSite(t, things, cache.Options{}, func(c echo.Context) error {
		close(started)
		<-release
		ended <- c.Request().Context().Err()
		return describe(c)
	})
	ctx, cancel := context.WithCancel(t.Context())
	req := httptest.NewRequest(http.MethodGet, "/api/things/1", nil).WithContext(identity.With(ctx, ada))
	done := make(chan struct{})
	go func() {
		s.echo.ServeHTTP(httptest.NewRecorder(), req)
		close(done)
	}()
	<-started
	cancel()
	<-done
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the load's context ended with the caller: %v", err)
	}
}

func TestRouteThatDoesNotFitItsPathIsRefused(t *testing.T) {
	for name, mount := range map[string]func(*Cached, *echo.Group, string){
		"response": func(c *Cached, g *echo.Group, path string) { c.GET(g, path, things, describe) },
		"page": func(c *Cached, g *echo.Group, path string) {
			c.Page(g, path, Page{Name: "things", Version: 1, Body: "", Path: things.Path}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "things/1") {
					t.Errorf("got %v", p)
				}
			}()
			s, c := bareSite(t, cache.Options{})
			mount(c, s.echo.Group("/:group"), "/things/:id")
		})
	}
}

func TestRouteWithoutABodyIsRefusedByItsName(t *testing.T) {
	for name, mount := range map[string]func(*Cached, *echo.Group){
		"response": func(c *Cached, g *echo.Group) {
			r := things
			r.Body = nil
			c.GET(g, "/things/:id", r, describe)
		},
		"page": func(c *Cached, g *echo.Group) {
			c.Page(g, "/things/:id", Page{Name: "things", Version: 1, Path: things.Path}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); fmt.Sprint(p) != "cachehttp: route things/1 declares no Body" {
					t.Errorf("got %v", p)
				}
			}()
			s, c := bareSite(t, cache.Options{})
			mount(c, s.echo.Group("/api"))
		})
	}
}

// A declared body is in the manifest of a program, by its key.
func TestTheShapeOfABodyIsPartOfTheKey(t *testing.T) {
	s, c := bareSite(t, cache.Options{})
	r := things
	r.Body = struct{ ID int }{}
	c.GET(s.echo.Group("/api"), "/things/:id", r, describe)
	page := publicPage
	page.Name, page.Body = "page", []string{}
	c.Page(s.echo.Group("/api"), "/pages/:id", page, nil)
	if want := "page/1|id=\n    [string]\nthings/1|id=|user=|locale=|limit=|q=\n    {ID:integer}\n"; s.cache.Manifest().String() != want {
		t.Errorf("the manifest is\n%swant\n%s", s.cache.Manifest(), want)
	}
}

func TestStaleAnswerIsNotFreshInTheBrowser(t *testing.T) {
	// Without L2 nothing is served stale, so the headers are asked for directly.
	route := func(c *Cached, r Route) *mounted {
		return c.newMounted(r, r.cacheControl(false), r.cacheControl(true))
	}
	page := func(c *Cached, d identity.Dimensions) *mounted {
		return c.newPage(Page{Name: "page", Version: int(d) + 1, Body: "", Identity: d, CacheControl: "max-age=15"}, nil)
	}
	shared := things
	shared.Identity = 0
	_, c := bareSite(t, cache.Options{})
	r := newResponse("application/json", "", 0, []byte("{}"))
	for _, row := range []struct {
		m    *mounted
		want string
	}{
		{route(c, things), "private, max-age=0"}, {route(c, shared), "public, max-age=0"},
		{page(c, identity.User), "private, max-age=0"}, {page(c, 0), "public, max-age=0"},
	} {
		rec := httptest.NewRecorder()
		c := echo.New().NewContext(httptest.NewRequest(http.MethodGet, "/", nil), rec)
		if err := row.m.write(c.Request(), c.Response(), cache.Result[*response]{Value: r, Outcome: cache.Stale}); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"Cache-Control": row.want, HeaderCache: "STALE", "Cache-Status": "communityfeed; hit; detail=stale",
		} {
			if got := rec.Header().Get(name); got != want {
				t.Errorf("%s of %s is %q, want %q", name, row.m.route.Name, got, want)
			}
		}
	}
}
