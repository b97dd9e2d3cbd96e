package rig

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/communityfeed/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// line is /proc/<pid>/stat of a process.
func line(pid int, name string, parent, utime, stime, cutime, cstime int) string {
	return fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560 100 200 3 4 %d %d %d %d 20 0 1 0 5000 1000 200\n", pid, name, parent, utime, stime, cutime, cstime)
}

// table is a /proc with a postmaster, 10, two of its backends, and what else there is.
func table(t *testing.T) processTable {
	dir := t.TempDir()
	for pid, files := range map[int]map[string]string{
		10: {"stat": line(10, "postgres", 9, 100, 50, 2000, 1000), "cmdline": "/usr/bin/postgres\x00-D\x00data\x00"},
		11: {"stat": line(11, "postgres", 10, 30, 20, 0, 0), "cmdline": "postgres: me db 127.0.0.1(40001) idle"},
		12: {"stat": line(12, "postgres", 10, 7, 3, 900, 0), "cmdline": "postgres: me db 127.0.0.1(40002) SELECT"},
		13: {"stat": line(13, "sh (10) R 10 1", 1, 5000, 5000, 0, 0), "cmdline": "sh (40003)"},
	} {
		folder := filepath.Join(dir, fmt.Sprint(pid))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return processTable(dir)
}

func TestTheStateOfAProcessIsReadBehindItsName(t *testing.T) {
	got, err := parseStat(line(7, "a) S 99 (b", 3, 1, 2, 30, 40))
	if want := (stat{parent: 3, own: 3, ended: 70}); err != nil || got != want {
		t.Errorf("the state is %+v (%v), want %+v", got, err, want)
	}
	for _, wrong := range []string{"", "7 (a) S 3", line(7, "a", 3, 1, 2, 3, 4)[:30] + " x x x x x x x x x x x x"} {
		if got, err := parseStat(wrong); err == nil {
			t.Errorf("%q is read as %+v", wrong, got)
		}
	}
}

// The postmaster's own 150, the 3,000 of backends that have ended, and 50 and 10 of
// those that are there.
func TestAFamilyIsAProcessWithItsChildrenTheLivingAndTheEnded(t *testing.T) {
	if got := table(t).family(10); got != 32.10 {
		t.Errorf("the family has used %v s", got)
	}
	if got := table(t).family(77); !math.IsNaN(got) {
		t.Errorf("a process that is not there has used %v s", got)
	}
}

// A process with the backend's number that is not our backend belongs to somebody else.
func TestOnlyTheBackendThatServesUsLeadsToThePostmaster(t *testing.T) {
	for _, c := range []struct {
		backend, port int
		want          int
	}{{11, 40001, 10}, {12, 40002, 10}, {12, 40001, 0}, {13, 40003, 0}, {77, 40001, 0}} {
		if got, found := table(t).postmaster(c.backend, c.port); got != c.want || found != (c.want != 0) {
			t.Errorf("backend %d at port %d leads to %d, %v", c.backend, c.port, got, found)
		}
	}
}

// A backend that works and ends is counted when it has gone.
func TestTheTimeOfABackendThatHasEndedIsCounted(t *testing.T) {
	r, err := Start(t.Context(), Options{}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	before, err := r.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), r.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	// Some half a second of work.
	if _, err := conn.Exec(t.Context(), `SELECT count(sqrt(i)) FROM generate_series(1, 4000000) AS i`); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := r.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	used := after.Since(before)
	if runtime.GOOS != "linux" {
		if !math.IsNaN(used.PostgresCPU) {
			t.Errorf("without /proc, Postgres has used %v s", used.PostgresCPU)
		}
		return
	}
	if !(used.PostgresCPU > 0.1) {
		t.Errorf("Postgres has used %v s", used.PostgresCPU)
	}
	if used.Commands != 0 || used.RoundTrips > 0 {
		t.Errorf("nobody used Redis, and it counts %v commands and %v round trips", used.Commands, used.RoundTrips)
	}
}
