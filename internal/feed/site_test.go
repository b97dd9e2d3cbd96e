package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
	"example.com/communityfeed/internal/testenv"
)

// site is the domain's routes over a cache in Redis. Who is asking comes in the
// request's context: this is not a test of tokens.
type site struct {
	*town
	echo    *echo.Echo
	cache   *cache.Cache
	cursors *cachehttp.Cursors
}

func newSite(t *testing.T) *site {
	t.Helper()
	return siteOf(t, newTown(t))
}

// siteOf opens a town's site.
func siteOf(t *testing.T, w *town) *site {
	t.Helper()
	s := &site{town: w, echo: echo.New(), cursors: cachehttp.NewCursors("secret")}
	l2, err := remote.Open(testenv.Redis(t), remote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l2.Close() })
	s.cache = cache.New(l2, cache.Options{
		Answer: func(err error) bool { return status(err) < http.StatusInternalServerError },
	})
	t.Cleanup(s.cache.Close)
	w.bus.Subscribe("cache", func(ctx context.Context, event any) error {
		move, known := Invalidations.Of(event)
		if !known {
			return fmt.Errorf("no rule for %T", event)
		}
		return s.cache.Invalidate(ctx, move)
	})
	s.open()
	return s
}

// open mounts the domain's routes.
func (s *site) open() {
	s.echo.Binder = strict{}
	s.echo.HTTPErrorHandler = func(err error, c echo.Context) {
		p, ok := errors.AsType[*problem.Problem](err)
		if !ok {
			p = problem.New(http.StatusInternalServerError, err.Error())
		}
		_ = c.JSON(p.Status, p) // to a recorder, which takes everything
	}
	NewHandler(s.Store, s.cache, s.cursors).Routes(s.echo.Group("/api"), cachehttp.New(s.echo, s.cache))
}

// strict reads JSON as the server does.
type strict struct{}

func (strict) Bind(into any, c echo.Context) error {
	d := json.NewDecoder(c.Request().Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return problem.BadRequest(err.Error())
	}
	return nil
}

// do answers a request to a path below /api.
func (s *site) do(who identity.Caller, method, path, body string) *httptest.ResponseRecorder {
	s.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req := httptest.NewRequestWithContext(identity.With(s.t.Context(), who), method, "/api"+path, content)
	rec := httptest.NewRecorder()
	s.echo.ServeHTTP(rec, req)
	return rec
}

// get reads a page that must be there.
func get[T any](s *site, who identity.Caller, path string) (body T) {
	s.t.Helper()
	rec := s.do(who, http.MethodGet, path, "")
	if rec.Code != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, rec.Code, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	return body
}

func in(who identity.Caller, locale string, feedV2 bool) identity.Caller {
	return identity.NewCaller(who.User(), "", locale, feedV2)
}
