package cache

import (
	"context"
	"errors"
	"sync"

	"example.com/communityfeed/internal/cache/remote"
)

// refreshBehind fills a key in the background while its old copy is served. It takes the lease,
// but no read joins it: a read that needs a copy from after a write must not get an older
// one by joining. Nor does it ask again what has just failed: the old copy is served to
// many.
func (s *source) refreshBehind(k Key, tags []Tag) {
	c := s.cache
	if c.origin.Refuses() || c.failed.recent(k.text, c.now()) != nil {
		return
	}
	done, ok := c.refreshing.begin(k.text)
	if !ok {
		return
	}
	if !c.spawn(func(root context.Context) {
		defer done()
		ctx, cancel := context.WithTimeout(root, remote.LeaseLife)
		defer cancel()
		f := &fill{source: s, key: k, tags: tags, refreshes: true}
		if a := f.refill(ctx); c.o.fault(a.err) {
			c.o.Log.Warn("cache: refresh failed", "key", k.text, "error", a.err)
		}
	}) {
		done()
	}
}

// refreshing are the keys that are being refreshed.
type refreshing struct {
	mu   sync.Mutex
	keys map[string]bool
}

// begin notes that a key is being refreshed until done is called. It reports false if it
// is already.
func (r *refreshing) begin(key string) (done func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys[key] {
		return nil, false
	}
	if r.keys == nil {
		r.keys = make(map[string]bool)
	}
	r.keys[key] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.keys, key)
	}, true
}

// refill is the fill of a refresh. Without a lease it does not ask the origin, and leaves
// the key to the process that has it, or to the first read after its time is over. While L2
// is distrusted there are no leases, and each process fills for itself. While every read is
// answered with stale copies, a refresh is the probe that finds the origin back.
//
// It creates no ids: the copy that is being refreshed had all of them, unless it was loaded
// while L2 was not to be read. Then what is stored is not fresh, and the next read loads.
func (f *fill) refill(ctx context.Context) answer {
	found, err := f.claim(ctx, nil)
	if f.lease == nil && !errors.Is(err, errDistrusted) && !errors.Is(err, remote.ErrNone) {
		return answer{}
	}
	if !f.cache.origin.Allow(nil) { // another read probes
		f.release(ctx, remote.NotStored, false)
		return answer{}
	}
	return f.reporting(func() answer {
		if f.lease == nil {
			return f.loadAndStore(ctx, found.snapshot)
		}
		return f.fillLeased(ctx, found)
	})
}
