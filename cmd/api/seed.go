package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/products"
)

const (
	sizeNone   = "none"
	sizeSmall  = "small"
	sizeMedium = "medium"
	sizeLarge  = "large"
)

// demo is how much demo data there is to be, in all domains.
type demo struct {
	feed     feed.SeedSize
	products products.SeedSize
}

// demoOf is what a size means. The help of seedCmd says the same in words.
func demoOf(size string) demo {
	switch size {
	case sizeLarge:
		return demo{feed.SeedSize{Users: 100_000, Communities: 1_000, Posts: 1_000_000}, products.SeedSize{Products: 100_000}}
	case sizeMedium:
		return demo{feed.SeedSize{Users: 10_000, Communities: 200, Posts: 100_000}, products.SeedSize{Products: 10_000}}
	}
	return demo{feed.SeedSize{Users: 1_000, Communities: 50, Posts: 10_000}, products.SeedSize{Products: 1_000}}
}

type seedCmd struct {
	database
	Size        string `enum:"small,medium,large" default:"small" placeholder:"SIZE" help:"small, medium or large; see above."`
	Posts       *int64 `placeholder:"N" help:"Another number of posts than the size has."`
	Users       *int64 `placeholder:"N" help:"Another number of users."`
	Communities *int64 `placeholder:"N" help:"Another number of communities."`
	Force       bool   `help:"Delete all data that the database holds first."`
	RedisURL    string `name:"redis-url" env:"REDIS_URL" placeholder:"URL" help:"With --force: the Redis of the servers that are running, so that they drop their copies."`
	RedisPrefix string `env:"REDIS_PREFIX" default:"cf:" placeholder:"TEXT" help:"With --force: what their keys begin with."`
}

// Help is shown by kong.
func (*seedCmd) Help() string {
	return `The data is the same each time, but for its dates; likes, translations and members come on top of what is listed. With Postgres on the same machine, on two cores that had other work to do:

    small       10,000 posts, 1,000 users, 50 communities, 1,000 products: 1 s, 20 MB of disk
    medium     100,000 posts, 10,000 users, 200 communities, 10,000 products: 6 s, 100 MB
    large    1,000,000 posts, 100,000 users, 1,000 communities, 100,000 products: 90 s, 950 MB

The command itself takes some 30 MB of memory, whatever the size.`
}

// Validate is called by kong.
func (c *seedCmd) Validate() error {
	d := c.demo()
	var redis error
	if c.RedisURL != "" {
		redis = checkURL("--redis-url (REDIS_URL)", c.RedisURL, "redis", "rediss")
	}
	return cmp.Or(c.database.Validate(), redis,
		atLeast("--posts", d.feed.Posts, 0),
		atLeast("--users", d.feed.Users, 50), // feed.SeedSize says why
		atLeast("--communities", d.feed.Communities, 13),
	)
}

func (c *seedCmd) demo() demo {
	d := demoOf(c.Size)
	d.feed.Posts = *cmp.Or(c.Posts, &d.feed.Posts)
	d.feed.Users = *cmp.Or(c.Users, &d.feed.Users)
	d.feed.Communities = *cmp.Or(c.Communities, &d.feed.Communities)
	return d
}

// Run fills the database, and says how it goes on the error stream.
func (c *seedCmd) Run(ctx context.Context, out streams) error {
	return c.seeding(ctx, func(pool *pgxpool.Pool) error {
		held, err := holdsData(ctx, pool)
		switch {
		case err != nil:
			return err
		case held && !c.Force:
			return errors.New("the database holds data: nothing was changed (--force deletes it all first)")
		case held:
			if err := cmp.Or(feed.Wipe(ctx, pool), products.Wipe(ctx, pool)); err != nil {
				return err
			}
		}
		if err := c.demo().seed(ctx, pool, out.Err); err != nil || !c.Force || c.RedisURL == "" {
			return err
		}
		return c.purge(ctx)
	})
}

// purge makes running servers drop all that they keep: it came from data that is
// gone.
func (c *seedCmd) purge(ctx context.Context) error {
	l2, err := remote.Open(c.RedisURL, remote.Options{Prefix: c.RedisPrefix})
	if err != nil {
		return err
	}
	defer l2.Close()
	pages := cache.New(l2, cache.Options{})
	defer pages.Close()
	if err := pages.Invalidate(ctx, cache.Revoked(cache.Everything)); err != nil {
		return fmt.Errorf("the data is there, but servers that are running keep old pages for a while: %w", err)
	}
	return nil
}

// seedEmpty fills a database that holds nothing, and leaves any other alone.
func (d database) seedEmpty(ctx context.Context, size string, log *slog.Logger) error {
	return d.seeding(ctx, func(pool *pgxpool.Pool) error {
		held, err := holdsData(ctx, pool)
		if err != nil || held {
			log.Info("not seeded: the database holds data")
			return err
		}
		log.Info("seeding", "size", size)
		began := time.Now()
		if err := demoOf(size).seed(ctx, pool, io.Discard); err != nil {
			return err
		}
		log.Info("seeded", "size", size, "took", time.Since(began).Round(time.Millisecond).String())
		return nil
	})
}

// seeding calls do with a pool of its own, which has no time limits, while no
// other process seeds the same database.
func (d database) seeding(ctx context.Context, do func(*pgxpool.Pool) error) error {
	pool, err := postgres.Open(ctx, d.URL, postgres.Options{MaxConns: 2, AppName: "communityfeed-seed"})
	if err != nil {
		return err
	}
	defer pool.Close() // and with the connection goes the lock
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtextextended('communityfeed seed', 0))`); err != nil {
		return fmt.Errorf("waiting for another process that seeds: %w", err)
	}
	return do(pool)
}

func holdsData(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	noPosts, err := feed.Empty(ctx, pool)
	if err != nil || !noPosts {
		return true, schemaFirst(err)
	}
	noProducts, err := products.Empty(ctx, pool)
	return !noProducts, err
}

// schemaFirst says what to do about a database without tables.
func schemaFirst(err error) error {
	if err != nil && undefinedTable(err) {
		return errors.New("the database has no schema: run api migrate up first")
	}
	return err
}

// seed fills an empty database.
func (d demo) seed(ctx context.Context, pool *pgxpool.Pool, w io.Writer) error {
	p := newProgress(w, map[string]int64{
		"users": d.feed.Users, "communities": d.feed.Communities, "posts": d.feed.Posts, "products": d.products.Products,
	})
	defer p.end()
	now := time.Now()
	if err := feed.Seed(ctx, pool, d.feed, now, p.report); err != nil {
		return err
	}
	return products.Seed(ctx, pool, d.products, now, p.report)
}
