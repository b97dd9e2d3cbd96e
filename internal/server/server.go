// Package server is the Echo instance: what happens to every request before and
// after its handler, the map of all routes, the way from events to invalidations of the
// cache, and the service's health and end.
//
// Its invariant: a request that comes in gets exactly one answer, and only the
// answer tells what happened. Handlers return errors; fail is the one place
// that turns them into problem documents, observe the one that logs and counts
// them. Nothing of the inside goes out, and no panic ends the process.
package server

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/products"
	"example.com/communityfeed/internal/telemetry"
)

// Options may be left zero.
type Options struct {
	// Checks are what /readyz asks.
	Checks []Check

	// LogHits logs cache hits, 304s and successful probes as well. They are the
	// bulk of the requests and say the least; logging them costs more than
	// answering them.
	LogHits bool

	// FormerTags adds to the tags of an invalidation what processes of the version before
	// know them by, and browsers that have answers of theirs. Nil adds nothing.
	FormerTags func([]cache.Tag) []cache.Tag

	// SlowRequest is from where on a request is logged as slow; 0 is 1 s.
	SlowRequest time.Duration

	// RequestTimeout bounds a request that is neither GET nor HEAD; 0 is 10 s.
	// Reads are bounded by the cache.
	RequestTimeout time.Duration

	// DrainDelay is how long requests are still taken after /readyz has begun to
	// answer 503, so that load balancers can notice.
	DrainDelay time.Duration

	// ShutdownTimeout bounds the requests under way at the end; 0 is 10 s.
	ShutdownTimeout time.Duration
}

// Server answers the service's requests.
type Server struct {
	log      *slog.Logger
	verifier *identity.Verifier
	locales  *identity.Locales
	bus      *events.Bus
	metrics  *telemetry.Metrics
	o        Options

	echo     *echo.Echo
	draining atomic.Bool
}

// New mounts every route and subscribes the invalidation to the bus, so that
// what is published from then on invalidates the cache's tags.
func New(
	log *slog.Logger, verifier *identity.Verifier, c *cache.Cache, bus *events.Bus, outbox *events.Outbox,
	f *feed.Handler, p *products.Handler, page http.Handler, metrics *telemetry.Metrics, o Options,
) *Server {
	s := newServer(log, verifier, bus, metrics, o)
	purge := func(ctx context.Context) error { return Purge(ctx, outbox) }
	s.routes(cachehttp.New(s.echo, c), f, p, &admin{c, purge}, page)
	bus.Subscribe("invalidation", invalidation(c.Invalidate, o.FormerTags, ownInvalidations, feed.Invalidations, products.Invalidations))
	return s
}

// newServer returns a server that does everything but route.
func newServer(
	log *slog.Logger, verifier *identity.Verifier, bus *events.Bus, metrics *telemetry.Metrics, o Options,
) *Server {
	o.SlowRequest = cmp.Or(o.SlowRequest, time.Second)
	o.RequestTimeout = cmp.Or(o.RequestTimeout, 10*time.Second)
	o.ShutdownTimeout = cmp.Or(o.ShutdownTimeout, 10*time.Second)
	s := &Server{
		log: log, verifier: verifier, locales: identity.NewLocales(), bus: bus, metrics: metrics, o: o,
		echo: echo.New(),
	}
	s.echo.Binder = binder{}
	s.echo.HTTPErrorHandler = func(err error, c echo.Context) { s.fail(c, err) }
	s.echo.Use(s.around)
	return s
}

// Handler answers requests without a listener, for tests and embedding.
func (s *Server) Handler() http.Handler { return s.echo }
