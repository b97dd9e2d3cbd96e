package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// look reads L2 for a key: first the process's half of the snapshot, then the
// entry and the ids. The order is the proof; see heard.go.
func (c *Cache) look(ctx context.Context, k Key, tags []Tag, create bool) (snapshot, reading, error) {
	snap := c.watch(tags)
	r, err := c.l2.read(ctx, k.text, tags, create)
	snap.ids = r.ids
	return snap, r, err
}

// resolve answers a read past L1: from L2 if the policy allows, else by a fill.
func (c *Cache) resolve(ctx context.Context, f *flight, o *origin, k Key, part bool) answer {
	tags, policy := f.snap.Load().tags, o.spec.Policy
	if c.l2 == nil {
		return c.fill(ctx, o, k, *f.snap.Load(), nil)
	}
	snap, r, err := c.look(ctx, k, tags, false)
	if err != nil {
		o.stats.l2Errors.Add(1)
		return c.fill(ctx, o, k, snap, nil) // L2 is soft: failing to read it is a miss
	}
	if a, ok := c.freshIn(o, k, snap, r); ok {
		return a
	}
	if !part && r.entry != nil && r.state() == expired && r.age() < r.entry.fresh+policy.Stale {
		if a, ok := c.open(o, k, snap, r); ok {
			c.refresh(o, k, tags)
			return a
		}
	}
	a := c.lead(ctx, f, o, k, snap)
	if a.err == nil || part || c.o.NotFound(a.err) {
		return a
	}
	return c.standIn(ctx, o, k, tags, a)
}

// standIn answers with an expired or changed copy when the load has failed. L2 is
// read again: what was usable before the load may have been revoked while it ran.
func (c *Cache) standIn(ctx context.Context, o *origin, k Key, tags []Tag, failure answer) answer {
	snap, r, err := c.look(ctx, k, tags, false)
	if err != nil || r.entry == nil || r.state() == revoked || r.age() >= r.entry.fresh+o.spec.Policy.OnError {
		return failure
	}
	old, ok := c.open(o, k, snap, r)
	if !ok {
		return failure
	}
	c.o.Log.Warn("cache: load failed, serving a stale copy", "key", k.text, "error", failure.err)
	return old
}

// open makes an answer of an entry.
func (c *Cache) open(o *origin, k Key, snap snapshot, r reading) (answer, bool) {
	v, err := o.decode(r.entry.body)
	if err != nil {
		c.o.Log.Warn("cache: entry does not decode and is a miss", "key", k.text, "error", err)
		return answer{}, false
	}
	filled := snap.taken - r.age()
	return answer{value: v, outcome: Stale, snap: snap, filled: filled, expires: filled + r.entry.fresh}, true
}

// freshIn makes an answer of what was read from L2 if it is fresh, and keeps it in
// L1.
func (c *Cache) freshIn(o *origin, k Key, snap snapshot, r reading) (answer, bool) {
	if r.entry == nil || r.state() != fresh {
		return answer{}, false
	}
	a, ok := c.open(o, k, snap, r)
	if ok {
		a.outcome = HitL2
		c.keep(o, k, a, len(r.entry.body))
	}
	return a, ok
}

// lead fills under the lease, or waits for the process that has it. seen is the
// snapshot of the last read of L2.
func (c *Cache) lead(ctx context.Context, f *flight, o *origin, k Key, seen snapshot) answer {
	patience := time.NewTimer(leaseLife)
	defer patience.Stop()
	for {
		told, leave := c.waiters.wait(k.text)
		l, err := c.l2.acquire(ctx, k.text)
		if l != nil || err != nil {
			leave()
			if err != nil {
				o.stats.l2Errors.Add(1)
				return c.fill(ctx, o, k, seen, nil)
			}
			return c.fillLeased(ctx, f, o, k, seen.tags, l)
		}
		o.stats.leaseWaits.Add(1)
		how, patient := waitFor(ctx, told, patience.C)
		leave()
		if how == failed {
			return answer{err: fmt.Errorf("%w: the load failed in another process", ErrUnavailable), snap: seen}
		}
		snap, r, err := c.look(ctx, k, seen.tags, false)
		if err != nil || !patient {
			return c.fill(ctx, o, k, snap, nil) // alone, once, without storing in L2
		}
		if a, ok := c.freshIn(o, k, snap, r); ok {
			return a
		}
		seen = snap
	}
}

// pollLease is how long a waiter goes without being told before it looks for
// itself: messages can be lost, and a holder can die.
const pollLease = 250 * time.Millisecond

// waitFor waits to be told how another process's fill ended. It reports false when
// patience or ctx ended first.
func waitFor(ctx context.Context, told <-chan ending, patience <-chan time.Time) (ending, bool) {
	poll := time.NewTimer(pollLease)
	defer poll.Stop()
	select {
	case how := <-told:
		return how, true
	case <-poll.C:
		return unheard, true
	case <-patience:
		return unheard, false
	case <-ctx.Done():
		return unheard, false
	}
}

// fillLeased fills under a lease: L2 is read again, since somebody may have filled
// between our miss and our lease, and the ids of that read are the snapshot.
func (c *Cache) fillLeased(ctx context.Context, f *flight, o *origin, k Key, tags []Tag, l *lease) answer {
	snap, r, err := c.look(ctx, k, tags, true)
	if f != nil {
		f.snap.Store(&snap)
	}
	if err == nil {
		if a, ok := c.freshIn(o, k, snap, r); ok {
			c.release(ctx, l, landed)
			return a
		}
	}
	return c.fill(ctx, o, k, snap, l)
}

// refresh fills an expired key while its old copy is served. It takes the lease
// but is not the key's flight: nobody waits for it, and who needs a fresh copy
// does not get one from before their write by joining it.
func (c *Cache) refresh(o *origin, k Key, tags []Tag) {
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
		l, err := c.l2.acquire(ctx, k.text)
		if l == nil || err != nil {
			return // another process is at it, or L2 is away and the copy will expire
		}
		if a := c.fillLeased(ctx, nil, o, k, tags, l); a.err != nil {
			c.o.Log.Warn("cache: refresh failed", "key", k.text, "error", a.err)
		}
	}) {
		done()
	}
}

// fill loads under a snapshot that was taken before, and stores: in L2 if it holds
// a lease and has ids, in L1 if nothing was heard meanwhile.
func (c *Cache) fill(ctx context.Context, o *origin, k Key, snap snapshot, l *lease) answer {
	w := newWhole(k, snap)
	began := c.now()
	loadCtx, cancel := context.WithTimeout(w.context(ctx), c.o.LoadTimeout)
	v, err := c.call(loadCtx, o, k)
	cancel()
	a := answer{value: v, outcome: Miss, snap: snap}
	a.filled, a.snap.taken, a.err = w.result() // a part's failure counts also when the load went on without it
	if a.err == nil {
		a.err = err
	}
	var body []byte
	if a.err == nil {
		body, a.err = o.encode(v)
	}
	switch {
	case a.err == nil:
		e := &entry{fresh: o.spec.Policy.jittered(), cost: c.now() - began, ids: snap.ids, body: body}
		e.retention = e.fresh + max(o.spec.Policy.Stale, o.spec.Policy.OnError)
		a.expires = a.filled + e.fresh
		c.store(ctx, o, l, e, a.filled)
		c.keep(o, k, a, len(body))
	case c.o.NotFound(a.err):
		a.expires = a.filled + o.spec.Policy.Negative
		c.release(ctx, l, foundNothing)
		c.keep(o, k, a, 0)
	default:
		c.release(ctx, l, failed)
	}
	return a
}

// store puts an entry into L2 and ends the lease, telling the waiters either way.
func (c *Cache) store(ctx context.Context, o *origin, l *lease, e *entry, filled time.Duration) {
	if l == nil {
		return
	}
	ttl := e.retention - (c.now() - filled)
	if e.ids == nil || ttl <= 0 {
		c.release(ctx, l, refused)
		return
	}
	stored, err := l.store(ctx, e, ttl)
	if err != nil || !stored {
		o.stats.refused.Add(1)
		c.release(ctx, l, refused)
	}
}

func (c *Cache) release(ctx context.Context, l *lease, how ending) {
	if l == nil {
		return
	}
	if err := l.release(ctx, how); err != nil && !errors.Is(err, context.Canceled) {
		// The lease ends by itself, and the waiters look for themselves.
		c.o.Log.Debug("cache: release", "key", l.key, "error", err)
	}
}

// keep puts an answer into L1, counted from when its tags were read, unless a move
// was heard of since: then it is right for those who wait for it, and for nobody
// after.
func (c *Cache) keep(o *origin, k Key, a answer, size int) {
	if !c.heard.counts(&a.snap) {
		o.stats.fenced.Add(1)
		return
	}
	c.l1.keep(&l1Copy{
		answer: a,
		key:    k.text,
		size:   int64(len(k.text)+size) + copyOverhead,
		until:  min(a.snap.taken+o.spec.Policy.l1Age(), a.expires),
	})
}

// valid reports whether a copy in L1 may still be served.
func (c *Cache) valid(copied *l1Copy, now time.Duration) bool {
	return now < copied.until && c.heard.counts(&copied.snap)
}
