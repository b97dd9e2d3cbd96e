package embedded

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// The versions that the service supports begin here; older ones on the machine
// are passed over.
const (
	oldestPostgres = "15"
	oldestRedis    = "7.0"
)

// fetched is the Postgres that is fetched when the machine has none.
const fetched = embeddedpostgres.V18

type postgresBinaries struct {
	dir     string // holds pg_ctl, initdb and postgres; empty: none found
	version string
}

func (b postgresBinaries) String() string {
	if b.dir == "" {
		return "PostgreSQL " + string(fetched) + ", fetched once"
	}
	return "PostgreSQL " + b.version + " of " + b.dir
}

// findPostgres looks on PATH, then in the places where the packages of Debian,
// Red Hat, Homebrew and Postgres.app put it; of those it takes the newest.
func findPostgres(ctx context.Context) postgresBinaries {
	if path, err := exec.LookPath("pg_ctl"); err == nil {
		if b := postgresIn(ctx, filepath.Dir(resolve(path))); b.dir != "" {
			return b
		}
	}
	var newest postgresBinaries
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		dirs, _ := filepath.Glob(pattern) // the only error is a bad pattern
		for _, dir := range dirs {
			if b := postgresIn(ctx, dir); b.dir != "" && older(newest.version, b.version) {
				newest = b
			}
		}
	}
	return newest
}

// postgresIn returns the binaries in dir when they are whole and new enough.
// Client packages bring pg_ctl's neighbours without the server.
func postgresIn(ctx context.Context, dir string) postgresBinaries {
	for _, name := range []string{"pg_ctl", "initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return postgresBinaries{}
		}
	}
	version := versionOf(ctx, filepath.Join(dir, "postgres"))
	if version == "" || older(version, oldestPostgres) {
		return postgresBinaries{}
	}
	return postgresBinaries{dir: dir, version: version}
}

type redisBinary struct {
	path    string // empty: none found
	version string
}

func (b redisBinary) String() string {
	if b.path == "" {
		return "miniredis in process (no redis-server " + oldestRedis + " or newer on PATH)"
	}
	return "Redis " + b.version + " of " + b.path
}

func findRedis(ctx context.Context) redisBinary {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return redisBinary{}
	}
	version := versionOf(ctx, path)
	if version == "" || older(version, oldestRedis) {
		return redisBinary{}
	}
	if path, err = filepath.Abs(path); err != nil {
		return redisBinary{}
	}
	return redisBinary{path: path, version: version}
}

var versionNumber = regexp.MustCompile(`\d+(\.\d+)*`)

// versionOf asks a program for its version number; empty if it has none to tell.
func versionOf(ctx context.Context, program string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return ""
	}
	return versionNumber.FindString(string(out))
}

// older compares version numbers part by part; a missing part counts as zero,
// and so the empty version is older than any.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if x, y := part(as, i), part(bs, i); x != y {
			return x < y
		}
	}
	return false
}

func part(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, _ := strconv.Atoi(parts[i])
	return n
}

func resolve(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
