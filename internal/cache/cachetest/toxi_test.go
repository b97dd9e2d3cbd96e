package cachetest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"example.com/communityfeed/internal/report"
	"example.com/communityfeed/internal/testenv"
)

var toxicReads = flag.Int("toxic-reads", 5, "how many reads each caller makes under each toxic")

// What callers see of a bad network between the cache and Redis: a proxy delays,
// drops, cuts or throttles what goes through it, on real sockets.
//
// Errors and values are asserted. Times are measured and printed: a machine that is
// busy with something else must fail no test. That a read costs one budget at most
// is asserted where time is the bubble's, in package cache.

const (
	toxicCallers = 64
	toxicKeys    = 200
	toxicLoad    = 10 * time.Millisecond
	toxicBody    = 8 << 10
)

// A toxic is one way in which the network is bad, in toxiproxy's words.
type toxic struct {
	name    string // as the table shows it
	kind    string
	stream  string // upstream: what Redis is asked; downstream: what it answers
	setting string
	fatal   bool // no call comes through in time
}

func toxicsOf(stream string) []toxic {
	return []toxic{
		{"latency 30 ms", "latency", stream, `"latency":30,"jitter":10`, false},
		{"latency 150 ms", "latency", stream, `"latency":150,"jitter":40`, false},
		{"latency 1 s", "latency", stream, `"latency":1000`, true},
		{"silence", "timeout", stream, `"timeout":0`, true},
		{"cut after 100 ms", "timeout", stream, `"timeout":100`, true},
		{"reset at once", "reset_peer", stream, `"timeout":0`, true},
		{"reset after 50 ms", "reset_peer", stream, `"timeout":50`, true},
		{"100 KB/s", "bandwidth", stream, `"rate":100`, false},
		{"5 KB/s", "bandwidth", stream, `"rate":5`, false},
	}
}

func TestCallersSeeNothingOfABadNetwork(t *testing.T) {
	redis := testenv.Redis(t)
	rows := report.Table{{"toxic", "stream", "reads", "L1", "L2", "loads", "L2 failed", "p50", "p99", "slowest", "bound"}}
	for _, stream := range []string{"downstream", "upstream"} {
		for _, x := range toxicsOf(stream) {
			t.Run(strings.ReplaceAll(x.name+" "+stream, " ", "-"), func(t *testing.T) {
				rows = append(rows, poison(t, redis, x))
			})
		}
	}
	t.Logf("%d callers, %d keys of %d KB, a load takes %v; bound: one budget and the slowest load\n\n%s",
		toxicCallers, toxicKeys, toxicBody>>10, toxicLoad, rows)
}

// poison lets the callers read and write through one toxic, and returns its row of
// the table.
func poison(t *testing.T, redis string, x toxic) []string {
	const budget = 200 * time.Millisecond
	proxied, inject := throughProxy(t, redis)
	tier, err := remote.Open(proxied, remote.Options{Prefix: testenv.Prefix(t), Timeout: budget})
	if err != nil {
		t.Fatal(err)
	}
	defer tier.Close()
	o := &versions{at: make(map[string]int), told: make(map[string]int)}
	// A small L1, so that most reads go on to Redis.
	o.cache = cache.New(tier, cache.Options{L1Entries: toxicKeys / 10})
	defer o.cache.Close()
	o.items = cache.NewSource(o.cache, itemSpec("item"), cache.JSON[string]{}, o.load)

	o.repeatMoves() // the subscription stands now, or is distrusted
	var warm sync.WaitGroup
	for i := range toxicKeys / 2 {
		warm.Go(func() { o.read(t, fmt.Sprint(i)) })
	}
	warm.Wait()
	before := o.cache.Stats().Keys["item/1"]
	inject(x)

	took := make([]time.Duration, toxicCallers**toxicReads)
	var callers sync.WaitGroup
	for caller := range toxicCallers {
		rng := rand.New(rand.NewPCG(uint64(caller), 0))
		callers.Go(func() {
			for i := range *toxicReads {
				if rng.IntN(16) == 0 { // an author, who has seen the page before
					name := fmt.Sprint(rng.IntN(toxicKeys))
					o.read(t, name)
					o.write(name)
					o.read(t, name)
				}
				began := time.Now()
				o.read(t, fmt.Sprint(rng.IntN(toxicKeys)))
				took[caller**toxicReads+i] = time.Since(began)
			}
		})
	}
	callers.Wait()

	slices.Sort(took)
	k := o.cache.Stats().Keys["item/1"]
	if x.fatal && k.L2Errors == before.L2Errors {
		t.Error("the toxic did not work: no call to Redis failed")
	}
	if x.fatal && k.HitL2 > before.HitL2 {
		t.Errorf("the toxic did not work: %d reads were answered by Redis", k.HitL2-before.HitL2)
	}
	return []string{
		x.name, x.stream, fmt.Sprint(len(took)), fmt.Sprint(k.HitL1 - before.HitL1), fmt.Sprint(k.HitL2 - before.HitL2),
		fmt.Sprint(k.Loads - before.Loads), fmt.Sprint(k.L2Errors - before.L2Errors),
		report.Millis(report.Percentile(took, 50)), report.Millis(report.Percentile(took, 99)), report.Millis(took[len(took)-1]), report.Millis(budget + o.slowest),
	}
}

// throughProxy returns the URL of a proxy in front of Redis, and what makes it bad.
func throughProxy(t *testing.T, redis string) (proxied string, inject func(toxic)) {
	t.Helper()
	u, err := url.Parse(redis)
	if err != nil {
		t.Fatal(err)
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", u.Host)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	u.Host = proxy.Listen
	return u.String(), func(x toxic) {
		t.Helper()
		_, err := proxy.Toxics.AddToxicJson(strings.NewReader(
			fmt.Sprintf(`{"type":%q,"stream":%q,"attributes":{%s}}`, x.kind, x.stream, x.setting)))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// versions is an origin whose rows count their writes, with the cache before it. It
// knows which write every reader must see.
type versions struct {
	cache *cache.Cache
	items *cache.Source[string]

	mu      sync.Mutex
	at      map[string]int // version by name
	told    map[string]int // the latest version whose writer was answered
	slowest time.Duration  // load
}

func (o *versions) load(_ context.Context, k cache.Key) (string, error) {
	began := time.Now()
	o.mu.Lock()
	version := o.at[k.Get("name")]
	o.mu.Unlock()
	time.Sleep(toxicLoad) // what the origin takes
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slowest = max(o.slowest, time.Since(began))
	return fmt.Sprintf("%s %d %s", k.Get("name"), version, strings.Repeat("x", toxicBody)), nil
}

// read fails the test unless the value is at least as new as the last write that was
// answered before the read began.
func (o *versions) read(t *testing.T, name string) {
	o.mu.Lock()
	want := o.told[name]
	o.mu.Unlock()
	v, err := o.items.GetOrSet(context.Background(), name)
	if err != nil {
		t.Errorf("read %s: %v", name, err)
		return
	}
	var of string
	var got int
	if _, err := fmt.Sscan(v, &of, &got); err != nil || of != name || got < want {
		t.Errorf("read %s: got %.20q, want version %d or later", name, v, want)
	}
}

// write commits, moves and answers. A move that failed loses trust in Redis, which
// is won back as the relay does it.
func (o *versions) write(name string) {
	o.mu.Lock()
	o.at[name]++
	version := o.at[name]
	o.mu.Unlock()
	_ = o.cache.Invalidate(context.Background(), cache.Changed(cache.Tag("item:"+name)))
	o.mu.Lock()
	o.told[name] = max(o.told[name], version)
	o.mu.Unlock()
	o.repeatMoves()
}

// repeatMoves is a drain: it moves everything again, if something may be missing.
func (o *versions) repeatMoves() {
	_, end, needed := o.cache.BeginDrain()
	if needed && o.cache.Invalidate(context.Background(), cache.Changed(cache.Everything)) == nil {
		end()
	}
}
