package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/testenv"
)

// patience is long enough for a connection to be opened on a busy machine.
const patience = 500 * time.Millisecond

// narrow is a pool of one connection, which the test holds until it calls release.
func narrow(t *testing.T, url string) (pool *pgxpool.Pool, release func()) {
	t.Helper()
	pool = open(t, url, postgres.Options{MaxConns: 1, AcquireTimeout: patience})
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(conn.Release)
	t.Cleanup(release)
	return pool, release
}

func TestWhoGetsNoConnectionInTimeIsToldWhy(t *testing.T) {
	t.Parallel()
	pool, release := narrow(t, testenv.EmptyDatabase(t))
	ctx, cancel := context.WithTimeout(t.Context(), 20*patience) // ends the test, not the waits
	defer cancel()
	asks := map[string]func() error{
		"Exec": func() error { _, err := pool.Exec(ctx, "SELECT 1"); return err },
		"Query": func() error {
			rows, err := pool.Query(ctx, "SELECT 1")
			rows.Close()
			return err
		},
		"QueryRow":  func() error { var n int; return pool.QueryRow(ctx, "SELECT 1").Scan(&n) },
		"SendBatch": func() error { var b pgx.Batch; b.Queue("SELECT 1"); return pool.SendBatch(ctx, &b).Close() },
		"Begin": func() error {
			tx, err := pool.Begin(ctx)
			if err == nil {
				_ = tx.Rollback(ctx)
			}
			return err
		},
	}
	want := &postgres.BusyError{Waited: patience, Most: 1, InUse: 1}
	var all sync.WaitGroup
	for name, ask := range asks {
		all.Go(func() {
			err := ask()
			got, _ := errors.AsType[*postgres.BusyError](err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			}
			if !postgres.Unavailable(err) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v is no passing trouble", name, err)
			}
		})
	}
	all.Wait()
	if got := postgres.Refused(pool); got != uint64(len(asks)) {
		t.Errorf("counted %d refused, want %d", got, len(asks))
	}

	release()
	for name, ask := range asks {
		if err := ask(); err != nil {
			t.Errorf("%s, once the connection is free: %v", name, err)
		}
	}
}

func TestTheBoundIsOnTheWaitAndNotOnTheQuery(t *testing.T) {
	t.Parallel()
	pool, release := narrow(t, testenv.EmptyDatabase(t))
	release()
	if _, err := pool.Exec(t.Context(), "SELECT pg_sleep($1)", (patience + patience/2).Seconds()); err != nil {
		t.Errorf("a query that takes longer than the bound: %v", err)
	}
	if got := postgres.Refused(pool); got != 0 {
		t.Errorf("counted %d refused", got)
	}
}

func TestWhoLeavesWasNotRefused(t *testing.T) {
	t.Parallel()
	pool, _ := narrow(t, testenv.EmptyDatabase(t))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	for want, ctx := range map[error]context.Context{context.Canceled: gone, context.DeadlineExceeded: late} {
		_, err := pool.Exec(ctx, "SELECT 1")
		if _, busy := errors.AsType[*postgres.BusyError](err); busy || !errors.Is(err, want) {
			t.Errorf("a caller of whom is said %v: %v", want, err)
		}
	}
	if got := postgres.Refused(pool); got != 0 {
		t.Errorf("counted %d refused", got)
	}
}

func TestADatabaseThatDoesNotAnswerIsNotTakenForABusyPool(t *testing.T) {
	t.Parallel()
	line := testenv.OwnPostgres(t)
	line.Hang()
	defer line.Start()
	pool := open(t, line.URL, postgres.Options{MaxConns: 2, AcquireTimeout: 50 * time.Millisecond})
	_, err := pool.Exec(t.Context(), "SELECT 1")
	got, _ := errors.AsType[*postgres.BusyError](err)
	if diff := cmp.Diff(&postgres.BusyError{Waited: 50 * time.Millisecond, Most: 2, Opening: 1}, got); diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}

	line.Stop()
	_, err = pool.Exec(t.Context(), "SELECT 1")
	if _, busy := errors.AsType[*postgres.BusyError](err); busy || !postgres.Unavailable(err) {
		t.Errorf("a database that is gone: %v", err)
	}
}
