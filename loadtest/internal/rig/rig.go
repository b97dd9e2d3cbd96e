// Package rig runs what is measured: Postgres, Redis and the service, each a process
// of its own, as `api dev` does, and reads their own counters.
//
// Idea: a measurement asks those who know. The database's queries are counted by the
// pools that send them, commands by Redis, time on the processor by the service's
// process; nothing is concluded from what the client sees.
//
// Invariant: whatever a rig has started is gone when it is closed.
package rig

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/embedded"
)

// Options say what there is already. They are flags of the commands that measure.
type Options struct {
	Program     string `default:"bin/api" placeholder:"FILE" help:"The service; make build makes it."`
	DatabaseURL string `placeholder:"URL" help:"A Postgres to use; it is migrated, and seeded if empty. Without it, one is started."`
	RedisURL    string `placeholder:"URL" help:"A Redis to use, with nobody else on it. Without it, one is started."`
	Size        string `enum:"small,medium,large" default:"${size}" placeholder:"SIZE" help:"How much demo data an empty database gets: small, medium or large."`
}

// A Rig is the servers behind the service.
type Rig struct {
	Options
	Secret string // signs the tokens that the service takes
	Log    io.Writer

	redis      *redis.Client
	stops      []func() error
	served     int
	postmaster int // 0: not looked for yet; -1: its processes cannot be seen from here
}

// Start starts what o does not name. ctx bounds the start alone. The program must
// call embedded.Child first thing in main.
func Start(ctx context.Context, o Options, log io.Writer) (r *Rig, err error) {
	r = &Rig{Options: o, Secret: rand.Text() + rand.Text(), Log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.DatabaseURL == "" {
		server, err := embedded.StartPostgres(ctx, embedded.Options{Notice: func(line string) { fmt.Fprintln(log, line) }})
		if err != nil {
			return r, err
		}
		r.DatabaseURL, r.stops = server.URL, append(r.stops, server.Close)
	}
	if r.RedisURL == "" {
		server, err := embedded.StartRedis(ctx)
		if err != nil {
			return r, err
		}
		r.RedisURL, r.stops = server.URL, append(r.stops, server.Close)
	}
	options, err := redis.ParseURL(r.RedisURL)
	if err != nil {
		return r, err
	}
	r.redis = redis.NewClient(options)
	r.stops = append(r.stops, r.redis.Close)
	return r, r.redis.Ping(ctx).Err()
}

// Close stops what was started, the last first.
func (r *Rig) Close() error {
	var errs []error
	for i := len(r.stops) - 1; i >= 0; i-- {
		errs = append(errs, r.stops[i]())
	}
	return errors.Join(errs...)
}

// Versions names the servers and their versions.
func (r *Rig) Versions(ctx context.Context) (string, error) {
	var postgres string
	err := r.query(ctx, `SELECT split_part(current_setting('server_version'), ' ', 1)`, &postgres)
	if err != nil {
		return "", err
	}
	info, err := r.info(ctx, "server")
	if err != nil {
		return "", err
	}
	return "Postgres " + postgres + ", Redis " + info["redis_version"], nil
}

// Transactions is how many transactions the database has ended, as it counts them
// itself: one for each query of a read, one for each write, and a few of its own.
// A connection reports what it did when it closes, so this is exact once the service
// has ended.
func (r *Rig) Transactions(ctx context.Context) (n int64, err error) {
	err = r.query(ctx, `SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()`, &n)
	return n, err
}

func (r *Rig) query(ctx context.Context, sql string, into any) error {
	conn, err := pgx.Connect(ctx, r.DatabaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, sql).Scan(into)
}

// Exec changes the database past the service.
func (r *Rig) Exec(ctx context.Context, sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, r.DatabaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql, args...)
	return err
}

// Memory is how many bytes Redis has allocated.
func (r *Rig) Memory(ctx context.Context) (int64, error) {
	info, err := r.info(ctx, "memory")
	if err != nil {
		return 0, err
	}
	return infoInt(info, "used_memory")
}

// Keys is how many keys there are in Redis of those that the rig has started.
func (r *Rig) Keys(ctx context.Context) (int, error) {
	keys, err := r.keys(ctx)
	return len(keys), err
}

// Forget deletes these keys, so that what is started next begins in an empty Redis and
// its memory can be told.
func (r *Rig) Forget(ctx context.Context) error {
	keys, err := r.keys(ctx)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(keys, 1000) {
		if err := r.redis.Del(ctx, some...).Err(); err != nil {
			return err
		}
	}
	return nil
}

// prefix begins all keys of this rig.
func prefix() string { return fmt.Sprintf("loadtest-%d-", os.Getpid()) }

func (r *Rig) keys(ctx context.Context) (keys []string, err error) {
	found := make(map[string]bool) // SCAN may name one twice
	all := r.redis.Scan(ctx, 0, prefix()+"*", 1000).Iterator()
	for all.Next(ctx) {
		found[all.Val()] = true
	}
	return slices.Collect(maps.Keys(found)), all.Err()
}

func infoInt(info map[string]string, field string) (int64, error) {
	n, err := strconv.ParseInt(info[field], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("this Redis does not tell its %s; a redis-server on PATH does", field)
	}
	return n, nil
}

// info returns one section of INFO: nothing if this Redis does not have it, or does not
// tell us.
func (r *Rig) info(ctx context.Context, section string) (map[string]string, error) {
	sections, err := r.redis.InfoMap(ctx, section).Result()
	if _, refused := errors.AsType[redis.Error](err); refused {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("asking Redis about its %s: %w", section, err)
	}
	for _, fields := range sections { // there is one
		return fields, nil
	}
	return nil, nil
}
