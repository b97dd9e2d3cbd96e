package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"example.com/communityfeed/internal/embedded"
)

type devCmd struct {
	First  string `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where the first server listens."`
	Second string `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Where the second one does."`
	Parent int    `hidden:"" placeholder:"PID" help:"End when this process has."`
}

// Help is shown by kong.
func (*devCmd) Help() string {
	return `Two processes serve, so that one can be seen to hear of the other's writes. They share a Postgres and a Redis that are started for them, on free ports, and that are gone afterwards with all their data. Postgres is one that is on this machine (15 or newer), else it is fetched once; Redis is redis-server (7.0 or newer) from PATH, else one that is built in.

Settings of api serve in the environment count for both, but for those that say where things are: CACHE=off api dev runs without the cache.`
}

// Validate is called by kong.
func (c *devCmd) Validate() error {
	return cmp.Or(checkAddress("--first", c.First), checkAddress("--second", c.Second))
}

// readyWithin is how long the servers may take to start.
const readyWithin = 30 * time.Second

// Run starts everything, says what to try, and waits for the end: of ctx, of the
// parent, or of anything that was started, which is an error. Whatever the end,
// nothing that was started is left.
func (c *devCmd) Run(ctx context.Context, out streams) (err error) {
	ctx, untie := tied(ctx, c.Parent)
	defer untie()
	first, err := freeAddress("--first", c.First)
	if err != nil {
		return err
	}
	second, err := freeAddress("--second", c.Second)
	if err != nil {
		return err
	}

	fmt.Fprintln(out.Err, "Starting Postgres and Redis …")
	database, err := embedded.StartPostgres(ctx, embedded.Options{Notice: func(line string) { fmt.Fprintln(out.Err, line) }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	redis, err := embedded.StartRedis(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	fmt.Fprintf(out.Err, "Postgres is %s, Redis is %s. Filling in demo data …\n", database.About, redis.About)
	if err := fill(ctx, database.URL, out); err != nil {
		return err
	}

	servers := children(out.Err, database.URL, redis.URL, first, second)
	all, within := errgroup.WithContext(ctx)
	for _, s := range servers {
		all.Go(func() error { return s.run(within) })
	}
	all.Go(func() error { return untilEnded(within, "Postgres", database) })
	all.Go(func() error { return untilEnded(within, "Redis", redis) })
	all.Go(func() error { return c.announce(within, out, baseURL(first), baseURL(second)) })
	return all.Wait()
}

// fill gives the empty database its schema and the small set of demo data.
func fill(ctx context.Context, url string, out streams) error {
	d := database{url}
	if err := d.migrateUp(ctx); err != nil {
		return err
	}
	return d.seeding(ctx, func(pool *pgxpool.Pool) error { return demoOf(sizeSmall).seed(ctx, pool, out.Err) })
}

// announce waits until both servers are ready, and then says what to try.
func (c *devCmd) announce(ctx context.Context, out streams, first, second string) error {
	for _, base := range []string{first, second} {
		if err := awaitReady(ctx, base); err != nil {
			if ctx.Err() != nil {
				return nil // somebody else has the reason
			}
			return err
		}
	}
	fmt.Fprintf(out.Out, "\nReady: %s, and on the same data %s. Three lines to try:\n\n", first, second)
	if err := writeTries(out.Out, developmentSecret, first, second); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out.Out, "\nCtrl-C ends it all.\n")
	return err
}

func awaitReady(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("%s is not ready after %v", base, readyWithin))
	defer cancel()
	for {
		if ready(ctx, base) == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// untilEnded waits for the end of a server that is not to end before ctx.
func untilEnded(ctx context.Context, name string, s *embedded.Server) error {
	select {
	case <-s.Done():
		return fmt.Errorf("%s has ended unexpectedly", name)
	case <-ctx.Done():
		return nil
	}
}

// freeAddress finds out, before anything is started, whether an address can be
// listened on, and which port 0 is to be.
func freeAddress(flag, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", flag, address, err)
	}
	for tries := 20; ; tries-- {
		if port == "0" {
			// Below those that connections to elsewhere are given, one of which might have
			// this one before it is listened at.
			address = net.JoinHostPort(host, strconv.Itoa(20_000+rand.IntN(12_000)))
		}
		l, err := net.Listen("tcp", address)
		if err == nil {
			return l.Addr().String(), l.Close()
		}
		if port != "0" || tries == 0 {
			return "", fmt.Errorf("%s %s: %w", flag, address, underneath(err))
		}
	}
}

// underneath is the part of a network error that is not the address over again.
func underneath(err error) error {
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return fmt.Errorf("%w; give another address", call.Err)
	}
	return err
}
