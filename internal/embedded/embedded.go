// Package embedded runs Postgres and Redis for a machine that has no Docker:
// for `api dev` and for tests.
//
// Idea: a server that somebody else wrote runs under a re-executed copy of the
// own program, the keeper. The keeper gives up root, starts the server, tells
// its address, and then does nothing but read its standard input. That pipe is
// the only tie between the two processes.
//
// Invariant: a server does not outlive the process that started it. However
// that process ends (Close, a panic, kill -9), the pipe closes with it, and the
// keeper stops the server, removes its data and leaves.
//
// A program that uses this package calls Child first thing in main; a test
// binary calls it first thing in TestMain (testenv.Main does so).
package embedded

import (
	"context"
	"errors"
	"time"
)

// How long a start may take, whatever the context allows. Fetching Postgres is
// some fifteen megabytes, once per machine.
const (
	startLimit = time.Minute
	fetchLimit = 5 * time.Minute
)

// Server is one running server, reachable on the loopback interface on a port
// that the operating system chose.
type Server struct {
	URL   string // postgres://… or redis://…, with user and password where there are any
	About string // what runs and where it comes from, for people

	stop func() error
	done <-chan struct{}
}

// Close stops the server, removes its data and waits until both are done.
// Further calls return what the first one returned.
func (s *Server) Close() error { return s.stop() }

// Done is closed when the server's process has ended, asked or not.
func (s *Server) Done() <-chan struct{} { return s.done }

// Options say how Postgres is to be run. The zero value is right for `api dev`.
type Options struct {
	// Volatile lets Postgres skip everything that protects data from a crash
	// of the machine (fsync, synchronous_commit, full_page_writes): for tests.
	Volatile bool
	// Notice is told, in one line, of anything that takes long. May be nil.
	Notice func(line string)
	// Repository is the Maven repository that Postgres is fetched from when
	// the machine has none. Empty: Maven Central.
	Repository string
}

// StartPostgres runs an empty Postgres: one that is on this machine, else one
// that is fetched once. The database is "postgres", the user is a superuser,
// and the password is new with every start.
//
// ctx bounds the start only; the server then runs until Close.
func StartPostgres(ctx context.Context, o Options) (*Server, error) {
	found, limit := findPostgres(ctx), startLimit
	if found.dir == "" {
		limit = fetchLimit
		if o.Notice != nil {
			o.Notice("no PostgreSQL " + oldestPostgres + " or newer on this machine; fetching one unless that was done before")
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("not ready within "+limit.String()))
	defer cancel()
	return startKeeper(ctx, found.String(), order{
		Server:     "postgres",
		Binaries:   found.dir,
		Repository: o.Repository,
		Archives:   archives(),
		Volatile:   o.Volatile,
	})
}

// StartRedis runs an empty Redis without persistence: `redis-server` from PATH
// when it is new enough, else miniredis inside this process. ctx bounds the
// start only.
func StartRedis(ctx context.Context) (*Server, error) {
	found := findRedis(ctx)
	if found.path == "" {
		return startMiniredis(found.String())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errors.New("not ready within "+startLimit.String()))
	defer cancel()
	return startKeeper(ctx, found.String(), order{Server: "redis", Binaries: found.path})
}

// Describe says what StartPostgres and StartRedis would run, and starts nothing.
func Describe(ctx context.Context) (postgres, redis string) {
	return findPostgres(ctx).String(), findRedis(ctx).String()
}
