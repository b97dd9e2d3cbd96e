package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/problem"
	"example.com/communityfeed/internal/telemetry"
	"example.com/communityfeed/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const secret = "a secret that is long enough for HS256"

func sign(t *testing.T, user identity.UserID, role identity.Role) string {
	t.Helper()
	token, err := identity.Sign(secret, user, role, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// bare is a server with everything but the service's routes, and what it has
// logged.
type bare struct {
	*Server
	log *logLines
}

func newBare(t *testing.T, o Options) bare {
	t.Helper()
	verifier, err := identity.NewVerifier(secret, identity.VerifierOptions{})
	if err != nil {
		t.Fatal(err)
	}
	lines := &logLines{}
	log := slog.New(slog.NewJSONHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	bus := events.NewBus(log)
	return bare{newServer(log, verifier, bus, telemetry.NewMetrics(), o), lines}
}

// ask sends one request straight to the handler.
func (b bare) ask(method, path, body string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	b.Handler().ServeHTTP(rec, r)
	return rec.Result()
}

// problemIn reads a response that must be a problem document.
func problemIn(t *testing.T, r *http.Response) problem.Problem {
	t.Helper()
	if got := r.Header.Get("Content-Type"); got != problem.ContentType {
		t.Errorf("Content-Type is %q", got)
	}
	if got := r.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	var p problem.Problem
	body := readAll(t, r)
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	if p.Status != r.StatusCode {
		t.Errorf("the document says %d, the response %d", p.Status, r.StatusCode)
	}
	if want := "urn:request:" + r.Header.Get("X-Request-Id"); p.Instance != want {
		t.Errorf("instance is %q, want %q", p.Instance, want)
	}
	return p
}

func readAll(t *testing.T, r *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func ok(c echo.Context) error { return c.JSON(http.StatusOK, map[string]bool{"ok": true}) }

// logLines keeps what is logged, one map per line.
type logLines struct {
	mu    sync.Mutex
	lines []map[string]any
}

func (l *logLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for part := range bytes.Lines(line) {
		var fields map[string]any
		if err := json.Unmarshal(part, &fields); err != nil {
			return 0, err
		}
		l.lines = append(l.lines, fields)
	}
	return len(line), nil
}

// requests are the lines of the access log.
func (l *logLines) requests() (found []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if line["msg"] == "request" {
			found = append(found, line)
		}
	}
	return found
}

var errInside = errors.New("password=hunter2 at 10.0.0.7")
