package main

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/manifest"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/cachehttp"
	"example.com/communityfeed/internal/feed"
	"example.com/communityfeed/internal/testenv"
)

func TestServeRefusesKeysThatAreNotRegisteredBeforeItTouchesAnything(t *testing.T) {
	t.Parallel()
	keys := ownKeys(t)
	for _, test := range []struct {
		name       string
		extra      string
		registered manifest.Manifest
		want       string
	}{
		{"other dimensions", "", with(keys, "products.one/1", "|id=|user="), "products.one/1 differs from the registry in Redis:\n\n    id  -user\n"},
		{"other dimensions, with the flag", "--migrate-cache-key", with(keys, "products.one/1", "|id=|user="), "products.one/1 differs from the registry in Redis:\n\n    id  -user\n"},
		{"another shape", "", with(keys, "products.one/1", "|id=", "{id:integer}"), "products.one/1 differs from the registry in Redis:\n\n    id\n    the value gained \"name\", "},
		{"another shape, with the flag", "--migrate-cache-key", with(keys, "products.one/1", "|id=", "{id:integer}"), "products.one/1 differs from the registry in Redis:\n\n    id\n    the value gained \"name\", "},
		{"a new key", "", without(keys, "products.one/1"), "products.one/1 is not in the registry in Redis:\n\n    id\n\n  If that is meant, start it\n  once with --migrate-cache-key (MIGRATE_CACHE_KEY=true); no other process needs that.\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := withRegistry(t, test.registered)
			// There is no database: a server that goes on to it says that.
			args := append([]string{"serve", "--dev", "--listen=127.0.0.1:0", "--migrate", "--database-wait=100ms", "--redis-budget=3s",
				"--database-url=postgres://u:p@127.0.0.1:1/x"}, r.flags...)
			output, code := runs(t, append(args, strings.Fields(test.extra)...)...)
			if code != exitFailed || !strings.Contains(output, test.want) || !strings.HasSuffix(output, "\napi: the cache keys are not those registered\n") {
				t.Errorf("exit code %d:\n%s", code, output)
			}
			r.want(t, test.registered)
		})
	}
}

func TestServeRegistersItsKeysInANewInstallationAndNewOnesWhenTold(t *testing.T) {
	t.Parallel()
	keys := ownKeys(t)
	r := withRegistry(t, nil)
	args := append([]string{"--redis-budget=3s", "--database-url=" + testenv.Database(t)}, r.flags...)
	serve(t, args...)
	r.want(t, keys)

	// What an earlier program has registered refuses no later one. The first start of that
	// needs the flag, and no start after it.
	older := with(without(keys, "products.one/1"), "products.one/9", "|sku=")
	r.replace(t, older)
	serve(t, append(args, "--migrate-cache-key")...)
	want := maps.Clone(older)
	want["products.one/1"] = keys["products.one/1"]
	r.want(t, want)
	serve(t, args...)
}

func TestARedisThatComesBackEmptyHasItsRegistryBackFromThoseWhoRun(t *testing.T) {
	t.Parallel()
	keys := ownKeys(t)
	r := withRegistry(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	running := &registration{keys: keys, registry: manifest.NewRegistry(r.tier), log: testenv.Log(t), askEvery: time.Hour, registerEvery: time.Millisecond}
	if err := running.ask(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- running.keep(ctx) }()

	r.replace(t, nil)
	r.await(t, len(keys))
	r.want(t, keys)
	// Where somebody else was there first, it is a newcomer only by the look of it.
	other := manifest.Manifest{"other.key/1": {}}
	r.replace(t, other)
	r.await(t, len(keys)+len(other))
	r.want(t, with(keys, "other.key/1", ""))
	stop()
	if err := <-ended; err != nil {
		t.Errorf("who was let in was thrown out: %v", err)
	}

	// And should another program have taken one of its numbers, it stays, and
	// overwrites nothing.
	taken := with(keys, "products.one/1", "|sku=")
	r.replace(t, taken)
	if err := running.ask(t.Context()); err != nil {
		t.Errorf("who was let in was thrown out: %v", err)
	}
	r.want(t, taken)
}

// Tags of the version before are moved until it is known that none of its processes runs.
func TestTagsOfTheVersionBeforeAreMovedWhileItsKeyIsRegistered(t *testing.T) {
	t.Parallel()
	keys := ownKeys(t)
	r := withRegistry(t, with(keys, feed.FormerKey, "|community=|order=|after=|limit="))
	running := (&serveCmd{}).newRegistration(keys, manifest.NewRegistry(r.tier), testenv.Log(t))
	running.registerEvery = time.Millisecond
	tags := []cache.Tag{"reader:42"}
	both := slices.Concat(tags, []cache.Tag{"user:42"})
	want := func(when string, want []cache.Tag) {
		t.Helper()
		if diff := gocmp.Diff(want, running.formerTags(tags)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	want("before Redis has answered", both)
	if err := running.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("while the key is registered", both)

	if output, code := runs(t, append([]string{"keys", "prune", "--yes"}, r.flags...)...); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, output)
	}
	for range formerAbsent {
		if err := running.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want("once the key was removed", tags)

	// A process of the version before that still runs registers it again.
	r.put(t, manifest.Manifest{feed.FormerKey: {Dims: "|community=|order=|after=|limit="}})
	if err := running.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("once it is back", both)

	// What is known stays known while Redis is away.
	away, err := remote.Open("redis://127.0.0.1:1", remote.Options{Log: testenv.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	running.registry = manifest.NewRegistry(away)
	for range formerAbsent {
		if err := running.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want("while Redis is away", both)
}

// The same through a whole server, as the browser of the writer is told of it.
func TestAServerMovesTagsOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	args, _ := seeded(t)
	deployedAt(t, args).put(t, with(ownKeys(t), feed.FormerKey, "|community=|order=|after=|limit="))
	blocked := serve(t, args...).want(t, http.StatusNoContent, caller{user: 42}, "PUT", "/api/blocks/44", "")
	if moved, want := blocked.header.Get(cachehttp.HeaderInvalidation), `"reader:42", "user:42"`; moved != want {
		t.Errorf("it has moved %s, want %s", moved, want)
	}
}

// Processes of the version before take as long as this one to register their keys again.
func TestARedisThatComesBackEmptyDoesNotSayThatTheVersionBeforeIsGone(t *testing.T) {
	t.Parallel()
	keys, former := ownKeys(t), manifest.Manifest{feed.FormerKey: {Dims: "|community=|order=|after=|limit="}}
	r := withRegistry(t, with(keys, feed.FormerKey, former[feed.FormerKey].Dims))
	running := (&serveCmd{}).newRegistration(keys, manifest.NewRegistry(r.tier), testenv.Log(t))
	ask := func(times int, former bool) {
		t.Helper()
		for i := range times {
			if err := running.ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			if running.former.Load() != former {
				t.Fatalf("answer %d: its tags are moved: %v", i+1, !former)
			}
		}
	}
	ask(1, true)
	r.replace(t, nil)
	ask(2, true)
	r.put(t, former)
	ask(1, true)
	r.replace(t, keys)
	ask(2, true)
	ask(1, false)
}

// The key that says so is one that this program does not have, or no prune takes it out.
func TestTheKeyOfTheVersionBeforeIsCommittedAndNotOnesOwn(t *testing.T) {
	t.Parallel()
	if _, own := ownKeys(t)[feed.FormerKey]; own {
		t.Errorf("%s is a key of this program", feed.FormerKey)
	}
	manifest, err := os.ReadFile("../../keys.manifest")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(manifest), "\n"+feed.FormerKey+"|") {
		t.Errorf("keys.manifest does not know %s", feed.FormerKey)
	}
}

// replace puts another registry in the place of the one that is there, in one step.
func (r *inRedis) replace(t *testing.T, registered manifest.Manifest) {
	t.Helper()
	pipe := r.TxPipeline()
	pipe.Del(t.Context(), r.key, r.shapes)
	r.queue(t, pipe, registered)
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// await waits until so many keys are registered.
func (r *inRedis) await(t *testing.T, keys int) {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		n, err := r.HLen(t.Context(), r.key).Result()
		if err == nil && n == int64(keys) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("after ten seconds there are %d keys registered, %v; want %d", n, err, keys)
		}
	}
}

// A process of the version before knows of no shapes. What it finds registered is what it
// has registered, to the byte, so it starts and runs as before; and the first process of this
// version needs no flag to add the shapes.
func TestTheVersionBeforeRunsBesideThisOneWithoutShapes(t *testing.T) {
	t.Parallel()
	keys := ownKeys(t)
	r := withRegistry(t, unshaped(keys))
	before := must(r.HGetAll(t.Context(), r.key).Result())
	running := (&serveCmd{}).newRegistration(keys, manifest.NewRegistry(r.tier), testenv.Log(t))
	if err := running.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.want(t, keys)
	if diff := gocmp.Diff(before, must(r.HGetAll(t.Context(), r.key).Result())); diff != "" {
		t.Errorf("what the version before compares (-before +after):\n%s", diff)
	}
}

func TestServeWithoutRedisStartsAndIsRefusedOnceThereIsOne(t *testing.T) {
	t.Parallel()
	keys := ownKeys(t)
	r := withRegistry(t, without(keys, "products.one/1"))
	way := newGate(t, strings.TrimPrefix(r.flags[0], "--redis-url="))
	args := []string{"serve", "--dev", "--listen=127.0.0.1:0", "--redis-budget=3s", "--database-url=" + testenv.Database(t),
		"--redis-url=" + way.url, r.flags[1]}

	log, w := io.Pipe()
	at := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(at)
		readLog(t, log, at)
	}()
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // it takes one
		defer cancel()
		ended <- run(ctx, args, io.Discard, w)
		w.Close()
	}()
	if base := <-at; base == "" {
		t.Fatalf("without Redis it did not start: %v", <-ended)
	}
	way.open.Store(true)
	err := <-ended
	<-read
	var told bytes.Buffer
	if code := exitCode(t.Context(), err, &told); code != exitFailed || !strings.HasPrefix(told.String(), "products.one/1 is not in the registry in Redis:\n") {
		t.Errorf("exit code %d, %v:\n%s", code, err, told.String())
	}
	r.want(t, without(keys, "products.one/1"))
}

// gate is a way to Redis that can be closed, which it is at first.
type gate struct {
	url  string
	open atomic.Bool
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	g := &gate{}
	server := u.Host
	u.Host = l.Addr().String()
	g.url = u.String()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go g.pass(client, server)
		}
	}()
	return g
}

func (g *gate) pass(client net.Conn, server string) {
	defer client.Close()
	if !g.open.Load() {
		return
	}
	redis, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer redis.Close()
	go func() { // ends with either connection
		defer redis.Close()
		_, _ = io.Copy(redis, client)
	}()
	_, _ = io.Copy(client, redis)
}
