package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/testenv"
)

func TestABrokenConstraintIsKnownByItsName(t *testing.T) {
	t.Parallel()
	pool := open(t, testenv.EmptyDatabase(t), postgres.Options{})
	_, err := pool.Exec(t.Context(), `
		CREATE TABLE owner (id int CONSTRAINT owner_pkey PRIMARY KEY);
		CREATE TABLE thing (
			name  text CONSTRAINT thing_name_unique UNIQUE,
			owner int  CONSTRAINT thing_owner_exists REFERENCES owner,
			stock int  CONSTRAINT thing_stock_positive CHECK (stock >= 0),
			kind  text NOT NULL DEFAULT ''
		);
		INSERT INTO thing (name) VALUES ('taken')`)
	if err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct{ sql, broken string }{
		{"INSERT INTO thing (name) VALUES ('taken')", "thing_name_unique"},
		{"INSERT INTO thing (owner) VALUES (1)", "thing_owner_exists"},
		{"INSERT INTO thing (stock) VALUES (-1)", "thing_stock_positive"},
		{"INSERT INTO thing (kind) VALUES (NULL)", ""},
		{"INSERT INTO nothing VALUES (1)", ""},
	} {
		_, err := pool.Exec(t.Context(), c.sql)
		if err == nil {
			t.Fatalf("%s: no error", c.sql)
		}
		err = fmt.Errorf("wrapped: %w", err)
		for _, name := range []string{"thing_name_unique", "thing_owner_exists", "thing_stock_positive"} {
			if got := postgres.Violates(err, name); got != (name == c.broken) {
				t.Errorf("%s: Violates(%s) = %v", c.sql, name, got)
			}
		}
		if postgres.Unavailable(err) {
			t.Errorf("%s: counts as unavailable: %v", c.sql, err)
		}
	}
}

func TestUnavailableIsTheDatabasesStateAndNotTheCallers(t *testing.T) {
	t.Parallel()
	line := testenv.OwnPostgres(t)
	pool := open(t, line.URL, postgres.Options{StatementTimeout: 50 * time.Millisecond})

	if _, err := pool.Exec(t.Context(), "SELECT pg_sleep(10)"); !postgres.Unavailable(err) {
		t.Errorf("statement timeout: %v", err)
	}
	if _, err := pool.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())"); !postgres.Unavailable(err) {
		t.Errorf("terminated connection: %v", err)
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pool.Exec(gone, "SELECT 1"); err == nil || postgres.Unavailable(err) {
		t.Errorf("canceled by the caller: %v", err)
	}

	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	line.Stop()
	if _, err := conn.Exec(t.Context(), "SELECT 1"); !postgres.Unavailable(err) {
		t.Errorf("connection that broke: %v", err)
	}

	line.Start()
	line.Hang()
	frozen := open(t, line.URL+"&connect_timeout=1", postgres.Options{})
	if err := frozen.Ping(t.Context()); !postgres.Unavailable(err) {
		t.Errorf("server that takes connections and says nothing: %v", err)
	}
	line.Start()

	if postgres.Unavailable(nil) {
		t.Error("no error counts as unavailable")
	}
}
