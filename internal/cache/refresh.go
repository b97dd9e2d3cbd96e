package cache

import (
	"context"
	"errors"
	"math"
	"time"
)

// A hot key should be filled anew shortly before it expires, by one of its many
// readers, so that none of them ever waits. Each read decides for itself, by the
// rule of Vattani, Chierichetti and Lowenstein ("Optimal Probabilistic Cache
// Stampede Prevention", VLDB 2015, called XFetch there):
//
//	refresh when  now − δ·β·ln(rand) ≥ expiry
//
// δ is what the last load took; β is 1 here. The nearer the end, the dearer the
// load and the more reads there are, the earlier somebody begins.

// earlyWindow is from how many δ before expiry on the rule is asked at all. Before
// that it says yes once in e^20 reads.
const earlyWindow = 20

// nearEnd reports whether the rule need be asked.
func (a *answer) nearEnd(now time.Duration) bool { return a.expires-now < earlyWindow*a.cost }

// early asks the rule.
func (a *answer) early(now time.Duration, random func() float64) bool {
	if !a.nearEnd(now) {
		return false
	}
	ahead := -math.Log(random()) * float64(a.cost)
	return ahead >= float64(a.expires-now)
}

// refresh fills a key in the background, whose old copy is being served. It takes
// the lease but is not the key's flight: nobody waits for it, and who needs a fresh
// copy does not get one from before their write by joining it. Nor does it ask again
// what has just failed: the old copy is being served by many.
func (c *Cache) refresh(o *origin, k Key, tags []Tag) {
	if c.origins.refuses() || c.failed.recent(k.text, c.now()) != nil {
		return
	}
	c.mu.Lock()
	begun := c.refreshing[k.text]
	c.refreshing[k.text] = true
	c.mu.Unlock()
	if begun {
		return
	}
	done := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.refreshing, k.text)
	}
	if !c.spawn(func(root context.Context) {
		defer done()
		ctx, cancel := context.WithTimeout(root, leaseLife)
		defer cancel()
		a := c.refill(ctx, o, k, tags)
		if c.fault(a.err) {
			c.o.Log.Warn("cache: refresh failed", "key", k.text, "error", a.err)
		}
	}) {
		done()
	}
}

// refill is the fill of a refresh. Without a lease it does not ask the origin, and
// leaves the key to whoever has it, or to the first read after its time is over. While L2
// is distrusted there are no leases, and each process fills for itself. While every read is
// answered with stale copies, a refresh is the probe that finds the origin back.
//
// It creates no ids: the copy that is being refreshed had all of them.
func (c *Cache) refill(ctx context.Context, o *origin, k Key, tags []Tag) (a answer) {
	var l *lease
	var snap snapshot
	var r reading
	if c.l2 == nil {
		snap = c.watch(tags)
	} else {
		var err error
		if l, snap, r, err = c.claim(ctx, k, tags, nil); l == nil && !errors.Is(err, errDistrusted) {
			return answer{}
		}
	}
	if !c.origins.allow(nil) { // somebody else probes
		c.release(ctx, l, refused, false)
		return answer{}
	}
	ended := false                                             // stays so when the load ends its goroutine
	defer func() { c.judge(ended && !c.away(a.err), a.err) }() // a probe must be answered
	if l == nil {
		a = c.fill(ctx, o, k, snap, nil)
	} else {
		a = c.fillLeased(ctx, nil, o, k, snap, r, l)
	}
	ended = true
	return a
}
