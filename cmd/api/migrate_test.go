package main

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"example.com/communityfeed/internal/testenv"
)

func TestMigrateMovesTheSchemaAndPrintsWhereItIs(t *testing.T) {
	t.Parallel()
	database := "--database-url=" + testenv.EmptyDatabase(t)
	last, err := lastMigration()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args string
		want int
	}{
		{"version", 0}, {"up", last}, {"up", last}, {"down", last - 1}, {"down 2", last - 3}, {"up", last},
		{"force 1", 1}, {"version", 1},
	} {
		var stdout bytes.Buffer
		args := append([]string{"migrate"}, strings.Fields(step.args)...)
		if err := run(t.Context(), append(args, database), &stdout, io.Discard); err != nil {
			t.Fatalf("api migrate %s: %v", step.args, err)
		}
		if got, want := stdout.String(), strconv.Itoa(step.want)+"\n"; got != want {
			t.Fatalf("api migrate %s prints %q, want %q", step.args, got, want)
		}
	}
}

func TestAServerIsNotReadyBeforeItsSchemaIsThere(t *testing.T) {
	t.Parallel()
	database := "--database-url=" + testenv.EmptyDatabase(t)
	p := serve(t, database)
	if a := p.get(t, caller{}, "/readyz"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `"schema":{"status":"down"`) {
		t.Errorf("without a schema: status %d: %s", a.status, a.body)
	}
	if err := run(t.Context(), []string{"migrate", "up", database}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	if a := p.get(t, caller{}, "/readyz"); a.status != http.StatusOK {
		t.Errorf("with a schema: status %d: %s", a.status, a.body)
	}
}

func TestAServerStartsWithoutItsDatabaseAndSaysSo(t *testing.T) {
	t.Parallel()
	p := serve(t, "--database-url=postgres://somebody@127.0.0.1:1/feed", "--redis-url=redis://127.0.0.1:1/0")
	if a := p.get(t, caller{}, "/livez"); a.status != http.StatusOK {
		t.Errorf("/livez: status %d: %s", a.status, a.body)
	}
	if a := p.get(t, caller{}, "/readyz"); a.status != http.StatusServiceUnavailable {
		t.Errorf("/readyz: status %d: %s", a.status, a.body)
	}
	if a := p.get(t, caller{}, openPosts); a.status != http.StatusServiceUnavailable {
		t.Errorf("%s: status %d: %s", openPosts, a.status, a.body)
	}
}

func TestAServerThatIsToMigrateGivesUpInOneLine(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{
		"serve", "--dev", "--migrate", "--database-wait=300ms", "--database-url=postgres://somebody@127.0.0.1:1/feed",
	}, io.Discard, io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "the database did not answer within 300ms (--database-wait): ") {
		t.Errorf("error %v", err)
	}
}
