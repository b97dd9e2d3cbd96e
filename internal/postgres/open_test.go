package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestOpenDoesNotWaitForTheDatabaseAndFindsItLater(t *testing.T) {
	t.Parallel()
	line := testenv.OwnPostgres(t)
	line.Stop()
	pool := open(t, line.URL, postgres.Options{})
	if err := pool.Ping(t.Context()); !postgres.Unavailable(err) {
		t.Fatalf("while the database is away: %v", err)
	}

	line.Start()
	if err := pool.Ping(t.Context()); err != nil {
		t.Errorf("after it has come back: %v", err)
	}
}

func TestOptionsReachEveryConnection(t *testing.T) {
	t.Parallel()
	pool := open(t, testenv.EmptyDatabase(t), postgres.Options{
		MaxConns: 2, AppName: "communityfeed-test", StatementTimeout: 1500 * time.Millisecond,
	})
	for name, want := range map[string]string{
		"application_name":  "communityfeed-test",
		"statement_timeout": "1500ms",
	} {
		var got string
		if err := pool.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, want %q; %v", name, got, want, err)
		}
	}
	if got := pool.Config().MaxConns; got != 2 {
		t.Errorf("MaxConns: %d", got)
	}
}

func TestTimesAreReadInUTC(t *testing.T) {
	t.Parallel()
	pool := open(t, testenv.EmptyDatabase(t), postgres.Options{})
	var got time.Time
	if err := pool.QueryRow(t.Context(), "SELECT timestamptz '2026-11-21 12:14:00+02'").Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got.Location() != time.UTC || got.Format(time.RFC3339) != "2026-11-21T10:14:00Z" {
		t.Errorf("%v in %v", got, got.Location())
	}
}

func TestOpenRefusesABadURLWithoutShowingItsPassword(t *testing.T) {
	for _, url := range []string{"", "postgres://user:s3cret@host:port/db", "postgres://user:s3cret@host/db?sslmode=maybe"} {
		_, err := postgres.Open(t.Context(), url, postgres.Options{})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open(%q): %v", url, err)
		}
	}
}

func open(t *testing.T, url string, o postgres.Options) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(context.Background(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}
