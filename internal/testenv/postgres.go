package testenv

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/testcontainers/testcontainers-go"

	"example.com/communityfeed/internal/embedded"
	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/migrations"
)

// Names of the databases that testenv makes. On a server that outlives the
// tests, templates stay and are used again; a test's database carries the
// second of its making, so that what a killed test binary left can be told.
const (
	templatePrefix = "communityfeed_template_"
	testPrefix     = "communityfeed_test_"
)

type postgresServer struct {
	url      string // of the database from which others are made
	template func() (name string, err error)
}

// Database returns the URL of a fresh database with the schema of package
// migrations. It is dropped when the test has ended.
func Database(t testing.TB) string {
	t.Helper()
	s := shared.postgres.get(t, startPostgres)
	template, err := s.template()
	if err != nil {
		t.Fatalf("testenv: preparing the template database: %v", err)
	}
	return s.create(t, template)
}

// EmptyDatabase returns the URL of a fresh database without a schema. It is
// dropped when the test has ended.
func EmptyDatabase(t testing.TB) string {
	t.Helper()
	return shared.postgres.get(t, startPostgres).create(t, "template0")
}

func startPostgres(ctx context.Context, c Choice) (*postgresServer, error) {
	var at, about string
	switch c.Postgres {
	case URLs:
		at, about = c.databaseURL, "the server of TEST_DATABASE_URL"
	case Containers:
		password := rand.Text() // containers publish on every interface
		addr, err := runContainer(ctx, postgresImage, "5432/tcp",
			testcontainers.WithEnv(map[string]string{"POSTGRES_PASSWORD": password}),
			testcontainers.WithCmd("postgres", "-c", "fsync=off", "-c", "synchronous_commit=off",
				"-c", "full_page_writes=off", "-c", "max_connections=200"))
		if err != nil {
			return nil, err
		}
		at = "postgres://postgres:" + password + "@" + addr + "/postgres?sslmode=disable"
		about = postgresImage + " in a container"
	case Embedded:
		server, err := embedded.StartPostgres(ctx, embedded.Options{Volatile: true, Notice: announce})
		if err != nil {
			return nil, err
		}
		stopLater(server.Close)
		at, about = server.URL, server.About
	}
	s := &postgresServer{url: at}
	s.template = sync.OnceValues(s.prepareTemplate)
	// In a container the port opens a moment before the server behind it.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := await(ctx, "Postgres ("+about+")", func(ctx context.Context) error {
		return s.admin(ctx, func(conn *pgx.Conn) error { return conn.Ping(ctx) })
	})
	if err != nil {
		return nil, err
	}
	announce(about)
	return s, nil
}

// create makes a database from template and returns its URL.
func (s *postgresServer) create(t testing.TB, template string) string {
	t.Helper()
	name := testPrefix + strconv.FormatInt(time.Now().Unix(), 10) + "_" + strings.ToLower(rand.Text()[:10])
	if err := s.exec(t.Context(), "CREATE DATABASE "+quoted(name)+" TEMPLATE "+quoted(template)); err != nil {
		t.Fatalf("testenv: %v", err)
	}
	t.Cleanup(func() {
		// The test's context has ended by now.
		if err := s.exec(context.Background(), "DROP DATABASE IF EXISTS "+quoted(name)+" WITH (FORCE)"); err != nil {
			t.Errorf("testenv: %v", err)
		}
	})
	return s.database(name)
}

// prepareTemplate makes sure that the template for these migrations exists and
// returns its name. Test binaries that share the server take turns; a template
// gets its name only when it is complete.
func (s *postgresServer) prepareTemplate() (string, error) {
	hash, err := migrationsHash()
	if err != nil {
		return "", err
	}
	name := templatePrefix + hash
	building := name + "_building"
	ctx, cancel := context.WithTimeout(shared.ctx, 2*time.Minute)
	defer cancel()
	return name, s.admin(ctx, func(conn *pgx.Conn) error {
		// Released with the connection.
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext('communityfeed testenv'))"); err != nil {
			return err
		}
		if err := sweep(ctx, conn); err != nil {
			return err
		}
		var there bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil || there {
			return err
		}
		for _, sql := range []string{
			"DROP DATABASE IF EXISTS " + quoted(building) + " WITH (FORCE)",
			"CREATE DATABASE " + quoted(building) + " TEMPLATE template0",
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		if err := migrate(ctx, s.database(building)); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "ALTER DATABASE "+quoted(building)+" RENAME TO "+quoted(name))
		return err
	})
}

// sweep drops the databases of test binaries that were killed an hour ago or
// earlier: `go test` ends a binary after ten minutes.
func sweep(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", testPrefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		made, _, _ := strings.Cut(strings.TrimPrefix(name, testPrefix), "_")
		second, err := strconv.ParseInt(made, 10, 64)
		if err != nil || time.Since(time.Unix(second, 0)) < time.Hour {
			continue
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quoted(name)+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}

func migrate(ctx context.Context, url string) error {
	m, err := postgres.NewMigrator(url, migrations.FS)
	if err != nil {
		return err
	}
	defer m.Close()
	return m.Up(ctx)
}

// migrationsHash names the schema: the same files, the same hash.
func migrationsHash() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(migrations.FS, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n%s", path, len(content), content)
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil))[:12], err
}

// database is the server's URL with another database.
func (s *postgresServer) database(name string) string {
	u, err := url.Parse(s.url)
	if err != nil {
		return s.url // not reached: a connection to it has been made
	}
	u.Path = "/" + name
	return u.String()
}

func (s *postgresServer) exec(ctx context.Context, sql string) error {
	return s.admin(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

// admin calls fn with a connection of its own, outside all test databases.
func (s *postgresServer) admin(ctx context.Context, fn func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return fn(conn)
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }
