package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/manifest"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/server"
	"example.com/communityfeed/internal/telemetry"
)

// outboxTimeout bounds, at the end, the marks of what was delivered last.
const outboxTimeout = 5 * time.Second

type serveCmd struct {
	Listen string `env:"LISTEN" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen; :8080 is on every interface, port 0 any free port."`
	secret

	database
	Migrate          bool          `env:"MIGRATE" group:"Postgres" help:"Migrate before serving."`
	Seed             string        `env:"SEED" enum:"none,small,medium,large" default:"none" placeholder:"SIZE" group:"Postgres" help:"Before serving, fill an empty database with demo data: small, medium, large (see api seed) or none."`
	DatabaseWait     time.Duration `env:"DATABASE_WAIT" default:"30s" placeholder:"DURATION" group:"Postgres" help:"How long --migrate and --seed wait for the database. Serving itself never waits for it."`
	ReadPool         int32         `env:"READ_POOL" default:"16" placeholder:"N" group:"Postgres" help:"Connections for reads: as many queries of loads run at a time."`
	ReadWait         time.Duration `env:"READ_WAIT" default:"1s" placeholder:"DURATION" group:"Postgres" help:"The most that a query waits for one of them; then a stale copy stands in for its load, or the answer is 503."`
	WritePool        int32         `env:"WRITE_POOL" default:"8" placeholder:"N" group:"Postgres" help:"Connections for writes and health."`
	StatementTimeout time.Duration `env:"STATEMENT_TIMEOUT" default:"3s" placeholder:"DURATION" group:"Postgres" help:"The server gives up on a statement after that."`

	caching
	MigrateCacheKey bool `env:"MIGRATE_CACHE_KEY" group:"Cache" help:"Start with cache keys that were never deployed, and register them in Redis: see docs/keys.md."`

	LogFormat   string        `env:"LOG_FORMAT" enum:"json,text" default:"json" placeholder:"FORMAT" group:"Log" help:"json or text."`
	LogLevel    string        `env:"LOG_LEVEL" enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" group:"Log" help:"debug, info, warn or error."`
	LogHits     bool          `env:"LOG_HITS" group:"Log" help:"Log cache hits, 304s and probes as well."`
	SlowRequest time.Duration `env:"SLOW_REQUEST" default:"1s" placeholder:"DURATION" group:"Log" help:"From where on a request is logged as slow."`

	RequestTimeout  time.Duration `env:"REQUEST_TIMEOUT" default:"10s" placeholder:"DURATION" group:"Limits" help:"Bounds a request that changes something. Reads are bounded by the cache."`
	DrainDelay      time.Duration `env:"DRAIN_DELAY" default:"0s" placeholder:"DURATION" group:"Limits" help:"At the end: how long /readyz says 503 while requests are still taken, for load balancers to notice."`
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" default:"10s" placeholder:"DURATION" group:"Limits" help:"At the end: how long the requests under way may take."`

	Parent int `hidden:"" placeholder:"PID" help:"End when this process has."`
}

// Validate is called by kong.
func (c *serveCmd) Validate() error {
	return cmp.Or(
		checkAddress("--listen (LISTEN)", c.Listen),
		c.secret.Validate(),
		c.database.Validate(),
		c.caching.Validate(),
		atLeast("--read-pool (READ_POOL)", c.ReadPool, 1),
		atLeast("--read-wait (READ_WAIT)", c.ReadWait, time.Millisecond),
		atLeast("--write-pool (WRITE_POOL)", c.WritePool, 1),
		atLeast("--statement-timeout (STATEMENT_TIMEOUT)", c.StatementTimeout, time.Millisecond),
		atLeast("--database-wait (DATABASE_WAIT)", c.DatabaseWait, 0),
		atLeast("--slow-request (SLOW_REQUEST)", c.SlowRequest, time.Millisecond),
		atLeast("--request-timeout (REQUEST_TIMEOUT)", c.RequestTimeout, time.Millisecond),
		atLeast("--drain-delay (DRAIN_DELAY)", c.DrainDelay, 0),
		atLeast("--shutdown-timeout (SHUTDOWN_TIMEOUT)", c.ShutdownTimeout, time.Millisecond),
	)
}

// Run builds the service from the connections up, serves, and takes it down in
// reverse. Neither Postgres nor Redis has to be there: the service then says in
// /readyz what is missing, and finds it by itself. Only --migrate and --seed
// cannot do without Postgres.
func (c *serveCmd) Run(ctx context.Context, out streams) error {
	ctx, untie := tied(ctx, c.Parent)
	defer untie()
	log, err := telemetry.NewLogger(out.Err, c.LogFormat, c.LogLevel)
	if err != nil {
		return err
	}
	spendMemory(log)
	if c.Secret == developmentSecret {
		log.Warn("tokens are checked against the development secret, which everybody knows")
	}
	l2, err := c.tier(log)
	if err != nil {
		return err
	}
	if l2 != nil {
		defer l2.Close()
	}
	keys, err := c.register(ctx, l2, log)
	if err != nil {
		return err
	}
	if err := c.prepare(ctx, log); err != nil {
		return err
	}

	read, err := c.pool(ctx, postgres.Options{MaxConns: c.ReadPool, AppName: "communityfeed-read", AcquireTimeout: c.ReadWait})
	if err != nil {
		return err
	}
	defer read.Close()
	write, err := c.pool(ctx, postgres.Options{MaxConns: c.WritePool, AppName: "communityfeed-write"})
	if err != nil {
		return err
	}
	defer write.Close()
	pages := cache.New(l2.OrNone(), c.options(log))
	defer pages.Close()
	metrics := telemetry.NewMetrics()
	service, relay, outbox, err := assemble(parts{
		log: log, secret: c.Secret, read: read, write: write, pages: pages, metrics: metrics,
		options: server.Options{
			Checks: checks(write, l2), FormerTags: keys.formerTags,
			LogHits: c.LogHits, SlowRequest: c.SlowRequest,
			RequestTimeout: c.RequestTimeout, DrainDelay: c.DrainDelay, ShutdownTimeout: c.ShutdownTimeout,
		},
	})
	if err != nil {
		return err
	}
	metrics.Postgres(telemetry.Pool{Name: "read", Pool: read}, telemetry.Pool{Name: "write", Pool: write})
	if l2 != nil {
		metrics.Redis(l2.PoolStats)
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen (LISTEN): %w", err)
	}
	c.announce(ctx, log, listener.Addr(), write, l2)
	return serving(ctx, service, listener, relay, outbox, keys)
}

// serving serves until ctx ends or the keys are refused. The relay and the registration run
// beside it until the last request has been answered, not until the signal, and the
// outbox is closed after all that write to it.
func serving(ctx context.Context, service *server.Server, listener net.Listener, relay *events.Relay, outbox *events.Outbox, keys *registration) (err error) {
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), outboxTimeout)
		defer cancel()
		err = errors.Join(err, outbox.Close(closing))
	}()
	within, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	last, stop := context.WithCancel(context.WithoutCancel(ctx))
	var beside sync.WaitGroup
	beside.Go(func() { relay.Run(last) })
	beside.Go(func() {
		if err := keys.keep(last); err != nil {
			refuse(err)
		}
	})
	defer beside.Wait()
	defer stop()
	err = service.Serve(within, listener)
	if refused, ok := errors.AsType[*manifest.DiffError](context.Cause(within)); ok {
		err = errors.Join(refused, err)
	}
	return err
}

// register returns the registration of this server, once it is admitted or Redis has not
// answered.
func (c *serveCmd) register(ctx context.Context, l2 *remote.Redis, log *slog.Logger) (*registration, error) {
	keys, err := programKeys()
	if err != nil {
		return nil, err
	}
	if l2 == nil {
		return c.newRegistration(keys, nil, log), nil
	}
	r := c.newRegistration(keys, manifest.NewRegistry(l2), log)
	return r, r.ask(ctx)
}

func (c *serveCmd) newRegistration(keys manifest.Manifest, registry *manifest.Registry, log *slog.Logger) *registration {
	r := &registration{
		keys: keys, admit: c.MigrateCacheKey, registry: registry, log: log,
		askEvery: time.Second, registerEvery: 10 * time.Second,
	}
	r.former.Store(true) // until it is known
	return r
}

func (c *serveCmd) pool(ctx context.Context, o postgres.Options) (*pgxpool.Pool, error) {
	o.StatementTimeout = c.StatementTimeout
	return postgres.Open(ctx, c.URL, o)
}

// prepare does what was asked for before serving.
func (c *serveCmd) prepare(ctx context.Context, log *slog.Logger) error {
	if !c.Migrate && c.Seed == sizeNone {
		return nil
	}
	if err := c.await(ctx, log, c.DatabaseWait); err != nil {
		return err
	}
	if c.Migrate {
		if err := c.migrateUp(ctx); err != nil {
			return err
		}
		log.Info("migrated")
	}
	if c.Seed != sizeNone {
		return c.seedEmpty(ctx, c.Seed, log)
	}
	return nil
}

// announce says where the service listens, and which of its dependencies it does
// not have yet.
func (c *serveCmd) announce(ctx context.Context, log *slog.Logger, at net.Addr, write *pgxpool.Pool, l2 *remote.Redis) {
	ready := true
	for _, check := range checks(write, l2) {
		if check.Required && !ready {
			continue // for the same reason
		}
		probe, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := check.Probe(probe)
		cancel()
		switch {
		case err == nil:
		case check.Required:
			ready = false
			log.Warn("not ready yet", "missing", check.Name, "error", oneLine(err))
		default:
			log.Warn("degraded for now", "missing", check.Name, "error", oneLine(err))
		}
	}
	log.Info("listening", "url", "http://"+at.String(), "cache", c.Mode, "redis", l2 != nil)
}
