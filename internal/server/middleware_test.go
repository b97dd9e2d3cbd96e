package server

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/identity"
)

func TestASaneRequestIDIsKeptAndAnyOtherReplaced(t *testing.T) {
	b := newBare(t, Options{})
	b.echo.GET("/x", ok)
	for _, id := range []string{"a", "4bf92f35-77b3_4da6.A", strings.Repeat("z", 64)} {
		if got := b.ask("GET", "/x", "", "X-Request-ID", id).Header.Get("X-Request-Id"); got != id {
			t.Errorf("%q became %q", id, got)
		}
	}
	seen := map[string]bool{}
	for _, id := range []string{"", " ", "a b", "a\tb", "ü", `a"b`, "<b>", strings.Repeat("z", 65)} {
		got := b.ask("GET", "/x", "", "X-Request-ID", id).Header.Get("X-Request-Id")
		if !saneID(got) || got == id || seen[got] {
			t.Errorf("%q became %q", id, got)
		}
		seen[got] = true
	}
}

func TestThePanickingRequestIsAnsweredAndTheServerLives(t *testing.T) {
	b := newBare(t, Options{})
	b.echo.GET("/panic", func(echo.Context) error { panic(errInside) })
	b.echo.GET("/x", ok)

	p := problemIn(t, b.ask("GET", "/panic", ""))
	if p.Status != 500 || p.Detail != "" {
		t.Errorf("got %+v", p)
	}
	if got := b.ask("GET", "/x", "").StatusCode; got != 200 {
		t.Errorf("afterwards the server answers %d", got)
	}
	line := b.log.requests()[0]
	stack, _ := line["stack"].(string)
	if line["level"] != "ERROR" || !strings.Contains(stack, "middleware_test.go") {
		t.Errorf("the log line is %v", line)
	}
}

func TestAnAbortedHandlerIsLeftToNetHTTP(t *testing.T) {
	b := newBare(t, Options{})
	b.echo.GET("/abort", func(echo.Context) error { panic(http.ErrAbortHandler) })
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v", p)
		}
	}()
	b.ask("GET", "/abort", "")
}

func TestTheCallerIsOnTheRequestsContext(t *testing.T) {
	b := newBare(t, Options{})
	var got identity.Caller
	b.echo.GET("/api/me", func(c echo.Context) error {
		got = identity.From(c.Request().Context())
		return c.NoContent(http.StatusNoContent)
	})
	for _, tc := range []struct {
		name   string
		header []string
		want   identity.Caller
	}{
		{"nobody", nil, identity.Caller{}},
		{"everything", []string{
			"Authorization", "Bearer " + sign(t, 42, identity.Admin),
			"Accept-Language", "de-AT, en;q=0.5",
			"X-FF-Feed-V2", "1",
		}, identity.NewCaller(42, identity.Admin, "de", true)},
		{"the scheme in any case", []string{"Authorization", "bEARER " + sign(t, 7, "")}, identity.NewCaller(7, "", "en", false)},
		{"languages in two lines", []string{"Accept-Language", "tlh", "Accept-Language", "ja"}, identity.NewCaller(0, "", "ja", false)},
		{"a flag that is not 1", []string{"X-FF-Feed-V2", "true"}, identity.Caller{}},
		{"a flag sent twice", []string{"X-FF-Feed-V2", "1", "X-FF-Feed-V2", "0"}, identity.Caller{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if status := b.ask("GET", "/api/me", "", tc.header...).StatusCode; status != 204 {
				t.Fatalf("answered %d", status)
			}
			if got.User() != tc.want.User() || got.Admin() != tc.want.Admin() ||
				got.Locale() != tc.want.Locale() || got.FeedV2() != tc.want.FeedV2() {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestABadTokenIsRefusedEverywhereBelowAPI(t *testing.T) {
	b := newBare(t, Options{})
	b.echo.GET("/api/x", ok)
	b.echo.GET("/livez", ok)
	good := "Bearer " + sign(t, 42, "")
	for name, credentials := range map[string][]string{
		"empty":            {"Authorization", ""},
		"no token":         {"Authorization", "Bearer"},
		"an empty token":   {"Authorization", "Bearer "},
		"another scheme":   {"Authorization", "Basic dTpw"},
		"not a token":      {"Authorization", "Bearer hello"},
		"a changed token":  {"Authorization", good + "x"},
		"more than one":    {"Authorization", good, "Authorization", good},
		"two in one":       {"Authorization", good + ", " + good},
		"without a scheme": {"Authorization", strings.TrimPrefix(good, "Bearer ")},
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range []struct{ method, path string }{
				{"GET", "/api/x"}, {"POST", "/api/x"}, {"GET", "/api/no/such/path"},
			} {
				r := b.ask(target.method, target.path, "", credentials...)
				if p := problemIn(t, r); p.Status != 401 {
					t.Errorf("%s %s answers %d", target.method, target.path, p.Status)
				}
				if got := r.Header.Get("WWW-Authenticate"); got != `Bearer realm="communityfeed", error="invalid_token"` {
					t.Errorf("WWW-Authenticate is %q", got)
				}
			}
			if got := b.ask("GET", "/livez", "", credentials...).StatusCode; got != 200 {
				t.Errorf("/livez answers %d", got)
			}
		})
	}
}

func TestATokenIsRefusedFromItsEndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t, Options{})
		b.echo.GET("/api/x", ok)
		token := sign(t, 42, "") // good for an hour
		if got := b.ask("GET", "/api/x", "", "Authorization", "Bearer "+token).StatusCode; got != 200 {
			t.Errorf("at first: %d", got)
		}
		time.Sleep(time.Hour)
		p := problemIn(t, b.ask("GET", "/api/x", "", "Authorization", "Bearer "+token))
		if p.Status != 401 || p.Detail != "the token has expired" {
			t.Errorf("an hour later: %+v", p)
		}
	})
}

func TestAWriteRunsUnderADeadlineAndAReadDoesNot(t *testing.T) {
	b := newBare(t, Options{RequestTimeout: 1})
	waits := func(c echo.Context) error {
		ctx := c.Request().Context()
		if _, limited := ctx.Deadline(); !limited {
			return c.NoContent(http.StatusNoContent)
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}
	b.echo.GET("/x", waits)
	b.echo.POST("/x", waits)
	if got := b.ask("GET", "/x", "").StatusCode; got != 204 {
		t.Errorf("GET answers %d", got)
	}
	r := b.ask("POST", "/x", "")
	if p := problemIn(t, r); p.Status != 503 || r.Header.Get("Retry-After") != "1" {
		t.Errorf("POST answers %+v, Retry-After %q", p, r.Header.Get("Retry-After"))
	}
}
