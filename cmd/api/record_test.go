package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/communityfeed/internal/testenv"
)

func TestServeRefusesKeysThatAreNotOnRecordBeforeItTouchesAnything(t *testing.T) {
	t.Parallel()
	keys := ownKeys(t)
	for _, test := range []struct {
		name   string
		extra  string
		record map[string]string
		want   string
	}{
		{"other dimensions", "", with(keys, "products.one/1", "|id=|user="), "products.one/1 has other dimensions than in the record in Redis:\n\n    id  -user\n"},
		{"other dimensions, with the flag", "--migrate-cache-key", with(keys, "products.one/1", "|id=|user="), "products.one/1 has other dimensions than in the record in Redis:\n\n    id  -user\n"},
		{"a new key", "", without(keys, "products.one/1"), "products.one/1 is not in the record in Redis:\n\n    id\n\n  If that is meant, start it\n  once with --migrate-cache-key (MIGRATE_CACHE_KEY=true); no other process needs that.\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := withRecord(t, test.record)
			// There is no database: a server that goes on to it says that.
			args := append([]string{"serve", "--dev", "--listen=127.0.0.1:0", "--migrate", "--database-wait=100ms", "--redis-budget=3s",
				"--database-url=postgres://u:p@127.0.0.1:1/x"}, r.flags...)
			output, code := runs(t, append(args, strings.Fields(test.extra)...)...)
			if code != exitFailed || !strings.Contains(output, test.want) || !strings.HasSuffix(output, "\napi: the cache keys are not those on record\n") {
				t.Errorf("exit code %d:\n%s", code, output)
			}
			r.want(t, test.record)
		})
	}
}

func TestServeRecordsItsKeysInANewInstallationAndNewOnesWhenTold(t *testing.T) {
	t.Parallel()
	keys := ownKeys(t)
	r := withRecord(t, nil)
	args := append([]string{"--redis-budget=3s", "--database-url=" + testenv.Database(t)}, r.flags...)
	serve(t, args...)
	r.want(t, keys)

	// What an earlier program has left is nobody's concern; the first start of a later
	// one needs the word, and no start after that.
	older := with(without(keys, "products.one/1"), "products.one/9", "|sku=")
	if err := r.Del(t.Context(), r.key).Err(); err != nil {
		t.Fatal(err)
	}
	r.put(t, older)
	serve(t, append(args, "--migrate-cache-key")...)
	r.want(t, with(older, "products.one/1", keys["products.one/1"]))
	serve(t, args...)
}

func TestARedisThatComesBackEmptyHasItsRecordBackFromThoseWhoRun(t *testing.T) {
	t.Parallel()
	keys := ownKeys(t)
	r := withRecord(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	running := &record{keys: keys, l2: r.tier, log: testenv.Log(t), askEvery: time.Hour, enterEvery: time.Millisecond}
	if err := running.ask(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- running.keep(ctx) }()

	r.replace(t, nil)
	r.await(t, len(keys))
	r.want(t, keys)
	// Where somebody else was there first, it is a newcomer only by the look of it.
	other := map[string]string{"other.key/1": ""}
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

// replace puts another record in the place of the one that is there, in one step.
func (r *inRedis) replace(t *testing.T, recorded map[string]string) {
	t.Helper()
	pipe := r.TxPipeline()
	pipe.Del(t.Context(), r.key)
	if len(recorded) > 0 {
		pipe.HSet(t.Context(), r.key, recorded)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// await waits until so many keys are on record.
func (r *inRedis) await(t *testing.T, keys int) {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		n, err := r.HLen(t.Context(), r.key).Result()
		if err == nil && n == int64(keys) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("after ten seconds there are %d keys on record, %v; want %d", n, err, keys)
		}
	}
}

func TestServeWithoutRedisStartsAndIsRefusedOnceThereIsOne(t *testing.T) {
	t.Parallel()
	keys := ownKeys(t)
	r := withRecord(t, without(keys, "products.one/1"))
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
	if code := exitCode(t.Context(), err, &told); code != exitFailed || !strings.HasPrefix(told.String(), "products.one/1 is not in the record in Redis:\n") {
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
