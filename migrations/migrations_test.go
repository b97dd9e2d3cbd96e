package migrations_test

import (
	"fmt"
	"io/fs"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/testenv"
	"example.com/communityfeed/migrations"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// numbers pairs the files and checks that they count from 1 without a gap.
func numbers(t *testing.T) int {
	t.Helper()
	ups, err := fs.Glob(migrations.FS, "*.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	downs, err := fs.Glob(migrations.FS, "*.down.sql")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^(\d{6})_([a-z0-9_]+)\.(up|down)\.sql$`)
	for i := range max(len(ups), len(downs)) {
		if i >= len(ups) || i >= len(downs) {
			t.Fatalf("%d files up, %d down", len(ups), len(downs))
		}
		up, down := name.FindStringSubmatch(ups[i]), name.FindStringSubmatch(downs[i])
		if up == nil || down == nil || up[1] != fmt.Sprintf("%06d", i+1) || up[1] != down[1] || up[2] != down[2] {
			t.Errorf("migration %d is %s and %s", i+1, ups[i], downs[i])
		}
	}
	return len(ups)
}

func TestFilesArePairedAndNumberedWithoutGaps(t *testing.T) {
	if numbers(t) == 0 {
		t.Error("there are no migrations")
	}
}

// What a file has made, its down file takes away, and nothing else.
func TestEachDownUndoesItsUp(t *testing.T) {
	url := testenv.Database(t)
	m, err := postgres.NewMigrator(url, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())

	files := numbers(t)
	schemas := make([][]string, files+1) // after so many files
	for n := files; n >= 0; n-- {
		schemas[n] = schema(t, conn)
		if n == 0 {
			break
		}
		if err := m.Down(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(schemas[0]) != 0 {
		t.Errorf("after all files down, there is still %q", schemas[0])
	}
	if err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := files; n >= 0; n-- {
		if diff := cmp.Diff(schemas[n], schema(t, conn)); diff != "" {
			t.Errorf("after %d files, the first time and the second (-first +second):\n%s", n, diff)
		}
		if n == 0 {
			break
		}
		if err := m.Down(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
}

// schema describes everything in the schema public but the migrations' own table.
func schema(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		SELECT 'relation ' || relname || ' ' || relkind::text FROM pg_class
		WHERE relnamespace = 'public'::regnamespace
		UNION ALL
		SELECT 'column ' || attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull
		FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
		UNION ALL
		SELECT 'constraint ' || conrelid::regclass || '.' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
		WHERE connamespace = 'public'::regnamespace
		UNION ALL
		SELECT 'index ' || pg_get_indexdef(indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid
		WHERE relnamespace = 'public'::regnamespace
		UNION ALL
		SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		UNION ALL
		SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e')
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var own []string
	for _, line := range all {
		if !regexp.MustCompile(`\bschema_migrations`).MatchString(line) {
			own = append(own, line)
		}
	}
	return own
}
