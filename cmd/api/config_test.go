package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const aDatabase = "--database-url=postgres://somebody:pa55word@127.0.0.1:1/feed"

func TestWrongSettingsAreToldInOneLineBeforeAnythingStarts(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		args string
		want string // after "api: "
	}{
		{"no command", nil, "", `expected one of "serve", "dev", "migrate", "seed", "token", ... (see api --help)`},
		{"unknown flag", nil, "serve --lisen :1", `unknown flag --lisen, did you mean "--listen"? (see api serve --help)`},
		{"no secret", nil, "serve " + aDatabase,
			`serve: --jwt-secret (JWT_SECRET) is missing; --dev does without, where nothing is at stake (see api serve --help)`},
		{"short secret", nil, "serve --jwt-secret=pa55word " + aDatabase,
			`serve: --jwt-secret (JWT_SECRET) has 8 bytes; at least 32 are needed (see api serve --help)`},
		{"development secret without --dev", map[string]string{"JWT_SECRET": developmentSecret}, "serve " + aDatabase,
			`serve: --jwt-secret (JWT_SECRET) is the development secret, which everybody knows: give another one, or --dev (see api serve --help)`},
		{"no database", nil, "serve --dev",
			`serve: --database-url (DATABASE_URL) is missing: postgres://user:password@host:5432/name (see api serve --help)`},
		{"empty variable", map[string]string{"DATABASE_URL": ""}, "migrate up",
			`migrate up: --database-url (DATABASE_URL) is missing: postgres://user:password@host:5432/name (see api migrate --help)`},
		{"other database", map[string]string{"DATABASE_URL": "mysql://u:pa55word@h/x"}, "seed",
			`seed: --database-url (DATABASE_URL) must be a URL of the form postgres://host:port/… (see api seed --help)`},
		{"other cache", nil, "serve --dev --redis-url=memcached://h:1 " + aDatabase,
			`serve: --redis-url (REDIS_URL) must be a URL of the form redis://host:port/… (see api serve --help)`},
		{"no number", map[string]string{"L1_ENTRIES": "many"}, "serve --dev " + aDatabase,
			`--l1-entries: expected a valid 64 bit int but got "many" (from envar L1_ENTRIES="many") (see api serve --help)`},
		{"number too small", nil, "serve --dev --read-pool=0 " + aDatabase,
			`serve: --read-pool (READ_POOL) must be at least 1, not 0 (see api serve --help)`},
		{"duration too small", nil, "serve --dev --slow-request=0s " + aDatabase,
			`serve: --slow-request (SLOW_REQUEST) must be at least 1ms, not 0s (see api serve --help)`},
		{"unknown choice", nil, "serve --dev --cache=l3 " + aDatabase,
			`--cache must be one of "both","l1","l2","off" but got "l3" (see api serve --help)`},
		{"L2 without Redis", nil, "serve --dev --cache=l2 " + aDatabase,
			`serve: --cache (CACHE) l2 needs --redis-url (REDIS_URL) (see api serve --help)`},
		{"no port", nil, "serve --dev --listen=8080 " + aDatabase,
			`serve: --listen (LISTEN) must be HOST:PORT, not "8080" (see api serve --help)`},
		{"too few users", nil, "seed --users=3 --force " + aDatabase, `seed: --users must be at least 50, not 3 (see api seed --help)`},
		{"token of nobody", nil, "token --user=0", `token: --user must be the number of a user (see api token --help)`},
		{"no steps", nil, "migrate down 0 " + aDatabase, `migrate down: steps must be at least 1 (see api migrate --help)`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			var stdout, stderr bytes.Buffer
			err := run(t.Context(), strings.Fields(test.args), &stdout, &stderr)
			if code := exitCode(t.Context(), err, &stderr); code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			if diff := cmp.Diff("api: "+test.want+"\n", stderr.String()); diff != "" {
				t.Errorf("standard error (-want +got):\n%s", diff)
			}
			if stdout.Len() > 0 || strings.Contains(stderr.String(), "pa55word") {
				t.Errorf("standard output %q, and secrets on standard error %q", stdout.String(), stderr.String())
			}
		})
	}
}

func TestAFlagComesBeforeItsVariableAndThatBeforeItsDefault(t *testing.T) {
	t.Setenv("L1_ENTRIES", "7")
	t.Setenv("SLOW_REQUEST", "250ms")
	t.Setenv("MIGRATE", "true")
	var c cli
	parser, err := newParser(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"serve", "--dev", aDatabase, "--slow-request=2s"}); err != nil {
		t.Fatal(err)
	}
	type settings struct {
		Listen      string
		L1Entries   int
		SlowRequest time.Duration
		Migrate     bool
		Secret      string
	}
	got := settings{c.Serve.Listen, c.Serve.L1Entries, c.Serve.SlowRequest, c.Serve.Migrate, c.Serve.Secret}
	want := settings{"127.0.0.1:8080", 7, 2 * time.Second, true, developmentSecret}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestHelpNeedsNoCompleteCommandLine(t *testing.T) {
	for _, args := range []string{"--help", "serve --help", "migrate --help", "token --help"} {
		var stdout, stderr bytes.Buffer
		if err := run(t.Context(), strings.Fields(args), &stdout, &stderr); err != nil {
			t.Errorf("api %s: %v", args, err)
		}
		if !strings.HasPrefix(stdout.String(), "Usage: api ") || stderr.Len() > 0 {
			t.Errorf("api %s: standard output %q, standard error %q", args, stdout.String(), stderr.String())
		}
	}
}
