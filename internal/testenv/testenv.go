// Package testenv gives tests a real Postgres and a real Redis, wherever they
// run: servers named by TEST_DATABASE_URL and TEST_REDIS_URL, else containers
// where a Docker engine answers, else servers that package embedded starts.
//
// Idea: a test binary has at most one server of each kind, started when the
// first test asks for it, and every test has a database of its own on it. So
// tests run in parallel, none has to clean up, and none has to be skipped.
//
// Invariant: what a test is given is empty (or holds the schema and nothing
// else), belongs to no other test until this one has ended, also where several
// test binaries share servers, and is gone afterwards.
//
// Every package that uses it has
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
package testenv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/communityfeed/internal/embedded"
)

// startLimit bounds the start of one server: pulling an image or fetching
// Postgres happens once per machine, but then takes minutes.
const startLimit = 6 * time.Minute

// shared is this test binary's servers. It is package-level state because Go
// has nothing else that lasts from TestMain to the last test.
var shared struct {
	mu       sync.Mutex // held while a server starts, and while all are stopped
	ctx      context.Context
	choice   func() (Choice, error)
	stops    []func() error
	postgres once[*postgresServer]
	redis    once[*redisServer]
}

// Main runs a package's tests and then stops the servers that they started,
// also when tests fail and on Ctrl-C. It must be all that TestMain does, so
// that the process can also serve as a keeper of package embedded.
func Main(m *testing.M) {
	embedded.Child()

	ctx, cancel := context.WithCancel(context.Background())
	shared.ctx = ctx
	shared.choice = sync.OnceValues(func() (Choice, error) { return Choose(ctx) })

	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the process
		<-interrupted
		cancel()
		stop()
		os.Exit(130)
	}()

	m.Run() // the testing package exits with its result once TestMain returns
	cancel()
	stop()
}

// stop ends every server that was started.
func stop() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	for _, stop := range shared.stops {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, "testenv:", err)
		}
	}
	shared.stops = nil
}

// stopLater is for a start under way, which holds shared.mu. It is called
// before the start is known to have worked: half a server is stopped as well.
func stopLater(stop func() error) { shared.stops = append(shared.stops, stop) }

// once is a server that is started when it is first asked for. A start that
// failed is not tried again.
type once[T any] struct {
	once   sync.Once
	server T
	err    error
}

func (o *once[T]) get(t testing.TB, start func(context.Context, Choice) (T, error)) T {
	t.Helper()
	o.once.Do(func() {
		if o.server, o.err = starting(start); o.err != nil {
			o.err = fmt.Errorf("testenv: %w", o.err)
		}
	})
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.server
}

func starting[T any](start func(context.Context, Choice) (T, error)) (server T, err error) {
	if shared.ctx == nil {
		return server, errors.New("the package needs func TestMain(m *testing.M) { testenv.Main(m) }")
	}
	choice, err := shared.choice()
	if err != nil {
		return server, err
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	ctx, cancel := context.WithTimeout(shared.ctx, startLimit)
	defer cancel()
	return start(ctx, choice)
}

// announce says once per test binary and server which one is used. `go test`
// shows it with -v and for failing packages; see also the program in which/.
func announce(what string) { fmt.Fprintln(os.Stderr, "testenv:", what) }

// await calls try until it succeeds or ctx ends.
func await(ctx context.Context, what string, try func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := try(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Log returns a logger that writes to the test's own output.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}
