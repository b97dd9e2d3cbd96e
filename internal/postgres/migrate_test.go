package postgres_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"example.com/communityfeed/internal/postgres"
	"example.com/communityfeed/internal/testenv"
	"example.com/communityfeed/migrations"
)

// files makes migrations 1, 2, … of pairs of up and down statements.
func files(pairs ...[2]string) fstest.MapFS {
	m := fstest.MapFS{}
	for i, pair := range pairs {
		number := "00000" + string(rune('1'+i))
		m[number+"_step.up.sql"] = &fstest.MapFile{Data: []byte(pair[0])}
		m[number+"_step.down.sql"] = &fstest.MapFile{Data: []byte(pair[1])}
	}
	return m
}

var threeTables = files(
	[2]string{"CREATE TABLE a ()", "DROP TABLE a"},
	[2]string{"CREATE TABLE b ()", "DROP TABLE b"},
	[2]string{"CREATE TABLE c ()", "DROP TABLE c"},
)

func TestUpAndDownMoveTheSchemaStepByStep(t *testing.T) {
	t.Parallel()
	m := migrator(t, testenv.EmptyDatabase(t), threeTables)
	assertVersion(t, m, 0)

	must(t, m.Up(t.Context()))
	assertVersion(t, m, 3)
	must(t, m.Up(t.Context())) // nothing to do is no error

	must(t, m.Down(t.Context(), 1))
	assertVersion(t, m, 2)
	must(t, m.Down(t.Context(), 10)) // as many as there are
	assertVersion(t, m, 0)
	must(t, m.Down(t.Context(), 1))

	must(t, m.Up(t.Context()))
	assertVersion(t, m, 3)
	if err := m.Down(t.Context(), 0); err == nil {
		t.Error("Down by 0 steps")
	}
}

func TestManyProcessesMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	slow := files(
		[2]string{"CREATE TABLE a (); SELECT pg_sleep(0.2)", "DROP TABLE a"},
		[2]string{"CREATE TABLE b (); SELECT pg_sleep(0.2)", "DROP TABLE b"},
	)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			m, err := postgres.NewMigrator(url, slow)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(m.Up(t.Context()), m.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	assertVersion(t, migrator(t, url, slow), 2)
}

func TestAMigrationThatStopsHalfWaySaysHowToGoOn(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	m := migrator(t, url, files(
		[2]string{"CREATE TABLE a ()", "DROP TABLE a"},
		[2]string{"CREATE TABLE b ();\nCREATE TABLE a ()", "DROP TABLE b"},
	))

	first, second := m.Up(t.Context()), m.Up(t.Context())
	for _, err := range []error{first, second} {
		if err == nil || !strings.Contains(err.Error(), "migration 2 stopped half way") ||
			!strings.Contains(err.Error(), "migrate force VERSION") {
			t.Errorf("error: %v", err)
		}
	}
	if !strings.Contains(first.Error(), `relation "a" already exists`) || strings.Contains(first.Error(), "CREATE TABLE") {
		t.Errorf("the first error must name the cause and leave out the file: %v", first)
	}
	if version, dirty, err := m.Version(); version != 2 || !dirty || err != nil {
		t.Errorf("version %d, dirty %v, %v", version, dirty, err)
	}

	must(t, m.Force(1))
	assertVersion(t, m, 1)
	mended := migrator(t, url, files(
		[2]string{"CREATE TABLE a ()", "DROP TABLE a"},
		[2]string{"CREATE TABLE b ()", "DROP TABLE b"},
	))
	must(t, mended.Up(t.Context()))
	assertVersion(t, mended, 2)
	must(t, mended.Force(0))
	assertVersion(t, mended, 0)
}

func TestAnOlderProgramLeavesANewerSchemaAlone(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyDatabase(t)
	must(t, migrator(t, url, threeTables).Up(t.Context()))
	older := migrator(t, url, files([2]string{"CREATE TABLE a ()", "DROP TABLE a"}))
	must(t, older.Up(t.Context()))
	assertVersion(t, older, 3)
}

func TestUpStopsBetweenTwoFilesWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	m := migrator(t, testenv.EmptyDatabase(t), threeTables)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Up(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
	assertVersion(t, m, 0)
}

func TestTheServicesMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	m := migrator(t, testenv.EmptyDatabase(t), migrations.FS)
	must(t, m.Up(t.Context()))
	must(t, m.Down(t.Context(), 1000))
	assertVersion(t, m, 0)
	must(t, m.Up(t.Context()))
}

func TestNewMigratorRefusesWhatIsNoURLWithoutShowingIt(t *testing.T) {
	for _, url := range []string{"", "host=db password=s3cret", "mysql://root:s3cret@db/x", "postgres://u:s3cret@db:port/x"} {
		_, err := postgres.NewMigrator(url, threeTables)
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("NewMigrator(%q): %v", url, err)
		}
	}
}

func migrator(t *testing.T, url string, files fs.FS) *postgres.Migrator {
	t.Helper()
	m, err := postgres.NewMigrator(url, files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func assertVersion(t *testing.T, m *postgres.Migrator, want uint) {
	t.Helper()
	if got, dirty, err := m.Version(); got != want || dirty || err != nil {
		t.Errorf("version %d, want %d; dirty %v, %v", got, want, dirty, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
