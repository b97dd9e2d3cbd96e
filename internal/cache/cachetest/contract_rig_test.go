package cachetest

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/communityfeed/internal/cache"
	"example.com/communityfeed/internal/cache/remote"
	"github.com/alicebob/miniredis/v2"
)

// tiers are the ways in which a cache is put together.
var tiers = []struct {
	name   string
	l1, l2 bool
}{
	{"memory", true, false},
	{"Redis", false, true},
	{"both", true, true},
}

// A rig is one cache over an origin that counts its loads.
type rig struct {
	*cache.Cache
	l1, l2 bool
	item   *cache.Source[string] // key: name; tag: item:NAME
	list   *cache.Page[string]   // key: name, viewer; composed of the item

	mu     sync.Mutex
	values map[string]string
	broken error         // what every load returns, if not nil
	held   chan struct{} // what every load waits for after it has read, if not nil
	loads  map[string]int
}

var errAbsent = errors.New("nothing there")

func (r *rig) load(ctx context.Context, k cache.Key) (string, error) {
	name, _, _ := strings.Cut(k.String(), "|")
	name += " " + k.Get("name")
	r.mu.Lock()
	r.loads[name]++
	v, ok := r.values[k.Get("name")]
	err, held := r.broken, r.held
	r.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	switch {
	case err != nil:
		return "", err
	case !ok:
		return "", errAbsent
	case v == "panic":
		panic("a bad page")
	}
	return v, nil
}

func (r *rig) set(name, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values[name] = value
}

func (r *rig) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = err
}

// hold makes loads wait, and returns what lets them go.
func (r *rig) hold() (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := make(chan struct{})
	r.held = held
	return func() {
		r.mu.Lock()
		r.held = nil
		r.mu.Unlock()
		close(held)
		synctest.Wait()
	}
}

func (r *rig) count(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loads[name]
}

func (r *rig) write(t *testing.T, name, value string, m func(...cache.Tag) cache.Invalidation) {
	t.Helper()
	r.set(name, value)
	if err := r.Invalidate(t.Context(), m(cache.Tag("item:"+name))); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) reads(t *testing.T, name, want string) {
	t.Helper()
	if v, err := r.item.GetOrSet(t.Context(), name); err != nil || v != want {
		t.Errorf("read %s: got %q, %v, want %q", name, v, err, want)
	}
}

func (r *rig) loaded(t *testing.T, name string, want int) {
	t.Helper()
	if n := r.count(name); n != want {
		t.Errorf("%s was loaded %d times, want %d", name, n, want)
	}
}

var contractPolicy = cache.Policy{TTL: 30 * time.Second, StaleIfError: time.Hour, Negative: 2 * time.Second}

func itemSpec(name string, more ...string) cache.Spec {
	return cache.Spec{
		Name: name, Version: 1, Dims: append([]string{"name"}, more...), Policy: contractPolicy,
		Tags: func(k cache.Key) []cache.Tag { return []cache.Tag{cache.Tag("item:" + k.Get("name"))} },
	}
}

// eachTier runs a test with every way to put a cache together.
func eachTier(t *testing.T, test func(*testing.T, *rig)) {
	for _, each := range tiers {
		t.Run(each.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rig{l1: each.l1, l2: each.l2, values: make(map[string]string), loads: make(map[string]int)}
				o := cache.Options{Answer: func(err error) bool { return errors.Is(err, errAbsent) }}
				if !r.l1 {
					o.L1Entries = -1
				}
				var l2 *remote.Redis
				if r.l2 {
					m := miniredis.NewMiniRedis()
					m.ClockTTL(true)
					t.Cleanup(m.Close)
					var err error
					if l2, err = remote.Open("redis://127.0.0.1:1", remote.Options{
						Dial: func(context.Context) (net.Conn, error) { return m.Dial() },
					}); err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { l2.Close() })
				}
				r.Cache = cache.New(l2.OrNone(), o)
				t.Cleanup(r.Close)
				r.item = cache.NewSource(r.Cache, itemSpec("item"), cache.JSON[string]{}, r.load)
				r.list = cache.NewPage(r.Cache, cache.PageSpec{Name: "list", Version: 1, Dims: []string{"name", "viewer"}},
					func(v string) int { return len(v) },
					func(m *cache.Composition) (string, error) {
						item, err := r.item.Want(m, m.Key().Get("name")).Get()
						return item + " for " + m.Key().Get("viewer"), err
					})
				synctest.Wait()
				test(t, r)
			})
		})
	}
}
