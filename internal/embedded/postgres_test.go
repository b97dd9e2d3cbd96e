package embedded

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

func TestPostgresRunsAndLeavesNothingBehind(t *testing.T) {
	scratch := scratchFolder(t)
	s, err := StartPostgres(t.Context(), Options{Volatile: true, Notice: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	t.Log(s.About)

	if got, want := setting(t, s.URL, "fsync"), "off"; got != want {
		t.Errorf("fsync of a volatile server: %s, want %s", got, want)
	}
	if got, want := setting(t, s.URL, "server_encoding"), "UTF8"; got != want {
		t.Errorf("server_encoding: %s, want %s", got, want)
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	default:
		t.Error("Done is open after Close")
	}
	if listening(t, s.URL) {
		t.Error("the port is still taken")
	}
	assertEmpty(t, scratch)
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestPostgresKeepsItsGuardsUnlessToldToBeVolatile(t *testing.T) {
	s, err := StartPostgres(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, want := setting(t, s.URL, "fsync"), "on"; got != want {
		t.Errorf("fsync: %s, want %s", got, want)
	}
}

func TestAStartThatIsGivenUpLeavesNothingBehind(t *testing.T) {
	scratch := scratchFolder(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(300*time.Millisecond, func() { cancel(errors.New("enough")) }) // somewhere within initdb
	s, err := StartPostgres(ctx, Options{Volatile: true})
	if err == nil {
		_ = s.Close()
		t.Fatal("started in spite of its context")
	}
	if !strings.Contains(err.Error(), "enough") {
		t.Errorf("error: %v", err)
	}
	assertEmpty(t, scratch)
}

func TestAFetchThatFailsIsOneClearError(t *testing.T) {
	scratch := scratchFolder(t)
	repository := httptest.NewServer(http.NotFoundHandler())
	defer repository.Close()
	_, err := startKeeper(t.Context(), "PostgreSQL", order{
		Server: "postgres", Repository: repository.URL, Archives: filepath.Join(scratch, "archives"),
	})
	if err == nil {
		t.Fatal("started without binaries")
	}
	want := "starting PostgreSQL: no version found matching " + string(fetched) +
		" (PostgreSQL 15 or newer on this machine makes fetching unnecessary)"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestAFetchThatIsGivenUpEndsAtOnce(t *testing.T) {
	scratch := scratchFolder(t)
	asked := make(chan struct{})
	repository := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done() // a repository that never answers
	}))
	defer repository.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err := startKeeper(ctx, "PostgreSQL", order{
		Server: "postgres", Repository: repository.URL, Archives: filepath.Join(scratch, "archives"),
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
}

func scratchFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "embedded-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	return dir
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "communityfeed-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func setting(t *testing.T, url, name string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var value string
	if err := conn.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}
