package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/identity"
)

// observe answers, also what has failed, counts the request, and logs it if it is worth
// a line.
func (s *Server) observe(p *passage, next echo.HandlerFunc) {
	requests := s.metrics.Requests()
	requests.Begin()
	defer requests.Done()

	err := s.answer(p, next)
	status := p.Response().Status
	if err != nil {
		status = s.fail(p, err)
	}
	took := time.Since(p.began)
	r, _ := p.Asked()
	requests.Route(r.Method, route(p)).Observe(status, took)
	if level, ok := s.worthLogging(p, status, took); ok {
		s.logRequest(level, p, status, took, err)
	}
}

// route is the pattern that the router has matched: one of few, whatever the
// client sends.
func route(c echo.Context) string {
	if path := c.Path(); path != "" {
		return path
	}
	return "unmatched"
}

// worthLogging decides: what is slow or fails always is; hits are not, and
// neither are probes that succeed.
func (s *Server) worthLogging(c echo.Context, status int, took time.Duration) (slog.Level, bool) {
	switch {
	case status == statusClientGone:
		return slog.LevelDebug, true
	case status == http.StatusServiceUnavailable:
		return slog.LevelWarn, true // overload is not a fault, and there will be many
	case status >= 500:
		return slog.LevelError, true
	case took >= s.o.SlowRequest:
		return slog.LevelWarn, true
	case status >= 400, s.o.LogHits:
		return slog.LevelInfo, true
	}
	return slog.LevelInfo, !hit(c, status) && !probe(c.Path())
}

func hit(c echo.Context, status int) bool {
	outcome := c.Response().Header()[cachehttp.HeaderCache]
	return status == http.StatusNotModified || len(outcome) == 1 && outcome[0] == "HIT"
}

func probe(path string) bool { return path == "/livez" || path == "/readyz" || path == "/metrics" }

func (s *Server) logRequest(level slog.Level, c echo.Context, status int, took time.Duration, err error) {
	ctx, r := c.Request().Context(), c.Request()
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", requestID(c)),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path), // not the query: it is the client's to fill
		slog.String("route", route(c)),
		slog.Int("status", status),
		slog.Duration("took", took),
		slog.Int64("bytes", c.Response().Size),
		slog.String("user", identity.From(ctx).User().String()),
		slog.String("remote", r.RemoteAddr),
	}
	if outcome := c.Response().Header().Get(cachehttp.HeaderCache); outcome != "" {
		attrs = append(attrs, slog.String("cache", outcome))
	}
	if took >= s.o.SlowRequest {
		attrs = append(attrs, slog.Bool("slow", true))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	if stack := stackOf(err); stack != nil {
		attrs = append(attrs, slog.String("stack", string(stack)))
	}
	s.log.LogAttrs(context.WithoutCancel(ctx), level, "request", attrs...)
}

// stackOf is where the panic behind err happened: here, or in a load.
func stackOf(err error) []byte {
	if p, ok := errors.AsType[*panicError](err); ok {
		return p.stack
	}
	if p, ok := errors.AsType[*cache.PanicError](err); ok {
		return p.Stack
	}
	return nil
}
