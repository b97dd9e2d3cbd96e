// Program peer is what the service is compared with: the feed of a community as a good
// engineer writes it by hand, with the cache in the handler. It reads the same database
// and answers with the same bodies. With --cache off it is a plain handler that asks
// Postgres each time.
//
// Idea: cache-aside, as most teams have it. A page is kept for 30 s in Redis and for 5 s
// in an LRU of the process, under its user, locale, flag, community, cursor and limit.
// Concurrent misses of a key in one process are one load. A write cannot know the keys
// of all readers, so it raises the community's generation, which is part of every key
// in Redis, and deletes the community's pages from the LRU of its own process.
//
// What it does not do, and the service does:
//
//   - Another process shows the old page for up to 5 s after a write, always, not only
//     when a message is lost.
//   - A load that began before a write may put the old page into the LRU after it, and
//     readers who join that load get the old page.
//   - Each process loads a key for itself, and a post is loaded again for each reader
//     and language.
//   - Likes, blocks and memberships have no invalidation at all: 35 s after somebody was
//     removed from a private community, they may still read it.
//   - A generation that Redis evicts or loses in a failover begins anew, and old pages
//     count again. A generation that could not be raised leaves all pages in place.
//   - A slow Redis makes every read slow, up to the client's own timeouts.
//   - When Postgres is gone, so are the pages, 35 s later at the latest. Nothing is served
//     stale, and nothing spares a database that fails.
//   - No entity tags, no codings, no outbox.
package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/identity"
)

type command struct {
	Listen      string `default:"127.0.0.1:8090" placeholder:"HOST:PORT" help:"Where to listen."`
	DatabaseURL string `env:"DATABASE_URL" required:"" placeholder:"URL" help:"A Postgres with the service's schema."`
	RedisURL    string `env:"REDIS_URL" required:"" placeholder:"URL" help:"Where pages are kept."`
	RedisPrefix string `default:"peer:" placeholder:"TEXT" help:"Begins every key in Redis."`
	Secret      string `env:"JWT_SECRET" required:"" placeholder:"TEXT" help:"Signs the tokens, as the service's does."`
	Cache       string `enum:"on,off" default:"on" placeholder:"on|off" help:"off: every read asks Postgres."`
	Parent      int    `hidden:"" placeholder:"PID" help:"End when this process, which started this one, has."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c command
	parser := kong.Parse(&c, kong.Description("The feed with a cache by hand, to compare the service with."))
	parser.FatalIfErrorf(c.run(ctx))
}

func (c *command) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.Parent != 0 {
		go outlive(ctx, cancel)
	}
	read, err := open(ctx, c.DatabaseURL, "read", 16) // as many as the service has
	if err != nil {
		return err
	}
	defer read.Close()
	write, err := open(ctx, c.DatabaseURL, "write", 8)
	if err != nil {
		return err
	}
	defer write.Close()
	options, err := redis.ParseURL(c.RedisURL)
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer client.Close()
	verifier, err := identity.NewVerifier(c.Secret, identity.VerifierOptions{})
	if err != nil {
		return err
	}
	h := &handler{read: read, write: write, verifier: verifier, locales: identity.NewLocales(), cursors: newCursors(c.Secret)}
	if c.Cache == "on" {
		h.pages = newPages(client, c.RedisPrefix)
	}

	server := &http.Server{Addr: c.Listen, Handler: h.routes(), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // nobody waits for an answer by then
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// outlive ends the process when its parent has ended: it then has another one.
func outlive(ctx context.Context, cancel context.CancelFunc) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for parent := os.Getppid(); os.Getppid() == parent; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	cancel()
}

// open opens a pool and counts its queries under the name that the service's metrics have.
func open(ctx context.Context, url, name string, connections int32) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return pool, prometheus.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "communityfeed_postgres_acquires_total", Help: "Connections handed out.",
		ConstLabels: prometheus.Labels{"pool": name},
	}, func() float64 { return float64(pool.Stat().AcquireCount()) }))
}

func (h *handler) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/communities/{id}/posts", h.page)
	mux.HandleFunc("POST /api/communities/{id}/posts", h.post)
	mux.Handle("GET /metrics", promhttp.Handler())
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := h.write.Ping(r.Context()); err != nil {
			refuse(w, err)
		}
	})
	return mux
}
