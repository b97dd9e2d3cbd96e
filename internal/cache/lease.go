package cache

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"example.com/communityfeed/internal/cache/fence"
	"example.com/communityfeed/internal/cache/remote"
)

// A heldLease is a lease that this process has, or has asked for and may have. Its fields
// belong to heldLeases.
type heldLease struct {
	remote.Lease
	cache     *Cache
	snapshot  fence.Snapshot
	abandoned bool
	copied    *entry // what its fill has loaded and not yet stored
}

// heldLeases are the leases that this process has, by key.
//
// A write makes the fill under way useless: what it has read is from before, and is stored
// under ids that have gone. A read that begins after the write does not join it, but
// without its lease would have to wait for it all the same:
//
//  1. A fill has the lease of a key, and loads.
//  2. A write invalidates its tag and is answered.
//  3. Its author reads, begins a fill of their own, and is refused the lease.
//  4. The first fill's load ends, and its store.
//  5. The author finds a changed entry, gets the lease, and loads.
//
// So a lease is taken from a fill of this process that does not count any more: the author
// loads at step 3. The first fill then stores nothing, as with any lease that was lost. A
// lease is also taken if nothing uses it: one that was given after its caller had stopped
// listening, or could not be released, would lock the key for the rest of its life.
//
// A lease counts as held from before it is asked for: the write of step 2 may come while
// the answer is on its way.
type heldLeases struct {
	mu    sync.Mutex
	byKey map[string][]*heldLease
}

// hold notes that a lease is asked for under a snapshot.
func (h *heldLeases) hold(l *heldLease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byKey == nil {
		h.byKey = make(map[string][]*heldLease)
	}
	h.byKey[l.Key] = append(h.byKey[l.Key], l)
}

// drop notes that a lease has ended, or was not given.
func (h *heldLeases) drop(l *heldLease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	rest := slices.DeleteFunc(h.byKey[l.Key], func(other *heldLease) bool { return other == l })
	if len(rest) == 0 {
		delete(h.byKey, l.Key)
		return
	}
	h.byKey[l.Key] = rest
}

// abandon notes that a lease may still be held although nothing uses it.
func (h *heldLeases) abandon(l *heldLease) {
	h.mu.Lock()
	l.abandoned, l.copied = true, nil
	h.mu.Unlock()
	time.AfterFunc(remote.LeaseLife, func() { h.drop(l) })
}

// loaded notes what the fill under a lease has loaded, if it counts.
func (h *heldLeases) loaded(l *heldLease, copied *entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.copied = copied
}

// copyOf returns what was loaded under a lease of this process and is being stored, or nil.
func (h *heldLeases) copyOf(key string) *entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range slices.Backward(h.byKey[key]) {
		if l.copied != nil {
			return l.copied
		}
	}
	return nil
}

// useless returns the tokens of leases that may be taken away.
func (h *heldLeases) useless(key string, f *fence.Fence) (tokens []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.byKey[key] {
		if l.abandoned || !f.Counts(&l.snapshot) {
			tokens = append(tokens, l.Token)
		}
	}
	return tokens
}

// claim asks for the lease of the key, which it takes from a useless fill of this process if
// need be, and looks the key up again, since another process may have filled it after the
// lookup that found nothing. All of that is one round trip. f.lease is nil when another
// fill has the lease; what was found is known all the same.
//
// A lease comes with ids or not at all: a fill that has none stores nothing, and those that
// wait for it wait in vain. So no lease is asked for while L2 is distrusted; and one that
// was given, or may have been, is released when the ids could not be read.
func (f *fill) claim(ctx context.Context, create []Tag) (found lookupResult, err error) {
	c := f.cache
	found.snapshot = c.snapshot(f.tags)
	l := &heldLease{Lease: remote.NewLease(f.key.text), cache: c, snapshot: found.snapshot}
	from := c.leases.useless(l.Key, c.fence)
	c.leases.hold(l)
	given, r, err := c.l2.Claim(ctx, f.budget, remote.Claim{Lease: l.Lease, From: from, Tags: f.tags, Create: create})
	found.Result, found.snapshot.IDs = r, r.IDs
	switch {
	case err == nil && given:
		f.lease = l
	case err == nil || errors.Is(err, errDistrusted) || remote.NotGiven(err):
		c.leases.drop(l)
	default:
		c.leases.abandon(l)
		l.releaseBehind(ctx)
	}
	return found, err
}

// releaseBehind releases a lease that may have been given.
func (l *heldLease) releaseBehind(ctx context.Context) {
	release := func(ctx context.Context) { l.release(ctx, nil, remote.NotStored, false) }
	if !l.cache.spawn(release) {
		release(ctx) // the cache is being closed, and waits for this fill
	}
}

// store puts an entry into L2 and ends the lease, telling those who wait either way. It
// reports whether L2 is known to have the entry now.
func (f *fill) store(ctx context.Context, e *remote.Entry, filled time.Duration) bool {
	if f.lease == nil {
		return false
	}
	l, stored := f.lease, false
	ended := l.settle(ctx, f.budget, func(ctx context.Context) bool {
		var err error
		stored, err = l.cache.l2.Store(ctx, l.Lease, e, f.tags, l.cache.base.Add(filled+e.Retention))
		if stored {
			return true
		}
		why := refusedLeaseLost
		if err != nil {
			why = refusedError
		}
		f.stats.refused.add(why)
		return l.giveBack(ctx, remote.NotStored, false)
	})
	return ended && stored
}

// release ends the fill's lease without an entry, if it has one.
func (f *fill) release(ctx context.Context, how remote.FillResult, unlink bool) {
	if f.lease != nil {
		f.lease.release(ctx, f.budget, how, unlink)
	}
}

// release ends the lease without an entry.
func (l *heldLease) release(ctx context.Context, b *remote.Budget, how remote.FillResult, unlink bool) {
	l.settle(ctx, b, func(ctx context.Context) bool { return l.giveBack(ctx, how, unlink) })
}

// settle runs end in the background and waits for it while the read's budget lasts. It
// reports whether it has waited to the end. end ends the lease, which the fleet waits for,
// and reports whether the lease is known to have ended. It takes the time that it needs.
func (l *heldLease) settle(ctx context.Context, b *remote.Budget, end func(context.Context) bool) bool {
	c := l.cache
	finish := func(ctx context.Context) {
		if end(ctx) {
			c.leases.drop(l)
		} else {
			c.leases.abandon(l)
		}
	}
	done := make(chan struct{})
	if !c.spawn(func(root context.Context) {
		defer close(done)
		ctx, cancel := context.WithTimeout(root, 2*c.l2.Timeout()) // for the connection and the call
		defer cancel()
		finish(ctx)
	}) {
		finish(ctx) // the cache is being closed, and waits for this fill
		return true
	}
	return b.Await(done)
}

// giveBack gives the lease back and tells those who wait for it, also when the cache is
// being closed: the rest of the fleet goes on. It reports whether the lease is known to
// have ended.
func (l *heldLease) giveBack(ctx context.Context, how remote.FillResult, unlink bool) bool {
	c := l.cache
	ctx, cancel := c.l2.patient(ctx)
	defer cancel()
	err := c.l2.Release(ctx, l.Lease, how, unlink)
	c.waiters.tell(l.Key, how)
	if err != nil {
		// The lease ends by itself, and those who wait look for themselves.
		c.o.Log.Debug("cache: release", "key", l.Key, "error", err)
	}
	return err == nil
}
