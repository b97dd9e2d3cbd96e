//go:build unix

package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/communityfeed/internal/identity"
	"example.com/communityfeed/internal/overlay"
)

// Builds of the program that differ as two commits do: the later one has a feed page
// with a dimension more, which shows in its body, and has it in what pages share as well.
// They are built by way of -overlay, so nothing in the production code knows of them.
var (
	density = []overlay.Edit{
		overlay.Replace("internal/feed/routes.go", `cachehttp.ID("id")}, Query: page,`,
			`cachehttp.ID("id")}, Query: append([]cachehttp.Param{cachehttp.OneOf("density", "full", "full", "brief")}, page...),`),
		overlay.Replace("internal/feed/handler.go", "type feedBody struct {\n", "type feedBody struct {\n\tDensity string `json:\"density\"`\n"),
		overlay.Replace("internal/feed/handler.go", "feedBody{\n", "feedBody{\n\t\tDensity: p.Param(\"density\"),\n"),
		overlay.Replace("internal/feed/routes.go", "`key:\"limit\"`\n", "`key:\"limit\"`\n\tDensity string `key:\"density\"`\n"),
		overlay.Replace("internal/feed/handler.go", `after, int(p.Int("limit"))}`, `after, int(p.Int("limit")), p.Param("density")}`),
	}
	newVersions = []overlay.Edit{
		overlay.Replace("internal/feed/routes.go", `"feed.page", Version: 1`, `"feed.page", Version: 2`),
		overlay.Replace("internal/feed/routes.go", `"feed.shared", Version: 4`, `"feed.shared", Version: 5`),
	}
)

// build is a program that was built.
type build struct {
	path  string
	young bool // it has the dimension that came
}

func buildWith(t *testing.T, edits ...overlay.Edit) build {
	t.Helper()
	const root = "../.."
	dir := t.TempDir()
	file, err := overlay.Lay(root, dir, edits...)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "api")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", file, "-ldflags=-s -w", "-o", program, "./cmd/api")
	cmd.Dir = root
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return build{program, len(edits) > 0}
}

// command is the build with arguments, in the repository's root.
func (b build) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.path, args...)
	cmd.Dir = "../.."
	return cmd
}

// refuses runs a command that must exit with 1 and show the diff.
func (b build) refuses(t *testing.T, diff string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // or it would serve for good
	defer cancel()
	output, _ := b.command(ctx, args...).CombinedOutput()
	if !strings.Contains("\n"+string(output), "\n"+diff) || !strings.HasSuffix(string(output), "api: the cache keys are not those registered\n") {
		t.Errorf("api %q shows\n%s\nand not\n%s", args, output, diff)
	}
}

// process is a build that serves, in a process of its own.
type process struct {
	*program
	young bool   // it has the dimension that came
	end   func() // as a deploy does, with SIGTERM
}

func (b build) serve(t *testing.T, args ...string) process {
	t.Helper()
	cmd := b.command(context.Background(), append([]string{"serve", "--dev", "--listen=127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	at, drained := make(chan string, 1), make(chan struct{})
	go func() { // ends with the process
		defer close(drained)
		defer close(at)
		readLog(t, stderr, at)
	}()
	end := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("a server that was told to end: %v", err)
		}
	})
	t.Cleanup(end)
	base := <-at
	if base == "" {
		t.Fatal("the server ended before it listened")
	}
	return process{&program{base}, b.young, end}
}

// A rolling deploy and a rollback, on one Postgres and one Redis. What both builds
// declare alike they share; what feed pages share is not among it.
func TestTwoBuildsRunBesideEachOtherAndShareNoEntryOfTheKeyThatDiffers(t *testing.T) {
	before := buildWith(t)
	after := buildWith(t, slices.Concat(density, newVersions)...)
	args, _ := seeded(t)
	const isNew = "feed.page/2 is not in the registry in Redis. Beside feed.page/1:\n\n    id  user  locale  feed_v2  +density  after  limit\n    the value gained \"density\"\n"

	old := before.serve(t, args...)
	old.end()
	after.refuses(t, isNew, append([]string{"serve", "--dev", "--listen=127.0.0.1:0"}, args...)...)

	// The deploy: the first process of the new build is told to, no other one needs it.
	old = before.serve(t, args...)
	young := after.serve(t, append(args, "--migrate-cache-key")...)
	wantApart(t, old, young, "10")
	old.end()
	old = before.serve(t, args...) // while the new build runs, and without a word
	wantApart(t, old, young, "20")
	wantApart(t, young, old, "50")
	young.end()
	young = after.serve(t, args...)
	wantApart(t, young, old, "100")
	old.end()

	// The rollback.
	old = before.serve(t, args...)
	young.end()
	wantPage(t, old, 43, "100", "MISS") // nothing is kept of this reader
	wantPage(t, old, 42, "100", "")     // its own, if it is kept still

	registry := deployedAt(t, args)
	registry.wantEntries(t, "feed.shared/4|", "|density=", false)
	registry.wantEntries(t, "feed.shared/5|", "|density=", true)
}

// A build whose author has forgotten the version: it does not come past the check,
// nor into a fleet, whatever it is told.
func TestABuildThatChangesAKeyUnderItsNumberIsRefusedEverywhere(t *testing.T) {
	forgetful := buildWith(t, density...)
	args, _ := seeded(t)
	serve(t, args...)
	registry := deployedAt(t, args)
	const differs = "feed.page/1 differs from %:\n\n    id  user  locale  feed_v2  +density  after  limit\n    the value gained \"density\"\n\n  Give the key version 2 where it is declared, then "
	inManifest, inRegistry := strings.ReplaceAll(differs, "%", "keys.manifest"), strings.ReplaceAll(differs, "%", "the registry in Redis")

	forgetful.refuses(t, inManifest, "keys", "check")
	forgetful.refuses(t, inManifest, "keys", "check", "--migrate-cache-key")
	forgetful.refuses(t, inRegistry, append([]string{"keys", "check", "--manifest=", "--deployed", "--migrate-cache-key"}, registry.flags...)...)
	forgetful.refuses(t, inRegistry, append([]string{"serve", "--dev", "--listen=127.0.0.1:0"}, args...)...)
	forgetful.refuses(t, inRegistry, append([]string{"serve", "--dev", "--migrate-cache-key"}, args...)...)
	registry.want(t, ownKeys(t))
}

// wantApart reads a page that was never read: each of two processes loads what is on it,
// and keeps to it.
func wantApart(t *testing.T, first, second process, limit string) {
	t.Helper()
	wantPage(t, first, 42, limit, "MISS")
	wantPage(t, second, 42, limit, "MISS")
	wantPage(t, first, 42, limit, "HIT")
	wantPage(t, second, 42, limit, "HIT")
}

// wantPage reads a page, which must be one of the process's own build; cached is what
// X-Cache must be, if that matters.
func wantPage(t *testing.T, p process, user identity.UserID, limit, cached string) {
	t.Helper()
	a := p.get(t, caller{user: user}, openPosts+"?limit="+limit)
	page := a.page(t)
	if page.Viewer == nil || *page.Viewer != user || len(page.Items) == 0 || cached != "" && a.cache() != cached {
		t.Errorf("user %d, limit %s: X-Cache is %q, want %q: %.80s", user, limit, a.cache(), cached, a.body)
	}
	if has := strings.Contains(a.body, `"density":"full"`); has != p.young {
		t.Errorf("user %d, limit %s has got a page of the other build: %.80s", user, limit, a.body)
	}
}

// wantEntries looks into Redis for the entries of one version of a key: whether they have
// a dimension or not, there are some, and all are alike.
func (r *inRedis) wantEntries(t *testing.T, head, dimension string, has bool) {
	t.Helper()
	keys, err := r.Keys(t.Context(), strings.TrimSuffix(r.key, "keys")+"e:{"+head+"*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("Redis has no %s…: %v", head, err)
	}
	for _, key := range keys {
		if strings.Contains(key, dimension) != has {
			t.Errorf("in Redis there is %s", key)
		}
	}
}

// deployedAt is the Redis of a program's arguments.
func deployedAt(t *testing.T, args []string) *inRedis {
	t.Helper()
	at := func(flag string) string {
		i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, flag) })
		return strings.TrimPrefix(args[i], flag)
	}
	return registryIn(t, at("--redis-url="), at("--redis-prefix="))
}
