package products

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/problem"
	"example.com/communityfeed/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var (
	nobody = identity.Caller{}
	user   = identity.NewCaller(42, "", "en", false)
	admin  = identity.NewCaller(1, identity.Admin, "en", false)
)

// shop is the domain's routes on a database of its own, over a cache in memory.
type shop struct {
	*Store
	t    *testing.T
	pool *pgxpool.Pool
	echo *echo.Echo

	mu      sync.Mutex
	emitted []any
}

func newShop(t *testing.T) *shop {
	t.Helper()
	pool, err := postgres.Open(t.Context(), testenv.Database(t), postgres.Options{MaxConns: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	log := testenv.Log(t)
	bus := events.NewBus(log)
	outbox := events.NewOutbox(pool, bus, Events, log)
	t.Cleanup(func() { _ = outbox.Close(context.Background()) })
	s := &shop{t: t, pool: pool, echo: echo.New(), Store: NewStore(pool, outbox)}
	c := cache.New(nil, cache.Options{Answer: func(err error) bool { return status(err) < http.StatusInternalServerError }})
	t.Cleanup(c.Close)
	bus.Subscribe("cache", func(ctx context.Context, event any) error {
		s.mu.Lock()
		s.emitted = append(s.emitted, event)
		s.mu.Unlock()
		move, known := Invalidations.Of(event)
		if !known {
			return fmt.Errorf("no rule for %T", event)
		}
		return c.Invalidate(ctx, move)
	})
	s.echo.Binder = strict{}
	s.echo.HTTPErrorHandler = func(err error, c echo.Context) {
		p, ok := errors.AsType[*problem.Problem](err)
		if !ok {
			p = problem.New(http.StatusInternalServerError, err.Error())
		}
		_ = c.JSON(p.Status, p) // to a recorder, which takes everything
	}
	NewHandler(s.Store).Routes(s.echo.Group("/api"), cachehttp.New(s.echo, c))
	return s
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

// heard returns the events since it was last asked.
func (s *shop) heard() []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := s.emitted
	s.emitted = nil
	return heard
}

// send answers a request to a path below /api, which must have the status wanted.
func (s *shop) send(who identity.Caller, want int, method, path, body string) *httptest.ResponseRecorder {
	s.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	rec := httptest.NewRecorder()
	s.echo.ServeHTTP(rec, httptest.NewRequestWithContext(identity.With(s.t.Context(), who), method, "/api"+path, content))
	if rec.Code != want {
		s.t.Errorf("%s %s %s: %d %s, want %d", method, path, body, rec.Code, rec.Body, want)
	}
	return rec
}

func status(err error) int {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p.Status
	}
	return http.StatusInternalServerError
}

func book(name string) Fields {
	return Fields{Name: name, Category: "books", Price: Price{3749, "EUR"}, Stock: 50}
}

func (s *shop) stock(n int, category Category) {
	s.t.Helper()
	for i := range n {
		f := book(fmt.Sprintf("%s %03d", category, i))
		f.Category = category
		if _, err := s.Create(s.t.Context(), f); err != nil {
			s.t.Fatal(err)
		}
	}
}
