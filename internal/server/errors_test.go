package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/problem"
)

func TestAnErrorIsAnsweredWithWhatAClientMayKnow(t *testing.T) {
	for _, tc := range []struct {
		name       string
		err        error
		status     int
		detail     string
		retryAfter string
	}{
		{"a problem as it is", problem.NotFound("post 7"), 404, "post 7 was not found", ""},
		{"a problem far inside", fmt.Errorf("%w: loading: %w", errInside, problem.Conflict("taken")), 409, "taken", ""},
		{"a problem that says when", problem.Unavailable("busy", 1500*time.Millisecond), 503, "busy", "2"},
		{"the cache cannot", fmt.Errorf("reading: %w", cache.ErrUnavailable), 503, "the service cannot answer this now", "1"},
		{"a deadline", fmt.Errorf("query: %w", context.DeadlineExceeded), 503, "the service cannot answer this now", "1"},
		{"something of ours is closing", context.Canceled, 503, "the service cannot answer this now", "1"},
		{"the database is stopping", &pgconn.PgError{Code: "57P01"}, 503, "the service cannot answer this now", "1"},
		{"a body too large", fmt.Errorf("reading: %w", &http.MaxBytesError{Limit: maxBody}), 413, "the body is larger than 65536 bytes", ""},
		{"Echo's own", echo.NewHTTPError(http.StatusTeapot, "short and stout"), 418, "short and stout", ""},
		{"Echo's own fault", echo.NewHTTPError(http.StatusBadGateway, errInside), 500, "", ""},
		{"a constraint", &pgconn.PgError{Code: "23505", Detail: "Key (secret)=(x) already exists."}, 500, "", ""},
		{"anything else", errInside, 500, "", ""},
		{"a panic in a load", &cache.PanicError{Value: errInside}, 500, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBare(t, Options{})
			b.echo.GET("/x", func(c echo.Context) error {
				c.Response().Header().Set("ETag", `"half"`)
				c.Response().Header().Set("Cache-Control", "public, max-age=60")
				return tc.err
			})
			r := b.ask("GET", "/x", "")
			if r.Header.Get("ETag") != "" {
				t.Error("the problem carries the page's ETag")
			}
			if got := r.Header.Get("Retry-After"); got != tc.retryAfter {
				t.Errorf("Retry-After is %q, want %q", got, tc.retryAfter)
			}
			if p := problemIn(t, r); p.Status != tc.status || p.Detail != tc.detail {
				t.Errorf("got %d %q, want %d %q", p.Status, p.Detail, tc.status, tc.detail)
			}
			if logged := b.log.requests()[0]["error"]; logged != tc.err.Error() {
				t.Errorf("logged %v, want the whole error %v", logged, tc.err)
			}
		})
	}
}

func TestAnErrorThatManyWaitForIsAnsweredToEachUnderItsOwnID(t *testing.T) {
	b := newBare(t, Options{})
	shared := problem.NotFound("post 7")
	b.echo.GET("/x", func(echo.Context) error { return shared })
	for _, id := range []string{"first", "second"} {
		if p := problemIn(t, b.ask("GET", "/x", "", "X-Request-Id", id)); p.Instance != "urn:request:"+id {
			t.Errorf("%s got instance %s", id, p.Instance)
		}
	}
	var p *problem.Problem
	if errors.As(shared, &p); p.Instance != "" {
		t.Errorf("the shared error was changed: %s", p.Instance)
	}
}

func TestUnknownPathsAndMethodsAreProblemsToo(t *testing.T) {
	b := newBare(t, Options{})
	b.get("/api/posts/:id", ok)
	b.echo.PATCH("/api/posts/:id", ok)
	for _, path := range []string{"/no", "/api", "/api/", "/api/no/such", "/api/posts/", "/api/posts/7/no"} {
		if p := problemIn(t, b.ask("GET", path, "")); p.Status != 404 || p.Detail != "the path was not found" {
			t.Errorf("%s answers %+v", path, p)
		}
	}
	r := b.ask("POST", "/api/posts/7", "")
	if p := problemIn(t, r); p.Status != 405 || p.Detail != "the path does not take POST" {
		t.Errorf("got %+v", p)
	}
	allow := r.Header.Get("Allow")
	for _, method := range []string{"GET", "HEAD", "PATCH"} {
		if !strings.Contains(allow, method) {
			t.Errorf("Allow is %q, it lacks %s", allow, method)
		}
	}
}

func TestAnswerToHEADHasNoBody(t *testing.T) {
	b := newBare(t, Options{})
	b.get("/x", func(echo.Context) error { return problem.NotFound("it") })
	r := b.ask("HEAD", "/x", "")
	if body := readAll(t, r); r.StatusCode != 404 || body != "" || r.Header.Get("Content-Type") != problem.ContentType {
		t.Errorf("got %d %q %q", r.StatusCode, r.Header.Get("Content-Type"), body)
	}
}

func TestWhoShowsNoTokenIsChallengedWithoutBlame(t *testing.T) {
	b := newBare(t, Options{})
	b.echo.POST("/api/posts", func(echo.Context) error { return problem.Unauthorized("posting needs a token") })
	r := b.ask("POST", "/api/posts", "")
	if got := r.Header.Get("WWW-Authenticate"); r.StatusCode != 401 || got != `Bearer realm="communityfeed"` {
		t.Errorf("got %d, WWW-Authenticate %q", r.StatusCode, got)
	}
}

func TestAClientThatHasLeftIsNoFault(t *testing.T) {
	b := newBare(t, Options{})
	entered, logged := make(chan struct{}), make(chan struct{})
	b.echo.GET("/x", func(c echo.Context) error {
		close(entered)
		<-c.Request().Context().Done()
		return fmt.Errorf("query: %w", c.Request().Context().Err())
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.Handler().ServeHTTP(w, r)
		close(logged)
	}))
	defer srv.Close()

	ctx, leave := context.WithCancel(t.Context())
	go func() { <-entered; leave() }()
	r, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(r); !errors.Is(err, context.Canceled) {
		t.Fatalf("the client got %v", err)
	}
	<-logged
	line := b.log.requests()[0]
	if line["level"] != "DEBUG" || line["status"] != 499. || line["bytes"] != 0. {
		t.Errorf("the log line is %v", line)
	}
}

func TestAnAnswerThatBreaksOffIsLoggedAndNotAppendedTo(t *testing.T) {
	b := newBare(t, Options{})
	b.echo.GET("/x", func(c echo.Context) error {
		if err := c.String(http.StatusOK, "half of"); err != nil {
			return err
		}
		return errInside
	})
	if body := readAll(t, b.ask("GET", "/x", "")); body != "half of" {
		t.Errorf("got %q", body)
	}
	if line := b.log.requests()[0]; line["error"] != errInside.Error() || line["status"] != 200. {
		t.Errorf("the log line is %v", line)
	}
}
