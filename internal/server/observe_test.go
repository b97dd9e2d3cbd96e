package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/problem"
)

// newLogging answers in every way that matters to the log.
func newLogging(t *testing.T, o Options) bare {
	b := newBare(t, o)
	cached := func(outcome string, status int) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Header().Set("X-Cache", outcome)
			return c.NoContent(status)
		}
	}
	b.echo.GET("/api/hit", cached("HIT", 200))
	b.echo.GET("/api/not-modified", cached("MISS", 304))
	b.echo.GET("/api/miss/:id", cached("MISS", 200))
	b.echo.GET("/api/stale", cached("STALE", 200))
	b.echo.POST("/api/posts", ok)
	b.echo.GET("/api/missing", func(echo.Context) error { return problem.NotFound("it") })
	b.echo.GET("/api/busy", func(echo.Context) error { return problem.Unavailable("busy", time.Second) })
	b.echo.GET("/api/broken", func(echo.Context) error { return errInside })
	b.get("/livez", b.livez)
	return b
}

func TestHitsAndProbesAreNotLoggedAndTheRestIs(t *testing.T) {
	for _, tc := range []struct {
		method, path, level string // no level: no line
	}{
		{"GET", "/api/hit", ""},
		{"GET", "/api/not-modified", ""},
		{"GET", "/livez", ""},
		{"GET", "/api/miss/7", "INFO"},
		{"GET", "/api/stale", "INFO"},
		{"POST", "/api/posts", "INFO"},
		{"GET", "/api/missing", "INFO"},
		{"GET", "/no/such", "INFO"},
		{"POST", "/livez", "INFO"},
		{"GET", "/api/busy", "WARN"},
		{"GET", "/api/broken", "ERROR"},
	} {
		b := newLogging(t, Options{})
		b.ask(tc.method, tc.path, "")
		lines := b.log.requests()
		switch {
		case tc.level == "" && len(lines) != 0:
			t.Errorf("%s %s is logged: %v", tc.method, tc.path, lines)
		case tc.level != "" && (len(lines) != 1 || lines[0]["level"] != tc.level):
			t.Errorf("%s %s: want one line of level %s, got %v", tc.method, tc.path, tc.level, lines)
		}
	}
}

func TestEverythingIsLoggedOnRequest(t *testing.T) {
	b := newLogging(t, Options{LogHits: true})
	for _, path := range []string{"/api/hit", "/api/not-modified", "/livez"} {
		b.ask("GET", path, "")
	}
	if lines := b.log.requests(); len(lines) != 3 {
		t.Errorf("got %v", lines)
	}
}

func TestASlowHitIsLogged(t *testing.T) {
	b := newLogging(t, Options{SlowRequest: time.Nanosecond})
	b.ask("GET", "/api/hit", "")
	if lines := b.log.requests(); len(lines) != 1 || lines[0]["level"] != "WARN" || lines[0]["slow"] != true {
		t.Errorf("got %v", lines)
	}
}

func TestALineTellsWhoAskedForWhatAndWhatBecameOfIt(t *testing.T) {
	b := newLogging(t, Options{})
	b.ask("GET", "/api/miss/7?secret=x", "", "X-Request-Id", "r-1", "Authorization", "Bearer "+sign(t, 42, ""))
	line := b.log.requests()[0]
	for key, want := range map[string]any{
		"id": "r-1", "method": "GET", "path": "/api/miss/7", "route": "/api/miss/:id",
		"status": 200., "bytes": 0., "user": "42", "cache": "MISS", "remote": "192.0.2.1:1234",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	if took, _ := line["took"].(float64); took <= 0 {
		t.Errorf("took is %v", line["took"])
	}
}

func TestRequestsAreCountedUnderTheirRouteWhateverTheClientSends(t *testing.T) {
	b := newLogging(t, Options{})
	for _, target := range []string{"/api/miss/7", "/api/miss/8", "/api/missing", "/no/such", "/nor/this", "/api/nothing"} {
		b.ask("GET", target, "")
	}
	b.ask("BREW", "/api/hit", "")
	b.ask("GET", "/api/hit", "", "Authorization", "Bearer x")

	rec := httptest.NewRecorder()
	b.metrics.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`http_requests_total{code="200",method="GET",route="/api/miss/:id"} 2`,
		`http_requests_total{code="404",method="GET",route="/api/missing"} 1`,
		`http_requests_total{code="404",method="GET",route="unmatched"} 3`,
		`http_requests_total{code="405",method="other",route="/api/hit"} 1`,
		`http_requests_total{code="401",method="GET",route="/api/hit"} 1`,
		`http_request_seconds_count{method="GET",route="/api/miss/:id"} 2`,
		`http_requests_in_flight 0`,
	} {
		if !strings.Contains(rec.Body.String(), "communityfeed_"+want+"\n") {
			t.Errorf("the scrape lacks communityfeed_%s", want)
		}
	}
}
