package cachetest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/report"
	"example.com/communityfeed/internal/testenv"
)

var growthMost = flag.Int("growth-most", 1000, "up to how many entries are put under one tag")

// A move costs the same however many entries lie under its tag. The number of
// commands is asserted; times are printed, beside those of finding the entries and
// deleting them.
func TestMoveIsOneCommandHoweverManyEntriesLieUnderItsTag(t *testing.T) {
	const moves = 500
	url := testenv.Redis(t)
	rows := report.Table{{"entries", "move: commands", "p50", "p99", "SCAN + UNLINK: commands", "time", "of a move's p50"}}
	for n := 1; n <= *growthMost; n *= max(1000/n, 100) { // 1, 1,000, 100,000
		g := newGrowth(t, url)
		g.put(n)
		g.expect(cache.HitL2, n)
		commands := g.commandsOf(func() { g.move() })
		if len(commands) != 1 {
			t.Errorf("%d entries: the move sent %d commands: %q", n, len(commands), commands)
		}
		g.expect(cache.Miss, n)

		took := make([]time.Duration, moves)
		for i := range took {
			began := time.Now()
			g.move()
			took[i] = time.Since(began)
		}
		slices.Sort(took)
		g.put(n)
		began := time.Now()
		scans := g.scanAndUnlink(n)
		swept := time.Since(began)
		rows = append(rows, []string{
			fmt.Sprint(n), fmt.Sprint(len(commands)), report.Micros(report.Percentile(took, 50)), report.Micros(report.Percentile(took, 99)),
			fmt.Sprint(scans), report.Millis(swept), fmt.Sprintf("%.0f ×", float64(swept)/float64(report.Percentile(took, 50))),
		})
	}
	t.Logf("%s\n\n%s", machine(t, url), rows)
}

// A growth is one tag with many entries under it, and a client beside the cache.
type growth struct {
	t      *testing.T
	prefix string
	tap    tap // on the cache's connections
	client *redis.Client
	cache  *cache.Cache
	lists  *cache.Source[string] // key: name, viewer; tag: item:NAME
}

func newGrowth(t *testing.T, url string) *growth {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	g := &growth{t: t, prefix: testenv.Prefix(t), client: redis.NewClient(options)}
	g.tap.prefix = g.prefix
	tier, err := remote.Open(url, remote.Options{
		Prefix: g.prefix, Timeout: 5 * time.Second,
		Dial: func(ctx context.Context) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, options.Network, options.Addr)
			return &tappedConn{Conn: conn, tap: &g.tap}, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.cache = cache.New(tier, cache.Options{L1Entries: -1})
	g.lists = cache.NewSource(g.cache, itemSpec("list", "viewer"), cache.JSON[string]{},
		func(context.Context, cache.Key) (string, error) { return strings.Repeat("x", 200), nil })
	t.Cleanup(func() { g.cache.Close(); tier.Close(); g.client.Close() })
	return g
}

func (g *growth) entry(viewer int) string {
	return fmt.Sprintf("%se:{list/1|name=hot|viewer=%d}", g.prefix, viewer)
}

// put fills one entry through the cache and copies it n times. An entry holds the
// ids of its tags and not its key, and its age is what is left of its life: the
// copies are as good as filled ones.
func (g *growth) put(n int) {
	g.t.Helper()
	g.read(0)
	filled, err := g.client.Get(g.t.Context(), g.entry(0)).Result()
	if err != nil {
		g.t.Fatal(err)
	}
	left, err := g.client.PTTL(g.t.Context(), g.entry(0)).Result()
	if err != nil {
		g.t.Fatal(err)
	}
	for viewers := range slices.Chunk(slices.Collect(numbers(n)), 1000) {
		pipe := g.client.Pipeline()
		for _, viewer := range viewers {
			pipe.Set(g.t.Context(), g.entry(viewer), filled, left)
		}
		if _, err := pipe.Exec(g.t.Context()); err != nil {
			g.t.Fatal(err)
		}
	}
}

// numbers are those from 1 to n.
func numbers(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := 1; i <= n && yield(i); i++ {
		}
	}
}

func (g *growth) read(viewer int) cache.Outcome {
	g.t.Helper()
	r, err := g.lists.Fetch(g.t.Context(), "hot", fmt.Sprint(viewer))
	if err != nil {
		g.t.Fatal(err)
	}
	return r.Outcome
}

// expect reads the first, the last and some of the n entries.
func (g *growth) expect(want cache.Outcome, n int) {
	g.t.Helper()
	for viewer := 1; viewer <= n; viewer += max(1, (n-1)/7) {
		if got := g.read(viewer); got != want {
			g.t.Errorf("entry %d of %d: got %v, want %v", viewer, n, got, want)
		}
	}
}

func (g *growth) move() {
	if err := g.cache.Invalidate(context.Background(), cache.Changed("item:hot")); err != nil {
		g.t.Error(err)
	}
}

// commandsOf returns the commands that the cache sends to Redis while do runs.
func (g *growth) commandsOf(do func()) []string {
	g.tap.mu.Lock()
	g.tap.commands = nil
	g.tap.mu.Unlock()
	do()
	g.tap.mu.Lock()
	defer g.tap.mu.Unlock()
	return g.tap.commands
}

// A tap notes the commands with its prefix that are written to its connections: no
// greetings, and no pings of the subscription.
type tap struct {
	prefix string

	mu       sync.Mutex
	commands []string
}

type tappedConn struct {
	net.Conn
	tap  *tap
	rest []byte
}

func (c *tappedConn) Write(b []byte) (int, error) {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.rest = append(c.rest, b...)
	for cmd, rest, ok := takeCommand(c.rest); ok; cmd, rest, ok = takeCommand(c.rest) {
		c.rest = rest
		if bytes.Contains(cmd.raw, []byte(c.tap.prefix)) {
			c.tap.commands = append(c.tap.commands, cmd.args[0])
		}
	}
	return c.Conn.Write(b)
}

// scanAndUnlink deletes the n entries as one does who has no tags, and returns how
// many commands that took.
func (g *growth) scanAndUnlink(n int) (commands int) {
	g.t.Helper()
	ctx := g.t.Context()
	deleted, cursor := 0, uint64(0)
	for {
		keys, next, err := g.client.Scan(ctx, cursor, g.prefix+"e:{list/1|name=hot|*", 1000).Result()
		commands++
		if err == nil && len(keys) > 0 {
			err = g.client.Unlink(ctx, keys...).Err()
			commands++
		}
		if err != nil {
			g.t.Fatal(err)
		}
		deleted += len(keys)
		if cursor = next; cursor == 0 {
			break
		}
	}
	if deleted < n {
		g.t.Errorf("SCAN found %d of %d entries", deleted, n)
	}
	return commands
}
