package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"time"

	"example.com/communityfeed/internal/postgres"
)

// database is the one setting that every command on a database has.
type database struct {
	URL string `name:"database-url" env:"DATABASE_URL" placeholder:"URL" group:"Postgres" help:"Required: where Postgres is, postgres://user:password@host:5432/name."`
}

// Validate is called by the commands. No error shows the URL, which may hold a password.
func (d database) Validate() error {
	if d.URL == "" {
		return errors.New("--database-url (DATABASE_URL) is missing: postgres://user:password@host:5432/name")
	}
	return checkURL("--database-url (DATABASE_URL)", d.URL, "postgres", "postgresql")
}

func checkURL(flag, raw string, schemes ...string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) {
		return fmt.Errorf("%s must be a URL of the form %s://host:port/…", flag, schemes[0])
	}
	return nil
}

func checkAddress(flag, address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("%s must be HOST:PORT, not %q", flag, address)
	}
	return nil
}

func atLeast[N int | int32 | int64 | time.Duration](flag string, value, least N) error {
	if value < least {
		return fmt.Errorf("%s must be at least %v, not %v", flag, least, value)
	}
	return nil
}

// await waits until the database answers, as long as it may. What time does not
// mend, a wrong password say, is told at once.
func (d database) await(ctx context.Context, log *slog.Logger, limit time.Duration) error {
	pool, err := postgres.Open(ctx, d.URL, postgres.Options{MaxConns: 1, AppName: "communityfeed-start"})
	if err != nil {
		return err
	}
	defer pool.Close()
	patience, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for told := false; patience.Err() == nil; told = true {
		if err = pool.Ping(patience); err == nil {
			return nil
		}
		if patience.Err() == nil && !postgres.Unavailable(err) {
			return fmt.Errorf("the database refuses: %w", err)
		}
		if !told {
			log.Warn("waiting for the database", "limit", limit.String(), "error", oneLine(err))
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-patience.Done():
		}
	}
	return cmp.Or(ctx.Err(), fmt.Errorf("the database did not answer within %v (--database-wait): %w", limit, err))
}
