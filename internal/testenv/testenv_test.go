package testenv_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestDatabaseHasTheSchemaAndNothingElse(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.Database(t))
	if n := count(t, conn, "SELECT count(*) FROM users"); n != 0 {
		t.Errorf("%d users", n)
	}
}

func TestEmptyDatabaseHasNoSchema(t *testing.T) {
	t.Parallel()
	conn := connect(t, testenv.EmptyDatabase(t))
	if n := count(t, conn, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("%d tables", n)
	}
}

func TestDatabasesAreSeparateAndGoneAfterTheirTest(t *testing.T) {
	t.Parallel()
	outer := connect(t, testenv.EmptyDatabase(t))
	var names []string
	t.Run("inner", func(t *testing.T) {
		for range 2 {
			conn := connect(t, testenv.EmptyDatabase(t))
			exec1(t, conn, "CREATE TABLE mine ()") // fails if another one is there
			names = append(names, conn.Config().Database)
		}
		if n := count(t, outer, "SELECT count(*) FROM pg_database WHERE datname = ANY($1)", names); n != 2 {
			t.Errorf("%d of 2 databases", n)
		}
	})
	if n := count(t, outer, "SELECT count(*) FROM pg_database WHERE datname = ANY($1)", names); n != 0 {
		t.Errorf("%d databases are left", n)
	}
}

// More tests than Redis has databases take turns.
func TestRedisIsEmptyAndItsTestsAlone(t *testing.T) {
	t.Parallel()
	for i := range 40 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			c := dial(t, testenv.Redis(t))
			for key := range 3 {
				if n, err := c.DBSize(t.Context()).Result(); err != nil || n != int64(key) {
					t.Fatalf("%d keys, want %d; %v", n, key, err)
				}
				if err := c.Set(t.Context(), fmt.Sprint(key), i, 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestPrefixesDiffer(t *testing.T) {
	t.Parallel()
	if a, b := testenv.Prefix(t), testenv.Prefix(t); a == b {
		t.Errorf("twice %q", a)
	}
}

// Several test binaries at once on the servers of one pair of URLs, as
// `go test ./...` runs them.
func TestBinariesShareServersWithoutNoticing(t *testing.T) {
	t.Parallel()
	if os.Getenv("TESTENV_TEST_INNER") != "" {
		return // this is one of the binaries below
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	databaseURL, redisURL := testenv.EmptyDatabase(t), testenv.Redis(t)
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), self, "-test.v")
			cmd.Env = append(os.Environ(), "TESTENV_TEST_INNER=1", "TESTENV=urls",
				"TEST_DATABASE_URL="+databaseURL, "TEST_REDIS_URL="+redisURL)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "testenv: the server of TEST_DATABASE_URL") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestAnOutageOfPostgresIsTheTestsOwn(t *testing.T) {
	t.Parallel()
	line := testenv.OwnPostgres(t)
	through, past := connect(t, line.URL), connect(t, line.Direct)
	exec1(t, through, "CREATE TABLE kept ()")

	line.Stop()
	if err := through.Ping(t.Context()); err == nil {
		t.Error("an open connection survived Stop")
	}
	if conn, err := pgx.Connect(t.Context(), line.URL); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a new connection was taken while stopped")
	}
	count(t, past, "SELECT count(*) FROM kept")

	line.Start()
	count(t, connect(t, line.URL), "SELECT count(*) FROM kept")
}

func TestAFrozenRedisAnswersWhenItThaws(t *testing.T) {
	t.Parallel()
	line := testenv.OwnRedis(t)
	c := dial(t, line.URL)
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}

	line.Hang()
	answer := make(chan error, 1)
	go func() { answer <- c.Set(t.Context(), "asked", "while frozen", 0).Err() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx).Err(); err == nil {
		t.Error("answered while frozen")
	}
	if n := dial(t, line.Direct).DBSize(t.Context()).Val(); n != 0 {
		t.Error("a command got through while frozen")
	}

	line.Start()
	if err := <-answer; err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func count(t *testing.T, conn *pgx.Conn, sql string, args ...any) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func exec1(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func dial(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled = true
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}
