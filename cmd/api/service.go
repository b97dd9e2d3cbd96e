package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/events"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/products"
	"example.com/communityfeed/internal/server"
	"example.com/communityfeed/internal/telemetry"
	"example.com/communityfeed/internal/web"
	"example.com/communityfeed/migrations"
)

// parts is what the service is assembled from.
type parts struct {
	log         *slog.Logger
	secret      string
	read, write *pgxpool.Pool
	pages       *cache.Cache
	metrics     *telemetry.Metrics
	options     server.Options
}

// assemble builds the service on its connections, with the relay that has to run
// beside it and the outbox that has to be closed after both. It uses none of the
// connections, so `keys print` can do without.
func assemble(p parts) (*server.Server, *events.Relay, *events.Outbox, error) {
	verifier, err := identity.NewVerifier(p.secret, identity.VerifierOptions{})
	if err != nil {
		return nil, nil, nil, err
	}
	cursors := cachehttp.NewCursors(p.secret)
	bus := events.NewBus(p.log)
	outbox := events.NewOutbox(p.write, bus, slices.Concat(server.Events, feed.Events, products.Events), p.log)
	posts := feed.NewHandler(feed.NewStore(p.read, outbox), p.pages, cursors)
	catalogue := products.NewHandler(products.NewStore(p.read, outbox))
	// What the relay finds undelivered is what the cache must not trust Redis for.
	relay := events.NewRelay(outbox, events.RelayOptions{
		Doubt:      p.pages.Distrust,
		BeginDrain: p.pages.BeginDrain,
		Purge:      func(ctx context.Context) error { return server.Purge(ctx, outbox) },
		Alone: func(ctx context.Context, do func(context.Context) error) error {
			_, err := p.pages.WithLock(ctx, "outbox.sweep", do)
			return err
		},
	})
	p.metrics.Cache(p.pages.Stats)
	p.metrics.Events(bus, outbox, relay)
	service := server.New(p.log, verifier, p.pages, bus, outbox, posts, catalogue, web.Handler(), p.metrics, p.options)
	return service, relay, outbox, nil
}

// checks are what /readyz asks. Writes and health share a pool, so that reads
// cannot keep the service from saying that it is there.
func checks(write *pgxpool.Pool, l2 *remote.Redis) []server.Check {
	list := []server.Check{
		{Name: "postgres", Required: true, Probe: write.Ping},
		{Name: "schema", Required: true, Probe: func(ctx context.Context) error { return checkSchema(ctx, write) }},
	}
	if l2 != nil {
		list = append(list, server.Check{Name: "redis", Probe: l2.Ping})
	}
	return list
}

// checkSchema fails while the database lacks a migration that this program was
// built with. One that is ahead is fine: that is a rolling deploy.
func checkSchema(ctx context.Context, pool *pgxpool.Pool) error {
	needed, err := lastMigration()
	if err != nil {
		return err
	}
	var version int
	var dirty bool
	err = pool.QueryRow(ctx, `SELECT version, dirty FROM schema_migrations`).Scan(&version, &dirty)
	switch {
	case errors.Is(err, pgx.ErrNoRows) || undefinedTable(err):
		return errors.New("the database has no schema: run api migrate up")
	case err != nil:
		return err
	case dirty:
		return fmt.Errorf("migration %d stopped half way", version)
	case version < needed:
		return fmt.Errorf("the schema is at version %d and this program needs %d: run api migrate up", version, needed)
	}
	return nil
}

func lastMigration() (int, error) {
	files, err := fs.Glob(migrations.FS, "*.up.sql")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no migrations: %w", err)
	}
	number, _, _ := strings.Cut(slices.Max(files), "_")
	return strconv.Atoi(number)
}

func undefinedTable(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "42P01"
}
